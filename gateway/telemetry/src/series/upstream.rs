//! What attempts on upstreams add, and how healthy their targets are.

use std::time::Duration;

use metrics::{Gauge, Label};

use super::{counters::Counters, labels};
use crate::catalogue::{
    ATTEMPTS, BREAKER_CHANGES, BREAKER_STATE, CREDENTIAL_REFRESHES, CREDENTIAL_USABLE, FAILOVERS, HEDGES,
    HOLD, INFLIGHT, PROBES, RESIDENCY_VIOLATIONS, RETRIES, SERVED_MODEL_CHANGES, WAITING,
};

/// The metrics of one upstream.
pub struct UpstreamSeries {
    attempts: Counters<&'static str>,
    inflight: Gauge,
    waiting: Gauge,
    hold: Gauge,
}

impl UpstreamSeries {
    /// Resolves the series of the upstream of this name.
    #[must_use]
    pub fn new(upstream: &str) -> Self {
        let of = labels([("upstream", upstream)]);
        Self {
            inflight: INFLIGHT.gauge(of.clone()),
            waiting: WAITING.gauge(of.clone()),
            hold: HOLD.gauge(of.clone()),
            attempts: Counters::new(&ATTEMPTS, of),
        }
    }

    /// An attempt goes out.
    pub fn attempt_began(&self) {
        self.inflight.increment(1.0);
    }

    /// An attempt that [began](Self::attempt_began) is over, with its outcome as the ledger's
    /// attempts name it.
    pub fn attempt_ended(&self, outcome: &'static str) {
        self.inflight.decrement(1.0);
        self.attempts.count(outcome, || vec![Label::from_static_parts("outcome", outcome)]);
    }

    /// A request waits for one of the upstream's slots.
    pub fn wait_began(&self) {
        self.waiting.increment(1.0);
    }

    /// One that [began](Self::wait_began) to wait does not any more.
    pub fn wait_ended(&self) {
        self.waiting.decrement(1.0);
    }

    /// The upstream asked to be left alone for this long.
    pub fn held(&self, duration: Duration) {
        self.hold.increment(duration);
    }
}

/// The credential of an upstream whose credential has to be renewed.
pub struct CredentialSeries {
    usable: Gauge,
    refreshes: Counters<&'static str>,
}

impl CredentialSeries {
    /// Resolves the series of the upstream of this name.
    #[must_use]
    pub fn new(upstream: &str) -> Self {
        let of = labels([("upstream", upstream)]);
        Self {
            usable: CREDENTIAL_USABLE.gauge(of.clone()),
            refreshes: Counters::new(&CREDENTIAL_REFRESHES, of),
        }
    }

    /// Tells whether requests can be sent with it.
    pub fn set(&self, usable: bool) {
        self.usable.set(f64::from(u8::from(usable)));
    }

    /// An attempt to renew it ended so: `issued` or `failed`.
    pub fn asked(&self, outcome: &'static str) {
        self.refreshes.count(outcome, || vec![Label::from_static_parts("outcome", outcome)]);
    }
}

/// An answer of this upstream names a place outside the zones that it is declared for.
pub fn residency_violated(upstream: &str) {
    RESIDENCY_VIOLATIONS.counter(labels([("upstream", upstream)])).increment(1);
}

/// An upstream serves another model than before where it is asked for this one.
pub fn served_model_changed(upstream: &str, upstream_model: &str) {
    let of = labels([("upstream", upstream), ("model", upstream_model)]);
    SERVED_MODEL_CHANGES.counter(of).increment(1);
}

/// The breaker of one (upstream, upstream model).
pub struct BreakerSeries(Gauge);

/// What a breaker does, in the words of the field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakerState {
    /// Lets requests pass.
    Closed,
    /// Lets a few pass to see whether they succeed.
    HalfOpen,
    /// Refuses.
    Open,
}

impl BreakerSeries {
    /// Resolves the series of this target, leaving the state that it has.
    #[must_use]
    pub fn new(upstream: &str, upstream_model: &str) -> Self {
        Self(BREAKER_STATE.gauge(labels([("upstream", upstream), ("model", upstream_model)])))
    }

    /// Tells a change of state.
    pub fn set(&self, state: BreakerState) {
        self.0.set(match state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        });
    }
}

/// The breaker of a target has come to this state for this reason; both are the gateway's own words.
pub fn breaker_changed(upstream: &str, upstream_model: &str, to: &'static str, reason: &'static str) {
    let of = [("upstream", upstream), ("model", upstream_model), ("to", to), ("reason", reason)];
    BREAKER_CHANGES.counter(labels(of)).increment(1);
}

/// A look at an upstream ended so, as its row says.
pub fn probed(upstream: &str, outcome: &'static str) {
    PROBES.counter(labels([("upstream", upstream), ("outcome", outcome)])).increment(1);
}

/// An attempt in one region was followed by one in another, for this reason (the former's outcome).
pub fn failed_over(from: &str, to: &str, reason: &str) {
    FAILOVERS.counter(labels([("from_region", from), ("to_region", to), ("reason", reason)])).increment(1);
}

/// Further attempts after failed ones.
pub struct RetrySeries(Counters<(&'static str, &'static str)>);

impl RetrySeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self(Counters::new(&RETRIES, Vec::new()))
    }

    /// A retry for this reason (the failed attempt's outcome) had this result.
    pub fn record(&self, reason: &'static str, result: &'static str) {
        self.0.count((reason, result), || {
            vec![Label::from_static_parts("reason", reason), Label::from_static_parts("result", result)]
        });
    }
}

/// Second copies of streams.
pub struct HedgeSeries(Counters<&'static str>);

impl HedgeSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self(Counters::new(&HEDGES, Vec::new()))
    }

    /// A copy was `sent`, has `won`, or was `wasted`.
    pub fn record(&self, result: &'static str) {
        self.0.count(result, || vec![Label::from_static_parts("result", result)]);
    }
}

impl Default for HedgeSeries {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for RetrySeries {
    fn default() -> Self {
        Self::new()
    }
}
