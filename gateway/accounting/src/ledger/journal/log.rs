//! One log: its tail, and how far it is written and synced.
//!
//! The writer appends, the background thread syncs. Both may find that the segment fails; whoever
//! does moves the log to a new one, with all that the device has not confirmed. When there is none,
//! the log is *stuck*: rows that were owed already wait in memory, and nothing new begins.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::Waker,
};

use parking_lot::{Mutex, MutexGuard};
use tollgate_domain::LogId;

use super::{
    Appended, JournalError, Shared,
    events::Event,
    gathered::Gathered,
    record::RecordType,
    segment::Segment,
    tail::{Failure, Tail},
};

/// What a request usually takes from its begin to its end, and somewhat more.
const USUAL: u64 = 2 * 1024;
/// Room for counts between a request's begin and its end.
const CHECKPOINTS: u64 = 1024;

#[derive(Debug)]
pub(super) struct Log {
    id: LogId,
    /// Held by the background thread for moments only, never while it waits for the device.
    tail: Mutex<Tail>,
    /// The last record that stands in a file.
    written: AtomicU64,
    synced: AtomicU64,
    /// Bytes left in the segment.
    room: AtomicU64,
    /// What the requests in flight may still need of it.
    reserved: AtomicU64,
    /// The longest record so far.
    longest: AtomicU64,
    /// Bytes that the device has not confirmed.
    unsynced: AtomicU64,
    dirty: AtomicBool,
    closed: AtomicBool,
    stuck: AtomicBool,
    waiting: Mutex<Vec<(u64, Waker)>>,
}

impl Log {
    pub(super) fn begin(shared: &Shared, core: u32) -> io::Result<Self> {
        let tail = Tail::begin(&shared.folders, core, shared.options.segment_bytes)?;
        Ok(Self {
            id: tail.log(),
            room: AtomicU64::new(tail.room()),
            tail: Mutex::new(tail),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            reserved: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            unsynced: AtomicU64::new(0),
            dirty: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            waiting: Mutex::default(),
        })
    }

    pub(super) fn id(&self) -> LogId {
        self.id
    }

    /// Writes a record.
    ///
    /// # Errors
    /// It stands in no file. A row waits in memory until it does; a START or a count is forgotten.
    pub(super) fn append(
        &self,
        shared: &Shared,
        kind: RecordType,
        frame: &mut [u8],
    ) -> Result<Appended, JournalError> {
        let mut tail = self.tail.lock();
        let placed = if self.is_stuck() {
            Err(JournalError::Failing)
        } else {
            self.place(&mut tail, shared, kind, frame).map_err(|source| shared.failed(source))
        };
        if let Err(error) = placed {
            if kind == RecordType::End {
                tail.put_aside(kind, frame);
            }
            return Err(error);
        }
        self.note(&tail);
        self.remember_longest(frame.len() as u64);
        Ok(Appended { lsn: tail.lsn() })
    }

    /// Writes records by one write and gives the number of the first. `None`, and none of them counts as
    /// written, when they have to be [appended](Self::append) one by one: the segment has no room for all
    /// of them, or it failed and was left.
    pub(super) fn append_together(&self, shared: &Shared, gathered: &mut Gathered) -> Option<u64> {
        let mut tail = self.tail.lock();
        if self.is_stuck() {
            return None;
        }
        match tail.place_together(gathered) {
            Ok(first) => {
                first?;
                self.note(&tail);
                self.remember_longest(gathered.longest());
                first
            }
            Err(failure) => {
                // If there is nothing to go on with, each record is told so when it is appended.
                let _ = self.rescue(&mut tail, shared, failure);
                None
            }
        }
    }

    /// Called under the tail's lock, so that a plain load and store will do.
    fn remember_longest(&self, bytes: u64) {
        if bytes > self.longest.load(Ordering::Relaxed) {
            self.longest.store(bytes, Ordering::Relaxed);
        }
    }

    fn place(&self, tail: &mut Tail, shared: &Shared, kind: RecordType, frame: &mut [u8]) -> io::Result<()> {
        let Err(failure) = tail.place(&shared.folders, kind, frame) else { return Ok(()) };
        self.rescue(tail, shared, failure)?;
        match tail.place(&shared.folders, kind, frame) {
            Ok(()) => Ok(()),
            Err(Failure::NoSegment(error)) => Err(self.stick(shared, error)),
            Err(Failure::Broken { error, .. }) => {
                tail.poison();
                Err(self.stick(shared, error))
            }
        }
    }

    /// Leaves a segment that failed.
    ///
    /// # Errors
    /// There is none that takes the records; the log is stuck.
    fn rescue(&self, tail: &mut Tail, shared: &Shared, failure: Failure) -> io::Result<()> {
        match failure {
            Failure::NoSegment(error) => Err(self.stick(shared, error)),
            Failure::Broken { segment, error } => {
                shared.observer.happened(&Event::Abandoned { segment: &segment.path, error: &error });
                // The next segment, which has no records yet, does no harm when it fails.
                if tail.holds(&segment) {
                    tail.poison();
                }
                if error.kind() != io::ErrorKind::StorageFull {
                    shared.folders.mark_failed(segment.folder);
                }
                tail.move_on(&shared.folders).map_err(|error| self.stick(shared, error))?;
                self.note(tail);
                Ok(())
            }
        }
    }

