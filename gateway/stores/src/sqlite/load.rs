//! Taking batches from the journal, each row once.

use rusqlite::{ErrorCode, Statement, Transaction, named_params, params};
use tollgate_accounting::ledger::{Batch, BatchRow, Cursor, DeadLetter, Loaded};
use tollgate_domain::LogId;

use super::{Outcome, closings, count, rollup::Rollups, signed};

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

/// Takes a batch. Rows get their numbers in the order of the batch, and are inserted in that of their
/// ids: logs take turns in time, and in order rows go to the end of the table, page by page.
pub(super) fn load(to: &Transaction<'_>, batch: &Batch) -> Outcome<Loaded> {
    let posted = closings::post_late_rows(to, batch)?;
    let batch = posted.as_ref().unwrap_or(batch);
    let first_seq = next_seq(to)?;
    let mut rows: Vec<Numbered<'_>> = (first_seq..).zip(&batch.rows).collect();
    rows.sort_by_key(|(_, row)| row.entry.id);
    let mut intake = Intake {
        to,
        batch,
        first_seq,
        ids: vec![NO_ROW; rows.len()],
        rollups: Rollups::default(),
        loaded: Loaded::default(),
    };
    let (groups, rest) = rows.as_chunks();
    let mut insert = to.prepare_cached(&insert_of_group())?;
    for group in groups {
        intake.take_group(group, &mut insert)?;
    }
    intake.take_singly(rest)?;
    intake.finish()
}

/// Rows that are inserted by one statement, which stays where it is in the table between them.
const GROUP: usize = 16;

/// Stands among the ids of a batch where a number was given to no row. No exchange has this id.
const NO_ROW: [u8; 16] = [0; 16];

/// A row and the number that it will have.
type Numbered<'a> = (i64, &'a BatchRow);

/// A batch on its way into the tables.
struct Intake<'a> {
    to: &'a Transaction<'a>,
    batch: &'a Batch,
    first_seq: i64,
    /// The rows taken, by number.
    ids: Vec<[u8; 16]>,
    rollups: Rollups<'a>,
    loaded: Loaded,
}

impl<'a> Intake<'a> {
    /// Takes rows that are probably all new.
    fn take_group(&mut self, group: &[Numbered<'a>; GROUP], insert: &mut Statement<'_>) -> Outcome<()> {
        for (at, (seq, row)) in group.iter().enumerate() {
            insert.raw_bind_parameter(4 * at + 1, row.entry.id.to_bytes())?;
            insert.raw_bind_parameter(4 * at + 2, seq)?;
            insert.raw_bind_parameter(4 * at + 3, row.entry.identity.project.as_str())?;
            insert.raw_bind_parameter(4 * at + 4, self.batch.encoded(row))?;
        }
        match insert.raw_execute() {
            Ok(GROUP) => {
                group.iter().for_each(|row| self.took(row));
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if is_for_the_content(&error) => {}
            Err(error) => return Err(error.into()),
        }
        // Some are known or refused, and nothing tells which: the others are taken back, then each
        // is offered by itself.
        let mut delete = self.to.prepare_cached("DELETE FROM entries WHERE id = ? AND seq = ?")?;
        for (seq, row) in group {
            delete.execute(params![row.entry.id.to_bytes(), seq])?;
        }
        self.take_singly(group)
    }

    fn take_singly(&mut self, rows: &[Numbered<'a>]) -> Outcome<()> {
        let mut insert = self.to.prepare_cached(INSERT_ONE)?;
        for numbered @ (seq, row) in rows {
            let encoded = self.batch.encoded(row);
            let project = row.entry.identity.project.as_str();
            match insert.execute(params![row.entry.id.to_bytes(), seq, project, encoded]) {
                Ok(0) => self.loaded.duplicates += 1,
                Ok(_) => self.took(numbered),
                Err(error) if is_for_the_content(&error) => {
                    let (reason, payload) = (error.to_string(), encoded.to_vec());
                    let letter = DeadLetter { log: row.log, lsn: row.lsn, reason, payload };
                    self.loaded.dead += keep_dead_letter(self.to, &letter)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn took(&mut self, (seq, row): &Numbered<'a>) {
        self.loaded.inserted += 1;
        self.ids[(seq - self.first_seq) as usize] = row.entry.id.to_bytes();
        self.rollups.count(&row.entry);
    }

    /// Writes what belongs to the batch as a whole.
    fn finish(mut self) -> Outcome<Loaded> {
        if self.loaded.inserted > 0 {
            self.to
                .prepare_cached("INSERT INTO batches (first_seq, ids) VALUES (?, ?)")?
                .execute(params![self.first_seq, self.ids.as_flattened()])?;
        }
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

const INSERT_ONE: &str =
    "INSERT INTO entries (id, seq, project, entry) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING";

/// Leaves out what cannot be taken, for whatever reason, and does not undo the rest: a statement of
/// several rows that could fail as a whole has SQLite copy every page before it touches it, a
/// kilobyte a row. Whoever is left out is offered by [`INSERT_ONE`], which tells why.
fn insert_of_group() -> String {
    let values = ["(?, ?, ?, ?)"; GROUP].join(", ");
    format!("INSERT OR IGNORE INTO entries (id, seq, project, entry) VALUES {values}")
}

/// The number after the last one that a row was given.
pub(super) fn next_seq(from: &Transaction<'_>) -> Outcome<i64> {
    let mut last = from
        .prepare_cached("SELECT first_seq + length(ids) / 16 FROM batches ORDER BY first_seq DESC LIMIT 1")?;
    let mut rows = last.query([])?;
    Ok(rows.next()?.map_or(Ok(1), |row| row.get(0))?)
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
