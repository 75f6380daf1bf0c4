//! The end of a log: the segment that is written, and how the log leaves one that fails.

use std::io;

use tollgate_domain::LogId;

use super::{
    folders::{Folders, Spare},
    gathered::Gathered,
    new_log_id,
    record::{self, RecordType},
    segment::{self, Segment, SegmentHeader},
    unsynced::Unsynced,
};

/// Room that every segment keeps for the SEAL that closes it.
const SEAL_BYTES: u64 = record::HEADER as u64;

#[derive(Debug)]
pub(super) struct Tail {
    header: SegmentHeader,
    seed: u32,
    segment: Segment,
    segment_bytes: u64,
    offset: u64,
    /// The number of the last record, written or waiting.
    lsn: u64,
    /// Full segments with records that may not be on the device yet.
    earlier: Vec<Segment>,
    pub(super) unsynced: Unsynced,
    /// How often the log has left a segment that failed.
    moves: u64,
    /// Nothing in the segment may be synced again, or written to it.
    poisoned: bool,
}

/// Why a record has no place.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no next segment. The present one is in order.
    NoSegment(io::Error),
    /// This segment could not be written.
    Broken { segment: Segment, error: io::Error },
}

/// A segment on its way to its name.
struct Draft {
    spare: Spare,
    header: SegmentHeader,
    offset: u64,
}

impl Tail {
    /// A new log with its first segment.
    pub(super) fn begin(folders: &Folders, core: u32, segment_bytes: u64) -> io::Result<Self> {
        let header = SegmentHeader { log: new_log_id()?, number: 1, core, first_lsn: 1 };
        let spare = folders.take_spare()?;
        spare.file().write_at(&header.encode(), 0)?;
        let segment = folders.publish(spare, &header)?;
        Ok(Self {
            header,
            seed: record::seed(header.log, header.number),
            segment,
            segment_bytes,
            offset: segment::HEADER,
            lsn: 0,
            earlier: Vec::new(),
            unsynced: Unsynced::default(),
            moves: 0,
            poisoned: false,
        })
    }

    pub(super) fn log(&self) -> LogId {
        self.header.log
    }

