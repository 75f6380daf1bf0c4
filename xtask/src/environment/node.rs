//! The Node SDKs, from the committed lock file.

use std::fs;

use anyhow::{Context as _, Result};

use super::{SDK_FOLDER, Stamp, clear};
use crate::{
    steps::{capture, execute},
    workspace::Workspace,
};

const LISTS: [&str; 3] = [".npmrc", "package.json", "package-lock.json"];

/// Installs the packages, or leaves them when their lists have not changed.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    let version = capture(&mut workspace.command("node", &["--version"]))?;
    let sources = LISTS.map(|name| workspace.root.join(SDK_FOLDER).join("node").join(name));
    let folder = workspace.test_environment().join("node");
    let stamp = Stamp::new(&folder, &sources, &version)?;
    if stamp.is_current() {
        println!("node SDKs: up to date");
        return Ok(());
    }
    clear(&folder)?;
    for (name, source) in LISTS.iter().zip(&sources) {
        fs::copy(source, folder.join(name)).with_context(|| format!("cannot copy {}", source.display()))?;
    }
    execute(workspace.command("npm", &["ci", "--no-audit", "--no-fund"]).current_dir(&folder))
        .context("cannot install the Node SDKs")?;
    stamp.set()
}
