//! Requests open at the same time.

use std::time::Duration;

use super::{
    limits::LimitKind,
    refused::{Refusal, RefusedDetail},
    reservation::LimitLeft,
};

/// How long a refused request is told to wait: nobody knows when one of the open ones ends.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The open requests of a scope, counted whether or not there is a limit, so that a limit that
/// comes with a new configuration knows those that are open already.
#[derive(Debug, Default)]
pub(super) struct Permits {
    open: u32,
}

impl Permits {
    pub(super) fn check(&self, limit: Option<u32>) -> Result<(), Refusal> {
        match limit {
            Some(limit) if self.open >= limit => Err(Refusal {
                limit: LimitKind::ConcurrentRequests,
                retry_after: (limit > 0).then_some(RETRY_AFTER),
                never_fits: false,
                detail: Box::new(RefusedDetail::Concurrency { limit, open: self.open }),
            }),
            _ => Ok(()),
        }
    }

    /// What is left of a limit; nobody knows when an open request ends.
    pub(super) fn left(&self, limit: u32) -> (LimitKind, LimitLeft) {
        let remaining = limit.saturating_sub(self.open).into();
        let left = LimitLeft { limit: limit.into(), remaining, reset_after: Duration::ZERO };
        (LimitKind::ConcurrentRequests, left)
    }

    pub(super) fn take(&mut self) {
        self.open = self.open.saturating_add(1);
    }

    pub(super) fn give_back(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}
