//! Counters of one metric that share all labels but a few whose values appear with traffic.

use metrics::{Counter, Label};
use parking_lot::RwLock;

use crate::catalogue::Metric;

/// The counters of one owner, told apart by `K`.
///
/// The values of `K` come from the gateway's own enums, so there are a handful of them: a list is
/// searched faster than a map, and the lock is taken for writing once per value.
pub(super) struct Counters<K> {
    metric: &'static Metric,
    shared: Vec<Label>,
    known: RwLock<Vec<(K, Counter)>>,
}

impl<K: Copy + PartialEq> Counters<K> {
    pub(super) fn new(metric: &'static Metric, shared: Vec<Label>) -> Self {
        Self { metric, shared, known: RwLock::default() }
    }

    /// Adds one to the counter of `key`; `own` gives the labels that belong to `key` when it is new.
    pub(super) fn count(&self, key: K, own: impl FnOnce() -> Vec<Label>) {
        if let Some((_, counter)) = self.known.read().iter().find(|(known, _)| *known == key) {
            counter.increment(1);
            return;
        }
        self.resolve(key, own).increment(1);
    }

    /// The counter of `key`, there from now on, at zero when it is new.
    pub(super) fn resolve(&self, key: K, own: impl FnOnce() -> Vec<Label>) -> Counter {
        let counter = self.metric.counter([self.shared.clone(), own()].concat());
        let mut known = self.known.write();
        if !known.iter().any(|(other, _)| *other == key) {
            known.push((key, counter.clone()));
        }
        counter
    }
}
