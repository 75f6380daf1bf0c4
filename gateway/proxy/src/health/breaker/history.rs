//! Successes and failures of the last ten seconds, by second.

use std::time::Instant;

use super::Sample;

/// Samples below which a rate says nothing.
pub(super) const ENOUGH: u32 = 20;
/// Successes per hundred samples below which a target is thought to fail.
const LEAST_PERCENT: u32 = 80;
/// Seconds of history that the rate looks at.
const WINDOW: usize = 10;

#[derive(Debug, Default)]
pub(super) struct History {
    start: Option<Instant>,
    slots: [Slot; WINDOW],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    good: u32,
    bad: u32,
}

impl History {
    fn second(&self, now: Instant) -> u64 {
        self.start.map_or(0, |start| now.saturating_duration_since(start).as_secs())
    }

    pub(super) fn add(&mut self, sample: Sample, now: Instant) {
        self.start.get_or_insert(now);
        let second = self.second(now);
        let slot = &mut self.slots[(second % WINDOW as u64) as usize];
        if slot.second != second {
            *slot = Slot { second, ..Slot::default() };
        }
        match sample {
            Sample::Began | Sample::Success => slot.good += 1,
            Sample::Ended => {}
            Sample::Fault | Sample::Overloaded => slot.bad += 1,
        }
    }

    /// Successes and failures in the window.
    pub(super) fn counts(&self, now: Instant) -> (u32, u32) {
        let second = self.second(now);
        let recent = self.slots.iter().filter(|slot| slot.second + WINDOW as u64 > second);
        recent.fold((0, 0), |(good, bad), slot| (good + slot.good, bad + slot.bad))
    }

    pub(super) fn rate_is_low(&self, now: Instant) -> bool {
        let (good, bad) = self.counts(now);
        good + bad >= ENOUGH && good * 100 < (good + bad) * LEAST_PERCENT
    }
}
