//! An attempt's stay at its target: counted while it lasts, and told to the target's health as it answers
//! and as it ends. Time and jitter are arguments, and nothing of the attempt itself is known here.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tollgate_dialect::Fault;

use super::failure::{Class, Failure, HoldScope};
use crate::{
    health::{Breaker, Change, Entered, Sample, Told, Way},
    overload::Seat,
    snapshot::{Failback, Route, Target},
};

/// A number below a bound.
pub(super) type Jitter<'a> = &'a dyn Fn(u32) -> u32;

pub(super) struct Stay {
    pub(super) route: Arc<Route>,
    pub(super) target: Arc<Target>,
    pub(super) began: Instant,
    way: Way,
    /// How the target let it in; `None` only until it did.
    entered: Option<Entered>,
    /// The target's health has heard of this attempt.
    reported: bool,
    /// Its slot there, where the upstream has a bound.
    _seat: Option<Seat>,
}

/// What a failure has done to its target.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effect {
    /// The target is out of use now.
    pub(super) ejected: bool,
    /// For how long it is held now, where it throttled.
    pub(super) held: Option<Duration>,
}

impl Stay {
    /// Takes the way in, with a slot where the upstream has a bound; `None` when another request was
    /// faster at a half-open target, or an operator has taken it out since it was chosen.
    pub(super) fn enter(
        route: &Arc<Route>,
        target: &Arc<Target>,
        (seat, way): (Option<Seat>, Way),
        now: Instant,
    ) -> Option<Self> {
        let (route, target) = (Arc::clone(route), Arc::clone(target));
        target.upstream.live.in_flight.fetch_add(1, Ordering::Relaxed);
        target.live.in_flight.fetch_add(1, Ordering::Relaxed);
        target.upstream.region_live.in_flight.fetch_add(1, Ordering::Relaxed);
        route.live.in_flight.fetch_add(1, Ordering::Relaxed);
        // From here on the counts are given back by `Drop`.
        let mut stay = Self { route, target, began: now, way, entered: None, reported: false, _seat: seat };
        stay.entered = stay.pass(now);
        stay.entered.is_some().then_some(stay)
    }

    fn pass(&self, now: Instant) -> Option<Entered> {
        // It may have waited for its slot, or before it came back, while an operator took the target out.
        if !self.target.takes_requests() {
            return None;
        }
        if self.target.is_forced() || self.route.is_forced() {
            return Some(Entered::Freely);
        }
        let way = self.way;
        if way != Way::LastResort && !self.target.holds().iter().all(|hold| hold.enter(now)) {
            return None;
        }
        let (entered, changes) =
            self.target.live.breaker(|breaker| (breaker.enter(way, now), breaker.take_changes()));
        self.tell(&changes);
        entered
    }

    /// How the target let it in.
    #[cfg(test)]
    pub(super) const fn entered(&self) -> Option<Entered> {
        self.entered
    }

    /// The target answered: a whole plain answer.
    pub(super) fn answered(&mut self, jitter: Jitter<'_>, now: Instant) {
        self.served(now);
        self.sample(Sample::Success, jitter, now);
    }

    /// The target answered: the first content of a stream, whose end is told by
    /// [`finished`](Self::finished), [`broke`](Self::broke) or [`said`](Self::said).
    pub(super) fn began_to_answer(&mut self, jitter: Jitter<'_>, now: Instant) {
        self.served(now);
        self.sample(Sample::Began, jitter, now);
        if self.entered == Some(Entered::OnTrial) {
            self.entered = Some(Entered::HasTried);
        }
    }

    /// The stream came to its end.
    pub(super) fn finished(&mut self, jitter: Jitter<'_>, now: Instant) {
        // One that was let in as a trial has counted as such with its first content.
        if self.entered == Some(Entered::Freely) {
            self.sample(Sample::Ended, jitter, now);
        }
    }

    /// Another was faster: it has taken so long at least.
    pub(super) fn outrun(&self, now: Instant) {
        self.target.live.load(|load| load.measured(now.duration_since(self.began), now));
    }

