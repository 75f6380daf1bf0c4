//! A data plane of one core with one key, its limits and its budget at three levels, one model and
//! one priced target.

use std::{net::SocketAddr, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tollgate_accounting::{
    ledger::{Identity, Journal, JournalOptions, Place},
    price::{PriceBook, PriceEntry, PriceLine, Rates},
    quota::{Budget, BudgetMode, Calendar, Limits, Period, Quotas, Scope, ScopeId, ScopeKind, ScopeRules},
};
use tollgate_dialect::{Apis, Dialect};
use tollgate_domain::{Money, Secret, UnixMillis};
use tollgate_proxy::{
    Balance, Credential, Crowd, DataPlane, Durability, InjectUsage, KeyRing, Listen, Live, OperatorState,
    Origin, Prepared, Presentation, Principal, Priority, Route, Routes, Scheme, Shared, Snapshot, Standing,
    Target, Timeouts, Upstream,
};
use tollgate_stores::SqliteResponses;

/// The client's secret.
pub(crate) const KEY: &str = "tg-bench-secret";

const MODEL: &str = "gpt-5-mini";
const UPSTREAM: &str = "openai-main";

pub(crate) struct Gateway {
    plane: DataPlane,
    _folder: TempDir,
}

impl Gateway {
    pub(crate) fn start(provider: SocketAddr) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let journal = Journal::open(folder.path(), JournalOptions::default()).expect("a journal");
        let live = Arc::new(Live::new(Quotas::new(Calendar::utc(), "USD".into())));
        let shared = Arc::new(Shared {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot(&live, provider))),
            live,
            journal: Arc::new(journal),
            durability: Durability::Process,
            ready: Arc::new(|| true),
            responses: Arc::new(SqliteResponses::open(Path::new(":memory:")).expect("a memory")),
            spans: None,
            trap: None,
        });
        let listen = Listen { address: SocketAddr::from(([127, 0, 0, 1], 0)), shared: false, tls: None };
        let plane = DataPlane::start(&shared, &listen, 1, || None).expect("a data plane");
        Self { plane, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.plane.address()
    }

    pub(crate) fn stop(self) {
        self.plane.cut();
        self.plane.join();
    }
}

fn snapshot(live: &Live, provider: SocketAddr) -> Snapshot {
    let mut keys = KeyRing::new([7; 32]);
    keys.insert(&Sha256::digest(KEY).into(), Arc::new(principal(live)));
    let route = Route {
        alias: "chat".into(),
        levels: vec![vec![Arc::new(target(live, provider))]],
        balance: Balance::P2c,
        max_output_tokens: Some(1_000),
        may_drop: Box::default(),
        fallback: None,
        hedge: None,
        failover_versions: false,
        spill_on_saturation: false,
        group: live.fleet.group(&"chat".into()),
        live: live.fleet.model(&"chat".into()),
    };
    let by_alias = std::iter::once(("chat".into(), Arc::new(route))).collect();
    Snapshot {
        version: 1,
        keys,
        routes: Routes { by_alias, ..Routes::default() },
        ..Snapshot::empty("USD".into())
    }
}

fn principal(live: &Live) -> Principal {
    Principal {
        identity: Arc::new(Identity {
            organization: "contoso".into(),
            instance: "bench".into(),
            team: "retail".into(),
            project: "search".into(),
            key: "ci".into(),
            cost_center: None,
            tags: Vec::new(),
        }),
        scopes: scopes(&live.quotas),
        models: std::iter::once("chat".into()).collect(),
        zones: None,
        expires: None,
        revoked: false,
        refusal_status: 429,
        hard_budget: true,
        reserve_full: true,
        request_tags: Vec::new(),
        prompts: Vec::new(),
        standing: Standing {
            priority: Priority::Standard,
            project: live.gate.project(&"retail/search".into()),
            crowd: Crowd { interactive: true, several: true },
        },
    }
}

fn scopes(quotas: &Quotas) -> Vec<Arc<Scope>> {
    let rules = ScopeRules {
        limits: Limits {
            requests_per_minute: Some(u32::MAX),
            tokens_per_minute: Some(1 << 50),
            ..Limits::default()
        },
        budget: Some(Budget::new(money("8000000"), Period::Month, BudgetMode::Hard)),
    };
    [(ScopeKind::Key, "retail/search/ci"), (ScopeKind::Project, "retail/search"), (ScopeKind::Team, "retail")]
        .map(|(kind, name)| quotas.scope(ScopeId { kind, name: name.into() }, rules.clone()))
        .to_vec()
}

fn target(live: &Live, provider: SocketAddr) -> Target {
    Target {
        upstream: Arc::new(upstream(live, provider)),
        model: MODEL.into(),
        weight: 1,
        version: None,
        is_provisioned: false,
        price: Some(price()),
        place: Arc::new(Place {
            provider: "openai".into(),
            account: None,
            upstream: UPSTREAM.into(),
            upstream_model: MODEL.into(),
            region: "local".into(),
            zone: "local".into(),
        }),
        live: live.fleet.target(&UPSTREAM.into(), &MODEL.into()),
        fate: live.fleet.fate_group(&"fate".into()),
        account: live.fleet.account(&"account".into()),
        prepared: Prepared::default(),
    }
}

fn upstream(live: &Live, provider: SocketAddr) -> Upstream {
    let secret = Secret::new("sk-bench-upstream".into());
    Upstream {
        name: UPSTREAM.into(),
        dialect: Dialect::OpenAi,
        region: "local".into(),
        zones: vec!["local".into()],
        region_zones: [].into(),
        origin: Arc::new(Origin {
            scheme: Scheme::Http,
            host: provider.ip().to_string(),
            port: provider.port(),
            allow_private: true,
        }),
        base_path: "/v1".into(),
        credential: Credential::new(&secret, Presentation::Bearer).expect("a secret of letters"),
        headers: Vec::new(),
        apis: Apis::Both,
        api_version: None,
        hears_of_traces: true,
        http2: false,
        inject_usage: InjectUsage::Always,
        timeouts: Timeouts::default(),
        max_concurrency: None,
        configured: OperatorState::Enabled,
        probes: None,
        failback: tollgate_proxy::Failback::Auto,
        live: live.fleet.upstream(&UPSTREAM.into()),
        region_live: live.fleet.region(&"local".into()),
        pool_key: UPSTREAM.into(),
        tls: None,
    }
}

fn price() -> PriceLine {
    let entry = PriceEntry {
        id: None,
        model: MODEL.into(),
        upstream: None,
        region: None,
        from: UnixMillis::new(0),
        currency: "USD".into(),
        per: 1_000_000,
        discount: 0,
        rates: Rates {
            input: Some(money("0.25")),
            cached_input: Some(money("0.025")),
            output: Some(money("2")),
            ..Rates::default()
        },
        tiers: Vec::new(),
        batch_multiplier: None,
        per_request: None,
        per_image: None,
        per_search: None,
        per_audio_minute: None,
        per_hour: None,
    };
    let book = PriceBook::build(vec![entry]).expect("a good price");
    book.line(None, &UPSTREAM.into(), &"north".into(), &MODEL.into()).expect("the price")
}

fn money(text: &str) -> Money {
    text.parse().expect("a decimal")
}
