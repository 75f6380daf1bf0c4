//! Requests that an operator moves from one region to another.
//!
//! A move is a preference and no drain: a request goes where it would have gone when the other region
//! has no permitted target for it, or none that takes requests now.

use std::time::Instant;

use super::{
    RoutePlan,
    choose::{self, Asker, Choice},
};

/// Chooses the next target, as [`choose::choose`] does, and follows moves.
pub(crate) fn choose(
    plan: &RoutePlan,
    mut asker: Asker<impl Fn(usize) -> bool, impl FnMut() -> u64>,
    now: Instant,
) -> Choice {
    let usual = Asker { tried: &asker.tried, affinity: asker.affinity, random: &mut asker.random };
    let choice = choose::choose(plan, usual, now);
    let Choice::Candidate(place, _) = choice else { return choice };
    let level = plan.candidates[place].level;
    // Who goes past a region because that one is out goes where its requests are moved to.
    let passed = plan.candidates.iter().take_while(|candidate| candidate.level < level);
    let mut asked = None;
    for candidate in passed.chain([&plan.candidates[place]]) {
        let upstream = &candidate.target.upstream;
        // One draw a region, however many targets it has.
        if asked.replace(&upstream.region) == Some(&upstream.region) {
            continue;
        }
        let Some(to) = upstream.region_live.moved.destination(&mut asker.random) else { continue };
        let elsewhere = |place: usize| plan.candidates[place].target.upstream.region != to;
        let tried = |place| (asker.tried)(place) || elsewhere(place);
        let moved = Asker { tried, affinity: asker.affinity, random: &mut asker.random };
        let there = choose::choose(plan, moved, now);
        return if matches!(there, Choice::Candidate(..)) { there } else { choice };
    }
    choice
}
