//! Every draw of a simulation: SplitMix64, which is a few lines and the same in every version of anything.

use std::{cell::Cell, time::Duration};

pub(super) struct Chance(Cell<u64>);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(Cell::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15))
    }

    pub(super) fn bits(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `least` up to and without `most`.
    pub(super) fn between(&self, least: u64, most: u64) -> u64 {
        least + self.bits() % (most - least).max(1)
    }

    /// True in so many of a hundred draws.
    pub(super) fn percent(&self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }

    pub(super) fn pick<T: Copy>(&self, all: &[T]) -> T {
        all[self.between(0, all.len() as u64) as usize]
    }

    /// So many milliseconds, in microseconds.
    pub(super) fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_micros(self.between(least * 1_000, most * 1_000))
    }
}
