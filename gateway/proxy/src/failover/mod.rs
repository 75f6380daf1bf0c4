//! Station 5: the attempts.
//!
//! Takes an admitted trip and its plan, gives an [`Answer`] that is committed: a whole plain answer,
//! or a stream whose first content event is in hand. A failure before that is not the client's
//! problem while a permitted, healthy target is left; after it, nothing is ever sent again.

mod allowance;
mod attempt;
mod commit;
mod course;
mod failure;
mod hedges;
mod leg;
mod retries;
#[cfg(test)]
mod simulation;
mod stay;
mod throttle;
mod twice;
mod visit;
mod wording;

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tollgate_domain::UpstreamName;
use tollgate_telemetry::UpstreamSeries;

use crate::{
    edge::row_millis,
    health::Way,
    intake::Envelope,
    overload::Seat,
    rejection::Rejection,
    route::{self, RoutePlan},
    settle::{Server, Trip},
    snapshot::{Balance, Principal},
    worker::Worker,
};

pub use retries::RetryBudget;

pub(crate) use attempt::{Answer, upstream_request_id};
pub(crate) use commit::Stream;
pub(crate) use failure::{Class, Failure, Passed};
pub(crate) use hedges::Hedges;
pub(crate) use throttle::Throttle;
pub(crate) use visit::Visit;

use attempt::Reply;
use course::{Course, Failed, Next};
use leg::{Leg, Road};

/// So much time an attempt needs at least.
const LEAST_STREAM: Duration = Duration::from_secs(1);
const LEAST_PLAIN: Duration = Duration::from_secs(2);

/// Tries permitted targets until one answers.
///
/// # Errors
/// The failure that tells the client most, or that nothing takes requests.
///
/// # Cancel safety
/// Dropping the future cancels the attempt in flight and settles the trip.
pub(crate) async fn dispatch(
    trip: &mut Trip,
    plan: &RoutePlan,
    envelope: &Envelope,
) -> Result<Answer, Rejection> {
    let mut tries = Tries::new(trip, plan, envelope);
    let last_word = tries.run(trip).await;
    let Some(larger) = plan.larger.as_deref().filter(|_| tries.course.is_too_long()) else {
        return last_word;
    };
    // Where nothing can be had there, the client hears what is wrong with its request.
    let Ok(there) = Box::pin(tries.over(larger).run(trip)).await else { return last_word };
    trip.went_over_to(&larger.route.alias);
    Ok(there)
}

/// One request and its attempts.
struct Tries<'a> {
    plan: &'a RoutePlan,
    envelope: &'a Envelope,
    course: Course,
    /// Nobody's time is told as the gateway's own once the call has waited for somebody.
    has_waited: bool,
}

impl<'a> Tries<'a> {
    fn new(trip: &Trip, plan: &'a RoutePlan, envelope: &'a Envelope) -> Self {
        let timeouts = plan.candidates[0].target.upstream.timeouts;
        let (total, least) = match envelope.head.stream {
            true => (timeouts.stream_total, LEAST_STREAM),
            false => (timeouts.total, LEAST_PLAIN),
        };
        let began = trip.exchange().began;
        let mut course = Course::new(began + total, least, affinity(plan, trip.principal(), envelope));
        if let Some(patience) = envelope.patience() {
            course.is_waited_for_until(began + patience);
        }
        Self { plan, envelope, course, has_waited: false }
    }

    /// The same request on its way to the model for what is too long.
    fn over(self, larger: &'a RoutePlan) -> Self {
        Self { plan: larger, course: self.course.over(), ..self }
    }

    async fn run(&mut self, trip: &mut Trip) -> Result<Answer, Rejection> {
        self.plan.route.group.retries.earn();
        if self.plan.route.hedge.is_some() {
            self.plan.route.group.hedges.earn();
        }
        let last_word = self.until_the_last_word(trip).await;
        self.course.ends(self.plan, last_word.is_ok(), Instant::now());
        last_word
    }

    async fn until_the_last_word(&mut self, trip: &mut Trip) -> Result<Answer, Rejection> {
        loop {
            let now = Instant::now();
            let (place, way, seat, now) = match self.course.next(self.plan, || trip.worker().random(), now) {
                Next::Try(place, way) => (place, way, self.seat(trip, place), now),
                Next::TryAfter(place, pause) => {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    (place, Way::Usual, self.seat(trip, place), Instant::now())
                }
                Next::WaitAt(place) => (place, Way::Usual, self.wait(trip, place, now).await, Instant::now()),
                Next::Done(last_word) => return last_word.map(Answer::Refusal),
            };
            if self.course.is_throttled(self.plan, trip.worker().random(), now) {
                let (alias, wait) = (self.plan.route.alias.clone(), Some(Duration::from_secs(1)));
                return Err(Rejection::NoHealthyTarget { alias, wait });
            }
            let attempted = match seat {
                Ok(seat) => self.attempt(trip, place, (seat, way), now).await,
                Err(failure) => Err(Failed::at_the_door(place, failure)),
            };
            match attempted {
                Ok(answer) => return Ok(answer),
                Err(failed) => {
                    let outcome = failed.failure.outcome();
                    let (grant, end) = self.course.take_in(self.plan, failed, Instant::now());
                    if let Some(result) = grant.result() {
                        trip.worker().series.borrow_mut().retries().record(outcome, result);
                    }
                    if let Some(last_word) = end {
                        return last_word.map(Answer::Refusal);
                    }
                }
            }
        }
    }

