//! One project asks for three times what the provider can do. The nine others must not notice.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Ground;
use super::calls::{Calls, End};
use super::interrupt;
use super::load::{Load, Plan, template};
use super::stage::{Layout, MODEL, Provider, Setting, Stage, Upstream, project};
use super::table::{Goal, Row};

/// What the provider takes at a time, and how long each takes: a hundred a second.
const SLOTS: u32 = 10;
const LATENCY_MS: u64 = 90;
const CAPACITY: u64 = 100;
/// Projects that behave, and the calls a second of all of them together.
const OTHERS: usize = 9;
const OTHERS_RATE: u64 = 27;
/// Calls a second of the one project when it behaves.
const USUAL_RATE: u64 = 30;
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the gateway may take to be itself again, and how long it is watched.
const RECOVERY: Duration = Duration::from_secs(10);
/// What an overload may add to the gateway's memory.
const MEMORY: u64 = 64 << 20;

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let provider = Provider::start(LATENCY_MS)?;
    let limit = format!(", max_concurrency: {SLOTS}");
    let upstreams = vec![Upstream { more: &limit, ..Upstream::new("only", &provider) }];
    let mut setting = Setting::new(Layout::OneLevel, upstreams);
    let keys: Vec<_> = (0..=OTHERS).map(|number| format!("key-of-project-{number}-0123456789")).collect();
    setting.projects =
        (0..).zip(&keys).map(|(number, key)| project(&format!("p{number}"), MODEL, "", key)).collect();
    let stage = Stage::set(&ground.gateway, &setting)?;
    let one = |rate: u64, seconds: u64| -> Result<Load> {
        let templates = vec![template(stage.addr(), MODEL, &keys[0], &[])?];
        Load::start(Plan { templates, rate, total: rate * seconds, stream_permille: 500 })
    };

    let phase = ground.seconds.max(10);
    let others = Plan {
        templates: keys[1..]
            .iter()
            .map(|key| template(stage.addr(), MODEL, key, &[]))
            .collect::<Result<_>>()?,
        rate: OTHERS_RATE,
        total: OTHERS_RATE * (2 * phase + 2 * RECOVERY.as_secs()),
        stream_permille: 500,
    };
    let others = Load::start(others)?;
    let began = others.began;
    let usual = one(USUAL_RATE, phase)?.finish()?;
    let before = stage.resident()?;

    let flood_began = Instant::now();
    let flood = one(3 * CAPACITY, phase)?;
    interrupt::pause_until(flood_began + Duration::from_secs(phase))?;
    let grown = stage.resident()?.saturating_sub(before);
    let flood_ended = Instant::now();
    let after = one(USUAL_RATE, 2 * RECOVERY.as_secs())?;
    let flood = flood.finish()?;
    let after = after.finish()?;
    let others = others.finish()?;

    let alone = others.due(began + WARM_UP, flood_began);
    let beside = others.due(flood_began, flood_ended);
    let goals = vec![
        Goal::at_most("p99 of the others, of alone", ratio(&beside, &alone), 1.2, ""),
        Goal::at_most("refusals of the others", beside.errors() as f64, 0.0, ""),
        Goal::at_most("p99 of what is accepted, of usual", ratio(&good(&flood), &usual), 2.0, ""),
        Goal::at_most("memory", (grown >> 20) as f64, (MEMORY >> 20) as f64, " MiB more"),
        Goal::within("95 % answered again", goodput_back(flood_ended, &[&others, &after]), RECOVERY),
    ];
    Ok(Row {
        requests: usual.len() + flood.len() + after.len() + others.len(),
        errors: flood.errors() + others.errors(),
        added_p99: Some(beside.p99().saturating_sub(alone.p99())),
        attempts_per_call: flood.attempts_per_call(),
        failures: flood.failures(),
        goals,
        ..Row::default()
    })
}

fn good(calls: &Calls) -> Calls {
    calls.only(|call| call.end == End::Good)
}

fn ratio(calls: &Calls, yardstick: &Calls) -> f64 {
    calls.p99().as_secs_f64() / yardstick.p99().as_secs_f64().max(f64::MIN_POSITIVE)
}

/// The first second in which 95 of 100 calls were answered, from the end of the flood.
fn goodput_back(flood_ended: Instant, loads: &[&Calls]) -> Option<Duration> {
    (0..RECOVERY.as_secs()).map(Duration::from_secs).find(|since| {
        let second = |calls: &&Calls| {
            let from = flood_ended + *since;
            let due = calls.due(from, from + Duration::from_secs(1));
            (due.good(), due.len())
        };
        let (good, all) = loads.iter().map(second).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        all > 0 && good * 100 >= all * 95
    })
}
