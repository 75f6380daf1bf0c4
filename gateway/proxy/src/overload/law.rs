//! Who may take one of a bounded number of slots: the urgent first, and every project its share.
//!
//! The law is the same for the requests of a process, for those at a target and for those that wait.
//! It is pure: counts in, a word out, integers only. What it promises:
//!
//! - Never more than all slots are taken.
//! - A fifth is *reserved* for interactive requests, where the configuration knows any.
//! - Batch requests leave a tenth more to the others, and so are refused before them.
//! - A few slots are *spare*: a project takes them only up to its *share*, an equal part of what is
//!   not spare among the projects that have any. Up to there it may borrow what others leave. What is
//!   borrowed is not taken back, but it is not renewed either once only spare slots are left; so
//!   shares settle at what is fair, and whoever comes new finds room.

/// How urgent requests are.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// The first to be refused.
    Batch,
    /// Neither.
    #[default]
    Standard,
    /// Somebody waits for the answer; some slots are kept for these.
    Interactive,
}

/// Who shares the slots, as far as the configuration knows: nothing is kept for those who cannot come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Crowd {
    /// Some key is interactive.
    pub interactive: bool,
    /// There is more than one project.
    pub several: bool,
}

/// A bounded number of slots.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pool {
    slots: u32,
    /// Only interactive requests take these.
    reserved: u32,
    /// Only projects below their share take these.
    spare: u32,
}

/// What is taken of a pool at the moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Taken {
    /// Slots in use.
    pub(crate) all: u32,
    /// Of them, those of requests that are not interactive.
    pub(crate) lower: u32,
    /// Of them, those of the project that asks.
    pub(crate) mine: u32,
    /// Projects that have a slot, whoever asks among them.
    pub(crate) active: u32,
}

/// Why there is no slot for a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Denied {
    /// Every slot is taken.
    Full,
    /// What is free is kept for more urgent requests.
    Priority,
    /// The project has its share, and what is free is spare.
    Share,
}

impl Pool {
    /// Slots that cannot be waited for: a fifth of them is spare.
    pub(crate) fn without_queue(slots: u32, crowd: Crowd) -> Self {
        Self::of(slots, crowd, slots / 5)
    }

    /// Slots whose next one is given to whoever has least of them, among those who wait: a tenth spare
    /// is enough.
    pub(crate) fn with_queue(slots: u32, crowd: Crowd) -> Self {
        Self::of(slots, crowd, slots / 10)
    }

    fn of(slots: u32, crowd: Crowd, spare: u32) -> Self {
        Self {
            slots,
            reserved: if crowd.interactive { slots / 5 } else { 0 },
            spare: if crowd.several { spare } else { 0 },
        }
    }

    /// All slots.
    pub(crate) const fn slots(self) -> u32 {
        self.slots
    }

