//! Station 5: the attempts.
//!
//! Takes an admitted trip and its plan, gives an [`Answer`] that is committed: a whole plain answer,
//! or a stream whose first content event is in hand. A failure before that is not the client's
//! problem while a permitted, healthy target is left; after it, nothing is ever sent again.

mod allowance;
mod attempt;
mod commit;
mod failure;
mod retries;
mod throttle;
mod visit;
mod wording;

use std::{
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::SmallVec;
use tollgate_dialect::Fault;
use tollgate_domain::UpstreamName;
use tollgate_telemetry::UpstreamSeries;

use crate::{
    edge::row_millis,
    health::{Sample, Way},
    intake::Envelope,
    overload::Seat,
    rejection::Rejection,
    route::{self, Asker, Choice, RoutePlan},
    settle::{Server, Trip},
    snapshot::{Balance, Principal},
    worker::Worker,
};

pub use retries::RetryBudget;

pub(crate) use attempt::{Answer, upstream_request_id};
pub(crate) use commit::Stream;
pub(crate) use failure::{Class, Failure, Passed};
pub(crate) use throttle::Throttle;
pub(crate) use visit::Visit;

use allowance::{Allowance, Fallen, Grant};
use failure::Retry;

/// Attempts in all, so that dead targets do not hide a live one.
const MOST_TRIES: usize = 8;
/// So much time an attempt needs at least.
const LEAST_STREAM: Duration = Duration::from_secs(1);
const LEAST_PLAIN: Duration = Duration::from_secs(2);
/// The pause before the same target is tried again doubles from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

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
    Tries::new(trip, plan, envelope).run(trip).await
}

/// The memory of one request's attempts.
struct Tries<'a> {
    plan: &'a RoutePlan,
    envelope: &'a Envelope,
    deadline: Instant,
    /// Places in the plan that have failed.
    failed: SmallVec<[usize; 4]>,
    /// The one place that is tried again next, after a pause.
    again: Option<usize>,
    /// The first place whose slots were all taken.
    full: Option<usize>,
    /// A slot is waited for once only.
    has_waited: bool,
    allowance: Allowance,
    tries: usize,
    /// What this conversation's requests have in common, where the route goes by it.
    affinity: Option<u64>,
    worst: Option<Failure>,
}

impl<'a> Tries<'a> {
    fn new(trip: &Trip, plan: &'a RoutePlan, envelope: &'a Envelope) -> Self {
        let timeouts = plan.candidates[0].target.upstream.timeouts;
        let total = if envelope.head.stream { timeouts.stream_total } else { timeouts.total };
        Self {
            plan,
            envelope,
            deadline: trip.exchange().began + total,
            failed: SmallVec::new(),
            again: None,
            full: None,
            has_waited: false,
            allowance: Allowance::default(),
            tries: 0,
            affinity: affinity(plan, trip.principal(), envelope),
            worst: None,
        }
    }

    async fn run(&mut self, trip: &mut Trip) -> Result<Answer, Rejection> {
        self.plan.route.group.retries.earn();
        let last_word = self.until_the_last_word(trip).await;
        self.tell_throttle(&last_word);
        last_word
    }

    async fn until_the_last_word(&mut self, trip: &mut Trip) -> Result<Answer, Rejection> {
        loop {
            let now = Instant::now();
            let (place, way, seat, now) = match self.next(trip, now) {
                Next::Try(place, way) => (place, way, self.seat(trip, place), now),
                Next::TryAfter(place, pause) => {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    (place, Way::Usual, self.seat(trip, place), Instant::now())
                }
                Next::WaitAt(place) => (place, Way::Usual, self.wait(trip, place, now).await, Instant::now()),
                Next::Done(last_word) => return last_word,
            };
            let is_first = self.tries == 0 && self.worst.is_none();
            if is_first && self.plan.route.group.throttle.refuses(trip.worker().random(), now) {
                let (alias, wait) = (self.plan.route.alias.clone(), Some(Duration::from_secs(1)));
                return Err(Rejection::NoHealthyTarget { alias, wait });
            }
            let attempted = match seat {
                Ok(seat) => self.attempt(trip, place, (seat, way), now).await,
                Err(failure) => Err(Failed { failure, ejected: false }),
            };
            match attempted {
                Ok(answer) => return Ok(answer),
                Err(failed) => {
                    if let Some(answer) = self.take_in(trip, place, failed)? {
                        return Ok(answer);
                    }
                }
            }
        }
    }

