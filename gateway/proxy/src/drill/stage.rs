//! The routes of drilled calls: those of the configuration, with understudies for the targets in the
//! drilled place.
//!
//! An understudy has breaker, hold, load and slots of its own and the operators' cells of the real
//! target: what drilled calls suffer moves nobody else, and an operator's word reaches them too. Holds
//! of fate groups and accounts, and the retries of an alias, are of the drill's own where such a target
//! is in them.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Instant,
};

use tollgate_domain::{ModelAlias, Name, UpstreamName, ZoneName};

use super::{DrillPlace, Injection};
use crate::{
    health::Hold,
    live::{Group, TargetLive, UpstreamLive},
    snapshot::{Principal, Route, Routes, Snapshot, Target, Upstream},
};

/// What drilled calls see of one configuration.
pub(crate) struct Stage {
    of: Weak<Snapshot>,
    pub(crate) routes: Routes,
    /// Where each upstream processes data.
    zones: HashMap<UpstreamName, Vec<ZoneName>>,
}

/// Health of understudies: outlives a change of the configuration, ends with the drill. Holds are known
/// by the address of the real ones, which are never given back while the process lives.
#[derive(Default)]
pub(super) struct Cells {
    targets: HashMap<Name, Arc<TargetLive>>,
    upstreams: HashMap<UpstreamName, Arc<UpstreamLive>>,
    holds: HashMap<usize, Arc<Hold>>,
    groups: HashMap<ModelAlias, Arc<Group>>,
}

impl Stage {
    pub(super) fn set(
        place: &DrillPlace,
        snapshot: &Arc<Snapshot>,
        cells: &mut Cells,
        inject: impl Fn(&Arc<UpstreamLive>) -> Injection,
    ) -> Self {
        let covers = |target: &Target| place.covers(&target.upstream.name, &target.upstream.region);
        for target in snapshot.targets().filter(|target| covers(target)) {
            for hold in [&target.fate, &target.account] {
                cells.holds.entry(Arc::as_ptr(hold).addr()).or_default();
            }
        }
        let mut zones = HashMap::new();
        let mut routes = Routes { deployments: snapshot.routes.deployments.clone(), ..Routes::default() };
        for (alias, route) in &snapshot.routes.by_alias {
            let targets = || route.levels.iter().flatten();
            for target in targets() {
                zones.insert(target.upstream.name.clone(), target.upstream.zones.clone());
            }
            let staged = match targets().any(|target| covers(target)) {
                true => Arc::new(
                    cells.restage(route, |target| covers(target).then(|| inject(&target.upstream.live))),
                ),
                false => Arc::clone(route),
            };
            routes.by_alias.insert(alias.clone(), staged);
        }
        Self { of: Arc::downgrade(snapshot), routes, zones }
    }

    /// The weak reference keeps the address from being given to another configuration.
    pub(super) fn is_of(&self, snapshot: &Arc<Snapshot>) -> bool {
        std::ptr::eq(self.of.as_ptr(), Arc::as_ptr(snapshot))
    }

    /// The zone of an upstream that the project does not permit, if there is one.
    pub(super) fn misplaced(&self, upstream: &UpstreamName, principal: &Principal) -> Option<ZoneName> {
        let permitted = principal.zones.as_ref()?;
        self.zones.get(upstream)?.iter().find(|zone| !permitted.contains(zone)).cloned()
    }
}

impl Cells {
    fn restage(&mut self, route: &Route, inject: impl Fn(&Target) -> Option<Injection>) -> Route {
        let levels = route.levels.iter();
        let levels = levels
            .map(|level| level.iter().map(|target| Arc::new(self.restaged(target, inject(target)))).collect())
            .collect();
        let group = self.groups.entry(route.alias.clone());
        let group = group.or_insert_with(|| Arc::new(Group::new(Instant::now())));
        Route { levels, group: Arc::clone(group), ..route.clone() }
    }

    fn restaged(&mut self, target: &Target, injection: Option<Injection>) -> Target {
        let own = |hold: &Arc<Hold>| Arc::clone(self.holds.get(&Arc::as_ptr(hold).addr()).unwrap_or(hold));
        let (fate, account) = (own(&target.fate), own(&target.account));
        let Some(injection) = injection else { return Target { fate, account, ..target.clone() } };
        let live = self.targets.entry(target.live.name.clone());
        let live = Arc::clone(live.or_insert_with(|| Arc::new(target.live.understudy(injection))));
        let upstream = self.upstreams.entry(target.upstream.name.clone());
        let upstream = upstream.or_insert_with(|| Arc::new(target.upstream.live.understudy()));
        let upstream = Upstream { live: Arc::clone(upstream), ..(*target.upstream).clone() };
        Target { fate, account, live, upstream: Arc::new(upstream), ..target.clone() }
    }
}
