//! The provider behind all targets, as a process of its own so that its CPU is nobody else's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tollgate_simulator::{Keep, Options, Simulator};

use super::scenario::Scenario;
use super::server::{Server, quiet, spawn};

/// The hidden subcommand that `start` runs.
#[derive(clap::Args, Debug)]
pub(crate) struct Serve {
    #[arg(long)]
    threads: usize,
}

impl Serve {
    /// Serves until stdin ends, which it does when the parent does.
    pub(crate) fn run(self) -> Result<()> {
        let options =
            Options { keep: Keep::Totals, control: true, threads: self.threads, ..Options::default() };
        let simulator = Simulator::spawn_thread(options)?;
        writeln!(std::io::stdout(), "ready {}", simulator.base_url())?;
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        Ok(())
    }
}

/// Starts that `tollgate-simulator` as the provider, or without one this binary again.
pub(super) fn start(program: Option<&Path>, threads: usize) -> Result<Server> {
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
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = spawn(&mut command).context(
        "build the provider with `cargo build --release -p tollgate-simulator`, or leave out --simulator",
    )?;
    let stdout = child.stdout.take().context("the simulator's stdout is a pipe")?;
    let mut server = Server::new("simulator", SocketAddr::from(([127, 0, 0, 1], 0)), child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let addr = line.trim().strip_prefix("ready http://").context("the simulator did not start")?;
    server.addr = addr.parse()?;
    Ok(server)
}

/// Has the provider answer as the scenario needs it.
pub(super) fn behave(provider: &Server, scenario: &Scenario) -> Result<()> {
    let body = json!({ "chunks": scenario.words, "chunk_pause_ms": scenario.chunk_pause_ms }).to_string();
    let mut socket = TcpStream::connect(provider.addr)?;
    write!(
        socket,
        "POST /_sim/behaviour HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "the simulator refused a behaviour: {answer}");
    Ok(())
}
