//! What traffic and operators change: states, holds, breakers, load. Keyed by stable names, so it
//! outlives every snapshot.
//!
//! Everything here is shared by all cores. Reads on the request path are an atomic load or a lock
//! that is held for a few nanoseconds, never across an await.

mod group;
mod moved;
mod operator;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use parking_lot::Mutex;
use tollgate_accounting::quota::Quotas;
use tollgate_domain::{ModelAlias, Name, RegionName, UnixMillis, UpstreamModel, UpstreamName};

use crate::{
    drill::{Drills, Injection},
    findings::Findings,
    health::{Breaker, BreakerState, Hold, LoadEstimate, Passing},
    objectives::Objectives,
    overload::{Gate, Room},
    served::ServedModels,
    unpriced::Unpriced,
    upstream::CredentialCell,
};

pub use group::Group;
pub use moved::{Move, MoveCell};
pub use operator::{OperatorCell, OperatorState, Override};

/// All live state of one process.
pub struct Live {
    /// Balances, rates and permits of every scope.
    pub quotas: Quotas,
    /// Health and operator states of everything that calls can be sent to.
    pub fleet: Fleet,
    /// What the process has taken on.
    pub gate: Gate,
    /// Faults that are injected on purpose.
    pub drills: Drills,
    /// What routes and projects are promised, and how much of it is kept.
    pub objectives: Objectives,
    /// What answers show that people must hear of.
    pub findings: Findings,
    /// Models without a price that were used lately.
    pub(crate) unpriced: Unpriced,
}

impl Live {
    /// Live state around restored quotas.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self {
            quotas,
            fleet: Fleet::default(),
            gate: Gate::default(),
            drills: Drills::default(),
            objectives: Objectives::default(),
            findings: Findings::default(),
            unpriced: Unpriced::default(),
        }
    }
}

/// Live state of a region.
pub struct RegionLive {
    /// Its name.
    pub name: RegionName,
    /// The operator's word on it.
    pub operator: OperatorCell,
    /// Its requests that an operator sends to another region.
    pub moved: MoveCell,
    /// Attempts in flight there.
    pub in_flight: AtomicU32,
}

/// Live state of a model, as clients call it.
pub struct ModelLive {
    /// Its name.
    pub name: ModelAlias,
    /// The operator's word on it.
    pub operator: OperatorCell,
    /// Attempts in flight for it.
    pub in_flight: AtomicU32,
}

/// Live state of an upstream.
pub struct UpstreamLive {
    /// Its name.
    pub name: UpstreamName,
    /// The operator's word on it.
    pub operator: Arc<OperatorCell>,
    /// Attempts in flight there.
    pub in_flight: AtomicU32,
    /// Its slots, where it has a bound, and who waits for them.
    pub(crate) room: Room,
}

impl UpstreamLive {
    /// How many requests wait for one of its slots.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.room.waiting()
    }
}

impl UpstreamLive {
    /// Stands in for this one in a drill: under the same operator, with slots of its own.
    pub(crate) fn understudy(&self) -> Self {
        Self {
            name: self.name.clone(),
            operator: Arc::clone(&self.operator),
            in_flight: AtomicU32::new(0),
            room: Room::default(),
        }
    }
}

/// Live state of a target: an upstream's model.
pub struct TargetLive {
    /// `MODEL@UPSTREAM`, the name that operators use.
    pub name: Name,
    /// The operator's word on it.
    pub operator: Arc<OperatorCell>,
    /// Attempts in flight there.
    pub in_flight: AtomicU32,
    /// Throttled, misconfigured or refused credential: no requests until a time.
    pub hold: Hold,
    /// Which models its upstream says it serves.
    pub(crate) served: ServedModels,
    health: Mutex<Health>,
    /// What its calls meet, where it stands in for a target in a drill.
    pub(crate) injection: Option<Injection>,
}

