//! How a target stands at this moment.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{health::Passing, snapshot::Target};

/// Whether a target takes a request now, and if not, why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It does, with so many thousandths of its weight.
    Open { permille: u32, ewma: Option<Duration> },
    /// One request may try.
    Trial,
    /// It may, and is better left alone: it left on its own and waits for an operator's word, or has used
    /// up a limit of its provider's by what that has said. It is used where nothing else is.
    Reserve,
    /// An operator keeps it out.
    Out,
    /// Its upstream is at the concurrency that it is configured for.
    Full,
    /// A throttle holds it.
    Held(Duration),
    /// It is broken.
    Tripped {
        /// When one may try, where that is known.
        wait: Option<Duration>,
        /// Only a low rate has put it out: in panic it is used all the same.
        rejoins: bool,
        /// It could be tried when nothing else is left.
        can_be_asked: bool,
    },
}

/// The standing of a target, by one look at its health; `forced` is what an operator says of its alias.
pub(super) fn standing(target: &Target, forced: bool, now: Instant) -> Standing {
    if !target.takes_requests() {
        return Standing::Out;
    }
    if forced || target.is_forced() {
        return Standing::Open { permille: 1_000, ewma: target.live.load(|load| load.faded(now)) };
    }
    if let Some(wait) = target.upstream.credential.is_missing_for(now) {
        return Standing::Tripped { wait: Some(wait), rejoins: false, can_be_asked: false };
    }
    let held = held(target, now);
    if let Some(held) = held.filter(|held| *held != Standing::Reserve) {
        return held;
    }
    let is_used_up = held.is_some();
    let sight = target.live.sight(now);
    match sight.passing {
        Passing::Out { until, by_rate } => Standing::Tripped {
            wait: until.map(|until| until.saturating_duration_since(now)),
            rejoins: by_rate,
            can_be_asked: true,
        },
        _ if is_full(target) => Standing::Full,
        Passing::Trial | Passing::Share(_) if is_used_up => Standing::Reserve,
        Passing::Trial => Standing::Trial,
        Passing::Share(_) if sight.is_away => Standing::Reserve,
        Passing::Share(permille) => Standing::Open { permille, ewma: sight.ewma },
    }
}

/// What the waits say: [`Reserve`](Standing::Reserve) where nobody has refused anything.
fn held(target: &Target, now: Instant) -> Option<Standing> {
    let holds = target.holds();
    if let Some(until) = holds.iter().filter_map(|hold| hold.until(now)).max() {
        let wait = until.duration_since(now);
        let in_force = || holds.iter().filter(|hold| hold.until(now).is_some());
        return Some(match in_force().any(|hold| hold.is_defect()) {
            true => {
                // A throttle beside the defect is obeyed like any other.
                let can_be_asked = !holds.iter().any(|hold| hold.is_refused(now));
                Standing::Tripped { wait: Some(wait), rejoins: false, can_be_asked }
            }
            false if in_force().all(|hold| hold.is_soft()) => Standing::Reserve,
            false => Standing::Held(wait),
        });
    }
    (!holds.iter().all(|hold| hold.admits(now))).then_some(Standing::Held(Duration::from_secs(1)))
}

fn is_full(target: &Target) -> bool {
    let in_flight = || target.upstream.live.in_flight.load(Ordering::Relaxed);
    target.upstream.max_concurrency.is_some_and(|most| in_flight() >= most)
}

/// Thousandths of its concurrency that count as free: all of it up to half, then twice what is left.
pub(super) fn free_permille(target: &Target) -> u32 {
    let Some(most) = target.upstream.max_concurrency else { return 1_000 };
    let left = most.saturating_sub(target.upstream.live.in_flight.load(Ordering::Relaxed));
    u32::try_from(u64::from(left) * 2_000 / u64::from(most.max(1))).unwrap_or(1_000).min(1_000)
}
