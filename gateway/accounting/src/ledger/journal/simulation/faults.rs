//! Disks that fail, fill up and stall, one at a time: what the journal promises meanwhile, and what is
//! there when the power goes.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    task::{Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tollgate_domain::RequestId;

use super::{
    disk::{Call, SimulatedDisk},
    machine::Operation,
};
use crate::ledger::{
    codec::Decoder,
    entry::{End, Entry},
    journal::{
        Appended, Condition, Item, Journal, JournalError, JournalOptions, RecordType, Segments, Walk, Writer,
        events::Nobody,
    },
    samples::{NOON, StartParts, entry, id},
};

pub(super) const FIRST: &str = "/journal";
const SECOND: &str = "/second";
const SEGMENT: u64 = 8 * 1024;

/// A journal whose every step is taken by the test.
pub(super) struct Ground {
    pub(super) disk: SimulatedDisk,
    pub(super) journal: Journal,
    pub(super) writer: Writer,
}

impl Ground {
    pub(super) fn new(folders: &[&str]) -> Self {
        let disk = SimulatedDisk::default();
        let journal = still(&disk, folders);
        let writer = journal.writer(0).expect("a writer");
        Self { disk, journal, writer }
    }

    fn start(&mut self, number: u64) -> Result<(), JournalError> {
        self.writer.start(&StartParts::new().start(number, true))
    }

    fn is_synced(&self, place: Appended) -> bool {
        self.writer.durable().reached(place)
    }

    /// What the journal tells after a loss of power now.
    pub(super) fn after_power_loss(&self, folders: &[&str]) -> Vec<Entry> {
        let disk = self.disk.switched_off();
        let journal = still(&disk, folders);
        journal.recover(NOON).expect("recovered");
        rows(&disk)
    }
}

fn still(disk: &SimulatedDisk, folders: &[&str]) -> Journal {
    let options = JournalOptions { segment_bytes: SEGMENT, ..JournalOptions::default() };
    let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    Journal::open_still(Arc::new(disk.clone()), &folders, options).expect("opened")
}

/// Every row that a reader of the first folder finds, in order.
pub(super) fn rows(disk: &SimulatedDisk) -> Vec<Entry> {
    let (mut decoder, mut walk, mut rows) = (Decoder::new(), Walk::default(), Vec::new());
    for part in Segments::of(disk, Path::new(FIRST), |_| false).expect("listed") {
        let part = part.expect("read");
        // A segment that was given up may have nothing on the device, not even its header.
        let Some(segment) = &part.segment else { continue };
        walk.through(&part, segment, |item| match item {
            Item::Record(record) if record.kind == RecordType::End => {
                rows.push(decoder.entry(record.payload).expect("a row"));
            }
            Item::Record(_) => {}
            Item::Gap { lost } => panic!("{lost} records are lost"),
        });
    }
    rows
}

pub(super) fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    numbers.into_iter().map(entry).collect()
}

#[test]
fn a_row_whose_sync_failed_is_written_and_synced_elsewhere() {
    let mut ground = Ground::new(&[FIRST]);
    ground.writer.end(&entry(1)).expect("written");
    ground.journal.sync().expect("synced");
    let place = ground.writer.end(&entry(2)).expect("written");
    ground.disk.fail_once(Call::Sync);
    ground.journal.sync().expect("synced in a new segment");
    assert!(ground.is_synced(place) && ground.journal.healthy());
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered([1, 2]));
    ground.writer.end(&entry(3)).expect("the log goes on");
    assert_eq!(rows(&ground.disk), numbered([1, 2, 3]), "and each row is told once");
}

#[test]
fn a_file_whose_sync_failed_is_never_synced_again() {
    let mut ground = Ground::new(&[FIRST]);
    for number in 0..200 {
        if number % 20 == 0 {
            ground.disk.fail_once(Call::Sync);
        }
        ground.writer.end(&entry(number)).expect("written");
        ground.journal.sync().expect("synced");
    }
    let mut failed = HashSet::new();
    for operation in ground.disk.operations() {
        match operation {
            Operation::FailedSync { file, .. } => drop(failed.insert(file)),
            Operation::Sync { file } => assert!(!failed.contains(&file), "it proves nothing"),
            _ => {}
        }
    }
    assert_eq!(failed.len(), 10);
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered(0..200));
}

