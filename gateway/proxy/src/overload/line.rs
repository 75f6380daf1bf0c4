//! Who has a slot of a target, who waits for one, and who is next: bookkeeping without a clock.

use std::collections::{HashMap, VecDeque};

use super::law::{Denied, Pool, Priority, Taken};

/// The slots of one target, with a handle for each who waits.
pub(super) struct Line<H> {
    /// Slots that are taken.
    slots: Tally,
    /// Places to wait that are taken.
    places: Tally,
    /// Projects that have a slot or wait for one.
    parties: HashMap<u32, Party<H>, foldhash::fast::RandomState>,
    next_id: u64,
}

/// How much of a pool is taken.
#[derive(Default)]
struct Tally {
    all: u32,
    lower: u32,
    /// Projects that have any.
    active: u32,
}

/// What one project has.
struct Party<H> {
    slots: u32,
    /// Who waits, by priority, in the order of arrival.
    waiting: [VecDeque<(u64, H)>; 3],
}

/// Where somebody waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    project: u32,
    priority: Priority,
    id: u64,
}

/// Somebody whose turn it is.
pub(super) struct Next<H> {
    pub(super) project: u32,
    pub(super) priority: Priority,
    pub(super) handle: H,
}

impl Tally {
    fn taken(&self, mine: u32) -> Taken {
        let active = self.active + u32::from(mine == 0);
        Taken { all: self.all, lower: self.lower, mine, active }
    }

    /// One more, by a project that has had `mine`.
    fn add(&mut self, priority: Priority, mine: u32) {
        self.all += 1;
        self.lower += u32::from(priority != Priority::Interactive);
        self.active += u32::from(mine == 0);
    }

    /// One less, by a project that has `mine` left.
    fn take(&mut self, priority: Priority, mine: u32) {
        self.all -= 1;
        self.lower -= u32::from(priority != Priority::Interactive);
        self.active -= u32::from(mine == 0);
    }
}

impl<H> Party<H> {
    fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.iter().map(VecDeque::len).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

impl<H> Default for Party<H> {
    fn default() -> Self {
        Self { slots: 0, waiting: [const { VecDeque::new() }; 3] }
    }
}

impl<H> Default for Line<H> {
    fn default() -> Self {
        Self { slots: Tally::default(), places: Tally::default(), parties: HashMap::default(), next_id: 0 }
    }
}

impl<H> Line<H> {
    /// How many wait.
    pub(super) const fn waiting(&self) -> u32 {
        self.places.all
    }

    /// How many slots are taken.
    #[cfg(test)]
    pub(super) const fn taken(&self) -> u32 {
        self.slots.all
    }

    /// Takes a slot at once.
    pub(super) fn enter(&mut self, pool: Pool, project: u32, priority: Priority) -> Result<(), Denied> {
        let mine = self.parties.get(&project).map_or(0, |party| party.slots);
        pool.admits(priority, self.slots.taken(mine))?;
        self.slots.add(priority, mine);
        self.parties.entry(project).or_default().slots += 1;
        Ok(())
    }

    /// Gives a slot back.
    pub(super) fn leave(&mut self, project: u32, priority: Priority) {
        let Some(party) = self.parties.get_mut(&project) else { return };
        party.slots -= 1;
        self.slots.take(priority, party.slots);
        self.forget(project);
    }

    /// Takes one of the places to wait, by the law of the slots, so that one project does not fill them
    /// either.
    pub(super) fn wait(
        &mut self,
        places: Pool,
        project: u32,
        priority: Priority,
        handle: H,
    ) -> Result<Place, Denied> {
        let mine = self.parties.get(&project).map_or(0, Party::waiting);
        places.admits(priority, self.places.taken(mine))?;
        self.places.add(priority, mine);
        let id = self.next_id;
        self.next_id += 1;
        self.parties.entry(project).or_default().waiting[priority as usize].push_back((id, handle));
        Ok(Place { project, priority, id })
    }

    /// Somebody waits no more; nothing happens when it was its turn already.
    pub(super) fn cancel(&mut self, place: Place) {
        let Some(party) = self.parties.get_mut(&place.project) else { return };
        let waiting = &mut party.waiting[place.priority as usize];
        let Ok(at) = waiting.binary_search_by_key(&place.id, |(id, _)| *id) else { return };
        waiting.remove(at);
        self.places.take(place.priority, party.waiting());
        self.forget(place.project);
    }

