//! Floor 1: the plain values that every other crate speaks in.
//!
//! Nothing here does I/O, awaits, reads a clock or knows a provider. A value enters this crate
//! when two others need it, and not before.

mod ids;
mod issued;
mod money;
mod names;
mod secret;
mod time;
mod trace;
mod usage;
mod version;

pub use ids::{LogId, RequestId};
pub use issued::{KeyShape, key_prefix, letter, write_key};
pub use money::{Money, MoneyText, ParseMoneyError, UnitPrice};
pub use names::{
    AccountName, KeyName, ModelAlias, Name, ProjectName, RegionName, TeamName, UpstreamModel, UpstreamName,
    ZoneName,
};
pub use secret::Secret;
pub use time::UnixMillis;
pub use trace::{SpanId, TraceId, TraceParent, TraceState};
pub use usage::{Units, Usage, UsageSource};
pub use version::ModelVersion;
