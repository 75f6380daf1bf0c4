//! A target that refuses in a millisecond looks like the fastest of all. It must not attract traffic.

use serde_json::json;

use anyhow::Result;

use super::Ground;
use super::load::{Load, Plan};
use super::stage::{Layout, Provider, Setting, Stage, Upstream};
use super::table::{Goal, Row};

const LATENCY_MS: u64 = 25;

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let (sick, healthy) = (Provider::start(0)?, Provider::start(LATENCY_MS)?);
    sick.always(&json!({ "reply": { "refusal": { "rate_limited": { "retry_after_ms": null } } } }))?;
    let upstreams = vec![Upstream::new("sick", &sick), Upstream::new("healthy", &healthy)];
    let stage = Stage::set(&ground.gateway, &Setting::new(Layout::OneLevel, upstreams))?;
    let calls = Load::start(Plan::usual(stage.addr(), ground.rate, ground.seconds)?)?.finish()?;
    let (sick, healthy) = (sick.totals()?.calls, healthy.totals()?.calls);
    let share = sick as f64 * 100.0 / (sick + healthy).max(1) as f64;
    Ok(Row {
        requests: calls.len(),
        errors: calls.errors(),
        sick_share: Some(share),
        attempts_per_call: calls.attempts_per_call(),
        failures: calls.failures(),
        goals: vec![
            Goal::at_most("share to the refusing target", share, 5.0, " %"),
            Goal::at_most("errors before content", calls.errors() as f64, 0.0, ""),
        ],
        ..Row::default()
    })
}
