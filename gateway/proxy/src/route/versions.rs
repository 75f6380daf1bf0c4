//! A call stays with the version of its model, whatever fails, unless its route says otherwise.
//!
//! Where a version is not known, nothing is kept from it.

use smallvec::SmallVec;

use super::{Candidate, RoutePlan};
use crate::snapshot::{Route, Target};

/// Takes out what lies behind the preferred level and is of another version than all that it has.
pub(super) fn keep(route: &Route, candidates: &mut SmallVec<[Candidate; 4]>) {
    let [first, .., last] = &candidates[..] else { return };
    let preferred = first.level;
    if route.failover_versions || last.level == preferred {
        return;
    }
    let mut is_other = SmallVec::<[bool; 4]>::new();
    for candidate in &*candidates {
        let mut before = candidates.iter().take_while(|candidate| candidate.level == preferred);
        let is_behind = candidate.level != preferred;
        is_other.push(is_behind && before.all(|first| differ(&first.target, &candidate.target)));
    }
    let mut is_other = is_other.into_iter();
    candidates.retain(|_| !is_other.next().unwrap_or_default());
}

impl RoutePlan {
    /// True when trying this place after those would change the version, and the route does not allow it.
    pub(crate) fn changes_version(&self, tried: &[usize], place: usize) -> bool {
        let target = |place: usize| self.candidates.get(place).map(|candidate| &*candidate.target);
        !self.route.failover_versions
            && target(place).is_some_and(|next| {
                tried.iter().filter_map(|tried| target(*tried)).any(|tried| differ(tried, next))
            })
    }
}

fn differ(one: &Target, other: &Target) -> bool {
    matches!((&one.version, &other.version), (Some(one), Some(other)) if one.differs(other))
}
