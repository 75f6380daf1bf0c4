//! What operators are shown of regions, upstreams, targets and models.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde::Serialize;
use tollgate_accounting::{Now, ledger::rfc3339};
use tollgate_domain::UnixMillis;
use tollgate_proxy::{
    BreakerState, OperatorCell, OperatorState, RegionLive, Route, Snapshot, Target, Upstream,
};

use super::Kind;

/// One region, upstream, target or model at one moment. What several targets share is shown at its worst.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// `region`, `upstream`, `target` or `model`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The region that an upstream or target is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The upstream that a target is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Where data is processed.
    pub zones: Vec<String>,
    /// `enabled`, `forced`, `draining` or `disabled`: the operator's word, else the configuration's.
    pub state: &'static str,
    /// The strictest state of it and of what it is part of.
    pub effective_state: &'static str,
    /// Why, as the operator said.
    pub reason: Option<String>,
    /// Who said so.
    pub author: Option<String>,
    /// Since when the operator's word is in force.
    pub since: Option<String>,
    /// When it ends by itself.
    pub until: Option<String>,
    /// Attempts in flight.
    pub in_flight: u32,
    /// `closed`, `half_open` or `open`.
    pub breaker: &'static str,
    /// It has left on its own, is used where nothing else is, and comes back when it is enabled or reset.
    pub awaits_operator: bool,
    /// Until when a throttle or a fault of configuration keeps requests away.
    pub hold_until: Option<String>,
    /// Mean time to the first content, recent and slow ones weighing more; null before the first.
    pub ewma_ttft_ms: Option<u64>,
    /// Share of attempts that succeeded in the last ten seconds; null without attempts.
    pub success_rate: Option<f64>,
    /// Of a region whose requests are moved: where to, and how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover: Option<FailoverShown>,
    /// Of an upstream whose credential has to be renewed: how it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialShown>,
}

/// How a region's requests are moved to another one.
#[derive(Clone, Debug, Serialize)]
pub struct FailoverShown {
    /// Where they go.
    pub to: String,
    /// `moving`, `moved` or `returning`.
    pub state: &'static str,
    /// The share that goes there now, in thousandths.
    pub share_permille: u16,
    /// How long the share changes.
    pub ramp_seconds: i64,
    /// Why, as was said.
    pub reason: String,
    /// Who said so; `gateway` when its time had run out.
    pub author: String,
    /// Since when.
    pub since: String,
    /// When the way back begins by itself.
    pub until: Option<String>,
}

impl FailoverShown {
    fn of(region: &RegionLive) -> Option<Self> {
        let order = region.moved.order()?;
        let share = region.moved.permille();
        Some(Self {
            to: order.to.to_string(),
            state: match order.to_permille {
                0 => "returning",
                whole if share == whole => "moved",
                _ => "moving",
            },
            share_permille: share,
            ramp_seconds: order.ramp_millis / 1_000,
            reason: order.reason,
            author: order.actor,
            since: rfc3339(order.since),
            until: order.until.map(rfc3339),
        })
    }
}

/// A credential that has to be renewed, without anything of it.
#[derive(Clone, Debug, Serialize)]
pub struct CredentialShown {
    /// `fresh`, `ageing` (there, and could not be renewed) or `missing` (requests go elsewhere).
    pub state: &'static str,
    /// When the one that is there ends; null where nobody says.
    pub expires_at: Option<String>,
    /// Why it could not be renewed.
    pub trouble: Option<String>,
}

impl CredentialShown {
    fn of(upstream: &Upstream, now: Now) -> Option<Self> {
        let view = upstream.credential.view(now.mono)?;
        let end = |left: Duration| now.wall.plus(i64::try_from(left.as_millis()).unwrap_or(i64::MAX));
        Some(Self {
            state: view.state.as_str(),
            expires_at: view.left.map(|left| rfc3339(end(left))),
            trouble: view.trouble.map(String::from),
        })
    }
}

/// Every region, by name.
#[must_use]
pub fn regions(snapshot: &Snapshot, now: Now) -> Vec<View> {
    let view = |region: &Arc<RegionLive>| {
        let targets = targets_where(snapshot, |upstream| upstream.region == region.name);
        let here = snapshot.upstreams.iter().filter(|upstream| upstream.region == region.name);
        let part = Part {
            kind: Kind::Region,
            name: region.name.to_string(),
            region: None,
            upstream: None,
            zones: zones(here.map(|upstream| &**upstream)),
            in_flight: region.in_flight.load(Ordering::Relaxed),
        };
        let health = Health::worst(&targets, now);
        let view = part.view(&region.operator, OperatorState::Enabled, OperatorState::Enabled, health);
        View { failover: FailoverShown::of(region), ..view }
    };
    by_name(snapshot.regions.iter().map(view))
}

/// Every upstream, by name.
#[must_use]
pub fn upstreams(snapshot: &Snapshot, now: Now) -> Vec<View> {
    let view = |upstream: &Arc<Upstream>| {
        let targets = targets_where(snapshot, |of| of.name == upstream.name);
        let part = Part {
            kind: Kind::Upstream,
            name: upstream.name.to_string(),
            region: Some(upstream.region.to_string()),
            upstream: None,
            zones: zones([&**upstream]),
            in_flight: upstream.live.in_flight.load(Ordering::Relaxed),
        };
        let above = upstream.region_live.operator.state(OperatorState::Enabled);
        let health = Health::worst(&targets, now);
        let view = part.view(&upstream.live.operator, upstream.configured, above, health);
        View { credential: CredentialShown::of(upstream, now), ..view }
    };
    by_name(snapshot.upstreams.iter().map(view))
}

