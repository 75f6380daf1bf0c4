//! A snapshot made by hand, with what a test wants to be different.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use sha2::{Digest, Sha256};
use tollgate_accounting::{
    ledger::{Identity, Place},
    price::{PriceBook, PriceEntry, Rates},
    quota::{BudgetMode, ScopeId, ScopeKind, ScopeRules},
};
use tollgate_dialect::{Apis, Dialect};
use tollgate_domain::{ModelAlias, ModelVersion, Secret, UnixMillis, UpstreamName};
use tollgate_proxy::{
    Balance, ByName, Credential, Crowd, Durability, EdgeLimits, Failback, Hedge, InjectUsage, KeyRing, Live,
    OperatorState, Origin, Prepared, Presentation, Principal, Priority, Route, Routes, Scheme, Snapshot,
    Standing, Target, Timeouts, Upstream, Waste,
};
use tollgate_simulator::Simulator;

/// The secrets of the keys that every test has.
pub(crate) const KEY: &str = "tg-client-secret";
/// Of another project of the same team.
pub(crate) const NEIGHBOUR: &str = "tg-neighbour-secret";
pub(crate) const EXPIRED: &str = "tg-expired-secret";
pub(crate) const REVOKED: &str = "tg-revoked-secret";
/// The key of the first secret is a pair too: this id, with this secret to sign with.
pub(crate) const PAIR: (&str, &str) = ("TLGPAIR00000001", "tg-pair-secret-0123456789");
/// A pair whose time is over.
pub(crate) const EXPIRED_PAIR: &str = "TLGPAIR00000002";
/// What the gateway shows its upstreams.
pub(crate) const UPSTREAM_SECRET: &str = "sk-upstream-secret";

/// Prices of every model here, for a million tokens: input 1, cached input 0.1, output 10.
const PICO_PER_INPUT: i128 = 1_000_000;
const PICO_PER_CACHED: i128 = 100_000;
const PICO_PER_OUTPUT: i128 = 10_000_000;

/// What so many tokens cost, by arithmetic of the test's own.
pub(crate) fn cost(input: u64, cached: u64, output: u64) -> tollgate_domain::Money {
    let times = |tokens: u64, pico: i128| i128::from(tokens) * pico;
    tollgate_domain::Money::from_pico(
        times(input - cached, PICO_PER_INPUT)
            + times(cached, PICO_PER_CACHED)
            + times(output, PICO_PER_OUTPUT),
    )
}

/// What a gateway is started with. Each target has a level of its own, in the order given.
pub(crate) struct Setup {
    pub(crate) targets: Vec<TargetSetup>,
    /// All targets stand in one level.
    pub(crate) one_level: bool,
    pub(crate) balance: Balance,
    pub(crate) spill_on_saturation: bool,
    pub(crate) waste: Waste,
    pub(crate) rules: Rules,
    pub(crate) zones: Option<Vec<&'static str>>,
    pub(crate) reserve_full: bool,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) edge: EdgeLimits,
    pub(crate) trap: Option<fn(&str)>,
    pub(crate) durability: Durability,
    pub(crate) disk: super::DiskInHand,
    /// A sync that takes longer stops admission.
    pub(crate) slow_sync: std::time::Duration,
    pub(crate) tls: Option<tollgate_proxy::ListenerTls>,
    /// Whether the models have prices.
    pub(crate) priced: bool,
    /// Every target serves `chat`, `claude`, `gemini` and `nova`, whatever it speaks.
    pub(crate) mixed: bool,
    /// Stored prompts of the project, each with the upstream that has it.
    pub(crate) prompts: Vec<(Box<str>, UpstreamName)>,
    /// Members that may be left out for a target of another dialect.
    pub(crate) may_drop: Vec<&'static str>,
    /// A failing call may be moved to another version.
    pub(crate) failover_versions: bool,
    /// An alias, and the one that takes what is too long for it.
    pub(crate) hedge: Option<Hedge>,
    pub(crate) fallback: Option<(&'static str, &'static str)>,
    /// More keys: secret, project, priority.
    pub(crate) keys: Vec<(String, String, Priority)>,
    pub(crate) crowd: Crowd,
}

