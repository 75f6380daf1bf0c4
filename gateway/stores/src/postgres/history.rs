//! Who did what, and which configurations were in force.

use tokio_postgres::{Client, types::Type};
use tollgate_accounting::ledger::{AuditEntry, ConfigVersion};

use super::{Outcome, count, instant, millis, signed, state::exists_or, text};

/// The newest audit entries before a number.
pub(super) async fn audit(from: &Client, before: Option<u64>, limit: usize) -> Outcome<Vec<AuditEntry>> {
    let select = "SELECT seq, at, actor, action, subject, detail FROM tollgate.audit
                  WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
    let before = before.map_or(i64::MAX, signed);
    let entries =
        from.query_typed(select, &[(&before, Type::INT8), (&signed(limit as u64), Type::INT8)]).await?;
    let entry = |row: &tokio_postgres::Row| -> Outcome<AuditEntry> {
        Ok(AuditEntry {
            seq: count(row.try_get(0)?),
            at: millis(row.try_get(1)?),
            actor: row.try_get(2)?,
            action: row.try_get(3)?,
            subject: row.try_get(4)?,
            detail: row.try_get(5)?,
        })
    };
    entries.iter().map(entry).collect()
}

/// Keeps an audit entry.
pub(super) async fn append_audit(to: &Client, entry: &AuditEntry) -> Outcome<u64> {
    let append = "INSERT INTO tollgate.audit (at, actor, action, subject, detail)
                  VALUES ($1, $2, $3, $4, $5) RETURNING seq";
    let kept = to
        .query_typed_one(
            append,
            &[
                (&instant(entry.at), Type::TIMESTAMPTZ),
                (&text(&entry.actor), Type::TEXT),
                (&text(&entry.action), Type::TEXT),
                (&text(&entry.subject), Type::TEXT),
                (&text(&entry.detail), Type::TEXT),
            ],
        )
        .await?;
    Ok(count(kept.try_get(0)?))
}

/// The newest configurations.
pub(super) async fn config_versions(from: &Client, limit: usize) -> Outcome<Vec<ConfigVersion>> {
    let select = "SELECT version, hash, source, author, at, text FROM tollgate.config_versions
                  ORDER BY version DESC LIMIT $1";
    let versions = from.query_typed(select, &[(&signed(limit as u64), Type::INT8)]).await?;
    let version = |row: &tokio_postgres::Row| -> Outcome<ConfigVersion> {
        Ok(ConfigVersion {
            version: count(row.try_get(0)?),
            hash: row.try_get(1)?,
            source: row.try_get(2)?,
            author: row.try_get(3)?,
            at: millis(row.try_get(4)?),
            text: row.try_get(5)?,
        })
    };
    versions.iter().map(version).collect()
}

/// Keeps a configuration.
pub(super) async fn append_config_version(to: &Client, version: &ConfigVersion) -> Outcome<()> {
    let append = "INSERT INTO tollgate.config_versions (version, hash, source, author, at, text)
                  VALUES ($1, $2, $3, $4, $5, $6)";
    let inserted = to
        .execute_typed(
            append,
            &[
                (&signed(version.version), Type::INT8),
                (&text(&version.hash), Type::TEXT),
                (&text(&version.source), Type::TEXT),
                (&text(&version.author), Type::TEXT),
                (&instant(version.at), Type::TIMESTAMPTZ),
                (&text(&version.text), Type::TEXT),
            ],
        )
        .await;
    inserted.map_err(|error| exists_or(error, || format!("configuration {}", version.version)))?;
    Ok(())
}
