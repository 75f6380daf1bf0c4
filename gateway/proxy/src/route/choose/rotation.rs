//! Smooth weighted round robin: turns in proportion to the weights, and those of one target as far from
//! each other as they can be. All cores take turns from one list.

use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Open;
use crate::live::TargetLive;

/// Whose turn it is among the targets of an alias.
#[derive(Default)]
pub(crate) struct Rotation(Mutex<SmallVec<[Turns; 4]>>);

struct Turns {
    target: Arc<TargetLive>,
    /// What it has been owed, by its share, and has not had.
    credit: i64,
}

impl Rotation {
    /// The place of the target whose turn it is. Those that are not `open` keep their credit.
    pub(super) fn pick(&self, open: &[Open<'_>]) -> usize {
        let mut all = self.0.lock();
        let mut best: Option<(usize, usize, i64)> = None;
        let mut total = 0;
        for one in open {
            let live = &one.candidate.target.live;
            let at = all.iter().position(|turns| Arc::ptr_eq(&turns.target, live)).unwrap_or_else(|| {
                all.push(Turns { target: Arc::clone(live), credit: 0 });
                all.len() - 1
            });
            let share = i64::try_from(one.share).unwrap_or(i64::MAX / 1_024);
            total += share;
            let credit = &mut all[at].credit;
            *credit += share;
            if best.is_none_or(|(_, _, most)| *credit > most) {
                best = Some((at, one.place, *credit));
            }
        }
        match best {
            Some((at, place, _)) => {
                all[at].credit -= total;
                place
            }
            None => 0,
        }
    }
}
