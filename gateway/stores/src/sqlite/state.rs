//! Operators' states, and the number that tells of changes.

use rusqlite::{ErrorCode, Transaction, params};
use tollgate_accounting::ledger::{Override, StoreError};
use tollgate_domain::UnixMillis;

use super::{Failure, Outcome, count};

/// The number that changes with every change.
pub(super) fn revision(from: &Transaction<'_>) -> Outcome<u64> {
    Ok(count(from.prepare_cached("SELECT number FROM revision")?.query_row([], |row| row.get(0))?))
}

pub(super) fn changed(to: &Transaction<'_>) -> Outcome<()> {
    to.execute("UPDATE revision SET number = number + 1", [])?;
    Ok(())
}

/// Every operator's state.
pub(super) fn overrides(from: &Transaction<'_>) -> Outcome<Vec<Override>> {
    let mut select = from.prepare_cached(
        "SELECT kind, name, state, reason, author, since, until FROM overrides ORDER BY kind, name",
    )?;
    let states = select.query_map([], |row| {
        Ok(Override {
            kind: row.get(0)?,
            name: row.get(1)?,
            state: row.get(2)?,
            reason: row.get(3)?,
            author: row.get(4)?,
            since: UnixMillis::new(row.get(5)?),
            until: row.get::<_, Option<i64>>(6)?.map(UnixMillis::new),
        })
    })?;
    Ok(states.collect::<Result<_, _>>()?)
}

/// Sets an operator's state.
pub(super) fn put_override(to: &Transaction<'_>, state: &Override) -> Outcome<()> {
    to.execute(
        "INSERT OR REPLACE INTO overrides (kind, name, state, reason, author, since, until)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            state.kind,
            state.name,
            state.state,
            state.reason,
            state.author,
            state.since.get(),
            state.until.map(UnixMillis::get)
        ],
    )?;
    changed(to)
}

/// Removes an operator's state.
pub(super) fn clear_override(to: &Transaction<'_>, kind: &str, name: &str) -> Outcome<bool> {
    let removed = to.execute("DELETE FROM overrides WHERE kind = ? AND name = ?", [kind, name])?;
    changed(to)?;
    Ok(removed > 0)
}

/// Tells a taken identity from a store in trouble.
pub(super) fn exists_or(error: rusqlite::Error, what: impl FnOnce() -> String) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Failure::Ledger(StoreError::Exists(what())),
        _ => Failure::Sqlite(error),
    }
}
