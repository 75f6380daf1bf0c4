//! One gateway: live state of its own over the same four providers, two routes, three projects.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use smallvec::SmallVec;
use tollgate_accounting::ledger::Identity;

use super::{chance::Chance, laws::Meter, provider::PROVIDERS};
use crate::{
    live::{Fleet, Group, OperatorState},
    overload::{Crowd, Gate, Priority, Standing},
    route::{Candidate, RoutePlan},
    snapshot::{Balance, Failback, Principal, Route, Target, sample},
};

/// Zones that projects permit; the third one permits all.
pub(super) const PERMITTED: [Option<&str>; 3] = [Some("eu"), Some("us"), None];

/// What all gateways are configured with.
pub(super) struct Configuration {
    weights: [u32; 4],
    bounds: [Option<u32>; 4],
    provisioned: Option<usize>,
    shared_fate: bool,
    shared_account: bool,
    manual: bool,
    /// Of each route, the level of each provider; one without is not in it.
    levels: [[Option<usize>; 4]; 2],
    balances: [Balance; 2],
    spills: bool,
}

impl Configuration {
    pub(super) fn new(chance: &Chance) -> Self {
        let bound = || chance.percent(50).then(|| chance.between(4, 12) as u32);
        let level = || (!chance.percent(15)).then(|| chance.between(0, 3) as usize);
        let balance = || match chance.between(0, 4) {
            0 => Balance::Weighted,
            1 => Balance::Latency { sensitivity: 25 },
            2 => Balance::Affinity,
            _ => Balance::P2c,
        };
        Self {
            weights: std::array::from_fn(|_| chance.between(1, 5) as u32),
            bounds: std::array::from_fn(|_| bound()),
            provisioned: chance.percent(30).then(|| chance.between(0, 4) as usize),
            shared_fate: chance.percent(30),
            shared_account: chance.percent(30),
            manual: chance.percent(15),
            levels: [
                std::array::from_fn(|_| Some(chance.between(0, 3) as usize)),
                std::array::from_fn(|_| level()),
            ],
            balances: [balance(), balance()],
            spills: chance.percent(30),
        }
    }
}

pub(super) struct Gateway {
    pub(super) fleet: Fleet,
    pub(super) targets: Vec<Arc<Target>>,
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) principals: Vec<Principal>,
    /// What operators have said, by the kind and name of what they said it about.
    pub(super) words: BTreeMap<(&'static str, &'static str), OperatorState>,
    /// Until when throttles hold at least, by the address of the hold.
    pub(super) held: BTreeMap<usize, Instant>,
    /// Retries of each route.
    pub(super) meters: [Meter; 2],
    _gate: Gate,
}

impl Gateway {
    pub(super) fn new(of: &Configuration, began: Instant) -> Self {
        let fleet = Fleet::default();
        let targets: Vec<_> = (0..PROVIDERS.len()).map(|at| Arc::new(target(&fleet, of, at))).collect();
        let route = |at: usize, alias: &str| {
            let mut levels: Vec<Vec<Arc<Target>>> = vec![Vec::new(); 3];
            for (target, level) in targets.iter().zip(of.levels[at]) {
                if let Some(level) = level {
                    levels[level].push(Arc::clone(target));
                }
            }
            levels.retain(|level| !level.is_empty());
            Arc::new(Route {
                spill_on_saturation: of.spills,
                group: Arc::new(Group::new(began)),
                ..sample::route(&fleet, alias, of.balances[at], levels)
            })
        };
        let routes = vec![route(0, "chat"), route(1, "fast")];
        let gate = Gate::default();
        let principals = (0..PERMITTED.len()).map(|at| principal(&gate, at)).collect();
        let (words, held) = (BTreeMap::new(), BTreeMap::new());
        Self { fleet, targets, routes, principals, words, held, meters: Default::default(), _gate: gate }
    }

    /// The targets that residency permits, as a request's plan has them.
    pub(super) fn plan(&self, route: usize, project: usize) -> RoutePlan {
        let (route, principal) = (&self.routes[route], &self.principals[project]);
        let mut candidates = SmallVec::new();
        for (level, targets) in route.levels.iter().enumerate() {
            for target in targets.iter().filter(|target| principal.permits(target)) {
                candidates.push(Candidate { target: Arc::clone(target), level, price: None });
            }
        }
        RoutePlan::new(route, candidates)
    }

    /// True where a target stands in the first level of some route.
    pub(super) fn is_preferred(&self, target: &Target) -> bool {
        let first = self.routes.iter().filter_map(|route| route.levels.first());
        first.flatten().any(|one| Arc::ptr_eq(&one.live, &target.live))
    }
}

fn target(fleet: &Fleet, of: &Configuration, at: usize) -> Target {
    let (name, region, zone) = PROVIDERS[at];
    let mut target = sample::target(fleet, name, of.weights[at], of.bounds[at]);
    target.is_provisioned = of.provisioned == Some(at);
    if of.shared_fate && at < 2 {
        target.fate = fleet.fate_group(&"shared".into());
    }
    if of.shared_account && at >= 2 {
        target.account = fleet.account(&"shared".into());
    }
    let upstream = Arc::get_mut(&mut target.upstream).expect("nobody else has it");
    upstream.region = region.into();
    upstream.zones = vec![zone.into()];
    upstream.region_live = fleet.region(&region.into());
    if of.manual {
        upstream.failback = Failback::Manual;
    }
    target
}

fn principal(gate: &Gate, at: usize) -> Principal {
    let project = ["europe", "america", "anywhere"][at];
    Principal {
        identity: Arc::new(Identity {
            organization: "acme".into(),
            instance: "simulated".into(),
            team: "search".into(),
            project: project.into(),
            key: "main".into(),
            cost_center: None,
            tags: Vec::new(),
        }),
        scopes: Vec::new(),
        models: ["chat", "fast"].into_iter().map(Into::into).collect(),
        zones: PERMITTED[at].map(|zone| vec![zone.into()]),
        expires: None,
        revoked: false,
        refusal_status: 429,
        hard_budget: false,
        reserve_full: false,
        request_tags: Vec::new(),
        prompts: Vec::new(),
        standing: Standing {
            priority: [Priority::Interactive, Priority::Standard, Priority::Batch][at],
            project: gate.project(&project.into()),
            crowd: Crowd { interactive: true, several: true },
        },
    }
}
