//! How long a receiver that takes nothing is left alone.

use std::time::{Duration, Instant};

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A message is tried so often.
const TRIES: u32 = 5;
/// A receiver that fails is told of this often.
const TELL_EVERY: Duration = Duration::from_secs(300);

/// The pace of messages to one receiver.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Failures since a message was taken.
    failures: u32,
    /// Tries of the message in hand.
    tries: u32,
    not_before: Option<Instant>,
    told_at: Option<Instant>,
}

impl Pace {
    pub(super) fn may_send(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    pub(super) fn went_well(&mut self) {
        if self.told_at.take().is_some() {
            tracing::info!("the OTLP receiver takes records again");
        }
        *self = Self::default();
    }

    /// The receiver is left alone for as long as it says, or for twice as long as the last time. False when
    /// the message in hand was tried often enough.
    pub(super) fn went_wrong(&mut self, wait: Option<Duration>, now: Instant) -> bool {
        let (first, longest) = PAUSES;
        let doubled = first.saturating_mul(1 << self.failures.min(8));
        self.not_before = Some(now + wait.unwrap_or(doubled).clamp(first, longest));
        self.failures += 1;
        self.tries += 1;
        let goes_on = self.tries < TRIES;
        if !goes_on {
            self.tries = 0;
        }
        goes_on
    }

    /// The message in hand is of no use to the receiver, and the next one hardly is: it comes later.
    pub(super) fn was_refused(&mut self, now: Instant) {
        self.went_wrong(None, now);
        self.tries = 0;
    }

    /// Says what is wrong, once in a while.
    pub(super) fn tells(&mut self, signal: &str, why: &str) {
        let now = Instant::now();
        if self.told_at.is_none_or(|at| now.duration_since(at) >= TELL_EVERY) {
            tracing::warn!(signal, why, "the OTLP receiver does not take records");
            self.told_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_fails_is_asked_less_and_less_and_a_message_is_given_up_at_last() {
        let (mut pace, mut now, mut pauses, mut kept) = (Pace::default(), Instant::now(), vec![], vec![]);
        for _ in 0..7 {
            assert!(pace.may_send(now));
            kept.push(pace.went_wrong(None, now));
            let pause = (0..60).find(|seconds| pace.may_send(now + Duration::from_secs(*seconds)));
            pauses.push(pause.expect("within a minute"));
            now += Duration::from_secs(60);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(kept, [true, true, true, true, false, true, true]);
        pace.went_well();
        assert!(pace.may_send(now) && pace.went_wrong(None, now));
        assert!(pace.may_send(now + Duration::from_secs(1)));
    }

    #[test]
    fn a_receiver_that_refuses_is_left_alone_too_and_the_next_message_has_all_its_tries() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for pause in [1, 2, 4] {
            pace.was_refused(now);
            assert!(!pace.may_send(now + Duration::from_millis(pause * 1_000 - 1)));
            now += Duration::from_secs(pause);
            assert!(pace.may_send(now));
        }
        assert_eq!([(); 5].map(|()| pace.went_wrong(None, now)), [true, true, true, true, false]);
    }

    #[test]
    fn a_receiver_says_how_long_to_wait_within_bounds() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.went_wrong(Some(Duration::from_secs(7)), now);
        assert!(!pace.may_send(now + Duration::from_secs(6)) && pace.may_send(now + Duration::from_secs(7)));
        pace.went_wrong(Some(Duration::from_secs(86_400)), now);
        assert!(pace.may_send(now + Duration::from_secs(30)), "nobody is asked for a day");
    }
}
