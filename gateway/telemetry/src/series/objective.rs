//! How much of what is promised is kept.

use metrics::Gauge;

use super::labels;
use crate::catalogue::SLO_BURN_RATE;

/// The pace of one objective in one view and window.
pub struct BurnRateSeries(Gauge);

impl BurnRateSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new(objective: &str, view: &'static str, window: &'static str) -> Self {
        let of = labels([("objective", objective), ("view", view), ("window", window)]);
        Self(SLO_BURN_RATE.gauge(of))
    }

    /// Tells the pace in thousandths. For a graph: nothing is decided by this number.
    pub fn set(&self, permille: u64) {
        self.0.set(permille as f64 / 1e3);
    }
}
