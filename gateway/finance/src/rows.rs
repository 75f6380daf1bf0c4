//! Walking over many rows in bounded memory.

use tollgate_accounting::ledger::{Entry, LedgerStore, RowQuery, StoreError};

/// Visits every row that `query` wants, in its order; its `limit` and `after` are the walk's own.
pub(crate) fn each_row(
    store: &dyn LedgerStore,
    query: &RowQuery,
    mut visit: impl FnMut(&Entry),
) -> Result<(), StoreError> {
    let mut query = RowQuery { limit: RowQuery::MAX_LIMIT, after: None, ..query.clone() };
    loop {
        let page = store.rows(&query)?;
        page.items.iter().for_each(&mut visit);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(()),
        }
    }
}