    /// Gives a slot to the next in the line, if there is one that somebody may have: the most urgent, of
    /// the project that has least, and of its own the one that came first. In a line that is more than half
    /// full the one that came last: those before it have waited so long that few of them would be served in
    /// time, and then nobody would.
    pub(super) fn next(&mut self, pool: Pool, places: Pool) -> Option<Next<H>> {
        if self.places.all == 0 {
            return None;
        }
        let newest_first = u64::from(self.places.all) * 2 > u64::from(places.slots());
        let each = self.parties.iter().flat_map(|(project, party)| {
            let taken = self.slots.taken(party.slots);
            let urgent_first = [Priority::Interactive, Priority::Standard, Priority::Batch];
            urgent_first.into_iter().filter_map(move |priority| {
                let waiting = &party.waiting[priority as usize];
                let (id, _) = if newest_first { waiting.back() } else { waiting.front() }?;
                let age = if newest_first { u64::MAX - id } else { *id };
                let admitted = pool.admits(priority, taken).is_ok();
                admitted.then_some((std::cmp::Reverse(priority), party.slots, age, *project))
            })
        });
        let (std::cmp::Reverse(priority), _, _, project) = each.min()?;
        let party = self.parties.get_mut(&project)?;
        let waiting = &mut party.waiting[priority as usize];
        let (_, handle) = if newest_first { waiting.pop_back() } else { waiting.pop_front() }?;
        self.places.take(priority, party.waiting());
        self.slots.add(priority, party.slots);
        party.slots += 1;
        Some(Next { project, priority, handle })
    }

    /// Keeps nothing of a project that has nothing.
    fn forget(&mut self, project: u32) {
        if self.parties.get(&project).is_some_and(|party| party.slots == 0 && party.waiting() == 0) {
            self.parties.remove(&project);
        }
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
        line.next(pools.0, pools.1).map(|next| next.handle)
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
        assert_eq!((noisy, line.wait(pools.1, 2, Priority::Standard, "").is_ok()), (90, true));
    }

    proptest! {
        #[test]
        fn slots_and_places_stay_within_their_bounds_and_nothing_is_lost(
            slots in 1u32..12,
            steps in vec((0u8..4, 0u32..4, 0u8..3), 1..400),
        ) {
            let pools = pools(slots, BOTH);
            let mut line = Line::<usize>::default();
            let (mut inside, mut outside) = (Vec::new(), Vec::new());
            for (at, (step, project, priority)) in steps.into_iter().enumerate() {
                let priority =
                    [Priority::Batch, Priority::Standard, Priority::Interactive][usize::from(priority)];
                match step {
                    0 | 1 => match line.enter(pools.0, project, priority) {
                        Ok(()) => inside.push((project, priority)),
                        Err(_) => {
                            let place = line.wait(pools.1, project, priority, at);
                            outside.extend(place.map(|place| (at, place)));
                        }
                    },
                    2 if !outside.is_empty() => line.cancel(outside.remove(0).1),
                    _ => {
                        if let Some((project, priority)) = inside.pop() {
                            line.leave(project, priority);
                        }
                        while let Some(next) = line.next(pools.0, pools.1) {
                            let before = outside.len();
                            outside.retain(|(at, _)| *at != next.handle);
                            prop_assert_eq!(outside.len(), before - 1, "nobody is called twice");
                            inside.push((next.project, next.priority));
                        }
                    }
                }
                prop_assert!(inside.len() <= slots as usize);
                prop_assert!(outside.len() <= 2 * slots as usize);
                let counts = (line.slots.all as usize, line.waiting() as usize);
                prop_assert_eq!(counts, (inside.len(), outside.len()));
            }
            outside.drain(..).for_each(|(_, place)| line.cancel(place));
            inside.drain(..).for_each(|(project, priority)| line.leave(project, priority));
            prop_assert!(line.parties.is_empty());
            for Tally { all, lower, active } in [line.slots, line.places] {
                prop_assert_eq!((all, lower, active), (0, 0, 0));
            }
        }
    }
}
