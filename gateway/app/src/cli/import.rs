//! `import`: a configuration of another gateway, turned into ours.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_control::import::{
    Imported, Outcome,
    litellm::{self, File, Sources},
};

use crate::say::say;

use super::output;

#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Turn the configuration of a LiteLLM proxy into ours; a report on stderr tells what did not map.
    Litellm(LitellmArgs),
}

#[derive(Args, Debug)]
struct LitellmArgs {
    /// The proxy's configuration file.
    file: PathBuf,
    /// What its /team/list answers, as JSON.
    #[arg(long, value_name = "FILE")]
    teams: Option<PathBuf>,
    /// What its /key/list?return_full_object=true answers, as JSON. Keys keep working by their hashes.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Where our configuration goes; never over a file that is there. Default: stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where its prices go; the configuration names this file. Without it they are left out.
    #[arg(long, value_name = "FILE")]
    prices_out: Option<PathBuf>,
    /// Where the report goes as JSON, besides stderr.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn import(args: &ImportArgs) -> Result<()> {
    let ImportCommand::Litellm(args) = &args.command;
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let config = read(&args.file)?;
    let teams = args.teams.as_deref().map(read).transpose()?;
    let keys = args.keys.as_deref().map(read).transpose()?;
    let file = |name: &Option<PathBuf>, text: &Option<String>| match (name, text) {
        (Some(name), Some(text)) => Some((name.clone(), text.clone())),
        _ => None,
    };
    let (teams, keys) = (file(&args.teams, &teams), file(&args.keys, &keys));
    let sources = Sources {
        config: File { name: &args.file, text: &config },
        teams: teams.as_ref().map(|(name, text)| File { name, text }),
        keys: keys.as_ref().map(|(name, text)| File { name, text }),
        prices: args.prices_out.as_deref(),
    };
    let imported = litellm::import(&sources).map_err(|problem| anyhow!("{problem}"))?;
    tell(&imported);
    if let Some(path) = &args.report {
        create(path, format!("{:#}\n", report(&imported)).as_bytes())?;
    }
    if let (Some(path), Some(prices)) = (&args.prices_out, &imported.prices) {
        create(path, prices.as_bytes())?;
    }
    match &args.out {
        Some(path) => create(path, imported.config.as_bytes()),
        None => output::write(imported.config.as_bytes()),
    }
}

fn tell(imported: &Imported) {
    for note in &imported.notes {
        say!("{note}");
    }
    let count = |outcome: Outcome| imported.notes.iter().filter(|note| note.outcome == outcome).count();
    say!(
        "{} to do, {} changed, {} not mapped; `tollgate check` tells what is left",
        count(Outcome::ToDo),
        count(Outcome::Changed),
        count(Outcome::NotMapped)
    );
}

fn report(imported: &Imported) -> Value {
    let items = imported.notes.iter().map(|note| {
        json!({
            "file": &*note.place.file,
            "line": note.place.line,
            "column": note.place.column,
            "what": note.what,
            "outcome": note.outcome.as_str(),
            "why": note.why,
        })
    });
    json!({ "items": items.collect::<Vec<_>>() })
}

/// Writes a file that is not there yet: nobody's work is written over.
fn create(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match file {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already: take it away or name another file", path.display())
        }
        file => file.with_context(|| format!("cannot write {}", path.display()))?,
    };
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}
