//! How far a target has come with a request: what it may bill if it never answers.

use std::cell::Cell;

use tollgate_domain::Usage;

/// Shared between an attempt, which may be dropped at any moment, and the trip that outlives it.
#[derive(Default)]
pub(crate) struct Progress {
    sent: Cell<bool>,
    told: Cell<Option<Usage>>,
}

impl Progress {
    /// The request goes out now; from here on the target may work on it.
    pub(crate) fn sends(&self) {
        self.sent.set(true);
    }

    /// True once the target may have worked on the request.
    pub(super) fn is_sent(&self) -> bool {
        self.sent.get()
    }

    /// The target has stated figures before its first content, or in an answer that came in pieces.
    pub(crate) fn tells(&self, usage: Usage) {
        self.told.set(Some(usage));
    }

    /// What the target has stated so far.
    pub(super) fn told(&self) -> Option<Usage> {
        self.told.get()
    }
}
