//! How slow a target has been of late, with an ear for the worst.

use std::time::{Duration, Instant};

/// How fast the past fades.
const DECAY: Duration = Duration::from_secs(10);
/// What a target is thought to take before it was ever used.
const INITIAL: Duration = Duration::from_secs(1);
/// What a failure counts as, so that fast refusals do not attract traffic.
const PENALTY: Duration = Duration::from_secs(5);

/// A mean of the time to the first content event that jumps up at once and comes down slowly.
#[derive(Debug, Default)]
pub struct LoadEstimate {
    last: Option<(Instant, f64)>,
}

impl LoadEstimate {
    /// Takes in a measured time.
    pub fn measured(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let mean = match self.last {
            Some((at, mean)) if took < mean => took + (mean - took) * faded(at, now),
            _ => took,
        };
        self.last = Some((now, mean));
    }

    /// Takes in a failure or throttle: at least five seconds, or as long as it said to wait.
    pub fn failed(&mut self, took: Duration, hint: Option<Duration>, now: Instant) {
        self.measured(took.max(PENALTY).max(hint.unwrap_or_default()), now);
    }

    /// The mean as it was last measured.
    #[must_use]
    pub fn value(&self) -> Duration {
        self.last.map_or(INITIAL, |(_, mean)| Duration::from_secs_f64(mean))
    }

    /// What a choice goes by; `None` while nothing was measured. It fades while nothing is: a target that
    /// was passed by for its slowness is looked at again after a while.
    #[must_use]
    pub fn faded(&self, now: Instant) -> Option<Duration> {
        self.last.map(|(at, mean)| Duration::from_secs_f64(mean * faded(at, now)))
    }

    /// When something was measured last.
    #[must_use]
    pub fn heard(&self) -> Option<Instant> {
        self.last.map(|(at, _)| at)
    }

    /// True while nothing was measured.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.last.is_none()
    }
}

fn faded(at: Instant, now: Instant) -> f64 {
    (-now.saturating_duration_since(at).as_secs_f64() / DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let now = Instant::now();
        let mut load = LoadEstimate::default();
        load.measured(Duration::from_millis(100), now);
        load.measured(Duration::from_secs(4), now);
        assert_eq!(load.value(), Duration::from_secs(4));
        load.measured(Duration::from_millis(100), now + DECAY * 10);
        assert!(load.value() < Duration::from_millis(110));
    }

    #[test]
    fn what_is_not_measured_is_forgotten_slowly() {
        let now = Instant::now();
        let mut load = LoadEstimate::default();
        assert_eq!(load.faded(now), None);
        load.measured(Duration::from_secs(2), now);
        assert_eq!(load.faded(now), Some(Duration::from_secs(2)));
        let later = load.faded(now + DECAY * 3).expect("it was measured");
        assert!(later > Duration::from_millis(90) && later < Duration::from_millis(110), "{later:?}");
        assert_eq!(load.value(), Duration::from_secs(2));
    }

    #[test]
    fn a_fast_failure_looks_slow() {
        let now = Instant::now();
        let mut load = LoadEstimate::default();
        load.failed(Duration::from_millis(1), Some(Duration::from_secs(9)), now);
        assert_eq!(load.value(), Duration::from_secs(9));
    }
}
