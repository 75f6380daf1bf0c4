//! Drills: faults that the gateway itself puts into calls of named projects, and what came of them.
//!
//! A drilled call travels by the routes of a [`Stage`](stage): the same targets, of which those in the
//! drilled place have a health of their own and meet the fault. Breakers, holds and retries act as in
//! an outage, and what they decide is seen by drilled calls alone. Residency is that of every call.
//!
//! While no drill runs, a call pays one atomic load for them.

mod burn;
mod disturbance;
mod fault;
mod histogram;
mod plan;
mod pulse;
mod stage;
mod tally;
mod timeline;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tollgate_accounting::ledger::{Entry, Identity};
use tollgate_domain::ZoneName;

use crate::snapshot::{Principal, Snapshot};

pub use fault::DrillFault;
pub use histogram::Quantiles;
pub use plan::{DrillEnd, DrillPlace, DrillPlan, DrillScope};
pub use tally::{Measured, Misplaced};

pub(crate) use disturbance::{Disturbance, Verdict};
pub(crate) use fault::Injection;

use pulse::Pulse;
use stage::Stage;
use tally::{Tally, Told};

/// The drills that run.
#[derive(Default)]
pub struct Drills {
    is_any: AtomicBool,
    running: ArcSwap<Vec<Arc<Drill>>>,
}

impl Drills {
    /// Begins a drill. Who calls this sees to it that no two are in the same place.
    pub fn begin(&self, plan: DrillPlan, now: Instant) -> Arc<Drill> {
        let drill = Arc::new(Drill::new(plan, now));
        self.running.rcu(|running| running.iter().cloned().chain([Arc::clone(&drill)]).collect::<Vec<_>>());
        self.is_any.store(true, Ordering::Release);
        drill
    }

    /// Takes a drill out that has ended; those of its calls that are in flight meet no fault any more.
    pub fn remove(&self, id: &str) {
        self.running
            .rcu(|running| running.iter().filter(|drill| &*drill.plan.id != id).cloned().collect::<Vec<_>>());
        if self.running.load().is_empty() {
            self.is_any.store(false, Ordering::Release);
        }
    }

    /// Those that were begun and not taken out, over or not.
    #[must_use]
    pub fn running(&self) -> Vec<Arc<Drill>> {
        self.running.load().to_vec()
    }

    /// The drill that a call takes part in, if any: the first that draws it.
    pub(crate) fn draw(&self, identity: &Identity, is_stream: bool, now: Instant) -> Option<Arc<Drill>> {
        if !self.is_any.load(Ordering::Acquire) {
            return None;
        }
        self.running.load().iter().find(|drill| drill.draws(identity, is_stream, now)).cloned()
    }
}

/// A running drill, or one that is just over.
pub struct Drill {
    plan: DrillPlan,
    pulse: Arc<Pulse>,
    drawn: AtomicU64,
    stage: ArcSwapOption<Stage>,
    cells: Mutex<stage::Cells>,
    in_flight: AtomicU32,
    tally: Mutex<Tally>,
}

impl Drill {
    fn new(plan: DrillPlan, now: Instant) -> Self {
        let pulse = Pulse::new(now, now + plan.lasts);
        Self {
            tally: Mutex::new(Tally::new(plan.stop_below)),
            plan,
            pulse: Arc::new(pulse),
            drawn: AtomicU64::new(0),
            stage: ArcSwapOption::empty(),
            cells: Mutex::default(),
            in_flight: AtomicU32::new(0),
        }
    }

    /// What is drilled.
    #[must_use]
    pub fn plan(&self) -> &DrillPlan {
        &self.plan
    }

    /// Ends it now, unless it has ended before.
    pub fn end(&self, why: DrillEnd, now: Instant) {
        self.pulse.end(why, now);
    }

    /// Why and how long after its begin it ended; `None` while it runs.
    pub fn ended(&self, now: Instant) -> Option<(DrillEnd, Duration)> {
        self.pulse.is_over(now);
        self.pulse.ended().map(|(why, at)| (why, at.duration_since(self.pulse.began)))
    }

    /// Calls that take part and are not settled yet.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// What was measured so far.
    pub fn measured(&self) -> Measured {
        self.tally.lock().measured(&self.pulse)
    }

    fn draws(&self, identity: &Identity, is_stream: bool, now: Instant) -> bool {
        let may = self.plan.fault.concerns(is_stream)
            && self.plan.scope.names(identity)
            && !self.pulse.is_over(now);
        may && {
            let place = self.drawn.fetch_add(1, Ordering::Relaxed);
            draw(self.plan.seed, place) < u64::from(self.plan.percent)
        }
    }

