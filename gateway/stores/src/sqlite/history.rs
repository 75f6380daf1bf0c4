//! Who did what, and which configurations were in force.

use rusqlite::{Transaction, params};
use tollgate_accounting::ledger::{AuditEntry, ConfigVersion};
use tollgate_domain::UnixMillis;

use super::{Outcome, count, signed, state::exists_or};

/// The newest audit entries before a number.
pub(super) fn audit(from: &Transaction<'_>, before: Option<u64>, limit: usize) -> Outcome<Vec<AuditEntry>> {
    let mut select = from.prepare_cached(
        "SELECT seq, at, actor, action, subject, detail FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?",
    )?;
    let entries = select.query_map([before.map_or(i64::MAX, signed), signed(limit as u64)], |row| {
        Ok(AuditEntry {
            seq: count(row.get(0)?),
            at: UnixMillis::new(row.get(1)?),
            actor: row.get(2)?,
            action: row.get(3)?,
            subject: row.get(4)?,
            detail: row.get(5)?,
        })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// Keeps an audit entry.
pub(super) fn append_audit(to: &Transaction<'_>, entry: &AuditEntry) -> Outcome<u64> {
    to.execute(
        "INSERT INTO audit (at, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
        params![entry.at.get(), entry.actor, entry.action, entry.subject, entry.detail],
    )?;
    Ok(count(to.last_insert_rowid()))
}

/// The newest configurations.
pub(super) fn config_versions(from: &Transaction<'_>, limit: usize) -> Outcome<Vec<ConfigVersion>> {
    let mut select = from.prepare_cached(
        "SELECT version, hash, source, author, at, text FROM config_versions ORDER BY version DESC LIMIT ?",
    )?;
    let versions = select.query_map([signed(limit as u64)], |row| {
        Ok(ConfigVersion {
            version: count(row.get(0)?),
            hash: row.get(1)?,
            source: row.get(2)?,
            author: row.get(3)?,
            at: UnixMillis::new(row.get(4)?),
            text: row.get(5)?,
        })
    })?;
    Ok(versions.collect::<Result<_, _>>()?)
}

/// Keeps a configuration.
pub(super) fn append_config_version(to: &Transaction<'_>, version: &ConfigVersion) -> Outcome<()> {
    let inserted = to.execute(
        "INSERT INTO config_versions (version, hash, source, author, at, text) VALUES (?, ?, ?, ?, ?, ?)",
        params![
            signed(version.version),
            version.hash,
            version.source,
            version.author,
            version.at.get(),
            version.text
        ],
    );
    inserted.map_err(|error| exists_or(error, || format!("configuration {}", version.version)))?;
    Ok(())
}
