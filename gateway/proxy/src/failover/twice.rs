//! A stream that nobody begins to answer for long is asked for a second time, elsewhere; the first content
//! wins and the other copy is given up.
//!
//! Off unless a route asks for it, and only for calls that cost little at most, since both copies may be
//! billed: what the lost one has cost is waste.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use tokio::time::timeout;

use super::{
    Answer, Tries, arrive,
    attempt::Reply,
    course::Failed,
    failure::Failure,
    leg::{Leg, Road},
};
use crate::{
    health::Way,
    overload::Seat,
    route::{self, Asker, Choice},
    settle::Trip,
};

type Outcome = Option<Result<Reply, Failure>>;

impl Tries<'_> {
    /// After how long this attempt gets a second copy beside it, if it may get one.
    pub(super) fn copies_after(&self, trip: &Trip, now: Instant) -> Option<Duration> {
        let (hedge, group) = (self.plan.route.hedge?, &self.plan.route.group);
        let holds = self.plan.candidates.iter().flat_map(|candidate| candidate.target.holds());
        let may = self.course.is_first()
            && trip.may_hedge()
            && group.retries.is_half_full(now)
            // Where one is told to wait, the others will have its traffic soon enough.
            && holds.into_iter().all(|hold| hold.until(now).is_none());
        may.then(|| group.hedges.delay(hedge.after, now))
    }

    /// The attempt that is on its way, and after `delay` a second one beside it.
    ///
    /// # Cancel safety
    /// Dropping the future gives both up; the trip knows of both until one has won.
    pub(super) async fn twice(
        &mut self,
        trip: &mut Trip,
        first: Leg,
        delay: Duration,
    ) -> Result<Answer, Failed> {
        let (worker, principal) = (Rc::clone(trip.worker()), trip.principal_for_good());
        let road = Road {
            worker: &worker,
            plan: self.plan,
            envelope: self.envelope,
            principal: &principal,
            call: trip.exchange(),
            deadline: self.course.deadline(),
        };
        let mut one = Box::pin(first.run(road));
        if let Ok(outcome) = timeout(delay, &mut one).await {
            drop(one);
            return arrive(trip, first, outcome, self.plan);
        }
        let Some(second) = self.sets_out_beside(trip, &first) else {
            let outcome = one.await;
            return arrive(trip, first, outcome, self.plan);
        };
        let mut other = Box::pin(second.run(road));
        let (is_first, outcome) = match select(&mut one, &mut other).await {
            Either::Left((outcome, _)) => (true, outcome),
            Either::Right((outcome, _)) => (false, outcome),
        };
        if is_first {
            drop(one);
            trip.turns_to_the_other();
            if is_answer(&outcome) {
                drop(other);
                self.gives_up(trip, second, "wasted");
                return arrive(trip, first, outcome, self.plan);
            }
            self.fell(trip, first, outcome);
            let outcome = other.await;
            count(&worker, if is_answer(&outcome) { "won" } else { "wasted" });
            return arrive(trip, second, outcome, self.plan);
        }
        drop(other);
        if is_answer(&outcome) {
            drop(one);
            self.gives_up(trip, first, "won");
            return arrive(trip, second, outcome, self.plan);
        }
        count(&worker, "wasted");
        self.fell(trip, second, outcome);
        let outcome = one.await;
        arrive(trip, first, outcome, self.plan)
    }

    /// A second copy sets out for another fate group, if the budget of copies has one and somebody there
    /// has a slot free.
    fn sets_out_beside(&mut self, trip: &mut Trip, first: &Leg) -> Option<Leg> {
        let now = Instant::now();
        let fate = &self.plan.candidates[first.place].target.fate;
        let (plan, course) = (self.plan, &self.course);
        let is_out = |place: usize| {
            place == first.place
                || Arc::ptr_eq(&plan.candidates[place].target.fate, fate)
                || plan.changes_version(&[first.place], place)
        };
        let asker = Asker { tried: is_out, affinity: course.affinity(), random: || trip.worker().random() };
        let Choice::Candidate(place, Way::Usual) = route::choose(plan, asker, now) else { return None };
        let upstream = &plan.candidates[place].target.upstream;
        let seat = Seat::find(upstream, &trip.principal().standing).ok()?;
        if !plan.route.group.hedges.take() {
            return None;
        }
        trip.keeps_beside(first.story("cancelled", now), first.visit.began());
        let second = self.sets_out(trip, place, (seat, Way::Usual), now);
        match &second {
            Some(_) => count(trip.worker(), "sent"),
            None => trip.turns_back(),
        }
        second
    }

    /// One copy has failed while the other is on its way; what is charged for it needs no further word.
    fn fell(&mut self, trip: &mut Trip, leg: Leg, outcome: Outcome) {
        if let Err(failed) = arrive(trip, leg, outcome, self.plan) {
            self.course.takes_note(self.plan, failed.place, failed.failure);
        }
        trip.turns_back();
    }

    /// The other copy has won.
    fn gives_up(&self, trip: &mut Trip, mut leg: Leg, result: &'static str) {
        count(trip.worker(), result);
        let now = Instant::now();
        trip.loses_the_other(leg.story("outrun", now));
        leg.visit.was_outrun(now);
    }
}

fn is_answer(outcome: &Outcome) -> bool {
    matches!(outcome, Some(Ok(_)))
}

fn count(worker: &crate::worker::Worker, result: &'static str) {
    worker.series.borrow_mut().hedges().record(result);
}
