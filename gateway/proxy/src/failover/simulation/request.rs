//! The life of one request: what the loop of `dispatch` does and what the relay does after it, as steps.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    super::{
        course::{Course, Failed, Next},
        failure::{Class, Failure},
        stay::Stay,
    },
    laws::Trace,
    provider::{Act, Ending, Reply},
    world::{Event, World},
};
use crate::{
    health::{Entered, Way},
    overload::{InLine, Seat, Turn},
    route::RoutePlan,
    snapshot::Target,
};

const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct Request {
    pub(super) gateway: usize,
    pub(super) route: usize,
    pub(super) project: usize,
    pub(super) is_stream: bool,
    pub(super) plan: Arc<RoutePlan>,
    pub(super) course: Course,
    pub(super) state: State,
    /// Events of a former state are for nobody.
    pub(super) step: u64,
    pub(super) trace: Trace,
    /// How often its target's breaker had been reset when it went in to try it.
    pub(super) resets: u64,
}

pub(super) enum State {
    Deciding,
    Pausing(usize),
    Waiting(usize, Turn),
    Asking { place: usize, stay: Stay, reply: Option<Reply> },
    Streaming(Stay, Ending),
}

impl Request {
    fn stay(&self) -> Option<&Stay> {
        match &self.state {
            State::Asking { stay, .. } | State::Streaming(stay, _) => Some(stay),
            _ => None,
        }
    }

    pub(super) fn is_on_trial(&self, gateway: usize, target: &Target, resets: u64) -> bool {
        let is_there = |stay: &Stay| Arc::ptr_eq(&stay.target.live, &target.live);
        // One that has brought its first content has told what it was let in for.
        matches!(self.state, State::Asking { .. })
            && self.gateway == gateway
            && self.resets == resets
            && self.stay().is_some_and(|stay| is_there(stay) && stay.entered() == Some(Entered::OnTrial))
    }

    fn is_cut(&self) -> bool {
        self.stay().is_some_and(|stay| stay.target.is_cut())
    }
}

impl World {
    pub(super) fn begin(&mut self, gateway: usize) {
        let chance = &self.chance;
        let (route, project) = (chance.between(0, 2) as usize, chance.between(0, 3) as usize);
        let plan = Arc::new(self.gateways[gateway].plan(route, project));
        if plan.candidates.is_empty() {
            return;
        }
        let is_stream = chance.percent(60);
        let total = if self.is_troubled() && chance.percent(10) {
            chance.millis(1_500, 6_000)
        } else {
            chance.millis(30_000, 90_000)
        };
        let least = Duration::from_secs(if is_stream { 1 } else { 2 });
        let affinity = chance.percent(50).then(|| chance.between(0, 9));
        let course = Course::new(self.instant() + total, least, affinity);
        plan.route.group.retries.earn();
        self.gateways[gateway].meters[route].request();
        let (id, state, trace) = (self.begun, State::Deciding, Trace::default());
        self.begun += 1;
        if self.is_troubled() && self.chance.percent(6) {
            let after = self.chance.millis(1, 3_000);
            self.later(after, Event::Leaves(id));
        }
        let request =
            Request { gateway, route, project, is_stream, plan, course, state, step: 0, trace, resets: 0 };
        self.requests.insert(id, request);
        self.note("arrives", id, gateway);
        self.go_on(id);
    }

    /// The loop of `dispatch`, until it has to wait for something.
    fn go_on(&mut self, id: u64) {
        loop {
            let now = self.instant();
            let Some(request) = self.requests.get_mut(&id) else { return };
            let plan = Arc::clone(&request.plan);
            match request.course.next(&plan, || self.chance.bits(), now) {
                Next::Try(place, way) => {
                    let seat = self.seat(id, place);
                    if self.attempt(id, place, seat, way) {
                        return;
                    }
                }
                Next::TryAfter(place, pause) => {
                    self.enter_state(id, State::Pausing(place));
                    self.note("pauses", id, place);
                    let step = self.requests[&id].step;
                    return self.later(pause, Event::Goes(id, step));
                }
                Next::WaitAt(place) => {
                    let left = request.course.waits_at(place, now);
                    let target = &plan.candidates[place].target;
                    let standing = &self.gateways[request.gateway].principals[request.project].standing;
                    let lined_up = Seat::line_up(&target.upstream, standing);
                    self.waiting_is_bounded(target);
                    let seat = match lined_up {
                        Ok(InLine::Served(seat)) => Ok(seat),
                        Ok(InLine::Waits(turn)) => {
                            self.enter_state(id, State::Waiting(place, turn));
                            self.note("waits for a slot", id, place);
                            let step = self.requests[&id].step;
                            return self.later(PATIENCE.min(left), Event::Goes(id, step));
                        }
                        Err(_) => Err(Failure::of(Class::Saturated)),
                    };
                    if self.attempt(id, place, seat, Way::Usual) {
                        return;
                    }
                }
                Next::Done(last_word) => return self.end(id, last_word.is_ok(), "is refused"),
            }
        }
    }

