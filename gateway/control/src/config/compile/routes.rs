//! Routes: which targets serve an alias, in levels.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tollgate_accounting::{ledger::Place, price::PriceBook};
use tollgate_domain::{ModelAlias, ModelVersion, Name, UpstreamModel, ZoneName};
use tollgate_proxy::{Balance, Hedge, Live, Prepared, Route, Routes, Target};

use crate::config::file::{self, ConfigFile};

use super::upstreams::{Endpoint, Upstreams};

/// Hundredths by which a target may be slower than the fastest one, where nothing else is said.
const SENSITIVITY: u32 = 20;
/// Before which no stream gets a second copy, where nothing else is said.
const HEDGE_AFTER: Duration = Duration::from_secs(1);

pub(super) fn compile(file: &ConfigFile, upstreams: &Upstreams, prices: &PriceBook, live: &Live) -> Routes {
    let mut routes = Routes::default();
    for model in &file.models {
        let alias: ModelAlias = model.name.as_str().into();
        for deployment in &model.deployments {
            routes.deployments.insert(deployment.as_str().into(), alias.clone());
        }
        let route = Route {
            levels: levels(model, upstreams, prices, live),
            balance: match model.balance {
                file::Balance::P2c => Balance::P2c,
                file::Balance::Weighted => Balance::Weighted,
                file::Balance::Latency => {
                    Balance::Latency { sensitivity: model.sensitivity.unwrap_or(SENSITIVITY) }
                }
                file::Balance::Affinity => Balance::Affinity,
            },
            spill_on_saturation: model.spill_on_saturation,
            max_output_tokens: model.max_output_tokens,
            may_drop: model.may_drop.iter().map(|name| name.as_str().into()).collect(),
            hedge: model.hedge.as_ref().map(|hedge| Hedge {
                max_cost: hedge.max_cost,
                after: hedge.after.map_or(HEDGE_AFTER, |span| span.0),
            }),
            fallback: model.fallback.as_deref().map(Into::into),
            failover_versions: model.failover_versions,
            group: live.fleet.group(alias.name()),
            live: live.fleet.model(&alias),
            alias: alias.clone(),
        };
        routes.by_alias.insert(alias, Arc::new(route));
    }
    routes
}

fn levels(
    model: &file::Model,
    upstreams: &Upstreams,
    prices: &PriceBook,
    live: &Live,
) -> Vec<Vec<Arc<Target>>> {
    let mut levels: BTreeMap<u32, Vec<Arc<Target>>> = BTreeMap::new();
    for given in &model.targets {
        let endpoint = upstreams.get(&given.upstream).expect("references were checked with the document");
        levels.entry(given.priority).or_default().push(Arc::new(target(given, endpoint, prices, live)));
    }
    levels.into_values().collect()
}

fn target(given: &file::Target, endpoint: &Endpoint, prices: &PriceBook, live: &Live) -> Target {
    let Endpoint { upstream, provider, account, fate_group, is_provisioned, .. } = endpoint;
    let model: UpstreamModel = given.model.as_str().into();
    let place = Place {
        provider: provider.clone(),
        account: Some(account.clone()),
        upstream: upstream.name.clone(),
        upstream_model: model.clone(),
        region: upstream.region.clone(),
        zone: row_zone(&upstream.zones),
    };
    let fate = fate_group
        .clone()
        .unwrap_or_else(|| format!("{}/{model}/{}", upstream.dialect.as_str(), upstream.region).into());
    Target {
        weight: given.weight,
        version: version_of(given),
        is_provisioned: *is_provisioned,
        price: prices.line(given.price.as_deref(), &upstream.name, &upstream.region, &model),
        place: Arc::new(place),
        live: live.fleet.target(&upstream.name, &model),
        fate: live.fleet.fate_group(&fate),
        account: live.fleet.account(account),
        upstream: Arc::clone(upstream),
        model,
        prepared: Prepared::default(),
    }
}

/// The version that a target serves, where it is known.
pub(in crate::config) fn version_of(given: &file::Target) -> Option<ModelVersion> {
    match &given.version {
        Some(version) => Some(ModelVersion::given(version)),
        None => ModelVersion::of_name(&given.model),
    }
}

/// A row has one zone; an upstream that may process in several is all of them at once.
fn row_zone(zones: &[ZoneName]) -> ZoneName {
    match zones {
        [one] => one.clone(),
        several => {
            let names: Vec<&str> = several.iter().map(ZoneName::as_str).collect();
            Name::from(names.join("+")).into()
        }
    }
}
