//! Providers fail in every way behind a gateway under load: what clients notice, in one table.
//!
//! Everything runs on this machine: providers are processes of ours, wires between them and the gateway
//! are relays of ours, lost packets need a network namespace of ours. All of it ends with the run, also
//! with one that is interrupted.

mod amplification;
mod calls;
mod drill;
mod faults;
mod flight;
mod hints;
mod interrupt;
mod load;
mod namespace;
mod overload;
mod provisioned;
mod relay;
mod residency;
mod stage;
mod table;
mod trap;
mod watch;

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::gateway::binary;
use crate::report::write_json;
use table::Row;

/// Options of `outage`.
#[derive(clap::Args, Debug)]
pub(crate) struct Outage {
    /// Only these, e.g. `killed,flapping`; all without it.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    scenario: Vec<String>,
    /// Seconds of each scenario that runs by time; some need more and take it.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Requests a second, where a scenario does not need its own rate.
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// Requests of the scenario about residency.
    #[arg(long, default_value_t = 100_000)]
    residency_requests: u64,
    /// The gateway's binary; `tollgate` beside this one without it.
    #[arg(long, value_name = "PATH")]
    gateway: Option<PathBuf>,
    /// Write the table as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail when a goal was missed or a scenario could not be run.
    #[arg(long)]
    strict: bool,
}

/// What scenarios have in common.
#[derive(Debug)]
struct Ground {
    gateway: PathBuf,
    seconds: u64,
    rate: u64,
    residency_requests: u64,
}

/// A scenario by its name.
type Scenario = (&'static str, fn(&Ground) -> Result<Row>);

const ALL: [Scenario; 15] = [
    ("killed", faults::killed),
    ("dropped-syn", faults::dropped_syn),
    ("dropped-established", faults::dropped_established),
    ("stalled", faults::stalled),
    ("slow", faults::slow),
    ("half-broken", faults::half_broken),
    ("flapping", faults::flapping),
    ("fast-429", trap::run),
    ("hints", hints::run),
    ("amplification", amplification::run),
    ("in-flight", flight::run),
    ("overload", overload::run),
    ("provisioned", provisioned::run),
    ("drill", drill::run),
    ("residency", residency::run),
];

impl Outage {
    pub(crate) fn run(self) -> Result<()> {
        ensure!((8..=600).contains(&self.seconds), "--seconds: 8 to 600");
        ensure!((10..=5_000).contains(&self.rate), "--rate: 10 to 5000");
        ensure!((100..=1_000_000).contains(&self.residency_requests), "--residency-requests: 100 to 1000000");
        let scenarios = self.scenarios()?;
        let ground = Ground {
            gateway: binary(self.gateway.as_deref())?,
            seconds: self.seconds,
            rate: self.rate,
            residency_requests: self.residency_requests,
        };
        interrupt::listen()?;
        let mut rows = Vec::new();
        table::print_head(&mut std::io::stdout())?;
        for (name, run) in scenarios {
            let row = run(&ground);
            if interrupt::is_asked() {
                bail!("interrupted");
            }
            // A scenario that breaks must not keep the others from being told.
            let row =
                row.unwrap_or_else(|error| Row { skipped: Some(format!("{error:#}")), ..Row::default() });
            let row = Row { scenario: name, ..row };
            row.print(&mut std::io::stdout())?;
            rows.push(row);
        }
        if let Some(file) = &self.json {
            let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
            write_json(file, &json!({ "seconds": self.seconds, "rate": self.rate, "scenarios": rows }))?;
        }
        let missed = rows.iter().filter(|row| !row.is_met()).count();
        ensure!(!self.strict || missed == 0, "{missed} of {} scenarios missed a goal", rows.len());
        Ok(())
    }

    fn scenarios(&self) -> Result<Vec<Scenario>> {
        if self.scenario.is_empty() {
            return Ok(ALL.to_vec());
        }
        let find = |name: &String| match ALL.iter().find(|(known, _)| known == name) {
            Some(scenario) => Ok(*scenario),
            None => bail!("no scenario {name}; there are {}", ALL.map(|(known, _)| known).join(", ")),
        };
        self.scenario.iter().map(find).collect()
    }
}