    fn seat(&mut self, id: u64, place: usize) -> Result<Option<Seat>, Failure> {
        let request = self.requests.get_mut(&id).expect("it is asked for");
        let standing = &self.gateways[request.gateway].principals[request.project].standing;
        Seat::find(&request.plan.candidates[place].target.upstream, standing).map_err(|_| {
            request.course.found_full(place);
            Failure::of(Class::Saturated)
        })
    }

    /// True when the request is at its target, or has ended.
    fn attempt(&mut self, id: u64, place: usize, seat: Result<Option<Seat>, Failure>, way: Way) -> bool {
        let (now, at) = (self.instant(), self.now);
        let request = &self.requests[&id];
        let plan = Arc::clone(&request.plan);
        if request.course.is_throttled(&plan, self.chance.bits(), now) {
            self.end(id, false, "throttled by its alias");
            return true;
        }
        let target = &plan.candidates[place].target;
        let seat = match seat {
            Ok(seat) => seat,
            Err(failure) => return self.take_in(id, Failed::at_the_door(place, failure)),
        };
        let Some(stay) = Stay::enter(&plan.route, target, (seat, way), now) else {
            self.note("refused at the door", id, place);
            return self.take_in(id, Failed::at_the_door(place, Failure::of(Class::Saturated)));
        };
        let is_stream = request.is_stream;
        self.may_be_asked(request, target, way);
        self.note(told(&stay, way), id, place);
        let provider = self.provider_of(target);
        let in_flight = self.in_flight_at(provider);
        let mut reply = self.providers[provider].reply(at, in_flight, is_stream, &self.chance);
        if self.is_troubled() {
            self.spoil(&mut reply);
        }
        let request = self.requests.get_mut(&id).expect("it is at its target");
        request.course.begins();
        // As the timer around an attempt does.
        let left = request.course.deadline().duration_since(now);
        if reply.after > left {
            reply = Reply { after: left, act: Act::Fails(Failure::of(Class::Deadline)), used_up: None };
        }
        let after = reply.after;
        self.enter_state(id, State::Asking { place, stay, reply: Some(reply) });
        self.entered(id);
        let step = self.requests[&id].step;
        self.later(after, Event::Goes(id, step));
        true
    }

    /// True when the request has ended by it.
    fn take_in(&mut self, id: u64, failed: Failed) -> bool {
        let now = self.instant();
        let request = self.requests.get_mut(&id).expect("it has just failed");
        request.state = State::Deciding;
        let plan = Arc::clone(&request.plan);
        let (place, class, retry) = (failed.place, failed.failure.class, failed.failure.retry());
        let overflows = plan.candidates[place].target.is_provisioned && failed.failure.is_throttle();
        let moves = request.course.has_elsewhere(&plan, place);
        let (grant, end) = request.course.take_in(&plan, failed, now);
        self.has_failed(id, (&class, retry, overflows), moves, grant);
        match end {
            Some(last_word) => {
                self.end(id, last_word.is_ok(), "is refused");
                true
            }
            None => false,
        }
    }

    /// Something that the request has waited for has happened.
    pub(super) fn goes(&mut self, id: u64, step: u64) {
        let now = self.instant();
        let Some(request) = self.requests.get_mut(&id).filter(|request| request.step == step) else { return };
        match std::mem::replace(&mut request.state, State::Deciding) {
            State::Deciding => {}
            State::Pausing(place) => {
                let seat = self.seat(id, place);
                if !self.attempt(id, place, seat, Way::Usual) {
                    self.go_on(id);
                }
            }
            State::Waiting(place, turn) => {
                drop(turn);
                if !self.attempt(id, place, Err(Failure::of(Class::Saturated)), Way::Usual) {
                    self.go_on(id);
                }
            }
            State::Asking { place, stay, reply } => {
                let reply = reply.expect("it has one until now");
                if let Some(wait) = reply.used_up {
                    stay.target.live.hold.used_up(wait, now);
                }
                self.replied(id, place, stay, reply.act);
            }
            State::Streaming(mut stay, ending) => {
                let jitter = |bound| (self.chance.bits() % u64::from(bound)) as u32;
                match ending {
                    Ending::Whole => stay.finished(&jitter, now),
                    Ending::Breaks => stay.broke(&jitter, now),
                    Ending::Says(fault) => {
                        let before = self.holds_of(&stay.target);
                        stay.said(fault, &jitter, now);
                        let gateway = self.requests[&id].gateway;
                        self.is_held(gateway, &stay.target, &Failure::of(Class::Said(fault)), before);
                    }
                }
                drop(stay);
                let (is_answered, what) = match ending {
                    Ending::Whole => (true, "ends whole"),
                    Ending::Breaks => (false, "breaks"),
                    Ending::Says(_) => (false, "says in its stream"),
                };
                self.close(id, is_answered, what);
            }
        }
    }