/// Rules at the three levels.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) key: ScopeRules,
    pub(crate) project: ScopeRules,
    pub(crate) team: ScopeRules,
}

/// A target of the alias that its dialect has here: `chat`, `claude`, `gemini` or `nova`.
pub(crate) struct TargetSetup {
    pub(crate) address: SocketAddr,
    pub(crate) name: String,
    pub(crate) region: &'static str,
    pub(crate) dialect: Dialect,
    /// Another model than the one that its dialect has here.
    pub(crate) other_model: Option<&'static str>,
    pub(crate) apis: Apis,
    pub(crate) timeouts: Timeouts,
    pub(crate) http2: bool,
    pub(crate) inject_usage: InjectUsage,
    pub(crate) fate: String,
    pub(crate) account: String,
    pub(crate) max_concurrency: Option<u32>,
    /// What it serves beside its own.
    pub(crate) also: Vec<&'static str>,
    /// The version of the model that it serves.
    pub(crate) version: Option<&'static str>,
    pub(crate) weight: u32,
    pub(crate) is_provisioned: bool,
    pub(crate) failback: Failback,
    /// Another credential than [`UPSTREAM_SECRET`].
    pub(crate) credential: Option<Credential>,
}

impl TargetSetup {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let name = format!("up-{}", address.port());
        Self {
            address,
            region: "eu",
            dialect: Dialect::OpenAi,
            other_model: None,
            apis: Apis::Both,
            timeouts: Timeouts::default(),
            http2: false,
            inject_usage: InjectUsage::Always,
            fate: name.clone(),
            account: name.clone(),
            max_concurrency: None,
            also: Vec::new(),
            version: None,
            weight: 1,
            is_provisioned: false,
            failback: Failback::Auto,
            credential: None,
            name,
        }
    }

    fn alias(&self) -> &'static str {
        match self.dialect {
            Dialect::Anthropic => "claude",
            Dialect::Gemini => "gemini",
            Dialect::Bedrock => "nova",
            _ => "chat",
        }
    }

    fn model(&self) -> &'static str {
        self.other_model.unwrap_or(match self.dialect {
            Dialect::Anthropic => "claude-sonnet-4-5",
            Dialect::Gemini => "gemini-2.5-flash",
            Dialect::Bedrock => "amazon.nova-lite-v1:0",
            Dialect::Cohere => "embed-v4.0",
            _ => "gpt-5-mini",
        })
    }
}

impl From<&Simulator> for TargetSetup {
    fn from(simulator: &Simulator) -> Self {
        Self::at(simulator.addr())
    }
}

impl From<SocketAddr> for TargetSetup {
    fn from(address: SocketAddr) -> Self {
        Self::at(address)
    }
}

impl Setup {
    pub(crate) fn new(targets: impl IntoIterator<Item = impl Into<TargetSetup>>) -> Self {
        Self {
            targets: targets.into_iter().map(Into::into).collect(),
            one_level: false,
            balance: Balance::P2c,
            spill_on_saturation: false,
            waste: Waste::Platform,
            rules: Rules::default(),
            zones: None,
            reserve_full: false,
            max_output_tokens: Some(1_000),
            edge: EdgeLimits::default(),
            trap: None,
            durability: Durability::Process,
            disk: super::DiskInHand::default(),
            slow_sync: std::time::Duration::from_secs(3_600),
            tls: None,
            priced: true,
            mixed: false,
            prompts: Vec::new(),
            may_drop: Vec::new(),
            failover_versions: false,
            hedge: None,
            fallback: None,
            keys: Vec::new(),
            crowd: Crowd::default(),
        }
    }

