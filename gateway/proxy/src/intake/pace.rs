//! How long the next piece of a body may be waited for: no silence too long, and not a trickle for ever.

use std::time::Duration;

use tokio::time::Instant;

use crate::snapshot::EdgeLimits;

/// A body that has been waited for as long as [`EdgeLimits::body_grace`] has to have come at least so fast,
/// in bytes a second, on the whole.
const LEAST_RATE: usize = 1 << 10;

/// The pace of one body.
pub(super) struct Pace {
    /// When it was waited for the first time. A body that is there at once has no pace.
    since: Option<Instant>,
    came: usize,
    silence: Duration,
    grace: Duration,
}

impl Pace {
    pub(super) fn new(limits: &EdgeLimits) -> Self {
        Self { since: None, came: 0, silence: limits.body_idle, grace: limits.body_grace }
    }

    pub(super) fn has_come(&mut self, bytes: usize) {
        self.came += bytes;
    }

    /// For how long the next piece is waited for.
    pub(super) fn patience(&mut self, now: Instant) -> Duration {
        let since = *self.since.get_or_insert(now);
        let by_rate = Duration::from_secs((self.came / LEAST_RATE) as u64).max(self.grace);
        (since + by_rate).saturating_duration_since(now).min(self.silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_has_an_end_and_a_steady_body_has_none() {
        let (second, began) = (Duration::from_secs(1), Instant::now());
        let mut trickle = Pace::new(&EdgeLimits::default());
        assert_eq!(trickle.patience(began), second * 10, "the grace is over before the silence is");
        trickle.has_come(9 << 10);
        assert_eq!(trickle.patience(began + second * 9), second, "nine seconds' worth is within the grace");
        assert_eq!(trickle.patience(began + second * 10), Duration::ZERO);

        let mut steady = Pace::new(&EdgeLimits::default());
        steady.patience(began);
        for at in 1..600 {
            steady.has_come(2 << 10);
            let patience = steady.patience(began + second * at);
            assert!(patience > Duration::ZERO, "{at}");
        }
        assert_eq!(steady.patience(began + second * 600), second * 15, "the silence is what bounds it");
    }
}
