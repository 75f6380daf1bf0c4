//! What it costs clients that nobody takes the gateway's records: gateways whose collector is dead beside one
//! that has none, over one simulated provider, in interleaved rounds.
//!
//! Every request is recorded, which is the worst case. The ratio is taken within each round, since the
//! machine of one round is another one than that of the next, and the median over the rounds is told.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::compare;
use crate::gateway::{CLIENT_KEY, binary};
use crate::open::Schedule;
use crate::report::write_json;
use crate::server::{Server, free_addr};
use crate::simulator;
use crate::template::{Template, chat_body};

/// A p99 may be so much higher, in thousandths of that without a collector.
const GOAL: u64 = 1_050;
/// Words of an answer.
const WORDS: u32 = 20;

/// Options of `observers`.
#[derive(clap::Args, Debug)]
pub(crate) struct Observers {
    /// Rounds; each runs every gateway.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Requests a second.
    #[arg(long, default_value_t = 300)]
    rate: u64,
    /// The gateway's binary; `tollgate` beside this one without it.
    #[arg(long, value_name = "PATH")]
    gateway: Option<PathBuf>,
    /// Write all rounds as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail when the goal was missed or a request failed.
    #[arg(long)]
    strict: bool,
}

/// A gateway and its p99 in each round, in microseconds.
struct Target {
    name: &'static str,
    server: Server,
    p99_us: Vec<u64>,
    failed: u64,
}

impl Observers {
    pub(crate) fn run(self) -> Result<()> {
        ensure!((1..=100).contains(&self.rounds), "--rounds: 1 to 100");
        ensure!((1..=600).contains(&self.seconds), "--seconds: 1 to 600");
        ensure!((1..=20_000).contains(&self.rate), "--rate: 1 to 20000");
        let gateway = binary(self.gateway.as_deref())?;
        let folder = tempfile::tempdir()?;
        let provider = simulator::start(None, 1)?;
        simulator::steer(provider.addr, "behaviour", &json!({ "chunks": WORDS }))?;
        // Takes connections, as the kernel does for it, and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0")?;
        let collectors =
            [("none", None), ("refused", Some(free_addr()?)), ("silent", Some(silent.local_addr()?))];
        let mut targets = Vec::new();
        for (name, collector) in collectors {
            let server = start(&gateway, &folder.path().join(name), provider.addr, collector)?;
            targets.push(Target { name, server, p99_us: Vec::new(), failed: 0 });
        }
        for round in 0..self.rounds {
            for turn in 0..targets.len() {
                // Another one goes first in each round, so that none always meets a cold machine.
                let at = (round + turn) % targets.len();
                self.measure(&mut targets[at])?;
            }
            eprintln!("round {} of {}", round + 1, self.rounds);
        }
        self.tell(&targets)
    }

    fn measure(&self, target: &mut Target) -> Result<()> {
        let url = format!("http://{}/v1/chat/completions", target.server.addr);
        let headers = vec![("authorization".to_owned(), format!("Bearer {CLIENT_KEY}"))];
        let template = Template::new(&url, headers, chat_body(compare::PASSED, 1024))?;
        let schedule = |total| Schedule {
            templates: vec![template.clone()],
            rate: self.rate,
            total,
            stream_permille: 0,
            max_in_flight: 1024,
            http2: 0,
            words: Some(WORDS),
            timeout: Duration::from_secs(30),
        };
        // Connections and caches are warm before anything counts.
        schedule(self.rate / 2).tally()?;
        let tally = schedule(self.rate * self.seconds).tally()?;
        target.p99_us.push(tally.quantile(990));
        target.failed += tally.failed();
        Ok(())
    }

    fn tell(&self, targets: &[Target]) -> Result<()> {
        let mut out = std::io::stdout();
        let mut is_met = true;
        writeln!(out, "{:<10} {:>10} {:>12} {:>8}  goal", "collector", "p99 ms", "x none", "failed")?;
        let mut told = Vec::new();
        for target in targets {
            let ratio = ratio_thousandths(target, &targets[0]);
            let fits = ratio <= GOAL && target.failed == 0;
            is_met &= fits;
            let (whole, part) = (ratio / 1000, ratio % 1000);
            let p99 = median(target.p99_us.clone());
            writeln!(
                out,
                "{:<10} {:>6}.{:03} {:>8}.{:03} {:>8}  {}",
                target.name,
                p99 / 1000,
                p99 % 1000,
                whole,
                part,
                target.failed,
                if fits { "MET" } else { "MISSED" }
            )?;
            told.push(told_of(target, ratio));
        }
        if let Some(file) = &self.json {
            write_json(file, &json!({ "rate": self.rate, "seconds": self.seconds, "collectors": told }))?;
        }
        ensure!(is_met || !self.strict, "a goal was missed");
        Ok(())
    }
}

fn told_of(target: &Target, ratio: u64) -> Value {
    json!({
        "collector": target.name,
        "p99_us": target.p99_us,
        "ratio_thousandths": ratio,
        "failed": target.failed,
    })
}

/// The median over the rounds of one's p99 over the other's in the same round.
fn ratio_thousandths(target: &Target, other: &Target) -> u64 {
    let pairs = target.p99_us.iter().zip(&other.p99_us);
    median(pairs.map(|(one, other)| one * 1000 / (*other).max(1)).collect())
}

/// The middle value; of an even number the upper one of the two in the middle.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn start(
    program: &Path,
    folder: &Path,
    provider: SocketAddr,
    collector: Option<SocketAddr>,
) -> Result<Server> {
    let telemetry = collector.map_or_else(String::new, |addr| {
        format!(
            "telemetry: {{ otlp: {{ endpoint: \"http://{addr}\", timeout: 1s, metrics: true, metrics_interval: 1s }} }}\n"
        )
    });
    compare::start_gateway(program, folder, provider, &telemetry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_value_is_told() {
        assert_eq!(median(vec![5, 1, 3]), 3);
        assert_eq!(median(vec![4, 1, 3, 2]), 3);
        assert_eq!(median(Vec::new()), 0);
    }
}
