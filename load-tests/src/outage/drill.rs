//! An operator drills the loss of the preferred region. What the report says of its recovery is held
//! against what the load itself has seen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::Ground;
use super::calls::Calls;
use super::interrupt;
use super::load::{Load, Plan};
use super::stage::{Layout, Provider, Setting, Stage, Upstream};
use super::table::{Goal, Row};

const LATENCY_MS: u64 = 25;
/// What is drilled, one after the other.
const FAULTS: [&str; 3] = ["down", "error", "throttle"];
const WARM_UP: Duration = Duration::from_secs(1);
/// How long each drill lasts, and the quiet time after it.
const LASTS: Duration = Duration::from_secs(4);
const REST: Duration = Duration::from_secs(2);
/// How far the two may be apart.
const APART: Duration = Duration::from_millis(100);

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let mut row = Row::default();
    let mut apart = Duration::ZERO;
    for fault in FAULTS {
        let (calls, told, seen) = drilled(ground, fault)?;
        row.requests += calls.len();
        row.errors += calls.errors();
        row.attempts_per_call = calls.attempts_per_call();
        row.recovery = row.recovery.max(Some(seen));
        apart = apart.max(told.abs_diff(seen));
    }
    row.goals = vec![
        Goal::within("report and load are apart by", Some(apart), APART),
        Goal::at_most("errors before content", row.errors as f64, 0.0, ""),
    ];
    Ok(row)
}

/// The calls, the recovery of the report, and that of the calls.
fn drilled(ground: &Ground, fault: &str) -> Result<(Calls, Duration, Duration)> {
    let (first, second) = (Provider::start(LATENCY_MS)?, Provider::start(LATENCY_MS)?);
    let upstreams = vec![Upstream::new("first", &first), Upstream::new("second", &second)];
    let stage = Stage::set(&ground.gateway, &Setting::new(Layout::Levels, upstreams))?;
    let seconds = (WARM_UP * 2 + LASTS + REST).as_secs();
    let load = Load::start(Plan::usual(stage.addr(), ground.rate, seconds)?)?;
    let began = load.began;
    interrupt::pause_until(began + WARM_UP * 2)?;
    let order =
        json!({ "region": "first", "fault": fault, "all": true, "for": "1m", "reason": "the load test" });
    let struck = Instant::now();
    let begun = stage.post("/api/v1/drills", &order)?;
    let id = begun["content"]["id"].as_str().context("a drill has an id")?;
    interrupt::pause_until(struck + LASTS)?;
    let report = stage.post(&format!("/api/v1/drills/{id}/stop"), &json!({ "reason": "seen enough" }))?;
    let calls = load.finish()?;
    let told =
        report["content"]["measured"]["recovery_ms"].as_u64().context("the report tells of a recovery")?;
    let healthy = calls.due(began + WARM_UP, struck).p99();
    let seen = calls.recovery(struck, healthy).context("the load has seen a recovery")?;
    Ok((calls, Duration::from_millis(told), seen))
}
