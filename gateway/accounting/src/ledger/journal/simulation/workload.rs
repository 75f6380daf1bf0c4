//! What a gateway does to its journal in a short life, the same for the same seed, and what it was
//! promised at every moment.

use std::{path::PathBuf, sync::Arc};

use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::IndexedRandom};

use super::disk::{Call, SimulatedDisk};
use crate::ledger::{
    journal::{Appended, Journal, JournalOptions, Writer},
    samples::{StartParts, entry, id},
};

/// Segments of a few records, so that a short life sees many.
const SEGMENT: u64 = 4 * 1024;
const SPACE: u64 = 8 * SEGMENT;

/// A life, and what was known when.
pub(super) struct History {
    pub(super) disk: SimulatedDisk,
    pub(super) folders: Vec<PathBuf>,
    /// In order, each with the number of operations that the disk had seen.
    facts: Vec<(usize, Fact)>,
    /// Some calls were made to fail.
    pub(super) faulty: bool,
}

/// What the journal was asked, or has promised, for the request of this number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fact {
    /// From now on its START may be found, whatever the journal answers.
    Begins(u64),
    /// From now on its row may be found, whatever the journal answers.
    Ends(u64),
    Started(u64),
    Ended(u64),
    StartIsDurable(u64),
    EndIsDurable(u64),
}

/// What must, and what may, be found after a crash.
#[derive(Debug, Default)]
pub(super) struct Promises {
    pub(super) may_start: Vec<u64>,
    pub(super) may_end: Vec<u64>,
    /// Exactly one row, of whatever kind.
    pub(super) one_row: Vec<u64>,
    /// The very row that was written.
    pub(super) the_row: Vec<u64>,
}

/// What the crash has taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Crash {
    /// The process; the page cache stays.
    Process,
    /// The machine.
    Power,
}

impl History {
    /// A life in which, if `faulty`, writes, syncs and names fail now and then and space runs out.
    pub(super) fn live(seed: u64, faulty: bool) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let disk = SimulatedDisk::default();
        let folders: Vec<PathBuf> =
            ["/journal", "/second"].iter().map(PathBuf::from).take(random.random_range(1..=2)).collect();
        let mut history = Self { disk: disk.clone(), folders, facts: Vec::new(), faulty };
        let journal = history.open(disk.clone()).expect("an empty disk");
        let mut life = Life {
            writers: (0..random.random_range(1..=2))
                .map(|core| journal.writer(core).expect("space"))
                .collect(),
            journal,
            open: Vec::new(),
            ended: Vec::new(),
            started: Vec::new(),
            next: 1,
            random,
        };
        for _ in 0..60 {
            life.step(&mut history);
        }
        history
    }

    /// The journal of a process that finds the disk like this.
    pub(super) fn open(&self, disk: SimulatedDisk) -> Result<Journal, crate::ledger::JournalError> {
        let options = JournalOptions { segment_bytes: SEGMENT, ..JournalOptions::default() };
        Journal::open_still(Arc::new(disk), &self.folders, options)
    }

    /// What holds for a crash after so many operations.
    pub(super) fn promises(&self, operations: usize, crash: Crash) -> Promises {
        let mut promises = Promises::default();
        for (_, fact) in self.facts.iter().take_while(|(at, _)| *at <= operations) {
            match (fact, crash) {
                (Fact::Begins(number), _) => promises.may_start.push(*number),
                (Fact::Ends(number), _) => promises.may_end.push(*number),
                (Fact::Started(number), Crash::Process) | (Fact::StartIsDurable(number), Crash::Power) => {
                    promises.one_row.push(*number);
                }
                (Fact::Ended(number), Crash::Process) | (Fact::EndIsDurable(number), Crash::Power) => {
                    promises.the_row.push(*number);
                }
                _ => {}
            }
        }
        promises
    }

    fn note(&mut self, fact: Fact) {
        self.facts.push((self.disk.operation_count(), fact));
    }
}