struct Health {
    breaker: Breaker,
    load: LoadEstimate,
    /// The region that it left on its own, where an operator has to say when it comes back.
    left: Option<RegionName>,
}

/// What a choice goes by, in one look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) passing: Passing,
    /// Mean time to the first content, fading while nothing is measured; `None` before the first.
    pub(crate) ewma: Option<Duration>,
    /// It waits for an operator to take it back.
    pub(crate) is_away: bool,
}

impl TargetLive {
    fn new(name: Name) -> Self {
        Self {
            name,
            operator: Arc::default(),
            in_flight: AtomicU32::new(0),
            hold: Hold::default(),
            served: ServedModels::default(),
            health: Mutex::new(Health {
                breaker: Breaker::default(),
                load: LoadEstimate::default(),
                left: None,
            }),
            injection: None,
        }
    }

    /// Stands in for this one in a drill: under the same operator, with a health of its own.
    pub(crate) fn understudy(&self, injection: Injection) -> Self {
        Self {
            operator: Arc::clone(&self.operator),
            injection: Some(injection),
            ..Self::new(format!("{} in a drill", self.name).into())
        }
    }

    /// Does something with the breaker; keep it short.
    pub fn breaker<R>(&self, act: impl FnOnce(&mut Breaker) -> R) -> R {
        act(&mut self.health.lock().breaker)
    }

    /// Does something with the load estimate; keep it short.
    pub fn load<R>(&self, act: impl FnOnce(&mut LoadEstimate) -> R) -> R {
        act(&mut self.health.lock().load)
    }

    /// What a choice goes by.
    pub(crate) fn sight(&self, now: Instant) -> Sight {
        let mut health = self.health.lock();
        Sight {
            passing: health.breaker.passing(now),
            ewma: health.load.faded(now),
            is_away: health.left.is_some(),
        }
    }

    /// It has left on its own, and comes back by an operator's word only.
    pub fn leave(&self, region: &RegionName) {
        self.health.lock().left = Some(region.clone());
    }

    /// True while it waits for an operator's word.
    pub fn is_away(&self) -> bool {
        self.health.lock().left.is_some()
    }

    /// An operator forgets what it has failed in: its breaker closes, and it takes its traffic back.
    pub fn reset(&self) {
        let mut health = self.health.lock();
        health.breaker.reset();
        health.left = None;
    }

    /// What an operator is shown.
    pub fn view(&self, now: Instant) -> TargetView {
        let mut health = self.health.lock();
        TargetView {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            breaker: health.breaker.state(now),
            success_permille: health.breaker.success_permille(now),
            ewma_ttft: health.load.value(),
            is_away: health.left.is_some(),
            hold: self.hold.until(now).map(|until| until.saturating_duration_since(now)),
        }
    }
}

/// A moment of a target's health.
#[derive(Clone, Copy, Debug)]
pub struct TargetView {
    /// Attempts in flight.
    pub in_flight: u32,
    /// State of the breaker.
    pub breaker: BreakerState,
    /// Successes per thousand samples of the last ten seconds; `None` without samples.
    pub success_permille: Option<u32>,
    /// Peak-weighted mean time to the first content event.
    pub ewma_ttft: Duration,
    /// It is healthy again or on the way there, and waits for an operator's word.
    pub is_away: bool,
    /// How much longer it is held.
    pub hold: Option<Duration>,
}

/// Everything that calls can be sent to, by name.
#[derive(Default)]
pub struct Fleet {
    regions: DashMap<RegionName, Arc<RegionLive>>,
    models: DashMap<ModelAlias, Arc<ModelLive>>,
    upstreams: DashMap<UpstreamName, Arc<UpstreamLive>>,
    targets: DashMap<(UpstreamName, UpstreamModel), Arc<TargetLive>>,
    fate_groups: DashMap<Name, Arc<Hold>>,
    accounts: DashMap<Name, Arc<Hold>>,
    groups: DashMap<Name, Arc<Group>>,
    /// Of upstreams in use: one that is gone takes its secret with it.
    credentials: DashMap<Name, Weak<CredentialCell>>,
    /// How often something in flight was told to end; see [`OperatorCell::is_cut`].
    cuts: AtomicU32,
}

