//! From a reservation's headroom to the limits that a dialect's headers show.

use tollgate_accounting::quota::{Headroom, LimitLeft};
use tollgate_dialect::{LimitShown, LimitsShown};
use tollgate_domain::UnixMillis;

pub(crate) fn shown(headroom: &Headroom, now: UnixMillis) -> LimitsShown {
    let one = |limit: &LimitLeft| LimitShown {
        limit: limit.limit,
        remaining: limit.remaining,
        reset_after: limit.reset_after,
    };
    LimitsShown {
        requests: headroom.requests.as_ref().map(one),
        tokens: headroom.tokens.as_ref().map(one),
        now,
    }
}
