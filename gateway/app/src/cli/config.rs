//! `config`: which configuration runs, which ran before, and reading the file again.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{
    Later,
    client::{Client, ServerArgs},
    not_available,
    output::{self, OutputArgs},
};

#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show the running configuration's version, hash, source, author and time.
    Show(ShowArgs),
    /// Show the versions that ran, newest first.
    History(ShowArgs),
    /// Read the configuration file again; a bad file changes nothing.
    Reload(ShowArgs),
    /// Show what a file would change (not available yet).
    Diff(Later),
    /// Return to an earlier version (not available yet).
    Rollback(Later),
}

#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// False for what only says that it is not available.
#[cfg(test)]
pub(super) fn is_built(args: &ConfigArgs) -> bool {
    !matches!(args.command, ConfigCommand::Diff(_) | ConfigCommand::Rollback(_))
}

pub(super) fn config(args: &ConfigArgs) -> Result<()> {
    match &args.command {
        ConfigCommand::Show(args) => {
            let running = Client::new(&args.server)?.get(&["config"], &[])?;
            output::record(&running, args.output.output)
        }
        ConfigCommand::History(args) => {
            let history = Client::new(&args.server)?.get(&["config", "history"], &[])?;
            output::rows(&history, &["version", "time", "author", "source", "hash"], None, args.output.output)
        }
        ConfigCommand::Reload(args) => {
            let running = Client::new(&args.server)?.post(&["config", "reload"], &serde_json::json!({}))?;
            output::record(&running, args.output.output)
        }
        ConfigCommand::Diff(_) => Err(not_available("tollgate config diff")),
        ConfigCommand::Rollback(_) => Err(not_available("tollgate config rollback")),
    }
}