fn targets_where(snapshot: &Snapshot, wanted: impl Fn(&Upstream) -> bool) -> Vec<&Arc<Target>> {
    snapshot.targets().filter(|target| wanted(&target.upstream)).collect()
}

fn by_name(views: impl Iterator<Item = View>) -> Vec<View> {
    let mut views: Vec<View> = views.collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    views
}

/// Every target, by name. One that several models share is shown once.
#[must_use]
pub fn targets(snapshot: &Snapshot, now: Now) -> Vec<View> {
    let by_name: BTreeMap<_, &Arc<Target>> =
        snapshot.targets().map(|target| (target.live.name.clone(), target)).collect();
    let view = |target: &Arc<Target>| {
        let upstream = &target.upstream;
        let part = Part {
            kind: Kind::Target,
            name: target.live.name.to_string(),
            region: Some(upstream.region.to_string()),
            upstream: Some(upstream.name.to_string()),
            zones: zones([&**upstream]),
            in_flight: target.live.in_flight.load(Ordering::Relaxed),
        };
        let above = upstream
            .region_live
            .operator
            .state(OperatorState::Enabled)
            .max(upstream.live.operator.state(upstream.configured));
        part.view(&target.live.operator, OperatorState::Enabled, above, Health::worst(&[target], now))
    };
    by_name.into_values().map(view).collect()
}

/// Every model, by name.
#[must_use]
pub fn models(snapshot: &Snapshot, now: Now) -> Vec<View> {
    let view = |route: &Arc<Route>| {
        let targets: Vec<&Arc<Target>> = route.levels.iter().flatten().collect();
        let part = Part {
            kind: Kind::Model,
            name: route.alias.to_string(),
            region: None,
            upstream: None,
            zones: zones(targets.iter().map(|target| &*target.upstream)),
            in_flight: route.live.in_flight.load(Ordering::Relaxed),
        };
        let health = Health::worst(&targets, now);
        part.view(&route.live.operator, OperatorState::Enabled, OperatorState::Enabled, health)
    };
    by_name(snapshot.routes.by_alias.values().map(view))
}

/// What is known of a view before its state and health.
struct Part {
    kind: Kind,
    name: String,
    region: Option<String>,
    upstream: Option<String>,
    zones: Vec<String>,
    in_flight: u32,
}

impl Part {
    /// `above` is the state of what it is part of.
    fn view(
        self,
        cell: &OperatorCell,
        configured: OperatorState,
        above: OperatorState,
        health: Health,
    ) -> View {
        let word = cell.word();
        let state = word.as_ref().map_or(configured, |word| word.state);
        View {
            kind: self.kind.as_str(),
            name: self.name,
            region: self.region,
            upstream: self.upstream,
            zones: self.zones,
            state: state.as_str(),
            effective_state: state.max(above).as_str(),
            reason: word.as_ref().map(|word| word.reason.clone()),
            author: word.as_ref().map(|word| word.actor.clone()),
            since: word.as_ref().map(|word| rfc3339(word.since)),
            until: word.as_ref().and_then(|word| word.until).map(rfc3339),
            in_flight: self.in_flight,
            breaker: health.breaker.as_str(),
            awaits_operator: health.is_away,
            hold_until: health.hold_until.map(rfc3339),
            ewma_ttft_ms: health.ewma_ttft.map(|ttft| u64::try_from(ttft.as_millis()).unwrap_or(u64::MAX)),
            success_rate: health.success_permille.map(|permille| f64::from(permille) / 1_000.0),
            failover: None,
            credential: None,
        }
    }
}

fn zones<'a>(upstreams: impl IntoIterator<Item = &'a Upstream>) -> Vec<String> {
    let mut zones: Vec<String> =
        upstreams.into_iter().flat_map(|upstream| &upstream.zones).map(ToString::to_string).collect();
    zones.sort();
    zones.dedup();
    zones
}

struct Health {
    breaker: BreakerState,
    is_away: bool,
    hold_until: Option<UnixMillis>,
    ewma_ttft: Option<Duration>,
    success_permille: Option<u32>,
}

impl Health {
    /// The worst figure of each sort among the targets; of none, a healthy one.
    fn worst(targets: &[&Arc<Target>], now: Now) -> Self {
        let healthy = Self {
            breaker: BreakerState::Closed,
            is_away: false,
            hold_until: None,
            ewma_ttft: None,
            success_permille: None,
        };
        targets.iter().map(|target| Self::of(target, now)).fold(healthy, Self::worse)
    }

    fn of(target: &Target, now: Now) -> Self {
        let view = target.live.view(now.mono);
        let shared = [&target.fate, &target.account].into_iter().filter_map(|hold| hold.until(now.mono));
        let hold = shared.map(|until| until.saturating_duration_since(now.mono)).chain(view.hold).max();
        Self {
            breaker: view.breaker,
            is_away: view.is_away,
            hold_until: hold.map(|left| now.wall.plus(i64::try_from(left.as_millis()).unwrap_or(i64::MAX))),
            ewma_ttft: (!target.live.load(|load| load.is_new())).then_some(view.ewma_ttft),
            success_permille: view.success_permille,
        }
    }

    fn worse(self, other: Self) -> Self {
        let lower = |a: Option<u32>, b: Option<u32>| a.into_iter().chain(b).min();
        Self {
            breaker: if severity(other.breaker) > severity(self.breaker) {
                other.breaker
            } else {
                self.breaker
            },
            is_away: self.is_away || other.is_away,
            hold_until: self.hold_until.max(other.hold_until),
            ewma_ttft: self.ewma_ttft.max(other.ewma_ttft),
            success_permille: lower(self.success_permille, other.success_permille),
        }
    }
}

const fn severity(breaker: BreakerState) -> u8 {
    match breaker {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}
