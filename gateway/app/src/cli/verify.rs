//! `verify`: the journal against the ledger, without a running gateway.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use tollgate_accounting::ledger::{self, LedgerStore, Report};
use tollgate_control::config::{Document, LedgerPlace, Sources};
use tollgate_stores::{PostgresStore, SqliteStore};

use super::output::{self, Format, OutputArgs};
use crate::run::first_look;

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The gateway's data folder.
    #[arg(long, default_value = "./data", value_name = "DIR")]
    dir: PathBuf,
    /// The gateway's configuration, which names its data folder and its ledger; needed where the
    /// ledger is on a PostgreSQL server.
    #[arg(short, long, conflicts_with = "dir", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same as `-o json`.
    #[arg(long, hide = true)]
    json: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    let report = match &args.config {
        Some(config) => audit_configured(config)?,
        None => audit(&args.dir)?,
    };
    let format = if args.json { Format::Json } else { args.output.output };
    match format {
        Format::Table => output::write(format!("{report}\n").as_bytes())?,
        format => output::record(&serde_json::to_value(&report)?, format)?,
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The journal and the ledger that a configuration names.
fn audit_configured(config: &Path) -> Result<Report> {
    let document = Document::load(config, &Sources::process())?;
    let settings = first_look(&document)?;
    let journal = settings.data_dir.join("journal").join(&*settings.instance);
    if !journal.is_dir() {
        bail!("no journal at {}", journal.display());
    }
    match &settings.ledger {
        LedgerPlace::File(ledger) => audit_file(&journal, ledger),
        LedgerPlace::Server { url, .. } => {
            let store = PostgresStore::open(url)?;
            let instances = store.instances()?;
            // Rows of the others would look invented, since their journals are elsewhere.
            if instances.iter().any(|instance| **instance != *settings.instance) {
                bail!("not available yet: the ledger at {url} holds rows of {}", instances.join(", "));
            }
            audit_store(&journal, &store)
        }
    }
}

/// The only journal in a data folder and the embedded ledger beside it.
fn audit(dir: &Path) -> Result<Report> {
    audit_file(&journal_folder(dir)?, &dir.join("ledger.db"))
}

fn audit_file(journal: &Path, ledger: &Path) -> Result<Report> {
    // Opening would make an empty one, and that would differ from any journal.
    if !ledger.is_file() {
        bail!("no ledger at {}", ledger.display());
    }
    audit_store(journal, &SqliteStore::open(ledger)?)
}

fn audit_store(journal: &Path, store: &dyn LedgerStore) -> Result<Report> {
    Ok(ledger::verify(journal, store)?)
}

/// The one instance's folder. The ledger of several instances cannot be held against the journal of
/// one of them without false alarms.
pub(super) fn journal_folder(dir: &Path) -> Result<PathBuf> {
    let parent = dir.join("journal");
    let mut folders = Vec::new();
    for entry in fs::read_dir(&parent).with_context(|| format!("no journal at {}", parent.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    match folders.as_slice() {
        [] => bail!("no journal in {}", parent.display()),
        [folder] => Ok(folder.clone()),
        several => {
            bail!("not available yet: {} holds the journals of {} instances", parent.display(), several.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_data_folder_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = format!("{:#}", audit(folder.path()).expect_err("nothing is there"));
        assert!(error.contains("no journal at"), "{error}");
        fs::create_dir_all(folder.path().join("journal/gw-1")).expect("it is ours");
        let error = audit(folder.path()).expect_err("no ledger is there").to_string();
        assert!(error.contains("ledger.db"), "{error}");
        assert!(!folder.path().join("ledger.db").exists(), "looking makes nothing");
    }

    #[test]
    fn an_empty_journal_agrees_with_an_empty_ledger() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("journal/gw-1")).expect("it is ours");
        drop(SqliteStore::open(&folder.path().join("ledger.db")).expect("a new ledger"));
        assert!(audit(folder.path()).expect("both can be read").is_clean());
        fs::create_dir_all(folder.path().join("journal/gw-2")).expect("it is ours");
        assert!(audit(folder.path()).is_err(), "two instances are not one");
    }
}
