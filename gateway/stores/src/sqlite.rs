//! The embedded store: one SQLite file beside the journal.
//!
//! A row is its time-ordered id and its encoded form, and lies with others in a block: that is what makes
//! loading cheap. Time ranges are found by the id and filtered in code, the order of loading by the
//! block's number, and sums come from rollups by the hour and the day.

mod blocks;
mod closings;
mod connections;
mod documents;
mod history;
mod load;
mod rollup;
mod rows;
mod schema;
mod state;
mod usage;

use std::path::Path;

use tollgate_accounting::ledger::{
    AuditEntry, Batch, Closing, ConfigVersion, Cursor, Document, Entry, LedgerStore, Loaded, Override, Page,
    RowQuery, StoreError, UsageGroup, UsageQuery,
};
use tollgate_domain::{RequestId, UnixMillis};

use connections::Connections;

/// A ledger in a SQLite file.
///
/// Rows are committed without waiting for the device: after a loss of power the journal gives them
/// again, since the cursors go back with them. What the journal does not have (keys, operators'
/// states, audit, configurations, documents) waits for the device.
#[derive(Debug)]
pub struct SqliteStore {
    connections: Connections,
}

impl SqliteStore {
    /// Opens the ledger at `path`, makes it if it is not there, and brings an older one up to date.
    ///
    /// # Errors
    /// The file cannot be used, is no ledger, or was written by a newer version of the program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connections: Connections::open(path)? })
    }
}

impl LedgerStore for SqliteStore {
    fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        self.connections.read(load::cursors)
    }

    fn load(&self, batch: &Batch) -> Result<Loaded, StoreError> {
        self.connections.write(|to| load::load(to, batch))
    }

    fn rows(&self, query: &RowQuery) -> Result<Page<Entry>, StoreError> {
        self.connections.read(|from| rows::page(from, query))
    }

    fn row(&self, id: RequestId) -> Result<Option<Entry>, StoreError> {
        self.connections.read(|from| rows::one(from, id))
    }

    fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageGroup>, StoreError> {
        self.connections.read(|from| usage::groups(from, query))
    }

    fn dead_letters(&self) -> Result<u64, StoreError> {
        self.connections.read(load::dead_letters)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.connections.read(state::revision)
    }

    fn overrides(&self) -> Result<Vec<Override>, StoreError> {
        self.connections.read(state::overrides)
    }

    fn put_override(&self, state: &Override) -> Result<(), StoreError> {
        self.connections.write_durably(|to| state::put_override(to, state))
    }

    fn clear_override(&self, kind: &str, name: &str) -> Result<bool, StoreError> {
        self.connections.write_durably(|to| state::clear_override(to, kind, name))
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.connections.read(|from| history::audit(from, before, limit))
    }

    fn append_audit(&self, entry: &AuditEntry) -> Result<u64, StoreError> {
        self.connections.write_durably(|to| history::append_audit(to, entry))
    }

    fn config_versions(&self, limit: usize) -> Result<Vec<ConfigVersion>, StoreError> {
        self.connections.read(|from| history::config_versions(from, limit))
    }

    fn append_config_version(&self, version: &ConfigVersion) -> Result<(), StoreError> {
        self.connections.write_durably(|to| history::append_config_version(to, version))
    }

    fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        self.connections.read(|from| documents::all(from, kind))
    }

    fn put_document(&self, document: &Document) -> Result<(), StoreError> {
        self.connections.write_durably(|to| documents::put(to, document))
    }

    fn close_books(&self, until: UnixMillis, at: UnixMillis) -> Result<Closing, StoreError> {
        self.connections.write_durably(|to| closings::close(to, until, at))
    }
}

/// What can go wrong inside: SQLite's own words, or something to say about the ledger.
enum Failure {
    Sqlite(rusqlite::Error),
    Ledger(StoreError),
}

type Outcome<T> = Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(source) => Self::Failed { store: "sqlite", source: Box::new(source) },
            Failure::Ledger(error) => error,
        }
    }
}

/// SQLite's integers are signed; a count that large is an error elsewhere and stops at the end.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it comes back.
fn count(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}
