//! Counters of fractions, kept as whole numbers: a float to which a million small amounts are added one by
//! one drifts away from their sum.

use std::{collections::HashMap, sync::Arc};

use metrics::{Gauge, GaugeFn, Key};
use parking_lot::Mutex;

/// Parts of a unit that are told apart: those of money.
const PARTS: f64 = 1e12;

/// One sum and the gauge that shows it.
pub(super) struct ExactSum {
    /// In parts. The lock is held for an addition.
    sum: Mutex<i128>,
    shown: Gauge,
}

impl ExactSum {
    fn change(&self, new: impl FnOnce(i128) -> i128) {
        let mut sum = self.sum.lock();
        *sum = new(*sum);
        // Within the lock, so that the last one shown is the last one made.
        self.shown.set(*sum as f64 / PARTS);
    }
}

/// One amount is a float on its way here. Up to 2,000 units it names its whole number of parts exactly;
/// beyond, it is as near as a float can be.
fn parts(amount: f64) -> i128 {
    (amount * PARTS).round() as i128
}

impl GaugeFn for ExactSum {
    fn increment(&self, amount: f64) {
        self.change(|sum| sum.saturating_add(parts(amount)));
    }

    fn decrement(&self, amount: f64) {
        self.change(|sum| sum.saturating_sub(parts(amount)));
    }

    fn set(&self, amount: f64) {
        self.change(|_| parts(amount));
    }
}

/// The sums of an exposition: one for each label set, however often it is resolved.
#[derive(Default)]
pub(super) struct Sums(Mutex<HashMap<Key, Arc<ExactSum>>>);

impl Sums {
    /// The handle of a label set; `shown` makes its gauge where it is new.
    pub(super) fn resolve(&self, key: &Key, shown: impl FnOnce() -> Gauge) -> Gauge {
        let mut known = self.0.lock();
        let sum = known
            .entry(key.clone())
            .or_insert_with(|| Arc::new(ExactSum { sum: Mutex::new(0), shown: shown() }));
        Gauge::from_arc(Arc::clone(sum))
    }
}
