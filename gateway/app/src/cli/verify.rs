//! `verify`: the journal against the ledger, without a running gateway.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use tollgate_accounting::ledger::{self, Report};
use tollgate_stores::SqliteStore;

use super::output;

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The gateway's data folder.
    #[arg(long, default_value = "./data", value_name = "DIR")]
    dir: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    let report = audit(&args.dir)?;
    let mut text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    text.push('\n');
    output::write(text.as_bytes())?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn audit(dir: &Path) -> Result<Report> {
    let journal = journal_folder(dir)?;
    let ledger = dir.join("ledger.db");
    // Opening would make an empty one, and that would differ from any journal.
    if !ledger.is_file() {
        bail!("no ledger at {}", ledger.display());
    }
    Ok(ledger::verify(&journal, &SqliteStore::open(&ledger)?)?)
}

/// The one instance's folder. The ledger of several instances cannot be held against the journal of
/// one of them without false alarms.
fn journal_folder(dir: &Path) -> Result<PathBuf> {
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
