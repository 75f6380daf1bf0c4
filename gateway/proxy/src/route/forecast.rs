//! Where requests would go if some targets took none: the choice that requests are sent by, asked
//! beforehand.

use std::{sync::Arc, time::Instant};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use smallvec::SmallVec;

use super::{Asker, Candidate, Choice, RoutePlan, moved};
use crate::snapshot::{Principal, Route, Target};

/// A target and how many of the requests would go there.
pub struct Share {
    /// The target.
    pub target: Arc<Target>,
    /// Of the draws that were made.
    pub draws: u32,
}

/// Draws so often where a new request of the principal would go if no target took requests for which
/// `is_out` holds, with health and load as they are now. The same question at the same moment has the
/// same answer. Draws that went nowhere are missing.
#[must_use]
pub fn forecast(
    route: &Arc<Route>,
    principal: &Principal,
    is_out: impl Fn(&Target) -> bool,
    draws: u32,
) -> Vec<Share> {
    let mut candidates = SmallVec::<[Candidate; 4]>::new();
    for (level, targets) in route.levels.iter().enumerate() {
        let open = targets.iter().filter(|target| principal.permits(target) && !is_out(target));
        candidates.extend(open.map(|target| Candidate { target: Arc::clone(target), level, price: None }));
    }
    let plan = RoutePlan::new(route, candidates);
    let (now, mut random) = (Instant::now(), SmallRng::seed_from_u64(0));
    let mut counts: SmallVec<[u32; 4]> = plan.candidates.iter().map(|_| 0).collect();
    for _ in 0..draws {
        let asker = Asker { tried: |_| false, affinity: None, random: || random.next_u64() };
        if let Choice::Candidate(place, _) = moved::choose(&plan, asker, now)
            && let Some(count) = counts.get_mut(place)
        {
            *count += 1;
        }
    }
    let drawn = plan.candidates.into_iter().zip(counts).filter(|(_, draws)| *draws > 0);
    drawn.map(|(candidate, draws)| Share { target: candidate.target, draws }).collect()
}
