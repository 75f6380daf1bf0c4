//! Which of the permitted targets is next?
//!
//! Level by level: how each target [stands](standing), what share of requests its level [gets](levels),
//! and which target of the level takes this one, by the balance of the route. A half-open target whose
//! turn it could be is tried first, by one request at a time. When nothing takes requests, one request a
//! second tries the target that is first to return; the others hear at once when to come back.
//!
//! Residency is not decided here: a target that is not in the plan is never chosen, whatever fails.

mod affinity;
mod last_resort;
mod levels;
mod nearest;
mod p2c;
mod rotation;
mod standing;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::{Candidate, RoutePlan};
use crate::{health::Way, snapshot::Balance};

pub(crate) use affinity::key as affinity_key;
pub(crate) use last_resort::LastResort;
pub(crate) use rotation::Rotation;

use last_resort::Waits;
use levels::{Level, Levels};
use standing::{Standing, standing};

/// What there is to choose from now.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Choice {
    /// This candidate, by its place in the plan, and by which right it is used.
    Candidate(usize, Way),
    /// All that is left is held by throttles; the first hold ends after this.
    Held(Duration),
    /// All that is left is at the concurrency that it is configured for: the first such place.
    Saturated(usize),
    /// Nothing takes requests; the first breaker lets one try after this.
    Nothing(Option<Duration>),
}

/// What a request brings to the choice.
pub(crate) struct Asker<T, R> {
    /// True for places in the plan that are not to be chosen again.
    pub(crate) tried: T,
    /// What requests of one conversation have in common; where the balance asks for it.
    pub(crate) affinity: Option<u64>,
    /// A source of 64 random bits.
    pub(crate) random: R,
}

/// A target that may be chosen, as it stands now.
#[derive(Clone, Copy)]
struct Open<'a> {
    place: usize,
    candidate: &'a Candidate,
    /// Its weight times the share that it has of it, in thousandths.
    share: u64,
    /// Mean time to the first content; `None` while it has served nothing.
    ewma: Option<Duration>,
}

impl Open<'_> {
    fn in_flight(&self) -> u32 {
        self.candidate.target.live.in_flight.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Chooses the next target.
pub(crate) fn choose(
    plan: &RoutePlan,
    mut asker: Asker<impl Fn(usize) -> bool, impl FnMut() -> u64>,
    now: Instant,
) -> Choice {
    if let [only] = &plan.candidates[..]
        && !(asker.tried)(0)
        && matches!(
            standing(&only.target, plan.route.is_forced(), now),
            Standing::Open { .. } | Standing::Trial
        )
    {
        return Choice::Candidate(0, Way::Usual);
    }
    let mut waits = Waits::default();
    let mut levels = Levels::default();
    for (first, candidates) in plan.levels() {
        let level = Level::see(plan, first, candidates, &asker.tried, &mut waits, now);
        if let Some(place) = level.trial {
            return Choice::Candidate(place, Way::Usual);
        }
        levels.push(level);
        if levels.are_enough() {
            break;
        }
    }
    levels.panic();
    if let Some(level) = levels.draw(&mut asker.random) {
        let way = if level.is_panicking { Way::Panic } else { Way::Usual };
        return Choice::Candidate(within(plan, &level.open, asker.affinity, &mut asker.random), way);
    }
    waits.into_choice(&plan.route.group.last_resort, now)
}

/// Which target of a level, by the balance of the route.
fn within(
    plan: &RoutePlan,
    open: &[Open<'_>],
    affinity: Option<u64>,
    random: &mut impl FnMut() -> u64,
) -> usize {
    let paid: SmallVec<[Open<'_>; 4]> =
        open.iter().filter(|open| open.candidate.target.is_provisioned).copied().collect();
    // What is paid for whether it is used or not is filled first.
    let open = if paid.is_empty() { open } else { &paid };
    let rotation = &plan.route.group.rotation;
    match (open, plan.route.balance) {
        ([only], _) => only.place,
        (_, Balance::P2c) => p2c::pick(open, random),
        (_, Balance::Weighted) => rotation.pick(open),
        (_, Balance::Latency { sensitivity }) => rotation.pick(&nearest::within(open, sensitivity)),
        (_, Balance::Affinity) => match affinity {
            Some(key) => affinity::pick(open, key),
            // Nothing tells to whom it belongs.
            None => p2c::pick(open, random),
        },
    }
}

#[cfg(test)]
mod tests;
