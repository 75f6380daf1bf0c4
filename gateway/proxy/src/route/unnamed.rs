//! Where a call goes that names no model: one about what a provider keeps, or one that makes a conversation.
//!
//! It goes by the models that the key may call, and to no upstream that these do not lead to: what keeps
//! a call in its zones and from other people's upstreams holds for it as for every other.

use tollgate_domain::{ModelAlias, UnixMillis};

use super::{RoutePlan, along};
use crate::{
    intake::Envelope,
    rejection::Rejection,
    snapshot::{Principal, Routes},
};

/// The targets that may serve it.
///
/// # Errors
/// The upstream that keeps what is named cannot be asked by any model of the key, or no model of the key
/// leads to one that keeps conversations.
pub(super) fn plan(
    routes: &Routes,
    principal: &Principal,
    envelope: &Envelope,
    started: UnixMillis,
) -> Result<RoutePlan, Rejection> {
    let by = |alias: &ModelAlias| Some(along(routes.by_alias.get(alias)?, principal, envelope, started));
    match &envelope.pin {
        // It was made by this model, and the key may have lost it since, or be another of the project's.
        Some(keeper) => std::iter::once(&keeper.model)
            .chain(in_order(principal))
            .filter_map(by)
            .find_map(Result::ok)
            .ok_or(Rejection::PinnedUnavailable),
        None => roomiest(in_order(principal).into_iter().filter_map(by).collect()),
    }
}

/// The models of a key by name, so that equal keys are served alike.
fn in_order(principal: &Principal) -> Vec<&ModelAlias> {
    let mut models: Vec<&ModelAlias> = principal.models.iter().collect();
    models.sort_unstable();
    models
}

/// The plan whose preferred upstreams serve the most models, since a conversation can be gone on with only
/// where it is kept; of several the first.
fn roomiest(plans: Vec<Result<RoutePlan, Rejection>>) -> Result<RoutePlan, Rejection> {
    let (plans, refused): (Vec<_>, Vec<_>) = plans.into_iter().partition(Result::is_ok);
    let plans: Vec<RoutePlan> = plans.into_iter().filter_map(Result::ok).collect();
    let serves = |plan: &RoutePlan, upstream| {
        plan.candidates.iter().any(|candidate| candidate.target.upstream.name == upstream)
    };
    let room = |plan: &RoutePlan| {
        let first = plan.candidates.first().map(|candidate| candidate.level);
        let preferred = plan.candidates.iter().filter(|candidate| Some(candidate.level) == first);
        let upstreams = preferred.map(|candidate| candidate.target.upstream.name.clone());
        upstreams.map(|upstream| plans.iter().filter(|other| serves(other, upstream.clone())).count()).min()
    };
    let rooms: Vec<_> = plans.iter().map(room).collect();
    let most = rooms.iter().max().copied().flatten();
    let chosen = plans.into_iter().zip(rooms).find(|(_, room)| *room == most).map(|(plan, _)| plan);
    chosen.ok_or_else(|| {
        // That residency is in the way says more than that a model has no such upstream.
        let refused = refused.into_iter().filter_map(Result::err);
        let by_zone =
            refused.into_iter().find(|rejection| matches!(rejection, Rejection::ZoneNotPermitted(_)));
        by_zone.unwrap_or_else(|| {
            Rejection::Unsupported("keeping conversations at an upstream of this key's models".to_owned())
        })
    })
}
