//! The tables, and the way from older to newer ones.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use tollgate_accounting::ledger::StoreError;

use super::{Failure, Outcome};

/// Each step brings the schema one version up. A step that was released is never changed.
const STEPS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];

/// Runs the steps that the file has not seen, in one transaction.
pub(super) fn bring_up_to_date(connection: &mut Connection, path: &Path) -> Outcome<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let missing = STEPS.get(found as usize..).ok_or_else(|| {
        Failure::Ledger(StoreError::TooNew {
            place: path.display().to_string(),
            found,
            known: STEPS.len() as u32,
        })
    })?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", STEPS.len() as u32)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;
    use tollgate_accounting::ledger::{
        Dimension, Entry, Identity, Kind, LedgerStore, Order, RowQuery, UsageQuery, encode_entry,
    };
    use tollgate_domain::{RequestId, UnixMillis};

    use super::*;
    use crate::SqliteStore;

    #[test]
    fn a_ledger_of_a_newer_version_is_refused_and_left_alone() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        SqliteStore::open(&path).expect("made");
        let version = STEPS.len() as u32 + 1;
        let raw = Connection::open(&path).expect("opened");
        raw.pragma_update(None, "user_version", version).expect("set");
        let error = SqliteStore::open(&path).expect_err("too new");
        assert!(matches!(error, StoreError::TooNew { found, .. } if found == version));
        let kept: u32 = raw.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("read");
        assert_eq!(kept, version);
    }

    #[test]
    fn rows_of_a_ledger_from_before_blocks_keep_their_numbers() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let mut encoded = Vec::new();
        let rows: Vec<Entry> = [(3, 30), (1, 20), (2, 10)].map(|(number, at)| old_row(number, at)).into();
        {
            let raw = Connection::open(&path).expect("made");
            STEPS[..2].iter().for_each(|step| raw.execute_batch(step).expect("an old ledger"));
            raw.pragma_update(None, "user_version", 2).expect("set");
            for row in &rows {
                encoded.clear();
                encode_entry(row, &mut encoded);
                let project = row.identity.project.as_str();
                let values = rusqlite::params![row.id.to_bytes(), row.seq as i64, project, encoded];
                raw.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", values).expect("inserted");
            }
        }
        let store = SqliteStore::open(&path).expect("brought up to date");
        let list = |order| store.rows(&RowQuery { order, ..RowQuery::default() }).expect("read").items;
        assert_eq!(list(Order::Newest), rows);
        assert_eq!(list(Order::Seq).iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(store.row(rows[1].id).expect("read").as_ref(), Some(&rows[1]));
    }

    #[test]
    fn sums_by_the_day_are_made_of_those_by_the_hour_that_were_there() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        {
            let raw = Connection::open(&path).expect("made");
            STEPS[..3].iter().for_each(|step| raw.execute_batch(step).expect("an old ledger"));
            raw.pragma_update(None, "user_version", 3).expect("set");
            // Two hours of one day whose parts of a unit make a whole one, and the hour after them.
            for (hour, units, pico) in [(22, 1, 999_999_999_999_i64), (23, 2, 2), (24, 5, 0)] {
                let values = rusqlite::params![hour, units, pico];
                raw.execute(
                    "INSERT INTO rollups VALUES (?1, 'usage', 'a', 'x', 'k', 'm', 'u', 'r', 'z', 'USD',
                         1, 0, 10, 0, 0, 5, 0, 0, ?2, ?3)",
                    values,
                )
                .expect("inserted");
            }
        }
        let store = SqliteStore::open(&path).expect("brought up to date");
        let query = UsageQuery { by: vec![Dimension::Day], ..UsageQuery::default() };
        let days = store.usage(&query).expect("read");
        let told: Vec<(&str, u64, String)> =
            days.iter().map(|day| (day.group[0].1.as_str(), day.requests, day.cost.to_string())).collect();
        let want = [("1970-01-01", 2, "4.000000000001"), ("1970-01-02", 1, "5")];
        assert_eq!(told, want.map(|(day, requests, cost)| (day, requests, cost.to_owned())));
    }

    /// A row with this number that began at this second.
    fn old_row(number: u64, second: i64) -> Entry {
        let none = || "".into();
        let identity = Identity {
            organization: none(),
            instance: none(),
            team: "a".into(),
            project: "x".into(),
            key: "k".into(),
            cost_center: None,
            tags: Vec::new(),
        };
        let id = RequestId::new(UnixMillis::new(second * 1_000), number.into());
        let entry = Entry::new(Kind::Usage, id, Arc::new(identity), "large".into(), "USD".into());
        Entry { seq: number, ..entry }
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        std::fs::write(&path, "not a database, and long enough to have been one").expect("written");
        assert!(matches!(SqliteStore::open(&path), Err(StoreError::Failed { store: "sqlite", .. })));
    }
}
