//! What one run tells: a few lines for people, JSON for programs.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::process::Cost;
use crate::tally::Tally;

/// Where the outcome goes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Output {
    /// Write the outcome as JSON to this file; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail when any request failed.
    #[arg(long)]
    strict: bool,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) name: &'static str,
    /// Requests that the schedule held.
    pub(crate) intended: Option<u64>,
    pub(crate) elapsed: Duration,
    pub(crate) tally: Tally,
    pub(crate) cost: Option<Cost>,
}

impl Output {
    pub(crate) fn tell(&self, summary: &Summary) -> Result<()> {
        let told = summary.to_json();
        match &self.json {
            Some(file) if file.as_os_str() == "-" => writeln!(std::io::stdout(), "{told:#}")?,
            Some(file) => write_json(file, &told)?,
            None => writeln!(std::io::stdout(), "{told:#}")?,
        }
        let failed = summary.tally.failed();
        ensure!(!self.strict || failed == 0, "{failed} requests failed");
        Ok(())
    }
}

/// Writes a report.
pub(crate) fn write_json(file: &std::path::Path, told: &Value) -> Result<()> {
    fs::write(file, format!("{told:#}\n")).with_context(|| format!("report {}", file.display()))
}

impl Summary {
    fn to_json(&self) -> Value {
        let mut told = self.tally.to_json();
        told["run"] = json!(self.name);
        told["elapsed_ms"] = json!(u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX));
        told["requests_per_second"] = json!(per_second(self.tally.good, self.elapsed));
        if let Some(intended) = self.intended {
            told["intended"] = json!(intended);
        }
        if let Some(cost) = &self.cost {
            told["cpu_ms"] = json!(u64::try_from(cost.cpu.as_millis()).unwrap_or(u64::MAX));
            told["cpu_us_per_request"] = json!(per_unit(cost.cpu, self.tally.good));
            told["cpu_us_per_event"] = json!(per_unit(cost.cpu, self.tally.events));
            told["resident_bytes"] = json!(cost.resident_bytes);
        }
        told
    }
}

/// Units a second.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> f64 {
    round(count as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE))
}

/// Microseconds a unit; none when there were no units.
pub(crate) fn per_unit(cpu: Duration, count: u64) -> Option<f64> {
    (count > 0).then(|| round(cpu.as_secs_f64() * 1e6 / count as f64))
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
