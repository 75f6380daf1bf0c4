//! What every ledger store must do, whatever it is made of.

mod ground;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::tz::TimeZone;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tollgate_accounting::ledger::{
    AuditEntry, Batch, ConfigVersion, Cursor, DeadLetter, Dimension, Document, End, Entry, Kind, LedgerStore,
    Loaded, Order, Override, RowQuery, StoreError, UsageFilter, UsageGroup, UsageQuery, encode_entry,
};
use tollgate_domain::{LogId, Money, UnixMillis};
use tollgate_test_support::PostgresServer;

use ground::Ground;
use rows::{HOUR, MIDNIGHT, Shape, row};

#[test]
fn sqlite_is_a_ledger_store() {
    suite(&Ground::sqlite, 24);
}

#[test]
fn postgres_is_a_ledger_store() {
    let server = PostgresServer::shared().expect("a server");
    suite(&|| Ground::on(Arc::clone(&server)), 8);
}

/// Everything that is asked of a store. Each part begins with an empty one, and so does each of the
/// random cases.
fn suite(open: &dyn Fn() -> Ground, cases: u32) {
    let parts: &[fn(&dyn LedgerStore)] = &[
        a_batch_is_taken_once,
        known_rows_are_left_out_of_a_large_batch,
        a_cursor_never_goes_back,
        dead_letters_are_counted_once,
        a_row_comes_back_whole,
        rows_are_paged_newest_first,
        rows_are_followed_in_the_order_of_loading,
        rows_are_found_by_what_they_hold,
        a_foreign_cursor_is_refused,
        money_is_summed_exactly,
        refusals_are_only_counted,
        groups_follow_the_calendar_of_the_question,
        a_filter_limits_what_is_counted,
        overrides_are_kept_and_cleared,
        a_change_of_a_document_is_told,
        history_is_kept,
        documents_follow_one_another,
        closed_time_does_not_change_any_more,
    ];
    for part in parts {
        part(&*open().store);
    }
    sums_are_those_of_the_rows(open, cases);
}

const LOG: LogId = LogId::new(7);

fn batch(entries: &[Entry], lsn: u64) -> Batch {
    let mut batch = Batch::default();
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.clear();
        encode_entry(entry, &mut bytes);
        batch.push(LOG, lsn, entry.clone(), &bytes);
    }
    batch.cursors.push(Cursor { log: LOG, lsn, segment: 1, offset: lsn * 100 });
    batch
}

fn load(store: &dyn LedgerStore, entries: &[Entry]) {
    let loaded = store.load(&batch(entries, 1)).expect("loaded");
    assert_eq!(loaded.inserted, entries.len() as u64);
}

fn usage(store: &dyn LedgerStore, query: &UsageQuery) -> Vec<UsageGroup> {
    store.usage(query).expect("answered")
}

fn total(store: &dyn LedgerStore) -> UsageGroup {
    let mut groups = usage(store, &UsageQuery::default());
    assert_eq!(groups.len(), 1);
    groups.remove(0)
}

fn a_batch_is_taken_once(store: &dyn LedgerStore) {
    let rows = [row(Shape::new(1)), row(Shape::new(2))];
    let again = batch(&rows, 2);
    assert_eq!(store.load(&again).expect("loaded"), Loaded { inserted: 2, duplicates: 0, dead: 0 });
    let before = total(store);
    assert_eq!(store.load(&again).expect("loaded"), Loaded { inserted: 0, duplicates: 2, dead: 0 });
    assert_eq!(total(store), before);
    let mixed = batch(&[row(Shape::new(2)), row(Shape::new(3))], 3);
    assert_eq!(store.load(&mixed).expect("loaded"), Loaded { inserted: 1, duplicates: 1, dead: 0 });
    assert_eq!(total(store).requests, 3);
}

