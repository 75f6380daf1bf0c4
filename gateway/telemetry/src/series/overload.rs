//! What there was no room for, and what the room is taken by.

use metrics::{Gauge, Label};

use super::{counters::Counters, labels};
use crate::catalogue::{BYTES_HELD, MEMORY_MARK, SHED, WAITING};

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

/// Requests that wait for an upstream.
pub struct WaitingSeries(Gauge);

impl WaitingSeries {
    /// Resolves the series of the upstream of this name.
    #[must_use]
    pub fn new(upstream: &str) -> Self {
        Self(WAITING.gauge(labels([("upstream", upstream)])))
    }

    /// One waits.
    pub fn began(&self) {
        self.0.increment(1.0);
    }

    /// One that [began](Self::began) to wait does not any more.
    pub fn ended(&self) {
        self.0.decrement(1.0);
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
