//! Reading segments: one scan, shared by recovery, the loader and the audit.
//!
//! Whatever the bytes are, a scan gives undamaged records only, in order, says what is missing
//! between them, and ends.

use std::{io, path::Path, vec};

use tollgate_domain::LogId;

use super::{
    disk::Disk,
    record::{self, Record},
    segment::{self, SegmentFile, SegmentHeader},
};

/// The segments of a journal in the order in which they are read, each with what it is to say.
///
/// A log that had to leave a failed segment has written some of its records again in a later one.
/// Those stand for the old ones, of which the device may have lost some: a segment is read up to the
/// first record that any later segment of its log begins with.
pub(in crate::ledger) struct Segments<'a> {
    disk: &'a dyn Disk,
    parts: vec::IntoIter<(SegmentFile, u64)>,
}

/// One of them.
#[derive(Debug)]
pub(in crate::ledger) struct Part {
    pub(in crate::ledger) file: SegmentFile,
    /// None when the file has no segment's header.
    pub(in crate::ledger) segment: Option<SegmentBytes>,
    /// Records from this number on are told by later segments.
    pub(in crate::ledger) until: u64,
    /// No later segment of the log exists.
    pub(in crate::ledger) last: bool,
}

impl<'a> Segments<'a> {
    /// All segments that the journal at `home` has, but for those of logs that are `left_out`.
    pub(in crate::ledger) fn of(
        disk: &'a dyn Disk,
        home: &Path,
        left_out: impl Fn(LogId) -> bool,
    ) -> io::Result<Self> {
        let mut parts: Vec<(SegmentFile, u64)> = Vec::new();
        for file in segment::list(disk, home)?.into_iter().rev().filter(|file| !left_out(file.log)) {
            let until = match parts.last() {
                Some((later, until)) if later.log == file.log => {
                    let header = SegmentHeader::decode(&disk.head(&later.path, segment::HEADER as usize)?);
                    header.map_or(*until, |header| header.first_lsn.min(*until))
                }
                _ => u64::MAX,
            };
            parts.push((file, until));
        }
        parts.reverse();
        Ok(Self { disk, parts: parts.into_iter() })
    }
}

impl Iterator for Segments<'_> {
    type Item = io::Result<Part>;

    fn next(&mut self) -> Option<Self::Item> {
        let (file, until) = self.parts.next()?;
        let last = self.parts.as_slice().first().is_none_or(|(next, _)| next.log != file.log);
        let segment = SegmentBytes::read(self.disk, &file.path);
        Some(segment.map(|segment| Part { file, segment, until, last }))
    }
}

/// The way through the segments of all logs: knows which number comes next.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Walk {
    expected: Option<(LogId, u64)>,
}

impl Walk {
    /// Tells what a part has to say, in order, and where it ends.
    pub(in crate::ledger) fn through(
        &mut self,
        part: &Part,
        segment: &SegmentBytes,
        mut tell: impl FnMut(Item<'_>),
    ) -> usize {
        let log = segment.header.log;
        let begin = segment.header.first_lsn.min(part.until);
        let next_lsn = match self.expected {
            Some((known, lsn)) if known == log => lsn,
            _ => begin,
        };
        if begin > next_lsn {
            tell(Item::Gap { lost: begin - next_lsn });
        }
        let mut scan = segment.scan(next_lsn.max(begin));
        while let Some(item) = scan.next_before(part.until) {
            tell(item);
        }
        self.expected = Some((log, scan.next_lsn));
        scan.at
    }

    /// The number of the last record that was told, or is known to be missing.
    pub(super) fn last(&self) -> u64 {
        self.expected.map_or(0, |(_, next_lsn)| next_lsn - 1)
    }
}

/// A segment read into memory.
#[derive(Debug)]
pub(in crate::ledger) struct SegmentBytes {
    pub(in crate::ledger) header: SegmentHeader,
    bytes: Vec<u8>,
}

impl SegmentBytes {
    /// Reads a segment; none when its header is not that of a segment.
    fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let bytes = disk.read(path)?;
        Ok(SegmentHeader::decode(&bytes).map(|header| Self { header, bytes }))
    }

    /// The records, from the first one on.
    pub(super) fn scan(&self, next_lsn: u64) -> Scan<'_> {
        let seed = record::seed(self.header.log, self.header.number);
        Scan { bytes: &self.bytes, at: segment::HEADER as usize, seed, next_lsn }
    }

    /// Every byte of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What lies behind the place where a scan has ended, without the zeros at its end.
    pub(super) fn tail(&self, at: usize) -> &[u8] {
        let tail = &self.bytes[at..];
        let used = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &tail[..used]
    }
}

/// Walks over the records in some bytes of one segment.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct Scan<'a> {
    pub(in crate::ledger) bytes: &'a [u8],
    /// Where the next record should begin.
    pub(in crate::ledger) at: usize,
    pub(in crate::ledger) seed: u32,
    /// The number that the next record should have.
    pub(in crate::ledger) next_lsn: u64,
}

/// What a scan finds.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) enum Item<'a> {
    Record(Record<'a>),
    /// Records are missing before the next one.
    Gap {
        lost: u64,
    },
}

impl<'a> Scan<'a> {
    /// The record that begins right here. Moves behind those that an earlier segment has told.
    pub(in crate::ledger) fn here(&mut self) -> Option<Record<'a>> {
        loop {
            let record = record::parse(self.bytes.get(self.at..)?, self.seed)?;
            if record.lsn >= self.next_lsn {
                return Some(record);
            }
            self.at += record::HEADER + record.payload.len();
        }
    }

    /// Moves behind a record that [`here`](Self::here) gave.
    pub(in crate::ledger) fn pass(&mut self, record: &Record<'_>) {
        self.at += record::HEADER + record.payload.len();
        self.next_lsn = record.lsn + 1;
    }

    /// Moves to the next undamaged record; false, unmoved, when there is none.
    pub(in crate::ledger) fn resume(&mut self) -> bool {
        let mut probe = self.clone();
        while let Some(at) = record::next_magic(probe.bytes, probe.at) {
            probe.at = at;
            if probe.here().is_some() {
                self.at = probe.at;
                return true;
            }
            probe.at = probe.at.max(at + 1);
        }
        false
    }

    /// True when nothing but zeros, or nothing at all, is left where the next record would begin.
    pub(in crate::ledger) fn at_blank(&self) -> bool {
        self.bytes.get(self.at..).is_none_or(|rest| rest.iter().take(record::HEADER).all(|byte| *byte == 0))
    }
}

impl<'a> Scan<'a> {
    /// The next thing before the record numbered `until`, where the scan stops.
    pub(super) fn next_before(&mut self, until: u64) -> Option<Item<'a>> {
        if self.here().is_none() && !self.resume() {
            return None;
        }
        let record = self.here()?;
        if record.lsn >= until {
            return None;
        }
        if record.lsn > self.next_lsn {
            let lost = record.lsn - self.next_lsn;
            self.next_lsn = record.lsn;
            return Some(Item::Gap { lost });
        }
        self.pass(&record);
        Some(Item::Record(record))
    }
}
