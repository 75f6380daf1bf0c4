//! A project as overload sees it: what it has in flight, and how many of its refusals are kept.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use super::law::{Crowd, Priority};

/// Refusal rows kept per project and second in a process; beyond it they are counted only.
const REFUSALS_A_SECOND: u64 = 100;
/// Bits of the count beside the second.
const COUNT_BITS: u32 = 16;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Live counts of a project; outlives configurations.
pub struct ProjectLoad {
    /// Tells it from the others of this process.
    pub(super) number: u32,
    pub(super) in_flight: AtomicU32,
    /// The second of the last refusal, and how many there were in it.
    refusals: AtomicU64,
}

impl ProjectLoad {
    pub(super) fn new(number: u32) -> Self {
        Self { number, in_flight: AtomicU32::new(0), refusals: AtomicU64::new(0) }
    }

    /// Its requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// True while a refusal in this second still gets a row of its own.
    pub(crate) fn keeps_refusal(&self, second: u64) -> bool {
        let next = |word: u64| {
            let count = if word >> COUNT_BITS == second { word & COUNT } else { 0 };
            (count < REFUSALS_A_SECOND).then(|| second << COUNT_BITS | (count + 1))
        };
        self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

impl fmt::Debug for ProjectLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectLoad").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

/// How a key stands when there is not room for everybody.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How urgent its requests are.
    pub priority: Priority,
    /// Whose they are.
    pub project: Arc<ProjectLoad>,
    /// Who else there is.
    pub crowd: Crowd,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_refusals_of_a_second_are_kept() {
        let project = ProjectLoad::new(0);
        let kept = |second| (0..150).filter(|_| project.keeps_refusal(second)).count();
        assert_eq!([kept(1_790_000_000), kept(1_790_000_001), kept(1_790_000_001)], [100, 100, 0]);
    }
}
