//! What a store of the ledger must be able to do.
//!
//! A store may be lost and rebuilt: it promises that each row is in it once, that its totals are
//! those of its rows, and that its cursors move with them.

use std::ops::Range;

use tollgate_domain::{LogId, RequestId, UnixMillis};

use super::{
    closing::Closing,
    columns::rfc3339,
    entry::Entry,
    query::{Page, RowQuery, UsageGroup, UsageQuery},
    state::{AuditEntry, ConfigVersion, Document, Override},
};

/// A place for the ledger's rows. Every call blocks; call it from threads that may.
pub trait LedgerStore: Send + Sync {
    /// How far each log has been loaded.
    ///
    /// # Errors
    /// The store cannot be read.
    fn cursors(&self) -> Result<Vec<Cursor>, StoreError>;

    /// Takes a batch in one transaction: rows that it does not have yet, totals of the rows really
    /// taken, dead letters, and the cursors. Loading a batch again changes nothing. Rows that come
    /// late for [closed](Self::close_books) time are taken as
    /// [adjustments](Batch::with_late_rows_posted).
    ///
    /// # Errors
    /// Nothing was taken. A row that the store refuses for its content is no error: it becomes a
    /// dead letter.
    fn load(&self, batch: &Batch) -> Result<Loaded, StoreError>;

    /// Rows that the query wants.
    ///
    /// # Errors
    /// The store cannot be read, or `after` is none of its cursors.
    fn rows(&self, query: &RowQuery) -> Result<Page<Entry>, StoreError>;

    /// One row.
    ///
    /// # Errors
    /// The store cannot be read.
    fn row(&self, id: RequestId) -> Result<Option<Entry>, StoreError>;

    /// Exact sums for any time range, one group per distinct value and currency, sorted by group.
    ///
    /// # Errors
    /// The store cannot be read.
    fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageGroup>, StoreError>;

    /// How many records could not become rows.
    ///
    /// # Errors
    /// The store cannot be read.
    fn dead_letters(&self) -> Result<u64, StoreError>;

    /// A number that changes with every change of overrides or documents; cheap to ask.
    ///
    /// # Errors
    /// The store cannot be read.
    fn revision(&self) -> Result<u64, StoreError>;

    /// Operators' states.
    ///
    /// # Errors
    /// The store cannot be read.
    fn overrides(&self) -> Result<Vec<Override>, StoreError>;

    /// Sets an operator's state, replacing the former one of the same kind and name.
    ///
    /// # Errors
    /// The state was not kept.
    fn put_override(&self, state: &Override) -> Result<(), StoreError>;

    /// Removes an operator's state; false when there was none.
    ///
    /// # Errors
    /// The state is still kept.
    fn clear_override(&self, kind: &str, name: &str) -> Result<bool, StoreError>;

    /// The newest audit entries, newest first, older than the number `before` if one is given.
    ///
    /// # Errors
    /// The store cannot be read.
    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError>;

    /// Keeps an audit entry and gives its number.
    ///
    /// # Errors
    /// The entry was not kept.
    fn append_audit(&self, entry: &AuditEntry) -> Result<u64, StoreError>;

    /// The newest configurations, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn config_versions(&self, limit: usize) -> Result<Vec<ConfigVersion>, StoreError>;

    /// Keeps a configuration.
    ///
    /// # Errors
    /// It was not kept; [`StoreError::Exists`] when the version is taken.
    fn append_config_version(&self, version: &ConfigVersion) -> Result<(), StoreError>;

    /// Every document of a kind, sorted by name.
    ///
    /// # Errors
    /// The store cannot be read.
    fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError>;

    /// Keeps a document if it follows what is kept: revision 1 when there is none of its kind and
    /// name, else the next higher one. Of two writers that saw the same revision one succeeds.
    ///
    /// # Errors
    /// It was not kept; [`StoreError::Exists`] when another revision came first.
    fn put_document(&self, document: &Document) -> Result<(), StoreError>;

