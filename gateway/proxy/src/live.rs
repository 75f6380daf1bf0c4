//! What traffic and operators change: states, holds, breakers, load. Keyed by stable names, so it
//! outlives every snapshot.
//!
//! Everything here is shared by all cores. Reads on the request path are an atomic load or a lock
//! that is held for a few nanoseconds, never across an await.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering},
    },
    time::Instant,
};

use dashmap::DashMap;
use parking_lot::Mutex;
use tollgate_accounting::quota::Quotas;
use tollgate_domain::{Name, RegionName, UnixMillis, UpstreamModel, UpstreamName};

use crate::{
    drill::{Drills, Injection},
    failover::{Breaker, BreakerState, Hold, LoadEstimate, RetryBudget},
    findings::Findings,
    objectives::Objectives,
    served::ServedModels,
    unpriced::Unpriced,
    upstream::CredentialCell,
};

/// All live state of one process.
pub struct Live {
    /// Balances, rates and permits of every scope.
    pub quotas: Quotas,
    /// Health and operator states of everything that calls can be sent to.
    pub fleet: Fleet,
    /// Faults that are injected on purpose.
    pub drills: Drills,
    /// Requests between their head and their settlement, over all cores.
    pub in_flight: AtomicUsize,
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
            drills: Drills::default(),
            in_flight: AtomicUsize::new(0),
            objectives: Objectives::default(),
            findings: Findings::default(),
            unpriced: Unpriced::default(),
        }
    }
}

/// What an operator has said about a region, an upstream or a target.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum OperatorState {
    /// Takes requests.
    #[default]
    Enabled = 0,
    /// Takes requests whatever its breaker and holds say.
    Forced = 1,
    /// No new requests; those in flight finish.
    Draining = 2,
    /// No new requests, until an operator enables it again.
    Disabled = 3,
}

impl OperatorState {
    /// The name used by the admin API and in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Forced => "forced",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }

    /// The state with a name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Forced, Self::Draining, Self::Disabled]
            .into_iter()
            .find(|state| state.as_str() == name)
    }

    /// True while new requests may be sent there.
    #[must_use]
    pub const fn takes_requests(self) -> bool {
        matches!(self, Self::Enabled | Self::Forced)
    }

    const fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Forced,
            2 => Self::Draining,
            3 => Self::Disabled,
            _ => Self::Enabled,
        }
    }
}

/// An operator's word, with its story. Stands above the state in the file until it is cleared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Override {
    /// The state asked for.
    pub state: OperatorState,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Since when.
    pub since: UnixMillis,
    /// When it ends by itself.
    pub until: Option<UnixMillis>,
}

/// Where an override is kept; reading the state is one atomic load.
#[derive(Default)]
pub struct OperatorCell {
    /// 0: no override; else the state's bits plus one.
    effective: AtomicU8,
    word: Mutex<Option<Override>>,
}

impl OperatorCell {
    /// The override's state, or the configured one where there is no override.
    pub fn state(&self, configured: OperatorState) -> OperatorState {
        match self.effective.load(Ordering::Relaxed) {
            0 => configured,
            bits => OperatorState::from_bits(bits - 1),
        }
    }

    /// Puts an override in force, or clears it; for new requests at once.
    pub fn set(&self, word: Option<Override>) {
        let mut slot = self.word.lock();
        self.effective.store(word.as_ref().map_or(0, |word| word.state as u8 + 1), Ordering::Relaxed);
        *slot = word;
    }

    /// The override in force.
    pub fn word(&self) -> Option<Override> {
        self.word.lock().clone()
    }
}

/// Live state of a region.
pub struct RegionLive {
    /// Its name.
    pub name: RegionName,
    /// The operator's word on it.
    pub operator: OperatorCell,
    /// Attempts in flight there.
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
}

impl UpstreamLive {
    /// Stands in for this one in a drill: under the same operator, with slots of its own.
    pub(crate) fn understudy(&self) -> Self {
        Self { name: self.name.clone(), operator: Arc::clone(&self.operator), in_flight: AtomicU32::new(0) }
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
}

impl TargetLive {
    fn new(name: Name) -> Self {
        Self {
            name,
            operator: Arc::default(),
            in_flight: AtomicU32::new(0),
            hold: Hold::default(),
            served: ServedModels::default(),
            health: Mutex::new(Health { breaker: Breaker::default(), load: LoadEstimate::default() }),
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

    /// What an operator is shown.
    pub fn view(&self, now: Instant) -> TargetView {
        let mut health = self.health.lock();
        TargetView {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            breaker: health.breaker.state(now),
            success_permille: health.breaker.success_permille(now),
            ewma_ttft: health.load.value(now),
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
    pub ewma_ttft: std::time::Duration,
    /// How much longer it is held.
    pub hold: Option<std::time::Duration>,
}

/// Everything that calls can be sent to, by name.
#[derive(Default)]
pub struct Fleet {
    regions: DashMap<RegionName, Arc<RegionLive>>,
    upstreams: DashMap<UpstreamName, Arc<UpstreamLive>>,
    targets: DashMap<(UpstreamName, UpstreamModel), Arc<TargetLive>>,
    fate_groups: DashMap<Name, Arc<Hold>>,
    accounts: DashMap<Name, Arc<Hold>>,
    retries: DashMap<Name, Arc<RetryBudget>>,
    /// Of upstreams in use: one that is gone takes its secret with it.
    credentials: DashMap<Name, Weak<CredentialCell>>,
}

impl Fleet {
    /// The cell of a region, made when it is new.
    pub fn region(&self, name: &RegionName) -> Arc<RegionLive> {
        let make = || RegionLive {
            name: name.clone(),
            operator: OperatorCell::default(),
            in_flight: AtomicU32::new(0),
        };
        Arc::clone(&self.regions.entry(name.clone()).or_insert_with(|| Arc::new(make())))
    }

    /// The cell of an upstream, made when it is new.
    pub fn upstream(&self, name: &UpstreamName) -> Arc<UpstreamLive> {
        let make =
            || UpstreamLive { name: name.clone(), operator: Arc::default(), in_flight: AtomicU32::new(0) };
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

    /// The retry budget of an alias.
    pub fn retries(&self, alias: &Name) -> Arc<RetryBudget> {
        Arc::clone(
            &self.retries.entry(alias.clone()).or_insert_with(|| Arc::new(RetryBudget::new(Instant::now()))),
        )
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
        let over = |cell: &OperatorCell| {
            let ended = cell.word().is_some_and(|word| word.until.is_some_and(|until| now >= until));
            if ended {
                cell.set(None);
            }
            ended
        };
        let mut expired = Vec::new();
        expired.extend(
            self.regions.iter().filter(|r| over(&r.operator)).map(|r| Expired::Region(r.name.clone())),
        );
        expired.extend(
            self.upstreams.iter().filter(|u| over(&u.operator)).map(|u| Expired::Upstream(u.name.clone())),
        );
        expired.extend(
            self.targets.iter().filter(|t| over(&t.operator)).map(|t| Expired::Target(t.name.clone())),
        );
        expired
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
    fn cells_are_the_same_for_the_same_name() {
        let fleet = Fleet::default();
        let first = fleet.target(&"a".into(), &"m".into());
        assert!(Arc::ptr_eq(&first, &fleet.target(&"a".into(), &"m".into())));
        assert_eq!(&*first.name, "m@a");
    }
}
