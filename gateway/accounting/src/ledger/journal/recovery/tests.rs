use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::ledger::{
    journal::{JournalOptions, SystemDisk, list_segments, segment, simulation::SimulatedDisk},
    samples::{NOON, StartParts, entry, id},
};

fn open(folder: &Path) -> Journal {
    Journal::open(folder, JournalOptions::default()).expect("a journal opens")
}

fn small_segments() -> JournalOptions {
    JournalOptions { segment_bytes: 1, sync_interval: Duration::from_millis(1), ..JournalOptions::default() }
}

/// Every row in the folder, by id; panics on a row that is there twice.
fn rows(folder: &Path) -> BTreeMap<RequestId, Entry> {
    rows_on(&SystemDisk, folder)
}

fn rows_on(disk: &dyn Disk, folder: &Path) -> BTreeMap<RequestId, Entry> {
    let (mut decoder, mut walk) = (Decoder::new(), Walk::default());
    let mut rows = BTreeMap::new();
    for part in Segments::of(disk, folder, |_| false).expect("listed") {
        let part = part.expect("read");
        let Some(segment) = &part.segment else { continue };
        walk.through(&part, segment, |item| {
            if let Item::Record(record) = item
                && record.kind == RecordType::End
            {
                let row = decoder.entry(record.payload).expect("an undamaged row");
                assert!(rows.insert(row.id, row).is_none(), "a row is there twice");
            }
        });
    }
    rows
}

fn only_segment(folder: &Path) -> PathBuf {
    let mut files = list_segments(folder).expect("listed");
    assert_eq!(files.len(), 1);
    files.remove(0).path
}

/// The bytes of a log as a crash leaves it: rows 1, 3, 5 … are written, 2, 4, 6 … are open.
pub(super) fn crashed_log(requests: u64) -> (Vec<u8>, String) {
    let folder = TempDir::new().expect("a folder");
    let parts = StartParts::new();
    let journal = open(folder.path());
    let mut writer = journal.writer(0).expect("a writer");
    for number in 1..=requests {
        writer.start(&parts.start(number, number % 4 == 0)).expect("written");
        if number % 2 == 1 {
            writer.end(&entry(number)).expect("written");
        } else {
            writer.checkpoint(id(number), number).expect("written");
        }
    }
    let path = only_segment(folder.path());
    let mut bytes = fs::read(&path).expect("read");
    // The 16 MiB of reserved zeros are left out, to keep the many runs of these tests quick.
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).expect("not blank") + 1);
    (bytes, path.file_name().expect("a name").to_string_lossy().into_owned())
}

#[test]
fn what_was_left_open_becomes_a_row() {
    let folder = TempDir::new().expect("a folder");
    let parts = StartParts::new();
    let journal = open(folder.path());
    let mut writer = journal.writer(0).expect("a writer");
    writer.start(&parts.start(1, true)).expect("written");
    writer.start(&parts.start(2, false)).expect("written");
    writer.checkpoint(id(2), 9).expect("written");
    writer.checkpoint(id(2), 30).expect("written");
    writer.start(&parts.start(3, false)).expect("written");
    writer.end(&entry(3)).expect("written");
    drop((writer, journal));

    let found = open(folder.path()).recover(NOON.plus(5_000)).expect("recovered");
    assert_eq!((found.rows, found.torn_tails, found.gaps.len()), (2, 0, 0));
    let rows = rows(folder.path());
    let worst = &rows[&id(1)];
    assert_eq!(worst.end, Some(End::Recovered));
    assert_eq!((worst.usage.input_tokens(), worst.usage.output_tokens()), (100, 50));
    assert_eq!(worst.cost, Some(Money::from_pico(600_000_000)), "a hard budget is charged the worst case");
    let counted = &rows[&id(2)];
    assert_eq!(counted.usage.output_tokens(), 30, "else the last count is charged");
    assert_eq!(counted.cost, Some(Money::from_pico(440_000_000)));
    assert_eq!(counted.meters.iter().map(|meter| meter.cost).sum::<Money>(), Money::from_pico(440_000_000));
    assert_eq!(rows[&id(3)], entry(3), "a finished row stays as it is");
}

#[test]
fn recovering_again_changes_nothing() {
    let folder = TempDir::new().expect("a folder");
    let (bytes, name) = crashed_log(8);
    fs::write(folder.path().join(name), &bytes[..bytes.len() - 3]).expect("written");
    let first = open(folder.path()).recover(NOON).expect("recovered");
    assert_eq!((first.rows, first.torn_tails), (4, 1));
    let before = rows(folder.path());
    for _ in 0..2 {
        let again = open(folder.path()).recover(NOON).expect("recovered");
        assert_eq!((again.rows, again.torn_tails, again.gaps.len()), (0, 0, 0));
    }
    assert_eq!(rows(folder.path()), before);
}

#[test]
fn logs_of_all_cores_are_recovered_whatever_their_number() {
    let folder = TempDir::new().expect("a folder");
    let parts = StartParts::new();
    let journal = open(folder.path());
    for core in 0..5 {
        let mut writer = journal.writer(core).expect("a writer");
        writer.start(&parts.start(core as u64, false)).expect("written");
    }
    drop(journal);
    assert_eq!(open(folder.path()).recover(NOON).expect("recovered").rows, 5);
}

