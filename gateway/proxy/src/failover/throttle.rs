//! When a whole alias fails, most of its requests are refused here, in microseconds, and a part goes on
//! to see when it is over.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Two minutes, in parts that leave one by one.
const PARTS: usize = 12;
const PART: Duration = Duration::from_secs(10);
/// Below so many requests in the window nothing is refused: few failures are no proof.
const ENOUGH: u64 = 50;
/// At least a tenth passes, in thousandths refused.
const MOST_REFUSED: u64 = 900;

/// How many requests of an alias were sent of late, and how many its upstreams took.
///
/// It counts while something fails: until then every request asks one word that no core writes to.
#[derive(Default)]
pub(crate) struct Throttle {
    engaged: AtomicBool,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    failed: Option<Instant>,
    start: Option<Instant>,
    parts: [Part; PARTS],
}

#[derive(Clone, Copy, Default)]
struct Part {
    number: u64,
    requests: u64,
    accepts: u64,
}

impl Window {
    fn part(&mut self, now: Instant) -> &mut Part {
        let start = *self.start.get_or_insert(now);
        let number = now.saturating_duration_since(start).as_secs() / PART.as_secs();
        let part = &mut self.parts[(number % PARTS as u64) as usize];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        part
    }

    fn sums(&mut self, now: Instant) -> (u64, u64) {
        let newest = self.part(now).number;
        let recent = self.parts.iter().filter(|part| part.number + PARTS as u64 > newest);
        recent.fold((0, 0), |(requests, accepts), part| (requests + part.requests, accepts + part.accepts))
    }
}

impl Throttle {
    /// True when a request that is about to be sent is to be refused instead. `random` is 64 random bits.
    /// One that is sent counts when its end is known: those in flight are no evidence.
    pub(crate) fn refuses(&self, random: u64, now: Instant) -> bool {
        if !self.engaged.load(Ordering::Relaxed) {
            return false;
        }
        let mut window = self.window.lock();
        if window.failed.is_none_or(|failed| now.saturating_duration_since(failed) >= PART * PARTS as u32) {
            *window = Window::default();
            self.engaged.store(false, Ordering::Relaxed);
            return false;
        }
        let (requests, accepts) = window.sums(now);
        if requests < ENOUGH {
            return false;
        }
        let lost = requests.saturating_sub(accepts.saturating_mul(2));
        let is_refused = random % 1_000 < (lost * 1_000 / (requests + 1)).min(MOST_REFUSED);
        window.part(now).requests += u64::from(is_refused);
        is_refused
    }

    /// An upstream has answered, be it with a refusal of what was asked.
    pub(crate) fn accepted(&self, now: Instant) {
        if self.engaged.load(Ordering::Relaxed) {
            let mut window = self.window.lock();
            let part = window.part(now);
            part.requests += 1;
            part.accepts += 1;
        }
    }

    /// Every attempt of a request has failed.
    pub(crate) fn failed(&self, now: Instant) {
        let mut window = self.window.lock();
        window.failed = Some(now);
        window.part(now).requests += 1;
        self.engaged.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every thousandth once: how many of a thousand are refused.
    fn refused(throttle: &Throttle, now: Instant) -> usize {
        (0..1_000).filter(|random| throttle.refuses(*random, now)).count()
    }

    #[test]
    fn while_half_of_them_succeed_nothing_is_refused() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        // It counts from the first failure on.
        throttle.failed(now);
        throttle.accepted(now);
        for n in 0..1_000 {
            assert!(!throttle.refuses(0, now), "request {n}");
            match n % 2 {
                0 => throttle.accepted(now),
                _ => throttle.failed(now),
            }
        }
    }

    #[test]
    fn requests_in_flight_are_no_evidence() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        throttle.failed(now);
        assert!((0..10_000).all(|_| !throttle.refuses(0, now)));
    }

    #[test]
    fn when_all_fail_a_tenth_goes_on_and_two_minutes_later_it_is_forgotten() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..ENOUGH {
            assert!(!throttle.refuses(0, now), "few failures are no proof");
            throttle.failed(now);
        }
        let refused_at_once = refused(&throttle, now);
        assert!((890..=900).contains(&refused_at_once), "{refused_at_once}");
        assert!(!throttle.refuses(0, now + PART * PARTS as u32));
    }
}
