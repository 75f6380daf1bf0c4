//! Operators' states, and the number that tells of changes.

use tokio_postgres::{Client, error::SqlState, types::Type};
use tollgate_accounting::ledger::{Override, StoreError};

use super::{Failure, Outcome, count, instant, millis, text};

/// The number that changes with every change.
pub(super) async fn revision(from: &Client) -> Outcome<u64> {
    let revision = from.query_typed_one("SELECT number FROM tollgate.revision", &[]).await?;
    Ok(count(revision.try_get(0)?))
}

pub(super) async fn changed(to: &Client) -> Outcome<()> {
    to.execute_typed("UPDATE tollgate.revision SET number = number + 1", &[]).await?;
    Ok(())
}

/// Every operator's state.
pub(super) async fn overrides(from: &Client) -> Outcome<Vec<Override>> {
    let select = "SELECT kind, name, state, reason, author, since, until FROM tollgate.overrides
                  ORDER BY kind COLLATE \"C\", name COLLATE \"C\"";
    let states = from.query_typed(select, &[]).await?;
    let state = |row: &tokio_postgres::Row| -> Outcome<Override> {
        Ok(Override {
            kind: row.try_get(0)?,
            name: row.try_get(1)?,
            state: row.try_get(2)?,
            reason: row.try_get(3)?,
            author: row.try_get(4)?,
            since: millis(row.try_get(5)?),
            until: row.try_get::<_, Option<_>>(6)?.map(millis),
        })
    };
    states.iter().map(state).collect()
}

/// Sets an operator's state.
pub(super) async fn put_override(to: &Client, state: &Override) -> Outcome<()> {
    let put = "INSERT INTO tollgate.overrides (kind, name, state, reason, author, since, until)
               VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (kind, name) DO UPDATE SET state = excluded.state, reason = excluded.reason,
                   author = excluded.author, since = excluded.since, until = excluded.until";
    to.execute_typed(
        put,
        &[
            (&text(&state.kind), Type::TEXT),
            (&text(&state.name), Type::TEXT),
            (&text(&state.state), Type::TEXT),
            (&text(&state.reason), Type::TEXT),
            (&text(&state.author), Type::TEXT),
            (&instant(state.since), Type::TIMESTAMPTZ),
            (&state.until.map(instant), Type::TIMESTAMPTZ),
        ],
    )
    .await?;
    changed(to).await
}

/// Removes an operator's state.
pub(super) async fn clear_override(to: &Client, kind: &str, name: &str) -> Outcome<bool> {
    let clear = "DELETE FROM tollgate.overrides WHERE kind = $1 AND name = $2";
    let removed = to.execute_typed(clear, &[(&text(kind), Type::TEXT), (&text(name), Type::TEXT)]).await?;
    changed(to).await?;
    Ok(removed > 0)
}

/// Tells a taken identity from a store in trouble.
pub(super) fn exists_or(error: tokio_postgres::Error, what: impl FnOnce() -> String) -> Failure {
    if error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
        Failure::Ledger(StoreError::Exists(what()))
    } else {
        Failure::Postgres(error)
    }
}
