//! One core's log: every record is one write, at the position that follows the last.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
};

use parking_lot::Mutex;
use tollgate_domain::{LogId, RequestId};

use super::{
    JournalError, Shared, new_log_id,
    record::{self, MAX_PAYLOAD, RecordType},
    segment::{self, SegmentHeader},
    syncer::SyncWaker,
};
use crate::ledger::{
    codec::{Encoder, encode_checkpoint},
    entry::{Entry, Start},
};

/// Room that every segment keeps for the SEAL that closes it.
const SEAL_BYTES: u64 = record::HEADER as u64;

/// Appends records to one log. A core has one and shares it with nobody.
///
/// A record that was written survives the death of the process; [`durable`](Self::durable) tells
/// when it also survives a loss of power. After a failed write every call fails.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    state: Arc<LogState>,
    syncer: SyncWaker,
    header: SegmentHeader,
    seed: u32,
    file: Arc<File>,
    offset: u64,
    lsn: u64,
    encoder: Encoder,
    buffer: Vec<u8>,
}

/// The place of a record in its log.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Appended {
    /// The record's number in its log.
    pub lsn: u64,
}

impl Writer {
    pub(super) fn begin(shared: Arc<Shared>, syncer: SyncWaker, core: u32) -> Result<Self, JournalError> {
        if !shared.is_healthy() {
            return Err(JournalError::Poisoned);
        }
        let fail = |source| JournalError::Io { path: shared.folder.clone(), source };
        let header = SegmentHeader { log: new_log_id().map_err(fail)?, number: 1, core, first_lsn: 1 };
        let file = new_segment(&shared, &header).map_err(fail)?;
        let state = Arc::new(LogState::new(header.log, file.clone(), shared.options.segment_bytes));
        shared.logs.write().push(state.clone());
        syncer.request_spares();
        let seed = record::seed(header.log, header.number);
        Ok(Self {
            shared,
            state,
            syncer,
            header,
            seed,
            file,
            offset: segment::HEADER,
            lsn: 0,
            encoder: Encoder::default(),
            buffer: Vec::new(),
        })
    }

    /// Writes that a request is about to go upstream.
    ///
    /// # Errors
    /// It is not written; nothing may be sent.
    pub fn start(&mut self, start: &Start<'_>) -> Result<(), JournalError> {
        self.append(RecordType::Start, |encoder, out| encoder.start(start, out)).map(drop)
    }

    /// Writes how much output has been counted so far.
    ///
    /// # Errors
    /// It is not written.
    pub fn checkpoint(&mut self, id: RequestId, output_tokens: u64) -> Result<(), JournalError> {
        self.append(RecordType::Checkpoint, |_, out| encode_checkpoint(id, output_tokens, out)).map(drop)
    }

    /// Writes a row.
    ///
    /// # Errors
    /// It is not written; the client must not get the last byte.
    pub fn end(&mut self, entry: &Entry) -> Result<Appended, JournalError> {
        self.append(RecordType::End, |encoder, out| encoder.entry(entry, out))
    }

    /// Tells when records of this log have reached the device.
    #[must_use]
    pub fn durable(&self) -> DurableWatch {
        DurableWatch { shared: self.shared.clone(), state: self.state.clone(), syncer: self.syncer.clone() }
    }

    /// The log's identity.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.header.log
    }

    fn append(
        &mut self,
        kind: RecordType,
        encode: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) -> Result<Appended, JournalError> {
        if !self.shared.is_healthy() {
            return Err(JournalError::Poisoned);
        }
        record::begin(&mut self.buffer);
        encode(&mut self.encoder, &mut self.buffer);
        let payload = self.buffer.len() - record::HEADER;
        if payload > MAX_PAYLOAD {
            return Err(JournalError::TooLong(payload));
        }
        let written = self.make_room(self.buffer.len() as u64).and_then(|()| self.write(kind));
        written.map_err(|source| self.shared.failed(self.shared.folder.clone(), source))?;
        self.syncer.written(&self.state);
        Ok(Appended { lsn: self.lsn })
    }

    /// One positioned write of the record in the buffer.
    fn write(&mut self, kind: RecordType) -> io::Result<()> {
        record::finish(&mut self.buffer, kind, self.lsn + 1, self.seed);
        self.file.write_all_at(&self.buffer, self.offset)?;
        self.lsn += 1;
        self.offset += self.buffer.len() as u64;
        self.state.wrote(self.lsn, self.shared.options.segment_bytes.saturating_sub(self.offset));
        Ok(())
    }

    /// Goes on in the next segment when this one is too full for `bytes` and its SEAL.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        if self.offset + bytes + SEAL_BYTES <= self.shared.options.segment_bytes {
            return Ok(());
        }
        let record = std::mem::take(&mut self.buffer);
        self.seal()?;
        self.header.number += 1;
        self.header.first_lsn = self.lsn + 1;
        self.file = new_segment(&self.shared, &self.header)?;
        self.state.rotated(self.file.clone());
        self.seed = record::seed(self.header.log, self.header.number);
        self.offset = segment::HEADER;
        self.buffer = record;
        self.syncer.request_spares();
        Ok(())
    }

    fn seal(&mut self) -> io::Result<()> {
        record::begin(&mut self.buffer);
        self.write(RecordType::Seal)
    }
}

