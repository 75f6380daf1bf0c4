//! What a journal's writers, its background thread and its owner have in common.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};

use super::{
    JournalError, JournalOptions,
    disk::Disk,
    events::{Condition, Event, Observer},
    folders::Folders,
    log::Log,
};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folders: Folders,
    pub(super) options: JournalOptions,
    pub(super) observer: Arc<dyn Observer>,
    /// How many logs have records that no folder takes.
    pub(super) stuck: AtomicUsize,
    pub(super) logs: RwLock<Vec<Arc<Log>>>,
    /// `logs.len()`, for those who only want to know.
    log_count: AtomicU64,
    /// Bytes that requests in flight may need, where that is more than a segment.
    needed: AtomicU64,
    /// Held while records are brought to the device, so that one sync never counts on what another
    /// has begun and not finished.
    syncing: Mutex<()>,
    opened: Instant,
    /// When the sync that runs began, in milliseconds from `opened` and one more; 0 while none runs.
    sync_began: AtomicU64,
    /// The last attempt to reserve space has failed.
    short_of_space: AtomicBool,
}

impl Shared {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        folders: &[PathBuf],
        options: JournalOptions,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, JournalError> {
        let shared = Self {
            folders: Folders::open(disk, folders, options.segment_bytes)?,
            options,
            observer,
            stuck: AtomicUsize::new(0),
            logs: RwLock::default(),
            log_count: AtomicU64::new(0),
            needed: AtomicU64::new(0),
            syncing: Mutex::default(),
            opened: Instant::now(),
            sync_began: AtomicU64::new(0),
            short_of_space: AtomicBool::new(false),
        };
        shared.folders.make_spare().map_err(|source| shared.failed(source))?;
        Ok(shared)
    }

    pub(super) fn failed(&self, source: io::Error) -> JournalError {
        JournalError::Io { path: self.folders.home().to_owned(), source }
    }

    pub(super) fn add_log(&self, log: Arc<Log>) {
        let mut logs = self.logs.write();
        logs.push(log);
        self.log_count.store(logs.len() as u64, Ordering::Release);
    }

    pub(super) fn is_failing(&self) -> bool {
        self.stuck.load(Ordering::Acquire) > 0
    }

    /// Bytes reserved for any one log beyond its present segment, while each other one has a segment
    /// to go on in.
    pub(super) fn spare_bytes(&self) -> u64 {
        let logs = self.log_count.load(Ordering::Acquire);
        (self.folders.spare_count() + 1).saturating_sub(logs) * self.options.segment_bytes
    }

    pub(super) fn admits(&self, log: &Log, in_flight: u64) -> bool {
        let needed = log.needs(in_flight);
        if needed > self.options.segment_bytes {
            self.needed.fetch_max(needed, Ordering::Relaxed);
        }
        !self.is_failing()
            && (log.holds(needed) || log.room() + self.spare_bytes() >= needed)
            && log.unsynced() <= self.options.unsynced_bytes
            && !self.sync_takes_longer_than(self.options.slow_sync)
    }

    pub(super) fn has_room(&self, in_flight: u64) -> bool {
        let spare = self.spare_bytes();
        self.logs.read().iter().all(|log| log.is_closed() || log.room() + spare >= log.needs(in_flight))
    }

    pub(super) fn condition(&self, in_flight: u64) -> Condition {
        if self.is_failing() {
            Condition::Failing
        } else if self.sync_takes_longer_than(self.options.stalled_sync) {
            Condition::Slow
        } else if self.has_room(in_flight.saturating_add(1)) {
            Condition::Writable
        } else {
            Condition::Full
        }
    }

    pub(super) fn unsynced_bytes(&self) -> u64 {
        self.logs.read().iter().map(|log| log.unsynced()).sum()
    }

    /// Reserves what logs may need next: a segment for each, and what admission counts on. False when
    /// the device does not have it.
    pub(super) fn make_spares(&self) -> bool {
        let more = self.needed.load(Ordering::Relaxed).div_ceil(self.options.segment_bytes).max(1);
        while self.folders.spare_count() < self.log_count.load(Ordering::Acquire) + more {
            if let Err(error) = self.folders.make_spare() {
                if !self.short_of_space.swap(true, Ordering::AcqRel) {
                    self.observer.happened(&Event::NoSpace(&error));
                }
                return false;
            }
        }
        if self.short_of_space.swap(false, Ordering::AcqRel) {
            self.observer.happened(&Event::SpaceAgain);
        }
        true
    }

    /// A log that somebody waits for counts too: its record may have been synced in between.
    pub(super) fn is_dirty(&self) -> bool {
        self.logs.read().iter().any(|log| log.is_dirty() || log.has_waiting())
    }

    /// Brings all logs to the device; the others too, when one fails.
    pub(super) fn sync_all(&self) -> io::Result<()> {
        let _alone = self.syncing.lock();
        let began = Instant::now();
        self.sync_began.store(self.millis().saturating_add(1), Ordering::Release);
        let logs = self.logs.read().clone();
        let mut outcome = Ok(());
        for log in logs {
            outcome = outcome.and(log.sync(self));
        }
        self.sync_began.store(0, Ordering::Release);
        self.observer.synced(began.elapsed());
        let mut logs = self.logs.write();
        logs.retain(|log| !log.is_done());
        self.log_count.store(logs.len() as u64, Ordering::Release);
        outcome
    }

    /// Tries again to write what waits.
    pub(super) fn revive(&self) {
        let _alone = self.syncing.lock();
        for log in self.logs.read().iter() {
            log.revive(self);
        }
    }

    fn sync_takes_longer_than(&self, limit: Duration) -> bool {
        match self.sync_began.load(Ordering::Acquire) {
            0 => false,
            began => u128::from(self.millis().saturating_add(1).saturating_sub(began)) >= limit.as_millis(),
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
