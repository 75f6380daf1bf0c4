//! Taking batches from the journal, each row once.

use rusqlite::{ErrorCode, Transaction, named_params, params};
use tollgate_accounting::ledger::{Batch, Cursor, DeadLetter, Loaded};
use tollgate_domain::LogId;

use super::{Outcome, count, rollup::Rollups, signed};

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

/// Takes a batch.
pub(super) fn load(to: &Transaction<'_>, batch: &Batch) -> Outcome<Loaded> {
    let mut loaded = Loaded::default();
    let first_seq = next_seq(to)?;
    let mut ids: Vec<u8> = Vec::new();
    let mut rollups = Rollups::default();
    let mut insert = to.prepare_cached(
        "INSERT INTO entries (id, seq, project, entry) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
    )?;
    for row in &batch.rows {
        let id = row.entry.id.to_bytes();
        let seq = first_seq + signed(loaded.inserted);
        let project = row.entry.identity.project.as_str();
        match insert.execute(params![id, seq, project, batch.encoded(row)]) {
            Ok(0) => loaded.duplicates += 1,
            Ok(_) => {
                loaded.inserted += 1;
                ids.extend_from_slice(&id);
                rollups.count(&row.entry);
            }
            Err(error) if is_for_the_content(&error) => {
                let payload = batch.encoded(row).to_vec();
                let letter = DeadLetter { log: row.log, lsn: row.lsn, reason: error.to_string(), payload };
                loaded.dead += keep_dead_letter(to, &letter)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if !ids.is_empty() {
        to.prepare_cached("INSERT INTO batches (first_seq, ids) VALUES (?, ?)")?
            .execute(params![first_seq, ids])?;
    }
    rollups.add_to(to)?;
    for letter in &batch.dead {
        loaded.dead += keep_dead_letter(to, letter)?;
    }
    for cursor in &batch.cursors {
        set_cursor(to, cursor)?;
    }
    Ok(loaded)
}

/// The number after the last one that a row was given.
fn next_seq(from: &Transaction<'_>) -> Outcome<i64> {
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
