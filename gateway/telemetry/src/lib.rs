//! Floor 2: what operators see of the gateway, metrics, access log and process log.
//!
//! Metric names are known in this crate only; everyone else holds a series with typed labels,
//! resolved once and cheap to record to. Nothing here ever blocks or fails a request: what cannot
//! be told is dropped and counted.

mod access_log;
mod catalogue;
#[cfg(test)]
mod deployed;
mod exposition;
pub mod otlp;
mod outbox;
mod process_log;
mod series;

pub use access_log::{AccessLine, AccessLog, AccessLogError, AccessWriter, Destination, Drained, Rotation};
pub use exposition::{AlreadyInstalled, Exposition, install};
pub use outbox::{Inbox, Losses, Outbox, outbox};
pub use process_log::{LogFormat, ProcessLogError, init_process_log};
pub use series::{
    BreakerSeries, BreakerState, BudgetSeries, BurnRateSeries, ConfigSeries, CredentialSeries, HedgeSeries,
    HeldSeries, JournalDiskSeries, JournalSeries, JournalState, LoaderSeries, MachineSeries, OverheadSeries,
    QuotaSeries, RegionSeries, RegionState, ReloadResult, RequestFacts, RequestLabels, RequestSeries,
    ReservationSeries, RetrySeries, ShedSeries, UnpricedSeries, UpstreamSeries, alert_made, alert_tried,
    breaker_changed, build_info, certificate_expires, failed_over, probed, recovered_requests,
    residency_violated, served_model_changed,
};
