//! `config`: which configuration runs, which ran before, what differs, and the way back.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client::{Client, ServerArgs},
    output::{self, Format, OutputArgs},
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
    /// Show what differs: between two versions, a version and what runs, or what runs and a file. Exit
    /// code 1 when something does.
    Diff(DiffArgs),
    /// Return to an earlier version: its files are written and put in force as a new version.
    Rollback(RollbackArgs),
}

#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Debug)]
struct DiffArgs {
    /// A version's number, or a file that would replace the main file. Default: the version before the
    /// running one.
    #[arg(value_name = "VERSION|FILE")]
    from: Option<String>,
    /// The number of the other version. Default: what is running.
    #[arg(value_name = "VERSION")]
    to: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Debug)]
struct RollbackArgs {
    /// The number of the version, as the history shows it.
    version: u64,
    /// Why; kept in the audit.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn config(args: &ConfigArgs) -> Result<ExitCode> {
    match &args.command {
        ConfigCommand::Show(args) => {
            let mut running = Client::new(&args.server)?.get(&["config"], &[])?;
            // Whole files are no cells of a table.
            if let Some(shown) = running.as_object_mut().filter(|_| args.output.output != Format::Json) {
                shown.remove("texts");
            }
            output::record(&running, args.output.output)?;
        }
        ConfigCommand::History(args) => {
            let history = Client::new(&args.server)?.get(&["config", "history"], &[])?;
            let columns = ["version", "time", "author", "source", "hash"];
            output::rows(&history, &columns, None, args.output.output)?;
        }
        ConfigCommand::Reload(args) => {
            let running = Client::new(&args.server)?.post(&["config", "reload"], &json!({}))?;
            output::record(&running, args.output.output)?;
        }
        ConfigCommand::Diff(args) => return diff(args),
        ConfigCommand::Rollback(args) => {
            let order = json!({ "version": args.version, "reason": args.reason });
            let running = Client::new(&args.server)?.post(&["config", "rollback"], &order)?;
            output::record(&running, args.output.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn diff(args: &DiffArgs) -> Result<ExitCode> {
    let client = Client::new(&args.server)?;
    let answer = match args.from.as_deref().map(|from| (from, from.parse::<u64>())) {
        Some((_, Ok(from))) => between(&client, from, args.to)?,
        Some((file, Err(_))) => {
            if args.to.is_some() {
                bail!("a file is compared with what is running: leave the version out");
            }
            let text = fs::read(file).with_context(|| format!("cannot read {file}"))?;
            client.post_text(&["config", "validate"], text)?
        }
        None => {
            let running = client.get(&["config"], &[])?["version"].as_u64().unwrap_or_default();
            between(&client, running.saturating_sub(1), None)?
        }
    };
    let Some(diff) = answer["diff"].as_str() else { bail!("this token may not see what differs") };
    match args.output.output {
        Format::Json => output::record(&answer, Format::Json)?,
        _ => output::write(diff.as_bytes())?,
    }
    Ok(if diff.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn between(client: &Client, from: u64, to: Option<u64>) -> Result<Value> {
    let (from, to) = (from.to_string(), to.map(|to| to.to_string()));
    let mut query = vec![("from", from.as_str())];
    query.extend(to.as_deref().map(|to| ("to", to)));
    client.get(&["config", "diff"], &query)
}
