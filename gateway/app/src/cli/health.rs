//! `health`: readiness for containers that have no curl.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{
    client::{Client, ServerArgs},
    output,
};

#[derive(Args, Debug)]
pub(super) struct HealthArgs {
    /// Only ask whether the process lives.
    #[arg(long)]
    live: bool,
    /// List every check.
    #[arg(long, short, conflicts_with = "live")]
    verbose: bool,
    /// Any listener answers this: admin, status or data.
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn health(args: &HealthArgs) -> Result<ExitCode> {
    let path = if args.live { "livez" } else { "readyz" };
    let query: &[(&str, &str)] = if args.verbose { &[("verbose", "1")] } else { &[] };
    let answer = Client::new(&args.server)?.probe(path, query)?;
    let mut body = answer.body.to_vec();
    if body.last() != Some(&b'\n') {
        body.push(b'\n');
    }
    output::write(&body)?;
    Ok(if answer.status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
