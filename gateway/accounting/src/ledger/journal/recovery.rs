//! Recovery: after a crash, every request whose START was written gets its row.
//!
//! It reads the logs of all cores of all former processes, however many there were. What a crash
//! cut off at the end of a log is set aside and removed; damage elsewhere is stepped over and
//! reported. Running it again changes nothing, also when it was itself interrupted.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
};

use smallvec::SmallVec;
use tollgate_domain::{LogId, Money, RequestId, UnixMillis, Usage, UsageSource};

use super::{
    Journal, JournalError, RolledBack,
    disk::{self, Disk},
    reader::{Item, Part, Scan, SegmentBytes, Segments, Walk},
    record::{self, Record, RecordType},
    segment::SegmentFile,
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
    /// Why the journal seems to be an older copy of itself; see [`Journal::recover_beside`].
    pub rolled_back: Vec<RolledBack>,
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
        self.read_dead_logs()?.close(self, now, |_| Ok(None))
    }

    /// Reads what former processes have left, and makes sure that it stays.
    pub(super) fn read_dead_logs(&self) -> Result<Recovery, JournalError> {
        let fail = |source| self.shared.failed(source);
        let live: HashSet<LogId> = self.shared.logs.read().iter().map(|log| log.id()).collect();
        let disk = self.shared.folders.disk();
        // What is found is relied on from here on, and so its names must last, too.
        self.shared.folders.sync_all_names().map_err(fail)?;
        let (mut recovery, mut walk) = (Recovery::default(), Walk::default());
        for part in Segments::of(disk, self.folder(), |log| live.contains(&log)).map_err(fail)? {
            recovery.part(disk, &mut walk, &part.map_err(fail)?).map_err(fail)?;
        }
        Ok(recovery)
    }
}

/// The former processes' logs, read.
#[derive(Default)]
pub(super) struct Recovery {
    pub(super) found: Recovered,
    decoder: Decoder,
    open: HashMap<RequestId, OpenRequest>,
    /// Rows whose START has not been seen: it may come in another log, or be lost.
    closed: HashSet<RequestId>,
    /// The last record of each log.
    pub(super) ends: HashMap<LogId, u64>,
}

impl Recovery {
    /// Gives each open request its row: the one that is `known` elsewhere, else one from its START.
    pub(super) fn close<E: From<JournalError>>(
        mut self,
        journal: &Journal,
        now: UnixMillis,
        mut known: impl FnMut(RequestId) -> Result<Option<Entry>, E>,
    ) -> Result<Recovered, E> {
        let mut open: Vec<OpenRequest> = self.open.into_values().collect();
        open.retain(|request| !self.closed.contains(&request.row.id));
        if open.is_empty() {
            return Ok(self.found);
        }
        open.sort_by_key(|request| request.row.id);
        let mut writer = journal.writer(RECOVERY_CORE)?;
        for request in open {
            let row = match known(request.row.id)? {
                Some(row) => row,
                None => row_of(request, now),
            };
            writer.end(&row).map_err(E::from)?;
            self.found.rows += 1;
        }
        drop(writer);
        journal.sync()?;
        Ok(self.found)
    }

    fn part(&mut self, disk: &dyn Disk, walk: &mut Walk, part: &Part) -> io::Result<()> {
        self.found.segments += 1;
        let Some(segment) = &part.segment else {
            return self.headless(disk, part);
        };
        confirm(disk, &part.file, segment)?;
        let end = walk.through(part, segment, |item| match item {
            Item::Record(record) => self.record(&record),
            Item::Gap { lost } => self.gap(&part.file, lost),
        });
        self.ends.insert(part.file.log, walk.last());
        let tail = segment.tail(end);
        // The unfinished end of a log is what a crash leaves. Behind the end of another segment may
        // stand what later ones tell again; if something is missing, their numbers show it.
        if part.last && !tail.is_empty() {
            self.found.torn_tails += 1;
            quarantine(disk, &part.file, end, tail)?;
        }
        if part.last || !tail.is_empty() {
            truncate(disk, &part.file.path, end as u64)?;
        }
        Ok(())
    }

    /// A file without a segment's header. Where no record is in it either, the crash came before its
    /// first bytes were on the device, or its log has given it up; if anything is missing, the numbers
    /// of the log's other records show it. Else the file is damaged.
    fn headless(&mut self, disk: &dyn Disk, part: &Part) -> io::Result<()> {
        let bytes = disk.read(&part.file.path)?;
        let seed = record::seed(part.file.log, part.file.number);
        if (Scan { bytes: &bytes, at: 0, seed, next_lsn: 0 }).resume() {
            self.gap(&part.file, 0);
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            self.found.torn_tails += 1;
            quarantine(disk, &part.file, 0, &bytes)?;
        }
        disk.remove(&part.file.path)
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

/// Makes sure that what was read stays: the former process may have died with records that only the
/// system's memory held, and from here on others rely on them.
fn confirm(disk: &dyn Disk, file: &SegmentFile, segment: &SegmentBytes) -> io::Result<()> {
    match disk.open(&file.path)?.sync() {
        Ok(()) => Ok(()),
        // The device has refused some of it, and the next sync would not tell. The bytes are here.
        Err(_) => disk::replace(disk, &file.path, segment.bytes()),
    }
}

/// Keeps the unfinished end of a log for people to look at.
fn quarantine(disk: &dyn Disk, file: &SegmentFile, at: usize, tail: &[u8]) -> io::Result<()> {
    let folder = file.path.parent().unwrap_or_else(|| Path::new(".")).join("quarantine");
    disk.make_folder(&folder)?;
    let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
    disk::replace(disk, &folder.join(format!("{name}-{at}.torn")), tail)
}

fn truncate(disk: &dyn Disk, path: &Path, length: u64) -> io::Result<()> {
    if disk.about(path)?.length == length {
        return Ok(());
    }
    let file = disk.open(path)?;
    file.set_len(length)?;
    file.sync()
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod tests;
