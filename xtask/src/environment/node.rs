//! The Node SDKs and the coding agents that npm brings, from the committed lock files.

use std::fs;

use anyhow::{Context as _, Result};

use super::{SDK_FOLDER, Stamp, clear};
use crate::{
    steps::{capture, execute},
    workspace::Workspace,
};

const LISTS: [&str; 3] = [".npmrc", "package.json", "package-lock.json"];

/// Installs the packages listed in one folder of [`SDK_FOLDER`], or leaves them when their lists have
/// not changed.
pub(crate) fn prepare(workspace: &Workspace, name: &str) -> Result<()> {
    let version = capture(&mut workspace.command("node", &["--version"]))?;
    let sources = LISTS.map(|list| workspace.root.join(SDK_FOLDER).join(name).join(list));
    let folder = workspace.test_environment().join(name);
    let stamp = Stamp::new(&folder, &sources, &version)?;
    if stamp.is_current() {
        println!("npm packages ({name}): up to date");
        return Ok(());
    }
    clear(&folder)?;
    for (list, source) in LISTS.iter().zip(&sources) {
        fs::copy(source, folder.join(list)).with_context(|| format!("cannot copy {}", source.display()))?;
    }
    // Nothing here needs a script of its own at installation; what would run one still works without.
    let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    execute(workspace.command("npm", &options).current_dir(&folder))
        .with_context(|| format!("cannot install the npm packages of {name}"))?;
    stamp.set()
}
