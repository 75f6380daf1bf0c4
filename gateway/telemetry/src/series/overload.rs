//! What there was no room for, and what the room is taken by.

use metrics::{Gauge, Label};

use super::counters::Counters;
use crate::catalogue::{BYTES_HELD, MEMORY_MARK, SHED};

/// Requests refused for want of room.
pub struct ShedSeries(Counters<&'static str>);

impl ShedSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self(Counters::new(&SHED, Vec::new()))
    }

    /// A request was refused for this reason.
    pub fn shed(&self, reason: &'static str) {
        self.0.count(reason, || vec![Label::from_static_parts("reason", reason)]);
    }
}

impl Default for ShedSeries {
    fn default() -> Self {
        Self::new()
    }
}

/// What the process holds.
pub struct HeldSeries {
    bytes: Gauge,
    mark: Gauge,
}

impl HeldSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: BYTES_HELD.gauge(Vec::new()), mark: MEMORY_MARK.gauge(Vec::new()) }
    }

    /// Tells the bytes of bodies that are held, and the mark that memory has reached: 0, 1 or 2.
    pub fn set(&self, bytes: u64, mark: u8) {
        self.bytes.set(bytes as f64);
        self.mark.set(f64::from(mark));
    }
}

impl Default for HeldSeries {
    fn default() -> Self {
        Self::new()
    }
}
