//! What targets were like a while ago: looked at once a second beside requests, and kept in memory, so
//! that somebody can be told later why a target was passed over.
//!
//! Nothing here is on a request's path. What lasts less than a look may be missed, a restart forgets, and
//! only this process's own view is known; [`Chronicle::at`] tells nothing where it knows nothing.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use parking_lot::Mutex;
use serde::Serialize;
use tollgate_domain::{Name, UnixMillis};
use tollgate_proxy::{BreakerState, Snapshot, Target};

/// Changes that are kept of each target.
const KEPT_EACH: usize = 64;
/// Changes that are kept for the list of all.
const KEPT: usize = 512;

/// What kept a target from new requests; all false is nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// Its breaker was open.
    pub open: bool,
    /// Its breaker let single requests through to try it.
    pub half_open: bool,
    /// It was held: throttled, or with a defect.
    pub held: bool,
    /// It waited for an operator after an outage.
    pub away: bool,
    /// An operator, or the configuration, had it, its upstream or its region drained or disabled.
    pub out: bool,
}

impl Standing {
    /// How a target is at this moment.
    #[must_use]
    pub fn of(target: &Target, now: Instant) -> Self {
        let view = target.live.view(now);
        Self {
            open: view.breaker == BreakerState::Open,
            half_open: view.breaker == BreakerState::HalfOpen,
            held: view.hold.is_some()
                || target.fate.until(now).is_some()
                || target.account.until(now).is_some(),
            away: view.is_away,
            out: !target.takes_requests(),
        }
    }

    /// In words; `None` when nothing stood against it.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let words = [
            (self.out, "an operator or the configuration had taken it out"),
            (self.open, "its breaker was open after failures"),
            (self.held, "it was held after a throttle or a defect"),
            (self.away, "it waited for an operator after an outage"),
            (self.half_open, "its breaker let single requests through"),
        ];
        let said: Vec<&str> = words.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| *word).collect();
        (!said.is_empty()).then(|| said.join(", and "))
    }
}

/// One change of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// When it was seen.
    pub at: UnixMillis,
    /// The target, `MODEL@UPSTREAM`.
    pub target: Name,
    /// How it was from then on.
    pub standing: Standing,
}

/// The memory of targets' states.
#[derive(Default)]
pub struct Chronicle {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    targets: HashMap<Name, VecDeque<(UnixMillis, Standing)>>,
    all: VecDeque<Change>,
}

impl Chronicle {
    /// Looks at every target once and keeps what has changed. Gives the changes.
    pub fn look(&self, snapshot: &Snapshot, now: Instant, wall: UnixMillis) -> Vec<Change> {
        let seen: HashMap<Name, Standing> =
            snapshot.targets().map(|target| (target.live.name.clone(), Standing::of(target, now))).collect();
        let mut changes = Vec::new();
        let mut known = self.known.lock();
        let Known { targets, all } = &mut *known;
        // One that is configured no more is nobody's concern.
        targets.retain(|name, _| seen.contains_key(name));
        for (target, standing) in seen {
            let moments = targets.entry(target.clone()).or_default();
            let last = moments.back().map(|(_, standing)| *standing);
            if last == Some(standing) {
                continue;
            }
            moments.push_back((wall, standing));
            if moments.len() > KEPT_EACH {
                moments.pop_front();
            }
            // A first look is no change.
            if last.is_some() || standing != Standing::default() {
                changes.push(Change { at: wall, target, standing });
            }
        }
        changes.sort_by(|a, b| a.target.cmp(&b.target));
        all.extend(changes.iter().cloned());
        while all.len() > KEPT {
            all.pop_front();
        }
        changes
    }

    /// How a target was then; `None` when this process does not know.
    #[must_use]
    pub fn at(&self, target: &str, wall: UnixMillis) -> Option<Standing> {
        let known = self.known.lock();
        let moments = known.targets.get(target)?;
        moments.iter().rev().find(|(since, _)| *since <= wall).map(|(_, standing)| *standing)
    }

    /// The newest changes, the newest first.
    #[must_use]
    pub fn changes(&self, limit: usize) -> Vec<Change> {
        self.known.lock().all.iter().rev().take(limit).cloned().collect()
    }
}
