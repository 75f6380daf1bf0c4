//! What an admitted request holds at its scopes until it ends.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use tollgate_domain::{Money, UnixMillis};

use super::{admit::Ask, expected::Slot, scope::Scope};
use crate::Now;

/// What a request really took.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Actual {
    /// All input tokens, cached ones included.
    pub input_tokens: u64,
    /// The part of the input that was read from the provider's cache.
    pub cached_input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// What it cost.
    pub cost: Money,
}

/// The worst case of a request, reserved at all its scopes, and its place among the concurrent ones.
///
/// It ends once: by [`settle`](Self::settle), by [`release`](Self::release), or by being dropped,
/// which settles at the estimate. Ending never waits and never fails, so a cancelled or panicked
/// request is as honest as any other.
#[derive(Debug)]
#[must_use = "dropping a reservation charges its estimate"]
pub struct Reservation {
    holds: SmallVec<[Hold; 3]>,
    ask: Ask,
    headroom: Headroom,
}

/// What is held at one scope.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) scope: Arc<Scope>,
    /// The instant that decides which windows it belongs to.
    pub(super) started: UnixMillis,
    /// The rules under which it was admitted.
    pub(super) binding: u64,
    /// The money reserved here, which may be less than the worst case.
    pub(super) money: Money,
    /// Where its cost is remembered.
    pub(super) slot: Option<Slot>,
}

/// The tightest limits of a request's scopes as it was admitted, itself included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Headroom {
    /// Of the request rates.
    pub requests: Option<LimitLeft>,
    /// Of the token rates and quotas.
    pub tokens: Option<LimitLeft>,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitLeft {
    /// The limit itself.
    pub limit: u64,
    /// How much of it could be taken at once.
    pub remaining: u64,
    /// When all of it will be free again.
    pub reset_after: Duration,
}

impl LimitLeft {
    /// Keeps the one of which less remains.
    pub(super) fn tighten(self, tightest: &mut Option<Self>) {
        if tightest.is_none_or(|other| self.remaining < other.remaining) {
            *tightest = Some(self);
        }
    }
}

impl Reservation {
    pub(super) fn new(ask: &Ask) -> Self {
        Self { holds: SmallVec::new(), ask: *ask, headroom: Headroom::default() }
    }

    pub(super) fn add(&mut self, hold: Hold) {
        if self.holds.is_empty() {
            hold.scope.reservation_opened();
        }
        self.holds.push(hold);
    }

    pub(super) fn show(&mut self, headroom: Headroom) {
        self.headroom = headroom;
    }

    /// The worst case in money; nothing for a request without a price. A scope may hold less
    /// reserved, see [`Reserve`](super::Reserve).
    #[must_use]
    pub fn cost(&self) -> Money {
        self.ask.cost.unwrap_or(Money::ZERO)
    }

    /// The output tokens reserved.
    #[must_use]
    pub const fn output_tokens(&self) -> u64 {
        self.ask.output_tokens
    }

    /// What was left of the tightest limits when this request was admitted.
    #[must_use]
    pub const fn headroom(&self) -> Headroom {
        self.headroom
    }

    /// Ends the request with what it took. What it took beyond its reservation is owed at once;
    /// money and tokens count in the windows in which it started.
    pub fn settle(mut self, actual: &Actual, now: Now) {
        self.close(actual, Some(now));
    }

    /// Ends a request that consumed nothing.
    pub fn release(mut self, now: Now) {
        self.close(&Actual::default(), Some(now));
    }

    fn close(&mut self, actual: &Actual, now: Option<Now>) {
        let holds = std::mem::take(&mut self.holds);
        if let Some(first) = holds.first() {
            first.scope.reservation_closed();
        }
        for hold in holds {
            hold.scope.settle(&hold, &self.ask, actual, now);
        }
    }
}

impl Drop for Reservation {
    /// Nobody said what the request took: it was lost on the way, perhaps after the provider had
    /// begun. The estimate is charged, so that a hard budget holds.
    fn drop(&mut self) {
        let estimate = Actual {
            input_tokens: self.ask.input_tokens,
            cached_input_tokens: 0,
            output_tokens: self.ask.output_tokens,
            cost: self.cost(),
        };
        self.close(&estimate, None);
    }
}
