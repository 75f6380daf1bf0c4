//! One of two providers becomes sick under load, each time in another way.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::Ground;
use super::calls::Calls;
use super::interrupt;
use super::load::{Load, Plan};
use super::relay::Way;
use super::stage::{Layout, Provider, Setting, Stage, Upstream};
use super::table::{Goal, Row};
use super::watch::Watch;

/// Until content, when all is well; a slow provider takes twenty times as long.
const LATENCY_MS: u64 = 25;
/// The gateway's time to connect, and what may come on top of it.
const CONNECT: Duration = Duration::from_millis(1_000 + 50);
/// Until packets that nobody acknowledges have been noticed and the call has moved.
const UNACKNOWLEDGED: Duration = Duration::from_millis(1_500);
/// What counts as the time of detection for the p99: nothing here takes longer to be found.
const DETECTION: Duration = Duration::from_secs(5);
/// Connections, breakers and estimates have settled by then.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the flapping provider is up, and then down.
const FLAP: Duration = Duration::from_secs(5);

/// A run with one sick provider.
struct Run {
    // The first to go: a load that meets nobody goes on asking.
    load: Load,
    stage: Stage,
    sick: Provider,
    healthy: Provider,
    end: Instant,
}

/// A run that is over.
struct Told {
    calls: Calls,
    fault: Instant,
    healthy_p99: Duration,
    /// p99 while the fault was being found.
    detection_p99: Duration,
}

impl Run {
    fn start(ground: &Ground, layout: Layout, sick: Provider, seconds: u64) -> Result<Self> {
        let healthy = Provider::start(LATENCY_MS)?;
        let upstreams = vec![Upstream::new("sick", &sick), Upstream::new("healthy", &healthy)];
        let stage = Stage::set(&ground.gateway, &Setting::new(layout, upstreams))?;
        let load = Load::start(Plan::usual(stage.addr(), ground.rate, seconds)?)?;
        let end = load.began + Duration::from_secs(seconds);
        Ok(Self { load, stage, sick, healthy, end })
    }

    /// Waits for a quarter of the run, has the provider fall sick, and tells when that was.
    fn strike(&mut self, strike: impl FnOnce(&mut Provider) -> Result<()>) -> Result<Instant> {
        let quarter = self.end.duration_since(self.load.began) / 4;
        interrupt::pause_until(self.load.began + quarter)?;
        let fault = Instant::now();
        strike(&mut self.sick)?;
        Ok(fault)
    }

    fn watch(&self) -> Result<Watch> {
        Watch::until(self.end, &self.stage, ("sick", &self.sick), &self.healthy)
    }

    fn finish(self, fault: Instant) -> Result<Told> {
        let began = self.load.began;
        let calls = self.load.finish()?;
        let healthy_p99 = calls.due(began + WARM_UP, fault).p99();
        let detection_p99 = calls.due(fault, fault + DETECTION).p99();
        Ok(Told { calls, fault, healthy_p99, detection_p99 })
    }
}

impl Told {
    fn row(&self, goals: Vec<Goal>) -> Row {
        Row {
            requests: self.calls.len(),
            errors: self.calls.errors(),
            added_p99: Some(self.detection_p99.saturating_sub(self.healthy_p99)),
            recovery: self.calls.recovery(self.fault, self.healthy_p99),
            attempts_per_call: self.calls.attempts_per_call(),
            failures: self.calls.failures(),
            goals,
            ..Row::default()
        }
    }

    fn no_errors(&self) -> Goal {
        Goal::at_most("errors before content", self.calls.errors() as f64, 0.0, "")
    }
}

/// Killed as only a process can be.
pub(super) fn killed(ground: &Ground) -> Result<Row> {
    let mut run = Run::start(ground, Layout::Levels, Provider::start(LATENCY_MS)?, ground.seconds)?;
    let fault = run.strike(|sick| sick.server.kill())?;
    let told = run.finish(fault)?;
    Ok(told.row(vec![told.no_errors()]))
}