impl Fleet {
    /// The cell of a region, made when it is new.
    pub fn region(&self, name: &RegionName) -> Arc<RegionLive> {
        let make = || RegionLive {
            name: name.clone(),
            operator: OperatorCell::default(),
            moved: MoveCell::default(),
            in_flight: AtomicU32::new(0),
        };
        Arc::clone(&self.regions.entry(name.clone()).or_insert_with(|| Arc::new(make())))
    }

    /// The cell of a model, made when it is new.
    pub fn model(&self, name: &ModelAlias) -> Arc<ModelLive> {
        let make = || ModelLive {
            name: name.clone(),
            operator: OperatorCell::default(),
            in_flight: AtomicU32::new(0),
        };
        Arc::clone(&self.models.entry(name.clone()).or_insert_with(|| Arc::new(make())))
    }

    /// The cell of an upstream, made when it is new.
    pub fn upstream(&self, name: &UpstreamName) -> Arc<UpstreamLive> {
        let make = || UpstreamLive {
            name: name.clone(),
            operator: Arc::default(),
            in_flight: AtomicU32::new(0),
            room: Room::default(),
        };
        Arc::clone(&self.upstreams.entry(name.clone()).or_insert_with(|| Arc::new(make())))
    }

    /// The cell of a target, made when it is new.
    pub fn target(&self, upstream: &UpstreamName, model: &UpstreamModel) -> Arc<TargetLive> {
        let make = || TargetLive::new(format!("{model}@{upstream}").into());
        Arc::clone(&self.targets.entry((upstream.clone(), model.clone())).or_insert_with(|| Arc::new(make())))
    }

    /// The hold that targets share which fail together: same dialect, model and region unless
    /// configured otherwise.
    pub fn fate_group(&self, name: &Name) -> Arc<Hold> {
        Arc::clone(&self.fate_groups.entry(name.clone()).or_default())
    }

    /// The hold of an account whose quota is spent.
    pub fn account(&self, name: &Name) -> Arc<Hold> {
        Arc::clone(&self.accounts.entry(name.clone()).or_default())
    }

    /// What all requests of an alias share.
    pub fn group(&self, alias: &Name) -> Arc<Group> {
        Arc::clone(&self.groups.entry(alias.clone()).or_insert_with(|| Arc::new(Group::new(Instant::now()))))
    }

    /// Takes the targets back that left on their own, of those that are meant: by upstream, model and the
    /// region they stood in.
    pub fn take_back(&self, is_meant: impl Fn(&UpstreamName, &UpstreamModel, &RegionName) -> bool) {
        for target in &self.targets {
            let (upstream, model) = target.key();
            let mut health = target.value().health.lock();
            if health.left.as_ref().is_some_and(|region| is_meant(upstream, model, region)) {
                health.left = None;
            }
        }
    }

    /// Where a credential is kept while it lives. `identity` tells whose it is and where it comes from:
    /// a reload that changes neither finds what was issued before.
    pub fn credential(&self, identity: &Name) -> Arc<CredentialCell> {
        self.credentials.retain(|_, cell| cell.strong_count() > 0);
        let mut slot = self.credentials.entry(identity.clone()).or_default();
        slot.upgrade().unwrap_or_else(|| {
            let cell = Arc::default();
            *slot = Arc::downgrade(&cell);
            cell
        })
    }

    /// Clears every override that has run out, and names what returned.
    pub fn expire_overrides(&self, now: UnixMillis) -> Vec<Expired> {
        self.overridden(|cell| cell.expire(now))
    }

    /// Tells requests in flight where a deadline has come to end now, and names what they are at.
    pub fn cut_overdue(&self, now: UnixMillis) -> Vec<Expired> {
        let cut = self.overridden(|cell| cell.cut_overdue(now));
        if !cut.is_empty() {
            self.cuts.fetch_add(1, Ordering::Release);
        }
        cut
    }

