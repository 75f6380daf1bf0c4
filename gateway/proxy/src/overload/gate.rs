//! The slots of this process: how many requests it works on, and whose they are.
//!
//! All cores count in one word, so that nobody is refused while another core has room. A request costs
//! one compare-and-swap there and one addition at its project; a refusal only reads.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use dashmap::DashMap;
use tollgate_domain::Name;

use super::{
    Shed,
    law::{Denied, Pool, Priority, Taken},
    memory::{Mark, Memory, SMALL_BODY},
    project::{ProjectLoad, Standing},
};
use crate::{snapshot::EdgeLimits, worker::Worker};

/// What a process has taken on, over all its cores and configurations.
#[derive(Default)]
pub struct Gate {
    counts: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// How near the process is to the memory that it may have.
    pub memory: Memory,
    projects: DashMap<Name, Arc<ProjectLoad>>,
    numbers: AtomicU32,
}

/// All slots, those that are not interactive, and projects that have any, in 21 bits each.
#[derive(Clone, Copy)]
struct Counts(u64);

impl Counts {
    const BITS: u32 = 21;
    const FIELD: u64 = (1 << Self::BITS) - 1;
    const ALL: u64 = 1;
    const LOWER: u64 = 1 << Self::BITS;
    const ACTIVE: u64 = 1 << (2 * Self::BITS);

    const fn slot(priority: Priority) -> u64 {
        match priority {
            Priority::Interactive => Self::ALL,
            Priority::Standard | Priority::Batch => Self::ALL + Self::LOWER,
        }
    }

    const fn field(self, one: u64) -> u32 {
        ((self.0 / one) & Self::FIELD) as u32
    }

    fn taken(self, mine: u32) -> Taken {
        Taken {
            all: self.field(Self::ALL),
            lower: self.field(Self::LOWER),
            mine,
            active: self.field(Self::ACTIVE) + u32::from(mine == 0),
        }
    }
}

impl Gate {
    /// More requests in flight than this cannot be counted.
    pub const MOST: u32 = 1_000_000;

    /// Requests between their head and their settlement, over all cores.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        Counts(self.counts.load(Ordering::Relaxed)).field(Counts::ALL)
    }

    /// Bytes of request bodies that are held, or announced and waited for.
    #[must_use]
    pub fn bytes_held(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The cell of a project, `team/project`, made when it is new.
    pub fn project(&self, name: &Name) -> Arc<ProjectLoad> {
        let make = || Arc::new(ProjectLoad::new(self.numbers.fetch_add(1, Ordering::Relaxed)));
        Arc::clone(&self.projects.entry(name.clone()).or_insert_with(make))
    }

    /// How somebody stands who has not proven yet to be whom this standing is of.
    pub(crate) fn anonymous(&self, claimed: &Standing) -> Standing {
        Standing { priority: Priority::Standard, project: self.project(&"".into()), crowd: claimed.crowd }
    }

    /// Looks whether memory allows a request with a body of this many bytes, as far as they are known.
    fn check_memory(&self, announced: Option<u64>) -> Result<(), Shed> {
        match self.memory.mark() {
            Mark::Low => Ok(()),
            Mark::Soft if announced.is_none_or(|bytes| bytes <= SMALL_BODY) => Ok(()),
            Mark::Soft => Err(Shed::MemorySoft),
            // With nothing in flight it is not requests that hold the memory, and an allocator that never
            // gave it back would otherwise keep the gateway shut for good: one at a time passes.
            Mark::Hard if self.in_flight() == 0 => Ok(()),
            Mark::Hard => Err(Shed::MemoryHard),
        }
    }

    fn enter(&self, pool: Pool, standing: &Standing) -> Result<(), Denied> {
        let (project, priority) = (&standing.project, standing.priority);
        // Two cores may read the same number and let a project one slot beyond its share; the bound on
        // all of them is exact.
        let mine = project.in_flight();
        let admits = |counts: u64| pool.admits(priority, Counts(counts).taken(mine));
        self.counts
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counts| {
                admits(counts).ok().map(|()| counts + Counts::slot(priority))
            })
            .map_err(|counts| admits(counts).err().unwrap_or(Denied::Full))?;
        if project.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            self.counts.fetch_add(Counts::ACTIVE, Ordering::Relaxed);
        }
        Ok(())
    }

    fn leave(&self, standing: &Standing) {
        let last = standing.project.in_flight.fetch_sub(1, Ordering::Relaxed) == 1;
        let active = if last { Counts::ACTIVE } else { 0 };
        self.counts.fetch_sub(Counts::slot(standing.priority) + active, Ordering::Relaxed);
    }
}

/// A place among the requests in flight, given back when dropped.
pub(crate) struct Presence {
    worker: Rc<Worker>,
    standing: Standing,
}

impl Presence {
    /// Takes a place for a request with a body of this many bytes, as far as they are known.
    ///
    /// # Errors
    /// There is none for it; nothing is taken then.
    pub(crate) fn take(
        worker: &Rc<Worker>,
        limits: &EdgeLimits,
        standing: &Standing,
        announced: Option<u64>,
    ) -> Result<Self, Shed> {
        let gate = &worker.shared.live.gate;
        gate.check_memory(announced)?;
        gate.enter(Pool::without_queue(limits.max_in_flight, standing.crowd), standing)?;
        Ok(Self { worker: Rc::clone(worker), standing: standing.clone() })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.worker.shared.live.gate.leave(&self.standing);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::law::Crowd, *};

    fn standing(gate: &Gate, project: &str, priority: Priority) -> Standing {
        let crowd = Crowd { interactive: true, several: true };
        Standing { priority, project: gate.project(&project.into()), crowd }
    }

    #[test]
    fn every_slot_that_is_taken_comes_back() {
        let gate = Gate::default();
        let pool = Pool::without_queue(100, Crowd { interactive: true, several: true });
        let all = [
            standing(&gate, "a/one", Priority::Interactive),
            standing(&gate, "a/one", Priority::Batch),
            standing(&gate, "a/two", Priority::Standard),
        ];
        for standing in &all {
            assert_eq!(gate.enter(pool, standing), Ok(()));
        }
        let counts = Counts(gate.counts.load(Ordering::Relaxed));
        assert_eq!(counts.taken(2), Taken { all: 3, lower: 2, mine: 2, active: 2 });
        all.iter().for_each(|standing| gate.leave(standing));
        assert_eq!(gate.counts.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn cores_that_race_never_take_more_than_there_is() {
        let gate = Gate::default();
        let pool = Pool::without_queue(10, Crowd::default());
        std::thread::scope(|scope| {
            for project in ["a", "b", "c", "d"] {
                let (gate, standing) = (&gate, standing(&gate, project, Priority::Standard));
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        if gate.enter(pool, &standing).is_ok() {
                            assert!(gate.in_flight() <= 10);
                            gate.leave(&standing);
                        }
                    }
                });
            }
        });
        assert_eq!(gate.counts.load(Ordering::Relaxed), 0);
    }
}