    pub(super) fn lsn(&self) -> u64 {
        self.lsn
    }

    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// True when records that are not confirmed may stand in this segment.
    pub(super) fn holds(&self, segment: &Segment) -> bool {
        self.earlier.iter().chain([&self.segment]).any(|known| known.path == segment.path)
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Neither written nor synced from now on.
    pub(super) fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Bytes that are left in the segment.
    pub(super) fn room(&self) -> u64 {
        self.segment_bytes.saturating_sub(self.offset + SEAL_BYTES)
    }

    /// The segments that a sync has to cover; the one being written is the last.
    pub(super) fn segments(&self) -> Vec<Segment> {
        self.earlier.iter().chain([&self.segment]).cloned().collect()
    }

    /// A sync has covered these segments, except for what the last one got meanwhile.
    pub(super) fn synced(&mut self, segments: &[Segment]) {
        self.earlier.drain(..segments.len() - 1);
        self.unsynced.end_sync();
    }

    /// Writes a record behind the last one, in the next segment when this one is too full.
    pub(super) fn place(
        &mut self,
        folders: &Folders,
        kind: RecordType,
        frame: &mut [u8],
    ) -> Result<(), Failure> {
        if self.room() < frame.len() as u64 && self.offset > segment::HEADER {
            self.rotate(folders)?;
        }
        self.write(kind, frame)
    }

    /// Writes records behind the last one, all by one write; the number of the first. `None`, and
    /// nothing is written, when this segment has no room for all of them.
    pub(super) fn place_together(&mut self, gathered: &mut Gathered) -> Result<Option<u64>, Failure> {
        if self.room() < gathered.bytes() {
            return Ok(None);
        }
        let (first, count) = (self.lsn + 1, gathered.len());
        let bytes = gathered.finish(first, self.seed);
        if let Err(error) = self.segment.file.write_at(bytes, self.offset) {
            return Err(Failure::Broken { segment: self.segment.clone(), error });
        }
        self.lsn += count;
        self.offset += bytes.len() as u64;
        self.unsynced.wrote(bytes);
        Ok(Some(first))
    }

    /// Gives a record its number and keeps it until there is a place for it.
    pub(super) fn put_aside(&mut self, kind: RecordType, frame: &mut [u8]) {
        self.lsn += 1;
        record::finish(frame, kind, self.lsn, self.seed);
        self.unsynced.wait(frame);
    }

    /// Closes the segment and gives back the space that it does not need.
    pub(super) fn seal(&mut self) -> Result<(), Failure> {
        let mut seal = Vec::with_capacity(record::HEADER);
        record::begin(&mut seal);
        self.write(RecordType::Seal, &mut seal)
    }

    pub(super) fn give_back(&self) {
        // Readers take a segment that is too long just as well.
        let _ = self.segment.file.set_len(self.offset);
    }

    /// Writes every record that the device has not confirmed into new segments and goes on there.
    ///
    /// Names come last, the newest first: whenever a process dies in between, readers find each
    /// record in the old segment or in a new one that is whole.
    pub(super) fn move_on(&mut self, folders: &Folders) -> io::Result<()> {
        let mut drafts = Vec::new();
        let last = match self.draft_all(folders, &mut drafts).and_then(|()| publish_all(folders, &mut drafts))
        {
            Ok(segments) => segments,
            Err(error) => {
                drafts.into_iter().for_each(|draft| folders.discard(draft.spare));
                return Err(error);
            }
        };
        let (header, offset, mut segments) = last;
        let old_offset = std::mem::replace(&mut self.offset, offset);
        let current = segments.pop().expect("at least one was made");
        let old = std::mem::replace(&mut self.segment, current);
        // A record that was half written would look like damage to those who follow the log.
        let _ = old.file.set_len(old_offset);
        self.earlier = segments;
        self.header = header;
        self.seed = record::seed(header.log, header.number);
        self.unsynced.moved();
        self.moves += 1;
        self.poisoned = false;
        Ok(())
    }

    fn write(&mut self, kind: RecordType, frame: &mut [u8]) -> Result<(), Failure> {
        record::finish(frame, kind, self.lsn + 1, self.seed);
        if let Err(error) = self.segment.file.write_at(frame, self.offset) {
            return Err(Failure::Broken { segment: self.segment.clone(), error });
        }
        self.lsn += 1;
        self.offset += frame.len() as u64;
        self.unsynced.wrote(frame);
        Ok(())
    }

    fn rotate(&mut self, folders: &Folders) -> Result<(), Failure> {
        let spare = folders.take_spare().map_err(Failure::NoSegment)?;
        if let Err(failure) = self.seal() {
            folders.discard(spare);
            return Err(failure);
        }
        let header = self.next_header(self.lsn + 1);
        let broken = spare.segment();
        let next = spare
            .file()
            .write_at(&header.encode(), 0)
            .and_then(|()| folders.publish(spare, &header))
            .map_err(|error| Failure::Broken { segment: broken, error })?;
        self.header = header;
        self.seed = record::seed(header.log, header.number);
        self.offset = segment::HEADER;
        self.earlier.push(std::mem::replace(&mut self.segment, next));
        Ok(())
    }

    /// A number is used once, also when the segment is never published.
    fn next_header(&mut self, first_lsn: u64) -> SegmentHeader {
        self.header.number += 1;
        SegmentHeader { first_lsn, ..self.header }
    }

    /// Writes the unconfirmed records into segments that have no name yet.
    fn draft_all(&mut self, folders: &Folders, drafts: &mut Vec<Draft>) -> io::Result<()> {
        let Self { header, unsynced, segment_bytes, lsn, .. } = self;
        let mut begin = |first_lsn| -> io::Result<Draft> {
            header.number += 1;
            let header = SegmentHeader { first_lsn, ..*header };
            let spare = folders.take_spare()?;
            let draft = Draft { spare, header, offset: segment::HEADER };
            draft.spare.file().write_at(&header.encode(), 0)?;
            Ok(draft)
        };
        let mut frame = Vec::new();
        for known in unsynced.frames() {
            let full = drafts
                .last()
                .is_none_or(|draft: &Draft| draft.offset + known.len() as u64 + SEAL_BYTES > *segment_bytes);
            if full {
                drafts.push(begin(record::lsn_of(known))?);
            }
            let draft = drafts.last_mut().expect("one was begun");
            frame.clear();
            frame.extend_from_slice(known);
            record::reseal(&mut frame, record::seed(draft.header.log, draft.header.number));
            draft.spare.file().write_at(&frame, draft.offset)?;
            draft.offset += frame.len() as u64;
        }
        if drafts.is_empty() {
            drafts.push(begin(*lsn + 1)?);
        }
        Ok(())
    }
}

/// Names the segments, the newest first; gives the last one's header and end, and all in order.
fn publish_all(folders: &Folders, drafts: &mut Vec<Draft>) -> io::Result<(SegmentHeader, u64, Vec<Segment>)> {
    let last = drafts.last().expect("at least one was made");
    let (header, offset) = (last.header, last.offset);
    let mut segments = Vec::new();
    while let Some(draft) = drafts.pop() {
        segments.push(folders.publish(draft.spare, &draft.header)?);
    }
    segments.reverse();
    Ok((header, offset, segments))
}
