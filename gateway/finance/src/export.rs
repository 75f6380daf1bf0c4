//! What every finance file rests on: the ledger's rows in the order of a query, one page read ahead
//! of the writer, and the ways in which a file can fail.

use std::{
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use tollgate_accounting::ledger::{Entry, LedgerStore, Page, RowQuery, StoreError};

/// An export that broke off.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
    /// A figure that the form of the file cannot hold exactly.
    #[error("{column} is {value}, which this form of file cannot hold; export CSV instead")]
    DoesNotFit {
        /// The column.
        column: &'static str,
        /// The figure.
        value: String,
    },
    /// More than the form of the file takes.
    #[error("{0}")]
    TooLong(String),
}

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
pub(crate) fn each_row(
    store: &dyn LedgerStore,
    query: &RowQuery,
    mut take: impl FnMut(&Entry) -> Result<(), ExportError>,
) -> Result<u64, ExportError> {
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