impl Drop for Writer {
    /// Closes the log: gives back the space that it does not need. A reader takes a log without a
    /// SEAL just as well, so what fails here harms nobody.
    fn drop(&mut self) {
        if self.shared.is_healthy() && self.seal().is_ok() {
            let _ = self.file.set_len(self.offset);
            self.syncer.written(&self.state);
        }
        self.state.close();
    }
}

fn new_segment(shared: &Shared, header: &SegmentHeader) -> io::Result<Arc<File>> {
    let spare = shared.take_spare()?;
    segment::adopt(&spare.file, &spare.path, &shared.folder, header)?;
    shared.folder_dirty.store(true, Ordering::Release);
    Ok(Arc::new(spare.file))
}

/// The part of a log that its writer shares with the background thread.
#[derive(Debug)]
pub(super) struct LogState {
    id: LogId,
    written: AtomicU64,
    synced: AtomicU64,
    room: AtomicU64,
    dirty: AtomicBool,
    closed: AtomicBool,
    /// Files with records that may not be on the device yet; the last is the one being written.
    files: Mutex<Vec<Arc<File>>>,
    waiting: Mutex<Vec<(u64, Waker)>>,
}

impl LogState {
    fn new(id: LogId, file: Arc<File>, room: u64) -> Self {
        Self {
            id,
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            room: AtomicU64::new(room),
            dirty: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            files: Mutex::new(vec![file]),
            waiting: Mutex::default(),
        }
    }

    pub(super) fn id(&self) -> LogId {
        self.id
    }

    /// Bytes that are left in the segment.
    pub(super) fn room(&self) -> u64 {
        self.room.load(Ordering::Relaxed)
    }