#[test]
fn a_write_that_failed_half_way_is_repeated_in_a_new_segment() {
    let mut ground = Ground::new(&[FIRST]);
    for number in 0..40 {
        if number % 7 == 3 {
            ground.disk.fail_once(Call::Write);
        }
        ground.writer.end(&entry(number)).expect("written");
    }
    assert_eq!(rows(&ground.disk), numbered(0..40));
    ground.journal.sync().expect("synced");
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered(0..40));
}

#[test]
fn where_no_folder_takes_records_rows_wait_and_nothing_begins_until_one_does() {
    let mut ground = Ground::new(&[FIRST, SECOND]);
    ground.start(1).expect("written");
    ground.start(2).expect("written");
    let place = ground.writer.end(&entry(1)).expect("written");
    for folder in [FIRST, SECOND] {
        ground.disk.set_broken(Call::Sync, Path::new(folder), true);
    }
    assert!(ground.journal.sync().is_err());
    assert!(ground.writer.durable().failed() && !ground.is_synced(place));
    assert!(!ground.journal.healthy() && !ground.writer.admits(1));
    assert_eq!(ground.journal.condition(1), Condition::Failing);
    assert!(matches!(ground.start(3), Err(JournalError::Failing)), "nothing begins");
    assert!(matches!(ground.journal.writer(1), Err(JournalError::Failing)));
    assert!(ground.writer.end(&entry(2)).is_err(), "the client must not be told that it is counted");

    for folder in [FIRST, SECOND] {
        ground.disk.set_broken(Call::Sync, Path::new(folder), false);
    }
    ground.journal.shared.revive();
    ground.journal.sync().expect("synced");
    assert!(ground.journal.healthy() && ground.is_synced(place) && !ground.writer.durable().failed());
    assert_eq!(ground.after_power_loss(&[FIRST, SECOND]), numbered([1, 2]), "the row that waited is there");
    ground.start(4).expect("requests begin again");
}

#[test]
fn the_second_folder_takes_over_from_a_first_that_fails() {
    let mut ground = Ground::new(&[FIRST, SECOND]);
    ground.writer.end(&entry(1)).expect("written");
    ground.disk.set_broken(Call::Sync, Path::new(FIRST), true);
    ground.journal.sync().expect("synced in the second folder");
    for number in 2..60 {
        ground.writer.end(&entry(number)).expect("written");
    }
    ground.journal.sync().expect("synced");
    assert!(ground.journal.healthy());
    assert_eq!(ground.after_power_loss(&[FIRST, SECOND]), numbered(1..60));
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered(1..60), "also when it is configured no more");
}

#[test]
fn the_second_folder_takes_segments_while_the_first_is_full() {
    let mut ground = Ground::new(&[FIRST, SECOND]);
    ground.disk.set_broken(Call::Create, Path::new(FIRST), true);
    for number in 0..40 {
        ground.writer.end(&entry(number)).expect("written");
    }
    ground.disk.set_broken(Call::Create, Path::new(FIRST), false);
    let in_second = ground.disk.segments_in(Path::new(SECOND));
    assert!(in_second > 0);
    for number in 40..80 {
        ground.writer.end(&entry(number)).expect("written");
    }
    assert_eq!(ground.disk.segments_in(Path::new(SECOND)), in_second, "the first has space again");
    assert_eq!(rows(&ground.disk), numbered(0..80));
}

#[test]
fn on_a_full_disk_nothing_new_is_admitted_and_what_is_in_flight_is_settled() {
    let mut ground = Ground::new(&[FIRST]);
    ground.journal.shared.make_spares();
    ground.disk.set_space(Some(0));
    let mut open = Vec::new();
    for number in 0.. {
        if !ground.writer.admits(open.len() as u64 + 1) {
            break;
        }
        ground.start(number).expect("admitted, so it is written");
        open.push(number);
        assert!(number < 1_000, "admission never stops");
    }
    assert!(open.len() > 1);
    assert_eq!(ground.journal.condition(open.len() as u64 + 1), Condition::Full);
    for number in &open {
        // What can be left out is, so that rows have the space.
        ground.writer.checkpoint(id(*number), 5).expect("left out or written");
        ground.writer.end(&entry(*number)).expect("in flight, so there is space for it");
    }
    assert!(ground.journal.healthy());
    ground.disk.set_space(None);
    assert!(ground.journal.shared.make_spares());
    assert!(ground.writer.admits(1), "space has returned");
    assert_eq!(ground.journal.condition(1), Condition::Writable);
    ground.journal.sync().expect("synced");
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered(open));
}

