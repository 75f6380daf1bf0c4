//! Operators' states and run-time keys.

use std::time::SystemTime;

use tokio_postgres::{Client, error::SqlState, types::Type};
use tollgate_accounting::ledger::{Override, RuntimeKey, StoreError};
use tollgate_domain::UnixMillis;

use super::{Failure, Outcome, count, instant, millis, text};

/// The number that changes with every change.
pub(super) async fn revision(from: &Client) -> Outcome<u64> {
    let revision = from.query_typed_one("SELECT number FROM tollgate.revision", &[]).await?;
    Ok(count(revision.try_get(0)?))
}

async fn changed(to: &Client) -> Outcome<()> {
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

/// Every key.
pub(super) async fn keys(from: &Client) -> Outcome<Vec<RuntimeKey>> {
    let select = "SELECT id, project, name, digest, created, expires, revoked FROM tollgate.keys
                  ORDER BY created, id COLLATE \"C\"";
    let keys = from.query_typed(select, &[]).await?;
    keys.iter().map(read_key).collect()
}

fn read_key(row: &tokio_postgres::Row) -> Outcome<RuntimeKey> {
    let time = |at: usize| -> Outcome<Option<UnixMillis>> {
        Ok(row.try_get::<_, Option<SystemTime>>(at)?.map(millis))
    };
    let id: String = row.try_get(0)?;
    let digest: &[u8] = row.try_get(3)?;
    let digest = digest
        .try_into()
        .map_err(|_| Failure::Other(format!("the digest of key {id} is not whole").into()))?;
    Ok(RuntimeKey {
        id,
        project: row.try_get(1)?,
        name: row.try_get(2)?,
        digest,
        created: millis(row.try_get(4)?),
        expires: time(5)?,
        revoked: time(6)?,
    })
}

/// Keeps a new key.
pub(super) async fn put_key(to: &Client, key: &RuntimeKey) -> Outcome<()> {
    let put = "INSERT INTO tollgate.keys (id, project, name, digest, created, expires, revoked)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let inserted = to
        .execute_typed(
            put,
            &[
                (&text(&key.id), Type::TEXT),
                (&text(&key.project), Type::TEXT),
                (&text(&key.name), Type::TEXT),
                (&key.digest.as_slice(), Type::BYTEA),
                (&instant(key.created), Type::TIMESTAMPTZ),
                (&key.expires.map(instant), Type::TIMESTAMPTZ),
                (&key.revoked.map(instant), Type::TIMESTAMPTZ),
            ],
        )
        .await;
    inserted.map_err(|error| exists_or(error, || format!("key {}", key.id)))?;
    changed(to).await
}

/// Revokes a key.
pub(super) async fn revoke_key(to: &Client, id: &str, at: UnixMillis) -> Outcome<bool> {
    let revoke = "UPDATE tollgate.keys SET revoked = coalesce(revoked, $1) WHERE id = $2";
    let found =
        to.execute_typed(revoke, &[(&instant(at), Type::TIMESTAMPTZ), (&text(id), Type::TEXT)]).await?;
    changed(to).await?;
    Ok(found > 0)
}

/// Tells a taken identity from a store in trouble.
pub(super) fn exists_or(error: tokio_postgres::Error, what: impl FnOnce() -> String) -> Failure {
    if error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
        Failure::Ledger(StoreError::Exists(what()))
    } else {
        Failure::Postgres(error)
    }
}
