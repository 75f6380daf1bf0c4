//! Where things stand: the workspace's root and its target folder, as cargo sees them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// The folders that tasks work in.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo builds; caches of the tests live under it, so that `cargo clean` removes them.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn locate() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("cargo metadata printed something else than JSON")
    }

    /// A cargo command at the root, without a terminal.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        self.command(cargo(), arguments)
    }

    /// Any command at the root, without a terminal.
    pub(crate) fn command(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).current_dir(&self.root).env("CI", "true").stdin(std::process::Stdio::null());
        command
    }

    /// The gateway binary that `cargo build --package tollgate-app` leaves in the dev profile.
    pub(crate) fn gateway_binary(&self) -> PathBuf {
        self.target.join("debug").join(format!("tollgate{}", std::env::consts::EXE_SUFFIX))
    }

    /// Caches of what the tests need from outside: SDK environments.
    pub(crate) fn test_environment(&self) -> PathBuf {
        self.target.join("test-env")
    }
}

/// The cargo that started this task, so that one toolchain does everything.
fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
