//! The prober: looks at upstreams that nobody asks, and at those that are left alone.
//!
//! Runs on a thread of its own, beside requests. One look per upstream answers for all of its targets;
//! two that pass in a row count. Each look is a row of the ledger, and costs nothing unless the
//! configuration has it ask a model.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tollgate_accounting::ledger::{End, Entry, Flags, Identity, Kind, SHARED, posted_id};
use tollgate_domain::{Name, UnixMillis, UpstreamName, Usage};
use tollgate_proxy::{Attention, Look, Probed, Probes, Snapshot, Target, probe};

/// How often it is looked for what is due, and for the word to end.
const TICK: Duration = Duration::from_millis(200);
/// So many looks in a row have to pass before they count.
const ENOUGH: u32 = 2;

/// What a prober works with.
pub struct Prober<S, R> {
    /// The configuration in force.
    pub snapshot: S,
    /// Takes the row of each look.
    pub record: R,
    /// Who pays for the gateway, and which one it is: part of every row.
    pub organization: Name,
    /// The gateway's name.
    pub instance: Name,
    /// What the wall clock says.
    pub clock: fn() -> UnixMillis,
    /// Where the jitter begins.
    pub seed: u64,
}

/// What is known of an upstream between two looks.
struct Standing {
    since: Instant,
    attention: Attention,
    due: Instant,
    asking: bool,
    passes: u32,
}

/// An upstream that was looked at.
struct Seen {
    targets: Vec<Arc<Target>>,
    /// The target that was asked.
    asked: Option<Arc<Target>>,
    look: Look,
    began: UnixMillis,
    took: Duration,
    probed: Probed,
}

/// Looks at upstreams until `goes_on` says no.
///
/// # Cancel safety
/// What was found stays; a look on its way leaves no row.
pub async fn watch<S, R>(prober: Prober<S, R>, goes_on: impl Fn() -> bool)
where
    S: Fn() -> Arc<Snapshot>,
    R: Fn(Entry),
{
    let mut random = SmallRng::seed_from_u64(prober.seed);
    let mut known: HashMap<UpstreamName, Standing> = HashMap::new();
    let mut asked = FuturesUnordered::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if !goes_on() {
                    return;
                }
                let snapshot = (prober.snapshot)();
                let upstreams = by_upstream(&snapshot);
                known.retain(|name, _| upstreams.contains_key(name));
                for (name, targets) in upstreams {
                    let Some(settings) = settings(&targets) else { continue };
                    let jitter = random.next_u32() % 401;
                    if begin(&mut known, &name, &targets, &settings, jitter, Instant::now()) {
                        asked.push(look(targets, settings, (prober.clock)()));
                    }
                }
            }
            Some(seen) = asked.next() => {
                let snapshot = (prober.snapshot)();
                (prober.record)(row(&seen, &prober.organization, &prober.instance, &snapshot));
                take(&mut known, &seen, Instant::now());
            }
        }
    }
}

/// The targets that may be asked, by their upstream; each once.
fn by_upstream(snapshot: &Snapshot) -> HashMap<UpstreamName, Vec<Arc<Target>>> {
    let mut all: HashMap<UpstreamName, Vec<Arc<Target>>> = HashMap::new();
    for target in snapshot.targets().filter(|target| target.takes_requests()) {
        let targets = all.entry(target.upstream.name.clone()).or_default();
        if !targets.iter().any(|known| Arc::ptr_eq(&known.live, &target.live)) {
            targets.push(Arc::clone(target));
        }
    }
    all
}

fn settings(targets: &[Arc<Target>]) -> Option<Probes> {
    targets.first().and_then(|target| target.upstream.probes.clone())
}

/// True when the upstream is to be looked at now. `jitter`, 0 to 400, moves the next look by up to a fifth
/// either way.
fn begin(
    known: &mut HashMap<UpstreamName, Standing>,
    name: &UpstreamName,
    targets: &[Arc<Target>],
    settings: &Probes,
    jitter: u32,
    now: Instant,
) -> bool {
    let standing = known.entry(name.clone()).or_insert_with(|| Standing {
        since: now,
        attention: Attention::None,
        due: now,
        asking: false,
        passes: 0,
    });
    let needs = targets.iter().map(|target| Attention::to(&target.live, settings.idle, standing.since, now));
    let attention = needs.max().unwrap_or(Attention::None);
    let every = match attention {
        Attention::None => Duration::ZERO,
        Attention::Idle => settings.idle,
        Attention::Open => settings.open,
    };
    let every = every * (800 + jitter) / 1_000;
    if attention != standing.attention {
        standing.attention = attention;
        standing.passes = 0;
        // Whoever has just been found open is given its time; the silent one has had it.
        standing.due = if attention == Attention::Open { now + every } else { now };
    }
    if attention == Attention::None || standing.asking || now < standing.due {
        return false;
    }
    standing.asking = true;
    standing.due = now + every;
    true
}

