//! What has just happened, from memory: sums by the minute for overviews, and rows as they come for who
//! watches.
//!
//! It hears of rows when the ledger has taken them, on the loader's thread: nothing of it is on a
//! request's path. It knows the rows of this gateway alone: what the ledger had of the last hour when
//! the process began, and all since, for two hours.

mod lately;
mod minutes;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;
use tollgate_accounting::ledger::{Entry, Kind, LedgerStore, RowQuery, StoreError};
use tollgate_domain::{TeamName, UnixMillis};

use lately::Recent;
pub use lately::{Failures, Lately};
use minutes::Minutes;
pub use minutes::Sums;

use crate::chronicle::Change;

/// Events that wait for the slowest watcher; one that is further behind is let go.
const WAITING: usize = 256;
/// Rows that watchers get of one batch; the rest is counted.
const ROWS_EACH: usize = 50;

/// What watchers hear.
#[derive(Clone, Debug)]
pub enum Event {
    /// Rows that are new in the ledger.
    Rows {
        /// The newest of them, the oldest first.
        rows: Arc<[Entry]>,
        /// How many more there were.
        left_out: u64,
    },
    /// Targets' states have changed.
    Changes(Arc<[Change]>),
}

/// How far back the ledger is asked at the start, in milliseconds.
const RECALLED: i64 = 3_600_000;
/// So many pages of rows are read then: a start must not wait for a busy hour.
const PAGES_RECALLED: usize = 20;

/// The way from the loader to those who watch.
pub struct Feed {
    memory: Mutex<Memory>,
    events: broadcast::Sender<Event>,
}

/// What is known.
struct Memory {
    since: UnixMillis,
    minutes: Minutes,
    recent: Recent,
}

impl Memory {
    fn count(&mut self, row: &Entry) {
        self.minutes.count(row);
        self.recent.count(row);
    }
}

impl Feed {
    /// Knows nothing of what was before `since`.
    #[must_use]
    pub fn new(since: UnixMillis) -> Self {
        let memory = Memory { since, minutes: Minutes::default(), recent: Recent::default() };
        Self { memory: Mutex::new(memory), events: broadcast::Sender::new(WAITING) }
    }

    /// Reads what the ledger has of the last hour of this gateway. To be called before the loader begins,
    /// which tells of all others. Blocks.
    ///
    /// # Errors
    /// The ledger cannot be read; what was read by then is counted.
    pub fn recall(&self, store: &dyn LedgerStore, instance: &str) -> Result<(), StoreError> {
        let mut memory = self.memory.lock();
        let begin = memory.since.plus(-RECALLED);
        let mut query =
            RowQuery { kind: None, from: Some(begin), limit: RowQuery::MAX_LIMIT, ..RowQuery::default() };
        let mut since = begin;
        for page in 1.. {
            let rows = store.rows(&query)?;
            let own = rows.items.iter().filter(|row| &*row.identity.instance == instance);
            own.filter(|row| is_of_a_request(row)).for_each(|row| memory.count(row));
            let (Some(next), Some(oldest)) = (rows.next, rows.items.last()) else { break };
            if page == PAGES_RECALLED {
                since = oldest.started_at;
                break;
            }
            query.after = Some(next);
        }
        memory.since = since;
        Ok(())
    }

    /// Hears of rows that the ledger has taken.
    pub fn rows<'r>(&self, rows: impl Iterator<Item = &'r Entry>) {
        let mut newest = std::collections::VecDeque::new();
        let mut count = 0_u64;
        let is_watched = self.events.receiver_count() > 0;
        let mut memory = self.memory.lock();
        for row in rows.filter(|row| is_of_a_request(row)) {
            memory.count(row);
            if is_watched {
                count += 1;
                newest.push_back(row);
                if newest.len() > ROWS_EACH {
                    newest.pop_front();
                }
            }
        }
        drop(memory);
        if count > 0 {
            let left_out = count - newest.len() as u64;
            let rows = newest.into_iter().cloned().collect();
            // Nobody may be watching any more.
            let _ = self.events.send(Event::Rows { rows, left_out });
        }
    }

    /// Hears of targets' states.
    pub fn changes(&self, changes: Vec<Change>) {
        if !changes.is_empty() {
            let _ = self.events.send(Event::Changes(changes.into()));
        }
    }

    /// Hears everything from now on.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Sums of these teams, or of all when there are none, by the minute: the last `minutes` whole ones and
    /// the one that runs, the oldest first.
    #[must_use]
    pub fn minutes(&self, teams: &[TeamName], minutes: usize, now: UnixMillis) -> Vec<(UnixMillis, Sums)> {
        self.memory.lock().minutes.last(teams, minutes, now)
    }

    /// How soon answers began and what failed in the last quarter of an hour, of these teams, or of all when
    /// there are none.
    #[must_use]
    pub fn lately(&self, teams: &[TeamName], now: UnixMillis) -> Lately {
        self.memory.lock().recent.told(teams, now)
    }

    /// Nothing before this is known.
    #[must_use]
    pub fn since(&self) -> UnixMillis {
        self.memory.lock().since
    }
}

fn is_of_a_request(row: &Entry) -> bool {
    matches!(row.kind, Kind::Usage | Kind::Refusal)
}
