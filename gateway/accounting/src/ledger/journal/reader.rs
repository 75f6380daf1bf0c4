//! Reading segments: one scan, shared by recovery, the loader and the audit.
//!
//! Whatever the bytes are, a scan gives undamaged records only, in order, says what is missing
//! between them, and ends.

use std::{fs, io, path::Path};

use super::{
    record::{self, Record},
    segment::{self, SegmentHeader},
};

/// A segment read into memory.
#[derive(Debug)]
pub(in crate::ledger) struct SegmentBytes {
    pub(in crate::ledger) header: SegmentHeader,
    bytes: Vec<u8>,
}

impl SegmentBytes {
    /// Reads a segment; none when its header is not that of a segment.
    pub(in crate::ledger) fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = fs::read(path)?;
        Ok(SegmentHeader::decode(&bytes).map(|header| Self { header, bytes }))
    }

    /// The records, from the first one on.
    pub(in crate::ledger) fn scan(&self, next_lsn: u64) -> Scan<'_> {
        let seed = record::seed(self.header.log, self.header.number);
        Scan { bytes: &self.bytes, at: segment::HEADER as usize, seed, next_lsn }
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
    /// The record that begins right here.
    pub(in crate::ledger) fn here(&self) -> Option<Record<'a>> {
        let record = record::parse(self.bytes.get(self.at..)?, self.seed)?;
        (record.lsn >= self.next_lsn).then_some(record)
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
                self.at = at;
                return true;
            }
            probe.at += 1;
        }
        false
    }

    /// True when nothing but zeros, or nothing at all, is left where the next record would begin.
    pub(in crate::ledger) fn at_blank(&self) -> bool {
        self.bytes.get(self.at..).is_none_or(|rest| rest.iter().take(record::HEADER).all(|byte| *byte == 0))
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if self.here().is_none() && !self.resume() {
            return None;
        }
        let record = self.here()?;
        if record.lsn > self.next_lsn {
            let lost = record.lsn - self.next_lsn;
            self.next_lsn = record.lsn;
            return Some(Item::Gap { lost });
        }
        self.pass(&record);
        Some(Item::Record(record))
    }
}
