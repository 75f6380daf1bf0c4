//! `close`: the end of a month, and the proof of what was sealed then.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use tollgate_finance::{Month, close, reconcile::Format};
use tollgate_stores::SqliteStore;

use crate::say::say;

use super::{
    client::{Client, ServerArgs},
    output::{self, OutputArgs},
    reconcile::{self, ReadingArgs},
};

#[derive(Args, Debug)]
pub(super) struct CloseArgs {
    /// The month, such as 2026-11.
    #[arg(required_unless_present = "verify", conflicts_with = "verify")]
    month: Option<Month>,
    /// A file of an invoice to hold against the month, as FILE or FORM=FILE; repeatable.
    #[arg(long = "reconcile", value_name = "FILE", value_parser = invoice_file)]
    invoices: Vec<(Option<Format>, PathBuf)>,
    /// Why no invoice is held against it.
    #[arg(long, value_name = "REASON", conflicts_with = "invoices")]
    without_reconciliation: Option<String>,
    /// Why differences beyond the tolerance are accepted.
    #[arg(long, value_name = "REASON", requires = "invoices")]
    accept: Option<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Check that nothing has changed in what was sealed, offline.
    #[arg(long)]
    verify: bool,
    /// The gateway's data folder, for --verify.
    #[arg(long, default_value = "./data", value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn invoice_file(text: &str) -> Result<(Option<Format>, PathBuf), String> {
    match text.split_once('=') {
        // A file may have such a mark in its name; a form is one of few words.
        Some((form, file)) if form.parse::<Format>().is_ok() => Ok((Some(form.parse()?), file.into())),
        _ => Ok((None, text.into())),
    }
}

pub(super) fn close(args: &CloseArgs) -> Result<ExitCode> {
    let Some(month) = args.month.filter(|_| !args.verify) else { return verify(args) };
    if args.invoices.is_empty() && args.without_reconciliation.is_none() {
        bail!("name invoices with --reconcile, or say why there are none --without-reconciliation");
    }
    let order = json!({
        "month": month.to_string(),
        "invoices": invoices(args)?,
        "without_reconciliation": args.without_reconciliation,
        "accept": args.accept,
    });
    let closed = Client::new(&args.server)?.post(&["close"], &order)?;
    let sealed = json!({ "items": closed["statements"], "close": closed });
    output::rows(&sealed, &["id", "team", "hash"], None, args.output.output)?;
    for total in closed["totals"].as_array().into_iter().flatten() {
        let text = |name: &str| total[name].as_str().unwrap_or_default();
        say!(
            "{month} is closed: {} {} charged, exactly {}, {} rows",
            text("amount"),
            text("currency"),
            text("exact"),
            closed["rows"]
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Files of one form are one provider's invoice.
fn invoices(args: &CloseArgs) -> Result<Vec<Value>> {
    let mut files = Vec::new();
    for (form, path) in &args.invoices {
        let form = match form {
            Some(form) => *form,
            None => form_of(path)?,
        };
        files.push((Some(form), path.as_path()));
    }
    Format::ALL
        .into_iter()
        .map(|form| files.iter().filter(|(of, _)| *of == Some(form)).copied().collect::<Vec<_>>())
        .filter(|files| !files.is_empty())
        .map(|files| reconcile::invoice(&files, &args.reading))
        .collect()
}

fn form_of(path: &Path) -> Result<Format> {
    let content = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Format::of(&content))
}

fn verify(args: &CloseArgs) -> Result<ExitCode> {
    let ledger = args.dir.join("ledger.db");
    // Opening would make an empty one, and that would differ from any papers.
    if !ledger.is_file() {
        bail!("no ledger at {}", ledger.display());
    }
    let found = close::verify(&SqliteStore::open(&ledger)?, &args.dir.join("statements"))?;
    let text = match args.output.output {
        output::Format::Json => serde_json::to_string_pretty(&found)?,
        _ => found.to_string(),
    };
    output::write((text + "\n").as_bytes())?;
    Ok(if found.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
