//! Papers of finance.

use rusqlite::{OptionalExtension, Transaction, params};
use tollgate_accounting::ledger::{Document, StoreError};
use tollgate_domain::UnixMillis;

use super::{Outcome, count, signed, state::changed};

/// Every document of a kind.
pub(super) fn all(from: &Transaction<'_>, kind: &str) -> Outcome<Vec<Document>> {
    let mut select = from.prepare_cached(
        "SELECT kind, name, revision, at, body FROM documents WHERE kind = ? ORDER BY name",
    )?;
    let documents = select.query_map([kind], |row| {
        Ok(Document {
            kind: row.get(0)?,
            name: row.get(1)?,
            revision: count(row.get(2)?),
            at: UnixMillis::new(row.get(3)?),
            body: row.get(4)?,
        })
    })?;
    Ok(documents.collect::<Result<_, _>>()?)
}

/// Keeps a document that follows the one that is kept.
pub(super) fn put(to: &Transaction<'_>, document: &Document) -> Outcome<()> {
    let kept: Option<i64> = to
        .prepare_cached("SELECT revision FROM documents WHERE kind = ? AND name = ?")?
        .query_row([&document.kind, &document.name], |row| row.get(0))
        .optional()?;
    if document.revision != kept.map_or(0, count) + 1 {
        let Document { kind, name, revision, .. } = document;
        return Err(StoreError::Exists(format!("a revision of {kind} {name} beside {revision}")).into());
    }
    to.execute(
        "INSERT OR REPLACE INTO documents (kind, name, revision, at, body) VALUES (?, ?, ?, ?, ?)",
        params![document.kind, document.name, signed(document.revision), document.at.get(), document.body],
    )?;
    changed(to)
}
