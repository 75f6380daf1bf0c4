//! Everything fails. How many calls do providers get for each that a client makes?

use anyhow::Result;
use serde_json::json;

use super::Ground;
use super::load::{Load, Plan};
use super::stage::{Layout, Provider, Setting, Stage, Upstream};
use super::table::{Goal, Row};

const REQUESTS: u64 = 5_000;
/// The retry budget grows by one a second: the faster the requests come, the less that counts.
const RATE: u64 = 250;

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let providers = [Provider::start(0)?, Provider::start(0)?, Provider::start(0)?];
    for provider in &providers {
        provider.always(&json!({ "reply": { "refusal": "server_error" } }))?;
    }
    let names = ["first", "second", "third"];
    let upstreams = names.iter().zip(&providers).map(|(name, provider)| Upstream::new(name, provider));
    let stage = Stage::set(&ground.gateway, &Setting::new(Layout::Levels, upstreams.collect()))?;
    let plan = Plan { total: REQUESTS, ..Plan::usual(stage.addr(), RATE, 1)? };
    let calls = Load::start(plan)?.finish()?;
    let mut attempts = 0;
    for provider in &providers {
        attempts += provider.totals()?.calls;
    }
    let amplification = attempts as f64 / calls.len().max(1) as f64;
    Ok(Row {
        requests: calls.len(),
        errors: calls.errors(),
        attempts_per_call: Some(amplification),
        failures: calls.failures(),
        goals: vec![Goal::at_most("upstream calls a request", amplification, 1.15, "")],
        ..Row::default()
    })
}
