//! What all requests of one alias share.

use std::time::Instant;

use crate::{
    failover::{Hedges, RetryBudget, Throttle},
    route::{LastResort, Rotation},
};

/// Live state of an alias.
pub struct Group {
    /// Retries of all its requests.
    pub retries: RetryBudget,
    /// Second copies of its streams, where its route wants them.
    pub(crate) hedges: Hedges,
    /// Refuses while nearly everything fails.
    pub(crate) throttle: Throttle,
    /// The one request a second that is sent when nothing takes requests.
    pub(crate) last_resort: LastResort,
    /// Whose turn it is, where turns are taken.
    pub(crate) rotation: Rotation,
}

impl Group {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            retries: RetryBudget::new(now),
            hedges: Hedges::default(),
            throttle: Throttle::default(),
            last_resort: LastResort::default(),
            rotation: Rotation::default(),
        }
    }
}
