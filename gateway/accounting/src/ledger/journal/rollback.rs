//! A journal that was put back from an older copy: a restored backup, a snapshot of a machine.
//!
//! Such a journal knows nothing of what came after the copy was made, and its store may. Two marks
//! tell: a store that has loaded more of a log than the journal holds, and the *epoch*, a number
//! that goes up with every start and is kept in the journal's first folder and in the store. Nothing
//! has to be refused: every start writes logs of new identities, so no place in a log is given twice.

use std::{fmt, io};

use tollgate_domain::{LogId, UnixMillis};

use super::{Journal, JournalError, Recovered, disk};
use crate::ledger::{
    state::Document,
    store::{LedgerStore, StoreError},
};

/// The file that keeps the epoch.
pub(super) const EPOCH: &str = "epoch";
/// The kind of the store's documents that keep it.
const KIND: &str = "journal-epoch";

/// A sign that the journal is older than its store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RolledBack {
    /// The store has seen later starts of this gateway than the journal tells of.
    Epoch {
        /// The journal's last start.
        journal: u64,
        /// The store's.
        store: u64,
    },
    /// The store has loaded records that the log does not have.
    Log {
        /// The log.
        log: LogId,
        /// Its last record.
        journal: u64,
        /// The last record that the store has loaded.
        store: u64,
    },
}

impl fmt::Display for RolledBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epoch { journal, store } => write!(
                f,
                "the ledger has seen start {store} of this gateway, its journal only start {journal}: the \
                 journal's folder was put back from an older copy, or another gateway has the same instance \
                 name; new logs are begun, and rows since that copy are in the ledger only"
            ),
            Self::Log { log, journal, store } => write!(
                f,
                "the ledger has loaded the log {log} up to record {store}, and the journal has it up to \
                 {journal}: the folder was put back from an older copy, or a loss of power took what the \
                 disk did not have yet; the ledger keeps its rows"
            ),
        }
    }
}

/// A recovery that could not be finished. Call it again.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Journal {
    /// As [`recover`](Self::recover), beside the store that the journal of this `instance` is loaded
    /// into: finds out if one of them was put back from an older copy, and gives an open request the
    /// row that the store has of it.
    ///
    /// # Errors
    /// Folder or store cannot be read or written. What was done stays; call again.
    pub fn recover_beside(
        &self,
        store: &dyn LedgerStore,
        instance: &str,
        now: UnixMillis,
    ) -> Result<Recovered, RecoverError> {
        let mut recovery = self.read_dead_logs()?;
        for cursor in store.cursors()? {
            if let Some(last) = recovery.ends.get(&cursor.log)
                && cursor.lsn > *last
            {
                let (log, journal, store) = (cursor.log, *last, cursor.lsn);
                recovery.found.rolled_back.push(RolledBack::Log { log, journal, store });
            }
        }
        recovery.found.rolled_back.extend(self.begin_epoch(store, instance, now)?);
        recovery.close(self, now, |id| Ok(store.row(id)?))
    }

    /// Counts this start in both places; tells when the store has counted more of them so far.
    fn begin_epoch(
        &self,
        store: &dyn LedgerStore,
        instance: &str,
        now: UnixMillis,
    ) -> Result<Option<RolledBack>, RecoverError> {
        let disk = self.shared.folders.disk();
        let path = self.folder().join(EPOCH);
        let fail = |source| JournalError::Io { path: path.clone(), source };
        let here = match disk.read(&path) {
            Ok(bytes) => number(&bytes).map_err(fail)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(fail(error).into()),
        };
        let document = store.documents(KIND)?.into_iter().find(|document| document.name == instance);
        let there = match &document {
            Some(document) => number(document.body.as_bytes()).map_err(fail)?,
            None => 0,
        };
        let next = here.max(there) + 1;
        // The journal first: if the store is not told, it is the one that knows less, which is no alarm.
        disk::replace(disk, &path, next.to_string().as_bytes()).map_err(fail)?;
        store.put_document(&Document {
            kind: KIND.to_owned(),
            name: instance.to_owned(),
            revision: document.map_or(1, |document| document.revision + 1),
            at: now,
            body: next.to_string(),
        })?;
        Ok((there > here).then_some(RolledBack::Epoch { journal: here, store: there }))
    }
}

fn number(text: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(text).map_err(io::Error::other)?;
    text.trim().parse().map_err(|_| io::Error::other(format!("no epoch: {text:?}")))
}
