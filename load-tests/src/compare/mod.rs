//! The gateway beside nginx, over one simulated provider, in interleaved rounds.
//!
//! Machines are noisy: the same server costs half as much again minutes later. So every round runs
//! every target, each ratio is taken within its round, and the medians over the rounds are told.

mod gateway;
mod nginx;
mod outcome;
mod scenario;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
pub(crate) use gateway::start as start_gateway;
use outcome::{Outcome, Round};
pub(crate) use scenario::PASSED;
use scenario::Scenario;
use serde_json::json;

use crate::closed::Load;
use crate::gateway::{CLIENT_KEY, binary};
use crate::process::Watch;
use crate::report::write_json;
use crate::server::Server;
use crate::simulator;
use crate::template::Template;

/// Options of `compare`.
#[derive(clap::Args, Debug)]
pub(crate) struct Compare {
    /// Rounds; each runs every scenario against every target.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The gateway's binary; `tollgate` beside this one without it.
    #[arg(long, value_name = "PATH")]
    gateway: Option<PathBuf>,
    /// A `tollgate-simulator` to be the provider; the one built into this binary without it.
    #[arg(long, value_name = "PATH")]
    simulator: Option<PathBuf>,
    /// The nginx to compare with.
    #[arg(long, default_value = "nginx")]
    nginx: PathBuf,
    /// Scenarios to run, e.g. `S1,S3`; all without it.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Threads of the simulated provider.
    #[arg(long, default_value_t = 2)]
    simulator_threads: usize,
    /// Write all rounds and the medians as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Compare {
    pub(crate) fn run(self) -> Result<()> {
        ensure!((1..=100).contains(&self.rounds), "--rounds: 1 to 100");
        ensure!((1..=600).contains(&self.seconds), "--seconds: 1 to 600");
        let scenarios = scenario::chosen(&self.scenarios)?;
        let gateway = binary(self.gateway.as_deref())?;
        let folder = tempfile::tempdir()?;
        let provider = simulator::start(self.simulator.as_deref(), self.simulator_threads)?;
        let targets = self.targets(&gateway, folder.path(), &provider)?;
        let mut outcome = Outcome::default();
        for round in 0..self.rounds {
            for scenario in &scenarios {
                let how = json!({ "chunks": scenario.words, "chunk_pause_ms": scenario.chunk_pause_ms });
                simulator::steer(provider.addr, "behaviour", &how)?;
                // Another target goes first in each round, so that none always meets a cold machine.
                for turn in 0..targets.len() {
                    let target = &targets[(round + turn) % targets.len()];
                    outcome.add(scenario, target.name, self.measure(scenario, target)?);
                }
            }
            eprintln!("round {} of {}", round + 1, self.rounds);
        }
        outcome.print(&mut std::io::stdout())?;
        match &self.json {
            Some(file) => write_json(file, &outcome.to_json()),
            None => Ok(()),
        }
    }

    fn targets(&self, gateway: &Path, folder: &Path, provider: &Server) -> Result<Vec<Server>> {
        let mut targets = vec![provider.as_direct()];
        for log in [nginx::AccessLog::Off, nginx::AccessLog::On] {
            targets.push(nginx::start(&self.nginx, folder, provider.addr, log)?);
        }
        targets.push(gateway::start(gateway, folder, provider.addr, "")?);
        Ok(targets)
    }

    fn measure(&self, scenario: &Scenario, target: &Server) -> Result<Round> {
        let url = format!("http://{}/v1/chat/completions", target.addr);
        let headers = vec![("authorization".to_owned(), format!("Bearer {}", CLIENT_KEY))];
        let load = Load {
            template: Template::new(&url, headers, scenario.body())?,
            lanes: scenario.lanes,
            http2: None,
            duration: std::time::Duration::from_secs(self.seconds),
            expected: scenario.expected(),
            timeout: std::time::Duration::from_secs(60),
            threads: 1,
        };
        // Connections, buffers and caches are warm before anything counts.
        Load { duration: std::time::Duration::from_millis(500), ..load.clone() }.run()?;
        let watch = Watch::start(target.pid)?;
        let started = Instant::now();
        let tally = load.run()?;
        let elapsed = started.elapsed();
        Ok(Round::new(scenario, &tally, elapsed, watch.stop()?))
    }
}