    /// A slot at a place, if one is free.
    fn seat(&mut self, trip: &Trip, place: usize) -> Result<Option<Seat>, Failure> {
        let upstream = &self.plan.candidates[place].target.upstream;
        Seat::find(upstream, &trip.principal().standing).map_err(|_| {
            self.full.get_or_insert(place);
            Failure::of(Class::Saturated)
        })
    }

    /// The next slot at a place, if one becomes free while there is still time to use it.
    async fn wait(&mut self, trip: &Trip, place: usize, now: Instant) -> Result<Option<Seat>, Failure> {
        self.has_waited = true;
        // It has not been asked yet.
        self.failed.retain(|failed| *failed != place);
        let upstream = &self.plan.candidates[place].target.upstream;
        let left = self.deadline.saturating_duration_since(now).saturating_sub(self.least());
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
        (seat, way): (Option<Seat>, Way),
        now: Instant,
    ) -> Result<Answer, Failed> {
        let candidate = &self.plan.candidates[place];
        let worker = trip.worker().clone();
        let entered = Visit::enter(&worker, &self.plan.route, &candidate.target, (seat, way), now);
        let Some(mut visit) = entered else {
            return Err(Failed { failure: Failure::of(Class::Saturated), ejected: false });
        };
        self.tries += 1;
        let n = u16::try_from(self.tries).unwrap_or(u16::MAX);
        let progress = trip.tries(Server {
            target: Arc::clone(&candidate.target),
            price: candidate.price.clone(),
            upstream_request_id: None,
        });
        let outcome = {
            // Pinned first: a timer around the future itself would move all of it once more.
            let run = pin!(attempt::run(
                &worker,
                self.plan,
                candidate,
                self.envelope,
                (trip.principal(), trip.exchange()),
                &progress,
            ));
            let run = pin!(visit.unless_cut(run));
            worker.within(self.deadline, now, run).await
        };
        let now = Instant::now();
        match outcome.unwrap_or_else(|| Err(Failure::of(Class::Deadline))) {
            Ok(reply) => {
                match reply.is_stream() {
                    true => visit.began_to_answer(now),
                    false => visit.answered(now),
                }
                let mut story = visit.story(n, "ok", Some(reply.status()), now);
                let upstream_request_id = reply.upstream_request_id();
                story.upstream_request_id.clone_from(&upstream_request_id);
                story.ttft_ms = Some(row_millis(now.duration_since(visit.began)));
                trip.attempted(story);
                trip.answered(reply.status(), upstream_request_id);
                trip.first_content(now);
                Ok(reply.answer(visit))
            }
            Err(failure) => {
                let ejected = visit.failed(&failure, now);
                if failure.sample() != Some(Sample::Success) {
                    self.plan.route.group.last_resort.failed(now);
                }
                let story = visit.story(n, failure.outcome(), failure.status, now);
                trip.wasted(story, failure.is_unbilled());
                Err(Failed { failure, ejected })
            }
        }
    }

    /// Takes a failure in: remembers it, or ends the request with it.
    fn take_in(
        &mut self,
        trip: &mut Trip,
        place: usize,
        Failed { failure, ejected }: Failed,
    ) -> Result<Option<Answer>, Rejection> {
        let target = &self.plan.candidates[place].target;
        let moves = self.plan.candidates.len() > self.failed.len() + 1;
        let retry = match failure.retry() {
            Retry::Charged if target.is_provisioned && failure.is_throttle() => Retry::Overflow,
            retry => retry,
        };
        let fallen = Fallen { retry, moves, ejected };
        let grant = match failure.class {
            // Nothing was sent, and a slot is waited for once at most.
            Class::Saturated => Grant::Free,
            _ => self.allowance.after(fallen, &self.plan.route.group.retries, Instant::now()),
        };
        if let Some(result) = grant.result() {
            trip.worker().series.borrow_mut().retries().record(failure.outcome(), result);
        }
        let same = matches!(failure.class, Class::Unprocessed) || retry == Retry::SameTarget;
        let only = self.plan.candidates.len() == 1 && matches!(failure.class, Class::Connect(_));
        let again = (same || only) && !self.failed.contains(&place);
        self.failed.push(place);
        self.again = again.then_some(place);
        if failure.class == Class::Said(Fault::Credential) {
            self.leave_out_all_of(&target.upstream.name);
        }
        let keep = self.worst.as_ref().is_none_or(|worst| failure.rank() >= worst.rank());
        if keep {
            self.worst = Some(failure);
        }
        if grant.goes_on() && self.tries < MOST_TRIES && self.has_time() {
            return Ok(None);
        }
        self.last_word().map(Some)
    }

