//! What is told of a request that belongs to a recorded trace: its row, and when each attempt began.
//!
//! Nothing is made of it here. A core hands it over without waiting, and what finds no room is counted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::SmallVec;
use tollgate_accounting::ledger::Entry;
use tollgate_dialect::{Dialect, Operation};

use crate::{edge::Exchange, snapshot::Target, trace::Trace, worker::Worker};

/// A request of a recorded trace, when it is over.
pub struct Traced {
    /// Where it stands.
    pub trace: Arc<Trace>,
    /// What came of it.
    pub entry: Entry,
    /// What the client asked for, and in which dialect.
    pub asked: (Dialect, Operation),
    /// How long it took.
    pub took: Duration,
    /// When and why each attempt began, in their order.
    pub legs: SmallVec<[TracedLeg; 1]>,
}

/// An attempt of a recorded trace.
pub struct TracedLeg {
    /// Its number, as the row has it.
    pub n: u16,
    /// From the request's begin to its own.
    pub after: Duration,
    /// Where it went.
    pub target: Arc<Target>,
    /// It began while another one was on its way.
    pub is_copy: bool,
}

impl Traced {
    /// So many spans there are: the request's and one for each attempt.
    #[must_use]
    pub fn spans(&self) -> u64 {
        1 + self.legs.len() as u64
    }
}

/// The attempts of a trip whose trace is recorded.
pub(super) struct Spans {
    trace: Arc<Trace>,
    legs: SmallVec<[TracedLeg; 1]>,
}

impl Spans {
    /// `None` where nobody records.
    pub(super) fn of(trace: Option<&Arc<Trace>>, tells_spans: bool) -> Option<Box<Self>> {
        let trace = trace.filter(|trace| tells_spans && trace.sampled)?;
        Some(Box::new(Self { trace: Arc::clone(trace), legs: SmallVec::new() }))
    }

    pub(super) fn begins(&mut self, n: u16, target: &Arc<Target>, is_copy: bool, after: Duration) {
        self.legs.push(TracedLeg { n, after, target: Arc::clone(target), is_copy });
    }

    /// Hands the request over to whoever tells of spans.
    pub(super) fn tell(
        self,
        worker: &Worker,
        entry: Entry,
        asked: (Dialect, Operation),
        exchange: Exchange,
        now: Instant,
    ) {
        let Some(outbox) = &worker.shared.spans else { return };
        let Self { trace, legs } = self;
        let took = now.duration_since(exchange.began);
        let traced = Traced { trace, entry, asked, took, legs };
        let spans = traced.spans();
        outbox.offer(Box::new(traced), spans);
    }
}
