//! The journal: append-only files that make a row survive the death of the process.
//!
//! A folder belongs to one process, which holds its lock. Each core writes a log of its own, with an
//! identity of its own, in segments of reserved size; a background thread makes the next segments
//! and brings what was written to the device at least every ten milliseconds. A failed write is
//! never repeated and never ignored: the journal turns unhealthy and says so to every caller.

mod reader;
mod record;
mod recovery;
mod retention;
mod segment;
mod syncer;
mod writer;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tollgate_domain::LogId;

pub(super) use reader::{Item, Scan, SegmentBytes};
pub(super) use record::{Record, RecordType, seed as record_seed};
pub use recovery::{Gap, Recovered};
pub use retention::Pruned;
pub(super) use retention::pruned_before;
pub(super) use segment::{HEADER as SEGMENT_HEADER, SegmentFile, list as list_segments};
use syncer::Syncer;
use writer::LogState;
pub use writer::{Appended, DurableWatch, Writer};

/// What a request may write at most, for the question whether there is room.
const BYTES_PER_REQUEST: u64 = 2 * 1024;

/// How a journal works.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// The size of a segment in bytes.
    pub segment_bytes: u64,
    /// What was written reaches the device after this time at the latest.
    pub sync_interval: Duration,
}

impl Default for JournalOptions {
    /// Segments of 16 MiB, and ten milliseconds.
    fn default() -> Self {
        Self { segment_bytes: 16 * 1024 * 1024, sync_interval: Duration::from_millis(10) }
    }
}

impl JournalOptions {
    /// The smallest segment that holds the longest record.
    const MIN_SEGMENT: u64 = 256 * 1024;
}

/// A folder of logs, locked for this process.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    syncer: Syncer,
}

/// What writers, the background thread and the journal's owner have in common.
#[derive(Debug)]
pub(super) struct Shared {
    /// Held as long as the journal or any of its writers lives.
    _lock: File,
    folder: PathBuf,
    options: JournalOptions,
    /// False for ever once a write or a sync has failed.
    healthy: AtomicBool,
    logs: RwLock<Vec<Arc<LogState>>>,
    /// Held while records are brought to the device, so that one sync never counts on what another
    /// has begun and not finished.
    syncing: Mutex<()>,
    /// True while a segment's name may not be on the device yet.
    folder_dirty: AtomicBool,
    spares: Mutex<Vec<Spare>>,
    /// `spares.len()`, for those who only want to know.
    spare_count: AtomicU64,
    /// Names of reserved files are numbered, never used twice.
    next_spare: AtomicU64,
}

/// A reserved file that no log has taken yet.
#[derive(Debug)]
struct Spare {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal in `folder`, which is made if it is not there, and locks it until the
    /// journal and its writers are dropped. Drop the writers first: nothing is brought to the device
    /// once the journal is gone.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process has it; or the folder cannot be used.
    pub fn open(folder: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(at(folder))?;
        let lock_path = folder.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(at(&lock_path)(error)),
        }
        remove_spares(folder).map_err(at(folder))?;
        let shared = Arc::new(Shared {
            _lock: lock,
            folder: folder.to_owned(),
            options: JournalOptions {
                segment_bytes: options.segment_bytes.max(JournalOptions::MIN_SEGMENT),
                ..options
            },
            healthy: AtomicBool::new(true),
            logs: RwLock::default(),
            syncing: Mutex::default(),
            folder_dirty: AtomicBool::new(true),
            spares: Mutex::default(),
            spare_count: AtomicU64::new(0),
            next_spare: AtomicU64::new(0),
        });
        shared.make_spare().map_err(at(folder))?;
        let syncer = Syncer::start(shared.clone()).map_err(at(folder))?;
        Ok(Self { shared, syncer })
    }

    /// Begins a log of its own for `core`. Segments are made in the background from now on.
    ///
    /// # Errors
    /// The first segment cannot be made.
    pub fn writer(&self, core: usize) -> Result<Writer, JournalError> {
        let core = u32::try_from(core).unwrap_or(u32::MAX);
        Writer::begin(self.shared.clone(), self.syncer.waker(), core)
    }

    /// False once a write or sync has failed: nothing may be served that would have to be counted.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.shared.healthy.load(Ordering::Acquire)
    }

    /// True when the space that is reserved on the device holds what `in_flight` requests will
    /// still write, and a whole segment more. Turns true again by itself when space returns.
    #[must_use]
    pub fn has_room(&self, in_flight: u64) -> bool {
        let segment = self.shared.options.segment_bytes;
        let needed = in_flight.saturating_mul(BYTES_PER_REQUEST).saturating_add(segment);
        let spare = self.shared.spare_count.load(Ordering::Acquire) * segment;
        spare >= needed || spare + self.shared.logs.read().iter().map(|log| log.room()).sum::<u64>() >= needed
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Brings everything written so far to the device and waits for it.
    ///
    /// # Errors
    /// The device did not take it; the journal is unhealthy.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.shared.sync_all()
    }
}

impl Shared {
    fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire)
    }

    fn poison(&self) {
        self.healthy.store(false, Ordering::Release);
    }

    /// How many reserved files there should be: one for each log that may need its next segment,
    /// and one that admission counts on.
    fn spares_wanted(&self) -> usize {
        self.logs.read().len() + 1
    }

    fn make_spare(&self) -> io::Result<()> {
        let number = self.next_spare.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number}.{SPARE}"));
        let file = segment::reserve(&path, self.options.segment_bytes)?;
        let mut spares = self.spares.lock();
        spares.push(Spare { file, path });
        self.spare_count.store(spares.len() as u64, Ordering::Release);
        Ok(())
    }

    /// A reserved file for a log: one that is ready, else one made on the spot.
    fn take_spare(&self) -> io::Result<Spare> {
        loop {
            let mut spares = self.spares.lock();
            if let Some(spare) = spares.pop() {
                self.spare_count.store(spares.len() as u64, Ordering::Release);
                return Ok(spare);
            }
            drop(spares);
            self.make_spare()?;
        }
    }

    fn sync_all(&self) -> Result<(), JournalError> {
        let _alone = self.syncing.lock();
        let logs = self.logs.read().clone();
        for log in logs {
            log.sync(|| self.sync_folder()).map_err(|source| self.failed(self.folder.clone(), source))?;
        }
        Ok(())
    }

    /// Brings the names of new segments to the device.
    fn sync_folder(&self) -> io::Result<()> {
        if self.folder_dirty.swap(false, Ordering::AcqRel) {
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(())
    }

    fn failed(&self, path: PathBuf, source: io::Error) -> JournalError {
        self.poison();
        for log in self.logs.read().iter() {
            log.wake_all();
        }
        JournalError::Io { path, source }
    }
}

const SPARE: &str = "spare";

/// Removes what a former process had reserved and not used.
fn remove_spares(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == SPARE) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A log identity from the system's random source.
fn new_log_id() -> io::Result<LogId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(LogId::from_bytes(bytes))
}

/// A journal that could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes there.
    #[error("the journal at {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The operating system said no.
    #[error("journal {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// An earlier write failed; nothing is written any more.
    #[error("the journal has failed before and takes no more records")]
    Poisoned,
    /// A record longer than the format allows. The journal goes on.
    #[error("a record of {0} bytes is longer than the journal takes")]
    TooLong(usize),
}
