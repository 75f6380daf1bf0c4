//! The ledger, loaded from the journal after the plane has stopped.

use std::sync::Arc;

use tempfile::TempDir;
use tollgate_accounting::ledger::{End, Entry, Kind, LedgerStore, Loader, Order, RowQuery, verify};
use tollgate_stores::SqliteStore;

/// Every row, in the order of settlement.
pub(crate) struct Ledger {
    pub(crate) rows: Vec<Entry>,
    /// Requests whose END could not be written; recovery would make their rows.
    pub(crate) open: u64,
}

impl Ledger {
    pub(super) fn read(folder: TempDir) -> Self {
        let journal = folder.path().join("journal");
        let store = Arc::new(SqliteStore::open(&folder.path().join("ledger.sqlite")).expect("a store"));
        let mut loader = Loader::new(&journal, store.clone());
        while loader.run_once().expect("a readable journal").rows > 0 {}
        let report = verify(&journal, &*store).expect("a readable journal");
        let query =
            RowQuery { kind: None, limit: RowQuery::MAX_LIMIT, order: Order::Seq, ..RowQuery::default() };
        let rows = store.rows(&query).expect("rows").items;
        assert!(report.is_clean(), "{report}");
        Self { rows, open: report.open }
    }

    /// The one row that there is, of a request that went upstream and ended so.
    #[track_caller]
    pub(crate) fn only(&self, end: End) -> &Entry {
        assert_eq!(self.open, 0, "a request without its END");
        let [row] = &self.rows[..] else { panic!("{} rows instead of one", self.rows.len()) };
        assert_eq!((row.kind, row.end), (Kind::Usage, Some(end)), "{row:?}");
        row
    }

    /// The one row that there is, of a request that was refused.
    #[track_caller]
    pub(crate) fn refusal(&self) -> &Entry {
        let [row] = &self.rows[..] else { panic!("{} rows instead of one", self.rows.len()) };
        assert_eq!((row.kind, row.end), (Kind::Refusal, None), "{row:?}");
        row
    }
}

/// How the tries of a row ended, in order.
pub(crate) fn outcomes(row: &Entry) -> Vec<&str> {
    row.attempts.iter().map(|attempt| &*attempt.outcome).collect()
}
