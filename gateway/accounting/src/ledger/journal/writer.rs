//! One core's log, from the side of the core: a record is one write behind the last, or part of one
//! with others that were gathered.

use std::{sync::Arc, task::Waker};

use tollgate_domain::{LogId, RequestId};

use super::{
    JournalError, Shared,
    gathered::Gathered,
    log::Log,
    record::{self, MAX_PAYLOAD, RecordType},
    syncer::SyncWaker,
};
use crate::ledger::{
    codec::{Encoder, encode_checkpoint},
    entry::{Entry, Start},
};

/// Appends records to one log. A core has one and shares it with nobody.
///
/// A record that was written survives the death of the process; [`durable`](Self::durable) tells
/// when it also survives a loss of power.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    log: Arc<Log>,
    syncer: SyncWaker,
    encoder: Encoder,
    buffer: Vec<u8>,
    gathered: Gathered,
}

/// The place of a record in its log.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Appended {
    /// The record's number in its log.
    pub lsn: u64,
}

impl Writer {
    pub(super) fn begin(shared: Arc<Shared>, syncer: SyncWaker, core: u32) -> Result<Self, JournalError> {
        if shared.is_failing() {
            return Err(JournalError::Failing);
        }
        let log = Arc::new(Log::begin(&shared, core).map_err(|source| shared.failed(source))?);
        shared.add_log(log.clone());
        syncer.request_spares();
        let (encoder, gathered) = (Encoder::default(), Gathered::default());
        Ok(Self { shared, log, syncer, encoder, buffer: Vec::new(), gathered })
    }

    /// True while a request more can be recorded from its begin to its end, beside `in_flight` others
    /// of all cores. False when the device is full, far behind or failing; true again by itself.
    #[must_use]
    pub fn admits(&self, in_flight: u64) -> bool {
        let admits = self.shared.admits(&self.log, in_flight);
        if !admits {
            // Perhaps more space can be reserved.
            self.syncer.request_spares();
        }
        admits
    }

    /// False while the space left, or all records, are needed for what requests in flight still owe.
    /// What can be left out should be, then.
    #[must_use]
    pub fn has_room_to_spare(&self) -> bool {
        let saves = self.log.must_save(SPARE_BYTES) && self.shared.spare_bytes() == 0;
        !saves && !self.shared.is_failing()
    }

    /// Writes that a request is about to go upstream.
    ///
    /// # Errors
    /// It is not written; nothing may be sent.
    pub fn start(&mut self, start: &Start<'_>) -> Result<(), JournalError> {
        self.append(RecordType::Start, |encoder, out| encoder.start(start, out)).map(drop)
    }

    /// Writes how much output has been counted so far; left out when space is needed for rows.
    ///
    /// # Errors
    /// It is not written.
    pub fn checkpoint(&mut self, id: RequestId, output_tokens: u64) -> Result<(), JournalError> {
        if !self.has_room_to_spare() {
            return Ok(());
        }
        self.append(RecordType::Checkpoint, |_, out| encode_checkpoint(id, output_tokens, out)).map(drop)
    }

    /// Writes a row.
    ///
    /// # Errors
    /// It is not written; the client must not get the last byte. If only the disk is to blame, the
    /// row waits in memory and is written once the disk takes it.
    pub fn end(&mut self, entry: &Entry) -> Result<Appended, JournalError> {
        self.append(RecordType::End, |encoder, out| encoder.entry(entry, out))
    }

    /// Takes a START that the next [flush](Self::flush) writes.
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it is not taken.
    pub fn gather_start(&mut self, start: &Start<'_>) -> Result<(), JournalError> {
        let Self { gathered, encoder, .. } = self;
        gathered.add(RecordType::Start, |out| encoder.start(start, out)).map_err(JournalError::TooLong)
    }

    /// Takes a row that the next [flush](Self::flush) writes.
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it is not taken.
    pub fn gather_end(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let Self { gathered, encoder, .. } = self;
        gathered.add(RecordType::End, |out| encoder.entry(entry, out)).map_err(JournalError::TooLong)
    }

