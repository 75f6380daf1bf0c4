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
fn roomiest(all: Vec<Result<RoutePlan, Rejection>>) -> Result<RoutePlan, Rejection> {
    let (mut plans, mut refused) = (Vec::new(), None);
    for plan in all {
        match plan {
            Ok(plan) => plans.push(plan),
            // That a model has no such upstream says less than why one with such an upstream is refused.
            Err(Rejection::Unsupported(_)) => {}
            Err(rejection) => {
                refused.get_or_insert(rejection);
            }
        }
    }
    let rooms: Vec<usize> = plans.iter().map(|plan| room(plan, &plans)).collect();
    let most = rooms.iter().max().copied();
    let chosen = plans.into_iter().zip(rooms).find(|(_, room)| Some(*room) == most);
    chosen.map(|(plan, _)| plan).ok_or_else(|| {
        refused.unwrap_or_else(|| {
            Rejection::Unsupported("keeping conversations at an upstream of this key's models".to_owned())
        })
    })
}

/// How many of these plans' models are served wherever this plan would go first.
fn room(plan: &RoutePlan, plans: &[RoutePlan]) -> usize {
    let Some(first) = plan.candidates.first() else { return 0 };
    let preferred = plan.candidates.iter().take_while(|candidate| candidate.level == first.level);
    let serving = preferred.map(|candidate| {
        let name = &candidate.target.upstream.name;
        let serves = |other: &&RoutePlan| {
            other.candidates.iter().any(|candidate| candidate.target.upstream.name == *name)
        };
        plans.iter().filter(serves).count()
    });
    serving.min().unwrap_or_default()
}
