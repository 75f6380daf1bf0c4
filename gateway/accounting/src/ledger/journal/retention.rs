//! Retention: segments that every store has taken and that are old enough are removed.

use std::{
    collections::HashMap,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use tollgate_domain::{LogId, UnixMillis};

use super::{
    Journal, JournalError, SystemDisk,
    disk::{self, Disk},
    segment::{self, SegmentFile},
};
use crate::ledger::store::Cursor;

/// The file that remembers up to when rows may be missing from the journal.
pub(super) const HORIZON: &str = "pruned-before";

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pruned {
    /// Segments that are gone.
    pub segments: u64,
    /// The room that they took, in bytes.
    pub bytes: u64,
}

impl Journal {
    /// Removes segments that were loaded as `cursors` tell and last written before `before`.
    ///
    /// Give a time by which every open request has long ended: a START in a removed segment would
    /// be missed by recovery.
    ///
    /// # Errors
    /// The folder cannot be read or written. What was removed is gone; call again.
    pub fn prune(&self, cursors: &[Cursor], before: UnixMillis) -> Result<Pruned, JournalError> {
        self.remove_loaded(cursors, before)
            .map_err(|source| JournalError::Io { path: self.folder().to_owned(), source })
    }

    fn remove_loaded(&self, cursors: &[Cursor], before: UnixMillis) -> io::Result<Pruned> {
        let cursors: HashMap<LogId, &Cursor> = cursors.iter().map(|cursor| (cursor.log, cursor)).collect();
        let live: Vec<LogId> = self.shared.logs.read().iter().map(|log| log.id()).collect();
        let mut removed = Pruned::default();
        let disk = self.shared.folders.disk();
        for file in segment::list(disk, self.folder())? {
            let Some(cursor) = cursors.get(&file.log) else { continue };
            let about = disk.about(&file.path)?;
            let written = unix_millis(about.modified);
            if written >= before || !is_loaded(&file, about.length, cursor, live.contains(&file.log)) {
                continue;
            }
            remember_horizon(disk, self.folder(), written)?;
            disk.remove(&file.path)?;
            removed.segments += 1;
            removed.bytes += about.length;
        }
        Ok(removed)
    }
}

/// Rows that began at this time or earlier may be in a store and no more in the journal.
pub(in crate::ledger) fn pruned_before(folder: &Path) -> io::Result<Option<UnixMillis>> {
    horizon(&SystemDisk, folder)
}

fn horizon(disk: &dyn Disk, folder: &Path) -> io::Result<Option<UnixMillis>> {
    match disk.read(&folder.join(HORIZON)) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(io::Error::other)?;
            text.trim().parse().map(|millis| Some(UnixMillis::new(millis))).map_err(io::Error::other)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_loaded(file: &SegmentFile, length: u64, cursor: &Cursor, live: bool) -> bool {
    file.number < cursor.segment || (!live && file.number == cursor.segment && cursor.offset >= length)
}

/// On the device before any segment goes, or an audit would miss rows that nobody has lost.
fn remember_horizon(disk: &dyn Disk, folder: &Path, written: UnixMillis) -> io::Result<()> {
    if horizon(disk, folder)?.is_some_and(|known| known >= written) {
        return Ok(());
    }
    disk::replace(disk, &folder.join(HORIZON), written.get().to_string().as_bytes())
}

fn unix_millis(time: SystemTime) -> UnixMillis {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixMillis::new(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
