//! The ledger's store, as the configuration chooses it.

use std::{
    sync::{Arc, mpsc::Receiver},
    time::Duration,
};

use tollgate_accounting::ledger::{LedgerStore, StoreError};
use tollgate_control::config::LedgerPlace;
use tollgate_stores::{PostgresStore, SqliteStore};

use super::{background::goes_on, wall_clock};

/// How often is looked for rows whose time is over.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// A store, and what ends the time of its rows.
pub(super) struct Ledger {
    pub(super) store: Arc<dyn LedgerStore>,
    pub(super) retention: Option<Retention>,
}

impl Ledger {
    /// Opens the store; one on a server must answer now.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn open(place: &LedgerPlace) -> Result<Self, StoreError> {
        Ok(match place {
            LedgerPlace::File(path) => Self { store: Arc::new(SqliteStore::open(path)?), retention: None },
            LedgerPlace::Server { url, retention } => {
                let store = Arc::new(PostgresStore::open(url)?);
                let retention = retention.map(|keep| Retention { store: Arc::clone(&store), keep });
                Self { store, retention }
            }
        })
    }
}

/// Drops months of rows when their time is over. Several replicas may do so beside each other.
pub(super) struct Retention {
    store: Arc<PostgresStore>,
    keep: Duration,
}

impl Retention {
    /// Looks now and every hour, until told to stop.
    pub(super) fn run(self, stop: &Receiver<()>) {
        let keep = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        loop {
            match self.store.drop_rows_before(wall_clock().plus(keep.saturating_neg())) {
                Ok(months) if months.is_empty() => {}
                Ok(months) => {
                    tracing::info!(months = months.join(" "), "rows of the ledger are past their time")
                }
                Err(error) => tracing::error!(%error, "old rows of the ledger cannot be dropped"),
            }
            if !goes_on(stop, LOOK_EVERY) {
                return;
            }
        }
    }
}
