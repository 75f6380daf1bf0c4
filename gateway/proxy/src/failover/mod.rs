//! Station 5: the attempts.
//!
//! Takes an admitted trip and its plan, gives an [`Answer`] that is committed: a whole plain answer,
//! or a stream whose first content event is in hand. A failure before that is not the client's
//! problem while a permitted, healthy target is left; after it, nothing is ever sent again.

mod attempt;
mod breaker;
mod commit;
mod failure;
mod hold;
mod load;
mod retries;
mod visit;
mod wording;

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::SmallVec;

use crate::{
    edge::row_millis,
    intake::Envelope,
    rejection::Rejection,
    route::{self, Choice, RoutePlan},
    settle::{Server, Trip},
};

pub use breaker::{Breaker, BreakerState, Sample};
pub use hold::Hold;
pub use load::LoadEstimate;
pub use retries::RetryBudget;

pub(crate) use attempt::{Answer, upstream_request_id};
pub(crate) use commit::Stream;
pub(crate) use failure::{Class, Failure, Passed};
pub(crate) use visit::Visit;

use failure::Retry;

/// Attempts that may have cost something.
const MOST_ATTEMPTS: usize = 3;
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
    /// The one place that may be tried again, after a pause.
    again: Option<usize>,
    /// Attempts that count towards the most.
    charged: usize,
    tries: usize,
    used_free: bool,
    used_once: bool,
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
            charged: 0,
            tries: 0,
            used_free: false,
            used_once: false,
            worst: None,
        }
    }

    async fn run(&mut self, trip: &mut Trip) -> Result<Answer, Rejection> {
        self.plan.route.retries.earn();
        loop {
            let now = Instant::now();
            let (place, now) = match self.next(trip, now) {
                Next::Try(place) => (place, now),
                Next::TryAfter(place, pause) => {
                    tokio::time::sleep(pause).await;
                    (place, Instant::now())
                }
                Next::Done(last_word) => return last_word,
            };
            match self.attempt(trip, place, now).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    if let Some(answer) = self.take_in(trip, place, failure)? {
                        return Ok(answer);
                    }
                }
            }
        }
    }

    async fn attempt(&mut self, trip: &mut Trip, place: usize, now: Instant) -> Result<Answer, Failure> {
        let candidate = &self.plan.candidates[place];
        let worker = trip.worker().clone();
        let Some(mut visit) = Visit::enter(&worker, &candidate.target, now) else {
            return Err(Failure::of(Class::Saturated));
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
                visit.answered(now);
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
                visit.failed(&failure, now);
                let story = visit.story(n, failure.outcome(), failure.status, now);
                trip.wasted(story, failure.is_unbilled());
                Err(failure)
            }
        }
    }

    /// Takes a failure in: remembers it, or ends the request with it.
    fn take_in(
        &mut self,
        trip: &mut Trip,
        place: usize,
        failure: Failure,
    ) -> Result<Option<Answer>, Rejection> {
        let retry = failure.retry();
        let retries = trip.worker().series.borrow_mut().retries();
        let moves = self.plan.candidates.len() > self.failed.len() + 1;
        let may_go_on = match retry {
            Retry::Never => false,
            Retry::Free if !self.used_free || moves => {
                // Connection loss on another target does not count: dead targets must not hide a live one.
                self.used_free = true;
                true
            }
            Retry::Once if self.used_once => false,
            Retry::Free | Retry::Once | Retry::Charged | Retry::SameTarget => {
                self.used_once |= retry == Retry::Once;
                self.charged += 1;
                let granted = self.charged < MOST_ATTEMPTS && self.plan.route.retries.take(Instant::now());
                retries.record(failure.outcome(), if granted { "granted" } else { "refused" });
                granted
            }
        };
        let same = matches!(failure.class, Class::Unprocessed) || retry == Retry::SameTarget;
        let only = self.plan.candidates.len() == 1 && matches!(failure.class, Class::Connect(_));
        let again = (same || only) && !self.failed.contains(&place);
        self.failed.push(place);
        self.again = again.then_some(place);
        let keep = self.worst.as_ref().is_none_or(|worst| failure.rank() >= worst.rank());
        if keep {
            self.worst = Some(failure);
        }
        if may_go_on && self.tries < MOST_TRIES && self.has_time() {
            return Ok(None);
        }
        self.last_word().map(Some)
    }

    fn has_time(&self) -> bool {
        let least = if self.envelope.head.stream { LEAST_STREAM } else { LEAST_PLAIN };
        self.deadline.saturating_duration_since(Instant::now()) >= least
    }

    /// Which target is next, or what the client is told.
    fn next(&mut self, trip: &mut Trip, now: Instant) -> Next {
        let worker = trip.worker();
        let is_out = |place| self.failed.contains(&place) || self.plan.changes_version(&self.failed, place);
        let choice = route::choose(self.plan, is_out, now, || worker.random());
        let alias = || self.plan.route.alias.clone();
        match (choice, self.again.take()) {
            (Choice::Candidate(place), _) => Next::Try(place),
            (_, Some(place)) => Next::TryAfter(place, self.pause(trip)),
            (_, None) if self.worst.is_some() => Next::Done(self.last_word()),
            (Choice::Held(wait), None) => Next::Done(Err(Rejection::AllHeld { alias: alias(), wait })),
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
        if failure.class == Class::Said(tollgate_dialect::Fault::Throttled) {
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

enum Next {
    Try(usize),
    TryAfter(usize, Duration),
    Done(Result<Answer, Rejection>),
}
