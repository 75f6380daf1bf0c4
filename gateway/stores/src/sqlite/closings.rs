//! The close of the books, and what comes too late for it.

use rusqlite::Transaction;
use tollgate_accounting::ledger::{Batch, Closing, StoreError, closed_until};
use tollgate_domain::UnixMillis;

use super::{Outcome, blocks, count, documents, load};

/// Closes the books up to `until`.
pub(super) fn close(to: &Transaction<'_>, until: UnixMillis, at: UnixMillis) -> Outcome<Closing> {
    if closed_until(&all(to)?).is_some_and(|closed| closed >= until) {
        return Err(StoreError::Exists("a close of the books up to this time, or beyond,".to_owned()).into());
    }
    let last_seq = count(blocks::next_seq(to)? - 1);
    let closing = Closing::new(until, at, last_seq, &load::cursors(to)?);
    documents::put(to, &closing.document())?;
    Ok(closing)
}

/// The batch as closed time leaves it; none when it can be taken as it is.
pub(super) fn post_late_rows(to: &Transaction<'_>, batch: &Batch) -> Outcome<Option<Batch>> {
    let closings = all(to)?;
    if closings.is_empty() {
        return Ok(None);
    }
    batch.with_late_rows_posted(&closings, |id| Ok(!blocks::known(to, id, id)?.is_empty()))
}

fn all(from: &Transaction<'_>) -> Outcome<Vec<Closing>> {
    let papers = documents::all(from, Closing::KIND)?;
    Ok(Closing::of_documents(papers.iter().map(|paper| paper.body.as_str()))?)
}
