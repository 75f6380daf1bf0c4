//! The store of several replicas: a PostgreSQL server that all of them load their journals into.
//!
//! Rows have typed columns, since people ask the server by hand, and their encoded form beside them,
//! which gives them back whole. Whoever takes rows does it alone for that moment: so a row is taken
//! once whoever brings it, numbers ascend in the order in which rows can be seen, and sums are of the
//! rows that are there.

mod address;
mod closings;
mod columns;
mod documents;
mod history;
mod load;
mod months;
mod rollup;
mod rows;
mod schema;
mod server;
mod state;
mod usage;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use tokio_postgres::types::{ToSql, Type};
use tollgate_accounting::ledger::{
    AuditEntry, Batch, Closing, ConfigVersion, Cursor, Document, Entry, LedgerStore, Loaded, Override, Page,
    RowQuery, StoreError, UsageGroup, UsageQuery,
};
use tollgate_domain::{RequestId, UnixMillis};

pub use address::{ServerUrl, UrlError};
use server::{Server, Work};

use crate::spans::{FIRST, LAST};

/// A ledger in a database of a PostgreSQL server, version 13 or newer, in the schema `tollgate`.
///
/// Every call has an end: a server that is stuck, or a table that somebody has locked, is an error
/// after seconds and may be asked again. A lost connection is made again by the next call.
#[derive(Debug)]
pub struct PostgresStore {
    server: Server,
}

impl PostgresStore {
    /// Connects to the server, makes the ledger's tables if they are not there, and brings older ones
    /// up to date. Several processes may do so at once.
    ///
    /// # Errors
    /// The server cannot be reached or does not let us, or its tables are of a newer version of the
    /// program.
    pub fn open(url: &ServerUrl) -> Result<Self, StoreError> {
        let server = Server::new(url)?;
        let place = server.place();
        server.run(Work::Schema, async |to| schema::bring_up_to_date(to, &place).await)?;
        Ok(Self { server })
    }

    /// Drops the rows of whole months (UTC) that ended before `before`; their sums per hour and day
    /// stay. Gives the months as `2026-11`.
    ///
    /// A question that only the dropped rows could answer is refused from then on, see
    /// [`StoreError::RowsDropped`].
    ///
    /// # Errors
    /// Nothing was dropped.
    pub fn drop_rows_before(&self, before: UnixMillis) -> Result<Vec<String>, StoreError> {
        self.server.run(Work::Write, async |to| months::drop_before(to, before).await)
    }

    /// The gateways whose rows are here, by name. Reads every row.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub fn instances(&self) -> Result<Vec<String>, StoreError> {
        self.server.run(Work::Read, rows::instances)
    }
}

impl LedgerStore for PostgresStore {
    fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        self.server.run(Work::Read, load::cursors)
    }

    fn load(&self, batch: &Batch) -> Result<Loaded, StoreError> {
        self.server.run(Work::Write, async |to| load::load(to, batch).await)
    }

    fn rows(&self, query: &RowQuery) -> Result<Page<Entry>, StoreError> {
        self.server.run(Work::Read, async |from| rows::page(from, query).await)
    }

    fn row(&self, id: RequestId) -> Result<Option<Entry>, StoreError> {
        self.server.run(Work::Read, async |from| rows::one(from, id).await)
    }

    fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageGroup>, StoreError> {
        self.server.run(Work::Read, async |from| usage::groups(from, query).await)
    }

    fn dead_letters(&self) -> Result<u64, StoreError> {
        self.server.run(Work::Read, load::dead_letters)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.server.run(Work::Read, state::revision)
    }

    fn overrides(&self) -> Result<Vec<Override>, StoreError> {
        self.server.run(Work::Read, state::overrides)
    }

    fn put_override(&self, state: &Override) -> Result<(), StoreError> {
        self.server.run(Work::Write, async |to| state::put_override(to, state).await)
    }

    fn clear_override(&self, kind: &str, name: &str) -> Result<bool, StoreError> {
        self.server.run(Work::Write, async |to| state::clear_override(to, kind, name).await)
    }

    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.server.run(Work::Read, async |from| history::audit(from, before, limit).await)
    }

    fn append_audit(&self, entry: &AuditEntry) -> Result<u64, StoreError> {
        self.server.run(Work::Write, async |to| history::append_audit(to, entry).await)
    }

    fn config_versions(&self, limit: usize) -> Result<Vec<ConfigVersion>, StoreError> {
        self.server.run(Work::Read, async |from| history::config_versions(from, limit).await)
    }

    fn append_config_version(&self, version: &ConfigVersion) -> Result<(), StoreError> {
        self.server.run(Work::Write, async |to| history::append_config_version(to, version).await)
    }

    fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        self.server.run(Work::Read, async |from| documents::all(from, kind).await)
    }

    fn put_document(&self, document: &Document) -> Result<(), StoreError> {
        self.server.run(Work::Write, async |to| documents::put(to, document).await)
    }

    fn close_books(&self, until: UnixMillis, at: UnixMillis) -> Result<Closing, StoreError> {
        self.server.run(Work::Write, async |to| closings::close(to, until, at).await)
    }
}

/// What can go wrong inside: the server's own words, something to say about the ledger, or about the
/// way between us.
#[derive(Debug)]
enum Failure {
    Postgres(tokio_postgres::Error),
    Ledger(StoreError),
    Other(Box<dyn std::error::Error + Send + Sync>),
}

type Outcome<T> = Result<T, Failure>;

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let source = match failure {
            Failure::Ledger(error) => return error,
            Failure::Postgres(error) => Told(error).into(),
            Failure::Other(source) => source,
        };
        Self::Failed { store: "postgres", source }
    }
}

/// An error with its cause, in one line. Only the server's message is shown: its details may quote
/// rows.
#[derive(Debug)]
struct Told(tokio_postgres::Error);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_db_error(), std::error::Error::source(&self.0)) {
            (Some(error), _) => f.write_str(error.message()),
            (None, Some(cause)) => write!(f, "{}: {cause}", self.0),
            (None, None) => write!(f, "{}", self.0),
        }
    }
}

impl std::error::Error for Told {}

/// A value of a statement and its type.
type Bound<'a> = (&'a (dyn ToSql + Sync), Type);

/// An instant as the server takes it; what lies outside the years 1 to 9999 is the nearest inside.
fn instant(at: UnixMillis) -> SystemTime {
    let millis = at.get().clamp(FIRST, LAST);
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

/// An instant as it comes back.
fn millis(at: SystemTime) -> UnixMillis {
    let whole = |distance: Duration| i64::try_from(distance.as_millis()).unwrap_or(i64::MAX);
    UnixMillis::new(match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    })
}

/// The server's integers are signed; a count that large is an error elsewhere and stops at the end.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it comes back.
fn count(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}

/// A text as the server takes it: the one character that it has no place for is replaced.
fn text(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_way_there_and_back() {
        for at in [0, 1, -1, 1_790_812_800_123, FIRST, LAST] {
            assert_eq!(millis(instant(UnixMillis::new(at))).get(), at);
        }
        assert_eq!(millis(instant(UnixMillis::new(i64::MAX))).get(), LAST);
        assert_eq!(millis(instant(UnixMillis::new(i64::MIN))).get(), FIRST);
    }
}
