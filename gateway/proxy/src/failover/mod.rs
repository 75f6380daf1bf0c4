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
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::SmallVec;
use tollgate_dialect::Fault;
use tollgate_domain::UpstreamName;

use crate::{
    edge::row_millis,
    health::{Sample, Way},
    intake::Envelope,
    rejection::Rejection,
    route::{self, Asker, Choice, RoutePlan},
    settle::{Server, Trip},
    snapshot::{Balance, Principal},
};

pub use retries::RetryBudget;

pub(crate) use attempt::{Answer, upstream_request_id};
pub(crate) use commit::Stream;
pub(crate) use failure::{Class, Failure, Passed};
pub(crate) use throttle::Throttle;
pub(crate) use visit::Visit;

use allowance::{Allowance, Fallen};
use failure::Retry;

/// Attempts in all, so that dead targets do not hide a live one.
const MOST_TRIES: usize = 8;
/// With less time left than this, another attempt would only be cut off.
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
            let (place, way, now) = match self.next(trip, now) {
                Next::Try(place, way) => (place, way, now),
                Next::TryAfter(place, pause) => {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    (place, Way::Usual, Instant::now())
                }
                Next::Done(last_word) => return last_word,
            };
            let is_first = self.tries == 0 && self.worst.is_none();
            if is_first && self.plan.route.group.throttle.refuses(trip.worker().random(), now) {
                let (alias, wait) = (self.plan.route.alias.clone(), Some(Duration::from_secs(1)));
                return Err(Rejection::NoHealthyTarget { alias, wait });
            }
            match self.attempt(trip, place, way, now).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => {
                    if let Some(answer) = self.take_in(trip, place, failed)? {
                        return Ok(answer);
                    }
                }
            }
        }
    }

    async fn attempt(
        &mut self,
        trip: &mut Trip,
        place: usize,
        way: Way,
        now: Instant,
    ) -> Result<Answer, Failed> {
        let candidate = &self.plan.candidates[place];
        let worker = trip.worker().clone();
        let Some(mut visit) = Visit::enter(&worker, &self.plan.route, &candidate.target, way, now) else {
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
        let grant = self.allowance.after(fallen, &self.plan.route.group.retries, Instant::now());
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
        let least = if self.envelope.head.stream { LEAST_STREAM } else { LEAST_PLAIN };
        self.deadline.saturating_duration_since(Instant::now()) >= least
    }

    /// Which target is next, or what the client is told.
    fn next(&mut self, trip: &mut Trip, now: Instant) -> Next {
        if let Some(place) = self.again.take() {
            return Next::TryAfter(place, self.pause(trip));
        }
        let worker = trip.worker();
        let asker = Asker {
            tried: |place| self.failed.contains(&place),
            affinity: self.affinity,
            random: || worker.random(),
        };
        let choice = route::choose(self.plan, asker, now);
        let alias = || self.plan.route.alias.clone();
        match choice {
            Choice::Candidate(place, way) => Next::Try(place, way),
            _ if self.worst.is_some() => Next::Done(self.last_word()),
            Choice::Held(wait) => Next::Done(Err(Rejection::AllHeld { alias: alias(), wait })),
            Choice::Saturated => Next::Done(Err(Failure::of(Class::Saturated).rejection())),
            Choice::Nothing(wait) => Next::Done(Err(Rejection::NoHealthyTarget { alias: alias(), wait })),
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
    /// It has put its target out of use.
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
    Done(Result<Answer, Rejection>),
}