/// All connections break, and no SYN is answered any more.
pub(super) fn dropped_syn(ground: &Ground) -> Result<Row> {
    let mut run = Run::start(ground, Layout::Levels, Provider::behind_relay(LATENCY_MS)?, ground.seconds)?;
    let fault = run.strike(|sick| wire(sick, Way::Deaf))?;
    let told = run.finish(fault)?;
    let p99 = Goal::within("p99 in detection", Some(told.detection_p99), CONNECT);
    Ok(told.row(vec![p99, told.no_errors()]))
}

/// Every packet is lost, those of established connections too, and nobody is told.
pub(super) fn dropped_established(ground: &Ground) -> Result<Row> {
    let sick = Provider::in_namespace(LATENCY_MS).context("a network namespace needs root and `ip`")?;
    let mut run = Run::start(ground, Layout::Levels, sick, ground.seconds)?;
    let fault = run.strike(|sick| sick.namespace.as_ref().context("it is in one")?.drop_packets())?;
    let told = run.finish(fault)?;
    let p99 = Goal::within("p99 in detection", Some(told.detection_p99), UNACKNOWLEDGED);
    Ok(told.row(vec![p99, told.no_errors()]))
}

/// Connections and bytes are taken, nothing is answered.
pub(super) fn stalled(ground: &Ground) -> Result<Row> {
    gray(ground, Layout::Levels, Provider::behind_relay(LATENCY_MS)?, |sick| wire(sick, Way::Silent))
}

/// Twenty times as slow. That is no fault, so no level is left for it: the two stand in one.
pub(super) fn slow(ground: &Ground) -> Result<Row> {
    gray(ground, Layout::OneLevel, Provider::start(LATENCY_MS)?, |sick| {
        sick.behave(&json!({ "latency_ms": LATENCY_MS * 20 }))
    })
}

/// Two calls in five get 503.
pub(super) fn half_broken(ground: &Ground) -> Result<Row> {
    gray(ground, Layout::Levels, Provider::start(LATENCY_MS)?, |sick| {
        sick.behave(&json!({ "latency_ms": LATENCY_MS, "error_permille": 400 }))
    })
}

/// One of two does not answer as it should, and looks alive; the other must get the traffic. Where the
/// breaker never opens, the share counts since detection.
fn gray(
    ground: &Ground,
    layout: Layout,
    sick: Provider,
    strike: impl FnOnce(&mut Provider) -> Result<()>,
) -> Result<Row> {
    let mut run = Run::start(ground, layout, sick, ground.seconds)?;
    let fault = run.strike(strike)?;
    let watch = run.watch()?;
    let told = run.finish(fault)?;
    let since = watch.share_since(fault);
    let (what, share) = match watch.share_while_open() {
        Some(share) => ("share to the sick one while open", share),
        None => ("share to the sick one, never open", since.unwrap_or(100.0)),
    };
    let goal = Goal::at_most(what, share, 5.0, " %");
    Ok(Row { sick_share: since, ..told.row(vec![goal]) })
}

/// Five seconds up, five seconds down, for a minute at least.
pub(super) fn flapping(ground: &Ground) -> Result<Row> {
    let seconds = ground.seconds.max(60);
    let mut run = Run::start(ground, Layout::Levels, Provider::behind_relay(LATENCY_MS)?, seconds)?;
    interrupt::pause_until(run.load.began + FLAP)?;
    let fault = Instant::now();
    let mut next = fault;
    for way in [Way::Reset, Way::Open].into_iter().cycle() {
        wire(&mut run.sick, way)?;
        next += FLAP;
        if next >= run.end {
            break;
        }
        interrupt::pause_until(next)?;
    }
    let told = run.finish(fault)?;
    let swings = told.calls.swings();
    let goal = Goal::at_most("traffic swings", swings as f64, 4.0, "");
    let row = told.row(vec![goal]);
    // It never recovers for good.
    Ok(Row { swings: Some(swings), recovery: None, ..row })
}

fn wire(provider: &mut Provider, way: Way) -> Result<()> {
    provider.relay.as_mut().context("there is a relay before it")?.set(way)
}
