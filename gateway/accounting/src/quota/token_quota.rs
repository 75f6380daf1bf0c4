//! Tokens per calendar day or month.

use super::{
    admit::Ask,
    books::Book,
    calendar::Period,
    limits::LimitKind,
    refused::{Refusal, RefusedDetail},
    reservation::LimitLeft,
};
use tollgate_domain::UnixMillis;

/// Looks whether so many tokens fit into what is left of `share`, the spendable part of `limit`.
pub(super) fn check(
    (kind, period, limit): (LimitKind, Period, u64),
    share: i128,
    book: &Book,
    ask: &Ask,
) -> Result<(), Refusal> {
    let asked = ask.tokens();
    if book.tokens.fits(asked.into(), share) {
        return Ok(());
    }
    Err(Refusal {
        limit: kind,
        retry_after: None,
        never_fits: limit > 0 && asked > limit,
        detail: Box::new(RefusedDetail::TokenQuota {
            period,
            limit,
            spent: tokens(book.tokens.spent),
            reserved: tokens(book.tokens.open),
            holders: book.holders,
            ask: *ask,
            resets_at: book.window.end,
        }),
    })
}

/// What is left of a quota, for the headers of an answer.
pub(super) fn left(limit: u64, book: &Book, now: UnixMillis) -> LimitLeft {
    let used = book.tokens.spent.saturating_add(book.tokens.open);
    LimitLeft {
        limit,
        remaining: tokens(i128::from(limit).saturating_sub(used)),
        reset_after: std::time::Duration::from_millis(book.window.end.since(now).max(0).unsigned_abs()),
    }
}

fn tokens(amount: i128) -> u64 {
    u64::try_from(amount.max(0)).unwrap_or(u64::MAX)
}
