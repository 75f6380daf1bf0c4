//! Station 3: where may the call go?
//!
//! Takes who calls and what is asked, gives a [`RoutePlan`]: the targets that residency permits, in
//! levels, with their prices at this moment. Residency is decided here once, for all attempts: a
//! target that is not in the plan is never tried.

mod choose;

use std::sync::Arc;

use smallvec::SmallVec;
use tollgate_accounting::price::Price;
use tollgate_domain::{ModelAlias, UnixMillis};

use crate::{
    intake::Envelope,
    rejection::Rejection,
    snapshot::{Principal, Route, Routes, Target},
};

pub(crate) use choose::{Choice, choose};

/// Permitted targets of one request.
pub(crate) struct RoutePlan {
    pub(crate) route: Arc<Route>,
    pub(crate) candidates: SmallVec<[Candidate; 4]>,
}

/// A permitted target.
pub(crate) struct Candidate {
    pub(crate) target: Arc<Target>,
    pub(crate) level: usize,
    /// Its price when the request began.
    pub(crate) price: Option<Arc<Price>>,
}

/// Finds the targets that may serve the request.
///
/// # Errors
/// No such model, not allowed for this key, or no target in the permitted zones.
pub(crate) fn plan(
    routes: &Routes,
    principal: &Principal,
    envelope: &Envelope,
    started: UnixMillis,
) -> Result<RoutePlan, Rejection> {
    let unknown = || Rejection::UnknownModel(envelope.model().to_owned());
    let plan = find(routes, envelope)
        .ok_or_else(unknown)
        .and_then(|route| along(route, principal, envelope, started));
    // Who names a response only has named no model that could be wrong.
    plan.map_err(
        |rejection| if envelope.of_response().is_some() { Rejection::PinnedUnavailable } else { rejection },
    )
}

/// The targets that may serve the request by another model than it asks for; `None` where the caller
/// could not have asked for that model.
pub(crate) fn instead(
    routes: &Routes,
    model: &ModelAlias,
    principal: &Principal,
    envelope: &Envelope,
    started: UnixMillis,
) -> Option<RoutePlan> {
    along(routes.by_alias.get(model)?, principal, envelope, started).ok()
}

fn along(
    route: &Arc<Route>,
    principal: &Principal,
    envelope: &Envelope,
    started: UnixMillis,
) -> Result<RoutePlan, Rejection> {
    if !principal.models.contains(&route.alias) {
        return Err(Rejection::ModelNotAllowed(route.alias.clone()));
    }
    let narrowed = envelope.zone.as_deref();
    let mut candidates = SmallVec::<[Candidate; 4]>::new();
    for (level, targets) in route.levels.iter().enumerate() {
        for target in targets.iter().filter(|target| is_permitted(target, principal, narrowed)) {
            if target.upstream.dialect.family() != envelope.dialect.family() {
                continue;
            }
            let price = target.price.as_ref().and_then(|line| line.at(started)).cloned();
            candidates.push(Candidate { target: Arc::clone(target), level, price });
        }
    }
    if candidates.is_empty() {
        return Err(nothing_left(route, principal, narrowed));
    }
    if let Some(keeper) = &envelope.pin {
        candidates.retain(|candidate| candidate.target.upstream.name == keeper.upstream);
        if candidates.is_empty() {
            return Err(Rejection::PinnedUnavailable);
        }
    }
    if principal.hard_budget {
        candidates.retain(|candidate| candidate.price.is_some());
        if candidates.is_empty() {
            return Err(Rejection::Unpriced(route.alias.clone()));
        }
    }
    Ok(RoutePlan { route: Arc::clone(route), candidates })
}

fn find<'a>(routes: &'a Routes, envelope: &Envelope) -> Option<&'a Arc<Route>> {
    let name = envelope.model();
    if envelope.is_deployment()
        && let Some(alias) = routes.deployments.get(name)
    {
        return routes.by_alias.get(alias);
    }
    routes.by_alias.get(name)
}

fn is_permitted(target: &Target, principal: &Principal, narrowed: Option<&str>) -> bool {
    let zones = &target.upstream.zones;
    let by_project =
        principal.zones.as_ref().is_none_or(|permitted| zones.iter().all(|zone| permitted.contains(zone)));
    by_project && narrowed.is_none_or(|narrowed| zones.iter().all(|zone| zone.as_str() == narrowed))
}

/// Why there is no candidate: residency, or a dialect that would need translation.
fn nothing_left(route: &Route, principal: &Principal, narrowed: Option<&str>) -> Rejection {
    let permitted = route.levels.iter().flatten().any(|target| is_permitted(target, principal, narrowed));
    if permitted {
        let alias: &ModelAlias = &route.alias;
        Rejection::Unsupported(format!("calling the model `{alias}` in this API's dialect"))
    } else {
        Rejection::ZoneNotPermitted(route.alias.clone())
    }
}