async fn look(targets: Vec<Arc<Target>>, settings: Probes, began: UnixMillis) -> Seen {
    let from = Instant::now();
    let (asked, look) = match &settings.generate {
        Some(model) => (targets.iter().find(|target| target.model == *model), Look::Generation),
        None => (targets.first(), Look::List),
    };
    let probed = match asked {
        Some(target) => probe(target, look, settings.timeout, began).await,
        // An operator has taken it out.
        None => Probed::failed("no_target"),
    };
    let asked = asked.cloned();
    Seen { targets, asked, look, began, took: from.elapsed(), probed }
}

fn take(known: &mut HashMap<UpstreamName, Standing>, seen: &Seen, now: Instant) {
    let Some(first) = seen.targets.first() else { return };
    let (name, probed) = (&first.upstream.name, &seen.probed);
    tollgate_telemetry::probed(name.as_str(), probed.outcome);
    let Some(standing) = known.get_mut(name) else { return };
    standing.asking = false;
    if !probed.is_alive {
        standing.passes = 0;
        tracing::debug!(upstream = %name, outcome = probed.outcome, "a probe failed");
        return;
    }
    standing.passes += 1;
    if standing.passes >= ENOUGH && standing.attention == Attention::Open {
        standing.passes = 0;
        for target in &seen.targets {
            probed.relieves(target, now);
        }
        tracing::info!(upstream = %name, "probes passed; a request may try");
    }
}

/// The row of a look: nobody's, and free unless a model was asked.
fn row(seen: &Seen, organization: &Name, instance: &Name, snapshot: &Snapshot) -> Entry {
    let identity = Identity {
        organization: organization.clone(),
        instance: instance.clone(),
        team: SHARED.into(),
        project: SHARED.into(),
        key: SHARED.into(),
        cost_center: None,
        tags: Vec::new(),
    };
    let (probed, began) = (&seen.probed, seen.began);
    let target = seen.asked.as_ref().or(seen.targets.first());
    let (upstream, model) =
        target.map_or(("", ""), |target| (target.upstream.name.as_str(), target.model.as_str()));
    let took = u32::try_from(seen.took.as_millis()).unwrap_or(u32::MAX);
    let id = posted_id(began, &[b"probe", instance.as_bytes(), upstream.as_bytes()]);
    let mut row = Entry {
        ended_at: began.plus(i64::from(took)),
        place: target.map(|target| Arc::clone(&target.place)),
        dialect: Cow::Borrowed(target.map_or("", |target| target.upstream.dialect.as_str())),
        operation: Cow::Borrowed(operation(seen)),
        status: probed.status.unwrap_or_default(),
        error_code: (!probed.is_alive).then_some(Cow::Borrowed(probed.outcome)),
        end: Some(if probed.is_alive { End::Completed } else { End::UpstreamFailed }),
        duration_ms: took,
        config_version: snapshot.version,
        ..Entry::new(Kind::Probe, id, Arc::new(identity), model.into(), snapshot.currency.clone())
    };
    if let (Some(usage), Some(target)) = (probed.usage, &seen.asked) {
        charge(&mut row, usage, target);
    }
    row
}

fn operation(seen: &Seen) -> &'static str {
    let hub = seen.asked.as_ref().and_then(|target| target.upstream.dialect.codec().hub());
    match (seen.look, hub) {
        (Look::Generation, Some(hub)) => hub.operation().as_str(),
        _ => "list_models",
    }
}

/// What the few tokens have cost, at the price of the target that gave them.
fn charge(row: &mut Entry, usage: Usage, target: &Target) {
    row.usage = usage;
    let bill = target.price.as_ref().and_then(|line| line.at(row.started_at)).map(|price| price.bill(&usage));
    row.cost = bill.as_ref().map(|bill| bill.cost);
    match bill {
        Some(bill) => {
            row.meters = bill.meters;
            if bill.incomplete {
                row.flags.insert(Flags::PRICE_INCOMPLETE);
            }
        }
        None => row.flags.insert(Flags::UNPRICED),
    }
}
