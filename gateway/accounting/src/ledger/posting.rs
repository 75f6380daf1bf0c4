//! Rows that no request caused: the admin side's way into the journal.
//!
//! A correction or a fixed cost is money as much as a request is, so it is written to the journal,
//! is on the device before its poster hears of it, and reaches the store by the loader like any other
//! row. Its id is made of what it is for, so that posting it again posts nothing.

mod adjustment;
mod fixed;

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};
use tollgate_domain::{RequestId, UnixMillis};

use super::{
    entry::Entry,
    journal::{Journal, JournalError, Writer},
    store::{LedgerStore, StoreError},
};

pub use adjustment::{Adjustment, standing};
pub use fixed::{CapacityHour, SHARED};

/// The core number of the log that postings are written to.
const POSTING_CORE: usize = u32::MAX as usize - 1;
/// So many rows that the store may not have yet are remembered before it is asked which it has.
const REMEMBERED: usize = 4_096;

/// Posts rows that no request caused. One for the process, shared by all who post.
pub struct Postings {
    log: Mutex<Log>,
    turn: Mutex<()>,
    journal: Arc<Journal>,
    store: Arc<dyn LedgerStore>,
    tell: Box<dyn Fn(&Entry) + Send + Sync>,
}

/// What posters take turns at.
struct Log {
    /// Begun with the first row: a segment is reserved for each log, and most processes post nothing.
    writer: Option<Writer>,
    /// Rows of this process that the store may not have yet, with their places in the log.
    unloaded: HashMap<RequestId, u64>,
    /// How many of them are remembered before they are looked through.
    look_at: usize,
}

/// What posting did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Posted {
    /// Rows that are new.
    pub written: u64,
    /// Rows that had been posted before.
    pub known: u64,
}

/// Rows that were not posted, or not all of them. Post them again: those that were are known.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The journal does not take them.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Nobody can tell whether they were posted before.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Postings {
    /// The way into `journal`, whose rows are loaded into `store`. Open it once the journal is
    /// recovered and loaded. `tell` hears of every new row, once, such as for live budgets.
    pub fn new(
        journal: Arc<Journal>,
        store: Arc<dyn LedgerStore>,
        tell: impl Fn(&Entry) + Send + Sync + 'static,
    ) -> Self {
        let log = Log { writer: None, unloaded: HashMap::new(), look_at: REMEMBERED };
        Self { log: Mutex::new(log), turn: Mutex::default(), journal, store, tell: Box::new(tell) }
    }

    /// Writes the rows that are new and brings them to the device. Blocks; call it from threads
    /// that may.
    ///
    /// # Errors
    /// Some rows may be written, and are not promised to survive a loss of power.
    pub fn post(&self, rows: &[Entry]) -> Result<Posted, PostError> {
        let mut log = self.log.lock();
        let mut posted = Posted::default();
        let written = rows.iter().try_for_each(|row| {
            match self.write(&mut log, row)? {
                true => posted.written += 1,
                false => posted.known += 1,
            }
            Ok(())
        });
        // Also what was known may only be on its way: whoever posts again relies on it as well.
        self.journal.sync()?;
        written.map(|()| posted)
    }

    /// The turn of one who works out corrections from what the store has: nobody else does
    /// meanwhile. None when somebody else has it.
    #[must_use]
    pub fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock()
    }

    /// True when the store has every row that was posted: what it answers takes them into account.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn are_loaded(&self) -> Result<bool, StoreError> {
        let mut log = self.log.lock();
        log.forget_loaded(&*self.store)?;
        Ok(log.unloaded.is_empty())
    }

    /// True when the row is new.
    fn write(&self, log: &mut Log, row: &Entry) -> Result<bool, PostError> {
        if log.unloaded.contains_key(&row.id) || self.store.row(row.id)?.is_some() {
            return Ok(false);
        }
        if log.unloaded.len() >= log.look_at {
            log.forget_loaded(&*self.store)?;
            log.look_at = log.unloaded.len().saturating_mul(2).max(REMEMBERED);
        }
        let writer = match &mut log.writer {
            Some(writer) => writer,
            none => none.insert(self.journal.writer(POSTING_CORE)?),
        };
        let appended = writer.end(row)?;
        log.unloaded.insert(row.id, appended.lsn);
        (self.tell)(row);
        Ok(true)
    }
}

impl std::fmt::Debug for Postings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postings").field("journal", &self.journal.folder()).finish_non_exhaustive()
    }
}

impl Log {
    /// Asks how far the log was loaded, not for the rows: one that comes too late for closed time
    /// is in the store under another id.
    fn forget_loaded(&mut self, store: &dyn LedgerStore) -> Result<(), StoreError> {
        let Some(writer) = self.writer.as_ref().filter(|_| !self.unloaded.is_empty()) else { return Ok(()) };
        let cursor = store.cursors()?.into_iter().find(|cursor| cursor.log == writer.log());
        let loaded = cursor.map_or(0, |cursor| cursor.lsn);
        self.unloaded.retain(|_, lsn| *lsn > loaded);
        Ok(())
    }
}

/// The id of a row that no request caused: the instant that it counts at, and the hash of what it
/// is for. SHA-256, cut to the 74 bits that an id has room for.
#[must_use]
pub fn posted_id(at: UnixMillis, what: &[&[u8]]) -> RequestId {
    let mut hash = Sha256::new();
    for part in what {
        // With its length, so that no two lists of parts look the same.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let (bits, _) = digest.split_first_chunk().expect("a digest has more than sixteen bytes");
    RequestId::new(at, u128::from_be_bytes(*bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::samples::NOON;

    #[test]
    fn an_id_is_the_same_for_the_same_and_another_for_anything_else() {
        let id = posted_id(NOON, &[b"rate", b"b"]);
        assert_eq!(id, posted_id(NOON, &[b"rate", b"b"]));
        assert_eq!(id.started_at(), NOON);
        for other in [posted_id(NOON, &[b"rateb", b""]), posted_id(NOON.plus(1), &[b"rate", b"b"])] {
            assert_ne!(id, other);
        }
    }
}
