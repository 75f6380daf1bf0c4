//! The close of the books: from when on the past does not change any more.
//!
//! A closing names an instant and how far each log had been loaded then. What was loaded by then
//! stays where it is. A row that belongs before the instant and comes later is posted at the
//! instant, as an adjustment: sums of the closed time stay, sums of all time have every row once.
//! Whether a row is late depends on its place in the journal alone, so a store that is rebuilt from
//! the journal says the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_domain::{LogId, RequestId, UnixMillis};

use super::{
    codec::encode_entry,
    columns::rfc3339,
    entry::{Entry, Kind},
    state::Document,
    store::{Batch, Cursor, StoreError},
};

/// The books, closed up to an instant.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    /// The first instant that is still open.
    pub until: UnixMillis,
    /// When the books were closed.
    pub at: UnixMillis,
    /// The last number that the store had given to a row.
    pub seq: u64,
    /// The last record of each log that had been loaded, by the log's id in hexadecimal.
    logs: BTreeMap<String, u64>,
}

impl Closing {
    /// What documents of closings are called. A store reads them, as the one kind of document, when
    /// it takes rows.
    pub const KIND: &'static str = "closing";

    /// A closing at which the logs had been loaded so far.
    #[must_use]
    pub fn new(until: UnixMillis, at: UnixMillis, seq: u64, cursors: &[Cursor]) -> Self {
        let logs = cursors.iter().map(|cursor| (cursor.log.to_string(), cursor.lsn)).collect();
        Self { until, at, seq, logs }
    }

    /// The paper that a store keeps.
    #[must_use]
    pub fn document(&self) -> Document {
        let body = serde_json::to_string(self).expect("numbers and texts are JSON");
        Document { kind: Self::KIND.to_owned(), name: rfc3339(self.until), revision: 1, at: self.at, body }
    }

    /// The closings of these papers, the earliest first.
    ///
    /// # Errors
    /// A paper is not one that [`document`](Self::document) has made. Rows cannot be placed without it.
    pub fn of_documents<'a>(bodies: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, StoreError> {
        let read = |body| {
            serde_json::from_str(body)
                .map_err(|error| StoreError::Failed { store: "closing of the books", source: error.into() })
        };
        let mut closings = bodies.into_iter().map(read).collect::<Result<Vec<Self>, _>>()?;
        closings.sort_by_key(|closing| closing.until);
        Ok(closings)
    }

    fn had_loaded(&self, log: LogId, lsn: u64) -> bool {
        self.logs.get(&log.to_string()).is_some_and(|loaded| lsn <= *loaded)
    }
}

/// The first instant that is still open; none when nothing was ever closed.
#[must_use]
pub fn closed_until(closings: &[Closing]) -> Option<UnixMillis> {
    closings.iter().map(|closing| closing.until).max()
}

/// When a row of the journal counts that began at `started_at`: then, or at the first instant that
/// was open when it was loaded.
fn counts_at(closings: &[Closing], log: LogId, lsn: u64, started_at: UnixMillis) -> UnixMillis {
    closings.iter().fold(started_at, |at, closing| {
        if at < closing.until && !closing.had_loaded(log, lsn) { closing.until } else { at }
    })
}

/// The row as the ledger has it, if it came too late for the time that it belongs to.
///
/// It is an adjustment of itself: `adjusts` names the request, and so the time of the original. A
/// refusal stays one, since it adjusts nothing; so does the target of a correction.
pub(super) fn late(closings: &[Closing], log: LogId, lsn: u64, entry: &Entry) -> Option<Entry> {
    let at = counts_at(closings, log, lsn, entry.started_at);
    (at != entry.started_at).then(|| Entry {
        id: late_id(entry.id, at),
        kind: if entry.kind == Kind::Refusal { Kind::Refusal } else { Kind::Adjustment },
        started_at: at,
        ended_at: entry.ended_at.max(at),
        adjusts: entry.adjusts.or(Some(entry.id)),
        ..entry.clone()
    })
}

/// An id at another time that follows from the first one, so that posting a row twice posts it once.
fn late_id(id: RequestId, at: UnixMillis) -> RequestId {
    let bits = u128::from_be_bytes(id.to_bytes());
    let random = (bits >> 64 & 0xfff) << 62 | bits & 0x3fff_ffff_ffff_ffff;
    let begun = (id.started_at().get() as u128 & 0xffff_ffff_ffff) << 26;
    RequestId::new(at, random ^ begun)
}

