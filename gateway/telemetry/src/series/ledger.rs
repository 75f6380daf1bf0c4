//! How the books are kept: reservations, journal, loading.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use crate::catalogue::{
    DEAD_RECORDS, JOURNAL_ABANDONED, JOURNAL_APPEND, JOURNAL_STATE, JOURNAL_SYNC, JOURNAL_UNSYNCED,
    LEDGER_LAG, RECOVERED, RESERVATIONS_OPEN,
};

/// Open reservations.
pub struct ReservationSeries(Gauge);

impl ReservationSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self(RESERVATIONS_OPEN.gauge(Vec::new()))
    }

    /// Tells how many reservations are open now.
    pub fn set(&self, open: u64) {
        self.0.set(open as f64);
    }
}

impl Default for ReservationSeries {
    fn default() -> Self {
        Self::new()
    }
}

/// Times of the journal.
pub struct JournalSeries {
    append: Histogram,
    sync: Histogram,
}

impl JournalSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self { append: JOURNAL_APPEND.histogram(Vec::new()), sync: JOURNAL_SYNC.histogram(Vec::new()) }
    }

    /// A record was written, or several at once.
    pub fn wrote(&self, took: Duration) {
        self.append.record(took);
    }

    /// What was written has been brought to the disk.
    pub fn synced(&self, took: Duration) {
        self.sync.record(took);
    }
}

impl Default for JournalSeries {
    fn default() -> Self {
        Self::new()
    }
}

/// How the journal's disk does.
#[derive(Debug)]
pub struct JournalDiskSeries {
    state: Gauge,
    unsynced: Gauge,
    abandoned: Counter,
}

/// Whether the journal takes records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JournalState {
    /// It does.
    Writable,
    /// There is no space for more requests.
    Full,
    /// The disk does not keep up.
    Slow,
    /// No disk takes records.
    Failing,
}

impl JournalDiskSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: JOURNAL_STATE.gauge(Vec::new()),
            unsynced: JOURNAL_UNSYNCED.gauge(Vec::new()),
            abandoned: JOURNAL_ABANDONED.counter(Vec::new()),
        }
    }

    /// Tells whether the journal takes records now, and how many bytes the disk has not confirmed.
    pub fn set(&self, state: JournalState, unsynced_bytes: u64) {
        self.state.set(f64::from(state as u8));
        self.unsynced.set(unsynced_bytes as f64);
    }

    /// A file of the journal was given up.
    pub fn abandoned(&self) {
        self.abandoned.increment(1);
    }
}

impl Default for JournalDiskSeries {
    fn default() -> Self {
        Self::new()
    }
}

/// How far the ledger store is behind the journal.
pub struct LoaderSeries {
    lag: Gauge,
    dead: Counter,
}

impl LoaderSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self { lag: LEDGER_LAG.gauge(Vec::new()), dead: DEAD_RECORDS.counter(Vec::new()) }
    }

    /// So many records will never be rows.
    pub fn dead(&self, records: u64) {
        self.dead.increment(records);
    }

    /// Tells the age of the oldest record that is not loaded; zero when all are.
    pub fn lag(&self, age: Duration) {
        self.lag.set(age);
    }
}

impl Default for LoaderSeries {
    fn default() -> Self {
        Self::new()
    }
}

/// A start closed this many requests that a crash had left open.
pub fn recovered_requests(count: u64) {
    RECOVERED.counter(Vec::new()).increment(count);
}
