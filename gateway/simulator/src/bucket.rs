//! Capacity that is paid by the hour: a leaky bucket of tokens, as providers meter it.
//!
//! Each admitted call pours in its tokens; the bucket drains at the capacity's rate. A call that
//! finds it full is refused and told when it will not be, to the millisecond.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one token weighs, so that a microsecond drains a whole number: `tokens_per_minute`.
const TOKEN: u128 = 60_000_000;

/// How much a provisioned deployment serves.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provisioned {
    /// Input and output tokens that drain in a minute.
    pub tokens_per_minute: u64,
    /// Tokens that the bucket holds; a call that finds less in it is admitted whole.
    pub depth: u64,
}

/// A bucket, empty at first. Time is an argument.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    level: u128,
    seen: Duration,
}

impl Bucket {
    /// Pours the tokens of a call in, or tells how long the bucket stays full.
    pub(crate) fn pour(&mut self, capacity: Provisioned, tokens: u64, now: Duration) -> Result<(), Duration> {
        let rate = u128::from(capacity.tokens_per_minute.max(1));
        let drained = now.saturating_sub(self.seen).as_micros() * rate;
        self.level = self.level.saturating_sub(drained);
        self.seen = self.seen.max(now);
        let full = u128::from(capacity.depth.max(1)) * TOKEN;
        if self.level < full {
            self.level += u128::from(tokens) * TOKEN;
            return Ok(());
        }
        // One more, so that the level is below the brim and not at it.
        let micros = (self.level - full) / rate + 1;
        let wait = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        Err(Duration::from_millis(u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPACITY: Provisioned = Provisioned { tokens_per_minute: 60_000, depth: 500 };

    #[test]
    fn a_full_bucket_says_when_it_is_not() {
        let (mut bucket, now) = (Bucket::default(), Duration::from_secs(9));
        assert_eq!(bucket.pour(CAPACITY, 499, now), Ok(()));
        assert_eq!(bucket.pour(CAPACITY, 300, now), Ok(()), "admitted whole");
        let wait = bucket.pour(CAPACITY, 1, now).expect_err("it is full");
        assert_eq!(wait, Duration::from_millis(300), "299 tokens too many at a token a millisecond");
        assert!(bucket.pour(CAPACITY, 1, now + wait - Duration::from_millis(2)).is_err());
        assert_eq!(bucket.pour(CAPACITY, 1, now + wait), Ok(()));
    }

    proptest! {
        #[test]
        fn no_more_is_admitted_than_depth_rate_and_one_call(
            calls in prop::collection::vec((0..50u64, 1..200u64), 1..300),
        ) {
            let (mut bucket, mut now, mut admitted) = (Bucket::default(), Duration::ZERO, 0);
            for (pause, tokens) in calls {
                now += Duration::from_millis(pause);
                if bucket.pour(CAPACITY, tokens, now).is_ok() {
                    admitted += tokens;
                }
            }
            let drained = u64::try_from(now.as_millis()).expect("a short test");
            prop_assert!(admitted <= CAPACITY.depth + drained + 200, "{admitted} in {now:?}");
        }
    }
}
