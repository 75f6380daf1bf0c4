//! Retries must not multiply an outage: charged ones draw from a bucket that first attempts fill.

use std::time::Instant;

use parking_lot::Mutex;

/// Thousandths of a retry; integers, so that the bucket's sum is exact.
const RETRY: u64 = 1_000;
const CAPACITY: u64 = 100 * RETRY;
/// What each first attempt adds: a tenth of a retry.
const EARNED: u64 = RETRY / 10;

/// The retry budget of one alias: a hundred retries at most, half full at the start, fed by a tenth
/// of a retry per request and a trickle of one per second, so that a quiet alias is not stuck.
pub struct RetryBudget(Mutex<Bucket>);

struct Bucket {
    level: u64,
    fed: Instant,
}

impl Bucket {
    fn trickle(&mut self, now: Instant) {
        let trickle = u64::try_from(now.saturating_duration_since(self.fed).as_millis()).unwrap_or(CAPACITY);
        self.level = self.level.saturating_add(trickle).min(CAPACITY);
        self.fed = now;
    }
}

impl RetryBudget {
    /// A bucket that is half full.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self(Mutex::new(Bucket { level: CAPACITY / 2, fed: now }))
    }

    /// A request makes its first attempt.
    pub fn earn(&self) {
        let mut bucket = self.0.lock();
        bucket.level = (bucket.level + EARNED).min(CAPACITY);
    }

    /// True while not more than half of it is used up.
    pub(super) fn is_half_full(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock();
        bucket.trickle(now);
        bucket.level >= CAPACITY / 2
    }

    /// Takes one retry, if there is one.
    pub fn take(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock();
        bucket.trickle(now);
        let enough = bucket.level >= RETRY;
        if enough {
            bucket.level -= RETRY;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_cannot_multiply_calls() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        let granted = (0..1_000)
            .filter(|_| {
                budget.earn();
                budget.take(now)
            })
            .count();
        assert!((150..=156).contains(&granted), "half a bucket and a tenth of the requests, not {granted}");
    }

    #[test]
    fn a_trickle_keeps_a_quiet_alias_alive() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        while budget.take(now) {}
        assert!(budget.take(now + Duration::from_secs(1)));
        assert!(!budget.take(now + Duration::from_secs(1)));
    }
}
