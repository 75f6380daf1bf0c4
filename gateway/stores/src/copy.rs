//! A copy of an SQLite file that others write to meanwhile.

use std::{path::Path, time::Duration};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use tollgate_accounting::ledger::StoreError;

/// How long the file may be locked by somebody else, in tries and the pause between them.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// Copies the state that the file has now into a new file, by SQLite's own means. Writers go on beside it.
///
/// # Errors
/// Either file cannot be used, or the first stays locked.
pub fn copy_sqlite(from: &Path, to: &Path) -> Result<(), StoreError> {
    copy(from, to).map_err(|error| StoreError::Failed { store: "sqlite", source: error.into() })
}

fn copy(from: &Path, to: &Path) -> rusqlite::Result<()> {
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut target = Connection::open(to)?;
    let backup = Backup::new(&source, &mut target)?;
    for _ in 0..TRIES {
        // All pages in one step: a step that leaves some would begin anew with every write of others.
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            _ => std::thread::sleep(PAUSE),
        }
    }
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
        Some(format!("{} stays locked", from.display())),
    ))
}
