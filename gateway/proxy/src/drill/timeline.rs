//! When it was good again: outcomes by the hundredth of a second in which they were known.
//!
//! A drill *has recovered* at the beginning of the first stretch after its first injected fault in which
//! at least 99 in 100 outcomes are good, that begins with a good one, and that is a second and twenty
//! outcomes long. A stretch that the drill's end cuts short shows nothing.

use std::time::Duration;

/// The length of a slot.
const SLOT: Duration = Duration::from_millis(10);
/// More slots than the longest drill has.
const MOST: usize = 400_000;
/// A stretch lasts so long at least.
const WINDOW: Duration = Duration::from_secs(1);
/// And has so many outcomes.
const ENOUGH: u64 = 20;
/// Of a hundred so many are good.
const GOOD_PERCENT: u64 = 99;

/// Outcomes of a drill, by when they were known.
#[derive(Default)]
pub(super) struct Timeline(Vec<Slot>);

#[derive(Clone, Copy, Default)]
struct Slot {
    all: u32,
    good: u32,
}

impl Timeline {
    /// An outcome known so long after the begin.
    pub(super) fn record(&mut self, at: Duration, is_good: bool) {
        let place = place_of(at);
        if place >= MOST {
            return;
        }
        if place >= self.0.len() {
            self.0.resize(place + 1, Slot::default());
        }
        if let Some(slot) = self.0.get_mut(place) {
            slot.all += 1;
            slot.good += u32::from(is_good);
        }
    }

    /// How long after `first`, itself counted from the begin, it was good again.
    pub(super) fn recovered(&self, first: Duration) -> Option<Duration> {
        let slots = self.0.get(place_of(first)..)?;
        let least = place_of(WINDOW);
        // The stretch [from, to), with what it holds.
        let (mut to, mut all, mut good) = (0, 0u64, 0u64);
        for (from, slot) in slots.iter().enumerate() {
            while (to < from + least || all < ENOUGH)
                && let Some(next) = slots.get(to)
            {
                all += u64::from(next.all);
                good += u64::from(next.good);
                to += 1;
            }
            if to < from + least || all < ENOUGH {
                return None;
            }
            if slot.good > 0 && good * 100 >= all * GOOD_PERCENT {
                return Some(SLOT * u32::try_from(from).unwrap_or(u32::MAX));
            }
            all -= u64::from(slot.all);
            good -= u64::from(slot.good);
        }
        None
    }
}

fn place_of(at: Duration) -> usize {
    usize::try_from(at.as_millis() / SLOT.as_millis()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(outcomes: impl IntoIterator<Item = (u64, bool)>) -> Timeline {
        let mut timeline = Timeline::default();
        for (millis, good) in outcomes {
            timeline.record(Duration::from_millis(millis), good);
        }
        timeline
    }

    fn recovered(first: u64, outcomes: impl IntoIterator<Item = (u64, bool)>) -> Option<u128> {
        timeline(outcomes).recovered(Duration::from_millis(first)).map(|after| after.as_millis())
    }

    #[test]
    fn it_is_the_time_to_the_first_good_answer_of_a_good_second() {
        let outcomes = || (0..400).map(|n| (n * 10, !(50..80).contains(&n)));
        assert_eq!(recovered(500, outcomes()), Some(300), "bad from 500 to 800");
        assert_eq!(
            recovered(500, outcomes().filter(|(at, _)| *at < 1_700)),
            None,
            "less than a second of it"
        );
    }

    #[test]
    fn one_failure_in_a_hundred_is_still_good_and_two_are_not() {
        let with = |bad: &'static [u64]| (0..200u64).map(|n| (n * 10, !bad.contains(&n)));
        assert_eq!(recovered(0, with(&[0, 40])), Some(10));
        assert_eq!(recovered(0, with(&[0, 40, 60])), Some(410));
    }

    #[test]
    fn few_calls_need_a_longer_stretch() {
        let slow = |calls| (0..calls).map(|n| (n * 500, n > 1));
        assert_eq!(recovered(0, slow(22)), Some(1_000));
        assert_eq!(recovered(0, slow(21)), None, "nineteen good ones are too few");
        assert_eq!(recovered(0, []), None);
    }
}
