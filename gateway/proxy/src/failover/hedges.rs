//! How often, and after how long, an alias sends a second copy of a stream that nobody begins to answer.
//! (Dean and Barroso, "The Tail at Scale", 2013: a copy after the 95th percentile costs little and cuts
//! the tail.)

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Thousandths of a copy; integers, so that the bucket's sum is exact.
const COPY: u64 = 1_000;
const CAPACITY: u64 = 10 * COPY;
/// What each request adds: a fiftieth of a copy.
const EARNED: u64 = COPY / 50;
/// How many of the newest answers are remembered, and for how long.
const MOST: usize = 256;
const RECENT: Duration = Duration::from_secs(300);

/// The copies that an alias may send, and how long its answers took to begin.
pub(crate) struct Hedges(Mutex<State>);

struct State {
    level: u64,
    /// When an answer began, and how long after its attempt did; oldest first.
    answers: VecDeque<(Instant, Duration)>,
}

impl Default for Hedges {
    /// Half full, so that a new alias does not wait for its first copies.
    fn default() -> Self {
        Self(Mutex::new(State { level: CAPACITY / 2, answers: VecDeque::new() }))
    }
}

impl Hedges {
    /// A request makes its first attempt.
    pub(super) fn earn(&self) {
        let mut state = self.0.lock();
        state.level = (state.level + EARNED).min(CAPACITY);
    }

    /// Takes one copy, if there is one.
    pub(super) fn take(&self) -> bool {
        let mut state = self.0.lock();
        let enough = state.level >= COPY;
        if enough {
            state.level -= COPY;
        }
        enough
    }

    /// An answer has begun so long after its attempt.
    pub(super) fn answered(&self, took: Duration, now: Instant) {
        let mut state = self.0.lock();
        if state.answers.len() == MOST {
            state.answers.pop_front();
        }
        state.answers.push_back((now, took));
    }

    /// After how long a copy is sent: when 95 in a hundred of the newest answers had begun, and not
    /// before `least`.
    pub(super) fn delay(&self, least: Duration, now: Instant) -> Duration {
        let state = self.0.lock();
        let is_recent = |(at, _): &&(Instant, Duration)| now.saturating_duration_since(*at) < RECENT;
        let mut took: Vec<_> = state.answers.iter().filter(is_recent).map(|(_, took)| *took).collect();
        drop(state);
        if took.is_empty() {
            return least;
        }
        let rank = (took.len() * 95).div_ceil(100) - 1;
        let (_, usual, _) = took.select_nth_unstable(rank);
        (*usual).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_a_fiftieth_of_the_requests() {
        let hedges = Hedges::default();
        let sent = (0..1_000)
            .filter(|_| {
                hedges.earn();
                hedges.take()
            })
            .count();
        assert!((24..=25).contains(&sent), "five at the start and a fiftieth, not {sent}");
    }

    #[test]
    fn a_copy_waits_until_nearly_all_would_have_answered() {
        let (hedges, now, ms) = (Hedges::default(), Instant::now(), Duration::from_millis);
        assert_eq!(hedges.delay(ms(1_000), now), ms(1_000), "nothing is known");
        (1..=100).for_each(|took| hedges.answered(ms(took * 40), now));
        assert_eq!(hedges.delay(ms(1_000), now), ms(95 * 40));
        assert_eq!(hedges.delay(ms(9_000), now), ms(9_000), "not before that");
        assert_eq!(hedges.delay(ms(1_000), now + RECENT), ms(1_000), "old ones do not count");
        (0..MOST).for_each(|_| hedges.answered(ms(2_000), now));
        assert_eq!(hedges.delay(ms(1_000), now), ms(2_000), "only the newest do");
    }
}
