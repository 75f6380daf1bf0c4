//! A target that keeps coming and going has to show its health for longer each time.

use std::time::{Duration, Instant};

/// How long a departure is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Health that is asked for after a second departure, and after a third one.
const AGAIN: Duration = Duration::from_secs(60);
const FLAPPING: Duration = Duration::from_secs(600);

/// The last departures of a target that had been in use.
#[derive(Debug, Default)]
pub(super) struct Departures([Option<Instant>; 3]);

impl Departures {
    /// One more; the oldest is forgotten.
    pub(super) fn add(&mut self, now: Instant) {
        self.0.rotate_right(1);
        self.0[0] = Some(now);
    }

    /// How long the target has to be healthy before it is given its traffic back.
    pub(super) fn probation(&self, now: Instant) -> Duration {
        let recent = self.0.iter().flatten().filter(|at| now.saturating_duration_since(**at) <= REMEMBERED);
        match recent.count() {
            0 | 1 => Duration::ZERO,
            2 => AGAIN,
            _ => FLAPPING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_departure_within_ten_minutes_asks_for_more_health() {
        let start = Instant::now();
        let mut departures = Departures::default();
        for (minute, asked) in [(0, Duration::ZERO), (1, AGAIN), (2, FLAPPING), (3, FLAPPING)] {
            let now = start + Duration::from_secs(60 * minute);
            departures.add(now);
            assert_eq!(departures.probation(now), asked, "minute {minute}");
        }
        assert_eq!(departures.probation(start + Duration::from_secs(60 * 14)), Duration::ZERO);
    }
}
