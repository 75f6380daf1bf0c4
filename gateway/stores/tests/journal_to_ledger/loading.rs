//! The tests, which `open` a store of one kind or the other.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tollgate_accounting::{
    ledger::{Adjustment, Difference, Entry, Kind, Posted, Postings, RowQuery, UsageQuery},
    price::Meter,
};
use tollgate_domain::{Money, UnitPrice};

use super::open;
use crate::{
    ground::{Sql, write},
    rows::{MIDNIGHT, Shape, row},
};

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .expect("listed")
        .map(|entry| entry.expect("listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .collect();
    found.sort();
    found
}

#[test]
fn what_is_written_is_loaded_and_found_clean() {
    let ground = open();
    let journal = ground.journal();
    let mut loader = ground.loader();
    assert_eq!(loader.run_once().expect("loaded").rows, 0);
    let mut writers = [journal.writer(0).expect("a writer"), journal.writer(1).expect("a writer")];
    write(&mut writers[0], 0..30);
    write(&mut writers[1], 30..50);
    assert_eq!(loader.run_once().expect("loaded").rows, 50);
    assert_eq!(loader.run_once().expect("loaded").rows, 0, "nothing is loaded twice");
    write(&mut writers[1], 50..55);
    assert_eq!(loader.run_once().expect("loaded").rows, 5);
    let report = ground.verify();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.rows, report.stored), (55, 55));
}

/// A row that charges double what the row with this number did.
fn doubled(number: u64, earlier: u64) -> Entry {
    let original = row(Shape::new(number));
    let before = original.meters.clone();
    let dearer = |meter: &Meter| {
        let unit_price = UnitPrice::from_pico(meter.unit_price.pico() * 2);
        Meter { unit_price, cost: unit_price.times(meter.quantity), ..meter.clone() }
    };
    let after: Vec<Meter> = before.iter().map(dearer).collect();
    let adjustment =
        Adjustment { original: &original, reason: "test", earlier, before: &before, after: &after };
    adjustment.row(original.ended_at, 1, |_| false).expect("something to correct")
}

#[test]
fn a_posted_row_is_in_the_ledger_once_however_often_and_when_it_is_posted() {
    let ground = open();
    let told = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let postings = |journal| {
        let told = told.clone();
        Postings::new(Arc::new(journal), ground.store.clone(), move |_| {
            told.fetch_add(1, Ordering::Relaxed);
        })
    };
    let journal = ground.journal();
    write(&mut journal.writer(0).expect("a writer"), 0..3);
    let first = postings(journal);
    let rows = [doubled(0, 0), doubled(1, 0)];
    assert_eq!(first.post(&rows).expect("posted"), Posted { written: 2, known: 0 });
    assert!(!first.are_loaded().expect("asked"));
    assert_eq!(first.post(&rows).expect("posted"), Posted { written: 0, known: 2 }, "not yet loaded");
    ground.loader().run_once().expect("loaded");
    assert!(first.are_loaded().expect("asked"));
    assert_eq!(first.post(&rows).expect("posted"), Posted { written: 0, known: 2 }, "loaded");
    drop(first);
    let second = postings(ground.journal());
    let more = [rows[1].clone(), doubled(1, 1)];
    assert_eq!(second.post(&more).expect("posted"), Posted { written: 1, known: 1 }, "another process");
    drop(second);
    ground.loader().run_once().expect("loaded");
    assert_eq!(told.load(Ordering::Relaxed), 3);
    let report = ground.verify();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.rows, report.stored), (6, 6));
}

#[test]
fn a_correction_changes_money_and_neither_tokens_nor_requests() {
    let ground = open();
    let journal = ground.journal();
    write(&mut journal.writer(0).expect("a writer"), 0..2);
    ground.loader().run_once().expect("loaded");
    let totals = || ground.store.usage(&UsageQuery::default()).expect("summed").remove(0);
    let before = totals();
    let correction = doubled(0, 0);
    let lower = Entry { cost: correction.cost.map(|cost| -cost), ..doubled(1, 0) };
    let postings = Postings::new(Arc::new(journal), ground.store.clone(), |_| {});
    postings.post(std::slice::from_ref(&correction)).expect("posted");
    ground.loader().run_once().expect("loaded");
    let after = totals();
    assert_eq!(after.cost, before.cost + correction.cost.expect("a cost"));
    assert_eq!((after.requests, after.input_tokens), (before.requests, before.input_tokens));
    postings.post(&[lower]).expect("posted");
    ground.loader().run_once().expect("loaded");
    assert_eq!(totals().cost, before.cost, "costs below zero are summed exactly");
    let query = RowQuery { kind: Some(Kind::Adjustment), ..RowQuery::default() };
    let rows = ground.store.rows(&query).expect("read").items;
    assert!(rows.iter().any(|row| row.cost.is_some_and(|cost| cost < Money::ZERO)));
}

