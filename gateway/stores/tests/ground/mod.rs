//! What the tests of both stores stand on: a journal in a folder, and a store of either kind.

// Each test file is a crate of its own and uses its part of this one.
#![allow(dead_code)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;
use tempfile::TempDir;
use tollgate_accounting::ledger::{
    Journal, JournalOptions, LedgerStore, Loader, Order, Report, RowQuery, Writer, verify,
};
use tollgate_stores::{PostgresStore, ServerUrl, SqliteStore};
use tollgate_test_support::PostgresServer;

use crate::rows::{self, Shape, row};

/// A journal and a store in a folder, or a database, of their own.
pub(crate) struct Ground {
    pub(crate) store: Arc<dyn LedgerStore>,
    pub(crate) base: Base,
    pub(crate) folder: TempDir,
}

/// What a store is made of.
pub(crate) enum Base {
    Sqlite,
    Postgres { server: Arc<PostgresServer>, database: String },
}

/// The same change, in the words of each store.
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Ground {
    pub(crate) fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = Arc::new(SqliteStore::open(&folder.path().join("ledger.sqlite")).expect("opened"));
        Self { store, base: Base::Sqlite, folder }
    }

    /// On a server that the running tests have in common.
    pub(crate) fn postgres() -> Self {
        Self::on(PostgresServer::shared().expect("a server"))
    }

    pub(crate) fn on(server: Arc<PostgresServer>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let database = server.database().expect("a database");
        let store = Arc::new(open(&server, &database));
        Self { store, base: Base::Postgres { server, database }, folder }
    }

    pub(crate) fn journal_folder(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    pub(crate) fn journal(&self) -> Journal {
        journal(&self.journal_folder())
    }

    pub(crate) fn loader(&self) -> Loader {
        Loader::new(&self.journal_folder(), Arc::clone(&self.store))
    }

    pub(crate) fn verify(&self) -> Report {
        verify(&self.journal_folder(), &*self.store).expect("verified")
    }

    /// Changes the store behind its back.
    pub(crate) fn tamper(&self, sql: &Sql) {
        match &self.base {
            Base::Sqlite => {
                let raw = Connection::open(self.folder.path().join("ledger.sqlite")).expect("opened");
                raw.execute_batch(sql.sqlite).expect("changed");
            }
            Base::Postgres { server, database } => {
                server.psql(database, sql.postgres).expect("changed");
            }
        }
    }

    /// How many rows there are, up to a page of them.
    pub(crate) fn stored(&self) -> usize {
        let query = RowQuery { kind: None, limit: RowQuery::MAX_LIMIT, ..RowQuery::default() };
        self.store.rows(&query).expect("read").items.len()
    }
}

pub(crate) fn open(server: &PostgresServer, database: &str) -> PostgresStore {
    let url = ServerUrl::parse(&server.url(database)).expect("a URL");
    PostgresStore::open(&url).expect("opened")
}

/// A journal whose segments are as small as they can be.
pub(crate) fn journal(folder: &Path) -> Journal {
    let options = JournalOptions { segment_bytes: 1, ..JournalOptions::default() };
    Journal::open(folder, options).expect("opened")
}

pub(crate) fn write(writer: &mut Writer, numbers: std::ops::Range<u64>) {
    for number in numbers {
        writer.end(&row(Shape::new(number))).expect("written");
    }
}

/// The numbers of all rows, as somebody finds them who follows the order of loading.
pub(crate) fn numbers_in_order(store: &dyn LedgerStore) -> Vec<u64> {
    let mut query =
        RowQuery { kind: None, order: Order::Seq, limit: RowQuery::MAX_LIMIT, ..RowQuery::default() };
    let mut found = Vec::new();
    loop {
        let page = store.rows(&query).expect("read");
        found.extend(page.items.iter().map(rows::number));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return found,
        }
    }
}
