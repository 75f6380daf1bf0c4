//! What has just happened, from memory: sums by the minute for overviews, and rows as they come for who
//! watches.
//!
//! It hears of rows when the ledger has taken them, on the loader's thread: nothing of it is on a
//! request's path. It knows the rows of this process alone, since its start, for two hours.

mod minutes;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;
use tollgate_accounting::ledger::{Entry, Kind};
use tollgate_domain::{TeamName, UnixMillis};

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

/// The way from the loader to those who watch.
pub struct Feed {
    minutes: Mutex<Minutes>,
    events: broadcast::Sender<Event>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { minutes: Mutex::default(), events: broadcast::Sender::new(WAITING) }
    }
}

impl Feed {
    /// Hears of rows that the ledger has taken.
    pub fn rows<'r>(&self, rows: impl Iterator<Item = &'r Entry>) {
        let mut newest = std::collections::VecDeque::new();
        let mut count = 0_u64;
        let is_watched = self.events.receiver_count() > 0;
        let mut minutes = self.minutes.lock();
        for row in rows.filter(|row| matches!(row.kind, Kind::Usage | Kind::Refusal)) {
            minutes.count(row);
            if is_watched {
                count += 1;
                newest.push_back(row);
                if newest.len() > ROWS_EACH {
                    newest.pop_front();
                }
            }
        }
        drop(minutes);
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
        self.minutes.lock().last(teams, minutes, now)
    }
}
