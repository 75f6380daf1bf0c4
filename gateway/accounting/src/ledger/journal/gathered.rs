//! Records that are to be written by one write.

use std::ops::Range;

use super::record::{self, MAX_PAYLOAD, RecordType};

/// Frames, one after the other, that have no numbers yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    frames: Vec<(RecordType, Range<usize>)>,
}

impl Gathered {
    /// Adds a record, whose payload `encode` appends to what is given it.
    ///
    /// # Errors
    /// The length of a payload that is too long; nothing was added.
    pub(super) fn add(&mut self, kind: RecordType, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), usize> {
        let from = self.bytes.len();
        record::begin_behind(&mut self.bytes);
        encode(&mut self.bytes);
        let payload = self.bytes.len() - from - record::HEADER;
        if payload > MAX_PAYLOAD {
            self.bytes.truncate(from);
            return Err(payload);
        }
        self.frames.push((kind, from..self.bytes.len()));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn has(&self, kind: RecordType) -> bool {
        self.frames.iter().any(|(known, _)| *known == kind)
    }

    /// How many records there are.
    pub(super) fn len(&self) -> u64 {
        self.frames.len() as u64
    }

    /// The longest record's length.
    pub(super) fn longest(&self) -> u64 {
        self.frames.iter().map(|(_, frame)| frame.len() as u64).max().unwrap_or_default()
    }

    /// Each record, in order.
    pub(super) fn each(&mut self) -> impl Iterator<Item = (RecordType, &mut [u8])> {
        let mut rest = self.bytes.as_mut_slice();
        self.frames.iter().map(move |(kind, frame)| {
            let (first, behind) = std::mem::take(&mut rest).split_at_mut(frame.len());
            rest = behind;
            (*kind, first)
        })
    }

    /// Gives the records their numbers, from `first` on, and all of their bytes.
    pub(super) fn finish(&mut self, first: u64, seed: u32) -> &[u8] {
        for (lsn, (kind, frame)) in (first..).zip(self.each()) {
            record::finish(frame, kind, lsn, seed);
        }
        &self.bytes
    }

    /// How many bytes they are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Forgets all of them and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }
}