    /// Changes whenever something in flight was told to end.
    pub(crate) fn cuts(&self) -> u32 {
        self.cuts.load(Ordering::Acquire)
    }

    /// Every region whose requests are moved; each share is made that of this moment.
    pub fn follow_moves(&self, now: UnixMillis) -> Vec<(RegionName, Move)> {
        let moves = self.regions.iter().filter_map(|region| {
            let order = region.moved.follow(now)?;
            Some((region.name.clone(), order))
        });
        moves.collect()
    }

    /// What every override is about for which `is_wanted` holds.
    fn overridden(&self, is_wanted: impl Fn(&OperatorCell) -> bool) -> Vec<Expired> {
        let regions = self.regions.iter().filter(|region| is_wanted(&region.operator));
        let mut found: Vec<Expired> = regions.map(|region| Expired::Region(region.name.clone())).collect();
        let upstreams = self.upstreams.iter().filter(|upstream| is_wanted(&upstream.operator));
        found.extend(upstreams.map(|upstream| Expired::Upstream(upstream.name.clone())));
        let targets = self.targets.iter().filter(|target| is_wanted(&target.operator));
        found.extend(targets.map(|target| Expired::Target(target.name.clone())));
        let models = self.models.iter().filter(|model| is_wanted(&model.operator));
        found.extend(models.map(|model| Expired::Model(model.name.clone())));
        found
    }
}

/// What an ended override was about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expired {
    /// A region.
    Region(RegionName),
    /// An upstream.
    Upstream(UpstreamName),
    /// A target, `MODEL@UPSTREAM`.
    Target(Name),
    /// A model, as clients call it.
    Model(ModelAlias),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_stands_above_the_file_until_it_is_cleared_or_ends() {
        let fleet = Fleet::default();
        let region = fleet.region(&"eu".into());
        let word = Override {
            state: OperatorState::Draining,
            reason: "maintenance".into(),
            actor: "ops".into(),
            since: UnixMillis::new(0),
            until: Some(UnixMillis::new(100)),
            cut_at: None,
        };
        region.operator.set(Some(word));
        assert_eq!(region.operator.state(OperatorState::Enabled), OperatorState::Draining);
        assert!(fleet.expire_overrides(UnixMillis::new(99)).is_empty());
        assert_eq!(fleet.expire_overrides(UnixMillis::new(100)), [Expired::Region("eu".into())]);
        assert_eq!(region.operator.state(OperatorState::Disabled), OperatorState::Disabled);
    }

    #[test]
    fn a_credential_outlives_a_reload_and_not_its_upstream() {
        let fleet = Fleet::default();
        let (first, other) = (fleet.credential(&"a".into()), fleet.credential(&"b".into()));
        assert!(Arc::ptr_eq(&first, &fleet.credential(&"a".into())) && !Arc::ptr_eq(&first, &other));
        drop((first, other));
        let _again = fleet.credential(&"a".into());
        assert_eq!(fleet.credentials.len(), 1, "what nobody uses is not kept");
    }

    #[test]
    fn a_target_that_has_left_is_taken_back_by_the_word_on_its_region() {
        let fleet = Fleet::default();
        let target = fleet.target(&"a".into(), &"m".into());
        target.leave(&"eu".into());
        fleet.take_back(|_, _, region| region.as_str() == "us");
        assert!(target.is_away());
        fleet.take_back(|_, _, region| region.as_str() == "eu");
        assert!(!target.is_away());
    }

    #[test]
    fn cells_are_the_same_for_the_same_name() {
        let fleet = Fleet::default();
        let first = fleet.target(&"a".into(), &"m".into());
        assert!(Arc::ptr_eq(&first, &fleet.target(&"a".into(), &"m".into())));
        assert_eq!(&*first.name, "m@a");
    }
}