/// A process while it lives.
struct Life {
    /// Dropped before the journal.
    writers: Vec<Writer>,
    journal: Journal,
    open: Vec<(u64, usize)>,
    started: Vec<u64>,
    ended: Vec<(u64, usize, Appended)>,
    next: u64,
    random: SmallRng,
}

impl Life {
    fn step(&mut self, history: &mut History) {
        if history.faulty {
            self.disturb(history);
        }
        match self.random.random_range(0..24) {
            0..8 => self.start(history),
            8..15 => self.end(history),
            15 => self.count(),
            16 => drop(self.journal.shared.make_spares()),
            17 => self.journal.shared.revive(),
            18..22 => self.several_together(history),
            _ => self.sync(history),
        }
    }

    fn disturb(&mut self, history: &History) {
        let disk = &history.disk;
        match self.random.random_range(0..24) {
            0 => disk.fail_once(Call::Sync),
            1 => disk.fail_once(Call::Write),
            2 => disk.fail_once(Call::Rename),
            3 => disk.fail_once(Call::Create),
            4 => disk.set_space(Some(self.random.random_range(0..SPACE))),
            5 | 6 => disk.set_space(None),
            _ => {}
        }
    }

    fn start(&mut self, history: &mut History) {
        let (number, core) = (self.next, self.random.random_range(0..self.writers.len()));
        self.next += 1;
        history.note(Fact::Begins(number));
        let hard = number.is_multiple_of(3);
        if self.writers[core].start(&StartParts::new().start(number, hard)).is_ok() {
            history.note(Fact::Started(number));
            self.started.push(number);
            self.open.push((number, core));
        }
    }

    fn end(&mut self, history: &mut History) {
        if self.open.is_empty() {
            return;
        }
        let (number, core) = self.open.swap_remove(self.random.random_range(0..self.open.len()));
        history.note(Fact::Ends(number));
        if let Ok(place) = self.writers[core].end(&entry(number)) {
            history.note(Fact::Ended(number));
            self.ended.push((number, core, place));
        }
    }

    /// Requests of one core that begin and end in one turn.
    fn several_together(&mut self, history: &mut History) {
        let core = self.random.random_range(0..self.writers.len());
        let mut asked = Vec::new();
        for _ in 0..self.random.random_range(1..=6) {
            let ending = self.open.iter().position(|(_, known)| *known == core);
            match ending.filter(|_| self.random.random()) {
                Some(at) => {
                    let (number, _) = self.open.swap_remove(at);
                    history.note(Fact::Ends(number));
                    self.writers[core].gather_end(&entry(number)).expect("short enough");
                    asked.push((number, true));
                }
                None => {
                    let number = self.next;
                    self.next += 1;
                    history.note(Fact::Begins(number));
                    let start = StartParts::new();
                    let start = start.start(number, number.is_multiple_of(3));
                    self.writers[core].gather_start(&start).expect("short enough");
                    asked.push((number, false));
                }
            }
        }
        let mut asked = asked.into_iter();
        self.writers[core].flush(|outcome| match (asked.next().expect("one outcome a record"), outcome) {
            ((number, true), Ok(place)) => {
                history.note(Fact::Ended(number));
                self.ended.push((number, core, place));
            }
            ((number, false), Ok(_)) => {
                history.note(Fact::Started(number));
                self.started.push(number);
                self.open.push((number, core));
            }
            (_, Err(_)) => {}
        });
    }

    fn count(&mut self) {
        if let Some((number, core)) = self.open.choose(&mut self.random) {
            // Whether it is written changes nothing that was promised.
            let _ = self.writers[*core].checkpoint(id(*number), 7);
        }
    }

    fn sync(&mut self, history: &mut History) {
        let all = self.journal.sync().is_ok() && self.journal.healthy();
        let watches: Vec<_> = self.writers.iter().map(Writer::durable).collect();
        for (number, _, _) in self.ended.extract_if(.., |(_, core, place)| watches[*core].reached(*place)) {
            history.note(Fact::EndIsDurable(number));
        }
        if all {
            for number in self.started.drain(..) {
                history.note(Fact::StartIsDurable(number));
            }
        }
    }
}
