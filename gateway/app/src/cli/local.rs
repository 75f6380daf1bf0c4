//! Commands that need no gateway: `check`, `schema`, `version`, `completions`.

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use clap::CommandFactory;
use tollgate_control::config::{self, Sources};

use super::{Cli, output};

/// Tells every fault at its place on stderr, as compilers do; exit code 1 when there is one.
pub(super) fn check(file: &Path) -> Result<ExitCode> {
    match config::check(file, &Sources::process()) {
        Ok(warnings) => {
            warnings.iter().for_each(|warning| eprintln!("{warning}"));
            eprintln!("{}: fine{}", file.display(), count(warnings.len(), "warning"));
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            errors.0.iter().for_each(|problem| eprintln!("{problem}"));
            let faults = errors.0.iter().filter(|problem| problem.is_error()).count();
            eprintln!("{}: refused{}", file.display(), count(faults, "error"));
            Ok(ExitCode::FAILURE)
        }
    }
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

pub(super) fn version() -> Result<()> {
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
        assert_eq!(check(&file).expect("it was looked at"), ExitCode::FAILURE);
        assert_eq!(check(&folder.path().join("absent.yaml")).expect("it was looked for"), ExitCode::FAILURE);
    }
}
