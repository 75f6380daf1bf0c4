//! `tollgate-load`: load against 127.0.0.0/8, and what it cost the process that carried it.
//!
//! - `steady` sends at a rate and measures from the intended start of each request, so that a
//!   server that stalls is charged for every request that it kept waiting (no coordinated omission).
//! - `closed` keeps N connections busy: for capacity.
//! - `streams` holds many slow streams open and checks each chunk.
//! - `compare` runs nginx and the gateway side by side over a simulated provider.
//! - `export` makes a ledger of millions of rows and has the gateway export it.

mod check;
mod closed;
mod compare;
mod connection;
mod export;
mod histogram;
mod open;
mod process;
mod report;
mod streams;
mod tally;
mod template;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "tollgate-load", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Load against 127.0.0.0/8, and what it cost the process that carried it.
#[derive(Subcommand)]
enum Command {
    /// Open loop: a fixed rate, whatever the answers take.
    Steady(open::Steady),
    /// Closed loop: a fixed number of requests in flight.
    Closed(closed::Closed),
    /// Many slow streams at a time, each checked chunk by chunk.
    Streams(streams::Streams),
    /// The gateway beside nginx over one simulated provider, in interleaved rounds.
    Compare(compare::Compare),
    /// A ledger of millions of rows, exported: time and peak memory.
    Export(export::Export),
    /// A simulated provider, as `compare` starts it.
    #[command(hide = true)]
    Simulator(compare::simulator::Serve),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Steady(steady) => steady.run(),
        Command::Closed(closed) => closed.run(),
        Command::Streams(streams) => streams.run(),
        Command::Compare(compare) => compare.run(),
        Command::Export(export) => export.run(),
        Command::Simulator(serve) => serve.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