    /// The same with other bounds on every target's steps.
    pub(crate) fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.targets.iter_mut().for_each(|target| target.timeouts = timeouts);
        self
    }

    pub(super) fn snapshot(&self, live: &Live) -> Snapshot {
        let mut keys = KeyRing::new([7; 32]);
        let mut add = |secret: &str, principal: Principal| {
            assert!(keys.insert(&Sha256::digest(secret).into(), Arc::new(principal)));
        };
        add(KEY, self.principal(live));
        let own = self.owner(live, "neighbour", Priority::Standard);
        add(NEIGHBOUR, Principal { prompts: Vec::new(), ..own });
        for (secret, project, priority) in &self.keys {
            add(secret, self.owner(live, project, *priority));
        }
        add(EXPIRED, Principal { expires: Some(UnixMillis::new(1)), ..self.principal(live) });
        add(REVOKED, Principal { revoked: true, ..self.principal(live) });
        let pair = |id: &str, principal| (id.to_owned(), Secret::new(PAIR.1.into()), Arc::new(principal));
        let expired = Principal { expires: Some(UnixMillis::new(1)), ..self.principal(live) };
        for (id, secret, principal) in [pair(PAIR.0, self.principal(live)), pair(EXPIRED_PAIR, expired)] {
            assert!(keys.insert_pair(id, secret, principal));
        }
        Snapshot {
            version: 1,
            keys,
            routes: Routes { by_alias: self.routes(live), ..Routes::default() },
            edge: self.edge,
            waste: self.waste,
            ..Snapshot::empty("USD".into())
        }
    }

    fn principal(&self, live: &Live) -> Principal {
        let scope = |kind, name: &str, rules: &ScopeRules| {
            live.quotas.scope(ScopeId { kind, name: name.into() }, rules.clone())
        };
        let rules = [&self.rules.key, &self.rules.project, &self.rules.team];
        let budgets = rules.into_iter().filter_map(|rules| rules.budget.as_ref());
        Principal {
            identity: Arc::new(Identity {
                organization: "acme".into(),
                instance: "test".into(),
                team: "search".into(),
                project: "assistant".into(),
                key: "main".into(),
                cost_center: None,
                tags: Vec::new(),
            }),
            scopes: vec![
                scope(ScopeKind::Key, "search/assistant/main", rules[0]),
                scope(ScopeKind::Project, "search/assistant", rules[1]),
                scope(ScopeKind::Team, "search", rules[2]),
            ],
            models: ["chat", "claude", "gemini", "nova", "nowhere"]
                .into_iter()
                .map(ModelAlias::from)
                .collect(),
            zones: self.zones.as_ref().map(|zones| zones.iter().map(|zone| (*zone).into()).collect()),
            expires: None,
            revoked: false,
            refusal_status: 429,
            hard_budget: budgets.into_iter().any(|budget| budget.mode == BudgetMode::Hard),
            reserve_full: self.reserve_full,
            request_tags: Vec::new(),
            prompts: self.prompts.clone(),
            standing: self.standing(live, "assistant", Priority::Standard),
        }
    }

    fn standing(&self, live: &Live, project: &str, priority: Priority) -> Standing {
        let project = live.gate.project(&format!("search/{project}").into());
        Standing { priority, project, crowd: self.crowd }
    }

    /// The owner of a key of another project.
    fn owner(&self, live: &Live, project: &str, priority: Priority) -> Principal {
        let own = self.principal(live);
        let identity = Arc::new(Identity { project: project.into(), ..(*own.identity).clone() });
        Principal { identity, standing: self.standing(live, project, priority), ..own }
    }

    fn routes(&self, live: &Live) -> ByName<ModelAlias, Arc<Route>> {
        let mut levels: HashMap<&str, Vec<Vec<Arc<Target>>>> = HashMap::new();
        for target in &self.targets {
            let made = Arc::new(self.target(target, live));
            for alias in ["chat", "claude", "gemini", "nova"] {
                if alias == target.alias() || self.mixed || target.also.contains(&alias) {
                    let levels = levels.entry(alias).or_default();
                    match levels.last_mut().filter(|_| self.one_level) {
                        Some(level) => level.push(Arc::clone(&made)),
                        None => levels.push(vec![Arc::clone(&made)]),
                    }
                }
            }
        }
        // A model that exists and that no key may call.
        if let Some(some) = levels.values().next().cloned() {
            levels.insert("forbidden", some);
        }
        let route = |alias: &str, levels| Route {
            alias: alias.into(),
            levels,
            balance: self.balance,
            max_output_tokens: self.max_output_tokens,
            may_drop: self.may_drop.iter().map(|name| (*name).into()).collect(),
            hedge: self.hedge,
            fallback: self.fallback.filter(|(of, _)| *of == alias).map(|(_, to)| to.into()),
            failover_versions: self.failover_versions,
            spill_on_saturation: self.spill_on_saturation,
            group: live.fleet.group(&alias.into()),
            live: live.fleet.model(&alias.into()),
        };
        levels.into_iter().map(|(alias, levels)| (alias.into(), Arc::new(route(alias, levels)))).collect()
    }

    fn target(&self, setup: &TargetSetup, live: &Live) -> Target {
        let name = setup.name.as_str().into();
        let model = setup.model().into();
        Target {
            price: self.priced.then(|| prices().line(None, &name, &"north".into(), &model)).flatten(),
            weight: setup.weight,
            version: setup.version.map(ModelVersion::given),
            is_provisioned: setup.is_provisioned,
            place: Arc::new(Place {
                provider: setup.dialect.as_str().into(),
                account: None,
                upstream: name.clone(),
                upstream_model: model.clone(),
                region: setup.region.into(),
                zone: setup.region.into(),
            }),
            live: live.fleet.target(&name, &model),
            fate: live.fleet.fate_group(&setup.fate.as_str().into()),
            account: live.fleet.account(&setup.account.as_str().into()),
            upstream: Arc::new(upstream(setup, live)),
            model,
            prepared: Prepared::default(),
        }
    }
}

