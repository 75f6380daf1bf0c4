//! A ledger worked out again by a script that shares nothing with the gateway.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::stage::text;

/// Has `recompute.py` work out every cost of an exported ledger from the price file.
pub(crate) fn agrees(ledger: &Path, prices: &Path) -> Result<()> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join("recompute.py");
    let python = tollgate_test_support::python()?;
    let output = Command::new(&python)
        .arg(&script)
        .args([ledger, prices])
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    let told = text(&output.stdout);
    ensure!(
        output.status.success(),
        "the ledger is not what the prices say:\n{told}{}",
        text(&output.stderr)
    );
    println!("{}", told.trim_end());
    Ok(())
}
