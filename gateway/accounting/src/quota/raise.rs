//! More than a budget's amount, for a time.

use tollgate_domain::{Money, UnixMillis};

/// What may be spent beyond a budget's amount until an instant. It is a fact of its scope: it
/// outlives configurations, and another amount or period of the budget does not end it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Raise {
    /// How much more may be spent.
    pub amount: Money,
    /// From when on it is over.
    pub until: UnixMillis,
}

impl Raise {
    /// The raise in force at this instant. One that is over is forgotten, so that a clock that is
    /// set back brings none back.
    pub(super) fn in_force(raise: &mut Option<Self>, now: UnixMillis) -> Option<Self> {
        if raise.is_some_and(|raise| now >= raise.until) {
            *raise = None;
        }
        *raise
    }
}
