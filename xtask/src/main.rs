//! `cargo xtask`: what a developer and the build run. `test` sets up what the tests need and runs
//! them all; `setup` stops before the tests; `cassettes DIR` replays recorded provider traffic
//! through the built gateway; `fuzz` looks for bytes that break a parser.
//!
//! Nothing is skipped in silence: a missing piece that cannot be installed fails with its name.
#![allow(clippy::print_stdout, reason = "a command line tool talks on stdout")]

mod cassettes;
mod environment;
mod fuzz;
mod steps;
mod suite;
mod workspace;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Tasks of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up what the tests need and run none of them
    Setup,
    /// Set up what the tests need and run them all
    Test {
        /// Also the long forms: more fuzz cases, longer faults, the load comparison
        #[arg(long)]
        long: bool,
        /// Seconds for which the long form fuzzes each parser
        #[arg(long, default_value_t = fuzz::SECONDS, requires = "long")]
        fuzz_seconds: u64,
    },
    /// Fuzz each parser of foreign bytes, guided by coverage; needs a C++ compiler
    Fuzz {
        /// Seconds for each target
        #[arg(long, default_value_t = fuzz::SECONDS)]
        seconds: u64,
        /// Only targets whose name contains this text
        #[arg(long)]
        only: Option<String>,
    },
    /// Replay recorded provider traffic through the built gateway
    Cassettes {
        /// The folder of recordings, one sub-folder for each dialect
        dir: PathBuf,
        /// Only recordings whose `dialect/name` contains this text
        #[arg(long)]
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    let outcome = Workspace::locate().and_then(|workspace| match Cli::parse().task {
        Task::Setup => Ok(suite::set_up(&workspace)),
        Task::Test { long, fuzz_seconds } => {
            suite::run(&workspace, long.then_some(suite::Long { fuzz_seconds }))
        }
        Task::Fuzz { seconds, only } => {
            fuzz::run(&workspace, seconds, only.as_deref()).map(|()| steps::Verdict::Passed)
        }
        Task::Cassettes { dir, only } => cassettes::run(&workspace, &dir, only.as_deref()),
    });
    match outcome {
        Ok(steps::Verdict::Passed) => ExitCode::SUCCESS,
        Ok(steps::Verdict::Failed) => ExitCode::FAILURE,
        Err(problem) => {
            println!("xtask: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
