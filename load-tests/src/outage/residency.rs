//! Projects with all kinds of permitted zones, while everything in one zone dies in every way. By the
//! providers' own books, nobody's call is ever answered outside.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Ground;
use super::interrupt;
use super::load::{Load, Plan, template};
use super::relay::Way;
use super::stage::{Layout, Provider, Setting, Stage, Upstream, project};
use super::table::{Goal, Row};

const ZONES: [&str; 3] = ["eu", "us", "ap"];
/// Zones as a set, a bit each in the order of `ZONES`.
type Zones = u8;
const EU: Zones = 1;
/// Upstreams: name, zone of the region, and all zones where they process.
const PLACES: [(&str, &str, Zones); 5] = [
    ("eu-one", "eu", 0b001),
    ("eu-two", "eu", 0b001),
    // Its address is in the zone, its processors are not all.
    ("eu-global", "eu", 0b011),
    ("us-one", "us", 0b010),
    ("ap-one", "ap", 0b100),
];
const POLICIES: usize = 40;
/// The same policies every time.
const SEED: u64 = 0x5eed_0f5c_a1ab_1e00;

/// How the wire to the dying zone's upstreams fails, or how they answer.
enum Fault {
    Wire(Way),
    Behaviour(Value),
    Always(Value),
}

/// What one project may do.
struct Policy {
    /// Its project's zones.
    zones: Zones,
    /// The zone that its requests are narrowed to.
    narrowed: Option<usize>,
}

impl Policy {
    fn permits(&self, processing: Zones) -> bool {
        let narrowed = self.narrowed.map_or(self.zones, |zone| self.zones & (1 << zone));
        processing & !narrowed == 0
    }
}

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let mut random = SEED;
    let policies: Vec<_> = (0..POLICIES).map(|_| policy(&mut random)).collect();
    let mut providers = Vec::new();
    for (_, zone, _) in PLACES {
        providers.push(if zone == "eu" { Provider::behind_relay(2)? } else { Provider::start(2)? });
    }
    let processing = PLACES.map(|(_, _, zones)| format!(", processing: [{}]", names(zones)));
    let setting = setting(&providers, &processing, &policies, &mut random);
    let stage = Stage::set(&ground.gateway, &setting)?;
    let mut templates = Vec::new();
    for (number, policy) in policies.iter().enumerate() {
        let header = policy.narrowed.map(|zone| ("x-tollgate-zone", ZONES[zone]));
        templates.push(template(stage.addr(), &model(number), &key(number), header.as_slice())?);
    }
    let (rate, total) = (ground.rate * 10, ground.residency_requests);
    let load = Load::start(Plan { templates, rate, total, stream_permille: 300 })?;
    let faults = faults();
    let each = Duration::from_secs_f64(total as f64 / rate as f64) / u32::try_from(faults.len() + 1)?;
    interrupt::pause(each)?;
    for fault in &faults {
        strike(&mut providers, fault)?;
        interrupt::pause(each)?;
        heal(&mut providers)?;
    }
    let calls = load.finish()?;

    // Who may go to a zone that lives must not notice much; who may not is refused, and nothing else.
    let is_safe = |number: u64| {
        let policy = &policies[usize::try_from(number).unwrap_or(0) % POLICIES];
        PLACES.iter().any(|(_, zone, processing)| *zone != "eu" && policy.permits(*processing))
    };
    let safe = calls.only(|call| is_safe(call.number));
    let (outside, served) = outside(&providers, &policies)?;
    ensure!(served > 0, "no provider served anything");
    Ok(Row {
        requests: calls.len(),
        errors: safe.errors(),
        attempts_per_call: calls.attempts_per_call(),
        failures: safe.failures(),
        goals: vec![
            Goal::at_most("calls outside their zones", outside as f64, 0.0, ""),
            Goal::at_least("requests", calls.len() as f64, total as f64, ""),
        ],
        ..Row::default()
    })
}

fn policy(random: &mut u64) -> Policy {
    let zones = Zones::try_from(next(random) % 7 + 1).unwrap_or(EU);
    let narrowed = next(random).is_multiple_of(3).then(|| {
        let inside: Vec<_> = (0..ZONES.len()).filter(|zone| zones & (1 << zone) != 0).collect();
        inside[(next(random) % inside.len() as u64) as usize]
    });
    Policy { zones, narrowed }
}

