//! The loader: follows the journal and carries its rows into a store.
//!
//! It reads what is written, remembers nothing that the store does not, and asks a store that
//! failed again later: the journal keeps everything meanwhile.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tollgate_domain::LogId;

use super::{
    codec::Decoder,
    journal::{Record, RecordType, SEGMENT_HEADER, Scan, SegmentFile, list_segments, record_seed},
    store::{Batch, Cursor, DeadLetter, LedgerStore, StoreError},
};

/// Rows of one batch at most.
const BATCH_ROWS: usize = 5_000;
/// How long rows are gathered at most before what is there is loaded.
const BATCH_TIME: Duration = Duration::from_millis(500);
/// Bytes that are read at once; several times the longest record.
const CHUNK: usize = 512 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Carries rows from a journal into a store. One thread calls [`run_once`](Self::run_once) again
/// and again.
pub struct Loader {
    folder: PathBuf,
    store: Arc<dyn LedgerStore>,
    decoder: Decoder,
    batch: Batch,
    chunk: Vec<u8>,
    /// Where each log stands; none until the store has told.
    logs: Option<HashMap<LogId, Position>>,
    pause: Option<Pause>,
    /// Hears of batches that the store has taken.
    tell: Option<Box<Listener>>,
}

type Listener = dyn Fn(&Batch) + Send;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Rows that are new in the store.
    pub rows: u64,
    /// Rows that it had already.
    pub duplicates: u64,
    /// Records that became dead letters.
    pub dead: u64,
    /// Records that are missing in the journal.
    pub lost: u64,
    /// The store has failed lately and was not asked again yet.
    pub paused: bool,
}

/// A run that did not reach the end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The journal cannot be read.
    #[error("journal {}: {source}", path.display())]
    Journal {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store did not take a batch. It will be offered again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    length: Duration,
}

/// The place in a log where reading goes on.
#[derive(Clone, Copy, Debug)]
struct Position {
    segment: u32,
    offset: u64,
    next_lsn: u64,
    /// Nothing more can come in this segment.
    ended: bool,
}

impl Loader {
    /// A loader from the journal in `folder` into `store`.
    #[must_use]
    pub fn new(folder: &Path, store: Arc<dyn LedgerStore>) -> Self {
        Self {
            folder: folder.to_owned(),
            store,
            decoder: Decoder::new(),
            batch: Batch::default(),
            chunk: vec![0; CHUNK],
            logs: None,
            pause: None,
            tell: None,
        }
    }

    /// Has somebody hear of every batch in which something was new to the store, from now on. It is called
    /// between batches, so it has to be quick.
    pub fn tell(&mut self, tell: impl Fn(&Batch) + Send + 'static) {
        self.tell = Some(Box::new(tell));
    }

    /// Loads everything that is written now. After a store's failure it does nothing for a while
    /// (0.2 s, doubling up to 30 s).
    ///
    /// # Errors
    /// What was loaded before stays loaded; the rest is loaded by a later call.
    pub fn run_once(&mut self) -> Result<Progress, LoadError> {
        if self.pause.is_some_and(|pause| Instant::now() < pause.until) {
            return Ok(Progress { paused: true, ..Progress::default() });
        }
        let result = self.load_all();
        match &result {
            Ok(_) => self.pause = None,
            Err(_) => self.back_off(),
        }
        result
    }

    fn back_off(&mut self) {
        // Positions ran ahead of what the store has taken: ask it anew.
        self.logs = None;
        let length = self.pause.map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
        self.pause = Some(Pause { until: Instant::now() + length, length });
    }

    fn load_all(&mut self) -> Result<Progress, LoadError> {
        let mut logs = match self.logs.take() {
            Some(logs) => logs,
            None => self.positions()?,
        };
        self.batch.clear();
        let mut progress = Progress::default();
        let mut gathering = Instant::now();
        let files = list_segments(&self.folder).map_err(|source| self.failed(source))?;
        for (at, file) in files.iter().enumerate() {
            let more = files.get(at + 1).is_some_and(|next| next.log == file.log);
            let mut position = *logs.entry(file.log).or_insert_with(|| Position::begin(file));
            if !position.enter(file) {
                continue;
            }
            let mut follow = Follow::open(file, more).map_err(|source| self.failed(source))?;
            while self.read(&mut follow, &mut position, &mut progress)? {
                if self.batch.rows.len() >= BATCH_ROWS || gathering.elapsed() >= BATCH_TIME {
                    self.flush(&mut progress)?;
                    gathering = Instant::now();
                }
            }
            logs.insert(file.log, position);
        }
        self.flush(&mut progress)?;
        self.logs = Some(logs);
        Ok(progress)
    }

    fn positions(&self) -> Result<HashMap<LogId, Position>, LoadError> {
        let position = |cursor: Cursor| Position {
            segment: cursor.segment,
            offset: cursor.offset,
            next_lsn: cursor.lsn + 1,
            ended: false,
        };
        Ok(self.store.cursors()?.into_iter().map(|cursor| (cursor.log, position(cursor))).collect())
    }

