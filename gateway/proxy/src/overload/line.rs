//! Who has a slot of a target, who waits for one, and who is next: bookkeeping without a clock.

use std::collections::HashMap;

use super::law::{Denied, Pool, Priority, Taken};

/// The slots of one target, with a handle for each who waits.
pub(super) struct Line<H> {
    all: u32,
    lower: u32,
    /// What each project has; those that have nothing are not here.
    holders: HashMap<u32, u32, foldhash::fast::RandomState>,
    /// In the order of arrival.
    waiting: Vec<Waiter<H>>,
    next_id: u64,
}

/// Somebody who waits.
pub(super) struct Waiter<H> {
    id: u64,
    pub(super) project: u32,
    pub(super) priority: Priority,
    pub(super) handle: H,
}

impl<H> Default for Line<H> {
    fn default() -> Self {
        Self { all: 0, lower: 0, holders: HashMap::default(), waiting: Vec::new(), next_id: 0 }
    }
}

impl<H> Line<H> {
    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a slot at once.
    pub(super) fn enter(&mut self, pool: Pool, project: u32, priority: Priority) -> Result<(), Denied> {
        pool.admits(priority, self.taken(project))?;
        self.all += 1;
        self.lower += u32::from(priority != Priority::Interactive);
        *self.holders.entry(project).or_default() += 1;
        Ok(())
    }

    /// Gives a slot back.
    pub(super) fn leave(&mut self, project: u32, priority: Priority) {
        self.all -= 1;
        self.lower -= u32::from(priority != Priority::Interactive);
        if let Some(mine) = self.holders.get_mut(&project) {
            *mine -= 1;
            if *mine == 0 {
                self.holders.remove(&project);
            }
        }
    }

    /// Takes a place to wait, of which there are two for each slot; by the law of the slots, so that one
    /// project does not fill them either. `places` are those. Gives the number to [cancel](Self::cancel) by.
    pub(super) fn wait(
        &mut self,
        places: Pool,
        project: u32,
        priority: Priority,
        handle: H,
    ) -> Result<u64, Denied> {
        let mine = self.waiting.iter().filter(|waiter| waiter.project == project).count();
        let lower = self.waiting.iter().filter(|waiter| waiter.priority != Priority::Interactive).count();
        let mut projects: Vec<u32> = self.waiting.iter().map(|waiter| waiter.project).collect();
        projects.push(project);
        projects.sort_unstable();
        projects.dedup();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        places.admits(
            priority,
            Taken {
                all: count(self.waiting.len()),
                lower: count(lower),
                mine: count(mine),
                active: count(projects.len()),
            },
        )?;
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.push(Waiter { id, project, priority, handle });
        Ok(id)
    }

    /// Somebody waits no more; nothing happens when it was its turn already.
    pub(super) fn cancel(&mut self, id: u64) {
        if let Ok(at) = self.waiting.binary_search_by_key(&id, |waiter| waiter.id) {
            self.waiting.remove(at);
        }
    }