    /// True when it was clean before.
    pub(super) fn mark_dirty(&self) -> bool {
        !self.dirty.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// True when nothing will be written any more and everything is on the device.
    pub(super) fn is_done(&self) -> bool {
        self.closed.load(Ordering::Acquire) && !self.is_dirty()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    /// Brings what is written, and by `sync_folder` the names of its files, to the device; then
    /// wakes those who wait for it.
    pub(super) fn sync(&self, sync_folder: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        // Cleared first: a record written from here on makes the log dirty again.
        self.dirty.store(false, Ordering::Release);
        let written = self.written.load(Ordering::Acquire);
        let files = self.files.lock().clone();
        for file in &files {
            file.sync_data()?;
        }
        sync_folder()?;
        self.files.lock().drain(..files.len() - 1);
        self.synced.store(written, Ordering::Release);
        self.waiting.lock().retain(|(lsn, waker)| {
            let reached = *lsn <= written;
            if reached {
                waker.wake_by_ref();
            }
            !reached
        });
        Ok(())
    }

    pub(super) fn wake_all(&self) {
        for (_, waker) in self.waiting.lock().drain(..) {
            waker.wake();
        }
    }

    fn wrote(&self, lsn: u64, room: u64) {
        self.room.store(room, Ordering::Relaxed);
        self.written.store(lsn, Ordering::Release);
    }

    fn rotated(&self, file: Arc<File>) {
        self.files.lock().push(file);
    }

    fn close(&self) {
        self.room.store(0, Ordering::Relaxed);
        self.closed.store(true, Ordering::Release);
    }
}

/// Tells when records have reached the device; for those who may not give the last byte before.
#[derive(Clone, Debug)]
pub struct DurableWatch {
    shared: Arc<Shared>,
    state: Arc<LogState>,
    syncer: SyncWaker,
}

impl DurableWatch {
    /// True when the record would survive a loss of power.
    #[must_use]
    pub fn reached(&self, position: Appended) -> bool {
        self.state.synced.load(Ordering::Acquire) >= position.lsn
    }

    /// True when the journal has failed: what was not reached never will be.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.shared.is_healthy()
    }

    /// Asks for a sync at once, shared by all who wait, and wakes `waker` once the record is
    /// reached or the journal has failed. Ask [`reached`](Self::reached) again after registering:
    /// the record may have been reached just before.
    pub fn register(&self, position: Appended, waker: &Waker) {
        self.state.waiting.lock().push((position.lsn, waker.clone()));
        if self.failed() {
            self.state.wake_all();
        } else {
            self.syncer.request_sync();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::mpsc,
        task::{Context, Wake},
    };

    use tempfile::TempDir;

    use super::*;
    use crate::ledger::{
        journal::{Journal, JournalOptions},
        samples::{StartParts, entry},
    };

    struct Signal(mpsc::Sender<()>);

    impl Wake for Signal {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn a_second_journal_in_the_same_folder_is_refused() {
        let folder = TempDir::new().expect("a folder");
        let first = Journal::open(folder.path(), JournalOptions::default()).expect("opened");
        let second = Journal::open(folder.path(), JournalOptions::default()).expect_err("locked");
        assert!(matches!(&second, JournalError::Locked(at) if at == folder.path()));
        drop(first);
        Journal::open(folder.path(), JournalOptions::default()).expect("the lock is given back");
    }

    #[test]
    fn a_waiter_is_woken_when_its_record_is_on_the_device() {
        let folder = TempDir::new().expect("a folder");
        let journal = Journal::open(folder.path(), JournalOptions::default()).expect("opened");
        let mut writer = journal.writer(0).expect("a writer");
        let watch = writer.durable();
        for number in 0..20 {
            let position = writer.end(&entry(number)).expect("written");
            let (woken, wait) = mpsc::channel();
            let waker = Waker::from(Arc::new(Signal(woken)));
            watch.register(position, Context::from_waker(&waker).waker());
            wait.recv().expect("woken");
            assert!(watch.reached(position) && !watch.failed());
        }
    }

    #[test]
    fn syncs_from_several_threads_do_not_disturb_each_other() {
        let folder = TempDir::new().expect("a folder");
        let options = JournalOptions { segment_bytes: 1, ..JournalOptions::default() };
        let journal = Journal::open(folder.path(), options).expect("opened");
        let mut writer = journal.writer(0).expect("a writer");
        let watch = writer.durable();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..20).for_each(|_| journal.sync().expect("synced")));
            }
            for number in 0..2_000 {
                writer.end(&entry(number)).expect("written");
            }
        });
        journal.sync().expect("synced");
        assert!(watch.reached(Appended { lsn: 2_000 }));
    }

    #[test]
    fn a_failed_write_poisons_the_whole_journal() {
        let folder = TempDir::new().expect("a folder");
        let journal = Journal::open(folder.path(), JournalOptions::default()).expect("opened");
        let mut broken = journal.writer(0).expect("a writer");
        let mut other = journal.writer(1).expect("a writer");
        // A file that was opened for reading only stands in for a device that takes no more writes.
        broken.file = Arc::new(File::open(folder.path().join("lock")).expect("opened"));
        assert!(matches!(broken.end(&entry(1)), Err(JournalError::Io { .. })));
        assert!(!journal.healthy());
        assert!(broken.durable().failed());
        assert!(matches!(other.end(&entry(2)), Err(JournalError::Poisoned)));
        assert!(matches!(other.start(&StartParts::new().start(3, true)), Err(JournalError::Poisoned)));
        assert!(matches!(journal.writer(2), Err(JournalError::Poisoned)));
    }

    #[test]
    fn a_waiter_on_a_failed_journal_is_woken() {
        let folder = TempDir::new().expect("a folder");
        let journal = Journal::open(folder.path(), JournalOptions::default()).expect("opened");
        let mut writer = journal.writer(0).expect("a writer");
        let position = writer.end(&entry(1)).expect("written");
        journal.shared.poison();
        let (woken, wait) = mpsc::channel();
        let waker = Waker::from(Arc::new(Signal(woken)));
        writer.durable().register(Appended { lsn: position.lsn + 1 }, &waker);
        wait.recv().expect("woken");
    }

    #[test]
    fn a_record_that_is_too_long_is_refused_and_the_journal_goes_on() {
        let folder = TempDir::new().expect("a folder");
        let journal = Journal::open(folder.path(), JournalOptions::default()).expect("opened");
        let mut writer = journal.writer(0).expect("a writer");
        let mut long = entry(1);
        long.attempts = std::iter::repeat_n(long.attempts[0].clone(), 2_000).collect();
        assert!(matches!(writer.end(&long), Err(JournalError::TooLong(_))));
        assert!(journal.healthy());
        assert_eq!(writer.end(&entry(2)).expect("written").lsn, 1);
    }

    #[test]
    fn room_is_what_is_reserved_on_the_device() {
        let folder = TempDir::new().expect("a folder");
        let options = JournalOptions { segment_bytes: 1024 * 1024, ..JournalOptions::default() };
        let journal = Journal::open(folder.path(), options).expect("opened");
        let _writer = journal.writer(0).expect("a writer");
        assert!(!journal.has_room(100_000), "far more than was reserved");
        // The background thread makes the missing segments.
        while !journal.has_room(100) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_closed_log_takes_no_more_room_than_its_records() {
        let folder = TempDir::new().expect("a folder");
        let journal = Journal::open(folder.path(), JournalOptions::default()).expect("opened");
        let mut writer = journal.writer(0).expect("a writer");
        writer.end(&entry(1)).expect("written");
        drop(writer);
        let file = &segment::list(folder.path()).expect("listed")[0];
        assert!(fs::metadata(&file.path).expect("there").len() < 4_096);
    }
}
