//! Records that are written together, on disks that fail: each keeps the promises of one that is
//! written alone.

use std::path::Path;

use super::{
    disk::Call,
    faults::{FIRST, Ground, numbered, rows},
    machine::Operation,
};
use crate::ledger::{
    journal::JournalError,
    samples::{StartParts, entry},
};

impl Ground {
    fn gather(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.writer.gather_end(&entry(number)).expect("taken");
        }
    }

    /// Writes what was gathered and gives the records' numbers; zero stands for one that was not written.
    fn flush(&mut self) -> Vec<u64> {
        let mut numbers = Vec::new();
        self.writer.flush(|outcome| numbers.push(outcome.map_or(0, |appended| appended.lsn)));
        numbers
    }

    fn writes(&self) -> usize {
        self.disk.operations().iter().filter(|operation| matches!(operation, Operation::Write { .. })).count()
    }
}

#[test]
fn records_that_fit_are_one_write() {
    let mut ground = Ground::new(&[FIRST]);
    ground.writer.end(&entry(0)).expect("written");
    let before = ground.writes();
    ground.gather(1..9);
    assert_eq!(ground.writes(), before, "nothing is written before it is asked for");
    assert_eq!(ground.flush(), (2..10).collect::<Vec<_>>());
    assert_eq!(ground.writes(), before + 1);
    assert!(ground.flush().is_empty(), "what was told is told once");
    ground.writer.end(&entry(9)).expect("the log goes on");
    ground.journal.sync().expect("synced");
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered(0..10));
}

#[test]
fn records_that_do_not_fit_go_on_in_the_next_segment() {
    let mut ground = Ground::new(&[FIRST]);
    ground.gather(0..60);
    let numbers = ground.flush();
    // SEALs between them have numbers too.
    assert!(numbers.len() == 60 && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(ground.disk.segments_in(Path::new(FIRST)) > 1);
    assert_eq!(rows(&ground.disk), numbered(0..60));
}

#[test]
fn a_write_that_failed_half_way_is_repeated_in_a_new_segment() {
    let mut ground = Ground::new(&[FIRST]);
    ground.writer.end(&entry(0)).expect("written");
    ground.gather(1..6);
    ground.disk.fail_once(Call::Write);
    assert_eq!(ground.flush(), (2..7).collect::<Vec<_>>(), "the new segment has them");
    assert_eq!(rows(&ground.disk), numbered(0..6), "and each is told once");
    ground.journal.sync().expect("synced");
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered(0..6));
}

#[test]
fn where_no_folder_takes_records_each_is_told_and_rows_wait() {
    let mut ground = Ground::new(&[FIRST]);
    ground.gather([1]);
    ground.writer.gather_start(&StartParts::new().start(7, true)).expect("taken");
    ground.gather([2]);
    ground.disk.set_broken(Call::Write, Path::new(FIRST), true);
    assert_eq!(ground.flush(), [0, 0, 0]);
    assert!(!ground.journal.healthy());
    ground.writer.gather_start(&StartParts::new().start(8, true)).expect("taken");
    ground.writer.flush(|outcome| assert!(matches!(outcome, Err(JournalError::Failing)), "nothing begins"));

    ground.disk.set_broken(Call::Write, Path::new(FIRST), false);
    ground.journal.shared.revive();
    assert!(ground.journal.healthy());
    ground.journal.sync().expect("synced");
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered([1, 2]), "the rows, and no request that began");
}

#[test]
fn a_record_that_is_too_long_harms_no_other() {
    let mut ground = Ground::new(&[FIRST]);
    let mut long = entry(2);
    long.attempts = std::iter::repeat_n(long.attempts[0].clone(), 2_000).collect();
    ground.gather([1]);
    assert!(matches!(ground.writer.gather_end(&long), Err(JournalError::TooLong(_))));
    ground.gather([3]);
    assert_eq!(ground.flush(), [1, 2]);
    assert_eq!(rows(&ground.disk), numbered([1, 3]));
}

#[test]
fn a_writer_that_ends_writes_what_it_has_gathered() {
    let mut ground = Ground::new(&[FIRST]);
    ground.gather([1, 2]);
    let Ground { disk, writer, .. } = ground;
    drop(writer);
    assert_eq!(rows(&disk), numbered([1, 2]));
}