#[test]
fn rows_that_come_after_a_close_are_found_where_they_were_posted() {
    let ground = open();
    let journal = ground.journal();
    let mut loader = ground.loader();
    let mut writer = journal.writer(0).expect("a writer");
    write(&mut writer, 0..10);
    loader.run_once().expect("loaded");
    let until = MIDNIGHT.plus(3_600_000);
    ground.store.close_books(until, until).expect("closed");
    write(&mut writer, 10..20);
    let mut other = journal.writer(1).expect("a writer");
    write(&mut other, 20..25);
    assert_eq!(loader.run_once().expect("loaded").rows, 15);
    let late = RowQuery { kind: Some(Kind::Adjustment), from: Some(until), ..RowQuery::default() };
    assert_eq!(ground.store.rows(&late).expect("read").items.len(), 15);
    let report = ground.verify();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.rows, report.stored), (25, 25));
}

#[test]
fn loading_goes_on_where_the_store_stands_over_many_segments() {
    let ground = open();
    let journal = ground.journal();
    let mut writer = journal.writer(0).expect("a writer");
    for round in 0..6 {
        write(&mut writer, round * 1_000..(round + 1) * 1_000);
        // A new loader each time: all it knows is what the store tells.
        let progress = ground.loader().run_once().expect("loaded");
        assert_eq!((progress.rows, progress.duplicates, progress.lost), (1_000, 0, 0));
    }
    assert!(segments(&ground.journal_folder()).len() > 2);
    let report = ground.verify();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_writer_at_work_is_never_mistaken_for_damage() {
    let ground = open();
    let journal = ground.journal();
    let mut loader = ground.loader();
    let done = AtomicBool::new(false);
    let (mut rows, mut lost) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            write(&mut journal.writer(0).expect("a writer"), 0..20_000);
            done.store(true, Ordering::Release);
        });
        loop {
            let last = done.load(Ordering::Acquire);
            let progress = loader.run_once().expect("loaded");
            (rows, lost) = (rows + progress.rows, lost + progress.lost);
            if last {
                break;
            }
        }
    });
    assert_eq!((rows, lost), (20_000, 0));
}

#[test]
fn recovered_rows_are_loaded_like_others() {
    let ground = open();
    let journal = ground.journal();
    write(&mut journal.writer(0).expect("a writer"), 0..10);
    drop(journal);
    let segment = &segments(&ground.journal_folder())[0];
    let bytes = fs::read(segment).expect("read");
    fs::write(segment, &bytes[..bytes.len() - 30]).expect("cut inside the last row");
    let journal = ground.journal();
    assert_eq!(journal.recover(MIDNIGHT).expect("recovered").torn_tails, 1);
    assert_eq!(ground.loader().run_once().expect("loaded").rows, 9);
    assert!(ground.verify().is_clean());
}

#[test]
fn damage_is_stepped_over_and_told() {
    let ground = open();
    let journal = ground.journal();
    write(&mut journal.writer(0).expect("a writer"), 0..10);
    drop(journal);
    let segment = &segments(&ground.journal_folder())[0];
    let mut bytes = fs::read(segment).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(segment, bytes).expect("written");
    let progress = ground.loader().run_once().expect("loaded");
    assert_eq!((progress.rows, progress.lost), (9, 1));
    let report = ground.verify();
    assert_eq!(report.gaps.len(), 1);
    assert!(!report.is_clean());
}

#[test]
fn a_row_that_the_store_refuses_does_not_block_the_others() {
    let ground = open();
    let mut writer = ground.journal().writer(0).expect("a writer");
    ground.tamper(&Sql {
        sqlite: "CREATE TRIGGER picky BEFORE INSERT ON blocks WHEN instr(NEW.entries, CAST('bad' AS BLOB))
                 BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        postgres: "CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                       IF NEW.project = 'bad' THEN RAISE EXCEPTION 'not this one'; END IF;
                       RETURN NEW;
                   END $$;
                   CREATE TRIGGER picky BEFORE INSERT ON tollgate.entries
                       FOR EACH ROW EXECUTE FUNCTION picky()",
    });
    for number in 1..=40 {
        let project = if number == 22 { "bad" } else { "good" };
        writer.end(&row(Shape { project, ..Shape::new(number) })).expect("written");
    }
    let progress = ground.loader().run_once().expect("loaded");
    assert_eq!((progress.rows, progress.dead), (39, 1));
    assert_eq!(ground.store.dead_letters().expect("read"), 1);
    assert!(!ground.verify().is_clean(), "a dead letter is for people to look at");
}

#[test]
fn a_store_in_trouble_is_left_alone_for_a_while_and_nothing_is_lost() {
    let ground = open();
    let mut writer = ground.journal().writer(0).expect("a writer");
    let mut loader = ground.loader();
    loader.run_once().expect("loaded");
    write(&mut writer, 0..5);
    ground.tamper(&Sql {
        sqlite: "ALTER TABLE rollups RENAME TO elsewhere",
        postgres: "ALTER TABLE tollgate.usage_by_day RENAME TO elsewhere",
    });
    loader.run_once().expect_err("the store fails");
    assert!(loader.run_once().expect("not asked").paused);
    assert_eq!(ground.stored(), 0, "a failed batch leaves nothing behind");
    ground.tamper(&Sql {
        sqlite: "ALTER TABLE elsewhere RENAME TO rollups",
        postgres: "ALTER TABLE tollgate.elsewhere RENAME TO usage_by_day",
    });
    let loaded =
        std::iter::repeat_with(|| loader.run_once().expect("loaded")).find(|progress| !progress.paused);
    assert_eq!(loaded.map(|progress| progress.rows), Some(5));
}

