//! Recovery: after a crash, every request whose START was written gets its row.
//!
//! It reads the logs of all cores of all former processes, however many there were. What a crash
//! cut off at the end of a log is set aside and removed; damage elsewhere is stepped over and
//! reported. Running it again changes nothing, also when it was itself interrupted.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::Path,
};

use smallvec::SmallVec;
use tollgate_domain::{LogId, Money, RequestId, UnixMillis, Usage, UsageSource};

use super::{
    Journal, JournalError,
    reader::{Item, SegmentBytes},
    record::{Record, RecordType},
    segment::{self, SegmentFile},
};
use crate::{
    ledger::{
        codec::{Decoder, OpenRequest},
        entry::{End, Entry, Flags, Kind},
    },
    price::{Meter, MeterKind},
};

/// The core number of the log that recovery itself writes.
const RECOVERY_CORE: usize = u32::MAX as usize;

/// What recovery found and did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// Segments that were read.
    pub segments: u64,
    /// Undamaged records in them.
    pub records: u64,
    /// Rows that were made for requests which a crash had left open.
    pub rows: u64,
    /// Unfinished ends of logs that were set aside.
    pub torn_tails: u64,
    /// Damage that no crash explains. The journal goes on after it; what it held is lost.
    pub gaps: Vec<Gap>,
}

/// A place in a log where records are missing.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Gap {
    /// The file.
    pub file: String,
    /// How many records are missing, as far as the numbers around tell.
    pub lost: u64,
}

impl Journal {
    /// Closes what former processes left open. Call it once, before the first request.
    ///
    /// A request without a row is charged by its START: the reserved output where a hard budget
    /// applies, since the provider may have generated all of it and the budget must hold; else the
    /// output counted last. Its row ends as [`End::Recovered`].
    ///
    /// # Errors
    /// The folder cannot be read or written. What was done stays; call again.
    pub fn recover(&self, now: UnixMillis) -> Result<Recovered, JournalError> {
        let fail = |source| JournalError::Io { path: self.folder().to_owned(), source };
        let live: HashSet<LogId> = self.shared.logs.read().iter().map(|log| log.id()).collect();
        let mut scan = Recovery::default();
        let files = segment::list(self.folder()).map_err(fail)?;
        let dead = files.iter().filter(|file| !live.contains(&file.log)).collect::<Vec<_>>();
        for (at, file) in dead.iter().enumerate() {
            let last = dead.get(at + 1).is_none_or(|next| next.log != file.log);
            scan.segment(self.folder(), file, last).map_err(fail)?;
        }
        let mut open: Vec<OpenRequest> = scan.open.into_values().collect();
        open.retain(|request| !scan.closed.contains(&request.row.id));
        open.sort_by_key(|request| request.row.id);
        if !open.is_empty() {
            let mut writer = self.writer(RECOVERY_CORE)?;
            for request in open {
                writer.end(&row_of(request, now))?;
                scan.found.rows += 1;
            }
            drop(writer);
            self.sync()?;
        }
        Ok(scan.found)
    }
}

#[derive(Default)]
struct Recovery {
    found: Recovered,
    decoder: Decoder,
    open: HashMap<RequestId, OpenRequest>,
    /// Rows whose START has not been seen: it may come in another log, or be lost.
    closed: HashSet<RequestId>,
    /// The log being read, and the number that its next record should have.
    expected: Option<(LogId, u64)>,
}

impl Recovery {
    fn segment(&mut self, folder: &Path, file: &SegmentFile, last: bool) -> io::Result<()> {
        self.found.segments += 1;
        let Some(segment) = SegmentBytes::read(&file.path)? else {
            return self.headless(file, last);
        };
        let first = segment.header.first_lsn;
        let next_lsn = match self.expected {
            Some((log, lsn)) if log == file.log => lsn,
            _ => first,
        };
        let mut scan = segment.scan(next_lsn);
        for item in scan.by_ref() {
            match item {
                Item::Record(record) => self.record(&record),
                Item::Gap { lost } => self.gap(file, lost),
            }
        }
        self.expected = Some((file.log, scan.next_lsn));
        let tail = segment.tail(scan.at);
        if last {
            if !tail.is_empty() {
                self.found.torn_tails += 1;
                quarantine(folder, file, scan.at, tail)?;
            }
            truncate(&file.path, scan.at as u64)?;
        } else if !tail.is_empty() {
            self.gap(file, 0);
        }
        Ok(())
    }

