//! What traffic and operators change: states, holds, breakers, load. Keyed by stable names, so it
//! outlives every snapshot.
//!
//! Everything here is shared by all cores. Reads on the request path are an atomic load or a lock
//! that is held for a few nanoseconds, never across an await.

mod group;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use parking_lot::Mutex;
use tollgate_accounting::quota::Quotas;
use tollgate_domain::{Name, RegionName, UnixMillis, UpstreamModel, UpstreamName};

use crate::{
    health::{Breaker, BreakerState, Hold, LoadEstimate, Passing},
    unpriced::Unpriced,
    upstream::CredentialCell,
};

pub use group::Group;

/// All live state of one process.
pub struct Live {
    /// Balances, rates and permits of every scope.
    pub quotas: Quotas,
    /// Health and operator states of everything that calls can be sent to.
    pub fleet: Fleet,
    /// Requests between their head and their settlement, over all cores.
    pub in_flight: AtomicUsize,
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
            in_flight: AtomicUsize::new(0),
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
    pub operator: OperatorCell,
    /// Attempts in flight there.
    pub in_flight: AtomicU32,
}

/// Live state of a target: an upstream's model.
pub struct TargetLive {
    /// `MODEL@UPSTREAM`, the name that operators use.
    pub name: Name,
    /// The operator's word on it.
    pub operator: OperatorCell,
    /// Attempts in flight there.
    pub in_flight: AtomicU32,
    /// Throttled, misconfigured or refused credential: no requests until a time.
    pub hold: Hold,
    health: Mutex<Health>,
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
            operator: OperatorCell::default(),
            in_flight: AtomicU32::new(0),
            hold: Hold::default(),
            health: Mutex::new(Health {
                breaker: Breaker::default(),
                load: LoadEstimate::default(),
                left: None,
            }),
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
    upstreams: DashMap<UpstreamName, Arc<UpstreamLive>>,
    targets: DashMap<(UpstreamName, UpstreamModel), Arc<TargetLive>>,
    fate_groups: DashMap<Name, Arc<Hold>>,
    accounts: DashMap<Name, Arc<Hold>>,
    groups: DashMap<Name, Arc<Group>>,
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
        let make = || UpstreamLive {
            name: name.clone(),
            operator: OperatorCell::default(),
            in_flight: AtomicU32::new(0),
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