    fn stick(&self, shared: &Shared, error: io::Error) -> io::Error {
        self.room.store(0, Ordering::Relaxed);
        if !self.stuck.swap(true, Ordering::AcqRel) {
            shared.stuck.fetch_add(1, Ordering::AcqRel);
            shared.observer.happened(&Event::Failing(&error));
        }
        self.wake_all();
        error
    }

    /// Tries to write what waits.
    pub(super) fn revive(&self, shared: &Shared) {
        let mut tail = self.tail.lock();
        if !self.is_stuck() || tail.move_on(&shared.folders).is_err() {
            return;
        }
        self.note(&tail);
        self.dirty.store(true, Ordering::Release);
        self.stuck.store(false, Ordering::Release);
        shared.stuck.fetch_sub(1, Ordering::AcqRel);
        shared.observer.happened(&Event::Recovered);
    }

    /// Tells everyone where the tail is.
    fn note(&self, tail: &Tail) {
        self.room.store(tail.room(), Ordering::Relaxed);
        self.unsynced.store(tail.unsynced.len(), Ordering::Relaxed);
        self.written.store(tail.lsn(), Ordering::Release);
    }

    /// Brings what is written, and the names of its files, to the device; then wakes those who wait
    /// for it. One caller at a time.
    ///
    /// # Errors
    /// Neither this segment nor those that were tried in its place are on the device.
    pub(super) fn sync(&self, shared: &Shared) -> io::Result<()> {
        // Cleared first: a record written from here on makes the log dirty again.
        self.dirty.store(false, Ordering::Release);
        for _ in 0..=shared.folders.len() {
            let (segments, written, moves) = {
                let mut tail = self.tail.lock();
                if tail.is_poisoned() {
                    return Err(io::Error::other("records wait for a disk that takes them"));
                }
                tail.unsynced.begin_sync();
                (tail.segments(), self.written.load(Ordering::Acquire), tail.moves())
            };
            let synced = sync_segments(shared, &segments);
            let mut tail = self.tail.lock();
            if tail.moves() != moves {
                // The writer has found the fault first, and all of it is to be synced elsewhere.
                continue;
            }
            match synced {
                Ok(()) => {
                    tail.synced(&segments);
                    self.unsynced.store(tail.unsynced.len(), Ordering::Relaxed);
                    self.reached(tail, written);
                    return Ok(());
                }
                Err(failure) => self.rescue(&mut tail, shared, failure)?,
            }
        }
        self.tail.lock().poison();
        Err(self.stick(shared, io::Error::other("no new segment could be synced either")))
    }

    fn reached(&self, tail: MutexGuard<'_, Tail>, written: u64) {
        drop(tail);
        self.synced.store(written, Ordering::Release);
        self.waiting.lock().retain(|(lsn, waker)| {
            let reached = *lsn <= written;
            if reached {
                waker.wake_by_ref();
            }
            !reached
        });
    }

    /// No record follows any more.
    pub(super) fn close(&self) {
        let mut tail = self.tail.lock();
        // A reader takes a log without a SEAL just as well, so what fails here harms nobody.
        if !self.is_stuck() && tail.seal().is_ok() {
            tail.give_back();
            self.note(&tail);
        }
        self.room.store(0, Ordering::Relaxed);
        self.closed.store(true, Ordering::Release);
    }

    /// What so many requests may still write: clients decide how long a record is, so that the longest
    /// one tells.
    pub(super) fn needs(&self, in_flight: u64) -> u64 {
        let longest = self.longest.load(Ordering::Relaxed) + CHECKPOINTS;
        in_flight.saturating_mul(longest.max(USUAL))
    }

    /// True when the segment has room for as many bytes. They are remembered as reserved.
    pub(super) fn holds(&self, needed: u64) -> bool {
        self.reserved.store(needed, Ordering::Relaxed);
        self.room.load(Ordering::Relaxed) >= needed
    }

    /// Bytes that are left in the segment.
    pub(super) fn room(&self) -> u64 {
        self.room.load(Ordering::Relaxed)
    }

    /// True when a record that can be left out would take space that rows may need.
    pub(super) fn must_save(&self, bytes: u64) -> bool {
        self.room.load(Ordering::Relaxed) < self.reserved.load(Ordering::Relaxed).saturating_add(bytes)
    }

    pub(super) fn unsynced(&self) -> u64 {
        self.unsynced.load(Ordering::Relaxed)
    }

    /// True when it was clean before.
    pub(super) fn mark_dirty(&self) -> bool {
        !self.dirty.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// True when nothing will be written any more and everything is on the device.
    pub(super) fn is_done(&self) -> bool {
        self.is_closed() && !self.is_dirty() && !self.is_stuck()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    pub(super) fn is_synced(&self, lsn: u64) -> bool {
        self.synced.load(Ordering::Acquire) >= lsn
    }

    pub(super) fn wait_for(&self, lsn: u64, waker: &Waker) {
        self.waiting.lock().push((lsn, waker.clone()));
        if self.is_stuck() {
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        for (_, waker) in self.waiting.lock().drain(..) {
            waker.wake();
        }
    }
}

fn sync_segments(shared: &Shared, segments: &[Segment]) -> Result<(), Failure> {
    let broken = |segment: &Segment| {
        let segment = segment.clone();
        move |error| Failure::Broken { segment, error }
    };
    for segment in segments {
        segment.file.sync().map_err(broken(segment))?;
    }
    for segment in segments {
        shared.folders.sync_names(segment.folder).map_err(broken(segment))?;
    }
    Ok(())
}
