//! Rows that are loaded in batches of any times, again and again, against what a map would tell.

mod ground;
mod rows;

use std::collections::BTreeMap;

use tollgate_accounting::ledger::{Batch, Cursor, Entry, LedgerStore, Order, RowQuery, encode_entry};
use tollgate_domain::{LogId, RequestId, UnixMillis};

use ground::Ground;
use rows::{MIDNIGHT, Shape, number, row};

/// A sequence that is the same in every run.
struct Lot(u64);

impl Lot {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Some rows of three seconds; every third of them was loaded before, if there was one.
fn batch(lot: &mut Lot, known: &BTreeMap<RequestId, Entry>, next: &mut u64) -> Vec<Entry> {
    let old: Vec<&Entry> = known.values().collect();
    (0..1 + lot.below(400))
        .map(|_| {
            if !old.is_empty() && lot.below(3) == 0 {
                return old[lot.below(old.len() as u64) as usize].clone();
            }
            *next += 1;
            let at = MIDNIGHT.plus(lot.below(3_000) as i64);
            let project = if lot.below(4) == 0 { "y" } else { "x" };
            row(Shape { at, project, ..Shape::new(*next) })
        })
        .collect()
}

fn load(store: &dyn LedgerStore, rows: &[Entry], lsn: u64) -> (u64, u64) {
    let (log, mut batch) = (LogId::new(1), Batch::default());
    for entry in rows {
        let mut bytes = Vec::new();
        encode_entry(entry, &mut bytes);
        batch.push(log, lsn, entry.clone(), &bytes);
    }
    batch.cursors.push(Cursor { log, lsn, segment: 1, offset: lsn });
    let loaded = store.load(&batch).expect("loaded");
    assert_eq!(loaded.dead, 0);
    (loaded.inserted, loaded.duplicates)
}

/// Every page of a list, as the numbers that the rows were made with.
fn list(store: &dyn LedgerStore, query: &RowQuery) -> Vec<(u64, u64)> {
    let mut query = RowQuery { limit: 70, ..query.clone() };
    let mut found = Vec::new();
    loop {
        let page = store.rows(&query).expect("read");
        found.extend(page.items.iter().map(|entry| (entry.seq, number(entry))));
        let Some(next) = page.next else { return found };
        if page.items.is_empty() {
            return found;
        }
        query.after = Some(next);
    }
}

#[test]
fn rows_are_found_by_id_time_and_number_however_they_came() {
    for seed in 0..6 {
        let ground = Ground::sqlite();
        let store = &*ground.store;
        let mut lot = Lot(seed);
        let (mut known, mut next) = (BTreeMap::<RequestId, Entry>::new(), 0);
        for round in 0..8 {
            let rows = batch(&mut lot, &known, &mut next);
            let before = known.len();
            known.extend(rows.iter().map(|entry| (entry.id, entry.clone())));
            let new = (known.len() - before) as u64;
            let loaded = load(store, &rows, round + 1);
            assert_eq!(loaded, (new, rows.len() as u64 - new), "seed {seed}, round {round}");
        }
        let by_number = list(store, &RowQuery { order: Order::Seq, ..RowQuery::default() });
        let numbers: Vec<u64> = by_number.iter().map(|(seq, _)| *seq).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "seed {seed}: a number is given once");
        assert_eq!(numbers.len(), known.len(), "seed {seed}: each row is there once");
        let seq_of: BTreeMap<u64, u64> = by_number.into_iter().map(|(seq, number)| (number, seq)).collect();
        let ranges = [(None, None), (Some(700), Some(1_650)), (Some(1_000), None), (None, Some(2_000))];
        for ((from, to), project) in ranges.into_iter().flat_map(|range| [(range, None), (range, Some("y"))])
        {
            let time = |millis: Option<i64>| millis.map(|millis| MIDNIGHT.plus(millis));
            let (from, to) = (time(from), time(to));
            let is_in = |at: UnixMillis| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
            let wanted: Vec<u64> = known
                .values()
                .rev()
                .filter(|entry| is_in(entry.started_at))
                .filter(|entry| project.is_none_or(|project| entry.identity.project.as_str() == project))
                .map(number)
                .collect();
            let query = RowQuery { from, to, project: project.map(Into::into), ..RowQuery::default() };
            let found: Vec<u64> = list(store, &query).into_iter().map(|(_, number)| number).collect();
            assert_eq!(found, wanted, "seed {seed}, {from:?} to {to:?}, {project:?}");
        }
        for entry in known.values().step_by(7) {
            let found = store.row(entry.id).expect("read").expect("there");
            assert_eq!((found.seq, number(&found)), (seq_of[&number(entry)], number(entry)), "seed {seed}");
        }
        assert!(store.row(RequestId::new(MIDNIGHT.plus(1), 1 << 60)).expect("read").is_none());
    }
}
