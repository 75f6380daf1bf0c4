//! The close of the books, and what comes too late for it.

use std::collections::HashSet;

use tokio_postgres::Client;
use tollgate_accounting::ledger::{Batch, Closing, StoreError, closed_until};
use tollgate_domain::{RequestId, UnixMillis};

use super::{Failure, Outcome, count, documents, load};

/// Closes the books up to `until`. Nobody takes rows meanwhile, on any replica.
pub(super) async fn close(to: &Client, until: UnixMillis, at: UnixMillis) -> Outcome<Closing> {
    let last_seq = count(load::lock_sequence(to).await?);
    if closed_until(&all(to).await?).is_some_and(|closed| closed >= until) {
        return Err(StoreError::Exists("a close of the books up to this time, or beyond,".to_owned()).into());
    }
    let closing = Closing::new(until, at, last_seq, &load::cursors(to).await?);
    documents::put(to, &closing.document()).await?;
    Ok(closing)
}

/// The batch as closed time leaves it; none when it can be taken as it is. `known` are those of its
/// rows that the ledger has.
pub(super) async fn post_late_rows(
    to: &Client,
    batch: &Batch,
    known: &HashSet<RequestId>,
) -> Outcome<Option<Batch>> {
    let closings = all(to).await?;
    batch.with_late_rows_posted(&closings, |id| Ok::<_, Failure>(known.contains(&id)))
}

async fn all(from: &Client) -> Outcome<Vec<Closing>> {
    let papers = documents::all(from, Closing::KIND).await?;
    Ok(Closing::of_documents(papers.iter().map(|paper| paper.body.as_str()))?)
}
