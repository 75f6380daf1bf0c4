//! `tollgate-simulator`: a simulated provider as a process, so that it can be killed like one.
//!
//! Prints `ready http://ADDR` on stdout when it accepts. SIGTERM and SIGINT stop it gracefully.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tollgate_simulator::{Behaviour, Keep, Options, Simulator, Stop};

/// A simulated provider of the OpenAI, Azure OpenAI and Anthropic APIs.
#[derive(Parser)]
#[command(name = "tollgate-simulator", version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Name, part of the ids given out.
    #[arg(long, default_value = "sim")]
    name: String,
    /// Words of an answer, which are content chunks of a stream.
    #[arg(long, default_value_t = 20)]
    chunks: u32,
    /// Milliseconds before each content chunk of a stream.
    #[arg(long, default_value_t = 0)]
    chunk_delay_ms: u64,
    /// Milliseconds before the head of an answer.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Of a thousand calls, how many get 503.
    #[arg(long, default_value_t = 0)]
    error_permille: u32,
    /// Input tokens claimed as cached.
    #[arg(long, default_value_t = 0)]
    cached_tokens: u64,
    /// Reasoning tokens claimed on top of the words.
    #[arg(long, default_value_t = 0)]
    reasoning_tokens: u64,
    /// The only credential to accept.
    #[arg(long, env = "SIMULATOR_CREDENTIAL", hide_env_values = true)]
    credential: Option<String>,
    /// How much of each call the book keeps.
    #[arg(long, value_enum, default_value = "calls")]
    book: Kept,
    /// Threads, each with a runtime and a listening socket.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kept {
    Totals,
    Calls,
}

impl Arguments {
    fn options(self) -> Options {
        let behaviour = Behaviour {
            latency: Duration::from_millis(self.latency_ms),
            chunks: self.chunks,
            input_tokens: None,
            chunk_pause: Duration::from_millis(self.chunk_delay_ms),
            cached_tokens: self.cached_tokens,
            reasoning_tokens: self.reasoning_tokens,
            error_permille: self.error_permille,
            ..Behaviour::default()
        };
        let keep = match self.book {
            Kept::Totals => Keep::Totals,
            Kept::Calls => Keep::Calls,
        };
        Options {
            listen: self.listen,
            name: self.name,
            behaviour,
            credential: self.credential,
            keep,
            control: true,
            threads: self.threads,
            ..Options::default()
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> std::io::Result<()> {
    let simulator = Simulator::spawn_thread(arguments.options())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut stdout = std::io::stdout();
        writeln!(stdout, "ready {}", simulator.base_url())?;
        stdout.flush()?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        simulator.stop(Stop::Graceful).await;
        Ok(())
    })
}