fn known_rows_are_left_out_of_a_large_batch(store: &dyn LedgerStore) {
    let rows = |numbers: &[u64]| -> Vec<Entry> { numbers.iter().map(|n| row(Shape::new(*n))).collect() };
    let known = [7, 30, 31, 32];
    load(store, &rows(&known));
    // Far from the order of their ids, with rows that the store knows and rows that come twice.
    let numbers: Vec<u64> = (0..100).map(|n| n * 37 % 100).chain([16, 16, 15, 99]).collect();
    let loaded = store.load(&batch(&rows(&numbers), 9)).expect("loaded");
    assert_eq!(loaded, Loaded { inserted: 96, duplicates: 8, dead: 0 });
    assert_eq!(total(store).requests, 100);
    let unknown = numbers[..100].iter().copied().filter(|number| !known.contains(number));
    let expected: Vec<u64> = known.into_iter().chain(unknown).collect();
    for limit in [7, 1_000] {
        let query = RowQuery { order: Order::Seq, limit, ..RowQuery::default() };
        assert_eq!(pages(store, query).0, expected, "in the order of loading");
    }
    let ordered = store.rows(&RowQuery { order: Order::Seq, limit: 1_000, ..RowQuery::default() });
    let found = ordered.expect("read").items;
    assert!(found.is_sorted_by(|one, next| one.seq < next.seq));
    assert!(found.iter().all(|entry| store.row(entry.id).expect("read").as_ref() == Some(entry)));
}

fn a_cursor_never_goes_back(store: &dyn LedgerStore) {
    store.load(&batch(&[], 9)).expect("loaded");
    store.load(&batch(&[], 4)).expect("loaded");
    let cursor = Cursor { log: LOG, lsn: 9, segment: 1, offset: 900 };
    assert_eq!(store.cursors().expect("read"), [cursor]);
}

fn dead_letters_are_counted_once(store: &dyn LedgerStore) {
    let mut batch = batch(&[row(Shape::new(1))], 5);
    batch.dead.push(DeadLetter { log: LOG, lsn: 5, reason: "odd".to_owned(), payload: vec![1, 2] });
    assert_eq!(store.load(&batch).expect("loaded"), Loaded { inserted: 1, duplicates: 0, dead: 1 });
    store.load(&batch).expect("loaded");
    assert_eq!(store.dead_letters().expect("read"), 1);
}

fn a_row_comes_back_whole(store: &dyn LedgerStore) {
    let mut entry = row(Shape::new(1));
    load(store, std::slice::from_ref(&entry));
    entry.seq = 1;
    assert_eq!(store.row(entry.id).expect("read"), Some(entry));
    assert_eq!(store.row(row(Shape::new(2)).id).expect("read"), None);
}

/// The start times of all pages, and how many pages there were.
fn pages(store: &dyn LedgerStore, mut query: RowQuery) -> (Vec<u64>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = store.rows(&query).expect("read");
        assert!(page.items.len() <= query.limit);
        found.extend(page.items.iter().map(rows::number));
        pages += 1;
        match page.next {
            Some(next) => query.after = Some(next),
            None => return (found, pages),
        }
    }
}

fn rows_are_paged_newest_first(store: &dyn LedgerStore) {
    load(store, &[2, 5, 1, 4, 3].map(|number| row(Shape::new(number))));
    let query = RowQuery { limit: 2, ..RowQuery::default() };
    assert_eq!(pages(store, query), (vec![5, 4, 3, 2, 1], 3));
    let between = RowQuery {
        from: Some(row(Shape::new(2)).started_at),
        to: Some(row(Shape::new(4)).started_at),
        ..RowQuery::default()
    };
    assert_eq!(pages(store, between).0, [3, 2], "the begin is in, the end is not");
}

