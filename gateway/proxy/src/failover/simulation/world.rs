//! A clock that is a number, a queue of what is to come, and the story so far.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    super::failure::{Class, Failure},
    chance::Chance,
    gateway::{Configuration, Gateway},
    provider::{Act, PROVIDERS, Provider, Reply, said},
    request::Request,
};
use crate::snapshot::Target;
use tollgate_dialect::Fault;

const GATEWAYS: usize = 3;
const SECOND: u64 = 1_000_000;
/// So many of the last events are told with a broken law.
const TOLD: usize = 60;
/// From the end of the last trouble: attempts that still hang in it (90 s), the longest probation (600 s) with
/// the longest opening before it (60 s and a half) and the ramp after it (10 s), and some requests between.
const WHOLE_AGAIN: u64 = 90 + 600 + 90 + 10 + 30;
/// The throttle of an alias remembers failures for so long; nobody may be refused after it.
const FORGOTTEN: u64 = 90 + 121;

/// What is to come.
pub(super) enum Event {
    Arrives(usize),
    /// What a request has waited for since that step of it.
    Goes(u64, u64),
    Leaves(u64),
    Operates(usize),
    Returns(usize, &'static str, &'static str),
    /// Every half second: moves are followed, and now and then somebody looks at what is out.
    Ticks,
    Calms,
}

/// What a seed has shown.
pub(super) struct Played {
    pub(super) steps: u64,
    pub(super) digest: u64,
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// Seconds from the end of all trouble until every target was in use.
    pub(super) recovered_in: u64,
}

#[derive(Default)]
pub(super) struct Trail {
    last: VecDeque<(u64, &'static str, u64, usize)>,
    counts: BTreeMap<&'static str, u64>,
    digest: u64,
    steps: u64,
}

impl Trail {
    pub(super) fn note(&mut self, at: u64, what: &'static str, of: u64, place: usize) {
        self.last.push_back((at, what, of, place));
        if self.last.len() > TOLD {
            self.last.pop_front();
        }
        *self.counts.entry(what).or_default() += 1;
        self.steps += 1;
        for word in [at, of, place as u64, what.len() as u64] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
    }
}

pub(super) struct World {
    seed: u64,
    pub(super) chance: Chance,
    began: Instant,
    /// Microseconds since then.
    pub(super) now: u64,
    /// When all trouble ends.
    calm: u64,
    /// Nobody asks any more.
    is_closing: bool,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    pub(super) providers: Vec<Provider>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) requests: BTreeMap<u64, Request>,
    /// Requests so far, those that have ended, and those of them that got no whole answer.
    pub(super) begun: u64,
    pub(super) ended: u64,
    pub(super) refused: u64,
    /// Whenever an operator has closed a breaker: gateway and provider.
    pub(super) reset: Vec<(usize, usize)>,
    /// Mean time between requests at a gateway.
    pace: u64,
    pub(super) trail: Trail,
}

impl World {
    /// Plays a seed from its first request until everything is quiet.
    ///
    /// # Panics
    /// A law is broken.
    pub(super) fn play(seed: u64) -> Played {
        let chance = Chance::new(seed);
        let calm = chance.between(15, 60) * SECOND;
        let configuration = Configuration::new(&chance);
        let began = Instant::now();
        let providers = (0..PROVIDERS.len()).map(|_| Provider::new(&chance, calm)).collect();
        let gateways = (0..GATEWAYS).map(|_| Gateway::new(&configuration, began)).collect();
        let pace = chance.between(80, 700) * 1_000;
        let mut world = Self {
            seed,
            chance,
            began,
            now: 0,
            calm,
            is_closing: false,
            queue: BTreeMap::new(),
            queued: 0,
            providers,
            gateways,
            requests: BTreeMap::new(),
            begun: 0,
            ended: 0,
            refused: 0,
            reset: Vec::new(),
            pace,
            trail: Trail::default(),
        };
        for gateway in 0..GATEWAYS {
            world.later(Duration::ZERO, Event::Arrives(gateway));
            world.later(Duration::from_secs(3), Event::Operates(gateway));
        }
        world.later(Duration::from_millis(500), Event::Ticks);
        world.later(Duration::from_micros(calm), Event::Calms);
        let recovered_in = world.until_whole();
        world.is_perfect();
        world.is_closing = true;
        while world.step() {}
        world.nothing_is_left();
        let Trail { counts, digest, steps, .. } = world.trail;
        Played { steps, digest, counts, recovered_in }
    }

