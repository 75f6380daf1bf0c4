//! Blocks: the ledger's rows as the table has them, up to [`MOST`] in one row of it.
//!
//! A block never reaches beyond the second in which its first row began, so what may hold a row of some
//! second is found by the first id alone. Blocks of one second may overlap.

use rusqlite::{CachedStatement, Row, Transaction, params};
use tollgate_accounting::ledger::StoreError;
use tollgate_domain::{RequestId, UnixMillis};

use super::{Outcome, count};

/// Rows of one block. Twice as many would hardly cost less, and who wants one row reads all of them.
pub(super) const MOST: usize = 128;
const ID: usize = 16;

/// The start of the second in which an exchange with this id began.
pub(super) fn second_of(id: RequestId) -> UnixMillis {
    let began = id.started_at().get();
    UnixMillis::new(began - began.rem_euclid(1_000))
}

/// A row in a block: its number, its id, its encoded form.
pub(super) type Kept<'a> = (u64, RequestId, &'a [u8]);

/// A block as it was read.
pub(super) struct Block {
    batch: u64,
    first_id: RequestId,
    ids: Vec<u8>,
    numbers: Vec<u8>,
    ends: Vec<u8>,
    entries: Vec<u8>,
}

impl Block {
    /// What [`read`](Self::read) needs, in its order.
    pub(super) const COLUMNS: &str = "batch, first_id, ids, numbers, ends, entries";

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            batch: count(row.get(0)?),
            first_id: RequestId::from_bytes(row.get(1)?),
            ids: row.get(2)?,
            numbers: row.get(3)?,
            ends: row.get(4)?,
            entries: row.get(5)?,
        })
    }

    /// The number of the first row of its batch.
    pub(super) fn batch(&self) -> u64 {
        self.batch
    }

    /// The second in which its rows began.
    pub(super) fn second(&self) -> UnixMillis {
        second_of(self.first_id)
    }

    /// Its rows, by id.
    pub(super) fn rows(&self) -> impl Iterator<Item = Outcome<Kept<'_>>> {
        let mut from = 0;
        let (numbers, ends) = (words(&self.numbers), words(&self.ends));
        ids(&self.ids).zip(numbers).zip(ends).map(move |((id, number), end)| {
            let end = end as usize;
            let entry = self.entries.get(from..end).ok_or_else(|| damaged(id))?;
            from = end;
            Ok((self.batch + u64::from(number), id, entry))
        })
    }
}

fn damaged(id: RequestId) -> StoreError {
    StoreError::BadRow { id, reason: "its block is shorter than it says".to_owned() }
}

fn ids(bytes: &[u8]) -> impl Iterator<Item = RequestId> {
    let (ids, _) = bytes.as_chunks::<ID>();
    ids.iter().map(|id| RequestId::from_bytes(*id))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u32::from_be_bytes(*word))
}

/// One row: its number and its encoded form.
pub(super) fn find(from: &Transaction<'_>, id: RequestId) -> Outcome<Option<(u64, Vec<u8>)>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {} FROM blocks WHERE first_id >= ? AND first_id <= ? AND substr(ids, -{ID}) >= ?",
        Block::COLUMNS
    ))?;
    let first = RequestId::first_at(second_of(id)).to_bytes();
    let mut blocks = select.query(params![first, id.to_bytes(), id.to_bytes()])?;
    while let Some(block) = blocks.next()? {
        let block = Block::read(block)?;
        for row in block.rows() {
            let (seq, found, entry) = row?;
            if found == id {
                return Ok(Some((seq, entry.to_vec())));
            }
        }
    }
    Ok(None)
}

