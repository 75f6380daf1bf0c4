//! Codes of the admin API's own refusals. Those that it shares with the data plane stand there.

use super::{ErrorCode, entry};

/// Every code that only the admin API answers.
pub const ADMIN_CODES: &[ErrorCode] = &[
    entry(
        "unauthorized",
        401,
        "The admin API was called without a token, or with one that nobody has.",
        "Send one of `admin.tokens` as `authorization: Bearer TOKEN`; the command line takes it from `TOLLGATE_TOKEN`.",
    ),
    entry(
        "forbidden",
        403,
        "The token's role, or its scope of teams, does not allow this.",
        "Use a token of a role that may; the API's description names the roles of each call.",
    ),
    entry(
        "not_found",
        404,
        "There is no such path, or nothing of this name that the token may see.",
        "Look at the list of the same kind; `/api/v1/openapi.json` names the paths.",
    ),
    entry(
        "method_not_allowed",
        405,
        "The path exists, but takes other methods.",
        "Look at `/api/v1/openapi.json` for the methods of the path.",
    ),
    entry(
        "conflict",
        409,
        "It cannot be done as things stand, and nothing was changed.",
        "The message says what stands against it; change that first, or ask for something else.",
    ),
    entry(
        "busy",
        409,
        "Something else is under way that this must not happen beside.",
        "Wait until that has ended, and try again.",
    ),
    entry(
        "no_permitted_home",
        409,
        "Projects would be left without a target that they permit.",
        "Give these projects another target first, or say `force` when they may be refused meanwhile.",
    ),
    entry(
        "not_reconciled",
        409,
        "The invoice and the ledger differ by more than was permitted, so the month stays open.",
        "Look at the differences that the answer names, and close with `accept` and a reason when they are right.",
    ),
    entry(
        "precondition_failed",
        412,
        "The configuration, or one of its files, is not what the change was made from.",
        "Read the configuration again, make the change in what is there now, and send its new `etag`.",
    ),
    entry(
        "config_invalid",
        422,
        "The configuration has errors. The running one is unchanged.",
        "The answer names each error with file, line and column; `tollgate check` does the same.",
    ),
    entry(
        "precondition_required",
        428,
        "A change of the configuration has to say what it was made from.",
        "Send the `etag` of `GET /config` as `if-match`, or `*` when it does not matter.",
    ),
    entry(
        "ledger_unavailable",
        503,
        "The ledger cannot be read or changed at the moment.",
        "Look at the gateway's log; requests are still counted in the journal meanwhile.",
    ),
];