    fn served(&mut self, now: Instant) {
        let took = now.duration_since(self.began);
        for hold in self.target.holds() {
            hold.answered(self.began, now);
            if self.way == Way::LastResort {
                hold.works();
            }
        }
        self.target.live.load(|load| load.measured(took, now));
    }

    /// The target failed before it had answered.
    pub(super) fn failed(&mut self, failure: &Failure, jitter: Jitter<'_>, now: Instant) -> Effect {
        let held = self.hold(failure, jitter, now);
        if failure.class == Class::Said(Fault::Credential) {
            self.target.upstream.credential.doubt();
        }
        let sample = failure.sample();
        if sample == Some(Sample::Success) {
            for hold in self.target.holds() {
                hold.answered(self.began, now);
            }
        } else {
            self.route.group.last_resort.failed(now);
            if sample.is_some() || failure.hold().is_some() {
                let took = now.duration_since(self.began);
                self.target.live.load(|load| load.failed(took, failure.hint, now));
            }
        }
        let opened = match sample {
            Some(sample) => self.sample(sample, jitter, now),
            None => self.trial_throttled(failure, jitter, now),
        };
        // Whoever was there with the one that opened it falls with it, and is no new evidence.
        let ejected = opened
            || sample == Some(Sample::Fault) && self.target.live.breaker(|breaker| breaker.is_out(now));
        Effect { ejected, held }
    }

    /// The answer broke after its first content.
    pub(super) fn broke(&mut self, jitter: Jitter<'_>, now: Instant) {
        self.sample(Sample::Fault, jitter, now);
    }

    /// The upstream itself said in the middle of its stream what is wrong: it counts as what it says.
    pub(super) fn said(&mut self, fault: Fault, jitter: Jitter<'_>, now: Instant) -> Effect {
        let failure = Failure::of(Class::Said(fault));
        let held = self.hold(&failure, jitter, now);
        let ejected = failure.sample().is_some_and(|sample| self.sample(sample, jitter, now));
        Effect { ejected, held }
    }

    /// True when the sample has opened the breaker.
    fn sample(&mut self, sample: Sample, jitter: Jitter<'_>, now: Instant) -> bool {
        let Some(entered) = self.entered else { return false };
        self.reported = true;
        let jitter = jitter(501);
        let live = &self.target.live;
        let mut told = live.breaker(|breaker| breaker.sample(sample, entered, jitter, now));
        if told == Told::RateIsLow && self.may_eject(now) {
            live.breaker(|breaker| breaker.eject(jitter, now));
            told = Told::Opened;
        }
        self.took_effect(told)
    }

    /// A half-open target that throttles its trial is not what it should be.
    fn trial_throttled(&mut self, failure: &Failure, jitter: Jitter<'_>, now: Instant) -> bool {
        if self.entered != Some(Entered::OnTrial) || failure.hold().is_none() {
            return false;
        }
        self.reported = true;
        let jitter = jitter(501);
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

    /// For how long the target is held now, where the failure is one to wait for.
    fn hold(&self, failure: &Failure, jitter: Jitter<'_>, now: Instant) -> Option<Duration> {
        let (scope, hint) = failure.hold()?;
        let hold = match scope {
            HoldScope::Target => &self.target.live.hold,
            HoldScope::FateGroup => &self.target.fate,
            HoldScope::Account => &self.target.account,
        };
        match hint.zip(failure.defect()) {
            Some((wait, defect)) => hold.defective(defect, wait, now),
            None if scope == HoldScope::Target && self.target.is_provisioned => hold.overflowed(hint, now),
            None => hold.throttled(hint, jitter(101), now),
        }
        if failure.defect().is_some() {
            tracing::error!(target = %self.target.live.name, outcome = failure.outcome(), "the upstream needs an operator");
        }
        hold.until(now).map(|until| until.duration_since(now))
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

impl Drop for Stay {
    fn drop(&mut self) {
        self.target.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.target.upstream.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.target.upstream.region_live.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.route.live.in_flight.fetch_sub(1, Ordering::Relaxed);
        for hold in self.target.holds() {
            hold.left(self.began);
        }
        if !self.reported && self.entered == Some(Entered::OnTrial) {
            // Whoever had the one way in tells nothing about the target; let the next one try.
            self.target.live.breaker(Breaker::no_sample);
        }
    }
}
