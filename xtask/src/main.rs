//! `cargo xtask`: what a developer and the build run. `test` sets up what the tests need and runs
//! them all; `setup` stops before the tests; `cassettes DIR` replays recorded provider traffic
//! through the built gateway.
//!
//! Nothing is skipped in silence: a missing piece that cannot be installed fails with its name.
#![allow(clippy::print_stdout, reason = "a command line tool talks on stdout")]

mod cassettes;
mod environment;
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
        Task::Test { long } => suite::run(&workspace, long),
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
