//! An attempt's presence at its target: counted while it lasts, and reported to the target's health
//! as it answers and as it ends, also when nobody waits for the end.

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

use super::failure::{Class, Failure, HoldScope};
use crate::{
    edge::row_millis,
    health::{Breaker, Change, Entered, Sample, Told, Way},
    overload::Seat,
    snapshot::{Failback, Route, Target},
    worker::Worker,
};

pub(crate) struct Visit {
    worker: Rc<Worker>,
    route: Arc<Route>,
    target: Arc<Target>,
    /// Its slot there, where the upstream has a bound.
    _seat: Option<Seat>,
    series: Rc<UpstreamSeries>,
    pub(crate) began: Instant,
    /// How often something had been told to end when it began.
    cuts: u32,
    way: Way,
    /// How the target let it in, so that it counts as an attempt.
    entered: Option<Entered>,
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
        route: &Arc<Route>,
        target: &Arc<Target>,
        (seat, way): (Option<Seat>, Way),
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
            route: Arc::clone(route),
            target: Arc::clone(target),
            _seat: seat,
            series,
            began: now,
            cuts: worker.cuts(),
            way,
            entered: None,
            reported: false,
            outcome: "cancelled",
        };
        visit.entered = visit.pass(now);
        visit.entered.map(|_| {
            visit.series.attempt_began();
            visit
        })
    }

    fn pass(&self, now: Instant) -> Option<Entered> {
        if self.target.is_forced() || self.route.is_forced() {
            return Some(Entered::Freely);
        }
        let holds = self.target.holds();
        let way = self.way;
        if way != Way::LastResort && !holds.iter().all(|hold| hold.enter(now)) {
            return None;
        }
        let (entered, changes) =
            self.target.live.breaker(|breaker| (breaker.enter(way, now), breaker.take_changes()));
        self.tell(&changes);
        entered
    }

    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// True when an operator ends what is in flight here. Nothing is looked up before something was
    /// told to end since this began.
    pub(crate) fn is_cut(&self) -> bool {
        self.worker.cuts() != self.cuts && (self.target.is_cut() || self.route.live.operator.is_cut())
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

    /// The target answered: a whole plain answer.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.served(now);
        self.sample(Sample::Success, now);
    }

    /// The target answered: the first content of a stream, whose end is told by
    /// [`finished`](Self::finished) or [`broke`](Self::broke).
    pub(crate) fn began_to_answer(&mut self, now: Instant) {
        self.served(now);
        self.sample(Sample::Began, now);
    }

    /// The stream came to its end.
    pub(crate) fn finished(&mut self, now: Instant) {
        // One that was let in as a trial has counted as such with its first content.
        if self.entered == Some(Entered::Freely) {
            self.sample(Sample::Success, now);
        }
    }

    fn served(&mut self, now: Instant) {
        let took = now.duration_since(self.began);
        for hold in self.target.holds() {
            hold.answered(self.began, now);
            if self.way == Way::LastResort && hold.is_defect() {
                hold.reset();
            }
        }
        self.target.live.load(|load| load.measured(took, now));
        self.outcome = "ok";
    }

    /// The target failed before it had answered. True when it is out of use now.
    pub(crate) fn failed(&mut self, failure: &Failure, now: Instant) -> bool {
        self.hold(failure, now);
        if failure.class == Class::Said(Fault::Credential) {
            self.target.upstream.credential.doubt();
        }
        self.outcome = failure.outcome();
        let sample = failure.sample();
        if sample == Some(Sample::Success) {
            for hold in self.target.holds() {
                hold.answered(self.began, now);
            }
        } else if sample.is_some() || failure.hold().is_some() {
            let took = now.duration_since(self.began);
            self.target.live.load(|load| load.failed(took, failure.hint, now));
        }
        let opened = match sample {
            Some(sample) => self.sample(sample, now),
            None => self.trial_throttled(failure, now),
        };
        // Whoever was there with the one that opened it falls with it, and is no new evidence.
        opened || sample == Some(Sample::Fault) && self.target.live.breaker(|breaker| breaker.is_out(now))
    }

    /// The answer broke after its first content.
    pub(crate) fn broke(&mut self, outcome: &'static str, now: Instant) {
        self.sample(Sample::Fault, now);
        self.outcome = outcome;
    }

    /// The upstream itself said in the middle of its stream what is wrong: it counts as what it says.
    pub(crate) fn said(&mut self, fault: Fault, now: Instant) {
        let failure = Failure::of(Class::Said(fault));
        self.hold(&failure, now);
        if let Some(sample) = failure.sample() {
            self.sample(sample, now);
        }
        self.outcome = "error_event";
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

    /// True when the sample has opened the breaker.
    fn sample(&mut self, sample: Sample, now: Instant) -> bool {
        let Some(entered) = self.entered else { return false };
        self.reported = true;
        let jitter = self.worker.jitter(501);
        let live = &self.target.live;
        let mut told = live.breaker(|breaker| breaker.sample(sample, entered, jitter, now));
        if told == Told::RateIsLow && self.may_eject(now) {
            live.breaker(|breaker| breaker.eject(jitter, now));
            told = Told::Opened;
        }
        self.took_effect(told)
    }

    /// A half-open target that throttles its trial is not what it should be.
    fn trial_throttled(&mut self, failure: &Failure, now: Instant) -> bool {
        if self.entered != Some(Entered::OnTrial) || failure.hold().is_none() {
            return false;
        }
        self.reported = true;
        let jitter = self.worker.jitter(501);
        let told = self.target.live.breaker(|breaker| breaker.trial_throttled(jitter, now));
        self.took_effect(told)
    }

    fn took_effect(&self, told: Told) -> bool {
        let changes = self.target.live.breaker(Breaker::take_changes);
        self.tell(&changes);
        let opened = told == Told::Opened;
        if opened && self.target.upstream.failback == Failback::Manual {
            self.target.live.leave(&self.target.upstream.region);
        }
        opened
    }

    /// A low rate may put a target out only while no more than half of the alias's weight is out with it:
    /// where most targets do badly the fault is not theirs, and a bad answer is better than none.
    fn may_eject(&self, now: Instant) -> bool {
        let (mut all, mut out) = (0_u64, 0_u64);
        for target in self.route.levels.iter().flatten() {
            let weight = u64::from(target.weight.max(1));
            all += weight;
            let is_self = Arc::ptr_eq(&target.live, &self.target.live);
            if is_self || target.live.breaker(|breaker| breaker.is_out(now)) {
                out += weight;
            }
        }
        out * 2 <= all
    }

    fn hold(&mut self, failure: &Failure, now: Instant) {
        let Some((scope, hint)) = failure.hold() else { return };
        let hold = match scope {
            HoldScope::Target => &self.target.live.hold,
            HoldScope::FateGroup => &self.target.fate,
            HoldScope::Account => &self.target.account,
        };
        match hint.zip(failure.defect()) {
            Some((wait, defect)) => hold.defective(defect, wait, now),
            None if scope == HoldScope::Target && self.target.is_provisioned => hold.overflowed(hint, now),
            None => hold.throttled(hint, self.worker.jitter(101), now),
        }
        if let Some(until) = hold.until(now) {
            self.series.held(until.duration_since(now));
        }
        if failure.defect().is_some() {
            tracing::error!(target = %self.target.live.name, outcome = failure.outcome(), "the upstream needs an operator");
        }
    }

    /// Changes of the breaker's state are for operators to see, each with its reason.
    fn tell(&self, changes: &[Change]) {
        for change in changes {
            let (upstream, model) = (self.target.upstream.name.as_str(), self.target.model.as_str());
            tollgate_telemetry::breaker_changed(upstream, model, change.to, change.reason);
            match change.to {
                "open" => {
                    tracing::warn!(target = %self.target.live.name, reason = change.reason, "breaker opened");
                }
                to => {
                    tracing::info!(target = %self.target.live.name, reason = change.reason, to, "breaker changed")
                }
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.target.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.target.upstream.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.target.upstream.region_live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.route.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        for hold in self.target.holds() {
            hold.left(self.began);
        }
        let Some(entered) = self.entered else { return };
        self.series.attempt_ended(self.outcome);
        if !self.reported && entered == Entered::OnTrial {
            // Whoever had the one way in tells nothing about the target; let the next one try.
            self.target.live.breaker(Breaker::no_sample);
        }
    }
}
