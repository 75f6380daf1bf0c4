//! Floor 4: places for the ledger's rows, behind the traits that `accounting` declares.
//!
//! One file, with a folder of the same name, per store. A store can be lost: the journal rebuilds
//! the rows, and [`LedgerStore`](tollgate_accounting::ledger::LedgerStore) says what else it keeps.

mod copy;
mod postgres;
mod spans;
mod sqlite;
mod stored;
mod sums;

pub use copy::copy_sqlite;
pub use postgres::{PostgresStore, ServerUrl, UrlError};
pub use sqlite::SqliteStore;
pub use stored::SqliteResponses;
