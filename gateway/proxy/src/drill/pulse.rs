//! Whether a drill still runs, and when it first hurt: what it shares with the faults that it injects.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::plan::DrillEnd;

/// What a drill and its injections share: whether it still runs, and when it first hurt.
pub(super) struct Pulse {
    pub(super) began: Instant,
    until: Instant,
    ended: OnceLock<(DrillEnd, Instant)>,
    first: OnceLock<Instant>,
    injected: AtomicU64,
}

impl Pulse {
    pub(super) const fn new(began: Instant, until: Instant) -> Self {
        Self { began, until, ended: OnceLock::new(), first: OnceLock::new(), injected: AtomicU64::new(0) }
    }

    /// Ends it, unless it has ended before.
    pub(super) fn end(&self, why: DrillEnd, now: Instant) {
        let _ = self.ended.set((why, now));
    }

    /// Why and when it ended.
    pub(super) fn ended(&self) -> Option<(DrillEnd, Instant)> {
        self.ended.get().copied()
    }

    /// True once it has ended; its time may do that now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        if now >= self.until {
            self.end(DrillEnd::Time, self.until);
        }
        self.ended.get().is_some()
    }

    /// A fault is met now.
    pub(super) fn hit(&self, now: Instant) {
        let _ = self.first.set(now);
        self.injected.fetch_add(1, Ordering::Relaxed);
    }

    /// When the first fault was met.
    pub(super) fn first(&self) -> Option<Instant> {
        self.first.get().copied()
    }

    /// How many faults were met.
    pub(super) fn injected(&self) -> u64 {
        self.injected.load(Ordering::Relaxed)
    }
}
