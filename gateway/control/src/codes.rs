//! What every error code means and what to do about it: the one place for these texts.
//!
//! `tollgate explain CODE` prints them; documentation is checked against them.

mod admin;

pub use admin::ADMIN_CODES;

/// An error code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorCode {
    /// The code, as it stands in bodies and in `x-tollgate-error`.
    pub code: &'static str,
    /// The HTTP status that it comes with; 0 for a failure inside a stream that has begun.
    pub status: u16,
    /// What has happened.
    pub meaning: &'static str,
    /// What the reader can do.
    pub remedy: &'static str,
}

/// Every code: those of the data plane, then those that only the admin API has.
pub fn all() -> impl Iterator<Item = &'static ErrorCode> {
    CODES.iter().chain(ADMIN_CODES)
}

/// The entry of a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static ErrorCode> {
    all().find(|known| known.code == code)
}

/// The known code that is most like a mistyped one.
#[must_use]
pub fn nearest(code: &str) -> Option<&'static ErrorCode> {
    all()
        .map(|known| (strsim::jaro_winkler(known.code, code), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

const fn entry(code: &'static str, status: u16, meaning: &'static str, remedy: &'static str) -> ErrorCode {
    ErrorCode { code, status, meaning, remedy }
}

/// Every code of the data plane, in the order in which a request can meet them.
pub const CODES: &[ErrorCode] = &[
    entry(
        "invalid_api_key",
        401,
        "The request carries no key, a key that nobody has, or two different keys.",
        "Send one key as `authorization: Bearer KEY`, `x-api-key`, `api-key` or `x-goog-api-key`. The message names the headers when two differ.",
    ),
    entry(
        "unknown_access_key",
        401,
        "The request is signed (SigV4) by an access key that nobody has, or with a session token; 403 for Bedrock's clients.",
        "Give the client the key's `access_key_id` and its secret as AWS credentials, and no session token.",
    ),
    entry(
        "invalid_signature",
        401,
        "The request is signed (SigV4), and the signature is not that of its key and content; 403 for Bedrock's clients.",
        "Check the client's secret access key, let nothing change the request on its way, and set the client's clock: it may be 15 minutes off.",
    ),
    entry(
        "key_expired",
        401,
        "The key was valid until its `expires` time.",
        "Give the application a new key, or move `expires` in the configuration.",
    ),
    entry("key_revoked", 401, "The key was withdrawn.", "Give the application a new key."),
    entry(
        "model_not_found",
        404,
        "No model of this name is configured.",
        "Ask `GET /v1/models` with the same key for the names; add the model to `models` if it is missing there.",
    ),
    entry(
        "model_not_allowed",
        403,
        "The model exists, but the key or its project may not use it.",
        "Add the model to `models` of the project, and of the key if the key has a list of its own.",
    ),
    entry(
        "model_unpriced",
        403,
        "The model has no price, and a hard budget cannot be kept without one.",
        "Add a price for the model, or set the budget's mode to `observe`.",
    ),
    entry(
        "zone_not_permitted",
        403,
        "No target of the model processes data in the zones that the project permits.",
        "Add a target in a permitted zone; the gateway never leaves the zones, whatever fails.",
    ),
    entry(
        "invalid_request",
        400,
        "The request is not what the API takes: not JSON, a member of the wrong kind, an unknown path or method.",
        "The message says which part is wrong and what would work.",
    ),
    entry(
        "unsupported_parameter",
        400,
        "The request asks for something that the chosen upstream's API cannot express.",
        "Leave the named parameter out, or use a model whose upstream speaks the same API as the client.",
    ),
    entry(
        "request_exceeds_limit",
        400,
        "The request is larger than a limit or budget would ever let through, so waiting does not help.",
        "Send less input, ask for fewer output tokens, or raise the limit that the message names.",
    ),
    entry(
        "request_too_large",
        413,
        "The request body is larger than the gateway accepts.",
        "Send a smaller body; refer to large files by URL or id where the API allows it.",
    ),
    entry(
        "rate_limit_exceeded",
        429,
        "More requests per second or minute than a key, project or team may send.",
        "Wait as long as `retry-after` says; raise `requests_per_minute` if the limit is too tight.",
    ),
    entry(
        "token_rate_limit_exceeded",
        429,
        "More tokens per minute than a key, project or team may use.",
        "Wait as long as `retry-after` says; smaller output caps reserve less.",
    ),
    entry(
        "token_quota_exceeded",
        429,
        "The tokens of the day or month are used up.",
        "Wait for the next period or raise `tokens_per_day` or `tokens_per_month`.",
    ),
    entry(
        "concurrency_limit_exceeded",
        429,
        "As many requests as allowed are in flight already; a stream counts until its last byte.",
        "Wait for others to end, or raise `concurrent_requests`.",
    ),
    entry(
        "budget_exceeded",
        429,
        "The request's worst case does not fit into what is left of a hard budget.",
        "The message shows what is spent and reserved. Raise the budget, wait for the next period, or ask for fewer output tokens.",
    ),
    entry(
        "unsupported_operation",
        501,
        "The operation is known, but this gateway does not offer it.",
        "Use another operation; the release notes tell what has been added.",
    ),
    entry(
        "response_not_found",
        404,
        "No response of this id is kept for the project: it was made elsewhere, was deleted, or said `store: false`.",
        "Send the conversation itself, or ask with a key of the project that made the response.",
    ),
    entry(
        "conversation_not_found",
        404,
        "No conversation of this id was made through this gateway by the project.",
        "Make the conversation here, or send what it holds with the request.",
    ),
    entry(
        "prompt_not_found",
        404,
        "The stored prompt is none that the project may use.",
        "Add its id and upstream to `prompts` of the project.",
    ),
    entry(
        "pinned_upstream_unavailable",
        409,
        "What the request names is kept by one upstream alone, and that one cannot be asked.",
        "Look at `tollgate upstreams list`; send the whole conversation instead where it cannot wait.",
    ),
    entry(
        "upstream_rate_limited",
        429,
        "Every permitted upstream of the model has said that it is being called too often.",
        "Wait as long as `retry-after` says; add capacity or another target to the model.",
    ),
    entry(
        "no_healthy_upstream",
        503,
        "No permitted upstream of the model takes requests: drained, disabled, or with an open breaker. Or an operator has taken the model itself out of service.",
        "Look at `tollgate targets list` and `tollgate models list`; enable what was drained, or add a target elsewhere.",
    ),
    entry(
        "overloaded",
        503,
        "This gateway process, or the upstream, has all the work that it takes.",
        "Try again after a moment; add gateway processes if it is the gateway.",
    ),
    entry(
        "meter_backpressure",
        503,
        "The journal cannot be written, and nothing is served that could not be counted.",
        "Look at the gateway's log: the disk of `data_dir` is full or failing.",
    ),
    entry(
        "quota_unavailable",
        503,
        "The limits of this key cannot be known at the moment.",
        "Try again after a moment; look at the gateway's log.",
    ),
    entry(
        "upstream_saturated",
        503,
        "Every permitted upstream has as many requests in flight as its `max_concurrency` allows, and no slot became free in time.",
        "Try again after a moment, raise `max_concurrency`, or add a target.",
    ),
    entry(
        "upstream_account_exhausted",
        503,
        "The provider says that the account's quota or credit is used up.",
        "Raise the quota at the provider or add a target that another account pays for.",
    ),
    entry(
        "upstream_connect",
        502,
        "No permitted upstream could be reached: name resolution, connection or TLS failed.",
        "Check `base_url` and the network between the gateway and the provider.",
    ),
    entry(
        "upstream_reset",
        502,
        "The upstream closed the connection before it had answered, or an operator's deadline for requests in flight has come.",
        "Try again; if it persists, the provider is failing.",
    ),
    entry(
        "upstream_error",
        502,
        "The upstream answered with a server error, and so did every other permitted one.",
        "Try again; if it persists, look at the provider's status page.",
    ),
    entry(
        "upstream_auth",
        502,
        "The upstream refused the gateway's own credential. The client's key is fine.",
        "Renew the `credential` of the upstream.",
    ),
    entry(
        "upstream_misconfigured",
        502,
        "The upstream does not know the model or deployment that the configuration names.",
        "Correct `model` of the target or `base_url` of the upstream.",
    ),
    entry(
        "upstream_protocol",
        502,
        "The upstream sent something that its API or HTTP does not allow.",
        "Check that `dialect` fits the upstream; a proxy between may be answering in its place.",
    ),
    entry(
        "upstream_timeout",
        504,
        "The upstream sent no answer in time.",
        "Try again; raise `timeouts` of the upstream if its answers take that long.",
    ),
    entry(
        "upstream_ttft",
        504,
        "The upstream accepted the request but sent no content in time.",
        "Try again; raise `timeouts.ttft` of the upstream for models that think for long.",
    ),
    entry(
        "upstream_truncated",
        0,
        "The upstream's stream broke off in the middle of the answer, or an operator's deadline for requests in flight has come.",
        "Do not use the partial answer as if it were whole; send the request again.",
    ),
    entry(
        "upstream_stalled",
        0,
        "The upstream's stream fell silent in the middle of the answer.",
        "Do not use the partial answer as if it were whole; send the request again.",
    ),
    entry(
        "internal",
        500,
        "The gateway has a fault.",
        "Report it with the request's `x-request-id`; the log has an entry with the same id.",
    ),
];

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_code_stands_once_and_is_explained() {
        let mut seen = HashSet::new();
        for code in all() {
            assert!(seen.insert(code.code), "{} stands twice", code.code);
            assert!(code.status == 0 || (400..600).contains(&code.status), "{}", code.code);
            for text in [code.meaning, code.remedy] {
                assert!(text.ends_with('.') && text.len() > 10, "{}: {text:?}", code.code);
            }
        }
    }

    /// The words between quotes that look like codes, in a part of a source file of this workspace.
    fn words(file: &str, from: &str, to: &str) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = fs::read_to_string(path).expect("the source");
        let part = source.split_once(from).unwrap_or_else(|| panic!("{file} has no {from:?}")).1;
        let part = part.split_once(to).unwrap_or_else(|| panic!("{file} has no {to:?}")).0;
        let quoted = part.split('"').skip(1).step_by(2);
        let is_code =
            |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        quoted.filter(is_code).map(str::to_owned).collect()
    }

    #[test]
    fn every_code_that_is_answered_has_a_page() {
        let sources = [
            ("../proxy/src/rejection.rs", "pub fn code(&self)", "\n    }\n"),
            ("../proxy/src/rejection.rs", "pub const fn as_str(self)", "\n    }\n"),
            ("src/admin/problem.rs", "impl Problem {", "impl fmt::Display for Problem"),
        ];
        let mut found = 0;
        for (file, from, to) in sources {
            for word in words(file, from, to) {
                assert!(find(&word).is_some(), "{file} answers {word}, which has no page");
                found += 1;
            }
        }
        assert!(found > 40, "the codes are not found in the sources: {found}");
        for word in ["upstream_truncated", "upstream_stalled", "unsupported_parameter"] {
            assert!(find(word).is_some(), "{word}");
        }
    }

    #[test]
    fn a_mistyped_code_finds_its_neighbour_and_nonsense_finds_none() {
        assert_eq!(nearest("budget_exceded").map(|code| code.code), Some("budget_exceeded"));
        assert_eq!(nearest("xyz"), None);
    }
}
