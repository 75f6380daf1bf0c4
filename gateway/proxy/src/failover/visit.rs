//! An attempt at its target, as its core sees it: its stay there, and what series and rows tell of it, also
//! when nobody waits for the end.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use tollgate_accounting::ledger::Attempt;
use tollgate_dialect::Fault;
use tollgate_telemetry::UpstreamSeries;

use super::{
    failure::{Class, Failure},
    stay::{Effect, Stay},
};
use crate::{
    edge::row_millis,
    health::Way,
    overload::Seat,
    snapshot::{Route, Target},
    worker::Worker,
};

pub(crate) struct Visit {
    worker: Rc<Worker>,
    stay: Stay,
    series: Rc<UpstreamSeries>,
    /// How often something had been told to end when it began.
    cuts: u32,
    /// How it ended, as far as it is known.
    outcome: &'static str,
}

impl Visit {
    /// Takes the way in, as [`Stay::enter`] does.
    pub(crate) fn enter(
        worker: &Rc<Worker>,
        route: &Arc<Route>,
        target: &Arc<Target>,
        way_in: (Option<Seat>, Way),
        now: Instant,
    ) -> Option<Self> {
        let stay = Stay::enter(route, target, way_in, now)?;
        let series = worker.series.borrow_mut().upstream(&target.upstream.name);
        series.attempt_began();
        let cuts = worker.cuts();
        Some(Self { worker: Rc::clone(worker), stay, series, cuts, outcome: "cancelled" })
    }

    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.stay.target
    }

    pub(crate) fn began(&self) -> Instant {
        self.stay.began
    }

    /// True when an operator ends what is in flight here. Nothing is looked up before something was
    /// told to end since this began.
    pub(crate) fn is_cut(&self) -> bool {
        let is_meant = || self.stay.target.is_cut() || self.stay.route.live.operator.is_cut();
        self.worker.cuts() != self.cuts && is_meant()
    }

    /// What the attempt gives, unless an operator ends it before. Its core wakes whoever waits, but for
    /// calls that have only seconds left anyway.
    ///
    /// # Cancel safety
    /// As safe as the future.
    pub(super) async fn unless_cut<T>(
        &self,
        mut attempt: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        poll_fn(|cx| match attempt.as_mut().poll(cx) {
            Poll::Pending if self.is_cut() => Poll::Ready(Err(Failure::of(Class::Cut))),
            polled => polled,
        })
        .await
    }

    /// An operator has ended it: no fault of the target's.
    pub(crate) fn was_cut(&mut self) {
        self.outcome = "cut";
    }

    /// The other copy of the call was answered first.
    pub(super) fn was_outrun(&mut self, now: Instant) {
        self.outcome = "outrun";
        self.stay.outrun(now);
    }

    /// The target answered: a whole plain answer.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.outcome = "ok";
        self.stay.answered(&|bound| self.worker.jitter(bound), now);
    }

    /// The target answered: the first content of a stream, whose end is told by
    /// [`finished`](Self::finished) or [`broke`](Self::broke).
    pub(crate) fn began_to_answer(&mut self, now: Instant) {
        self.outcome = "ok";
        self.stay.began_to_answer(&|bound| self.worker.jitter(bound), now);
    }

    /// The stream came to its end.
    pub(crate) fn finished(&mut self, now: Instant) {
        self.stay.finished(&|bound| self.worker.jitter(bound), now);
    }

    /// The target failed before it had answered. True when it is out of use now.
    pub(crate) fn failed(&mut self, failure: &Failure, now: Instant) -> bool {
        self.outcome = failure.outcome();
        let effect = self.stay.failed(failure, &|bound| self.worker.jitter(bound), now);
        self.counts(effect);
        effect.ejected
    }

    /// The answer broke after its first content.
    pub(crate) fn broke(&mut self, outcome: &'static str, now: Instant) {
        self.outcome = outcome;
        self.stay.broke(&|bound| self.worker.jitter(bound), now);
    }

    /// The upstream itself said in the middle of its stream what is wrong: it counts as what it says.
    pub(crate) fn said(&mut self, fault: Fault, now: Instant) {
        self.outcome = "error_event";
        let effect = self.stay.said(fault, &|bound| self.worker.jitter(bound), now);
        self.counts(effect);
    }

    fn counts(&self, effect: Effect) {
        if let Some(held) = effect.held {
            self.series.held(held);
        }
    }

    /// The attempt as the row tells it.
    pub(crate) fn story(&self, n: u16, outcome: &'static str, status: Option<u16>, now: Instant) -> Attempt {
        let upstream = &self.stay.target.upstream;
        Attempt {
            n,
            upstream: upstream.name.clone(),
            region: upstream.region.clone(),
            outcome: outcome.into(),
            status,
            upstream_request_id: None,
            ttft_ms: None,
            duration_ms: row_millis(now.duration_since(self.stay.began)),
            meters: Default::default(),
            waste: Default::default(),
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.series.attempt_ended(self.outcome);
    }
}
