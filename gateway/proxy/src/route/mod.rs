//! Station 3: where may the call go?
//!
//! Takes who calls and what is asked, gives a [`RoutePlan`]: the targets that residency permits, in
//! levels, with their prices at this moment. Residency is decided here once, for all attempts: a
//! target that is not in the plan is never tried.

mod choose;
mod forecast;
mod moved;
mod unnamed;
mod versions;

use std::sync::Arc;

use smallvec::SmallVec;
use tollgate_accounting::price::Price;
use tollgate_domain::{ModelAlias, Money, UnixMillis};

use crate::{
    intake::Envelope,
    rejection::Rejection,
    snapshot::{Hedge, Principal, Route, Routes, Target},
    translate,
};

pub(crate) use choose::{Asker, Choice, LastResort, Rotation, affinity_key};
pub use forecast::{Share, forecast};
pub(crate) use moved::choose;

/// Permitted targets of one request.
pub(crate) struct RoutePlan {
    pub(crate) route: Arc<Route>,
    pub(crate) candidates: SmallVec<[Candidate; 4]>,
    /// Where a request goes that is too long for these, if the route names such a model and the caller
    /// may call it.
    pub(crate) larger: Option<Box<RoutePlan>>,
}

/// The most output tokens of an answer when neither the client nor the model says how many.
const DEFAULT_OUTPUT_CAP: u64 = 16_384;

impl RoutePlan {
    pub(crate) fn new(route: &Arc<Route>, candidates: SmallVec<[Candidate; 4]>) -> Self {
        Self { route: Arc::clone(route), candidates, larger: None }
    }

    /// With the plan for the model that the route names for what is too long; `instead` plans for it.
    pub(crate) fn with_larger(self, instead: impl FnOnce(&ModelAlias) -> Option<Self>) -> Self {
        let larger = self.route.fallback.as_ref().and_then(instead).map(Box::new);
        Self { larger, ..self }
    }

    /// Every plan that the request may come to: this one, and the one for what is too long.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.larger.as_deref())
    }

    /// The candidates level by level, each time with the place of the first.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (usize, &[Candidate])> {
        let mut next = 0;
        self.candidates.chunk_by(|a, b| a.level == b.level).map(move |level| {
            let first = next;
            next += level.len();
            (first, level)
        })
    }

    /// The most output tokens of one answer: what the client says, bounded by what the model gives.
    pub(crate) fn output_cap(&self, envelope: &Envelope) -> u64 {
        if !envelope.operation.generates() {
            return 0;
        }
        let of_model = self.route.max_output_tokens;
        // Some servers take a cap of nothing for no cap at all.
        match envelope.head.output_cap.as_ref().filter(|asked| asked.value > 0) {
            Some(asked) => of_model.map_or(asked.value, |most| asked.value.min(most)),
            None => of_model.map_or(DEFAULT_OUTPUT_CAP, |most| most.min(DEFAULT_OUTPUT_CAP)),
        }
    }

    /// True when the call may have a second copy, which costs no more than `worst_case` once more.
    pub(crate) fn may_hedge(&self, envelope: &Envelope, worst_case: Option<Money>) -> bool {
        let is_cheap = |hedge: &Hedge| worst_case.is_some_and(|cost| cost <= hedge.max_cost);
        // What a provider keeps would be kept twice.
        let is_alone = envelope.head.stores || envelope.pin.is_some() || self.candidates.len() < 2;
        self.route.hedge.as_ref().is_some_and(is_cheap) && envelope.head.stream && !is_alone
    }

    /// True where one of its targets stands in for another in a drill.
    pub(crate) fn meets_a_drill(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.target.live.injection.is_some())
    }

    /// Takes out the targets that cannot be asked, where none speaks the client's own dialect: what
    /// they cannot say is known before anything is reserved. As a fallback such a target is passed by
    /// when its turn comes.
    fn keep_askable(&mut self, envelope: &Envelope) -> Result<(), Rejection> {
        let (cap, asking) = (self.output_cap(envelope), envelope.asking());
        if self.candidates.iter().any(|candidate| translate::speaks_it(&candidate.target, &asking)) {
            return Ok(());
        }
        let mut refused = None;
        let Self { route, candidates, .. } = self;
        candidates.retain(|candidate| {
            match translate::request(&candidate.target, route, &asking, cap, false) {
                Some(Err(why)) => {
                    refused.get_or_insert(why);
                    false
                }
                _ => true,
            }
        });
        match refused {
            Some(why) if candidates.is_empty() => Err(Rejection::Untranslatable(Box::new(why))),
            _ => Ok(()),
        }
    }
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
/// No such model, not allowed for this key, out of service, no target in the permitted zones, or the
/// upstream that keeps what the request names is not among the targets.
pub(crate) fn plan(
    routes: &Routes,
    principal: &Principal,
    envelope: &Envelope,
    started: UnixMillis,
) -> Result<RoutePlan, Rejection> {
    if envelope.operation.names_no_model() {
        return unnamed::plan(routes, principal, envelope, started);
    }
    let unknown = || Rejection::UnknownModel(envelope.model().to_owned());
    find(routes, envelope).ok_or_else(unknown).and_then(|route| along(route, principal, envelope, started))
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
    if !route.operator_state().takes_requests() {
        return Err(Rejection::OutOfService(route.alias.clone()));
    }
    let narrowed = envelope.zone.as_deref();
    let mut candidates = SmallVec::<[Candidate; 4]>::new();
    for (level, targets) in route.levels.iter().enumerate() {
        for target in targets.iter().filter(|target| is_permitted(target, principal, narrowed)) {
            if !translate::is_reachable(target, &envelope.asking()) {
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
    versions::keep(route, &mut candidates);
    let mut plan = RoutePlan::new(route, candidates);
    plan.keep_askable(envelope)?;
    Ok(plan)
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
    principal.permits(target)
        && narrowed.is_none_or(|narrowed| zones.iter().all(|zone| zone.as_str() == narrowed))
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
