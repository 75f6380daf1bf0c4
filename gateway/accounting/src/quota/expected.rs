//! What requests for a model have cost at a scope so far, so that a budget can reserve that instead
//! of the worst case.
//!
//! Kept in memory alone: after a start the worst case is reserved until enough is known again.

use tollgate_domain::{ModelAlias, Money};

/// Costs that a mean is made of; older ones are forgotten.
const KEPT: usize = 64;
/// With fewer costs than this nothing is expected.
const ENOUGH: usize = 20;
/// Models that a scope remembers; requests for further ones reserve their worst case.
const MOST_MODELS: usize = 256;

/// The newest costs of each model at one scope.
#[derive(Debug, Default)]
pub(super) struct Expectations(Vec<(ModelAlias, Costs)>);

/// Where the costs of a model are kept; it stays the same as long as the scope lives.
pub(super) type Slot = u16;

impl Expectations {
    /// The place of a model, made if it is new; `None` when there are too many.
    pub(super) fn slot(&mut self, model: &ModelAlias) -> Option<Slot> {
        let known = self.0.iter().position(|(known, _)| known == model);
        let place = known.or_else(|| {
            let place = self.0.len();
            (place < MOST_MODELS).then(|| {
                self.0.push((model.clone(), Costs::default()));
                place
            })
        });
        place.and_then(|place| Slot::try_from(place).ok())
    }

    /// What a request for this model costs in the mean, rounded up, when enough is known.
    pub(super) fn mean(&self, slot: Slot) -> Option<Money> {
        self.0.get(usize::from(slot)).and_then(|(_, costs)| costs.mean())
    }

    /// A request for this model has cost so much.
    pub(super) fn learn(&mut self, slot: Slot, cost: Money) {
        if let Some((_, costs)) = self.0.get_mut(usize::from(slot)) {
            costs.learn(cost.pico());
        }
    }
}

/// The newest costs, in pico-units of currency, with their sum.
#[derive(Debug, Default)]
struct Costs {
    newest: Vec<i128>,
    oldest: usize,
    sum: i128,
}

impl Costs {
    fn learn(&mut self, cost: i128) {
        self.sum = self.sum.saturating_add(cost);
        if self.newest.len() < KEPT {
            self.newest.push(cost);
            return;
        }
        let forgotten = std::mem::replace(&mut self.newest[self.oldest], cost);
        self.sum = self.sum.saturating_sub(forgotten);
        self.oldest = (self.oldest + 1) % KEPT;
    }

    fn mean(&self) -> Option<Money> {
        let count = self.newest.len();
        if count < ENOUGH {
            return None;
        }
        let count = count as i128;
        Some(Money::from_pico((self.sum.saturating_add(count - 1)).div_euclid(count)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mean_is_that_of_the_newest_costs(costs in prop::collection::vec(1_i128..1_000_000_000, 0..200)) {
            let mut known = Expectations::default();
            let slot = known.slot(&"gpt".into()).expect("there is room");
            for cost in &costs {
                known.learn(slot, Money::from_pico(*cost));
            }
            let newest = &costs[costs.len().saturating_sub(KEPT)..];
            let sum: i128 = newest.iter().sum();
            let want = (newest.len() >= ENOUGH).then(|| {
                let count = newest.len() as i128;
                Money::from_pico(sum / count + i128::from(sum % count != 0))
            });
            prop_assert_eq!(known.mean(slot), want);
        }
    }

    #[test]
    fn models_are_told_apart_and_their_number_is_bounded() {
        let mut known = Expectations::default();
        let [first, second] = ["a", "b"].map(|name| known.slot(&name.into()).expect("there is room"));
        for _ in 0..ENOUGH {
            known.learn(first, Money::from_pico(7));
        }
        assert_eq!((known.mean(first), known.mean(second)), (Some(Money::from_pico(7)), None));
        assert_eq!(known.slot(&"a".into()), Some(first), "a model keeps its place");
        let places = (0..1_000).filter(|n| known.slot(&format!("model-{n}").into()).is_some()).count();
        assert_eq!(places, MOST_MODELS - 2);
    }
}