    /// May a request of this priority take one more?
    pub(crate) fn admits(self, priority: Priority, taken: Taken) -> Result<(), Denied> {
        if taken.all >= self.slots {
            return Err(Denied::Full);
        }
        let open = self.slots - self.reserved;
        let (most, used) = match priority {
            Priority::Interactive => (self.slots, taken.all),
            Priority::Standard => (open, taken.lower),
            Priority::Batch => (open - self.slots / 10, taken.all),
        };
        if used >= most {
            return Err(Denied::Priority);
        }
        let share = (most.saturating_sub(self.spare) / taken.active.max(1)).max(1);
        let left = (most - used).min(self.slots - taken.all);
        if taken.mine >= share && left <= self.spare {
            return Err(Denied::Share);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::{Priority::*, *};

    const ALONE: Crowd = Crowd { interactive: false, several: false };
    const BOTH: Crowd = Crowd { interactive: true, several: true };
    const SEVERAL: Crowd = Crowd { interactive: false, several: true };

    #[test]
    fn who_gets_a_slot() {
        let taken = |all, lower, mine, active| Taken { all, lower, mine, active };
        let cases = [
            ("who is alone gets all", ALONE, Standard, taken(99, 99, 99, 1), Ok(())),
            ("and no more", ALONE, Standard, taken(100, 100, 100, 1), Err(Denied::Full)),
            ("batch alone leaves a tenth", ALONE, Batch, taken(90, 90, 90, 1), Err(Denied::Priority)),
            ("one of several borrows", SEVERAL, Standard, taken(79, 79, 79, 1), Ok(())),
            ("but not what is spare", SEVERAL, Standard, taken(80, 80, 80, 1), Err(Denied::Share)),
            ("that is for a newcomer", SEVERAL, Standard, taken(80, 80, 0, 2), Ok(())),
            ("up to its share", SEVERAL, Standard, taken(99, 99, 39, 2), Ok(())),
            ("and not above it", SEVERAL, Standard, taken(99, 99, 40, 2), Err(Denied::Share)),
            ("standard leaves the reserve", BOTH, Standard, taken(80, 80, 0, 2), Err(Denied::Priority)),
            ("interactive takes it", BOTH, Interactive, taken(80, 80, 0, 2), Ok(())),
            ("its own use of it hurts nobody", BOTH, Standard, taken(95, 60, 0, 3), Ok(())),
            ("batch goes before standard", BOTH, Batch, taken(70, 50, 0, 3), Err(Denied::Priority)),
            ("which then still gets one", BOTH, Standard, taken(70, 50, 0, 3), Ok(())),
        ];
        for (name, crowd, priority, taken, want) in cases {
            assert_eq!(Pool::without_queue(100, crowd).admits(priority, taken), want, "{name}");
        }
    }

    #[test]
    fn the_smallest_pools_serve_everybody() {
        for slots in 1..30 {
            for (crowd, priority) in [ALONE, BOTH]
                .into_iter()
                .flat_map(|crowd| [Batch, Standard, Interactive].map(|priority| (crowd, priority)))
            {
                for pool in [Pool::without_queue(slots, crowd), Pool::with_queue(slots, crowd)] {
                    let word = pool.admits(priority, Taken { active: 1, ..Taken::default() });
                    assert_eq!(word, Ok(()), "{slots} slots, {priority:?}, {crowd:?}");
                }
            }
        }
    }

    /// A pool with what its projects hold, by priority.
    struct World {
        pool: Pool,
        held: BTreeMap<u8, [u32; 3]>,
    }

    impl World {
        fn new(pool: Pool) -> Self {
            Self { pool, held: BTreeMap::new() }
        }

        fn taken(&self, project: u8) -> Taken {
            let sum = |held: &[u32; 3]| held.iter().sum::<u32>();
            let mine = self.held.get(&project).map_or(0, sum);
            let active = self.held.values().filter(|held| sum(held) > 0).count() as u32;
            Taken {
                all: self.held.values().map(sum).sum(),
                lower: self.held.values().map(|held| held[0] + held[1]).sum(),
                mine,
                active: active + u32::from(mine == 0),
            }
        }

        fn enter(&mut self, project: u8, priority: Priority) -> Result<(), Denied> {
            self.pool.admits(priority, self.taken(project))?;
            self.held.entry(project).or_default()[priority as usize] += 1;
            Ok(())
        }

        fn leave(&mut self, project: u8, priority: Priority) {
            let held = &mut self.held.entry(project).or_default()[priority as usize];
            *held = held.saturating_sub(1);
        }
    }

    fn any_priority() -> impl Strategy<Value = Priority> {
        prop_oneof![Just(Batch), Just(Standard), Just(Interactive)]
    }

    fn any_pool() -> impl Strategy<Value = Pool> {
        (1u32..200, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(slots, interactive, several, queue)| {
                let crowd = Crowd { interactive, several };
                if queue { Pool::with_queue(slots, crowd) } else { Pool::without_queue(slots, crowd) }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_taken_stays_within_its_bounds(
            pool in any_pool(),
            steps in vec((any::<bool>(), 0u8..6, any_priority()), 1..600),
        ) {
            let mut world = World::new(pool);
            for (enters, project, priority) in steps {
                let before = world.taken(project);
                if !enters {
                    world.leave(project, priority);
                    continue;
                }
                let entered = world.enter(project, priority).is_ok();
                let taken = world.taken(project);
                prop_assert!(taken.all <= pool.slots);
                prop_assert!(taken.lower <= pool.slots - pool.reserved);
                if entered && priority == Batch {
                    prop_assert!(before.all < pool.slots - pool.reserved, "batch in a reserved slot");
                }
            }
        }

        #[test]
        fn the_more_urgent_is_never_refused_before_the_less(
            pool in any_pool(),
            all in 0u32..220,
            lower in 0u32..220,
            mine in 0u32..220,
            active in 1u32..20,
        ) {
            let taken = Taken { all, lower: lower.min(all), mine: mine.min(all), active };
            let words = [Batch, Standard, Interactive].map(|priority| pool.admits(priority, taken).is_ok());
            prop_assert!(words.is_sorted(), "{words:?}");
        }

        /// Whoever wants much gets what the others leave; once that is settled, it holds no more than a
        /// share beyond what nobody wants, and the next newcomer finds room.
        #[test]
        fn the_greedy_settle_at_their_shares_and_leave_room(
            slots in 20u32..200,
            greedy in 1u8..6,
            priority in any_priority(),
            crowd in prop_oneof![Just(SEVERAL), Just(BOTH)],
        ) {
            let pool = Pool::without_queue(slots, crowd);
            let mut world = World::new(pool);
            // The first has everything that it can have when the others come.
            for project in 0..greedy {
                while world.enter(project, priority).is_ok() {}
            }
            // Each slot that ends is asked for by all of them, the first one first.
            for turn in 0..4 * slots {
                let whose = (turn % u32::from(greedy)) as u8;
                world.leave(whose, priority);
                for project in 0..greedy {
                    while world.enter(project, priority).is_ok() {}
                }
            }
            let fewest = (0..greedy).map(|project| world.taken(project).mine).min().unwrap_or(0);
            let most = (0..greedy).map(|project| world.taken(project).mine).max().unwrap_or(0);
            // What does not divide evenly may all be borrowed by one, and the slot that ended last too.
            prop_assert!(most - fewest <= greedy.into(), "{fewest} to {most} of {slots}");
            prop_assert_eq!(world.enter(100, priority), Ok(()), "a newcomer");
        }
    }
}
