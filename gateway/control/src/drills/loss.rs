//! What a drill has lost: settled calls whose rows the ledger does not have.

use std::time::{Duration, Instant};

use tollgate_accounting::ledger::{Flags, Kind, LedgerStore, Order, RowQuery, StoreError};
use tollgate_domain::UnixMillis;
use tollgate_proxy::Drill;

/// Rows come into the ledger a moment after their calls.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
/// So many rows are read; of a drill among more traffic than this nothing is said.
const MOST_ROWS: usize = 50_000;

/// Calls of the drill that are settled and have no row; `None` when that could not be found out.
pub(super) fn of(store: &dyn LedgerStore, drill: &Drill, began: UnixMillis) -> Option<u64> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let settled = drill.measured().requests;
        let found = match marked(store, began) {
            Ok(found) => found?,
            Err(error) => {
                tracing::error!(%error, "the rows of a drill cannot be counted");
                return None;
            }
        };
        if found >= settled || Instant::now() >= patience {
            return Some(settled.saturating_sub(found));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Rows since then that are marked as drilled. Of several drills at once all are counted.
fn marked(store: &dyn LedgerStore, began: UnixMillis) -> Result<Option<u64>, StoreError> {
    let mut query = RowQuery {
        kind: Some(Kind::Usage),
        from: Some(began),
        limit: RowQuery::MAX_LIMIT,
        order: Order::Seq,
        ..RowQuery::default()
    };
    let (mut read, mut found) = (0, 0);
    loop {
        let page = store.rows(&query)?;
        read += page.items.len();
        found += page.items.iter().filter(|row| row.flags.contains(Flags::DRILLED)).count() as u64;
        match page.next {
            None => return Ok(Some(found)),
            Some(_) if read >= MOST_ROWS => return Ok(None),
            next => query.after = next,
        }
    }
}
