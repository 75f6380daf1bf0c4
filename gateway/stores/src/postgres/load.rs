//! Taking batches from the journals of all replicas, each row once.

use std::{collections::HashSet, pin::pin};

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::{Client, error::SqlState, types::Type};
use tollgate_accounting::ledger::{Batch, BatchRow, Cursor, DeadLetter, Loaded};
use tollgate_domain::{LogId, RequestId};
use uuid::Uuid;

use super::{
    Failure, Outcome, closings, columns, count,
    months::{self, Month},
    rollup::Rollups,
    signed, text,
};

/// How far each log was taken.
pub(super) async fn cursors(from: &Client) -> Outcome<Vec<Cursor>> {
    let cursors = "SELECT log, lsn, segment, \"offset\" FROM tollgate.cursors ORDER BY log";
    let rows = from.query_typed(cursors, &[]).await?;
    let cursor = |row: &tokio_postgres::Row| -> Outcome<Cursor> {
        Ok(Cursor {
            log: LogId::from_bytes(row.try_get::<_, Uuid>(0)?.into_bytes()),
            lsn: count(row.try_get(1)?),
            segment: u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX),
            offset: count(row.try_get(3)?),
        })
    };
    rows.iter().map(cursor).collect()
}

/// How many records could not become rows.
pub(super) async fn dead_letters(from: &Client) -> Outcome<u64> {
    let found = from.query_typed_one("SELECT count(*) FROM tollgate.dead_letters", &[]).await?;
    Ok(count(found.try_get(0)?))
}

/// Gives the number of the last row, and keeps everybody else from taking or dropping rows until the
/// transaction ends.
pub(super) async fn lock_sequence(to: &Client) -> Outcome<i64> {
    let last = to.query_typed_one("SELECT last_seq FROM tollgate.sequence FOR UPDATE", &[]).await?;
    Ok(last.try_get(0)?)
}

/// Takes a batch.
pub(super) async fn load(to: &Client, batch: &Batch) -> Outcome<Loaded> {
    let last_seq = lock_sequence(to).await?;
    let mut known = known(to, batch).await?;
    let posted = closings::post_late_rows(to, batch, &known).await?;
    let batch = match &posted {
        None => batch,
        Some(posted) => {
            known = self::known(to, posted).await?;
            posted
        }
    };
    let fresh: Vec<&BatchRow> = batch.rows.iter().filter(|row| known.insert(row.entry.id)).collect();
    let duplicates = (batch.rows.len() - fresh.len()) as u64;
    let loaded = Loaded { duplicates, ..Loaded::default() };
    let mut intake = Intake { to, batch, rollups: Rollups::default(), loaded };
    if !fresh.is_empty() {
        let months = fresh.iter().map(|row| Month::of(months::started(row.entry.id))).collect();
        months::make(to, &months).await?;
        let numbered: Vec<Numbered<'_>> = (last_seq + 1..).zip(fresh).collect();
        intake.take(&numbered).await?;
        let given = signed(numbered.len() as u64);
        let go_on = "UPDATE tollgate.sequence SET last_seq = last_seq + $1";
        to.execute_typed(go_on, &[(&given, Type::INT8)]).await?;
    }
    intake.finish().await
}

/// A row and the number that it will have.
type Numbered<'a> = (i64, &'a BatchRow);

/// A batch on its way into the tables.
struct Intake<'a> {
    to: &'a Client,
    batch: &'a Batch,
    rollups: Rollups<'a>,
    loaded: Loaded,
}

/// What the server says to rows.
enum Verdict {
    Taken,
    /// At least one of them is refused for what it holds.
    Refused(tokio_postgres::Error),
}

