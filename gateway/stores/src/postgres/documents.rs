//! Papers of finance.

use tokio_postgres::{Client, types::Type};
use tollgate_accounting::ledger::{Document, StoreError};

use super::{Outcome, count, instant, millis, signed, state::changed, text};

/// Every document of a kind.
pub(super) async fn all(from: &Client, kind: &str) -> Outcome<Vec<Document>> {
    let select = "SELECT kind, name, revision, at, body FROM tollgate.documents
                  WHERE kind = $1 ORDER BY name COLLATE \"C\"";
    let documents = from.query_typed(select, &[(&text(kind), Type::TEXT)]).await?;
    let document = |row: &tokio_postgres::Row| -> Outcome<Document> {
        Ok(Document {
            kind: row.try_get(0)?,
            name: row.try_get(1)?,
            revision: count(row.try_get(2)?),
            at: millis(row.try_get(3)?),
            body: row.try_get(4)?,
        })
    };
    documents.iter().map(document).collect()
}

/// Keeps a document that follows the one that is kept. Of several writers the server lets one through,
/// and the others then find that another revision came first.
pub(super) async fn put(to: &Client, document: &Document) -> Outcome<()> {
    let Document { kind, name, revision, at, body } = document;
    let put = match revision {
        1 => {
            "INSERT INTO tollgate.documents (kind, name, revision, at, body) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (kind, name) DO NOTHING"
        }
        _ => {
            "UPDATE tollgate.documents SET revision = $3, at = $4, body = $5
             WHERE kind = $1 AND name = $2 AND revision = $3 - 1"
        }
    };
    let kept = to
        .execute_typed(
            put,
            &[
                (&text(kind), Type::TEXT),
                (&text(name), Type::TEXT),
                (&signed(*revision), Type::INT8),
                (&instant(*at), Type::TIMESTAMPTZ),
                (&text(body), Type::TEXT),
            ],
        )
        .await?;
    if kept == 0 {
        return Err(StoreError::Exists(format!("a revision of {kind} {name} beside {revision}")).into());
    }
    changed(to).await
}
