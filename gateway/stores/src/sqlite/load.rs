//! Taking batches from the journal, each row once.

use rusqlite::{ErrorCode, Transaction, named_params, params};
use tollgate_accounting::ledger::{Batch, BatchRow, Cursor, DeadLetter, Loaded};
use tollgate_domain::LogId;

use super::{
    Outcome,
    blocks::{self, Blocks, second_of},
    closings, count,
    rollup::Rollups,
    signed,
};

/// How far each log was taken.
pub(super) fn cursors(from: &Transaction<'_>) -> Outcome<Vec<Cursor>> {
    let mut query = from.prepare_cached("SELECT log, lsn, segment, offset FROM cursors")?;
    let cursors = query.query_map([], |row| {
        Ok(Cursor {
            log: LogId::from_bytes(row.get(0)?),
            lsn: count(row.get(1)?),
            segment: row.get(2)?,
            offset: count(row.get(3)?),
        })
    })?;
    Ok(cursors.collect::<Result<_, _>>()?)
}

/// How many records could not become rows.
pub(super) fn dead_letters(from: &Transaction<'_>) -> Outcome<u64> {
    Ok(count(from.query_row("SELECT count(*) FROM dead_letters", [], |row| row.get(0))?))
}

/// Takes a batch. Rows get their numbers in the order of the batch, and lie in that of their ids: logs
/// take turns in time.
pub(super) fn load(to: &Transaction<'_>, batch: &Batch) -> Outcome<Loaded> {
    let posted = closings::post_late_rows(to, batch)?;
    let batch = posted.as_ref().unwrap_or(batch);
    let mut rows: Vec<Numbered<'_>> = batch.rows.iter().enumerate().collect();
    rows.sort_by_key(|(_, row)| row.entry.id);
    let mut intake = Intake {
        to,
        batch,
        blocks: Blocks::begin(to, rows.len())?,
        rollups: Rollups::default(),
        loaded: Loaded::default(),
    };
    for second in rows.chunk_by(|(_, row), (_, next)| second_of(row.entry.id) == second_of(next.entry.id)) {
        intake.take_second(second)?;
    }
    intake.finish()
}

/// A row and its place in the batch.
type Numbered<'a> = (usize, &'a BatchRow);

/// A batch on its way into the tables.
struct Intake<'a> {
    to: &'a Transaction<'a>,
    batch: &'a Batch,
    blocks: Blocks<'a>,
    rollups: Rollups<'a>,
    loaded: Loaded,
}

impl<'a> Intake<'a> {
    /// Takes the rows that began in one second, as far as they are new.
    fn take_second(&mut self, rows: &[Numbered<'a>]) -> Outcome<()> {
        let [(_, first), ..] = rows else { return Ok(()) };
        let last = rows.last().map_or(first, |(_, last)| last);
        let known = blocks::known(self.to, first.entry.id, last.entry.id)?;
        let mut new = rows.to_vec();
        new.dedup_by_key(|(_, row)| row.entry.id);
        if !known.is_empty() {
            new.retain(|(_, row)| known.binary_search(&row.entry.id).is_err());
        }
        self.loaded.duplicates += (rows.len() - new.len()) as u64;
        new.chunks(blocks::MOST).try_for_each(|block| self.take_block(block))
    }

    /// Takes new rows as one block, or, when that is refused for what is in it, one by one.
    fn take_block(&mut self, rows: &[Numbered<'a>]) -> Outcome<()> {
        let batch = self.batch;
        let written = rows.iter().map(|(number, row)| (*number, row.entry.id, batch.encoded(row)));
        match (self.blocks.write(written), rows) {
            (Ok(()), _) => {
                self.loaded.inserted += rows.len() as u64;
                rows.iter().for_each(|(_, row)| self.rollups.count(&row.entry));
                Ok(())
            }
            (Err(error), [(_, row)]) if is_for_the_content(&error) => {
                let (reason, payload) = (error.to_string(), batch.encoded(row).to_vec());
                let letter = DeadLetter { log: row.log, lsn: row.lsn, reason, payload };
                self.loaded.dead += keep_dead_letter(self.to, &letter)?;
                Ok(())
            }
            (Err(error), _) if is_for_the_content(&error) => {
                rows.chunks(1).try_for_each(|row| self.take_block(row))
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Writes what belongs to the batch as a whole.
    fn finish(mut self) -> Outcome<Loaded> {
        self.rollups.add_to(self.to)?;
        for letter in &self.batch.dead {
            self.loaded.dead += keep_dead_letter(self.to, letter)?;
        }
        for cursor in &self.batch.cursors {
            set_cursor(self.to, cursor)?;
        }
        Ok(self.loaded)
    }
}

/// True when the row itself is refused; false when the store is in trouble and may take it later.
fn is_for_the_content(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
    )
}

fn keep_dead_letter(to: &Transaction<'_>, letter: &DeadLetter) -> Outcome<u64> {
    let kept = to
        .prepare_cached(
            "INSERT INTO dead_letters (log, lsn, reason, payload) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![letter.log.to_bytes(), signed(letter.lsn), letter.reason, letter.payload])?;
    Ok(kept as u64)
}

/// Moves a cursor; it never goes back, whatever order batches come in.
fn set_cursor(to: &Transaction<'_>, cursor: &Cursor) -> Outcome<()> {
    to.prepare_cached(
        "INSERT INTO cursors (log, lsn, segment, offset) VALUES (:log, :lsn, :segment, :offset)
         ON CONFLICT (log) DO UPDATE SET lsn = :lsn, segment = :segment, offset = :offset WHERE lsn < :lsn",
    )?
    .execute(named_params! {
        ":log": cursor.log.to_bytes(),
        ":lsn": signed(cursor.lsn),
        ":segment": cursor.segment,
        ":offset": signed(cursor.offset),
    })?;
    Ok(())
}
