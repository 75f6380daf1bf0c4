//! Virtual environments with the Python SDKs and the frameworks on them: packages that ask for different
//! majors of the same SDK stand apart.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::{SDK_FOLDER, Stamp, clear, tools};
use crate::{
    steps::{capture, execute},
    workspace::Workspace,
};

const LISTS: [&str; 4] = ["current", "older", "frameworks", "frameworks-older"];

/// Makes the environments, or leaves them when their lists have not changed.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    let version = capture(&mut workspace.command("python3", &["--version"]))?;
    for name in LISTS {
        let list = workspace.root.join(SDK_FOLDER).join("python").join(format!("requirements-{name}.txt"));
        let folder = workspace.test_environment().join(format!("python-{name}"));
        let stamp = Stamp::new(&folder, std::slice::from_ref(&list), &version)?;
        if stamp.is_current() {
            println!("python packages ({name}): up to date");
            continue;
        }
        make(workspace, &folder, &list, &[])?;
        stamp.set()?;
    }
    Ok(())
}

/// Makes a new environment in `folder` with the packages of `list`; `options` are pip's.
pub(super) fn make(workspace: &Workspace, folder: &Path, list: &Path, options: &[&str]) -> Result<()> {
    clear(folder)?;
    let place = folder.to_string_lossy();
    if !makes_environments(workspace) {
        tools::install_packages(workspace, &["python3-venv"])
            .context("python3 cannot make virtual environments (its `venv` or `ensurepip` is missing)")?;
    }
    execute(&mut workspace.command("python3", &["-m", "venv", &place]))?;
    execute(
        interpreter(folder)
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(options)
            .arg("--requirement")
            .arg(list),
    )
    .with_context(|| format!("cannot install the Python packages of {}", list.display()))
}

/// The Python of an environment.
pub(super) fn interpreter(folder: &Path) -> Command {
    let mut command = Command::new(folder.join("bin").join("python"));
    command.stdin(Stdio::null());
    command
}

fn makes_environments(workspace: &Workspace) -> bool {
    capture(&mut workspace.command("python3", &["-c", "import venv, ensurepip"])).is_ok()
}
