//! Crashes at every moment of many lives, and during the recovery from them.
//!
//! The long form (`TOLLGATE_LONG=1`) looks at more than a hundred thousand states of the disk. In each
//! of them: nothing panics; every row that was promised is there once and as it was written; every
//! request that was promised to be known has one row; no row tells what nobody wrote; recovering
//! again changes nothing, also when the recovery itself was cut off.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tollgate_domain::RequestId;

use super::{
    disk::SimulatedDisk,
    machine::{Cut, Machine, Operation},
    workload::{Crash, History, Promises},
};
use crate::ledger::{
    codec::Decoder,
    entry::{End, Entry},
    journal::{Item, RecordType, Segments, Walk},
    samples::{NOON, entry, id},
};

type Rows = BTreeMap<RequestId, Entry>;

#[test]
fn no_crash_breaks_a_promise() {
    let long = std::env::var_os("TOLLGATE_LONG").is_some_and(|value| value == "1");
    let (lives, every, at_least) = if long { (72, 1, 100_000) } else { (8, 11, 1_000) };
    let mut states = 0;
    for seed in 0..lives {
        states += Trial::new(seed).every_moment(every);
    }
    assert!(states >= at_least, "{states} states are too few");
}

/// One life and all the crashes that may end it.
struct Trial {
    seed: u64,
    history: History,
    random: SmallRng,
    states: u64,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let history = History::live(seed, seed % 2 == 1);
        Self { seed, history, random: SmallRng::seed_from_u64(!seed), states: 0 }
    }

    /// Crashes after every operation, or every few of them; gives how many states were looked at.
    fn every_moment(mut self, every: usize) -> u64 {
        let operations = self.history.disk.operations();
        let mut machine = Machine::default();
        for (at, operation) in operations.iter().enumerate() {
            machine.apply(operation);
            let at = at + 1;
            if at.is_multiple_of(every) || at == operations.len() {
                self.process_dies(&machine, at);
                for cut in Cut::ALL {
                    self.power_is_lost(&machine, at, cut);
                }
            }
        }
        self.states
    }

    fn process_dies(&mut self, machine: &Machine, at: usize) {
        let what = format!("seed {}, process killed after {at} operations", self.seed);
        let promises = self.history.promises(at, Crash::Process);
        let found = self.recover(machine.clone(), &promises, &what);
        assert!(self.history.faulty || found.gaps == 0, "{what}: gaps, though nothing was lost");
        let on_power = self.history.promises(at, Crash::Power);
        // Where the device has failed, it may still lose what the page cache had for the dead process.
        let lasting = if self.history.faulty { None } else { Some(&promises) };
        self.recovery_is_cut_off(machine, &found, &promises, &on_power, lasting, &what);
    }

    fn power_is_lost(&mut self, machine: &Machine, at: usize, cut: Cut) {
        let what = format!("seed {}, power lost after {at} operations, {cut:?}", self.seed);
        let promises = self.history.promises(at, Crash::Power);
        let machine = Machine::of(machine.cut(cut, &mut self.random));
        let found = self.recover(machine.clone(), &promises, &what);
        self.recovery_is_cut_off(&machine, &found, &promises, &promises, Some(&promises), &what);
    }

    /// The recovery meets a crash of its own: killed or without power somewhere, or without power at
    /// its end, when it has promised to `last`.
    fn recovery_is_cut_off(
        &mut self,
        before: &Machine,
        found: &Found,
        killed: &Promises,
        without_power: &Promises,
        last: Option<&Promises>,
        what: &str,
    ) {
        let somewhere = self.random.random_range(0..=found.operations.len());
        let mut machine = before.clone();
        found.operations[..somewhere].iter().for_each(|operation| machine.apply(operation));
        let what = format!("{what}, then recovery after {somewhere} of {}", found.operations.len());
        self.recover(machine.clone(), killed, &format!("{what}, killed"));
        let image = machine.cut(Cut::Torn, &mut self.random);
        self.recover(Machine::of(image), without_power, &format!("{what}, without power"));
        found.operations[somewhere..].iter().for_each(|operation| machine.apply(operation));
        let image = machine.cut(Cut::Nothing, &mut self.random);
        let what = format!("{what}, without power after its end");
        let again = self.recover(Machine::of(image), last.unwrap_or(without_power), &what);
        if last.is_some() {
            assert_eq!(again.rows, found.rows, "{what}: what it had found is there no more");
        }
    }

    /// Starts on what a crash has left, and holds it against what was promised.
    fn recover(&mut self, machine: Machine, promises: &Promises, what: &str) -> Found {
        self.states += 1;
        let disk = SimulatedDisk::of(machine);
        let journal = self.history.open(disk.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let recovered = journal.recover(NOON).unwrap_or_else(|error| panic!("{what}: {error}"));
        let operations = disk.operations();
        let rows = self.rows(&disk, what);
        hold(&rows, promises, what);
        let again = journal.recover(NOON).unwrap_or_else(|error| panic!("{what}, again: {error}"));
        assert_eq!((again.rows, again.torn_tails), (0, 0), "{what}: recovery does more when repeated");
        assert_eq!(self.rows(&disk, what), rows, "{what}: recovery changes rows when repeated");
        Found { operations, rows, gaps: recovered.gaps.len() }
    }

    /// Every row on the disk; panics on one that is there twice.
    fn rows(&self, disk: &SimulatedDisk, what: &str) -> Rows {
        let (mut decoder, mut walk, mut rows) = (Decoder::new(), Walk::default(), Rows::new());
        for part in Segments::of(disk, &self.history.folders[0], |_| false).expect("a list") {
            let part = part.expect("a readable segment");
            let Some(segment) = &part.segment else { continue };
            walk.through(&part, segment, |item| {
                if let Item::Record(record) = item
                    && record.kind == RecordType::End
                {
                    let row = decoder.entry(record.payload).expect("an undamaged row");
                    let id = row.id;
                    assert!(rows.insert(id, row).is_none(), "{what}: row {id} is there twice");
                }
            });
        }
        rows
    }
}

/// What a recovery has left.
struct Found {
    operations: Vec<Operation>,
    rows: Rows,
    gaps: usize,
}

fn hold(rows: &Rows, promises: &Promises, what: &str) {
    for number in &promises.the_row {
        assert_eq!(rows.get(&id(*number)), Some(&entry(*number)), "{what}: row {number} was promised");
    }
    for number in &promises.one_row {
        assert!(rows.contains_key(&id(*number)), "{what}: request {number} was promised to be known");
    }
    let may_start: BTreeSet<RequestId> = promises.may_start.iter().map(|number| id(*number)).collect();
    let may_end: BTreeMap<RequestId, u64> =
        promises.may_end.iter().map(|number| (id(*number), *number)).collect();
    for (id, row) in rows {
        if row.end == Some(End::Recovered) {
            assert!(may_start.contains(id), "{what}: a row for {id}, which nobody has begun");
        } else {
            let number = may_end.get(id).unwrap_or_else(|| panic!("{what}: nobody has written row {id}"));
            assert_eq!(row, &entry(*number), "{what}: the row was changed");
        }
    }
}
