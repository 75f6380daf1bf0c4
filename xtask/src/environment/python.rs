//! Virtual environments with the Python SDKs: the newest majors, and the ones before.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::{SDK_FOLDER, Stamp, clear, tools};
use crate::{
    steps::{capture, execute},
    workspace::Workspace,
};

const GENERATIONS: [&str; 2] = ["current", "older"];

/// Makes both environments, or leaves them when their lists have not changed.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    let version = capture(&mut workspace.command("python3", &["--version"]))?;
    for generation in GENERATIONS {
        let list =
            workspace.root.join(SDK_FOLDER).join("python").join(format!("requirements-{generation}.txt"));
        let folder = workspace.test_environment().join(format!("python-{generation}"));
        let stamp = Stamp::new(&folder, std::slice::from_ref(&list), &version)?;
        if stamp.is_current() {
            println!("python SDKs ({generation}): up to date");
            continue;
        }
        clear(&folder)?;
        let place = folder.to_string_lossy();
        if !makes_environments(workspace) {
            tools::install_packages(workspace, &["python3-venv"])
                .context("python3 cannot make virtual environments (its `venv` or `ensurepip` is missing)")?;
        }
        execute(&mut workspace.command("python3", &["-m", "venv", &place]))?;
        execute(
            Command::new(folder.join("bin").join("python"))
                .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
                .arg("--requirement")
                .arg(&list)
                .stdin(Stdio::null()),
        )
        .with_context(|| format!("cannot install the Python SDKs of {}", list.display()))?;
        stamp.set()?;
    }
    Ok(())
}

fn makes_environments(workspace: &Workspace) -> bool {
    capture(&mut workspace.command("python3", &["-c", "import venv, ensurepip"])).is_ok()
}