    /// Tells the throttle of the alias how the request has ended, if anybody was asked.
    fn tell_throttle(&self, last_word: &Result<Answer, Rejection>) {
        let throttle = &self.plan.route.group.throttle;
        match last_word {
            Ok(_) => throttle.accepted(Instant::now()),
            Err(_) if self.tries > 0 => throttle.failed(Instant::now()),
            Err(_) => {}
        }
    }

    /// Whatever else stands there would be shown the same credential.
    fn leave_out_all_of(&mut self, upstream: &UpstreamName) {
        for (place, candidate) in self.plan.candidates.iter().enumerate() {
            if candidate.target.upstream.name == *upstream && !self.failed.contains(&place) {
                self.failed.push(place);
            }
        }
    }

    fn has_time(&self) -> bool {
        self.deadline.saturating_duration_since(Instant::now()) >= self.least()
    }

    /// With less time left than this, another attempt would only be cut off.
    fn least(&self) -> Duration {
        if self.envelope.head.stream { LEAST_STREAM } else { LEAST_PLAIN }
    }

    /// Which target is next, or what the client is told.
    fn next(&mut self, trip: &mut Trip, now: Instant) -> Next {
        if let Some(place) = self.again.take() {
            return Next::TryAfter(place, self.pause(trip));
        }
        let worker = trip.worker();
        let is_out = |place| self.failed.contains(&place) || self.plan.changes_version(&self.failed, place);
        let asker = Asker { tried: is_out, affinity: self.affinity, random: || worker.random() };
        let choice = route::choose(self.plan, asker, now);
        if let Choice::Saturated(place) = choice {
            self.full.get_or_insert(place);
        }
        let alias = || self.plan.route.alias.clone();
        match (choice, self.full.filter(|_| !self.has_waited)) {
            (Choice::Candidate(place, way), _) => Next::Try(place, way),
            (_, Some(place)) => Next::WaitAt(place),
            _ if self.worst.is_some() => Next::Done(self.last_word()),
            (Choice::Held(wait), None) => Next::Done(Err(Rejection::AllHeld { alias: alias(), wait })),
            (Choice::Saturated(_), None) => Next::Done(Err(Failure::of(Class::Saturated).rejection())),
            (Choice::Nothing(wait), None) => {
                Next::Done(Err(Rejection::NoHealthyTarget { alias: alias(), wait }))
            }
        }
    }

    /// The pause before the same target: what it asked for, else a random part of a doubling bound.
    fn pause(&self, trip: &Trip) -> Duration {
        let worst = self.worst.as_ref();
        if let Some(hint) = worst.and_then(|failure| failure.hint) {
            return hint.min(LONGEST_PAUSE);
        }
        if matches!(worst, Some(Failure { class: Class::Unprocessed, .. })) {
            return Duration::ZERO;
        }
        let bound = (FIRST_PAUSE * (1 << self.tries.min(5))).min(LONGEST_PAUSE);
        bound * trip.worker().jitter(1_000) / 1_000
    }

    /// The final word: the upstream's own where the request is at fault, else ours.
    fn last_word(&mut self) -> Result<Answer, Rejection> {
        let Some(failure) = self.worst.take() else { return Err(Rejection::Internal) };
        if failure.passes_through()
            && let Some(passed) = failure.answer
        {
            return Ok(Answer::Refusal(*passed));
        }
        if failure.is_throttle() {
            let wait = self.earliest_hold_end().or(failure.hint).unwrap_or(Duration::from_secs(1));
            return Err(Rejection::AllHeld { alias: self.plan.route.alias.clone(), wait });
        }
        Err(failure.rejection())
    }

    fn earliest_hold_end(&self) -> Option<Duration> {
        let now = Instant::now();
        let holds = self.plan.candidates.iter().filter_map(|candidate| candidate.target.live.hold.until(now));
        holds.min().map(|until| until.duration_since(now))
    }
}

/// An attempt without an answer.
struct Failed {
    failure: Failure,
    /// Its target is out of use by it, or by others that fell with it.
    ejected: bool,
}

/// What tells the requests of one conversation, where the route goes by it.
fn affinity(plan: &RoutePlan, principal: &Principal, envelope: &Envelope) -> Option<u64> {
    let wanted = plan.route.balance == Balance::Affinity && plan.candidates.len() > 1;
    wanted.then(|| route::affinity_key(principal, envelope)).flatten()
}

enum Next {
    Try(usize, Way),
    TryAfter(usize, Duration),
    /// All that is left has no slot free: the next one is waited for.
    WaitAt(usize),
    Done(Result<Answer, Rejection>),
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