/// The ids between these two, both of one second, that the ledger has; sorted.
pub(super) fn known(from: &Transaction<'_>, first: RequestId, last: RequestId) -> Outcome<Vec<RequestId>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT ids FROM blocks WHERE first_id >= ? AND first_id <= ? AND substr(ids, -{ID}) >= ?"
    ))?;
    let second = RequestId::first_at(second_of(first)).to_bytes();
    let mut blocks = select.query(params![second, last.to_bytes(), first.to_bytes()])?;
    let mut known = Vec::new();
    while let Some(block) = blocks.next()? {
        let bytes = block.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        known.extend(ids(bytes).filter(|id| (first..=last).contains(id)));
    }
    known.sort_unstable();
    Ok(known)
}

/// The number after the last one that a row was given.
pub(super) fn next_seq(from: &Transaction<'_>) -> Outcome<i64> {
    let mut last = from.prepare_cached("SELECT past FROM blocks ORDER BY place DESC LIMIT 1")?;
    let mut rows = last.query([])?;
    Ok(rows.next()?.map_or(Ok(1), |row| row.get(0))?)
}

/// The blocks of one batch, being written.
pub(super) struct Blocks<'a> {
    insert: CachedStatement<'a>,
    place: i64,
    batch: i64,
    past: i64,
    ids: Vec<u8>,
    numbers: Vec<u8>,
    ends: Vec<u8>,
    entries: Vec<u8>,
}

impl<'a> Blocks<'a> {
    /// Gives the batch, of `rows` rows, the next numbers.
    pub(super) fn begin(to: &'a Transaction<'_>, rows: usize) -> Outcome<Self> {
        let batch = next_seq(to)?;
        let insert = to.prepare_cached(
            "INSERT INTO blocks (place, batch, past, first_id, ids, numbers, ends, entries)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        Ok(Self {
            insert,
            place: batch,
            batch,
            past: batch + rows as i64,
            ids: Vec::new(),
            numbers: Vec::new(),
            ends: Vec::new(),
            entries: Vec::new(),
        })
    }

    /// Writes a block of rows that began in one second, in the order of their ids: which row of the batch
    /// each is, its id, its encoded form.
    pub(super) fn write<'r>(
        &mut self,
        rows: impl Iterator<Item = (usize, RequestId, &'r [u8])>,
    ) -> rusqlite::Result<()> {
        let Self { insert, place, batch, past, ids, numbers, ends, entries } = self;
        [&mut *ids, numbers, ends, entries].into_iter().for_each(Vec::clear);
        for (number, id, entry) in rows {
            ids.extend_from_slice(&id.to_bytes());
            entries.extend_from_slice(entry);
            // Batches and records are bounded, and so are both figures.
            numbers.extend_from_slice(&(number as u32).to_be_bytes());
            ends.extend_from_slice(&(entries.len() as u32).to_be_bytes());
        }
        insert.execute(params![*place, *batch, *past, ids.get(..ID), *ids, *numbers, *ends, *entries])?;
        *place += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_begins_at_its_first_millisecond() {
        let second = UnixMillis::new(1_790_812_800_000);
        for millis in [0, 1, 999] {
            assert_eq!(second_of(RequestId::new(second.plus(millis), 7)), second, "{millis}");
        }
        assert_eq!(second_of(RequestId::new(second.plus(1_000), 7)), second.plus(1_000));
    }

    #[test]
    fn a_block_that_is_shorter_than_it_says_is_told_by_the_row() {
        let (whole, cut) = (RequestId::from_bytes([1; ID]), RequestId::from_bytes([2; ID]));
        let block = Block {
            batch: 5,
            first_id: whole,
            ids: [whole.to_bytes(), cut.to_bytes()].concat(),
            numbers: vec![0, 0, 0, 1, 0, 0, 0, 0],
            ends: vec![0, 0, 0, 3, 0, 0, 0, 6],
            entries: b"onetw".to_vec(),
        };
        let rows: Vec<_> = block.rows().map(|row| row.map_err(StoreError::from)).collect();
        assert!(matches!(&rows[0], Ok((6, id, b"one")) if *id == whole));
        assert!(matches!(&rows[1], Err(StoreError::BadRow { id, .. }) if *id == cut));
    }
}
