//! Where requests would go if an operator did something: the plan that requests travel by, asked
//! beforehand.

use std::{sync::Arc, time::Instant};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use smallvec::SmallVec;
use tollgate_domain::RegionName;

use super::{Candidate, Choice, RoutePlan, moved};
use crate::snapshot::{Principal, Route, Target};

/// What is supposed to be so, beside what is.
pub struct Suppose<'a> {
    /// Targets that take no requests.
    pub out: &'a dyn Fn(&Target) -> bool,
    /// The region whose requests are all moved, and where to.
    pub moved: Option<(&'a RegionName, &'a RegionName)>,
}

/// A target and how many of the requests would go there.
pub struct Share {
    /// The target.
    pub target: Arc<Target>,
    /// Of the draws that were made.
    pub draws: u32,
}

/// Draws so often where a new request of the principal would go, with health and load as they are now.
/// The same question at the same moment has the same answer. Draws that went nowhere are missing.
#[must_use]
pub fn forecast(route: &Arc<Route>, principal: &Principal, suppose: &Suppose<'_>, draws: u32) -> Vec<Share> {
    let mut candidates = SmallVec::<[Candidate; 4]>::new();
    for (level, targets) in route.levels.iter().enumerate() {
        let permitted = targets.iter().filter(|target| principal.permits(target));
        candidates.extend(permitted.map(|target| Candidate {
            target: Arc::clone(target),
            level,
            price: None,
        }));
    }
    let plan = RoutePlan { route: Arc::clone(route), candidates };
    let out: SmallVec<[bool; 4]> =
        plan.candidates.iter().map(|candidate| (suppose.out)(&candidate.target)).collect();
    let destination = |target: &Target, random: &mut dyn FnMut() -> u64| match suppose.moved {
        Some((from, to)) if target.upstream.region == *from => Some(to.clone()),
        _ => target.upstream.region_live.moved.destination(random),
    };
    let (now, mut random) = (Instant::now(), SmallRng::seed_from_u64(0));
    let mut counts: SmallVec<[u32; 4]> = plan.candidates.iter().map(|_| 0).collect();
    for _ in 0..draws {
        let is_out = |place: usize| out.get(place).copied().unwrap_or(true);
        let choice = moved::following(&plan, is_out, now, || random.next_u64(), destination);
        if let Choice::Candidate(place) = choice
            && let Some(count) = counts.get_mut(place)
        {
            *count += 1;
        }
    }
    let drawn = plan.candidates.into_iter().zip(counts).filter(|(_, draws)| *draws > 0);
    drawn.map(|(candidate, draws)| Share { target: candidate.target, draws }).collect()
}