/// A model a policy, served everywhere in an order of its own: its name is what the books tell them by.
fn setting<'a>(
    providers: &[Provider],
    processing: &'a [String],
    policies: &[Policy],
    random: &mut u64,
) -> Setting<'a> {
    let upstreams = PLACES
        .iter()
        .zip(processing)
        .zip(providers)
        .map(|(((name, zone, _), more), provider)| Upstream { zone, more, ..Upstream::new(name, provider) });
    let mut setting = Setting::new(Layout::Levels, upstreams.collect());
    setting.models.clear();
    setting.projects.clear();
    for (number, policy) in policies.iter().enumerate() {
        let name = model(number);
        let balance = ["p2c", "weighted"][(next(random) % 2) as usize];
        let mut targets = String::new();
        for (upstream, ..) in PLACES {
            let priority = next(random) % 3 + 1;
            let _ = write!(targets, "{{ upstream: {upstream}, model: {name}, priority: {priority} }}, ");
        }
        let _ = writeln!(
            setting.models,
            "  - {{ name: {name}, balance: {balance}, targets: [{}] }}",
            targets.trim_end_matches(", ")
        );
        let more = format!(", zones: [{}]", names(policy.zones));
        setting.projects.push_str(&project(&format!("p{number}"), &name, &more, &key(number)));
    }
    setting
}

/// The zones of a set, as a list.
fn names(zones: Zones) -> String {
    let inside = (0..).zip(ZONES).filter(|(bit, _)| zones & (1 << bit) != 0).map(|(_, name)| name);
    inside.collect::<Vec<_>>().join(", ")
}

fn model(number: usize) -> String {
    format!("policy-{number}")
}

fn key(number: usize) -> String {
    format!("key-of-policy-{number}-0123456789")
}

/// Every class of fault, one after the other.
fn faults() -> Vec<Fault> {
    let refusal = |refusal: Value| Fault::Always(json!({ "reply": { "refusal": refusal } }));
    vec![
        Fault::Wire(Way::Reset),
        Fault::Wire(Way::Deaf),
        Fault::Wire(Way::Silent),
        Fault::Behaviour(json!({ "latency_ms": 40, "chunk_pause_ms": 5 })),
        Fault::Behaviour(json!({ "error_permille": 400 })),
        refusal(json!("server_error")),
        refusal(json!("overloaded")),
        refusal(json!({ "rate_limited": { "retry_after_ms": 200 } })),
        refusal(json!("insufficient_quota")),
        refusal(json!("unauthorized")),
        refusal(json!("model_not_found")),
        Fault::Always(json!({ "fault": "malformed_body" })),
        Fault::Always(json!({ "fault": "wrong_content_type" })),
        Fault::Always(json!({ "fault": { "reset": { "byte": 0 } } })),
        Fault::Always(json!({ "fault": { "end_early": 2 } })),
    ]
}

fn strike(providers: &mut [Provider], fault: &Fault) -> Result<()> {
    for provider in providers.iter_mut().filter(|provider| provider.relay.is_some()) {
        match (fault, &mut provider.relay) {
            (Fault::Wire(way), Some(relay)) => relay.set(*way)?,
            (Fault::Wire(_), None) => {}
            (Fault::Behaviour(how), _) => provider.behave(how)?,
            (Fault::Always(script), _) => provider.always(script)?,
        }
    }
    Ok(())
}

fn heal(providers: &mut [Provider]) -> Result<()> {
    for provider in providers {
        if let Some(relay) = &mut provider.relay {
            relay.set(Way::Open)?;
        }
        provider.always(&Value::Null)?;
        provider.behave(&json!({ "latency_ms": 2 }))?;
    }
    Ok(())
}

/// Calls that reached a provider whose zones are not all permitted to them, and all calls.
fn outside(providers: &[Provider], policies: &[Policy]) -> Result<(u64, u64)> {
    let (mut outside, mut all) = (0, 0);
    for ((_, _, processing), provider) in PLACES.iter().zip(providers) {
        for (name, calls) in provider.totals()?.by_model {
            all += calls;
            let policy = name.strip_prefix("policy-").and_then(|number| number.parse::<usize>().ok());
            let permitted = policy.and_then(|number| policies.get(number));
            if !permitted.is_some_and(|policy| policy.permits(*processing)) {
                outside += calls;
            }
        }
    }
    Ok((outside, all))
}

/// The next of a row of numbers that look like chance (xorshift64*), the same every time.
fn next(random: &mut u64) -> u64 {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
}