    /// A file without a segment's header: the crash came before its first byte was on the device,
    /// or the file is damaged.
    fn headless(&mut self, file: &SegmentFile, last: bool) -> io::Result<()> {
        let blank = fs::read(&file.path)?.iter().all(|byte| *byte == 0);
        if !blank {
            self.gap(file, 0);
        } else if last {
            fs::remove_file(&file.path)?;
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) {
        self.found.records += 1;
        match record.kind {
            RecordType::Start => {
                if let Ok(request) = self.decoder.start(record.payload) {
                    self.open.insert(request.row.id, request);
                }
            }
            RecordType::Checkpoint => {
                let Ok((id, _)) = Decoder::head(record.payload) else { return };
                let tokens = Decoder::checkpoint(record.payload).unwrap_or_default();
                if let Some(request) = self.open.get_mut(&id) {
                    request.output_so_far = request.output_so_far.max(tokens);
                }
            }
            RecordType::End => {
                let Ok((id, kind)) = Decoder::head(record.payload) else { return };
                if self.open.remove(&id).is_none() && kind == Some(Kind::Usage) {
                    self.closed.insert(id);
                }
            }
            RecordType::Seal => {}
        }
    }

    fn gap(&mut self, file: &SegmentFile, lost: u64) {
        let name = file.path.file_name().unwrap_or_default();
        self.found.gaps.push(Gap { file: name.to_string_lossy().into_owned(), lost });
    }
}

/// The row of a request of which only the START, and perhaps CHECKPOINTs, were written.
fn row_of(open: OpenRequest, now: UnixMillis) -> Entry {
    let output = if open.hard { open.output_reserved.max(open.output_so_far) } else { open.output_so_far };
    let mut row = open.row;
    row.kind = Kind::Usage;
    row.end = Some(End::Recovered);
    row.ended_at = now.max(row.started_at);
    row.duration_ms = u32::try_from(row.ended_at.since(row.started_at)).unwrap_or(u32::MAX);
    row.usage_source = UsageSource::Estimated;
    row.usage = Usage { input_uncached: open.input_estimate, output_text: output, ..Usage::default() };
    let Some(price) = open.price else {
        row.flags.insert(Flags::UNPRICED);
        return row;
    };
    let quantities =
        [(MeterKind::Input, open.input_estimate, price.input), (MeterKind::Output, output, price.output)];
    row.meters = quantities
        .into_iter()
        .filter(|(_, quantity, _)| *quantity > 0)
        .map(|(meter, quantity, unit_price)| Meter {
            meter,
            quantity,
            unit_price,
            list_price: None,
            cost: unit_price.times(quantity),
            price_id: price.price_id.clone(),
        })
        .collect::<SmallVec<[Meter; 4]>>();
    row.cost = Some(row.meters.iter().map(|meter| meter.cost).sum::<Money>());
    row.currency = price.currency;
    row
}

/// Keeps the unfinished end of a log for people to look at.
fn quarantine(folder: &Path, file: &SegmentFile, at: usize, tail: &[u8]) -> io::Result<()> {
    let folder = folder.join("quarantine");
    fs::create_dir_all(&folder)?;
    let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
    let copy = folder.join(format!("{name}-{at}.torn"));
    fs::write(&copy, tail)?;
    File::open(&copy)?.sync_all()
}

fn truncate(path: &Path, length: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    if file.metadata()?.len() != length {
        file.set_len(length)?;
        file.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod tests;
