//! How near this process is to the memory that it may have.

use std::sync::atomic::{AtomicU8, Ordering};

/// A body up to this size, in bytes, is taken below the hard mark, and drained rather than hung up on.
pub(crate) const SMALL_BODY: u64 = 64 << 10;

/// A mark that memory has reached.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Mark {
    /// There is enough.
    #[default]
    Low = 0,
    /// Four fifths are in use: no new request with a body over 64 KiB.
    Soft = 1,
    /// Nine tenths are in use: no new request.
    Hard = 2,
}

impl Mark {
    /// The mark that so many bytes in use have reached, of so many that there may be.
    #[must_use]
    pub const fn of(used: u64, limit: u64) -> Self {
        // Tenths are taken of the limit, so that no product overflows.
        let tenth = limit / 10;
        if used >= limit - tenth {
            Self::Hard
        } else if used >= limit - 2 * tenth {
            Self::Soft
        } else {
            Self::Low
        }
    }
}

/// The mark of this process. Whoever can see memory tells it; requests only read it.
#[derive(Debug, Default)]
pub struct Memory(AtomicU8);

impl Memory {
    /// Tells how many bytes are in use, of how many there may be; from now on requests are admitted by
    /// the mark that this has reached.
    pub fn observe(&self, used: u64, limit: u64) -> Mark {
        let mark = Mark::of(used, limit);
        self.0.store(mark as u8, Ordering::Relaxed);
        mark
    }

    /// The mark that was reached last.
    #[must_use]
    pub fn mark(&self) -> Mark {
        match self.0.load(Ordering::Relaxed) {
            0 => Mark::Low,
            1 => Mark::Soft,
            _ => Mark::Hard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_at_four_fifths_and_nine_tenths() {
        let cases = [
            (0, 1_000, Mark::Low),
            (799, 1_000, Mark::Low),
            (800, 1_000, Mark::Soft),
            (899, 1_000, Mark::Soft),
            (900, 1_000, Mark::Hard),
            (5_000, 1_000, Mark::Hard),
            (u64::MAX, u64::MAX, Mark::Hard),
        ];
        for (used, limit, want) in cases {
            assert_eq!(Mark::of(used, limit), want, "{used} of {limit}");
            let memory = Memory::default();
            assert_eq!((memory.observe(used, limit), memory.mark()), (want, want));
        }
    }
}
