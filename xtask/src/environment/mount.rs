//! Whether a small file system can be mounted here, as the test of a full disk does.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Mounts a file system in memory and takes it away again.
///
/// # Errors
/// It cannot be mounted: only root may, and not in every container.
pub(crate) fn try_mount() -> Result<()> {
    let place = tempfile::tempdir().context("cannot make a folder")?;
    let call = |program: &str, arguments: &[&str]| -> Result<()> {
        let output = Command::new(program).args(arguments).arg(place.path()).output();
        let output = output.with_context(|| format!("cannot run {program}"))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    };
    call("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs"])?;
    call("umount", &[])
}