#[test]
fn a_disk_that_fills_up_under_a_log_makes_rows_wait_for_space() {
    let mut ground = Ground::new(&[FIRST]);
    ground.disk.set_space(Some(0));
    let mut written = 0;
    while ground.writer.end(&entry(written)).is_ok() {
        written += 1;
    }
    assert!(!ground.journal.healthy());
    ground.writer.end(&entry(written + 1)).expect_err("there is no space for it either");
    ground.journal.sync().expect("what is written can be synced all the same");
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered(0..written));
    ground.disk.set_space(None);
    ground.journal.shared.revive();
    assert!(ground.journal.healthy());
    ground.journal.sync().expect("synced");
    assert_eq!(ground.after_power_loss(&[FIRST]), numbered(0..written + 2));
}

/// A journal with its thread, whose syncs count as slow at once.
fn hasty(disk: &SimulatedDisk, options: JournalOptions) -> Journal {
    let options = JournalOptions { sync_interval: Duration::from_millis(1), ..options };
    Journal::open_on(Arc::new(disk.clone()), &[PathBuf::from(FIRST)], options, Arc::new(Nobody))
        .expect("opened")
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits as a task does.
fn wait_for(writer: &Writer, place: Appended) -> Result<(), ()> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let watch = writer.durable();
    loop {
        watch.register(place, &waker);
        if watch.reached(place) {
            return Ok(());
        }
        if watch.failed() {
            return Err(());
        }
        thread::park();
    }
}

#[test]
fn while_a_sync_is_slow_nothing_is_admitted_and_nobody_is_told_that_a_row_is_safe() {
    let disk = SimulatedDisk::default();
    let slow = Duration::ZERO;
    let options = JournalOptions { slow_sync: slow, stalled_sync: slow, ..JournalOptions::default() };
    let journal = hasty(&disk, options);
    let mut writer = journal.writer(0).expect("a writer");
    disk.hold_syncs(true);
    let place = writer.end(&entry(1)).expect("a write does not wait for the device");
    disk.wait_for_held_sync();
    assert!(!writer.durable().reached(place));
    assert!(!writer.admits(1));
    assert_eq!(journal.condition(1), Condition::Slow);
    let late = writer.end(&entry(2)).expect("rows are written all the same");
    disk.hold_syncs(false);
    assert_eq!(wait_for(&writer, late), Ok(()));
    assert!(writer.durable().reached(place));
}

#[test]
fn what_the_device_has_not_confirmed_is_bounded() {
    let disk = SimulatedDisk::default();
    let options = JournalOptions { unsynced_bytes: 1_000, ..JournalOptions::default() };
    let journal = hasty(&disk, options);
    let mut writer = journal.writer(0).expect("a writer");
    disk.hold_syncs(true);
    let mut last = writer.end(&entry(0)).expect("written");
    disk.wait_for_held_sync();
    for number in 1..=2 {
        last = writer.end(&entry(number)).expect("written");
    }
    assert!(!writer.admits(1), "{} bytes are too many", journal.unsynced_bytes());
    disk.hold_syncs(false);
    assert_eq!(wait_for(&writer, last), Ok(()));
    assert!(writer.admits(1));
    assert_eq!(journal.unsynced_bytes(), 0);
}

#[test]
fn those_who_wait_for_a_row_learn_whether_a_device_has_it() {
    let disk = SimulatedDisk::default();
    let journal = hasty(&disk, JournalOptions::default());
    let mut writer = journal.writer(0).expect("a writer");
    disk.fail_once(Call::Sync);
    let place = writer.end(&entry(1)).expect("written");
    assert_eq!(wait_for(&writer, place), Ok(()), "a new segment has it");
    disk.set_broken(Call::Sync, Path::new(FIRST), true);
    let place = writer.end(&entry(2)).expect("written");
    assert_eq!(wait_for(&writer, place), Err(()), "no segment has it");
    disk.set_broken(Call::Sync, Path::new(FIRST), false);
    // The thread tries again by itself.
    while !journal.healthy() {
        thread::yield_now();
    }
    assert_eq!(wait_for(&writer, place), Ok(()));
}

#[test]
fn an_open_request_whose_start_was_moved_gets_one_row() {
    let mut ground = Ground::new(&[FIRST]);
    ground.start(1).expect("written");
    ground.disk.fail_once(Call::Sync);
    ground.journal.sync().expect("synced");
    let rows = ground.after_power_loss(&[FIRST]);
    let ids: BTreeSet<RequestId> = rows.iter().map(|row| row.id).collect();
    assert_eq!((rows.len(), ids), (1, [id(1)].into()));
    assert_eq!(rows[0].end, Some(End::Recovered));
}