fn rows_are_followed_in_the_order_of_loading(store: &dyn LedgerStore) {
    load(store, &[5, 1, 4].map(|number| row(Shape::new(number))));
    let query = RowQuery { order: Order::Seq, limit: 2, ..RowQuery::default() };
    let first = store.rows(&query).expect("read");
    assert_eq!(first.items.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(pages(store, query.clone()).0, [5, 1, 4]);

    // Late rows with early times are not missed by who goes on from where the last page ended.
    let after = store.rows(&RowQuery { limit: 9, ..query.clone() }).expect("read").next;
    load(store, &[2, 3].map(|number| row(Shape::new(number))));
    assert_eq!(pages(store, RowQuery { after, ..query }).0, [2, 3]);
}

fn rows_are_found_by_what_they_hold(store: &dyn LedgerStore) {
    let mut rows: Vec<Entry> = (1..=4).map(|number| row(Shape::new(number))).collect();
    rows[0].kind = Kind::Refusal;
    rows[0].error_code = Some("budget_exceeded".into());
    rows[1].end = Some(End::Truncated);
    rows[2] = row(Shape { team: "b", project: "other", ..Shape::new(3) });
    load(store, &rows);
    let all = RowQuery { kind: None, ..RowQuery::default() };
    let code = Some("budget_exceeded".to_owned());
    let cases = [
        ("usage by default", RowQuery::default(), vec![4, 3, 2]),
        ("all kinds", all.clone(), vec![4, 3, 2, 1]),
        ("kind", RowQuery { kind: Some(Kind::Refusal), ..all.clone() }, vec![1]),
        ("error code", RowQuery { error_code: code, ..all.clone() }, vec![1]),
        ("end", RowQuery { end: Some(End::Truncated), ..all.clone() }, vec![2]),
        ("team", RowQuery { teams: vec!["b".into()], ..all.clone() }, vec![3]),
        ("teams", RowQuery { teams: vec!["b".into(), "a".into()], ..all.clone() }, vec![4, 3, 2, 1]),
        ("project", RowQuery { project: Some("other".into()), ..all.clone() }, vec![3]),
        ("key", RowQuery { key: Some("none".into()), ..all.clone() }, vec![]),
        ("model", RowQuery { model: Some("large".into()), ..all }, vec![4, 2]),
    ];
    for (name, query, want) in cases {
        assert_eq!(pages(store, query.clone()).0, want, "{name}");
        let mut in_order = pages(store, RowQuery { order: Order::Seq, ..query }).0;
        in_order.reverse();
        assert_eq!(in_order, want, "{name}, in the order of loading");
    }
}

fn a_foreign_cursor_is_refused(store: &dyn LedgerStore) {
    load(store, &[row(Shape::new(1))]);
    let next = store
        .rows(&RowQuery { order: Order::Seq, ..RowQuery::default() })
        .expect("read")
        .next
        .expect("a page with rows has a next");
    for after in ["", "x", "s", "n1", next.as_str()] {
        let query = RowQuery { after: Some(after.to_owned()), ..RowQuery::default() };
        assert!(matches!(store.rows(&query), Err(StoreError::BadCursor(_))), "{after:?}");
    }
}

fn money_is_summed_exactly(store: &dyn LedgerStore) {
    let amounts = [999_999_999_999, 1, -3_000_000_000_001, i128::from(i64::MAX), 7];
    for (number, pico) in amounts.into_iter().enumerate() {
        let mut entry = row(Shape::new(number as u64));
        entry.cost = Some(Money::from_pico(pico));
        load(store, &[entry]);
    }
    assert_eq!(total(store).cost, Money::from_pico(amounts.into_iter().sum()));
}

fn refusals_are_only_counted(store: &dyn LedgerStore) {
    let mut refusal = row(Shape::new(1));
    refusal.kind = Kind::Refusal;
    load(store, &[refusal, row(Shape::new(2))]);
    let total = total(store);
    assert_eq!((total.requests, total.refusals), (1, 1));
    assert_eq!(total.input_tokens, row(Shape::new(2)).usage.input_tokens());
}

/// The value of the first group's dimension, and the requests in it.
fn by_value(groups: &[UsageGroup]) -> Vec<(&str, u64)> {
    groups.iter().map(|group| (group.group[0].1.as_str(), group.requests)).collect()
}

fn groups_follow_the_calendar_of_the_question(store: &dyn LedgerStore) {
    let at = |offset: i64| row(Shape { at: MIDNIGHT.plus(offset), ..Shape::new(1) });
    // Half an hour, 3.5 hours and 23.5 hours after midnight UTC on the first of a month.
    load(store, &[at(HOUR / 2), at(HOUR * 7 / 2), at(HOUR * 47 / 2)]);
    let ask = |zone: &str, by: Dimension| {
        let time_zone = TimeZone::get(zone).expect("a zone");
        usage(store, &UsageQuery { by: vec![by], time_zone, ..UsageQuery::default() })
    };
    assert_eq!(by_value(&ask("UTC", Dimension::Day)), [("2026-10-01", 3)]);
    assert_eq!(by_value(&ask("America/New_York", Dimension::Day)), [("2026-09-30", 2), ("2026-10-01", 1)]);
    assert_eq!(by_value(&ask("Asia/Kolkata", Dimension::Day)), [("2026-10-01", 2), ("2026-10-02", 1)]);
    assert_eq!(by_value(&ask("America/New_York", Dimension::Month)), [("2026-09", 2), ("2026-10", 1)]);
    assert_eq!(
        by_value(&ask("Europe/Berlin", Dimension::Hour))[0],
        ("2026-10-01T02:00:00+02:00", 1),
        "the hour is told with its offset"
    );
}

fn a_filter_limits_what_is_counted(store: &dyn LedgerStore) {
    let rows = [("a", "x", "k1"), ("a", "y", "k2"), ("b", "x", "k1"), ("c", "z", "k3")];
    let rows: Vec<Entry> = (1..)
        .zip(rows)
        .map(|(number, (team, project, key))| row(Shape { team, project, key, ..Shape::new(number) }))
        .collect();
    load(store, &rows);
    let cases = [
        (UsageFilter::default(), 4),
        (UsageFilter { teams: vec!["a".into()], ..UsageFilter::default() }, 2),
        (UsageFilter { teams: vec!["a".into(), "c".into()], ..UsageFilter::default() }, 3),
        (UsageFilter { project: Some("x".into()), ..UsageFilter::default() }, 2),
        (UsageFilter { teams: vec!["b".into()], key: Some("k1".into()), ..UsageFilter::default() }, 1),
    ];
    for (filter, want) in cases {
        for by in [vec![], vec![Dimension::EndUser]] {
            let query = UsageQuery { filter: filter.clone(), by, ..UsageQuery::default() };
            let requests: u64 = usage(store, &query).iter().map(|group| group.requests).sum();
            assert_eq!(requests, want, "{query:?}");
        }
    }
}

/// The law of sums: whatever rows there are, in whatever batches they came, for whatever range and
/// groups are asked, the answer is the sum of the rows.
fn sums_are_those_of_the_rows(open: &dyn Fn() -> Ground, cases: u32) {
    let shape = (0_i64..5 * HOUR, 0..3_usize, 0..2_usize, 0..3_usize);
    let edge = proptest::option::of(prop_oneof![-HOUR..6 * HOUR, (0_i64..6).prop_map(|hour| hour * HOUR)]);
    let by = proptest::collection::btree_set(0..DIMENSIONS.len(), 0..4);
    let question = (edge.clone(), edge, by, 0..ZONES.len());
    let input =
        (proptest::collection::vec(shape, 1..60), 1_usize..20, proptest::collection::vec(question, 1..8));
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner
        .run(&input, |(shapes, batch_size, questions)| {
            let rows: Vec<Entry> = (1..)
                .zip(shapes)
                .map(|(number, (offset, team, model, kind))| {
                    let mut entry = row(Shape {
                        at: MIDNIGHT.plus(offset),
                        team: ["a", "b", "c"][team],
                        model: ["small", "large"][model],
                        ..Shape::new(number)
                    });
                    entry.kind = [Kind::Usage, Kind::Refusal, Kind::Adjustment][kind];
                    entry
                })
                .collect();
            let ground = open();
            let store = &ground.store;
            for part in rows.chunks(batch_size) {
                load(&**store, part);
            }
            for (from, to, by, zone) in questions {
                let query = UsageQuery {
                    from: from.map(|offset| MIDNIGHT.plus(offset)),
                    to: to.map(|offset| MIDNIGHT.plus(offset)),
                    by: by.into_iter().map(|index| DIMENSIONS[index].parse().expect("a dimension")).collect(),
                    filter: UsageFilter::default(),
                    time_zone: TimeZone::get(ZONES[zone]).expect("a zone"),
                };
                prop_assert_eq!(usage(&**store, &query), summed(&rows, &query), "{:?}", query);
            }
            Ok(())
        })
        .expect("sums are those of the rows");
}

const DIMENSIONS: [&str; 12] = [
    "team",
    "project",
    "key",
    "model",
    "upstream",
    "region",
    "zone",
    "end_user",
    "day",
    "hour",
    "month",
    "tag:feature",
];
const ZONES: [&str; 3] = ["UTC", "America/New_York", "Asia/Kolkata"];

fn summed(rows: &[Entry], query: &UsageQuery) -> Vec<UsageGroup> {
    let mut groups: BTreeMap<Vec<String>, UsageGroup> = BTreeMap::new();
    let in_range = |entry: &&Entry| {
        query.from.is_none_or(|from| entry.started_at >= from)
            && query.to.is_none_or(|to| entry.started_at < to)
    };
    for entry in rows.iter().filter(in_range) {
        let values: Vec<String> =
            query.by.iter().map(|by| by.value(entry, &query.time_zone).into_owned()).collect();
        let group = query.by.iter().cloned().zip(values.clone()).collect();
        groups.entry(values).or_insert_with(|| UsageGroup::empty(group, entry.currency.clone())).count(entry);
    }
    groups.into_values().collect()
}

fn overrides_are_kept_and_cleared(store: &dyn LedgerStore) {
    let state = |name: &str, state: &str| Override {
        kind: "upstream".to_owned(),
        name: name.to_owned(),
        state: state.to_owned(),
        reason: "maintenance".to_owned(),
        author: "ops".to_owned(),
        since: MIDNIGHT,
        until: Some(MIDNIGHT.plus(HOUR)),
    };
    let mut revisions = BTreeSet::from([store.revision().expect("read")]);
    let mut changed = |store: &dyn LedgerStore| {
        assert!(revisions.insert(store.revision().expect("read")), "each change has a revision of its own");
    };
    store.put_override(&state("east", "draining")).expect("kept");
    changed(store);
    store.put_override(&state("east", "disabled")).expect("kept");
    changed(store);
    store.put_override(&Override { until: None, ..state("west", "draining") }).expect("kept");
    changed(store);
    let west = Override { until: None, ..state("west", "draining") };
    assert_eq!(store.overrides().expect("read"), [state("east", "disabled"), west.clone()]);
    assert!(store.clear_override("upstream", "east").expect("cleared"));
    changed(store);
    assert!(!store.clear_override("upstream", "east").expect("nothing to clear"));
    assert_eq!(store.overrides().expect("read"), [west]);
}

fn a_change_of_a_document_is_told(store: &dyn LedgerStore) {
    let paper = |revision| Document {
        kind: "key".to_owned(),
        name: "k-1".to_owned(),
        revision,
        at: MIDNIGHT,
        body: "{}".to_owned(),
    };
    let before = store.revision().expect("read");
    store.put_document(&paper(1)).expect("kept");
    let kept = store.revision().expect("read");
    assert_ne!(kept, before, "who follows the store looks again");
    assert!(matches!(store.put_document(&paper(1)), Err(StoreError::Exists(_))));
    assert_eq!(store.revision().expect("read"), kept, "nothing has changed");
    store.put_document(&paper(2)).expect("kept");
    assert_ne!(store.revision().expect("read"), kept);
}

fn history_is_kept(store: &dyn LedgerStore) {
    for number in 1..=3_u64 {
        let entry = AuditEntry {
            seq: 0,
            at: UnixMillis::new(number as i64),
            actor: "ops".to_owned(),
            action: "upstream.drain".to_owned(),
            subject: "east".to_owned(),
            detail: "{}".to_owned(),
        };
        assert_eq!(store.append_audit(&entry).expect("kept"), number);
    }
    let numbers = |before, limit| -> Vec<u64> {
        store.audit(before, limit).expect("read").iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(numbers(None, 2), [3, 2]);
    assert_eq!(numbers(Some(2), 9), [1]);

    let version = |number| ConfigVersion {
        version: number,
        hash: "ab".to_owned(),
        source: "file".to_owned(),
        author: "ops".to_owned(),
        at: MIDNIGHT,
        text: "version: 1".to_owned(),
    };
    store.append_config_version(&version(1)).expect("kept");
    store.append_config_version(&version(2)).expect("kept");
    assert!(matches!(store.append_config_version(&version(2)), Err(StoreError::Exists(_))));
    assert_eq!(store.config_versions(9).expect("read"), [version(2), version(1)]);
}

fn documents_follow_one_another(store: &dyn LedgerStore) {
    let document = |name: &str, revision| Document {
        kind: "statement".to_owned(),
        name: name.to_owned(),
        revision,
        at: MIDNIGHT.plus(revision as i64),
        body: format!(r#"{{"total":"{revision}.00"}}"#),
    };
    assert!(matches!(store.put_document(&document("b", 2)), Err(StoreError::Exists(_))), "there is no first");
    store.put_document(&document("b", 1)).expect("kept");
    store.put_document(&document("a", 1)).expect("kept");
    assert!(matches!(store.put_document(&document("b", 1)), Err(StoreError::Exists(_))), "taken");
    store.put_document(&document("b", 2)).expect("kept");
    let other = Document { kind: "alert".to_owned(), ..document("b", 1) };
    store.put_document(&other).expect("kinds have their own names");
    assert_eq!(store.documents("statement").expect("read"), [document("a", 1), document("b", 2)]);
    assert_eq!(store.documents("alert").expect("read"), [other]);
    assert_eq!(store.documents("none").expect("read"), []);
}

fn closed_time_does_not_change_any_more(store: &dyn LedgerStore) {
    let rows: Vec<Entry> = (1..=4).map(|number| row(Shape::new(number))).collect();
    load(store, &rows[..2]);
    let until = MIDNIGHT.plus(24 * HOUR);
    let closing = store.close_books(until, until.plus(1)).expect("closed");
    assert_eq!((closing.until, closing.seq), (until, 2));
    assert!(matches!(store.close_books(until, until.plus(2)), Err(StoreError::Exists(_))));
    assert!(matches!(store.close_books(until.plus(-1), until.plus(2)), Err(StoreError::Exists(_))));
    assert_eq!(store.closings().expect("read"), [closing]);

    let day = UsageQuery { to: Some(until), ..UsageQuery::default() };
    let before = usage(store, &day);
    let late = batch(&rows, 2);
    assert_eq!(store.load(&late).expect("loaded"), Loaded { inserted: 2, duplicates: 2, dead: 0 });
    assert_eq!(store.load(&late).expect("loaded"), Loaded { inserted: 0, duplicates: 4, dead: 0 });
    assert_eq!(usage(store, &day), before, "closed time has the rows that it had");

    let posted = RowQuery { kind: Some(Kind::Adjustment), from: Some(until), ..RowQuery::default() };
    let posted = store.rows(&posted).expect("read").items;
    let of: BTreeSet<_> = posted.iter().map(|row| row.adjusts.expect("a correction of a request")).collect();
    assert_eq!(of, rows[2..].iter().map(|row| row.id).collect());
    assert!(posted.iter().all(|row| row.started_at == until));
    let cost: Money = rows.iter().filter_map(|row| row.cost).sum();
    assert_eq!(total(store).cost, cost, "no row is lost and none counts twice");
}
