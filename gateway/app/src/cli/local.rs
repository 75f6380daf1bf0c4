//! Commands that need no gateway: `check`, `schema`, `version`, `completions`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory};
use serde_json::{Value, json};
use tollgate_control::config::{self, Problem, Severity, Sources};

use crate::say::say;

use super::{
    Cli, ConfigFile,
    output::{self, Format, OutputArgs},
};

const COLUMNS: [&str; 7] = ["file", "line", "column", "severity", "path", "message", "suggestion"];

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    output: OutputArgs,
}

/// Tells every fault at its place, as compilers do on stderr or as rows on stdout; exit code 1 when there
/// is one.
pub(super) fn check(args: &CheckArgs) -> Result<ExitCode> {
    let file = args.config.path();
    match config::check(&file, &Sources::process()) {
        Ok(warnings) => {
            tell(&warnings, args.output.output)?;
            say!("{}: fine{}", file.display(), count(warnings.len(), "warning"));
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            tell(&errors.0, args.output.output)?;
            let faults = errors.0.iter().filter(|problem| problem.is_error()).count();
            say!("{}: refused{}", file.display(), count(faults, "error"));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn tell(problems: &[Problem], format: Format) -> Result<()> {
    if format == Format::Table {
        problems.iter().for_each(|problem| say!("{problem}"));
        return Ok(());
    }
    let items: Vec<Value> = problems.iter().map(row).collect();
    output::rows(&json!({ "items": items }), &COLUMNS, None, format)
}

fn row(problem: &Problem) -> Value {
    let place = problem.place.as_ref();
    json!({
        "file": place.map(|place| &*place.file),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "path": problem.path.to_string(),
        "message": problem.message,
        "suggestion": problem.suggestion,
    })
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => String::new(),
        1 => format!(", 1 {what}"),
        _ => format!(", {number} {what}s"),
    }
}

pub(super) fn schema() -> Result<()> {
    output::write(config::schema().as_bytes())
}

pub(super) fn version(args: OutputArgs) -> Result<()> {
    if args.output == Format::Json {
        return output::record(&json!({ "version": env!("CARGO_PKG_VERSION") }), args.output);
    }
    output::write(concat!("tollgate ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())
}

pub(super) fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tollgate", &mut script);
    output::write(&script)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_configuration_that_is_refused_ends_with_1() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("tollgate.yaml");
        fs::write(&file, "version: 1\nteems: []\n").expect("it is ours");
        let check = |file| {
            let config = ConfigFile { file: Some(file) };
            check(&CheckArgs { config, output: OutputArgs { output: Format::Table } })
        };
        assert_eq!(check(file).expect("it was looked at"), ExitCode::FAILURE);
        let absent = folder.path().join("absent.yaml");
        assert_eq!(check(absent).expect("it was looked for"), ExitCode::FAILURE);
    }
}
