//! Tokens per minute: GCRA over whole nanoseconds, with amounts that are corrected afterwards.
//!
//! Each token takes its share of a minute; the *theoretical arrival time* (TAT) is when the bucket
//! will be empty again. A request fits when that is at most a minute away. What a request was
//! charged at first is its worst case; at the end the TAT moves to what it really took.

use std::time::Duration;

use super::{
    admit::Ask,
    limits::LimitKind,
    refused::{Refusal, RefusedDetail},
    reservation::LimitLeft,
};

const MINUTE: i64 = 60_000_000_000;

/// One token rate of one scope. Times are nanoseconds since the scope's origin.
#[derive(Debug)]
pub(super) struct TokenRate {
    kind: LimitKind,
    limit: u64,
    /// When the bucket will be empty again. It may lie in the past; whoever reads it takes the
    /// later of it and now.
    tat: i64,
    /// The binding of rules that brought the limit: requests admitted before it were not charged here.
    since: u64,
}

impl TokenRate {
    /// Puts a configured limit in force. A bucket keeps its tokens when its size changes.
    pub(super) fn bind(rate: &mut Option<Self>, kind: LimitKind, limit: Option<u64>, now: i64, since: u64) {
        match (rate.as_mut(), limit) {
            (_, None) => *rate = None,
            (None, Some(limit)) => *rate = Some(Self { kind, limit, tat: 0, since }),
            (Some(rate), Some(limit)) if rate.limit != limit => {
                let used = rate.limit.saturating_sub(rate.free(now));
                rate.limit = limit;
                rate.tat = now.saturating_add(rate.time_of(used));
            }
            _ => {}
        }
    }

    pub(super) fn check(&self, tokens: u64, ask: &Ask, now: i64) -> Result<(), Refusal> {
        let wait = self.after(tokens, now).saturating_sub(now).saturating_sub(MINUTE);
        if tokens == 0 || (self.limit > 0 && wait <= 0) {
            return Ok(());
        }
        let never_fits = self.limit > 0 && tokens > self.limit;
        let retry = self.limit > 0 && !never_fits;
        Err(Refusal {
            limit: self.kind,
            retry_after: retry.then(|| Duration::from_nanos(wait.unsigned_abs())),
            never_fits,
            detail: Box::new(RefusedDetail::TokenRate {
                limit: self.limit,
                free: self.free(now),
                asked: tokens,
                ask: *ask,
            }),
        })
    }

    pub(super) fn take(&mut self, tokens: u64, now: i64) {
        self.tat = self.after(tokens, now);
    }

    /// Corrects what a request was charged to what it took. What it took beyond is owed from now on.
    pub(super) fn settle(&mut self, reserved: u64, actual: u64, binding: u64, now: i64) {
        if binding < self.since {
            return;
        }
        match actual.checked_sub(reserved) {
            Some(0) => {}
            Some(more) => self.tat = self.after(more, now),
            None => self.tat = self.tat.saturating_sub(self.time_of(reserved - actual)),
        }
    }

    pub(super) const fn kind(&self) -> LimitKind {
        self.kind
    }

    pub(super) fn left(&self, now: i64) -> LimitLeft {
        let backlog = self.tat.saturating_sub(now).max(0);
        LimitLeft {
            limit: self.limit,
            remaining: self.free(now),
            reset_after: Duration::from_nanos(backlog.unsigned_abs()),
        }
    }

    /// The TAT once so many more tokens are taken.
    fn after(&self, tokens: u64, now: i64) -> i64 {
        self.tat.max(now).saturating_add(self.time_of(tokens))
    }

    /// Tokens that could be taken at once.
    fn free(&self, now: i64) -> u64 {
        let room = MINUTE.saturating_sub(self.tat.saturating_sub(now).max(0)).max(0);
        let tokens =
            u128::from(room.unsigned_abs()) * u128::from(self.limit) / u128::from(MINUTE.unsigned_abs());
        u64::try_from(tokens).expect("at most the limit")
    }