    /// Reads a chunk's records into the batch; false when the segment has no more for now.
    fn read(
        &mut self,
        follow: &mut Follow,
        position: &mut Position,
        progress: &mut Progress,
    ) -> Result<bool, LoadError> {
        let from = position.offset;
        let length = follow.read(&mut self.chunk, from).map_err(|source| self.failed(source))?;
        let mut scan =
            Scan { bytes: &self.chunk[..length], at: 0, seed: follow.seed, next_lsn: position.next_lsn };
        while self.batch.rows.len() < BATCH_ROWS
            && let Some(record) = scan.here()
        {
            progress.lost += lost_before(&record, scan.next_lsn);
            scan.pass(&record);
            if record.kind == RecordType::End {
                match self.decoder.entry(record.payload) {
                    Ok(entry) => self.batch.push(follow.log, record.lsn, entry, record.payload),
                    Err(error) => self.batch.dead.push(DeadLetter {
                        log: follow.log,
                        lsn: record.lsn,
                        reason: error.to_string(),
                        payload: record.payload.to_vec(),
                    }),
                }
            }
        }
        let read = scan.at;
        let blank = scan.at_blank();
        position.offset += read as u64;
        position.next_lsn = scan.next_lsn;
        if read > 0 {
            self.note(follow.log, position);
            return Ok(true);
        }
        if !blank {
            return follow.step_over(position, progress).map_err(|source| self.failed(source));
        }
        position.ended =
            follow.more || follow.is_at_end(position.offset).map_err(|source| self.failed(source))?;
        Ok(false)
    }

    /// Marks that the log has moved, so that its cursor is part of the next batch.
    fn note(&mut self, log: LogId, position: &Position) {
        let cursor =
            Cursor { log, lsn: position.next_lsn - 1, segment: position.segment, offset: position.offset };
        match self.batch.cursors.iter_mut().find(|known| known.log == log) {
            Some(known) => *known = cursor,
            None => self.batch.cursors.push(cursor),
        }
    }

    fn flush(&mut self, progress: &mut Progress) -> Result<(), LoadError> {
        if self.batch.cursors.is_empty() {
            return Ok(());
        }
        let loaded = self.store.load(&self.batch)?;
        progress.rows += loaded.inserted;
        progress.duplicates += loaded.duplicates;
        progress.dead += loaded.dead;
        if let Some(tell) = self.tell.as_ref().filter(|_| loaded.inserted > 0) {
            tell(&self.batch);
        }
        self.batch.clear();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> LoadError {
        LoadError::Journal { path: self.folder.clone(), source }
    }
}

impl Position {
    /// The begin of a log of which `first` is the oldest segment that is kept.
    fn begin(first: &SegmentFile) -> Self {
        // The number of the first record is known when the log is whole; else the first one tells.
        let next_lsn = u64::from(first.number == 1);
        Self { segment: first.number, offset: SEGMENT_HEADER, next_lsn, ended: false }
    }

    /// Goes on in `file`; false when there is nothing to read in it.
    fn enter(&mut self, file: &SegmentFile) -> bool {
        if file.number > self.segment {
            *self = Self { segment: file.number, offset: SEGMENT_HEADER, ended: false, ..*self };
        }
        file.number == self.segment && !self.ended
    }
}

/// How many records are missing before this one; unknown, hence none, where nothing was read before.
const fn lost_before(record: &Record<'_>, next_lsn: u64) -> u64 {
    if next_lsn == 0 { 0 } else { record.lsn - next_lsn }
}

/// A segment that may still be written.
struct Follow {
    log: LogId,
    file: File,
    seed: u32,
    /// A later segment of the log exists, so this one is complete.
    more: bool,
}

impl Follow {
    fn open(file: &SegmentFile, more: bool) -> io::Result<Self> {
        Ok(Self {
            log: file.log,
            seed: record_seed(file.log, file.number),
            file: File::open(&file.path)?,
            more,
        })
    }

    fn read(&self, into: &mut [u8], from: u64) -> io::Result<usize> {
        let mut length = 0;
        while length < into.len() {
            match self.file.read_at(&mut into[length..], from + length as u64) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length)
    }

    fn is_at_end(&self, offset: u64) -> io::Result<bool> {
        Ok(offset >= self.file.metadata()?.len())
    }

    /// No record begins where one should. It may be half written at this moment: that is damage
    /// only if it is still unreadable *after* a later record, or a later segment, was seen.
    fn step_over(&self, position: &mut Position, progress: &mut Progress) -> io::Result<bool> {
        let rest = self.rest(position.offset)?;
        let mut scan = Scan { bytes: &rest, at: 0, seed: self.seed, next_lsn: position.next_lsn };
        let later_record = scan.resume();
        if !later_record && !self.more {
            return Ok(false);
        }
        let again = self.rest(position.offset)?;
        let readable = Scan { bytes: &again, at: 0, ..scan.clone() }.here().is_some();
        if readable {
            return Ok(true);
        }
        if !later_record {
            progress.lost += 1;
            position.ended = true;
            return Ok(false);
        }
        position.offset += scan.at as u64;
        Ok(true)
    }

    fn rest(&self, from: u64) -> io::Result<Vec<u8>> {
        let length = self.file.metadata()?.len().saturating_sub(from);
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let read = self.read(&mut bytes, from)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