impl Batch {
    /// The batch with its late rows as adjustments of open time; none when no row is late, which is
    /// the rule. `is_known` tells whether the ledger has a row already: one that was counted in time
    /// is not counted again because another log tells of it too.
    ///
    /// # Errors
    /// Those of `is_known`.
    pub fn with_late_rows_posted<E>(
        &self,
        closings: &[Closing],
        mut is_known: impl FnMut(RequestId) -> Result<bool, E>,
    ) -> Result<Option<Self>, E> {
        let Some(open) = closed_until(closings) else { return Ok(None) };
        if self.rows.iter().all(|row| row.entry.started_at >= open) {
            return Ok(None);
        }
        let mut batch = Self { dead: self.dead.clone(), cursors: self.cursors.clone(), ..Self::default() };
        let mut bytes = Vec::new();
        for row in &self.rows {
            let late = match late(closings, row.log, row.lsn, &row.entry) {
                Some(late) if !is_known(row.entry.id)? => late,
                _ => {
                    batch.push(row.log, row.lsn, row.entry.clone(), self.encoded(row));
                    continue;
                }
            };
            bytes.clear();
            encode_entry(&late, &mut bytes);
            batch.push(row.log, row.lsn, late, &bytes);
        }
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::ledger::samples::{NOON, entry};

    const LOG: LogId = LogId::new(7);
    const DAY: i64 = 86_400_000;

    fn closing(days: i64, lsn: u64) -> Closing {
        let cursor = Cursor { log: LOG, lsn, segment: 1, offset: 0 };
        Closing::new(NOON.plus(days * DAY), NOON.plus(days * DAY + 5), 40, &[cursor])
    }

    fn batch(lsn: u64, number: u64) -> Batch {
        let entry = Entry { adjusts: None, ..entry(number) };
        let mut bytes = Vec::new();
        encode_entry(&entry, &mut bytes);
        let mut batch = Batch::default();
        batch.push(LOG, lsn, entry, &bytes);
        batch
    }

    fn posted(batch: &Batch, closings: &[Closing]) -> Option<Entry> {
        let posted = batch.with_late_rows_posted(closings, |_| Ok::<_, Infallible>(false));
        posted.unwrap_or_else(|never| match never {}).map(|batch| batch.rows[0].entry.clone())
    }

    #[test]
    fn a_row_counts_in_the_first_time_that_was_open_when_it_was_loaded() {
        let two = [closing(1, 10), closing(30, 20)];
        let cases = [("before both", 10, None), ("between them", 11, Some(1)), ("after both", 21, Some(30))];
        for (when, lsn, days) in cases {
            let found = posted(&batch(lsn, 1), &two).map(|entry| entry.started_at);
            let want = days.map(|days| NOON.plus(days * DAY));
            assert_eq!(found.filter(|at| *at != entry(1).started_at), want, "{when}");
        }
        assert!(posted(&batch(5, 1), &[]).is_none());
    }

    #[test]
    fn a_late_row_is_an_adjustment_that_names_its_request_and_keeps_its_figures() {
        let original = entry(1);
        let late = posted(&batch(11, 1), &[closing(1, 10)]).expect("late");
        assert_eq!((late.kind, late.adjusts), (Kind::Adjustment, Some(original.id)));
        assert_eq!(late.id.started_at(), late.started_at);
        assert_eq!((late.cost, late.usage, &late.meters), (original.cost, original.usage, &original.meters));
        let again = posted(&batch(12, 1), &[closing(1, 10)]).expect("late");
        assert_eq!(again.id, late.id, "another log that tells of it tells of the same row");
        assert_ne!(posted(&batch(11, 2), &[closing(1, 10)]).expect("late").id, late.id);
    }

    #[test]
    fn a_row_that_was_counted_in_time_is_not_posted_again() {
        let known = batch(11, 1).with_late_rows_posted(&[closing(1, 10)], |_| Ok::<_, Infallible>(true));
        let batch = known.unwrap_or_else(|never| match never {}).expect("a batch");
        assert_eq!(batch.rows[0].entry.id, entry(1).id, "the store finds that it has it");
    }

    #[test]
    fn a_closing_survives_as_a_paper() {
        let two = [closing(30, 20), closing(1, 10)];
        let papers = two.each_ref().map(Closing::document);
        let read = Closing::of_documents(papers.iter().map(|paper| paper.body.as_str())).expect("read");
        assert_eq!(read, [two[1].clone(), two[0].clone()]);
        assert_eq!(closed_until(&read), Some(two[0].until));
        assert!(Closing::of_documents(["{}"]).is_err());
    }
}
