//! The course of one request: which target is next, and whether another attempt follows a failed one.
//!
//! Only decisions: time and randomness are arguments, and nobody is asked or waited for here.

use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tollgate_dialect::Fault;
use tollgate_domain::UpstreamName;

use super::{
    allowance::{Allowance, Fallen, Grant},
    failure::{Class, Failure, Passed, Retry},
};
use crate::{
    health::Way,
    rejection::Rejection,
    route::{self, Asker, Choice, RoutePlan},
};

/// Attempts in all, so that dead targets do not hide a live one.
pub(super) const MOST_TRIES: usize = 8;
/// The pause before the same target is tried again doubles from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What a client is told when no attempt is left: an upstream's refusal of the request, or ours.
pub(super) type LastWord = Result<Passed, Rejection>;

/// The memory of one request's attempts. The plan that it is asked with is always the same one.
pub(super) struct Course {
    deadline: Instant,
    /// When the client gives up, if it says so: no attempt begins for nobody, and one under way may end,
    /// since its bill is exact then.
    waited_for: Instant,
    /// With less time left than this, another attempt would only be cut off.
    least: Duration,
    /// What this conversation's requests have in common, where the route goes by it.
    affinity: Option<u64>,
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
    worst: Option<Failure>,
    /// It does not fit into the model's context.
    is_too_long: bool,
}

/// What is to be done next.
pub(super) enum Next {
    Try(usize, Way),
    TryAfter(usize, Duration),
    /// All that is left has no slot free: the next one is waited for.
    WaitAt(usize),
    Done(LastWord),
}

/// An attempt without an answer.
pub(super) struct Failed {
    pub(super) place: usize,
    pub(super) failure: Failure,
    /// Its target is out of use by it, or by others that fell with it.
    pub(super) ejected: bool,
}

impl Failed {
    /// Nothing was sent: there was no slot, or another request was faster at a half-open target.
    pub(super) fn at_the_door(place: usize, failure: Failure) -> Self {
        Self { place, failure, ejected: false }
    }
}

impl Course {
    pub(super) fn new(deadline: Instant, least: Duration, affinity: Option<u64>) -> Self {
        Self {
            deadline,
            waited_for: deadline,
            least,
            affinity,
            failed: SmallVec::new(),
            again: None,
            full: None,
            has_waited: false,
            allowance: Allowance::default(),
            tries: 0,
            worst: None,
            is_too_long: false,
        }
    }

    /// The client gives up then.
    pub(super) fn is_waited_for_until(&mut self, at: Instant) {
        self.waited_for = at.min(self.deadline);
    }

    /// True when a target has found the request too long.
    pub(super) const fn is_too_long(&self) -> bool {
        self.is_too_long
    }

