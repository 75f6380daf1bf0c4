//! Five hundred calls are in flight when their provider dies. The other one is smaller.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Ground;
use super::interrupt;
use super::load::{Load, Plan};
use super::stage::{Layout, Provider, Setting, Stage, Upstream};
use super::table::{Goal, Row};

const CALLS: u64 = 500;
/// What the other provider takes at a time.
const LIMIT: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn run(ground: &Ground) -> Result<Row> {
    // It answers nothing before it dies.
    let (mut dying, other) = (Provider::start(15_000)?, Provider::start(50)?);
    let limit = format!(", max_concurrency: {LIMIT}");
    let patient = "{ head: 20s, stream_head: 20s, ttft: 20s }";
    let upstreams = vec![
        Upstream { timeouts: patient, ..Upstream::new("dying", &dying) },
        Upstream { more: &limit, ..Upstream::new("other", &other) },
    ];
    let stage = Stage::set(&ground.gateway, &Setting::new(Layout::Levels, upstreams))?;
    let load = Load::start(Plan { total: CALLS, ..Plan::usual(stage.addr(), CALLS, 1)? })?;
    let began = Instant::now();
    while dying.totals()?.calls < CALLS {
        if began.elapsed() > PATIENCE {
            bail!("only {} calls are in flight", dying.totals()?.calls);
        }
        interrupt::pause(Duration::from_millis(20))?;
    }
    dying.server.kill()?;
    let calls = load.finish()?;
    let answered = calls.good() as f64 * 100.0 / calls.len().max(1) as f64;
    let most = other.totals()?.most_open;
    Ok(Row {
        requests: calls.len(),
        errors: calls.errors(),
        attempts_per_call: calls.attempts_per_call(),
        failures: calls.failures(),
        goals: vec![
            Goal::at_least("answered by the other", answered, 99.0, " %"),
            Goal::at_most("most in flight there", most as f64, f64::from(LIMIT), ""),
        ],
        ..Row::default()
    })
}