impl<'a> Intake<'a> {
    /// Takes new rows. The server tells of a refused one only that it is among many, so those are
    /// halved until it stands alone and becomes a dead letter.
    async fn take(&mut self, rows: &[Numbered<'a>]) -> Outcome<()> {
        let mut parts = vec![rows];
        while let Some(part) = parts.pop() {
            match (self.copy(part).await?, part) {
                (Verdict::Taken, _) => {
                    self.loaded.inserted += part.len() as u64;
                    part.iter().for_each(|(_, row)| self.rollups.count(&row.entry));
                }
                (Verdict::Refused(error), [(_, row)]) => {
                    let reason =
                        error.as_db_error().map_or_else(String::new, |error| error.message().to_owned());
                    let payload = self.batch.encoded(row).to_vec();
                    let letter = DeadLetter { log: row.log, lsn: row.lsn, reason, payload };
                    self.loaded.dead += keep_dead_letter(self.to, &letter).await?;
                }
                (Verdict::Refused(_), _) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    async fn copy(&self, rows: &[Numbered<'a>]) -> Outcome<Verdict> {
        let mut lines = String::with_capacity(rows.len() * 1_024);
        for (seq, row) in rows {
            columns::write_line(&mut lines, row, *seq, self.batch.encoded(row));
        }
        self.to.batch_execute("SAVEPOINT rows").await?;
        match self.send(lines.into()).await {
            Ok(taken) if taken == rows.len() as u64 => {
                self.to.batch_execute("RELEASE SAVEPOINT rows").await?;
                Ok(Verdict::Taken)
            }
            Ok(taken) => Err(Failure::Other(format!("{taken} of {} rows were taken", rows.len()).into())),
            Err(error) if is_for_the_content(&error) => {
                self.to.batch_execute("ROLLBACK TO SAVEPOINT rows").await?;
                Ok(Verdict::Refused(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn send(&self, lines: Bytes) -> Result<u64, tokio_postgres::Error> {
        let mut copy = pin!(self.to.copy_in(&*columns::COPY).await?);
        copy.send(lines).await?;
        copy.finish().await
    }

    /// Writes what belongs to the batch as a whole.
    async fn finish(mut self) -> Outcome<Loaded> {
        self.rollups.add_to(self.to).await?;
        for letter in &self.batch.dead {
            self.loaded.dead += keep_dead_letter(self.to, letter).await?;
        }
        for cursor in &self.batch.cursors {
            set_cursor(self.to, cursor).await?;
        }
        Ok(self.loaded)
    }
}

/// Those of the rows that the table has. Each is looked up by its key: a plan that reads whole months
/// instead would be right for the planner and wrong for a batch.
async fn known(to: &Client, batch: &Batch) -> Outcome<HashSet<RequestId>> {
    let ids = batch.rows.iter().map(|row| row.entry.id);
    let (ids, starts): (Vec<Uuid>, Vec<_>) =
        ids.map(|id| (Uuid::from_bytes(id.to_bytes()), months::started_instant(id))).unzip();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let by_key = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
                  SET LOCAL enable_mergejoin = off";
    to.batch_execute(by_key).await?;
    let known = "SELECT entries.id FROM unnest($1, $2) AS batch (id, started_at)
                 JOIN tollgate.entries ON entries.started_at = batch.started_at AND entries.id = batch.id";
    let known =
        to.query_typed(known, &[(&ids, Type::UUID_ARRAY), (&starts, Type::TIMESTAMPTZ_ARRAY)]).await?;
    let id = |row: &tokio_postgres::Row| {
        row.try_get::<_, Uuid>(0).map(|id| RequestId::from_bytes(id.into_bytes()))
    };
    Ok(known.iter().map(id).collect::<Result<_, _>>()?)
}

/// True when a row itself is refused; false when the store is in trouble and may take it later.
fn is_for_the_content(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else { return false };
    // A key that is taken means that somebody writes beside us: the batch is asked for again.
    // Classes: 22 data exception, 23 integrity constraint, 54 program limit; P0001 is a trigger's word.
    *state != SqlState::UNIQUE_VIOLATION
        && (["22", "23", "54"].contains(&state.code().get(..2).unwrap_or_default())
            || *state == SqlState::RAISE_EXCEPTION)
}

async fn keep_dead_letter(to: &Client, letter: &DeadLetter) -> Outcome<u64> {
    let log = Uuid::from_bytes(letter.log.to_bytes());
    let keep = "INSERT INTO tollgate.dead_letters (log, lsn, reason, payload) VALUES ($1, $2, $3, $4)
                ON CONFLICT DO NOTHING";
    let kept = to
        .execute_typed(
            keep,
            &[
                (&log, Type::UUID),
                (&signed(letter.lsn), Type::INT8),
                (&text(&letter.reason), Type::TEXT),
                (&letter.payload, Type::BYTEA),
            ],
        )
        .await?;
    Ok(kept)
}

/// Moves a cursor; it never goes back, whatever order batches come in.
async fn set_cursor(to: &Client, cursor: &Cursor) -> Outcome<()> {
    let log = Uuid::from_bytes(cursor.log.to_bytes());
    let set = "INSERT INTO tollgate.cursors AS known (log, lsn, segment, \"offset\") VALUES ($1, $2, $3, $4)
               ON CONFLICT (log) DO UPDATE
               SET lsn = excluded.lsn, segment = excluded.segment, \"offset\" = excluded.\"offset\"
               WHERE known.lsn < excluded.lsn";
    to.execute_typed(
        set,
        &[
            (&log, Type::UUID),
            (&signed(cursor.lsn), Type::INT8),
            (&i64::from(cursor.segment), Type::INT8),
            (&signed(cursor.offset), Type::INT8),
        ],
    )
    .await?;
    Ok(())
}
