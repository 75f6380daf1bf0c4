//! A record's frame: how it is recognised, checked, and found again after damage.
//!
//! ```text
//! magic 4 | version 1 | type 1 | zero 2 | length 4 | crc 4 | lsn 8 | payload
//! ```
//! All numbers are little-endian. The checksum is CRC-32 (IEEE 802.3), which crc32fast computes
//! with carry-less multiplication; it catches every burst up to 32 bits, as CRC-32C would. It is
//! seeded with the log's identity and the segment's number, so that bytes of another log or of a
//! recycled file are never taken for records of this one.

use tollgate_domain::LogId;

const MAGIC: [u8; 4] = [0xf7, b'T', b'g', 0x1b];
const VERSION: u8 = 1;
/// Bytes before the payload.
pub(in crate::ledger) const HEADER: usize = 24;
/// The longest payload.
pub(in crate::ledger) const MAX_PAYLOAD: usize = 64 * 1024;

/// What a record says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::ledger) enum RecordType {
    /// A request is about to go upstream.
    Start = 1,
    /// Output has been counted so far.
    Checkpoint = 2,
    /// A row.
    End = 3,
    /// The log goes on in the next segment, or is closed.
    Seal = 4,
}

impl RecordType {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Start),
            2 => Some(Self::Checkpoint),
            3 => Some(Self::End),
            4 => Some(Self::Seal),
            _ => None,
        }
    }
}

/// A whole record as found in a segment.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Record<'a> {
    pub(in crate::ledger) kind: RecordType,
    pub(in crate::ledger) lsn: u64,
    pub(in crate::ledger) payload: &'a [u8],
}

/// The seed of a segment's checksums.
pub(in crate::ledger) fn seed(log: LogId, segment: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&log.to_bytes());
    hasher.update(&segment.to_le_bytes());
    hasher.finalize()
}

/// Makes room for a header as all that `out` holds; [`finish`] fills it once the payload follows.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.clear();
    begin_behind(out);
}

/// As [`begin`], behind what `out` holds.
pub(super) fn begin_behind(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; HEADER]);
}

/// Fills the header of the one record that `out` holds.
pub(super) fn finish(out: &mut [u8], kind: RecordType, lsn: u64, seed: u32) {
    let length = (out.len() - HEADER) as u32;
    out[..4].copy_from_slice(&MAGIC);
    out[4] = VERSION;
    out[5] = kind as u8;
    out[8..12].copy_from_slice(&length.to_le_bytes());
    out[16..24].copy_from_slice(&lsn.to_le_bytes());
    let sum = checksum(out, seed);
    out[12..16].copy_from_slice(&sum.to_le_bytes());
}

/// The record at the beginning of `bytes`, if a whole and undamaged one is there.
pub(in crate::ledger) fn parse(bytes: &[u8], seed: u32) -> Option<Record<'_>> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    if header[..4] != MAGIC || header[4] != VERSION {
        return None;
    }
    let kind = RecordType::from_byte(header[5])?;
    let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
    if length > MAX_PAYLOAD {
        return None;
    }
    let whole = bytes.get(..HEADER + length)?;
    let stored = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    if checksum(whole, seed) != stored {
        return None;
    }
    let lsn = u64::from_le_bytes(*header.last_chunk()?);
    Some(Record { kind, lsn, payload: &whole[HEADER..] })
}

/// The frames that lie one after the other in `bytes`, as [`finish`] made them.
pub(super) fn frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32::from_le_bytes(*rest.get(8..)?.first_chunk()?) as usize;
        let (frame, behind) = rest.split_at_checked(HEADER + length)?;
        rest = behind;
        Some(frame)
    })
}

/// The number of a finished frame.
pub(super) fn lsn_of(frame: &[u8]) -> u64 {
    let header: &[u8; HEADER] = frame.first_chunk().expect("a frame has a header");
    u64::from_le_bytes(*header.last_chunk().expect("longer than a number"))
}

/// Makes a finished frame one of the segment with this seed.
pub(super) fn reseal(frame: &mut [u8], seed: u32) {
    let sum = checksum(frame, seed);
    frame[12..16].copy_from_slice(&sum.to_le_bytes());
}

/// The next place at or after `from` where a record could begin.
pub(super) fn next_magic(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(bytes.get(from..)?, &MAGIC).map(|at| from + at)
}

fn checksum(record: &[u8], seed: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&record[..12]);
    hasher.update(&record[16..]);
    hasher.finalize()
}
