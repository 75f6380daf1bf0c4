//! What must hold in every step, each law by its name. They are told from what the simulation itself knows,
//! not from what the code under test says of itself, wherever that can be.

use std::{sync::atomic::Ordering, time::Instant};

use super::{
    super::{
        allowance::Grant,
        course::MOST_TRIES,
        failure::{Class, Failure, HoldScope, Retry},
    },
    gateway::{Gateway, PERMITTED},
    provider::PROVIDERS,
    request::{Request, State},
    world::World,
};
use crate::{
    health::{BreakerState, Entered, Hold, Passing, Way},
    live::OperatorState,
    snapshot::Target,
};

/// Attempts of a request that may have cost something.
const MOST_CHARGED: u32 = 3;
/// No throttle holds longer than this.
const LONGEST_HOLD: u64 = 300;

/// Charged retries of an alias against what first attempts and time have earned.
#[derive(Default)]
pub(super) struct Meter {
    requests: u64,
    attempts: u64,
    charged: u64,
    free: u64,
    /// The least that charged retries have ever been ahead of what was earned, in thousandths.
    least: i128,
}

impl Meter {
    pub(super) fn request(&mut self) {
        self.requests += 1;
    }

    fn ahead(&self, micros: u64) -> i128 {
        i128::from(self.charged) * 1_000 - i128::from(self.requests) * 100 - i128::from(micros) / 1_000
    }
}

/// What has happened to a request.
#[derive(Default)]
pub(super) struct Trace {
    tries: u32,
    charged: u32,
    granted: u32,
    committed: bool,
    at_fault: bool,
}

impl Trace {
    pub(super) fn commits(&mut self) {
        self.committed = true;
    }
}

/// The address of a hold, which tells it from others.
fn address(hold: &Hold) -> usize {
    std::ptr::from_ref(hold) as usize
}

impl Gateway {
    fn word(&self, target: &Target, is: impl Fn(OperatorState) -> bool) -> bool {
        let (name, region, _) = place_of(target);
        [("region", region), ("upstream", name), ("target", name)]
            .iter()
            .any(|of| self.words.get(of).is_some_and(|word| is(*word)))
    }

    pub(super) fn is_forced(&self, target: &Target) -> bool {
        self.word(target, |word| word == OperatorState::Forced)
    }

    /// Whatever keeps a target from being in use, if anything does.
    pub(super) fn is_whole(&self, target: &Target, now: Instant) -> bool {
        let is_free = target.holds().iter().all(|hold| hold.until(now).is_none());
        is_free
            && match target.live.breaker(|breaker| breaker.passing(now)) {
                Passing::Share(permille) => permille == 1_000,
                // A fallback that nobody has asked since then takes the first who does.
                Passing::Trial => !self.is_preferred(target),
                Passing::Out { .. } => false,
            }
    }
}

fn place_of(target: &Target) -> (&'static str, &'static str, &'static str) {
    let name = target.upstream.name.as_str();
    PROVIDERS.into_iter().find(|(known, _, _)| *known == name).expect("there are four providers")
}

impl World {
    /// Before an attempt enters its target.
    pub(super) fn may_be_asked(&self, request: &Request, target: &Target, way: Way) {
        let (gateway, now) = (&self.gateways[request.gateway], self.instant());
        let (_, _, zone) = place_of(target);
        self.law(
            PERMITTED[request.project].is_none_or(|permitted| permitted == zone),
            "no target outside residency is ever asked",
        );
        self.law(
            !gateway.word(target, |word| !word.takes_requests()),
            "no target that is drained or disabled is ever asked",
        );
        let is_held = |hold: &&Hold| gateway.held.get(&address(hold)).is_some_and(|until| *until > now);
        self.law(
            gateway.is_forced(target) || !target.holds().iter().any(is_held),
            if way == Way::LastResort {
                "whoever throttles is not even asked as the last resort"
            } else {
                "a hold is obeyed"
            },
        );
        let trace = &request.trace;
        self.law(!trace.committed, "nothing is sent after the commit point");
        self.law(!trace.at_fault, "a fault of the request is never followed by an attempt");
        self.law(trace.tries <= trace.granted, "every attempt but the first was granted");
    }

