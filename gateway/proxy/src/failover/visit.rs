//! An attempt's presence at its target: counted while it lasts, and reported to the target's health
//! exactly once, also when nobody waits for the end.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Instant,
};

use tollgate_accounting::ledger::Attempt;
use tollgate_dialect::Fault;
use tollgate_telemetry::UpstreamSeries;

use super::{
    breaker::Sample,
    failure::{Class, Failure, HoldScope},
};
use crate::{
    edge::row_millis,
    live::{ModelLive, OperatorState},
    overload::Seat,
    snapshot::{Route, Target},
    worker::Worker,
};

pub(crate) struct Visit {
    worker: Rc<Worker>,
    target: Arc<Target>,
    model: Arc<ModelLive>,
    /// Its slot there, where the upstream has a bound.
    _seat: Option<Seat>,
    series: Rc<UpstreamSeries>,
    pub(crate) began: Instant,
    /// How often something had been told to end when it began.
    cuts: u32,
    /// The target let it in, so it counts as an attempt.
    admitted: bool,
    /// The target's health has heard of this attempt.
    reported: bool,
    /// How it ended, as far as it is known.
    outcome: &'static str,
}

impl Visit {
    /// Takes the way in, with a slot where the upstream has a bound; `None` when another request was
    /// faster at a half-open target.
    pub(crate) fn enter(
        worker: &Rc<Worker>,
        route: &Route,
        target: &Arc<Target>,
        seat: Option<Seat>,
        now: Instant,
    ) -> Option<Self> {
        let upstream = &target.upstream;
        upstream.live.in_flight.fetch_add(1, Ordering::Relaxed);
        target.live.in_flight.fetch_add(1, Ordering::Relaxed);
        upstream.region_live.in_flight.fetch_add(1, Ordering::Relaxed);
        route.live.in_flight.fetch_add(1, Ordering::Relaxed);
        let series = worker.series.borrow_mut().upstream(&upstream.name);
        // From here on the counts are given back by `Drop`.
        let mut visit = Self {
            worker: Rc::clone(worker),
            target: Arc::clone(target),
            model: Arc::clone(&route.live),
            _seat: seat,
            series,
            began: now,
            cuts: worker.cuts(),
            admitted: false,
            reported: false,
            outcome: "cancelled",
        };
        let holds = [&target.live.hold, &*target.fate, &*target.account];
        let lets_in =
            || holds.iter().all(|hold| hold.enter(now)) && target.live.breaker(|breaker| breaker.enter(now));
        let is_forced = target.is_forced() || route.operator_state() == OperatorState::Forced;
        visit.admitted = is_forced || lets_in();
        visit.admitted.then(|| {
            visit.series.attempt_began();
            visit
        })
    }

    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// True when an operator ends what is in flight here. Nothing is looked up before something was
    /// told to end since this began.
    pub(crate) fn is_cut(&self) -> bool {
        self.worker.cuts() != self.cuts && (self.target.is_cut() || self.model.operator.is_cut())
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

    /// The target answered: first content, or a whole plain answer.
    pub(crate) fn answered(&mut self, now: Instant) {
        let took = now.duration_since(self.began);
        for hold in [&self.target.live.hold, &*self.target.fate, &*self.target.account] {
            hold.answered(self.began, now);
        }
        self.target.live.load(|load| load.measured(took, now));
        self.sample(Sample::Success, now);
        self.outcome = "ok";
    }

    /// The target failed before it had answered.
    pub(crate) fn failed(&mut self, failure: &Failure, now: Instant) {
        self.hold(failure, now);
        if failure.class == Class::Said(Fault::Credential) {
            self.target.upstream.credential.doubt();
        }
        match failure.sample() {
            Some(Sample::Success) => {
                for hold in [&self.target.live.hold, &*self.target.fate, &*self.target.account] {
                    hold.answered(self.began, now);
                }
                self.sample(Sample::Success, now);
            }
            sample => {
                let took = now.duration_since(self.began);
                if sample.is_some() || failure.hold().is_some() {
                    self.target.live.load(|load| load.failed(took, failure.hint, now));
                }
                if let Some(sample) = sample {
                    self.sample(sample, now);
                }
            }
        }
        self.outcome = failure.outcome();
    }

    /// The answer broke after its first content.
    pub(crate) fn broke(&mut self, outcome: &'static str, now: Instant) {
        self.sample(Sample::Fault, now);
        self.outcome = outcome;
    }

    /// The attempt as the row tells it.
    pub(crate) fn story(&self, n: u16, outcome: &'static str, status: Option<u16>, now: Instant) -> Attempt {
        Attempt {
            n,
            upstream: self.target.upstream.name.clone(),
            region: self.target.upstream.region.clone(),
            outcome: outcome.into(),
            status,
            upstream_request_id: None,
            ttft_ms: None,
            duration_ms: row_millis(now.duration_since(self.began)),
            meters: Default::default(),
            waste: Default::default(),
        }
    }

    fn sample(&mut self, sample: Sample, now: Instant) {
        self.reported = true;
        let jitter = self.worker.jitter(501);
        let opened = self.target.live.breaker(|breaker| breaker.sample(sample, jitter, now));
        if opened {
            tracing::warn!(target = %self.target.live.name, "breaker opened");
        }
    }

    fn hold(&mut self, failure: &Failure, now: Instant) {
        let Some((scope, hint)) = failure.hold() else { return };
        let hold = match scope {
            HoldScope::Target => &self.target.live.hold,
            HoldScope::FateGroup => &self.target.fate,
            HoldScope::Account => &self.target.account,
        };
        match hint.filter(|_| failure.is_alarm()) {
            Some(wait) => hold.defective(wait, now),
            None => hold.throttled(hint, self.worker.jitter(101), now),
        }
        if let Some(until) = hold.until(now) {
            self.series.held(until.duration_since(now));
        }
        if failure.is_alarm() {
            tracing::error!(target = %self.target.live.name, outcome = failure.outcome(), "the upstream needs an operator");
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.target.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.target.upstream.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.target.upstream.region_live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.model.in_flight.fetch_sub(1, Ordering::Relaxed);
        for hold in [&self.target.live.hold, &*self.target.fate, &*self.target.account] {
            hold.left(self.began);
        }
        if !self.admitted {
            return;
        }
        self.series.attempt_ended(self.outcome);
        if !self.reported {
            // Whoever had the one way in tells nothing about the target; let the next one try.
            self.target.live.breaker(super::Breaker::no_sample);
        }
    }
}