fn upstream(setup: &TargetSetup, live: &Live) -> Upstream {
    let name = setup.name.as_str().into();
    let region = setup.region.into();
    let (presentation, base_path) = match setup.dialect {
        Dialect::Anthropic => (Presentation::XApiKey, ""),
        Dialect::Gemini => (Presentation::XGoogApiKey, ""),
        Dialect::Bedrock | Dialect::Cohere | Dialect::AzureOpenAi => (Presentation::Bearer, ""),
        _ => (Presentation::Bearer, "/v1"),
    };
    Upstream {
        dialect: setup.dialect,
        apis: setup.apis,
        zones: vec![setup.region.into()],
        region_zones: [("eastus".into(), "us".into())].into(),
        origin: Arc::new(Origin {
            scheme: Scheme::Http,
            host: setup.address.ip().to_string(),
            port: setup.address.port(),
            allow_private: true,
        }),
        base_path: base_path.into(),
        credential: setup.credential.clone().unwrap_or_else(|| {
            Credential::new(&Secret::new(UPSTREAM_SECRET.into()), presentation).expect("sendable")
        }),
        headers: Vec::new(),
        api_version: None,
        hears_of_traces: true,
        http2: setup.http2,
        inject_usage: setup.inject_usage,
        timeouts: setup.timeouts,
        max_concurrency: setup.max_concurrency,
        configured: OperatorState::Enabled,
        probes: None,
        failback: setup.failback,
        live: live.fleet.upstream(&name),
        region_live: live.fleet.region(&region),
        pool_key: setup.name.as_str().into(),
        tls: None,
        name,
        region,
    }
}

fn prices() -> PriceBook {
    let entry = |model: &str| PriceEntry {
        id: None,
        model: model.into(),
        upstream: None,
        region: None,
        from: UnixMillis::new(0),
        currency: "USD".into(),
        per: 1_000_000,
        discount: 0,
        rates: Rates {
            input: Some("1".parse().expect("a decimal")),
            cached_input: Some("0.1".parse().expect("a decimal")),
            output: Some("10".parse().expect("a decimal")),
            characters: Some("15".parse().expect("a decimal")),
            ..Rates::default()
        },
        tiers: Vec::new(),
        batch_multiplier: None,
        per_request: None,
        per_image: None,
        per_search: Some("0.002".parse().expect("a decimal")),
        per_audio_minute: Some("0.006".parse().expect("a decimal")),
        per_hour: None,
    };
    let models = [
        "gpt-5-mini",
        "claude-sonnet-4-5",
        "gemini-2.5-flash",
        "amazon.nova-lite-v1:0",
        "embed-v4.0",
        "amazon.titan-embed-text-v2:0",
        "cohere.embed-v4:0",
    ];
    PriceBook::build(models.map(entry).into()).expect("good prices")
}
