//! A segment: a file of reserved size, named by its log and number, that holds records.
//!
//! The file begins with a header of its own, so that a file can be told by its content; the name
//! only orders them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tollgate_domain::LogId;

use super::{
    disk::{Disk, DiskFile},
    folders,
};

const MAGIC: [u8; 8] = *b"TGJOURN1";
/// Bytes before the first record.
pub(in crate::ledger) const HEADER: u64 = 64;
const EXTENSION: &str = "journal";

/// What a segment's header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::ledger) struct SegmentHeader {
    pub(in crate::ledger) log: LogId,
    /// From 1, without a gap within a log.
    pub(in crate::ledger) number: u32,
    /// The core whose writer made it.
    pub(in crate::ledger) core: u32,
    /// The number of the first record in it.
    pub(in crate::ledger) first_lsn: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; HEADER as usize] {
        let mut bytes = [0; HEADER as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&self.log.to_bytes());
        bytes[24..28].copy_from_slice(&self.number.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.core.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_lsn.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(in crate::ledger) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER as usize] = bytes.first_chunk()?;
        let sum = u32::from_le_bytes(*bytes.last_chunk()?);
        if bytes[..8] != MAGIC || crc32fast::hash(&bytes[..60]) != sum {
            return None;
        }
        Some(Self {
            log: LogId::from_bytes(*bytes[8..].first_chunk()?),
            number: u32::from_le_bytes(*bytes[24..].first_chunk()?),
            core: u32::from_le_bytes(*bytes[28..].first_chunk()?),
            first_lsn: u64::from_le_bytes(*bytes[32..].first_chunk()?),
        })
    }
}

/// A segment's file, as its name tells.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::ledger) struct SegmentFile {
    pub(in crate::ledger) log: LogId,
    pub(in crate::ledger) number: u32,
    pub(in crate::ledger) path: PathBuf,
}

/// The file that a log's segment has.
pub(in crate::ledger) fn path(folder: &Path, log: LogId, number: u32) -> PathBuf {
    folder.join(format!("{log}-{number:08}.{EXTENSION}"))
}

/// Every segment of the journal whose first folder is `home`, by log and number.
pub(in crate::ledger) fn list(disk: &dyn Disk, home: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    for folder in folders::all_of(disk, home)? {
        let paths = disk
            .list(&folder)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        for path in paths {
            let named = path.file_name().and_then(|name| name.to_str()).and_then(parse_name);
            if let Some((log, number)) = named {
                found.push(SegmentFile { log, number, path });
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A segment that is open for writing.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    /// The folder that it lies in.
    pub(super) folder: usize,
}

fn parse_name(name: &str) -> Option<(LogId, u32)> {
    let (log, number) = name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split_once('-')?;
    if log.len() != 32 {
        return None;
    }
    let log = u128::from_str_radix(log, 16).ok()?;
    Some((LogId::new(log), number.parse().ok()?))
}