type IsWanted = fn(&Difference) -> bool;

#[test]
fn the_audit_names_what_differs() {
    // An encoded row begins with its id: field 1, 16 bytes. These rows are a second apart, so each has a
    // block of its own.
    let cases: [(&str, Sql, IsWanted); 4] = [
        (
            "a row is gone",
            Sql {
                sqlite: "DELETE FROM blocks WHERE place = 3",
                postgres: "DELETE FROM tollgate.entries WHERE seq = 3",
            },
            |difference| matches!(difference, Difference::MissingInStore { .. }),
        ),
        (
            "a row is invented",
            Sql {
                sqlite: "INSERT INTO blocks SELECT 99, 99, 100, zeroblob(16), zeroblob(16), zeroblob(4), ends,
                             CAST(x'0110' || zeroblob(16) || substr(entries, 19) AS BLOB)
                         FROM blocks WHERE place = 3",
                postgres: "INSERT INTO tollgate.entries SELECT (jsonb_populate_record(known, jsonb_build_object(
                               'id', encode(set_byte(uuid_send(id), 15, 99), 'hex'), 'seq', 99,
                               'entry', set_byte(entry, 17, 99)))).*
                           FROM tollgate.entries AS known WHERE seq = 3",
            },
            |difference| matches!(difference, Difference::MissingInJournal { .. }),
        ),
        (
            "a row is changed",
            Sql {
                sqlite: "UPDATE blocks SET (ends, entries) = (
                             SELECT ends, CAST(x'0110' || blocks.ids || substr(other.entries, 19) AS BLOB)
                             FROM blocks other WHERE other.place = 4) WHERE place = 3",
                postgres: "UPDATE tollgate.entries AS known SET entry = (
                               SELECT '\\x0110'::bytea || uuid_send(known.id) || substring(other.entry from 19)
                               FROM tollgate.entries AS other WHERE other.seq = 4) WHERE seq = 3",
            },
            |difference| matches!(difference, Difference::Unequal { .. }),
        ),
        (
            "a total is changed",
            Sql {
                sqlite: "UPDATE rollups_by_day SET output_tokens = output_tokens + 1",
                postgres: "UPDATE tollgate.usage_by_day SET output_tokens = output_tokens + 1",
            },
            |difference| matches!(difference, Difference::Totals { .. }),
        ),
    ];
    for (name, sql, wanted) in cases {
        let ground = open();
        write(&mut ground.journal().writer(0).expect("a writer"), 1..6);
        ground.loader().run_once().expect("loaded");
        assert!(ground.verify().is_clean(), "{name}");
        ground.tamper(&sql);
        let report = ground.verify();
        assert!(!report.is_clean(), "{name}");
        assert!(report.differences.iter().any(wanted), "{name}: {report}");
    }
}

#[test]
fn a_row_that_is_twice_in_the_journal_is_a_difference() {
    let ground = open();
    let journal = ground.journal();
    write(&mut journal.writer(0).expect("a writer"), 1..3);
    write(&mut journal.writer(1).expect("a writer"), 2..4);
    let progress = ground.loader().run_once().expect("loaded");
    assert_eq!((progress.rows, progress.duplicates), (3, 1), "the store takes it once");
    let report = ground.verify();
    assert_eq!((report.rows, report.doubles), (3, 1));
    assert!(!report.is_clean());
}

#[test]
fn open_requests_and_rows_to_be_loaded_are_no_differences() {
    let ground = open();
    write(&mut ground.journal().writer(0).expect("a writer"), 1..4);
    let report = ground.verify();
    assert_eq!((report.pending, report.stored), (3, 0));
    assert!(report.is_clean(), "{report}");
}

#[test]
fn retention_removes_only_what_is_loaded_and_the_audit_knows() {
    let ground = open();
    let journal = ground.journal();
    let mut writer = journal.writer(0).expect("a writer");
    write(&mut writer, 0..3_000);
    let later = tollgate_domain::UnixMillis::new(i64::MAX);
    assert_eq!(journal.prune(&ground.store.cursors().expect("read"), later).expect("pruned").segments, 0);
    ground.loader().run_once().expect("loaded");
    let kept_time = journal.prune(&ground.store.cursors().expect("read"), MIDNIGHT).expect("pruned");
    assert_eq!(kept_time.segments, 0, "what is younger than the retention stays");
    let pruned = journal.prune(&ground.store.cursors().expect("read"), later).expect("pruned");
    assert!(pruned.segments > 1 && pruned.bytes > 0);
    assert!(!segments(&ground.journal_folder()).is_empty(), "the segment being written stays");
    let report = ground.verify();
    assert!(report.beyond_retention > 0 && report.is_clean(), "{report}");
    write(&mut writer, 3_000..3_010);
    assert_eq!(ground.loader().run_once().expect("loaded").rows, 10);
}
