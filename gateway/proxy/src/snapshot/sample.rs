//! Targets and a route for tests that decide about targets and never call one.

use std::sync::Arc;

use tollgate_accounting::ledger::Place;
use tollgate_dialect::{Apis, Dialect};
use tollgate_domain::Secret;

use super::{Balance, Failback, InjectUsage, Prepared, Route, Target, Timeouts, Upstream};
use crate::{
    live::{Fleet, OperatorState},
    upstream::{Credential, Origin, Presentation, Scheme},
};

/// The model `m` on an upstream of this name, in `eu`.
pub(crate) fn target(fleet: &Fleet, name: &str, weight: u32, max_concurrency: Option<u32>) -> Target {
    Target {
        weight,
        version: None,
        is_provisioned: false,
        price: None,
        place: Arc::new(Place {
            provider: "openai".into(),
            account: None,
            upstream: name.into(),
            upstream_model: "m".into(),
            region: "eu".into(),
            zone: "eu".into(),
        }),
        live: fleet.target(&name.into(), &"m".into()),
        fate: fleet.fate_group(&name.into()),
        account: fleet.account(&name.into()),
        upstream: Arc::new(upstream(fleet, name, max_concurrency)),
        model: "m".into(),
        prepared: Prepared::default(),
    }
}

/// The route of an alias to these levels.
pub(crate) fn route(fleet: &Fleet, alias: &str, balance: Balance, levels: Vec<Vec<Arc<Target>>>) -> Route {
    Route {
        alias: alias.into(),
        levels,
        balance,
        max_output_tokens: None,
        may_drop: Box::default(),
        fallback: None,
        hedge: None,
        failover_versions: false,
        live: fleet.model(&alias.into()),
        spill_on_saturation: false,
        group: fleet.group(&alias.into()),
    }
}

fn upstream(fleet: &Fleet, name: &str, max_concurrency: Option<u32>) -> Upstream {
    let secret = Secret::new("sk-upstream".into());
    Upstream {
        name: name.into(),
        dialect: Dialect::OpenAi,
        apis: Apis::Both,
        region: "eu".into(),
        zones: vec!["eu".into()],
        region_zones: [].into(),
        origin: Arc::new(Origin {
            scheme: Scheme::Http,
            host: "127.0.0.1".into(),
            port: 1,
            allow_private: true,
        }),
        base_path: String::new(),
        credential: Credential::new(&secret, Presentation::Bearer).expect("sendable"),
        headers: Vec::new(),
        api_version: None,
        hears_of_traces: true,
        http2: false,
        inject_usage: InjectUsage::Always,
        timeouts: Timeouts::default(),
        max_concurrency,
        configured: OperatorState::Enabled,
        probes: None,
        failback: Failback::Auto,
        live: fleet.upstream(&name.into()),
        region_live: fleet.region(&"eu".into()),
        pool_key: name.into(),
        tls: None,
    }
}
