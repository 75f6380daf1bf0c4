//! How much of the traffic each level gets: all of it goes to the first one while that is healthy
//! enough, and the more of it is out the more spills over to the next.

use std::time::Instant;

use smallvec::SmallVec;

use super::{Candidate, Open, RoutePlan, Standing, Waits, standing};

/// A level may lose so much of its weight before a part of its traffic spills over: it takes 1.4 times
/// what its healthy targets are meant for, in hundredths.
const SPARE: u64 = 140;
/// Below this healthy share of its weight, in hundredths, a level panics where the others cannot take over.
const PANIC: u64 = 50;

/// The targets of one priority as they stand.
#[derive(Default)]
pub(super) struct Level<'a> {
    /// Those that may be chosen.
    pub(super) open: SmallVec<[Open<'a>; 4]>,
    /// A half-open target that one request may try.
    pub(super) trial: Option<usize>,
    pub(super) is_panicking: bool,
    /// Those that a rate has put out.
    ejected: SmallVec<[Open<'a>; 4]>,
    /// Some target of it takes requests, be it one that this request has tried.
    is_eligible: bool,
    /// Weight of the healthy, and of all, in thousandths.
    healthy: u64,
    all: u64,
}

impl<'a> Level<'a> {
    /// Looks at the candidates of a level, the first of which stands at `first` in the plan.
    pub(super) fn see(
        plan: &RoutePlan,
        first: usize,
        candidates: &'a [Candidate],
        tried: &impl Fn(usize) -> bool,
        waits: &mut Waits,
        now: Instant,
    ) -> Self {
        let mut level = Self::default();
        let forced = plan.route.is_forced();
        for (place, candidate) in (first..).zip(candidates) {
            let weight = u64::from(candidate.target.weight.max(1));
            let open =
                |permille: u32, ewma| Open { place, candidate, share: weight * u64::from(permille), ewma };
            let is_tried = tried(place);
            level.all += weight * 1_000;
            match standing(&candidate.target, forced, now) {
                Standing::Open { permille, ewma } => {
                    let open = open(permille, ewma);
                    level.healthy += open.share * u64::from(capacity(plan, candidate)) / 1_000;
                    level.is_eligible = true;
                    if !is_tried {
                        level.open.push(open);
                    }
                }
                Standing::Full => {
                    let counts = if plan.route.spill_on_saturation { 0 } else { 1_000 };
                    level.healthy += weight * counts;
                    waits.full = waits.full.or(Some(place).filter(|_| !is_tried));
                }
                _ if is_tried => {}
                Standing::Trial => level.trial = level.trial.or(Some(place)),
                out => {
                    // Panic takes back what a rate has put out.
                    if matches!(out, Standing::Tripped { rejoins: true, .. }) {
                        level.ejected.push(open(1_000, None));
                    }
                    waits.take_in(place, out);
                }
            }
        }
        level
    }

    /// Its healthy share of its weight, in hundredths.
    fn health(&self) -> u64 {
        (self.healthy * 100).checked_div(self.all).unwrap_or(0)
    }

    fn score(&self) -> u64 {
        (self.health() * SPARE / 100).min(100)
    }
}

/// Thousandths of a target's weight that its level can count on.
fn capacity(plan: &RoutePlan, candidate: &Candidate) -> u32 {
    if plan.route.spill_on_saturation { standing::free_permille(&candidate.target) } else { 1_000 }
}

/// The levels that this request could go to, the preferred one first.
#[derive(Default)]
pub(super) struct Levels<'a>(SmallVec<[Level<'a>; 2]>);

impl<'a> Levels<'a> {
    pub(super) fn push(&mut self, level: Level<'a>) {
        self.0.push(level);
    }

    fn scores(&self) -> u64 {
        self.0.iter().map(Level::score).sum()
    }

    /// True when further levels get nothing and are not needed.
    pub(super) fn are_enough(&self) -> bool {
        self.scores() >= 100 && self.0.iter().any(|level| !level.open.is_empty())
    }

    /// Where all levels together cannot take the traffic, those that have lost most of their weight use
    /// again what only a rate has put out. One that has nothing left at all does not: there the others
    /// and the last resort decide.
    pub(super) fn panic(&mut self) {
        if self.scores() >= 100 {
            return;
        }
        for level in &mut self.0 {
            if level.health() < PANIC && level.is_eligible && !level.ejected.is_empty() {
                level.is_panicking = true;
                level.open.append(&mut level.ejected);
            }
        }
    }

    /// Draws a level by its load among those that have a target left for this request.
    pub(super) fn draw(&self, random: &mut impl FnMut() -> u64) -> Option<&Level<'a>> {
        let scores: SmallVec<[u64; 4]> = self.0.iter().map(Level::score).collect();
        let loads = loads(&scores);
        let mut eligible = self.0.iter().zip(loads).filter(|(level, _)| !level.open.is_empty());
        let first = eligible.clone().next()?.0;
        let total: u64 = eligible.clone().map(|(_, load)| load).sum();
        if eligible.clone().nth(1).is_none() || total == 0 {
            return Some(first);
        }
        let mut rest = random() % total;
        let drawn = eligible.find(|(_, load)| {
            let is_it = rest < *load;
            rest = rest.saturating_sub(*load);
            is_it
        });
        drawn.map(|(level, _)| level).or(Some(first))
    }
}

/// The loads of levels with these scores, in hundredths; they sum to 100 unless every score is nothing.
fn loads(scores: &[u64]) -> SmallVec<[u64; 4]> {
    let sum: u64 = scores.iter().sum();
    let mut left = 100;
    let mut loads: SmallVec<[u64; 4]> = scores
        .iter()
        .map(|score| {
            let score = if sum < 100 { (score * 100).checked_div(sum).unwrap_or(0) } else { *score };
            let load = score.min(left);
            left -= load;
            load
        })
        .collect();
    // What rounding has lost belongs to the first that gets any.
    if let Some(first) = loads.iter_mut().find(|load| **load > 0) {
        *first += left;
    }
    loads
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn traffic_spills_over_as_a_level_loses_its_weight() {
        let score = |health: u64| (health * SPARE / 100).min(100);
        let cases: [(&[u64], &[u64]); 8] = [
            (&[100], &[100]),
            (&[72, 100], &[100, 0]),
            (&[50, 100], &[70, 30]),
            (&[10, 100], &[14, 86]),
            (&[0, 100], &[0, 100]),
            (&[0, 50, 100], &[0, 70, 30]),
            // 14 and 14 of the 28 that are left.
            (&[10, 10], &[50, 50]),
            (&[0, 0], &[0, 0]),
        ];
        for (health, want) in cases {
            let scores: Vec<u64> = health.iter().copied().map(score).collect();
            assert_eq!(loads(&scores)[..], *want, "{health:?}");
        }
    }

    proptest! {
        #[test]
        fn loads_sum_to_a_hundred(scores in prop::collection::vec(0_u64..=100, 1..6)) {
            let sum: u64 = loads(&scores).iter().sum();
            prop_assert_eq!(sum, if scores.iter().all(|score| *score == 0) { 0 } else { 100 });
            for (score, load) in scores.iter().zip(loads(&scores)) {
                prop_assert!(*score > 0 || load == 0, "a level without health gets nothing");
            }
        }
    }
}