    /// A slot at a place, if one is free.
    fn seat(&mut self, trip: &Trip, place: usize) -> Result<Option<Seat>, Failure> {
        let upstream = &self.plan.candidates[place].target.upstream;
        Seat::find(upstream, &trip.principal().standing).map_err(|_| {
            self.course.found_full(place);
            Failure::of(Class::Saturated)
        })
    }

    /// The next slot at a place, if one becomes free while there is still time to use it.
    async fn wait(&mut self, trip: &Trip, place: usize, now: Instant) -> Result<Option<Seat>, Failure> {
        let left = self.course.waits_at(place, now);
        self.has_waited = true;
        let upstream = &self.plan.candidates[place].target.upstream;
        // Nothing is with an upstream meanwhile: a client that leaves takes its call along.
        let _stays = trip.stays_with_its_client();
        let _waits = Waits::at(trip.worker(), &upstream.name);
        let patience = trip.worker().longest_wait().min(left);
        Seat::wait(upstream, &trip.principal().standing, patience).await.map_err(|shed| {
            trip.worker().series.borrow_mut().sheds().shed(shed.as_str());
            let hint = Some(trip.worker().come_back());
            Failure { hint, ..Failure::of(Class::Saturated) }
        })
    }

    async fn attempt(
        &mut self,
        trip: &mut Trip,
        place: usize,
        way_in: (Option<Seat>, Way),
        now: Instant,
    ) -> Result<Answer, Failed> {
        let Some(leg) = self.sets_out(trip, place, way_in, now) else {
            return Err(Failed::at_the_door(place, Failure::of(Class::Saturated)));
        };
        if let Some(delay) = self.copies_after(trip, now) {
            return Box::pin(self.twice(trip, leg, delay)).await;
        }
        let outcome = leg
            .run(Road {
                worker: trip.worker(),
                plan: self.plan,
                envelope: self.envelope,
                principal: trip.principal(),
                call: trip.exchange(),
                deadline: self.course.deadline(),
            })
            .await;
        arrive(trip, leg, outcome, self.plan)
    }

    /// An attempt begins, where the target lets it in.
    fn sets_out(
        &mut self,
        trip: &mut Trip,
        place: usize,
        way_in: (Option<Seat>, Way),
        now: Instant,
    ) -> Option<Leg> {
        let candidate = &self.plan.candidates[place];
        let visit = Visit::enter(trip.worker(), &self.plan.route, &candidate.target, way_in, now)?;
        let n = self.course.begins();
        if n == 1 && !self.has_waited {
            trip.worker()
                .series
                .borrow_mut()
                .overhead()
                .sent_after(now.duration_since(self.envelope.read_at));
        }
        let server = Server {
            target: Arc::clone(&candidate.target),
            price: candidate.price.clone(),
            upstream_request_id: None,
        };
        let progress = trip.tries(server, n, now);
        Some(Leg { place, n, visit, progress })
    }
}

/// An attempt is over: its target's health and the row hear of it.
fn arrive(
    trip: &mut Trip,
    leg: Leg,
    outcome: Option<Result<Reply, Failure>>,
    plan: &RoutePlan,
) -> Result<Answer, Failed> {
    let Leg { place, n, mut visit, .. } = leg;
    let now = Instant::now();
    match outcome.unwrap_or_else(|| Err(Failure::of(Class::Deadline))) {
        Ok(reply) => {
            let took = now.duration_since(visit.began());
            match reply.is_stream() {
                true => visit.began_to_answer(now),
                false => visit.answered(now),
            }
            if plan.route.hedge.is_some() && reply.is_stream() {
                plan.route.group.hedges.answered(took, now);
            }
            let mut story = visit.story(n, "ok", Some(reply.status()), now);
            let upstream_request_id = reply.upstream_request_id();
            story.upstream_request_id.clone_from(&upstream_request_id);
            story.ttft_ms = Some(row_millis(took));
            trip.attempted(story);
            trip.answered(reply.status(), upstream_request_id);
            trip.first_content(now);
            Ok(reply.answer(visit))
        }
        Err(failure) => {
            let ejected = visit.failed(&failure, now);
            let story = visit.story(n, failure.outcome(), failure.status, now);
            trip.wasted(story, failure.is_unbilled());
            Err(Failed { place, failure, ejected })
        }
    }
}

/// What tells the requests of one conversation, where the route goes by it.
fn affinity(plan: &RoutePlan, principal: &Principal, envelope: &Envelope) -> Option<u64> {
    let wanted = plan.route.balance == Balance::Affinity && plan.candidates.len() > 1;
    wanted.then(|| route::affinity_key(principal, envelope)).flatten()
}

/// Somebody waits for a slot, as metrics tell it.
struct Waits(Rc<UpstreamSeries>);

impl Waits {
    fn at(worker: &Worker, upstream: &UpstreamName) -> Self {
        let series = worker.series.borrow_mut().upstream(upstream);
        series.wait_began();
        Self(series)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.wait_ended();
    }
}