    fn replied(&mut self, id: u64, place: usize, mut stay: Stay, act: Act) {
        let now = self.instant();
        let chance = &self.chance;
        let jitter = |bound: u32| (chance.bits() % u64::from(bound)) as u32;
        let request = self.requests.get_mut(&id).expect("somebody has answered it");
        match act {
            Act::Plain => {
                stay.answered(&jitter, now);
                drop(stay);
                self.end(id, true, "answered");
            }
            Act::Stream(lasts, ending) => {
                stay.began_to_answer(&jitter, now);
                request.trace.commits();
                request.course.ends(&request.plan, true, now);
                self.enter_state(id, State::Streaming(stay, ending));
                let step = self.requests[&id].step;
                self.later(lasts, Event::Goes(id, step));
            }
            Act::Fails(failure) => {
                let what = if failure.class == Class::Deadline { "deadline" } else { "fails" };
                let gateway = request.gateway;
                let before = self.holds_of(&stay.target);
                let ejected = stay.failed(&failure, &jitter, now).ejected;
                let target = Arc::clone(&stay.target);
                drop(stay);
                self.is_held(gateway, &target, &failure, before);
                self.note(what, id, place);
                if !self.take_in(id, Failed { place, failure, ejected }) {
                    self.go_on(id);
                }
            }
        }
    }

    /// Whoever waits and was called goes on.
    pub(super) fn call(&mut self) {
        loop {
            let mut called = self.requests.iter_mut().find_map(|(id, request)| match &mut request.state {
                State::Waiting(place, turn) => turn.called().map(|seat| (*id, *place, seat)),
                _ => None,
            });
            let Some((id, place, seat)) = called.take() else { return };
            self.note("has a slot", id, place);
            self.enter_state(id, State::Deciding);
            if !self.attempt(id, place, Ok(Some(seat)), Way::Usual) {
                self.go_on(id);
            }
        }
    }

    /// What is in flight where an operator cuts ends now.
    pub(super) fn cut(&mut self) {
        let cut: Vec<u64> =
            self.requests.iter().filter(|(_, request)| request.is_cut()).map(|(id, _)| *id).collect();
        for id in cut {
            let Some(request) = self.requests.get_mut(&id) else { continue };
            self.trail.note(self.now, "cut", id, 0);
            request.step += 1;
            match std::mem::replace(&mut request.state, State::Deciding) {
                State::Asking { place, stay, .. } => {
                    self.replied(id, place, stay, Act::Fails(Failure::of(Class::Cut)));
                }
                State::Streaming(stay, _) => {
                    drop(stay);
                    self.close(id, false, "cut in its stream");
                }
                state => request.state = state,
            }
        }
    }

    pub(super) fn leaves(&mut self, id: u64) {
        if self.requests.remove(&id).is_some() {
            self.ended += 1;
            self.note("client leaves", id, 0);
        }
    }

    fn enter_state(&mut self, id: u64, state: State) {
        let request = self.requests.get_mut(&id).expect("it is under way");
        (request.state, request.step) = (state, request.step + 1);
    }

    fn end(&mut self, id: u64, is_answered: bool, what: &'static str) {
        let now: Instant = self.instant();
        let request = &self.requests[&id];
        request.course.ends(&request.plan, is_answered, now);
        self.close(id, is_answered, what);
    }

    fn close(&mut self, id: u64, is_answered: bool, what: &'static str) {
        let was_under_way = self.requests.remove(&id).is_some();
        self.law(was_under_way, "every request ends exactly once");
        self.ended += 1;
        self.refused += u64::from(!is_answered);
        self.note(what, id, usize::from(is_answered));
    }
}

fn told(stay: &Stay, way: Way) -> &'static str {
    match (way, stay.entered()) {
        (Way::Panic, _) => "entered by panic",
        (Way::LastResort, _) => "entered by the last resort",
        (_, Some(Entered::OnTrial)) => "entered on trial",
        _ => "entered",
    }
}
