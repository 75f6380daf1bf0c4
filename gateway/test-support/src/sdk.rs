//! Runs clients of model APIs, unchanged, in Python and Node, and collects what their scripts report.
//!
//! A script prints one line of JSON per check; the caller compares the names with those it
//! expects, so that a check that never ran is as red as one that failed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// An environment of clients that `cargo xtask setup` has made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sdk {
    /// The newest majors of the official SDKs for Python.
    PythonCurrent,
    /// The majors before them.
    PythonOlder,
    /// Frameworks in Python that stand on the newest majors.
    PythonFrameworks,
    /// Frameworks in Python that ask for the majors before.
    PythonFrameworksOlder,
    /// The Node packages.
    Node,
    /// What drives a browser.
    Browser,
}

/// What a script says about one thing it looked at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Check {
    /// Which check, for example `openai.stream`.
    pub name: String,
    /// It holds.
    pub ok: bool,
    /// What was seen.
    #[serde(default)]
    pub detail: String,
    /// Why the client has no such thing, if it has none.
    #[serde(default)]
    pub not_applicable: Option<String>,
}

impl Sdk {
    /// Runs the script `name` (without its ending) with variables that tell it where to go.
    ///
    /// # Errors
    /// The environment is not set up; the script ended badly or printed something else than
    /// checks. The error holds its output.
    pub fn run(self, name: &str, variables: &[(&str, &str)]) -> Result<Vec<Check>> {
        let (interpreter, script) = self.command(name)?;
        let home = tempfile::tempdir().context("no folder for a client")?;
        let output = Command::new(&interpreter)
            .arg(&script)
            // An address, key or file of the developer's own must not decide a test.
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .envs(variables.iter().copied())
            .env("NO_PROXY", "127.0.0.1")
            // Nothing is left in the source tree.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", interpreter.display()))?;
        let told = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("{name} ended with {}:\n{told}{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        told.lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("{name} printed `{line}`")))
            .collect()
    }

    fn command(self, name: &str) -> Result<(PathBuf, PathBuf)> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let python =
            |folder: &str| Ok((interpreter(folder)?, scripts.join("python").join(format!("{name}.py"))));
        let node = |folder: &str| {
            let place = with_packages(folder)?;
            Ok(("node".into(), beside_packages(&scripts.join(folder), &place, name)?))
        };
        match self {
            Self::PythonCurrent => python("python-current"),
            Self::PythonOlder => python("python-older"),
            Self::PythonFrameworks => python("python-frameworks"),
            Self::PythonFrameworksOlder => python("python-frameworks-older"),
            Self::Node => node("node"),
            Self::Browser => node("browser"),
        }
    }
}

/// The interpreter of the newest Python environment, for scripts beside the tests.
///
/// # Errors
/// The environment is not set up.
pub fn python() -> Result<PathBuf> {
    interpreter("python-current")
}

/// The folder whose `node_modules` holds the coding agents.
///
/// # Errors
/// They are not set up.
pub fn agents() -> Result<PathBuf> {
    with_packages("agents")
}

fn with_packages(name: &str) -> Result<PathBuf> {
    let folder = environment()?.join(name);
    ensure!(
        folder.join("node_modules").exists(),
        "{} has no packages: run `cargo xtask setup` once",
        folder.display()
    );
    Ok(folder)
}

fn interpreter(folder: &str) -> Result<PathBuf> {
    let interpreter = environment()?.join(folder).join("bin").join("python");
    ensure!(interpreter.exists(), "{} is missing: run `cargo xtask setup` once", interpreter.display());
    Ok(interpreter)
}

/// Compares what ran with what should have run; the error lists everything that is wrong.
///
/// # Errors
/// A check failed, is missing, came twice, or is unknown.
pub fn assess(checks: &[Check], expected: &[&str]) -> Result<()> {
    let mut complaints: Vec<String> = checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| format!("{} failed: {}", check.name, check.detail))
        .collect();
    let ran: BTreeSet<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let wanted: BTreeSet<&str> = expected.iter().copied().collect();
    complaints.extend(wanted.difference(&ran).map(|name| format!("{name} did not run")));
    complaints.extend(ran.difference(&wanted).map(|name| format!("{name} is not expected")));
    if checks.len() != ran.len() {
        complaints.push("a check reported twice".to_owned());
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// Where the environments are: told by the task that made them, else below the target folder.
fn environment() -> Result<PathBuf> {
    if let Some(told) = std::env::var_os("TOLLGATE_TEST_ENV") {
        return Ok(told.into());
    }
    let executable = std::env::current_exe().context("cannot tell where the test runs from")?;
    executable
        .ancestors()
        .map(|folder| folder.join("test-env"))
        .find(|folder| folder.is_dir())
        .context("the SDKs are not set up: run `cargo xtask setup` once")
}

/// Node looks for packages from the script's own folder upwards, so the scripts go there.
fn beside_packages(scripts: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(scripts).with_context(|| format!("cannot read {}", scripts.display()))? {
        let source = entry?.path();
        if source.extension().is_some_and(|ending| ending == "mjs") {
            // Written beside and renamed: tests run at the same time.
            let target = folder.join(source.file_name().context("a script without a name")?);
            let beside = folder.join(format!(".{}-{:?}", std::process::id(), std::thread::current().id()));
            fs::copy(&source, &beside).with_context(|| format!("cannot copy {}", source.display()))?;
            fs::rename(&beside, &target).with_context(|| format!("cannot place {}", target.display()))?;
        }
    }
    Ok(folder.join(format!("{name}.mjs")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, ok: bool) -> Check {
        Check { name: name.to_owned(), ok, detail: "seen".to_owned(), not_applicable: None }
    }

    #[test]
    fn failed_missing_unknown_and_double_checks_are_all_red() {
        let cases: [(&str, Vec<Check>, &str); 5] = [
            ("good", vec![check("a", true), check("b", true)], ""),
            ("failed", vec![check("a", false), check("b", true)], "a failed: seen"),
            ("missing", vec![check("a", true)], "b did not run"),
            ("unknown", vec![check("a", true), check("b", true), check("c", true)], "c is not expected"),
            ("double", vec![check("a", true), check("b", true), check("b", true)], "a check reported twice"),
        ];
        for (name, checks, wanted) in cases {
            let told =
                assess(&checks, &["a", "b"]).err().map(|problem| problem.to_string()).unwrap_or_default();
            assert_eq!(told, wanted, "{name}");
        }
    }
}