    /// Until every target is in use again: seconds from the end of all trouble.
    fn until_whole(&mut self) -> u64 {
        let mut next = self.calm + SECOND;
        loop {
            self.run_until(next);
            let now = self.instant();
            let mut all = self
                .gateways
                .iter()
                .flat_map(|gateway| gateway.targets.iter().map(move |target| gateway.is_whole(target, now)));
            let passed = (self.now - self.calm) / SECOND;
            if all.all(|is_whole| is_whole) {
                return passed;
            }
            self.law(passed < WHOLE_AGAIN, "every target is in use again within 820 seconds of calm");
            next = self.now + SECOND;
        }
    }

    /// After that, nobody who asks is refused.
    fn is_perfect(&mut self) {
        self.run_until(self.now.max(self.calm + FORGOTTEN * SECOND));
        let refused = self.refused;
        self.run_until(self.now + 40 * SECOND);
        self.law(self.refused == refused, "no error is left when all trouble has ended");
    }

    fn run_until(&mut self, until: u64) {
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at < until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// One event; false when nothing is to come.
    fn step(&mut self) -> bool {
        let Some(((at, _), event)) = self.queue.pop_first() else { return false };
        self.now = self.now.max(at);
        match event {
            Event::Arrives(gateway) if !self.is_closing => {
                self.begin(gateway);
                let after = match self.is_troubled() {
                    // Now and then many come at once.
                    true if self.chance.percent(20) => self.chance.millis(0, 2),
                    true => Duration::from_micros(self.chance.between(1, self.pace * 2)),
                    // So far apart that the smallest bound is never reached.
                    false => self.chance.millis(1_500, 3_500),
                };
                self.later(after, Event::Arrives(gateway));
            }
            Event::Operates(gateway) if self.is_troubled() => {
                self.operate(gateway);
                let after = self.chance.millis(1_000, 15_000);
                self.later(after, Event::Operates(gateway));
            }
            Event::Returns(gateway, kind, name) if self.is_troubled() => {
                self.say(gateway, (kind, name), None)
            }
            Event::Ticks if !self.is_closing => {
                self.follow_moves();
                if self.chance.percent(10) {
                    (0..GATEWAYS).for_each(|gateway| self.probe(gateway));
                }
                self.later(Duration::from_millis(500), Event::Ticks);
            }
            Event::Goes(id, step) => self.goes(id, step),
            Event::Leaves(id) => self.leaves(id),
            Event::Calms => self.undo(),
            Event::Arrives(_) | Event::Operates(_) | Event::Returns(..) | Event::Ticks => {}
        }
        self.call();
        true
    }

    pub(super) fn is_troubled(&self) -> bool {
        self.now < self.calm
    }

    pub(super) fn instant(&self) -> Instant {
        self.began + Duration::from_micros(self.now)
    }

    /// Puts an event off. A microsecond lies between any two, as between two readings of a clock.
    pub(super) fn later(&mut self, after: Duration, event: Event) {
        self.queued += 1;
        let at = self.now + 1 + u64::try_from(after.as_micros()).expect("a simulation is short");
        self.queue.insert((at, self.queued), event);
    }

    pub(super) fn note(&mut self, what: &'static str, of: u64, place: usize) {
        self.trail.note(self.now, what, of, place);
    }

    pub(super) fn provider_of(&self, target: &Target) -> usize {
        let name = target.upstream.name.as_str();
        PROVIDERS.iter().position(|(known, _, _)| *known == name).expect("there are four providers")
    }

    /// Attempts at a provider, of all gateways.
    pub(super) fn in_flight_at(&self, provider: usize) -> u32 {
        let counts = self.gateways.iter().map(|gateway| &gateway.targets[provider].live.in_flight);
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How often a breaker was closed by an operator.
    pub(super) fn resets(&self, gateway: usize, target: &Target) -> u64 {
        let of = (gateway, self.provider_of(target));
        self.reset.iter().filter(|reset| **reset == of).count() as u64
    }

    /// Some requests are wrong themselves, whoever is asked.
    pub(super) fn spoil(&self, reply: &mut Reply) {
        let fault = match self.chance.between(0, 100) {
            0 | 1 => said(400, Fault::Request, "", reply.after),
            2 => said(409, Fault::Conflict, "", reply.after),
            3 => Reply {
                act: Act::Fails(Failure::of(Class::Unprocessed)),
                ..said(0, Fault::Server, "", reply.after)
            },
            _ => return,
        };
        if !matches!(reply.act, Act::Fails(_)) {
            *reply = fault;
        }
    }

    /// # Panics
    /// The law is broken: with its name, the seed and the last events.
    #[track_caller]
    pub(super) fn law(&self, holds: bool, name: &str) {
        if holds {
            return;
        }
        let mut story = String::new();
        for (at, what, of, place) in &self.trail.last {
            let _ = writeln!(story, "  {:>12} µs  {what} ({of}, {place})", at);
        }
        panic!(
            "`{name}` is broken at {} µs.\nTOLLGATE_SEED={} plays it again. The last events:\n{story}",
            self.now, self.seed
        );
    }
}
