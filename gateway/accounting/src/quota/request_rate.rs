//! Requests per second or minute.
//!
//! Governor's GCRA over a clock that is fed with the caller's reading, so that the crate stays
//! without a clock of its own. The burst is the whole count: so many requests a minute may come at
//! once, and then one each time its share of the minute has passed.

use std::{cell::Cell, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

use super::{
    limits::LimitKind,
    refused::{Refusal, RefusedDetail},
    reservation::LimitLeft,
};

/// One request rate of one scope. Not shareable between threads by itself: it lives under the
/// scope's lock.
#[derive(Debug)]
pub(super) struct RequestRate {
    kind: LimitKind,
    count: u32,
    /// `None` for a count of zero, which lets nothing pass.
    limiter: Option<RateLimiter<NotKeyed, InMemoryState, FedClock, StateInformationMiddleware>>,
    /// When all of it is free again, as the limiter reckons: it tells only those who take.
    free_at: Cell<u64>,
}

/// A clock that shows what it was last fed.
#[derive(Debug, Default)]
struct FedClock(Cell<Nanos>);

impl Clock for FedClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

impl RequestRate {
    fn new(kind: LimitKind, count: u32) -> Self {
        let limiter = NonZeroU32::new(count).map(|count| {
            let quota = match kind {
                LimitKind::RequestsPerSecond => Quota::per_second(count),
                _ => Quota::per_minute(count),
            };
            RateLimiter::direct_with_clock(quota, FedClock::default()).with_middleware()
        });
        Self { kind, count, limiter, free_at: Cell::new(0) }
    }

    /// Puts a configured count in force. What was used up stays so while the count is the same.
    pub(super) fn bind(rate: &mut Option<Self>, kind: LimitKind, count: Option<u32>) {
        if rate.as_ref().map(|rate| rate.count) != count {
            *rate = count.map(|count| Self::new(kind, count));
        }
    }

    /// Lets one request pass at this many nanoseconds since the scope's origin, or tells when the
    /// next one may.
    pub(super) fn take(&self, nanos: u64) -> Result<LimitLeft, Refusal> {
        let refusal = |retry_after| Refusal {
            limit: self.kind,
            retry_after,
            never_fits: false,
            detail: Box::new(RefusedDetail::Requests { limit: self.count }),
        };
        let Some(limiter) = &self.limiter else { return Err(refusal(None)) };
        let now = Nanos::from(nanos);
        limiter.clock().0.set(now);
        match limiter.check() {
            Ok(state) => {
                self.free_at.set(self.free_at.get().max(nanos).saturating_add(self.share()));
                Ok(self.left(state.remaining_burst_capacity()))
            }
            Err(not_yet) => Err(refusal(Some(not_yet.wait_time_from(now)))),
        }
    }

    /// What could be taken at this many nanoseconds since the scope's origin. Takes nothing.
    pub(super) fn peek(&self, nanos: u64) -> (LimitKind, LimitLeft) {
        let backlog = self.free_at.get().saturating_sub(nanos);
        let used = backlog.div_ceil(self.share().max(1)).min(self.count.into());
        let left = LimitLeft {
            limit: self.count.into(),
            remaining: u64::from(self.count) - used,
            reset_after: Duration::from_nanos(backlog),
        };
        (self.kind, left)
    }

    /// Nanoseconds after which one more may come.
    fn share(&self) -> u64 {
        let second = if self.kind == LimitKind::RequestsPerSecond { 1 } else { 60 };
        second * 1_000_000_000 / u64::from(self.count).max(1)
    }

    fn left(&self, remaining: u32) -> LimitLeft {
        let second = if self.kind == LimitKind::RequestsPerSecond { 1 } else { 60 };
        let used = u64::from(self.count.saturating_sub(remaining));
        let nanos = used * second * 1_000_000_000 / u64::from(self.count).max(1);
        LimitLeft {
            limit: self.count.into(),
            remaining: remaining.into(),
            reset_after: Duration::from_nanos(nanos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(kind: LimitKind, count: u32) -> RequestRate {
        RequestRate::new(kind, count)
    }

    #[test]
    fn the_whole_count_may_come_at_once_and_then_by_its_share() {
        for (kind, count, share) in
            [(LimitKind::RequestsPerSecond, 4, SECOND / 4), (LimitKind::RequestsPerMinute, 6, 10 * SECOND)]
        {
            let rate = rate(kind, count);
            for n in 1..=count {
                let left = rate.take(SECOND).expect("within the burst");
                assert_eq!(left.remaining, u64::from(count - n), "{kind:?}");
                assert_eq!(left.reset_after, Duration::from_nanos(share * u64::from(n)), "{kind:?}");
            }
            let refusal = rate.take(SECOND).expect_err("the burst is used up");
            assert_eq!(refusal.retry_after, Some(Duration::from_nanos(share)), "{kind:?}");
            assert!(rate.take(SECOND + share - 1).is_err(), "{kind:?}");
            assert!(rate.take(SECOND + share).is_ok(), "{kind:?}");
            assert!(rate.take(SECOND + share).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn a_look_tells_what_the_limiter_would_say_and_takes_nothing() {
        // Sevenths of a minute are no whole nanoseconds.
        for (kind, count) in [(LimitKind::RequestsPerSecond, 3), (LimitKind::RequestsPerMinute, 7)] {
            let (rate, shadow) = (rate(kind, count), rate(kind, count));
            let mut now = SECOND;
            for step in 0..200_u64 {
                now += step * 37_000_003 % (3 * rate.share());
                let (_, seen) = rate.peek(now);
                assert_eq!(rate.peek(now).1, seen, "a look takes nothing");
                let taken = rate.take(now).map(|left| left.remaining + 1).unwrap_or_default();
                assert_eq!(taken, shadow.take(now).map(|left| left.remaining + 1).unwrap_or_default());
                assert_eq!(seen.remaining, taken, "{kind:?} at step {step}");
            }
        }
        assert_eq!(rate(LimitKind::RequestsPerMinute, 0).peek(5).1.remaining, 0);
    }

    #[test]
    fn a_count_of_zero_is_closed() {
        let refusal = rate(LimitKind::RequestsPerMinute, 0).take(0).expect_err("closed");
        assert_eq!((refusal.retry_after, refusal.never_fits), (None, false));
    }

    #[test]
    fn time_that_runs_backwards_gives_nothing_back() {
        let rate = rate(LimitKind::RequestsPerSecond, 1);
        assert!(rate.take(10 * SECOND).is_ok());
        assert!(rate.take(SECOND).is_err());
        assert!(rate.take(11 * SECOND).is_ok());
    }

    #[test]
    fn only_a_changed_count_starts_afresh() {
        let mut slot = None;
        RequestRate::bind(&mut slot, LimitKind::RequestsPerMinute, Some(1));
        let take = |slot: &Option<RequestRate>| slot.as_ref().is_none_or(|rate| rate.take(0).is_ok());
        assert!(take(&slot));
        RequestRate::bind(&mut slot, LimitKind::RequestsPerMinute, Some(1));
        assert!(!take(&slot), "unchanged: still used up");
        RequestRate::bind(&mut slot, LimitKind::RequestsPerMinute, Some(2));
        assert!(take(&slot));
        RequestRate::bind(&mut slot, LimitKind::RequestsPerMinute, None);
        assert!(slot.is_none());
    }
}
