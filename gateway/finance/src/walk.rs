//! Walking over many rows in bounded memory, one page read ahead of whoever takes them.

use std::{
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use tollgate_accounting::ledger::{Entry, LedgerStore, Page, RowQuery, StoreError};

/// Pages that wait between the thread that reads and the one that writes.
const READ_AHEAD: usize = 2;

/// Gives every row that `query` wants to `take`, in the query's order, and says how many there were.
///
/// The query's `limit` and `after` are the reader's own business: it reads page by page, so that
/// memory stays bounded whatever the range. A row that enters the ledger meanwhile may be missed, and
/// none comes twice.
///
/// # Errors
/// The ledger cannot be read, or `take` fails.
pub(crate) fn each_row<E: From<StoreError>>(
    store: &dyn LedgerStore,
    query: &RowQuery,
    mut take: impl FnMut(&Entry) -> Result<(), E>,
) -> Result<u64, E> {
    let query = RowQuery { limit: RowQuery::MAX_LIMIT, after: None, ..query.clone() };
    thread::scope(|scope| {
        let (sender, pages) = sync_channel(READ_AHEAD);
        scope.spawn(move || read_pages(store, query, &sender));
        let mut rows = 0;
        for page in pages {
            for entry in &page?.items {
                take(entry)?;
                rows += 1;
            }
        }
        Ok(rows)
    })
}

/// Reads until the last page, an error, or a writer that wants no more.
fn read_pages(
    store: &dyn LedgerStore,
    mut query: RowQuery,
    sender: &SyncSender<Result<Page<Entry>, StoreError>>,
) {
    loop {
        let page = store.rows(&query);
        let next = page.as_ref().ok().and_then(|page| page.next.clone());
        let is_last = next.is_none();
        query.after = next;
        if sender.send(page).is_err() || is_last {
            return;
        }
    }
}