    /// The routes that its calls go by under a configuration.
    pub(crate) fn stage(&self, snapshot: &Arc<Snapshot>) -> Arc<Stage> {
        let is_current = |stage: &Arc<Stage>| stage.is_of(snapshot);
        if let Some(stage) = self.stage.load_full().filter(is_current) {
            return stage;
        }
        let mut cells = self.cells.lock();
        let stage = Arc::new(Stage::set(&self.plan.place, snapshot, &mut cells, |real| {
            Injection::new(self.plan.fault, Arc::clone(&self.pulse), real)
        }));
        self.stage.store(Some(Arc::clone(&stage)));
        stage
    }

    /// One more call takes part, until the guard is dropped.
    pub(crate) fn enlist(self: Arc<Self>) -> Enlisted {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Enlisted(self)
    }
}

/// A call's part in a drill.
pub(crate) struct Enlisted(Arc<Drill>);

impl Enlisted {
    /// Takes in how the call ended, at `now`; it had begun at `began`.
    pub(crate) fn tell(&self, entry: &Entry, principal: &Principal, began: Instant, now: Instant) {
        let drill = &*self.0;
        let stage = drill.stage.load();
        let misplaced = |upstream| stage.as_ref().and_then(|stage| stage.misplaced(upstream, principal));
        let drilled = &drill.plan.place;
        let told = Told {
            entry,
            touched: entry.attempts.iter().any(|tried| drilled.covers(&tried.upstream, &tried.region)),
            is_elsewhere: entry
                .place
                .as_ref()
                .is_some_and(|place| !drilled.covers(&place.upstream, &place.region)),
            misplaced: entry
                .attempts
                .iter()
                .find_map(|tried| misplaced(&tried.upstream))
                .or_else(|| shown_elsewhere(entry, principal)),
            delay: drill.plan.fault.delay(),
            began,
            now,
        };
        if drill.tally.lock().take_in(&told, drill.pulse.began) {
            drill.end(DrillEnd::Budget, now);
        }
    }
}

/// The zone of the row, which the answer may have named itself, where the project does not permit it.
fn shown_elsewhere(entry: &Entry, principal: &Principal) -> Option<ZoneName> {
    let (zone, permitted) = (&entry.place.as_ref()?.zone, principal.zones.as_ref()?);
    (!permitted.contains(zone)).then(|| zone.clone())
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The number below a hundred that a call draws: SplitMix64 of its place in the order of calls.
fn draw(seed: u64, place: u64) -> u64 {
    let mut x = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(percent: u32) -> DrillPlan {
        DrillPlan {
            id: "d".into(),
            place: DrillPlace::Region("eu".into()),
            fault: DrillFault::Down,
            scope: DrillScope::Projects(vec![("search".into(), "web".into())]),
            percent,
            lasts: Duration::from_secs(60),
            stop_below: 50,
            seed: 7,
        }
    }

    fn of(project: &str) -> Identity {
        Identity {
            organization: "acme".into(),
            instance: "test".into(),
            team: "search".into(),
            project: project.into(),
            key: "main".into(),
            cost_center: None,
            tags: Vec::new(),
        }
    }

    #[test]
    fn a_seed_draws_its_share_and_the_same_calls_each_time() {
        let now = Instant::now();
        let drawn = |percent| {
            let drill = Drill::new(plan(percent), now);
            (0..10_000).map(|_| drill.draws(&of("web"), false, now)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(30), drawn(30));
        let share = drawn(30).into_iter().filter(|is_in| *is_in).count();
        assert!((2_800..3_200).contains(&share), "{share}");
        assert!(drawn(100).into_iter().all(|is_in| is_in));
    }

    #[test]
    fn only_named_projects_take_part_and_nobody_once_it_is_over() {
        let (drills, now) = (Drills::default(), Instant::now());
        assert!(drills.draw(&of("web"), false, now).is_none());
        let drill = drills.begin(plan(100), now);
        assert!(drills.draw(&of("web"), false, now).is_some());
        assert!(drills.draw(&of("shop"), false, now).is_none());
        let end = now + Duration::from_secs(60);
        assert!(drills.draw(&of("web"), false, end).is_none());
        assert_eq!(drill.ended(end), Some((DrillEnd::Time, Duration::from_secs(60))));
        drill.end(DrillEnd::Stopped, end);
        assert_eq!(drill.ended(end).map(|(why, _)| why), Some(DrillEnd::Time), "it ends once");
        drills.remove("d");
        assert!(drills.running().is_empty());
    }

    #[test]
    fn what_needs_a_stream_leaves_plain_calls_alone() {
        let now = Instant::now();
        let cut = DrillPlan { fault: DrillFault::Cut { after: 1 }, ..plan(100) };
        let drill = Drill::new(cut, now);
        assert!(!drill.draws(&of("web"), false, now) && drill.draws(&of("web"), true, now));
    }
}
