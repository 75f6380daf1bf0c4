//! What the machine gives the process, shown to operators: a clock, and room for its data.

use std::{path::PathBuf, time::Duration};

use tollgate_telemetry::MachineSeries;

use super::wall_clock;

/// Looks at both when told to.
pub(super) struct MachineGauge {
    data_dir: PathBuf,
    series: MachineSeries,
}

impl MachineGauge {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        Self { data_dir, series: MachineSeries::new() }
    }

    /// Shows the time and the room. A file system that does not tell leaves the last figures.
    pub(super) fn show(&self) {
        self.series.clock(Duration::from_millis(wall_clock().get().unsigned_abs()));
        if let Ok(told) = rustix::fs::statvfs(&self.data_dir) {
            let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
            self.series.room(bytes(told.f_bavail), bytes(told.f_blocks));
        }
    }
}
