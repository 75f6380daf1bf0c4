//! Which of the permitted targets is next?
//!
//! Levels in order; within a level two random targets, weighted, the less loaded one. Whatever an
//! operator, a hold or a breaker keeps out is skipped; what was tried is not tried again.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::{Candidate, RoutePlan};
use crate::{
    live::OperatorState,
    snapshot::{Balance, Target},
};

/// What there is to choose from now.
pub(crate) enum Choice {
    /// This candidate, by its place in the plan.
    Candidate(usize),
    /// All that is left is held by throttles; the first hold ends after this.
    Held(Duration),
    /// Nothing takes requests; the first breaker lets one try after this.
    Nothing(Option<Duration>),
}

/// Chooses the next target. `avoided` are places in the plan that are not to be chosen; `random` is
/// a source of 64 random bits.
pub(crate) fn choose(
    plan: &RoutePlan,
    avoided: impl Fn(usize) -> bool,
    now: Instant,
    mut random: impl FnMut() -> u64,
) -> Choice {
    let mut open: SmallVec<[usize; 4]> = SmallVec::new();
    let mut waits = Waits::default();
    let mut level = 0;
    let forced = plan.route.operator_state() == OperatorState::Forced;
    for (place, candidate) in plan.candidates.iter().enumerate() {
        if candidate.level != level && !open.is_empty() {
            break;
        }
        level = candidate.level;
        if avoided(place) {
            continue;
        }
        match standing(&candidate.target, forced, now) {
            Standing::Open => open.push(place),
            Standing::Out => {}
            Standing::Held(wait) => waits.hold(wait),
            Standing::Tripped(wait) => waits.trip(wait),
        }
    }
    match open[..] {
        [] => waits.into_choice(),
        [only] => Choice::Candidate(only),
        _ => Choice::Candidate(pick(plan, &open, now, &mut random)),
    }
}

enum Standing {
    Open,
    /// An operator keeps it out, or it is at the concurrency that it is configured for.
    Out,
    Held(Duration),
    Tripped(Option<Duration>),
}

fn standing(target: &Target, forced: bool, now: Instant) -> Standing {
    if !target.takes_requests() {
        return Standing::Out;
    }
    if forced || target.is_forced() {
        return Standing::Open;
    }
    if let Some(wait) = target.upstream.credential.is_missing_for(now) {
        return Standing::Tripped(Some(wait));
    }
    let holds = [&target.live.hold, &*target.fate, &*target.account];
    if let Some(until) = holds.iter().filter_map(|hold| hold.until(now)).max() {
        let wait = until.duration_since(now);
        let defect = holds.iter().any(|hold| hold.is_defect());
        return if defect { Standing::Tripped(Some(wait)) } else { Standing::Held(wait) };
    }
    if !holds.iter().all(|hold| hold.admits(now)) {
        return Standing::Held(Duration::from_secs(1));
    }
    if target.live.breaker(|breaker| breaker.admits(now)) {
        return Standing::Open;
    }
    let wait = target.live.breaker(|breaker| breaker.opens_until(now));
    Standing::Tripped(wait.map(|until| until.saturating_duration_since(now)))
}

#[derive(Default)]
struct Waits {
    hold: Option<Duration>,
    tripped: bool,
    trip: Option<Duration>,
}

impl Waits {
    fn hold(&mut self, wait: Duration) {
        self.hold = Some(self.hold.map_or(wait, |first| first.min(wait)));
    }

    fn trip(&mut self, wait: Option<Duration>) {
        self.tripped = true;
        self.trip = [self.trip, wait].into_iter().flatten().min();
    }

    fn into_choice(self) -> Choice {
        match self.hold {
            // A throttle is the whole story only when nothing is broken.
            Some(wait) if !self.tripped => Choice::Held(wait),
            hold => Choice::Nothing([hold, self.trip].into_iter().flatten().min()),
        }
    }
}

fn pick(plan: &RoutePlan, open: &[usize], now: Instant, random: &mut impl FnMut() -> u64) -> usize {
    let weights: SmallVec<[u64; 4]> = open.iter().map(|place| share(&plan.candidates[*place], now)).collect();
    let first = draw(&weights, None, random());
    if plan.route.balance == Balance::Weighted {
        return open[first];
    }
    let second = draw(&weights, Some(first), random());
    let cost = |at: usize| load(&plan.candidates[open[at]].target, weights[at], now);
    if cost(second) < cost(first) { open[second] } else { open[first] }
}

/// Weight times the share that a recovering target has, in thousandths.
fn share(candidate: &Candidate, now: Instant) -> u64 {
    let permille = candidate.target.live.breaker(|breaker| breaker.share_permille(now));
    u64::from(candidate.target.weight.max(1)) * u64::from(permille)
}

/// One place by weight; `except` has none.
fn draw(weights: &[u64], except: Option<usize>, random: u64) -> usize {
    let weight = |at: usize| if Some(at) == except { 0 } else { weights[at] };
    let total: u64 = (0..weights.len()).map(weight).sum();
    let mut rest = random % total.max(1);
    for at in 0..weights.len() {
        if rest < weight(at) {
            return at;
        }
        rest -= weight(at);
    }
    except.unwrap_or(0)
}

/// Expected wait there: time to first content, times what is in flight, by weight.
fn load(target: &Target, weight: u64, now: Instant) -> u128 {
    let ewma = target.live.load(|load| load.value(now)).as_micros();
    let in_flight = target.live.in_flight.load(std::sync::atomic::Ordering::Relaxed);
    ewma * u128::from(in_flight + 1) * 1_000_000 / u128::from(weight.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights_and_leave_the_exception_out() {
        let weights = [10, 0, 30];
        let counts = (0..40).fold([0; 3], |mut counts, random| {
            counts[draw(&weights, None, random)] += 1;
            counts
        });
        assert_eq!(counts, [10, 0, 30]);
        assert!((0..40).all(|random| draw(&weights, Some(2), random) == 0));
        assert_eq!(draw(&[5], Some(0), 3), 0, "an only target is its own second choice");
    }

    #[test]
    fn a_hold_is_a_throttle_only_when_nothing_is_broken() {
        let held = Waits { hold: Some(Duration::from_secs(3)), ..Waits::default() };
        assert!(matches!(held.into_choice(), Choice::Held(wait) if wait == Duration::from_secs(3)));
        let mixed =
            Waits { hold: Some(Duration::from_secs(3)), tripped: true, trip: Some(Duration::from_secs(1)) };
        assert!(matches!(mixed.into_choice(), Choice::Nothing(Some(wait)) if wait == Duration::from_secs(1)));
        assert!(matches!(Waits::default().into_choice(), Choice::Nothing(None)));
    }
}
