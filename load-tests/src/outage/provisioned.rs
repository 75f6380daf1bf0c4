//! Capacity that is paid by the hour is used up before anything is paid by the call.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::Ground;
use super::interrupt;
use super::load::{Load, Plan};
use super::stage::{Layout, Provider, Setting, Stage, Upstream, WORDS};
use super::table::{Goal, Row};

/// Input and output of a call here.
const TOKENS: u64 = 50 + WORDS as u64;
/// How much of a second's capacity may stand in the bucket: so soon must it be used again.
const DEPTH: Duration = Duration::from_millis(500);
/// The bucket is full and the gateway knows it.
const WARM_UP: Duration = Duration::from_secs(3);

const PRICE: &str =
    "  - { model: gpt-5-mini, upstream: paid, from: 2025-01-01, currency: USD, per_hour: \"1.00\" }
";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    // Twice as much is asked as there is.
    let per_second = ground.rate * TOKENS / 2;
    let depth = per_second * u64::try_from(DEPTH.as_millis())? / 1_000;
    let (paid, by_call) = (Provider::start(20)?, Provider::start(20)?);
    let capacity = json!({ "tokens_per_minute": per_second * 60, "depth": depth });
    paid.behave(&json!({ "latency_ms": 20, "provisioned": capacity }))?;
    let more = format!(", billing: provisioned, capacity: {{ tokens_per_minute: {} }}", per_second * 60);
    let upstreams =
        vec![Upstream { more: &more, ..Upstream::new("paid", &paid) }, Upstream::new("by-call", &by_call)];
    let mut setting = Setting::new(Layout::Levels, upstreams);
    setting.prices.push_str(PRICE);
    let stage = Stage::set(&ground.gateway, &setting)?;
    let load = Load::start(Plan::usual(stage.addr(), ground.rate, ground.seconds)?)?;
    interrupt::pause_until(load.began + WARM_UP)?;
    let (from, before) = (Instant::now(), paid.totals()?.provisioned_tokens);
    interrupt::pause_until(load.began + Duration::from_secs(ground.seconds - 1))?;
    let (took, after) = (from.elapsed(), paid.totals()?.provisioned_tokens);
    let calls = load.finish()?;
    let used = (after - before) as f64 * 100.0 / (per_second as f64 * took.as_secs_f64());
    let told_to_wait = calls.count(|call| call.status == 429);
    Ok(Row {
        requests: calls.len(),
        errors: calls.errors(),
        attempts_per_call: calls.attempts_per_call(),
        failures: calls.failures(),
        goals: vec![
            Goal::at_least("used of what is paid", used, 97.0, " %"),
            Goal::at_most("clients that see 429", told_to_wait as f64, 0.0, ""),
            Goal::at_least("overflow", by_call.totals()?.whole as f64, 1.0, " calls"),
        ],
        ..Row::default()
    })
}
