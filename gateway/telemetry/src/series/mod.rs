//! Series with their labels, by who records to them.
//!
//! A series is resolved once, when its labels become known (a configuration is compiled, a core
//! starts), and kept: resolving looks up names under a lock, recording touches atomics only. All
//! series of equal labels add to the same numbers, from whichever core.

mod budget;
mod counters;
mod gateway;
mod ledger;
mod objective;
mod overload;
mod request;
mod upstream;

pub use budget::{BudgetSeries, alert_made, alert_tried};
pub use gateway::{
    ConfigSeries, MachineSeries, QuotaSeries, RegionSeries, RegionState, ReloadResult, UnpricedSeries,
    build_info, certificate_expires,
};
pub use ledger::{
    JournalDiskSeries, JournalSeries, JournalState, LoaderSeries, ReservationSeries, recovered_requests,
};
pub use objective::BurnRateSeries;
pub use overload::{HeldSeries, ShedSeries};
pub use request::{OverheadSeries, RequestFacts, RequestLabels, RequestSeries};
pub use upstream::{
    BreakerSeries, BreakerState, CredentialSeries, HedgeSeries, RetrySeries, UpstreamSeries, breaker_changed,
    failed_over, probed, residency_violated, served_model_changed,
};

use metrics::Label;
use tollgate_domain::Money;

/// Labels of one series, in the order given.
fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Vec<Label> {
    pairs.into_iter().map(|(name, value)| Label::new(name, value.to_owned())).collect()
}

/// Money for a graph. The exposition format knows floats only; nothing is decided by this number.
fn approximate(cost: Money) -> f64 {
    cost.pico() as f64 / 1e12
}
