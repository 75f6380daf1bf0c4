//! What a drill does to the body of an answer: its pieces come late, or it ends early.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use super::{fault::Slot, pulse::Pulse};

/// Goes with an answer of a drilled target to its end.
pub(crate) struct Disturbance {
    kind: Kind,
    pulse: Arc<Pulse>,
    _slot: Slot,
}

pub(super) enum Kind {
    Nothing,
    Cut {
        /// Pieces that may still come, once the stream is committed.
        after: u32,
        is_committed: bool,
        is_done: bool,
    },
    Trickle {
        every: Duration,
        /// The wait for the next piece; `None` when it has ended and the piece may come.
        wait: Option<Pin<Box<Sleep>>>,
        may_come: bool,
    },
}

impl Kind {
    pub(super) const fn cut(after: u32) -> Self {
        Self::Cut { after, is_committed: false, is_done: false }
    }

    pub(super) const fn trickle(every: Duration) -> Self {
        Self::Trickle { every, wait: None, may_come: false }
    }
}

/// Whether the body may be read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// The next piece may come.
    Goes,
    /// It ends here, as if the connection had been closed.
    Ends,
}

impl Disturbance {
    pub(super) fn new(kind: Kind, pulse: Arc<Pulse>, slot: Slot) -> Self {
        Self { kind, pulse, _slot: slot }
    }

    /// Asked before each piece.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        match &mut self.kind {
            Kind::Nothing => {}
            Kind::Cut { is_done: true, .. } => return Poll::Ready(Verdict::Ends),
            Kind::Cut { after: 0, is_committed: true, is_done } => {
                let now = Instant::now();
                if !self.pulse.is_over(now) {
                    self.pulse.hit(now);
                    *is_done = true;
                    return Poll::Ready(Verdict::Ends);
                }
            }
            Kind::Cut { .. } => {}
            Kind::Trickle { every, wait, may_come } => {
                if !*may_come && !self.pulse.is_over(Instant::now()) {
                    let sleep = wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(*every)));
                    ready!(sleep.as_mut().poll(cx));
                }
                (*wait, *may_come) = (None, true);
            }
        }
        Poll::Ready(Verdict::Goes)
    }

    /// A piece has come.
    pub(crate) fn came(&mut self) {
        match &mut self.kind {
            Kind::Cut { after, is_committed: true, .. } => *after = after.saturating_sub(1),
            Kind::Trickle { may_come, .. } => *may_come = false,
            _ => {}
        }
    }

    /// The stream has become the client's answer.
    pub(crate) fn committed(&mut self) {
        if let Kind::Cut { is_committed, .. } = &mut self.kind {
            *is_committed = true;
        }
    }

    /// True once the body was ended before its end: its connection is of no more use.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.kind, Kind::Cut { is_done: true, .. })
    }
}