#[test]
fn a_log_goes_on_over_many_segments() {
    let folder = TempDir::new().expect("a folder");
    let journal = Journal::open(folder.path(), small_segments()).expect("opened");
    let mut writer = journal.writer(0).expect("a writer");
    for number in 0..2_000 {
        writer.end(&entry(number)).expect("written");
    }
    assert!(list_segments(folder.path()).expect("listed").len() > 2);
    drop((writer, journal));
    let found = open(folder.path()).recover(NOON).expect("recovered");
    assert!(found.gaps.is_empty(), "{found:?}");
    assert_eq!(rows(folder.path()).len(), 2_000);
}

#[test]
fn a_lost_segment_is_a_gap_and_what_follows_is_read() {
    let folder = TempDir::new().expect("a folder");
    let journal = Journal::open(folder.path(), small_segments()).expect("opened");
    let mut writer = journal.writer(0).expect("a writer");
    for number in 0..2_000 {
        writer.end(&entry(number)).expect("written");
    }
    drop((writer, journal));
    let files = list_segments(folder.path()).expect("listed");
    fs::remove_file(&files[1].path).expect("removed");
    let found = open(folder.path()).recover(NOON).expect("recovered");
    assert_eq!(found.gaps.len(), 1);
    assert!(found.gaps[0].lost > 0);
    assert_eq!(found.records + found.gaps[0].lost, 2_000 + files.len() as u64, "rows and a seal per segment");
}

#[test]
fn the_unfinished_end_is_kept_aside() {
    let folder = TempDir::new().expect("a folder");
    let (bytes, name) = crashed_log(4);
    fs::write(folder.path().join(&name), &bytes[..bytes.len() - 1]).expect("written");
    open(folder.path()).recover(NOON).expect("recovered");
    let kept = fs::read_dir(folder.path().join("quarantine")).expect("listed").count();
    assert_eq!(kept, 1);
}

#[test]
fn a_live_log_is_not_touched() {
    let folder = TempDir::new().expect("a folder");
    let journal = open(folder.path());
    let mut writer = journal.writer(0).expect("a writer");
    writer.start(&StartParts::new().start(1, true)).expect("written");
    assert_eq!(journal.recover(NOON).expect("recovered").rows, 0);
    writer.end(&entry(1)).expect("written");
    assert_eq!(rows(folder.path()).len(), 1);
}

/// Recovers a folder that holds one log of these bytes.
pub(super) fn recovered(name: &str, bytes: &[u8]) -> (Recovered, BTreeMap<RequestId, Entry>) {
    let (disk, folder) = (SimulatedDisk::default(), Path::new("/journal"));
    disk.create(&folder.join(name)).and_then(|file| file.write_at(bytes, 0)).expect("written");
    let journal = Journal::open_still(Arc::new(disk.clone()), &[folder.to_owned()], small_segments());
    let found = journal.expect("opened").recover(NOON).expect("recovered");
    (found, rows_on(&disk, folder))
}

/// What is whole in these bytes: the rows, and the requests that were begun.
pub(super) fn whole(bytes: &[u8]) -> (Vec<RequestId>, HashSet<RequestId>) {
    let (mut ended, mut begun) = (Vec::new(), HashSet::new());
    let Some(header) = segment::SegmentHeader::decode(bytes) else { return (ended, begun) };
    let mut at = segment::HEADER as usize;
    let seed = super::super::record::seed(header.log, header.number);
    while let Some(record) = bytes.get(at..).and_then(|rest| super::super::record::parse(rest, seed)) {
        let (id, _) = Decoder::head(record.payload).unwrap_or((id(0), None));
        match record.kind {
            RecordType::Start => drop(begun.insert(id)),
            RecordType::End => ended.push(id),
            _ => {}
        }
        at += super::super::record::HEADER + record.payload.len();
    }
    (ended, begun)
}

/// A log of six requests, written once for the many runs of the tests below.
static LOG: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| crashed_log(6));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn cutting_a_log_anywhere_keeps_all_whole_rows_and_gives_each_start_one(cut in 0.0..1.0_f64) {
        let (bytes, name) = &*LOG;
        let cut = &bytes[..(bytes.len() as f64 * cut) as usize];
        let (ended, begun) = whole(cut);
        let (_, rows) = recovered(name, cut);
        prop_assert!(ended.iter().all(|id| rows.get(id).is_some_and(|row| row.end != Some(End::Recovered))));
        let found: HashSet<RequestId> = rows.keys().copied().collect();
        prop_assert_eq!(found, begun);
    }

    #[test]
    fn flipping_any_byte_neither_panics_nor_invents_a_row(at in 0.0..1.0_f64, bits in 1_u8..) {
        let (mut bytes, name) = LOG.clone();
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] ^= bits;
        let (_, rows) = recovered(&name, &bytes);
        for (found, row) in rows {
            prop_assert!((1..=6).any(|number| id(number) == found));
            let untouched = row.end == Some(End::Recovered) || (1..=6).any(|number| row == entry(number));
            prop_assert!(untouched);
        }
    }
}
