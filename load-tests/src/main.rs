//! `tollgate-load`: load against 127.0.0.0/8, and what it cost the process that carried it.
//!
//! - `steady` sends at a rate and measures from the intended start of each request, so that a
//!   server that stalls is charged for every request that it kept waiting (no coordinated omission).
//! - `closed` keeps N connections busy: for capacity.
//! - `streams` holds many slow streams open and checks each chunk.
//! - `compare` runs nginx and the gateway side by side over a simulated provider.
//! - `outage` has providers fail in every way and tells what clients noticed.
//! - `observers` has nobody take the gateway's records and tells what clients noticed.
//! - `export` makes a ledger of millions of rows and has the gateway export it.

mod check;
mod closed;
mod compare;
mod connection;
mod export;
mod gateway;
mod histogram;
mod inquire;
mod observers;
mod open;
mod outage;
mod process;
mod report;
mod server;
mod simulator;
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
    /// Providers fail in every way behind a gateway under load: what clients notice, in one table.
    Outage(outage::Outage),
    /// Gateways whose OTLP collector is dead beside one that has none: p99, in interleaved rounds.
    Observers(observers::Observers),
    /// A ledger of millions of rows, exported: time and peak memory.
    Export(export::Export),
    /// A simulated provider, as `compare` and `outage` start it.
    #[command(hide = true)]
    Simulator(simulator::Serve),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Steady(steady) => steady.run(),
        Command::Closed(closed) => closed.run(),
        Command::Streams(streams) => streams.run(),
        Command::Compare(compare) => compare.run(),
        Command::Outage(outage) => outage.run(),
        Command::Observers(observers) => observers.run(),
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
