//! What a request hears for which nothing is left, and the one a second that is sent all the same.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Choice, Standing};
use crate::health::Way;

/// A forced trial comes no sooner than this after the last failure in its group.
const SPACE: Duration = Duration::from_secs(1);

/// When the targets of an alias were last heard to fail.
#[derive(Default)]
pub(crate) struct LastResort(Mutex<Option<Instant>>);

impl LastResort {
    /// An attempt has failed now: for a while another one would tell nothing new.
    pub(crate) fn failed(&self, now: Instant) {
        *self.0.lock() = Some(now);
    }

    fn take(&self, now: Instant) -> bool {
        let mut last = self.0.lock();
        let is_free = last.is_none_or(|last| now.saturating_duration_since(last) >= SPACE);
        if is_free {
            *last = Some(now);
        }
        is_free
    }
}

/// When those who could serve the request do so again.
#[derive(Default)]
pub(super) struct Waits {
    hold: Option<Duration>,
    tripped: bool,
    trip: Option<Duration>,
    /// The first to return of those that could be asked, with its place.
    first: Option<(Duration, usize)>,
    /// One that may be used where nothing else is.
    reserve: Option<usize>,
    /// The first that is at the concurrency that it is configured for.
    pub(super) full: Option<usize>,
}

impl Waits {
    pub(super) fn take_in(&mut self, place: usize, standing: Standing) {
        match standing {
            Standing::Held(wait) => self.hold = self.hold.into_iter().chain([wait]).min(),
            Standing::Tripped { wait, can_be_asked, .. } => {
                self.tripped = true;
                self.trip = self.trip.into_iter().chain(wait).min();
                let returns = (wait.unwrap_or_default(), place);
                // A half-open one whose trial is under way is being asked already.
                if can_be_asked && wait.is_some() && self.first.is_none_or(|first| returns < first) {
                    self.first = Some(returns);
                }
            }
            Standing::Reserve => self.reserve = self.reserve.or(Some(place)),
            Standing::Open { .. } | Standing::Trial | Standing::Out | Standing::Full => {}
        }
    }

    /// Throttles are obeyed: whoever says when to come back is not asked before.
    pub(super) fn into_choice(self, last_resort: &LastResort, now: Instant) -> Choice {
        if let Some(place) = self.reserve {
            return Choice::Candidate(place, Way::LastResort);
        }
        if let Some(place) = self.full {
            return Choice::Saturated(place);
        }
        match (self.hold, self.first) {
            // A throttle is the whole story only when nothing is broken.
            (Some(wait), _) if !self.tripped => Choice::Held(wait),
            (None, Some((_, place))) if last_resort.take(now) => Choice::Candidate(place, Way::LastResort),
            (hold, _) => Choice::Nothing([hold, self.trip].into_iter().flatten().min()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn tripped(seconds: u64) -> Standing {
        Standing::Tripped { wait: Some(Duration::from_secs(seconds)), rejoins: false, can_be_asked: true }
    }

    fn choice(standings: &[Standing], gate: &LastResort, now: Instant) -> Choice {
        let mut waits = Waits::default();
        for (place, standing) in standings.iter().enumerate() {
            waits.take_in(place, *standing);
        }
        waits.into_choice(gate, now)
    }

    #[test]
    fn a_hold_is_a_throttle_only_when_nothing_is_broken() {
        let (gate, now) = (LastResort::default(), Instant::now());
        let (held, wait) = (Standing::Held(Duration::from_secs(3)), Duration::from_secs);
        assert_eq!(choice(&[held], &gate, now), Choice::Held(wait(3)));
        assert_eq!(choice(&[held, tripped(1)], &gate, now), Choice::Nothing(Some(wait(1))));
        assert_eq!(choice(&[Standing::Out], &gate, now), Choice::Nothing(None));
    }

    #[test]
    fn one_request_a_second_tries_the_first_to_return() {
        let (gate, now) = (LastResort::default(), Instant::now());
        let all = [tripped(9), tripped(4), tripped(6)];
        assert_eq!(choice(&all, &gate, now), Choice::Candidate(1, Way::LastResort));
        assert_eq!(choice(&all, &gate, now), Choice::Nothing(Some(Duration::from_secs(4))));
        let later = now + SPACE;
        gate.failed(later);
        assert_eq!(choice(&all, &gate, later), Choice::Nothing(Some(Duration::from_secs(4))));
        assert_eq!(choice(&all, &gate, later + SPACE), Choice::Candidate(1, Way::LastResort));
    }

    #[test]
    fn a_reserve_is_used_where_nothing_else_is() {
        let (gate, now) = (LastResort::default(), Instant::now());
        let all = [tripped(1), Standing::Reserve];
        assert_eq!(choice(&all, &gate, now), Choice::Candidate(1, Way::LastResort));
    }
}
