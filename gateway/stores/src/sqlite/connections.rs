//! Connections to the file: one that writes, a few that read beside it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tollgate_accounting::ledger::StoreError;

use super::{Outcome, schema};

/// Readers that are kept open; more are opened when needed and closed afterwards.
const IDLE_READERS: usize = 4;
/// How long a statement waits for another process that has the file, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// What the writer may keep in memory: somewhat more than a full batch.
const CACHE_KIB: i64 = 8_192;

#[derive(Debug)]
pub(super) struct Connections {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Connections {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = Self::open_writer(path)?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })
    }

    fn open_writer(path: &Path) -> Outcome<Connection> {
        let mut writer = Connection::open(path)?;
        writer.busy_timeout(BUSY)?;
        // Rows come in order and by the thousand: larger pages are fewer writes. Only a new file takes it.
        writer.pragma_update(None, "page_size", 16_384)?;
        writer.pragma_update(None, "journal_mode", "wal")?;
        writer.pragma_update(None, "synchronous", "normal")?;
        // A batch must fit: pages that do not are written once more for every time they are touched.
        writer.pragma_update(None, "cache_size", -CACHE_KIB)?;
        schema::bring_up_to_date(&mut writer, path)?;
        Ok(writer)
    }

    /// Reads from one unchanging state of the ledger.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Transaction<'_>) -> Outcome<T>) -> Result<T, StoreError> {
        let idle = self.readers.lock().pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => self.open_reader()?,
        };
        let result = run(&mut reader, TransactionBehavior::Deferred, read);
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        Ok(result?)
    }

    /// Changes the ledger, all or nothing.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        Ok(run(&mut self.writer.lock(), TransactionBehavior::Immediate, change)?)
    }

    /// Changes what the journal cannot give again: returns when the change is on the device.
    pub(super) fn write_durably<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock();
        let set = |writer: &Connection, mode: &str| -> Outcome<()> {
            Ok(writer.pragma_update(None, "synchronous", mode)?)
        };
        set(&writer, "full")?;
        let result = run(&mut writer, TransactionBehavior::Immediate, change);
        set(&writer, "normal")?;
        Ok(result?)
    }

    fn open_reader(&self) -> Outcome<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags)?;
        reader.busy_timeout(BUSY)?;
        Ok(reader)
    }
}

fn run<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    work: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
) -> Outcome<T> {
    let transaction = connection.transaction_with_behavior(behavior)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}
