//! A provider as a process of its own: its CPU is nobody else's, and it can be killed.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tollgate_simulator::{Keep, Options, Simulator, Totals};

use crate::inquire;
use crate::server::{Server, quiet, spawn};

/// The hidden subcommand that `start` runs.
#[derive(clap::Args, Debug)]
pub(crate) struct Serve {
    #[arg(long)]
    threads: usize,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

impl Serve {
    /// Serves until stdin ends, which it does when the parent does.
    pub(crate) fn run(self) -> Result<()> {
        let options = Options {
            listen: self.listen,
            keep: Keep::Totals,
            control: true,
            threads: self.threads,
            ..Options::default()
        };
        let simulator = Simulator::spawn_thread(options)?;
        writeln!(std::io::stdout(), "ready {}", simulator.base_url())?;
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        Ok(())
    }
}

/// Starts that `tollgate-simulator` as the provider, or without one this binary again.
pub(crate) fn start(program: Option<&Path>, threads: usize) -> Result<Server> {
    let mut command = match program {
        Some(program) => {
            let mut command = quiet(program);
            command.args(["--listen", "127.0.0.1:0", "--book", "totals"]);
            command
        }
        None => {
            let mut command = quiet(&std::env::current_exe()?);
            command.arg("simulator");
            command
        }
    };
    command.args(["--threads", &threads.to_string()]);
    started(&mut command).context(
        "build the provider with `cargo build --release -p tollgate-simulator`, or leave out --simulator",
    )
}

/// Runs a command that starts a simulator and says so on its stdout.
pub(crate) fn started(command: &mut Command) -> Result<Server> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = spawn(command)?;
    let stdout = child.stdout.take().context("the simulator's stdout is a pipe")?;
    // From here on an error ends the process: the server owns it.
    let mut server = Server::new("simulator", SocketAddr::from(([127, 0, 0, 1], 0)), child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let addr = line.trim().strip_prefix("ready http://").context("the simulator did not start")?;
    server.addr = addr.parse()?;
    Ok(server)
}

/// Steers a simulator: `what` is `behaviour`, `script` or `always`.
pub(crate) fn steer(provider: SocketAddr, what: &str, how: &Value) -> Result<()> {
    let (status, told) = inquire::post(provider, &format!("/_sim/{what}"), &[], how)?;
    ensure!(status == 200, "the simulator refused a {what}: {told}");
    Ok(())
}

/// The sums in its book.
pub(crate) fn totals(provider: SocketAddr) -> Result<Totals> {
    let (_, mut told) = inquire::get(provider, "/_sim/book", &[])?;
    serde_json::from_value(told["totals"].take()).context("the simulator's book")
}
