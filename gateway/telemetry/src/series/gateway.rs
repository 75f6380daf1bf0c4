//! The state of the gateway itself: refusals, unknown costs, regions, configuration, certificates, clock,
//! build.

use std::time::Duration;

use metrics::{Counter, Gauge, Label};

use super::{counters::Counters, labels};
use crate::catalogue::{
    BUILD, CERTIFICATE_EXPIRES, CLOCK, CONFIG_LAST_RELOAD, CONFIG_VERSION, DATA_FREE, DATA_SIZE,
    QUOTA_REFUSALS, REGION_STATE, UNPRICED,
};

/// Refusals of one project by limits and budgets.
pub struct QuotaSeries(Counters<&'static str>);

impl QuotaSeries {
    /// Resolves the series of this project.
    #[must_use]
    pub fn new(team: &str, project: &str) -> Self {
        Self(Counters::new(&QUOTA_REFUSALS, labels([("team", team), ("project", project)])))
    }

    /// A request was refused by this limit, as the configuration names it.
    pub fn refused(&self, limit: &'static str) {
        self.0.count(limit, || vec![Label::from_static_parts("limit", limit)]);
    }
}

/// Requests of one model without a price at one upstream.
pub struct UnpricedSeries(Counter);

impl UnpricedSeries {
    /// Resolves the series of this model, as clients call it, at this upstream.
    #[must_use]
    pub fn new(model: &str, upstream: &str) -> Self {
        Self(UNPRICED.counter(labels([("model", model), ("upstream", upstream)])))
    }

    /// One was served.
    pub fn count(&self) {
        self.0.increment(1);
    }
}

/// The operator's state of one region.
pub struct RegionSeries(Gauge);

/// What operators decided about a region.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegionState {
    /// Takes requests.
    Enabled,
    /// Takes no new requests; streams finish.
    Draining,
    /// Takes none.
    Disabled,
}

impl RegionSeries {
    /// Resolves the series of this region.
    #[must_use]
    pub fn new(region: &str) -> Self {
        Self(REGION_STATE.gauge(labels([("region", region)])))
    }

    /// Tells the state.
    pub fn set(&self, state: RegionState) {
        self.0.set(match state {
            RegionState::Enabled => 0.0,
            RegionState::Draining => 1.0,
            RegionState::Disabled => 2.0,
        });
    }
}

/// The running configuration.
pub struct ConfigSeries {
    version: Gauge,
    last_reload: Gauge,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReloadResult {
    /// The new configuration serves, by its version.
    Taken(u64),
    /// The new one was wrong; the old one serves on.
    Refused,
}

impl ConfigSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self { version: CONFIG_VERSION.gauge(Vec::new()), last_reload: CONFIG_LAST_RELOAD.gauge(Vec::new()) }
    }

    /// Tells how the newest reload, or the first load, ended.
    pub fn reloaded(&self, result: ReloadResult) {
        match result {
            ReloadResult::Taken(version) => {
                self.version.set(version as f64);
                self.last_reload.set(1.0);
            }
            ReloadResult::Refused => self.last_reload.set(0.0),
        }
    }
}

impl Default for ConfigSeries {
    fn default() -> Self {
        Self::new()
    }
}

/// What the machine gives the process: a clock, and room for its data.
pub struct MachineSeries {
    clock: Gauge,
    free: Gauge,
    size: Gauge,
}

impl MachineSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clock: CLOCK.gauge(Vec::new()),
            free: DATA_FREE.gauge(Vec::new()),
            size: DATA_SIZE.gauge(Vec::new()),
        }
    }

    /// Tells the time since 1970 by this machine's clock.
    pub fn clock(&self, since_1970: Duration) {
        self.clock.set(since_1970);
    }

    /// Tells the bytes that are free, and all there are, where the data folder is.
    pub fn room(&self, free_bytes: u64, all_bytes: u64) {
        self.free.set(free_bytes as f64);
        self.size.set(all_bytes as f64);
    }
}

impl Default for MachineSeries {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells when a certificate ends, in seconds since 1970; `name` is where the configuration has it.
pub fn certificate_expires(name: &str, at: u64) {
    CERTIFICATE_EXPIRES.gauge(labels([("certificate", name)])).set(at as f64);
}

/// Tells which build runs: its version and source revision.
pub fn build_info(version: &str, revision: &str) {
    BUILD.gauge(labels([("version", version), ("revision", revision)])).set(1.0);
}
