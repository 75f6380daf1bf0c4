//! Virtual environments with what reads finance's files: libraries of other makers, and the validator of
//! the FOCUS specification.

use anyhow::{Context as _, Result};

use super::{Stamp, python};
use crate::{
    steps::{capture, execute},
    workspace::Workspace,
};

/// Where the scripts and their package lists stand.
const FOLDER: &str = "gateway/finance/tests/exports/readers";

/// Makes both environments, or leaves them when their lists have not changed.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    let version = capture(&mut workspace.command("python3", &["--version"]))?;
    let scripts = workspace.root.join(FOLDER);

    let list = scripts.join("requirements.txt");
    let folder = workspace.test_environment().join("python-readers");
    let stamp = Stamp::new(&folder, std::slice::from_ref(&list), &version)?;
    if stamp.is_current() {
        println!("readers of finance files: up to date");
    } else {
        python::make(workspace, &folder, &list, &[])?;
        stamp.set()?;
    }

    let (list, mend) = (scripts.join("requirements-focus.txt"), scripts.join("mend_validator.py"));
    let folder = workspace.test_environment().join("python-focus");
    let stamp = Stamp::new(&folder, &[list.clone(), mend.clone()], &version)?;
    if stamp.is_current() {
        println!("FOCUS validator: up to date");
        return Ok(());
    }
    // It asks for a newer Python than many systems have; `mend` says why and what is done about it.
    python::make(workspace, &folder, &list, &["--ignore-requires-python"])?;
    execute(python::interpreter(&folder).arg(&mend))
        .context("the FOCUS validator cannot run on this Python")?;
    stamp.set()
}