    /// Writes what was gathered, by one write as long as the segment takes all of it, and tells `outcome`
    /// of each record in the order in which they were taken. What an error means for a record is what it
    /// means for [`start`](Self::start) and [`end`](Self::end).
    pub fn flush(&mut self, mut outcome: impl FnMut(Result<Appended, JournalError>)) {
        let Self { shared, log, syncer, gathered, .. } = self;
        if gathered.is_empty() {
            return;
        }
        let refuses_starts = shared.is_failing() && gathered.has(RecordType::Start);
        let first = if refuses_starts { None } else { log.append_together(shared, gathered) };
        match first {
            Some(first) => {
                syncer.written(log);
                (first..first + gathered.len()).for_each(|lsn| outcome(Ok(Appended { lsn })));
            }
            None => {
                for (kind, frame) in gathered.each() {
                    outcome(append(shared, log, syncer, kind, frame));
                }
            }
        }
        gathered.clear();
    }

    /// Tells when records of this log have reached the device.
    #[must_use]
    pub fn durable(&self) -> DurableWatch {
        DurableWatch { log: self.log.clone(), syncer: self.syncer.clone() }
    }

    /// The log's identity.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.log.id()
    }

    fn append(
        &mut self,
        kind: RecordType,
        encode: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) -> Result<Appended, JournalError> {
        record::begin(&mut self.buffer);
        encode(&mut self.encoder, &mut self.buffer);
        let payload = self.buffer.len() - record::HEADER;
        if payload > MAX_PAYLOAD {
            return Err(JournalError::TooLong(payload));
        }
        append(&self.shared, &self.log, &self.syncer, kind, &mut self.buffer)
    }
}

/// Writes one record. While any log is failing nothing new begins.
fn append(
    shared: &Shared,
    log: &Log,
    syncer: &SyncWaker,
    kind: RecordType,
    frame: &mut [u8],
) -> Result<Appended, JournalError> {
    if kind == RecordType::Start && shared.is_failing() {
        return Err(JournalError::Failing);
    }
    let appended = log.append(shared, kind, frame);
    match &appended {
        Ok(_) => syncer.written(log),
        // The thread tries again in a while what could not be written.
        Err(_) => syncer.request_spares(),
    }
    appended
}

/// More than what a record takes that can be left out.
const SPARE_BYTES: u64 = 2 * 1024;

impl Drop for Writer {
    /// What was gathered is written: those who wait for it may be gone, the rows are owed all the same.
    fn drop(&mut self) {
        self.flush(drop);
        self.log.close();
        self.syncer.written(&self.log);
    }
}

/// Tells when records have reached the device; for those who may not give the last byte before.
#[derive(Clone, Debug)]
pub struct DurableWatch {
    log: Arc<Log>,
    syncer: SyncWaker,
}

impl DurableWatch {
    /// True when the record would survive a loss of power.
    #[must_use]
    pub fn reached(&self, position: Appended) -> bool {
        self.log.is_synced(position.lsn)
    }

    /// True when no disk takes the log's records: nobody can tell if what was not reached ever will
    /// be.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.log.is_stuck()
    }

    /// Asks for a sync at once, shared by all who wait, and wakes `waker` once the record is
    /// reached or the log has failed. Ask [`reached`](Self::reached) again after registering: the
    /// record may have been reached just before.
    pub fn register(&self, position: Appended, waker: &Waker) {
        self.log.wait_for(position.lsn, waker);
        if !self.failed() {
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
        journal::{Journal, JournalOptions, list_segments},
        samples::entry,
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
    fn room_is_what_is_reserved_on_the_device_and_grows_with_what_is_asked() {
        let folder = TempDir::new().expect("a folder");
        let options = JournalOptions { segment_bytes: 1024 * 1024, ..JournalOptions::default() };
        let journal = Journal::open(folder.path(), options).expect("opened");
        let writer = journal.writer(0).expect("a writer");
        assert!(!journal.has_room(100_000), "far more than was reserved");
        // The background thread makes the missing segments: 2 MiB for a thousand.
        while !writer.admits(1_000) {
            std::thread::yield_now();
        }
        assert!(journal.has_room(1_000));
    }

    #[test]
    fn a_closed_log_takes_no_more_room_than_its_records() {
        let folder = TempDir::new().expect("a folder");
        let journal = Journal::open(folder.path(), JournalOptions::default()).expect("opened");
        let mut writer = journal.writer(0).expect("a writer");
        writer.end(&entry(1)).expect("written");
        drop(writer);
        let file = &list_segments(folder.path()).expect("listed")[0];
        assert!(fs::metadata(&file.path).expect("there").len() < 4_096);
    }
}