    /// The course of the same request along another plan: the same time, the same allowance.
    pub(super) fn over(self) -> Self {
        let Self { deadline, waited_for, least, affinity, allowance, tries, .. } = self;
        Self { waited_for, allowance, tries, ..Self::new(deadline, least, affinity) }
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Which target is next, or what the client is told.
    pub(super) fn next(&mut self, plan: &RoutePlan, mut random: impl FnMut() -> u64, now: Instant) -> Next {
        if let Some(place) = self.again.take() {
            return Next::TryAfter(place, self.pause(random()));
        }
        let is_out = |place| self.failed.contains(&place) || plan.changes_version(&self.failed, place);
        let asker = Asker { tried: is_out, affinity: self.affinity, random };
        let choice = route::choose(plan, asker, now);
        if let Choice::Saturated(place) = choice {
            self.found_full(place);
        }
        let alias = || plan.route.alias.clone();
        match (choice, self.full.filter(|_| !self.has_waited)) {
            (Choice::Candidate(place, way), _) => Next::Try(place, way),
            (_, Some(place)) => Next::WaitAt(place),
            _ if self.worst.is_some() => Next::Done(self.last_word(plan, now)),
            (Choice::Held(wait), None) => Next::Done(Err(Rejection::AllHeld { alias: alias(), wait })),
            (Choice::Saturated(_), None) => Next::Done(Err(Failure::of(Class::Saturated).rejection())),
            (Choice::Nothing(wait), None) => {
                Next::Done(Err(Rejection::NoHealthyTarget { alias: alias(), wait }))
            }
        }
    }

    /// The pause before the same target: what it asked for, else a random part of a doubling bound.
    fn pause(&self, random: u64) -> Duration {
        let worst = self.worst.as_ref();
        if let Some(hint) = worst.and_then(|failure| failure.hint) {
            return hint.min(LONGEST_PAUSE);
        }
        if matches!(worst, Some(Failure { class: Class::Unprocessed, .. })) {
            return Duration::ZERO;
        }
        let bound = (FIRST_PAUSE * (1 << self.tries.min(5))).min(LONGEST_PAUSE);
        bound * (random % 1_000) as u32 / 1_000
    }

    /// True when the throttle of the alias refuses the request: before its first attempt only.
    pub(super) fn is_throttled(&self, plan: &RoutePlan, random: u64, now: Instant) -> bool {
        self.tries == 0 && self.worst.is_none() && plan.route.group.throttle.refuses(random, now)
    }

    /// All slots of a place are taken.
    pub(super) fn found_full(&mut self, place: usize) {
        self.full.get_or_insert(place);
    }

    /// A slot is waited for there now. Gives how long there is still time to use it.
    pub(super) fn waits_at(&mut self, place: usize, now: Instant) -> Duration {
        self.has_waited = true;
        // It has not been asked yet.
        self.failed.retain(|failed| *failed != place);
        self.waited_for.saturating_duration_since(now).saturating_sub(self.least)
    }

    /// An attempt begins. Gives its number.
    pub(super) fn begins(&mut self) -> u16 {
        self.tries += 1;
        u16::try_from(self.tries).unwrap_or(u16::MAX)
    }

    pub(super) const fn affinity(&self) -> Option<u64> {
        self.affinity
    }

    /// True while the first attempt is under way.
    pub(super) const fn is_first(&self) -> bool {
        self.tries == 1
    }

    /// Takes a failure in: how the retry that follows was granted, and the last word where none does.
    pub(super) fn take_in(
        &mut self,
        plan: &RoutePlan,
        Failed { place, failure, ejected }: Failed,
        now: Instant,
    ) -> (Grant, Option<LastWord>) {
        let target = &plan.candidates[place].target;
        let moves = self.has_elsewhere(plan, place);
        let retry = match failure.retry() {
            Retry::Charged if target.is_provisioned && failure.is_throttle() => Retry::Overflow,
            retry => retry,
        };
        let fallen = Fallen { retry, moves, ejected };
        let grant = match failure.class {
            // Nothing was sent, and a slot is waited for once at most.
            Class::Saturated => Grant::Free,
            _ => self.allowance.after(fallen, &plan.route.group.retries, now),
        };
        let same = matches!(failure.class, Class::Unprocessed) || retry == Retry::SameTarget;
        let only = plan.candidates.len() == 1 && matches!(failure.class, Class::Connect(_));
        let again = (same || only) && !self.failed.contains(&place);
        self.again = again.then_some(place);
        self.takes_note(plan, place, failure);
        let has_time = self.waited_for.saturating_duration_since(now) >= self.least;
        let goes_on = grant.goes_on() && self.tries < MOST_TRIES && has_time;
        (grant, (!goes_on).then(|| self.last_word(plan, now)))
    }

    /// A place has failed, whatever follows.
    pub(super) fn takes_note(&mut self, plan: &RoutePlan, place: usize, failure: Failure) {
        self.failed.push(place);
        self.is_too_long |= failure.class == Class::Said(Fault::ContextLength);
        if failure.class == Class::Said(Fault::Credential) {
            self.leave_out_all_of(plan, &plan.candidates[place].target.upstream.name);
        }
        if self.worst.as_ref().is_none_or(|worst| failure.rank() >= worst.rank()) {
            self.worst = Some(failure);
        }
    }

    /// True when a place is not the last one that is left.
    pub(super) fn has_elsewhere(&self, plan: &RoutePlan, place: usize) -> bool {
        (0..plan.candidates.len()).any(|other| other != place && !self.failed.contains(&other))
    }

    /// Whatever else stands there would be shown the same credential.
    fn leave_out_all_of(&mut self, plan: &RoutePlan, upstream: &UpstreamName) {
        for (place, candidate) in plan.candidates.iter().enumerate() {
            if candidate.target.upstream.name == *upstream && !self.failed.contains(&place) {
                self.failed.push(place);
            }
        }
    }

    /// The final word: the upstream's own where the request is at fault, else ours.
    fn last_word(&mut self, plan: &RoutePlan, now: Instant) -> LastWord {
        let Some(failure) = self.worst.take() else { return Err(Rejection::Internal) };
        if failure.passes_through()
            && let Some(passed) = failure.answer
        {
            return Ok(*passed);
        }
        if failure.is_throttle() {
            let holds = plan.candidates.iter().filter_map(|candidate| candidate.target.live.hold.until(now));
            let earliest = holds.min().map(|until| until.duration_since(now));
            let wait = earliest.or(failure.hint).unwrap_or(Duration::from_secs(1));
            return Err(Rejection::AllHeld { alias: plan.route.alias.clone(), wait });
        }
        Err(failure.rejection())
    }

    /// Tells the throttle of the alias how the request has ended, if anybody was asked.
    pub(super) fn ends(&self, plan: &RoutePlan, is_answered: bool, now: Instant) {
        let throttle = &plan.route.group.throttle;
        match is_answered {
            true => throttle.accepted(now),
            false if self.tries > 0 => throttle.failed(now),
            false => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        live::Fleet,
        route::Candidate,
        snapshot::{Balance, sample},
    };

    #[test]
    fn no_attempt_begins_for_a_client_that_will_be_gone() {
        let fleet = Fleet::default();
        let targets = ["a", "b"].map(|name| Arc::new(sample::target(&fleet, name, 1, None)));
        let candidate = |target: &Arc<_>| Candidate { target: Arc::clone(target), level: 0, price: None };
        let route = Arc::new(sample::route(&fleet, "chat", Balance::P2c, vec![targets.to_vec()]));
        let plan = RoutePlan::new(&route, targets.iter().map(candidate).collect());
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        for (waits, failed_after, goes_on) in
            [(30, 28, true), (30, 29, true), (30, 30, false), (90, 59, true)]
        {
            let mut course = Course::new(now + second * 60, second, None);
            course.is_waited_for_until(now + second * waits);
            let failed = Failed { place: 0, failure: Failure::of(Class::Reset), ejected: false };
            let (_, end) = course.take_in(&plan, failed, now + second * failed_after);
            assert_eq!(end.is_none(), goes_on, "{waits} s, {failed_after} s");
        }
    }

    #[test]
    fn a_place_that_failed_twice_is_one_place() {
        let fleet = Fleet::default();
        let targets = ["a", "b", "c"].map(|name| Arc::new(sample::target(&fleet, name, 1, None)));
        let candidate = |target: &Arc<_>| Candidate { target: Arc::clone(target), level: 0, price: None };
        let candidates = targets.iter().map(candidate).collect();
        let route = Arc::new(sample::route(&fleet, "chat", Balance::P2c, vec![targets.to_vec()]));
        let plan = RoutePlan::new(&route, candidates);
        let now = Instant::now();
        let mut course = Course::new(now + Duration::from_secs(60), Duration::from_secs(1), None);
        for _ in 0..2 {
            let failed = Failed { place: 0, failure: Failure::of(Class::Unprocessed), ejected: false };
            let (_, end) = course.take_in(&plan, failed, now);
            assert!(end.is_none(), "two others are left");
        }
        assert!(course.has_elsewhere(&plan, 1), "the third");
        course.failed.push(2);
        assert!(!course.has_elsewhere(&plan, 1));
    }
}