    /// Closes the books up to `until`, in one transaction with the cursors that it is told by: every
    /// batch is loaded either before it or in the knowledge of it. The rows of closed time are final
    /// from then on.
    ///
    /// # Errors
    /// Nothing was closed; [`StoreError::Exists`] when the books are closed up to there, or beyond,
    /// already.
    fn close_books(&self, until: UnixMillis, at: UnixMillis) -> Result<Closing, StoreError>;

    /// Every close of the books, the earliest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn closings(&self) -> Result<Vec<Closing>, StoreError> {
        let papers = self.documents(Closing::KIND)?;
        Closing::of_documents(papers.iter().map(|paper| paper.body.as_str()))
    }
}

/// How far a log has been loaded: everything up to and including `lsn`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// The log.
    pub log: LogId,
    /// The last record that was loaded.
    pub lsn: u64,
    /// The segment where loading goes on.
    pub segment: u32,
    /// The byte in that segment where loading goes on.
    pub offset: u64,
}

/// Rows on their way into a store. Their encoded forms lie in one buffer.
#[derive(Debug, Default)]
pub struct Batch {
    /// The rows.
    pub rows: Vec<BatchRow>,
    /// The encoded rows, one after the other.
    pub bytes: Vec<u8>,
    /// Records that are no rows that this build can read.
    pub dead: Vec<DeadLetter>,
    /// Where the logs stand once this batch is taken.
    pub cursors: Vec<Cursor>,
}

impl Batch {
    /// The encoded form of a row of this batch.
    #[must_use]
    pub fn encoded(&self, row: &BatchRow) -> &[u8] {
        &self.bytes[row.encoded.clone()]
    }

    /// Adds a row.
    pub fn push(&mut self, log: LogId, lsn: u64, entry: Entry, encoded: &[u8]) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(encoded);
        self.rows.push(BatchRow { log, lsn, entry, encoded: from..self.bytes.len() });
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.bytes.clear();
        self.dead.clear();
        self.cursors.clear();
    }
}

/// One row of a batch.
#[derive(Debug)]
pub struct BatchRow {
    /// The log that it comes from.
    pub log: LogId,
    /// Its number there.
    pub lsn: u64,
    /// The row.
    pub entry: Entry,
    encoded: Range<usize>,
}

/// A record that cannot be a row, kept for people to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
    /// The log that it comes from.
    pub log: LogId,
    /// Its number there.
    pub lsn: u64,
    /// Why it is no row.
    pub reason: String,
    /// The record's payload.
    pub payload: Vec<u8>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Loaded {
    /// Rows that are new.
    pub inserted: u64,
    /// Rows that the store had already.
    pub duplicates: u64,
    /// Records that became dead letters.
    pub dead: u64,
}

/// A store that could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store's own words about what failed.
    #[error("{store}: {source}")]
    Failed {
        /// Which store.
        store: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Written by a newer version of the program.
    #[error(
        "the ledger at {place} has schema version {found}, this program knows up to {known}; use a newer tollgate"
    )]
    TooNew {
        /// Where the store is.
        place: String,
        /// Its schema version.
        found: u32,
        /// The newest that this build knows.
        known: u32,
    },
    /// A cursor that this store did not give.
    #[error("not a cursor of this list: {0:?}")]
    BadCursor(String),
    /// A row that cannot be read back.
    #[error("row {id} cannot be read: {reason}")]
    BadRow {
        /// The row.
        id: RequestId,
        /// What is wrong with it.
        reason: String,
    },
    /// Only rows could answer, and some of them were dropped when their time was over.
    #[error("rows from before {} were dropped by `ledger.retention`; ask from then on", rfc3339(*.before))]
    RowsDropped {
        /// The first instant from which on every row is there.
        before: UnixMillis,
    },
    /// What should be new is there already.
    #[error("{0} exists already")]
    Exists(String),
}
