//! What the journal tells about its disks, as log lines and metrics.

use std::{sync::Arc, time::Duration};

use tollgate_accounting::ledger::{Condition, Event, Journal, Observer};
use tollgate_proxy::Live;
use tollgate_telemetry::{JournalDiskSeries, JournalSeries, JournalState};

/// Hears of syncs and faults.
pub(super) struct JournalWatch {
    times: JournalSeries,
    disk: JournalDiskSeries,
}

impl JournalWatch {
    pub(super) fn new() -> Self {
        Self { times: JournalSeries::new(), disk: JournalDiskSeries::new() }
    }
}

impl std::fmt::Debug for JournalWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalWatch").finish_non_exhaustive()
    }
}

impl Observer for JournalWatch {
    fn synced(&self, took: Duration) {
        self.times.synced(took);
    }

    fn happened(&self, event: &Event<'_>) {
        match event {
            Event::Abandoned { .. } => {
                self.disk.abandoned();
                tracing::error!("{event}");
            }
            Event::NoSpace(_) | Event::Failing(_) => tracing::error!("{event}"),
            Event::SpaceAgain | Event::Recovered => tracing::info!("{event}"),
        }
    }
}

/// Whether requests can be recorded now.
pub(super) fn condition(journal: &Journal, live: &Live) -> Condition {
    journal.condition(live.gate.in_flight().into())
}

/// Shows the journal's condition, time after time.
pub(super) struct ConditionGauge {
    journal: Arc<Journal>,
    series: JournalDiskSeries,
}

impl ConditionGauge {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, series: JournalDiskSeries::new() }
    }

    pub(super) fn show(&self, live: &Live) {
        let state = match condition(&self.journal, live) {
            Condition::Writable => JournalState::Writable,
            Condition::Full => JournalState::Full,
            Condition::Slow => JournalState::Slow,
            Condition::Failing => JournalState::Failing,
        };
        self.series.set(state, self.journal.unsynced_bytes());
    }
}
