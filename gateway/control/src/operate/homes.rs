//! Who may be served where, and who would be left with nowhere to go.

use std::collections::BTreeSet;

use serde::Serialize;
use tollgate_domain::RegionName;
use tollgate_proxy::{Principal, Route, Target};

use super::{Scene, Subject};

/// A model that a project may call.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Home {
    /// The team.
    pub team: String,
    /// Its project.
    pub project: String,
    /// The model, as clients call it.
    pub model: String,
}

impl Home {
    pub(super) fn of(principal: &Principal, route: &Route) -> Self {
        Self {
            team: principal.identity.team.to_string(),
            project: principal.identity.project.to_string(),
            model: route.alias.to_string(),
        }
    }
}

/// `team/project: model` of each.
pub(super) fn names(homes: &[Home]) -> Vec<String> {
    homes.iter().map(|home| format!("{}/{}: {}", home.team, home.project, home.model)).collect()
}

/// Whose every target would be out if the subject took no requests. Health is not asked: it passes, and
/// an operator's word does not.
pub(super) fn lost(scene: &Scene<'_>, subject: &Subject) -> Vec<Home> {
    having(scene, |route, permitted| {
        let mut homes = permitted.iter().filter(|target| target.takes_requests()).peekable();
        homes.peek().is_some() && homes.all(|target| subject.holds(route, target))
    })
}

/// Who has targets in a region and may not, or cannot, be served in another one.
pub(super) fn staying(scene: &Scene<'_>, from: &RegionName, to: &RegionName) -> Vec<Home> {
    having(scene, |_, permitted| is_in(permitted, from) && !is_served_in(permitted, to))
}

/// Who has targets in a region and may be served in another one.
pub(super) fn movable(scene: &Scene<'_>, from: &RegionName, to: &RegionName) -> Vec<Home> {
    having(scene, |_, permitted| is_in(permitted, from) && is_served_in(permitted, to))
}

fn is_in(permitted: &[&Target], region: &RegionName) -> bool {
    permitted.iter().any(|target| target.upstream.region == *region)
}

fn is_served_in(permitted: &[&Target], region: &RegionName) -> bool {
    permitted.iter().any(|target| target.upstream.region == *region && target.takes_requests())
}

/// Everybody of whose permitted targets something holds, for each model that is in service.
fn having(scene: &Scene<'_>, is_wanted: impl Fn(&Route, &[&Target]) -> bool) -> Vec<Home> {
    let mut found = BTreeSet::new();
    let has_ended = |key: &Principal| key.revoked || key.expires.is_some_and(|expires| scene.now >= expires);
    for principal in scene.snapshot.keys.principals().filter(|key| !has_ended(key)) {
        let routes = principal.models.iter().filter_map(|alias| scene.snapshot.routes.by_alias.get(alias));
        for route in routes.filter(|route| route.operator_state().takes_requests()) {
            let targets = route.levels.iter().flatten().map(|target| &**target);
            let permitted: Vec<&Target> = targets.filter(|target| principal.permits(target)).collect();
            if is_wanted(route, &permitted) {
                found.insert(Home::of(principal, route));
            }
        }
    }
    found.into_iter().collect()
}