    /// After an attempt has entered its target.
    pub(super) fn entered(&mut self, id: u64) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.trace.tries += 1;
        let State::Asking { stay, .. } = &request.state else { return };
        let (tries, target, entered) = (request.trace.tries, stay.target.clone(), stay.entered());
        let (gateway, route) = (request.gateway, request.route);
        self.gateways[gateway].meters[route].attempts += 1;
        self.law(tries as usize <= MOST_TRIES, "eight tries at most");
        let upstream = &target.upstream;
        let in_flight = upstream.live.in_flight.load(Ordering::Relaxed);
        self.law(
            upstream.max_concurrency.is_none_or(|most| in_flight <= most),
            "an upstream never has more in flight than its bound",
        );
        if entered == Some(Entered::OnTrial) {
            let resets = self.resets(gateway, &target);
            let is_on_trial = |other: &&Request| other.is_on_trial(gateway, &target, resets);
            let trials = self.requests.values().filter(is_on_trial).count();
            self.law(trials <= 1, "one at a time tries a target that is half-open");
            self.requests.get_mut(&id).expect("it has just entered").resets = resets;
        }
    }

    /// Where a target stands as requests line up for it.
    pub(super) fn waiting_is_bounded(&self, target: &Target) {
        let (room, most) = (&target.upstream.live.room, target.upstream.max_concurrency);
        self.law(most.is_none_or(|most| room.taken() <= most), "no more slots are taken than there are");
        self.law(
            most.is_none_or(|most| room.waiting() <= 2 * most),
            "a waiting room has two places for each slot",
        );
    }

    /// Holds before a failure is told, to compare with what they are after it.
    pub(super) fn holds_of(&self, target: &Target) -> [Option<Instant>; 3] {
        target.holds().map(|hold| hold.until(self.instant()))
    }

    /// After a failure was told to its target.
    pub(super) fn is_held(
        &mut self,
        gateway: usize,
        target: &Target,
        failure: &Failure,
        before: [Option<Instant>; 3],
    ) {
        let after = self.holds_of(target);
        self.law(
            before.iter().zip(&after).all(|(before, after)| after >= before),
            "a hold is never shortened by a hint",
        );
        let now = self.instant();
        let is_forever = |until: &Instant| until.duration_since(now).as_millis() > 330_000;
        self.law(
            failure.defect().is_some()
                || !after
                    .iter()
                    .zip(&before)
                    .any(|(after, before)| after != before && after.as_ref().is_some_and(is_forever)),
            "no throttle holds longer than five minutes and a tenth",
        );
        let (Some((scope, hint)), None) = (failure.hold(), failure.defect()) else { return };
        let hold = match scope {
            HoldScope::Target => target.holds()[0],
            HoldScope::FateGroup => target.holds()[1],
            HoldScope::Account => target.holds()[2],
        };
        let is_paid = target.is_provisioned && scope == HoldScope::Target;
        let least = std::time::Duration::from_millis(if is_paid { 50 } else { 1_000 });
        let longest = std::time::Duration::from_secs(LONGEST_HOLD);
        let until = now + hint.unwrap_or(least).min(longest);
        let known = self.gateways[gateway].held.entry(address(hold)).or_insert(until);
        *known = until.max(*known);
    }

    /// After a request has taken a failure in.
    pub(super) fn has_failed(&mut self, id: u64, what: (&Class, Retry, bool), moves: bool, grant: Grant) {
        let (class, retry, overflows) = what;
        let at = self.now;
        let Some(request) = self.requests.get_mut(&id) else { return };
        // Nothing was sent, or what is paid for is full.
        let is_free = retry == Retry::Free || overflows && moves;
        let trace = &mut request.trace;
        trace.charged += u32::from(!is_free);
        trace.granted += u32::from(grant.goes_on() && *class != Class::Saturated);
        trace.at_fault |= retry == Retry::Never && *class != Class::Deadline;
        let charged = trace.charged;
        let meter = &mut self.gateways[request.gateway].meters[request.route];
        meter.least = meter.least.min(meter.ahead(at));
        match grant {
            Grant::Charged => meter.charged += 1,
            Grant::Free if *class != Class::Saturated => meter.free += 1,
            _ => {}
        }
        let ahead = meter.ahead(at) - meter.least;
        let (attempts, allowed) = (meter.attempts, meter.requests + meter.charged + meter.free);
        self.law(
            charged < MOST_CHARGED || !grant.goes_on() || is_free,
            "three attempts at most may have cost something",
        );
        // A retry is whole, so that it may begin up to one of them early.
        self.law(
            ahead <= 101_000,
            "retries in any time: a tenth of the requests, one a second and a hundred",
        );
        self.law(attempts <= allowed, "attempts are requests and granted retries");
    }

    /// When the last one has ended: everything is given back.
    pub(super) fn nothing_is_left(&self) {
        let now = self.instant();
        self.law(self.requests.is_empty() && self.begun == self.ended, "every request ends exactly once");
        let none = |count: &std::sync::atomic::AtomicU32| count.load(Ordering::Relaxed) == 0;
        for gateway in &self.gateways {
            for target in &gateway.targets {
                let upstream = &target.upstream;
                let counts =
                    [&target.live.in_flight, &upstream.live.in_flight, &upstream.region_live.in_flight];
                self.law(counts.into_iter().all(none), "nothing is left in flight at a target");
                let room = &upstream.live.room;
                self.law(room.taken() == 0 && room.waiting() == 0, "no slot and no place is left taken");
                let (state, passing) =
                    target.live.breaker(|breaker| (breaker.state(now), breaker.passing(now)));
                let is_tried =
                    state == BreakerState::HalfOpen && matches!(passing, Passing::Out { until: None, .. });
                self.law(!is_tried, "no target is left on trial");
                let is_free = target.holds().iter().all(|hold| hold.until(now).is_some() || hold.admits(now));
                self.law(is_free, "no hold is left on trial");
            }
            let is_quiet = gateway.routes.iter().all(|route| none(&route.live.in_flight));
            self.law(is_quiet, "nothing is left in flight for a model");
        }
    }
}
