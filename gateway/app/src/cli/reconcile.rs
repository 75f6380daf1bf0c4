//! `reconcile`: a provider's invoice against the ledger.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde_json::{Value, json};
use tollgate_finance::reconcile::{Format, Tolerance};

use crate::say::say;

use super::{
    client::{Client, ServerArgs},
    output::{self, OutputArgs},
};

const COLUMNS: [&str; 9] =
    ["day", "model", "reason", "theirs", "ours", "difference", "currency", "material", "note"];

#[derive(Args, Debug)]
pub(super) struct ReconcileArgs {
    /// The form of the files: openai, anthropic, azure or csv; without it, how they begin tells.
    #[arg(long, value_name = "FORM")]
    provider: Option<Format>,
    /// A file of the invoice; repeatable for further pages, and for usage beside costs.
    #[arg(long, value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
    /// The first day, of UTC, as providers bill.
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    from: String,
    /// The first day after it.
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    to: String,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How invoices are read.
#[derive(Args, Debug)]
pub(super) struct ReadingArgs {
    /// Compare with rows of this provider of the ledger alone, where a CSV file does not tell.
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// Compare with rows of this account at the provider alone.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// A key, project or workspace at the provider that the gateway uses; repeatable.
    #[arg(long, value_name = "ID")]
    key: Vec<String>,
    /// A model that the invoice calls otherwise, as THEIRS=OURS; repeatable.
    #[arg(long, value_name = "THEIRS=OURS", value_parser = pair)]
    model: Vec<(String, String)>,
    /// What may differ: a percentage, an amount or both [default: 0.5%,1]
    #[arg(long, value_name = "TOLERANCE", value_parser = tolerance)]
    tolerance: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (theirs, ours) = text.split_once('=').ok_or("write THEIRS=OURS")?;
    Ok((theirs.to_owned(), ours.to_owned()))
}

fn tolerance(text: &str) -> Result<String, String> {
    text.parse::<Tolerance>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The invoice that these files are, as the API takes it.
pub(super) fn invoice(files: &[(Option<Format>, &Path)], reading: &ReadingArgs) -> Result<Value> {
    let files = files.iter().map(|(format, path)| file(*format, path)).collect::<Result<Vec<_>>>()?;
    let models: serde_json::Map<String, Value> =
        reading.model.iter().map(|(theirs, ours)| (theirs.clone(), json!(ours))).collect();
    Ok(json!({
        "files": files,
        "provider": reading.of,
        "account": reading.account,
        "keys": reading.key,
        "models": models,
        "tolerance": reading.tolerance,
    }))
}

fn file(format: Option<Format>, path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let content = String::from_utf8(bytes).map_err(|_| anyhow!("{} is not text in UTF-8", path.display()))?;
    Ok(json!({
        "name": path.file_name().unwrap_or_default().to_string_lossy(),
        "format": format.map(Format::as_str),
        "content": content,
    }))
}

pub(super) fn reconcile(args: &ReconcileArgs) -> Result<ExitCode> {
    let files: Vec<(Option<Format>, &Path)> =
        args.file.iter().map(|path| (args.provider, path.as_path())).collect();
    let mut asked = invoice(&files, &args.reading)?;
    asked["from"] = json!(args.from);
    asked["to"] = json!(args.to);
    let report = Client::new(&args.server)?.post(&["reconcile"], &asked)?;
    show(&report, args.output)?;
    Ok(if report["within_tolerance"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the differences; the sums go to stderr.
pub(super) fn show(report: &Value, form: OutputArgs) -> Result<()> {
    output::rows(report, &COLUMNS, None, form.output)?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for sums in report["totals"].as_array().into_iter().flatten() {
        say!(
            "the provider says {} {}, the ledger {}: a difference of {}",
            text(&sums["theirs"]),
            text(&sums["currency"]),
            text(&sums["ours"]),
            text(&sums["difference"])
        );
    }
    say!(
        "{} lines compared with {} requests; {} lines of other days, {} of other services",
        report["lines"],
        report["requests"],
        report["lines_outside"],
        report["other_lines"]
    );
    say!("{}", if report["within_tolerance"] == true { "within tolerance" } else { "beyond tolerance" });
    Ok(())
}
