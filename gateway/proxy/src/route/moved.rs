//! Requests that an operator moves from one region to another.
//!
//! A move is a preference and no drain: a request goes where it would have gone when the other region
//! has no permitted target for it, or none that takes requests now.

use std::time::Instant;

use tollgate_domain::RegionName;

use super::{
    RoutePlan,
    choose::{self, Choice},
};
use crate::snapshot::Target;

/// Chooses the next target, as [`choose::choose`] does, and follows moves.
pub(crate) fn choose(
    plan: &RoutePlan,
    avoided: impl Fn(usize) -> bool,
    now: Instant,
    random: impl FnMut() -> u64,
) -> Choice {
    let live = |target: &Target, random: &mut dyn FnMut() -> u64| {
        target.upstream.region_live.moved.destination(random)
    };
    following(plan, avoided, now, random, live)
}

/// The same, with what says where a target's requests go instead.
pub(super) fn following<R: FnMut() -> u64>(
    plan: &RoutePlan,
    avoided: impl Fn(usize) -> bool,
    now: Instant,
    mut random: R,
    destination: impl Fn(&Target, &mut dyn FnMut() -> u64) -> Option<RegionName>,
) -> Choice {
    let choice = choose::choose(plan, &avoided, now, &mut random);
    let Choice::Candidate(place) = choice else { return choice };
    let level = plan.candidates[place].level;
    // Who goes past a region because that one is out goes where its requests are moved to.
    let passed = plan.candidates.iter().take_while(|candidate| candidate.level < level);
    let on_the_way = passed.chain([&plan.candidates[place]]);
    let mut asked = None;
    for candidate in on_the_way {
        let region = &candidate.target.upstream.region;
        // One draw a region, however many targets it has.
        if asked == Some(region) {
            continue;
        }
        asked = Some(region);
        let Some(to) = destination(&candidate.target, &mut random) else { continue };
        let elsewhere = |place: usize| plan.candidates[place].target.upstream.region != to;
        let there = choose::choose(plan, |place| avoided(place) || elsewhere(place), now, &mut random);
        return if matches!(there, Choice::Candidate(_)) { there } else { choice };
    }
    choice
}
