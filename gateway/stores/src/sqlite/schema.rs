//! The tables, and the way from older to newer ones.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use tollgate_accounting::ledger::StoreError;

use super::{Failure, Outcome};

/// Each step brings the schema one version up. A step that was released is never changed.
const STEPS: &[&str] = &[include_str!("schema_1.sql"), include_str!("schema_2.sql")];

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
    use tempfile::TempDir;

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
    fn a_file_that_is_no_ledger_is_refused() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        std::fs::write(&path, "not a database, and long enough to have been one").expect("written");
        assert!(matches!(SqliteStore::open(&path), Err(StoreError::Failed { store: "sqlite", .. })));
    }
}