    /// How long the rate takes for so many tokens.
    fn time_of(&self, tokens: u64) -> i64 {
        let nanos = u128::from(tokens) * u128::from(MINUTE.unsigned_abs()) / u128::from(self.limit.max(1));
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const ASK: Ask = Ask { input_tokens: 0, output_tokens: 0, cost: None };

    fn rate(limit: u64) -> TokenRate {
        TokenRate { kind: LimitKind::TokensPerMinute, limit, tat: 0, since: 0 }
    }

    fn take(rate: &mut TokenRate, tokens: u64, now: i64) -> Result<(), Refusal> {
        rate.check(tokens, &ASK, now)?;
        rate.take(tokens, now);
        Ok(())
    }

    #[test]
    fn a_full_bucket_refills_by_the_clock() {
        let mut rate = rate(600);
        assert!(take(&mut rate, 600, SECOND).is_ok());
        let refusal = take(&mut rate, 50, SECOND).expect_err("empty");
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(5)));
        assert!(take(&mut rate, 50, 6 * SECOND).is_ok());
        assert_eq!(rate.left(6 * SECOND).remaining, 0);
        assert_eq!(rate.left(16 * SECOND).remaining, 100);
    }

    #[test]
    fn what_is_larger_than_the_bucket_never_fits() {
        let mut small = rate(600);
        let refusal = take(&mut small, 601, 0).expect_err("too large");
        assert_eq!((refusal.never_fits, refusal.retry_after), (true, None));
        let closed = take(&mut rate(0), 1, 0).expect_err("closed");
        assert_eq!(
            (closed.never_fits, closed.retry_after),
            (false, None),
            "the limit is at fault, not the request"
        );
    }

    #[test]
    fn a_worst_case_that_did_not_happen_is_given_back() {
        let mut rate = rate(600);
        rate.take(600, 0);
        rate.settle(600, 100, 0, SECOND);
        assert_eq!(rate.left(0).remaining, 500);
    }

    #[test]
    fn what_came_on_top_is_owed_from_the_end_of_the_request() {
        let mut rate = rate(600);
        rate.take(10, 0);
        let much_later = 600 * SECOND;
        rate.settle(10, 900, 0, much_later);
        assert_eq!(rate.left(much_later).remaining, 0);
        assert!(take(&mut rate, 1, much_later + 29 * SECOND).is_err());
        assert!(take(&mut rate, 1, much_later + 30 * SECOND).is_ok());
    }

    #[test]
    fn a_bucket_keeps_its_tokens_when_its_size_changes() {
        let mut slot = Some(rate(600));
        slot.as_mut().expect("there").take(450, 0);
        TokenRate::bind(&mut slot, LimitKind::TokensPerMinute, Some(1_200), 0, 1);
        assert_eq!(slot.as_ref().expect("there").left(0).remaining, 750);
        TokenRate::bind(&mut slot, LimitKind::TokensPerMinute, None, 0, 2);
        TokenRate::bind(&mut slot, LimitKind::TokensPerMinute, Some(600), 0, 3);
        let mut rate = slot.expect("there");
        rate.settle(450, 0, 0, 0);
        assert_eq!(rate.left(0).remaining, 600, "a request from before the limit changes nothing");
    }

    proptest! {
        /// A model that knows nothing of GCRA: a bucket that loses `limit` tokens a minute.
        #[test]
        fn no_more_passes_than_a_leaking_bucket_holds(
            limit in 1_u64..5_000,
            steps in proptest::collection::vec((0_i64..20 * SECOND, 0_u64..2_000, 0_u64..2_000), 1..60),
        ) {
            let mut rate = rate(limit);
            let (mut now, mut level) = (0_i64, 0_i128);
            let scale = i128::from(MINUTE);
            for (pause, asked, actual) in steps {
                now += pause;
                level = (level - i128::from(pause) * i128::from(limit)).max(0);
                let fits = level + i128::from(asked) * scale <= i128::from(limit) * scale;
                let passed = take(&mut rate, asked, now).is_ok();
                // The rate may round in favour of the request by under one nanosecond a step.
                let near = (level + i128::from(asked) * scale - i128::from(limit) * scale).abs() < 200 * i128::from(limit);
                prop_assert!(passed == fits || asked == 0 || near, "level {level}, asked {asked}");
                if passed {
                    rate.settle(asked, actual, 0, now);
                    level = (level + i128::from(actual) * scale).max(0);
                }
            }
        }
    }
}