    /// Gives a slot to the next in the line, if there is one that somebody may have: the most urgent, of
    /// the project that has least, and of its own the one that came first. In a line that is more than half
    /// full the one that came last: those before it have waited so long that few of them would be served in
    /// time, and then nobody would.
    pub(super) fn next(&mut self, pool: Pool, places: Pool) -> Option<Waiter<H>> {
        let newest_first = self.waiting.len() as u64 * 2 > u64::from(places.slots());
        let admitted = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, waiter)| pool.admits(waiter.priority, self.taken(waiter.project)).is_ok());
        let (at, _) = admitted.min_by_key(|(_, waiter)| {
            let mine = self.holders.get(&waiter.project).copied().unwrap_or_default();
            let age = if newest_first { u64::MAX - waiter.id } else { waiter.id };
            (std::cmp::Reverse(waiter.priority), mine, age)
        })?;
        let waiter = self.waiting.remove(at);
        self.enter(pool, waiter.project, waiter.priority).ok()?;
        Some(waiter)
    }

    fn taken(&self, project: u32) -> Taken {
        let mine = self.holders.get(&project).copied().unwrap_or_default();
        let active = u32::try_from(self.holders.len()).unwrap_or(u32::MAX) + u32::from(mine == 0);
        Taken { all: self.all, lower: self.lower, mine, active }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{super::law::Crowd, *};

    const ALONE: Crowd = Crowd { interactive: false, several: false };
    const BOTH: Crowd = Crowd { interactive: true, several: true };

    fn pools(slots: u32, crowd: Crowd) -> (Pool, Pool) {
        (Pool::with_queue(slots, crowd), Pool::with_queue(2 * slots, crowd))
    }

    /// Ends a request of a project and tells whose turn it is.
    fn turn(line: &mut Line<&'static str>, pools: (Pool, Pool), project: u32) -> Option<&'static str> {
        line.leave(project, Priority::Standard);
        line.next(pools.0, pools.1).map(|waiter| waiter.handle)
    }

    #[test]
    fn first_come_first_served_until_the_line_is_half_full() {
        let pools = pools(3, ALONE);
        let mut line = Line::default();
        (0..3).for_each(|_| assert_eq!(line.enter(pools.0, 7, Priority::Standard), Ok(())));
        assert_eq!(line.enter(pools.0, 7, Priority::Standard), Err(Denied::Full));
        for name in ["1", "2", "3", "4", "5", "6"] {
            assert!(line.wait(pools.1, 7, Priority::Standard, name).is_ok());
        }
        assert!(line.wait(pools.1, 7, Priority::Standard, "7").is_err(), "two places for a slot");
        let turns: Vec<_> = (0..7).map(|_| turn(&mut line, pools, 7)).collect();
        assert_eq!(turns, [Some("6"), Some("5"), Some("4"), Some("1"), Some("2"), Some("3"), None]);
    }

    #[test]
    fn the_project_that_has_least_is_next_and_the_urgent_before_all() {
        let crowd = Crowd { several: true, ..ALONE };
        let pools = pools(4, crowd);
        let mut line = Line::default();
        (0..4).for_each(|_| assert_eq!(line.enter(pools.0, 1, Priority::Standard), Ok(())));
        for (project, priority, name) in [
            (1, Priority::Standard, "more of the first"),
            (2, Priority::Standard, "another"),
            (1, Priority::Interactive, "urgent"),
        ] {
            assert!(line.wait(pools.1, project, priority, name).is_ok());
        }
        let turns: Vec<_> = (0..3).map(|_| turn(&mut line, pools, 1)).collect();
        assert_eq!(turns, [Some("urgent"), Some("another"), Some("more of the first")]);
    }

    #[test]
    fn one_project_does_not_fill_the_line() {
        let pools = pools(50, Crowd { several: true, ..ALONE });
        let mut line = Line::default();
        let mut noisy = 0;
        while line.wait(pools.1, 1, Priority::Standard, "").is_ok() {
            noisy += 1;
        }
        assert_eq!((noisy, line.wait(pools.1, 2, Priority::Standard, "")), (90, Ok(90)));
    }

    proptest! {
        #[test]
        fn slots_and_places_stay_within_their_bounds_and_nothing_is_lost(
            slots in 1u32..12,
            steps in vec((0u8..4, 0u32..4, 0u8..3), 1..400),
        ) {
            let pools = pools(slots, BOTH);
            let mut line = Line::<()>::default();
            let (mut inside, mut outside) = (Vec::new(), Vec::new());
            for (step, project, priority) in steps {
                let priority =
                    [Priority::Batch, Priority::Standard, Priority::Interactive][usize::from(priority)];
                match step {
                    0 | 1 => match line.enter(pools.0, project, priority) {
                        Ok(()) => inside.push((project, priority)),
                        Err(_) => outside.extend(line.wait(pools.1, project, priority, ())),
                    },
                    2 if !outside.is_empty() => line.cancel(outside.remove(0)),
                    _ => {
                        if let Some((project, priority)) = inside.pop() {
                            line.leave(project, priority);
                        }
                        while let Some(waiter) = line.next(pools.0, pools.1) {
                            outside.retain(|id| *id != waiter.id);
                            inside.push((waiter.project, waiter.priority));
                        }
                    }
                }
                prop_assert!(inside.len() <= slots as usize);
                prop_assert!(outside.len() <= 2 * slots as usize);
                prop_assert_eq!((line.all as usize, line.waiting()), (inside.len(), outside.len()));
            }
            outside.drain(..).for_each(|id| line.cancel(id));
            inside.drain(..).for_each(|(project, priority)| line.leave(project, priority));
            prop_assert_eq!((line.all, line.lower, line.holders.len(), line.waiting()), (0, 0, 0, 0));
        }
    }
}
