//! The journal: append-only files that make a row survive the death of the process.
//!
//! A journal belongs to one process, which holds the lock of its folders. Each core writes a log of
//! its own, with an identity of its own, in segments of reserved size; a background thread makes the
//! next segments and brings what was written to the device at least every ten milliseconds.
//!
//! A failed write or sync is never repeated on the same file and never ignored: the log goes on in
//! another segment, in the second folder where there is one, with all that the device had not
//! confirmed. Only when no folder takes a record does the journal stop to take requests, and it
//! starts again by itself.

mod disk;
mod events;
mod folders;
mod gathered;
mod log;
mod reader;
mod record;
mod recovery;
mod retention;
mod rollback;
mod segment;
mod shared;
#[cfg(test)]
mod simulation;
mod syncer;
mod tail;
mod unsynced;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tollgate_domain::LogId;

pub use disk::{About, Disk, DiskFile, Lock, SystemDisk};
use events::Nobody;
pub use events::{Condition, Event, Observer};
pub(super) use reader::{Item, Part, Scan, Segments, Walk};
pub(super) use record::{Record, RecordType, seed as record_seed};
pub use recovery::{Gap, Recovered};
pub use retention::Pruned;
pub(super) use retention::pruned_before;
pub use rollback::{RecoverError, RolledBack};
pub(super) use segment::{HEADER as SEGMENT_HEADER, SegmentFile};
use shared::Shared;
use syncer::{SyncWaker, Syncer};
pub use writer::{Appended, DurableWatch, Writer};

/// How a journal works.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// The size of a segment in bytes.
    pub segment_bytes: u64,
    /// What was written reaches the device after this time at the latest.
    pub sync_interval: Duration,
    /// While a sync takes longer than this, no request is admitted.
    pub slow_sync: Duration,
    /// While a sync takes longer than this, the journal counts as not writable.
    pub stalled_sync: Duration,
    /// While a log has more bytes than this that the device has not confirmed, it admits nothing.
    pub unsynced_bytes: u64,
}

impl Default for JournalOptions {
    /// Segments of 16 MiB and as much to confirm; ten milliseconds; two and ten seconds.
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
            sync_interval: Duration::from_millis(10),
            slow_sync: Duration::from_secs(2),
            stalled_sync: Duration::from_secs(10),
            unsynced_bytes: 16 * 1024 * 1024,
        }
    }
}

impl JournalOptions {
    /// The smallest segment, which holds the longest record several times.
    pub const MIN_SEGMENT: u64 = 256 * 1024;
    /// The largest segment: readers take one into memory.
    pub const MAX_SEGMENT: u64 = 1024 * 1024 * 1024;
}

/// Folders of logs, locked for this process.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    waker: SyncWaker,
    /// None in tests that do its work by hand.
    _syncer: Option<Syncer>,
}

impl Journal {
    /// Opens the journal in `folder`, which is made if it is not there, and locks it until the
    /// journal and its writers are dropped. Drop the writers first: nothing is brought to the device
    /// once the journal is gone.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process has it; or the folder cannot be used.
    pub fn open(folder: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        Self::open_on(Arc::new(SystemDisk), &[folder.to_owned()], options, Arc::new(Nobody))
    }

    /// As [`open`](Self::open), on a disk of the caller's choice and with someone to tell.
    ///
    /// The first folder is the journal's home: give this one to readers, it knows of the others. A
    /// second one takes segments when the first has no space or fails.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`JournalError::NoFolder`] when none is given.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        folders: &[PathBuf],
        options: JournalOptions,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, JournalError> {
        let options = JournalOptions {
            segment_bytes: options.segment_bytes.max(JournalOptions::MIN_SEGMENT),
            ..options
        };
        let shared = Arc::new(Shared::open(disk, folders, options, observer)?);
        let syncer = Syncer::start(shared.clone()).map_err(|source| shared.failed(source))?;
        Ok(Self { shared, waker: syncer.waker(), _syncer: Some(syncer) })
    }

    /// A journal without a thread and with segments of any size, for tests that decide when what
    /// happens.
    #[cfg(test)]
    fn open_still(
        disk: Arc<dyn Disk>,
        folders: &[PathBuf],
        options: JournalOptions,
    ) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared::open(disk, folders, options, Arc::new(Nobody))?);
        Ok(Self { shared, waker: SyncWaker::of_nobody(), _syncer: None })
    }

    /// Begins a log of its own for `core`. Segments are made in the background from now on.
    ///
    /// # Errors
    /// The first segment cannot be made.
    pub fn writer(&self, core: usize) -> Result<Writer, JournalError> {
        let core = u32::try_from(core).unwrap_or(u32::MAX);
        Writer::begin(self.shared.clone(), self.waker.clone(), core)
    }

    /// False while records wait that no folder takes: nothing may be served that would have to be
    /// counted. True again by itself.
    #[must_use]
    pub fn healthy(&self) -> bool {
        !self.shared.is_failing()
    }

    /// True when every log has reserved space for what `in_flight` requests will still write. Turns
    /// true again by itself when space returns.
    #[must_use]
    pub fn has_room(&self, in_flight: u64) -> bool {
        self.shared.has_room(in_flight)
    }

    /// Whether one request more can be recorded beside so many in flight.
    #[must_use]
    pub fn condition(&self, in_flight: u64) -> Condition {
        self.shared.condition(in_flight)
    }

    /// Bytes that the device has not confirmed.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        self.shared.unsynced_bytes()
    }

    /// The first folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.shared.folders.home()
    }

    /// Brings everything written so far to the device and waits for it.
    ///
    /// # Errors
    /// No device took it.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.shared.sync_all().map_err(|source| self.shared.failed(source))
    }
}

/// A log identity from the system's random source.
fn new_log_id() -> io::Result<LogId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(LogId::from_bytes(bytes))
}

/// Every segment of the journal whose first folder is `home`, by log and number.
pub(super) fn list_segments(home: &Path) -> io::Result<Vec<SegmentFile>> {
    segment::list(&SystemDisk, home)
}

/// The files that a copy of a journal needs, wherever they lie: its records, and its marks. `home` is its
/// first folder, and all of them can stand in the copy's.
///
/// # Errors
/// A folder cannot be read.
pub fn files_to_copy(home: &Path) -> io::Result<Vec<PathBuf>> {
    let marks = [rollback::EPOCH, retention::HORIZON].map(|mark| home.join(mark));
    let segments = list_segments(home)?.into_iter().map(|segment| segment.path);
    Ok(marks.into_iter().filter(|mark| mark.exists()).chain(segments).collect())
}

/// A journal that could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes there.
    #[error("the journal at {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A journal needs a place.
    #[error("a journal needs at least one folder")]
    NoFolder,
    /// The operating system said no.
    #[error("journal {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Earlier records wait for a disk that takes them.
    #[error("the journal takes no records at the moment")]
    Failing,
    /// A record longer than the format allows. The journal goes on.
    #[error("a record of {0} bytes is longer than the journal takes")]
    TooLong(usize),
}
