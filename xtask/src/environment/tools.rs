//! Programs that must be there. Where we are root on Debian, a missing one is installed.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{
    steps::{capture, execute},
    workspace::Workspace,
};

/// A program, the oldest version that will do, and the Debian packages that bring it.
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) version_flag: &'static str,
    pub(crate) oldest: Option<(u32, u32)>,
    pub(crate) packages: &'static [&'static str],
}

/// Makes sure that a tool is there and new enough.
pub(crate) fn require(workspace: &Workspace, tool: &Tool) -> Result<()> {
    if probe(workspace, tool).is_err() {
        install_packages(workspace, tool.packages).with_context(|| format!("{} is missing", tool.program))?;
    }
    let told = probe(workspace, tool)?;
    let line = told.lines().next().unwrap_or_default();
    println!("{}: {line}", tool.program);
    let Some(oldest) = tool.oldest else { return Ok(()) };
    match first_version(line) {
        Some(found) if found >= oldest => Ok(()),
        _ => bail!("{} is {line}; {}.{} or newer is needed", tool.program, oldest.0, oldest.1),
    }
}

/// Makes sure that the toolchain has its formatter and its linter.
pub(crate) fn require_rust_components(workspace: &Workspace) -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if capture(&mut workspace.cargo(&[subcommand, "--version"])).is_err() {
            execute(&mut workspace.command("rustup", &["component", "add", component]))
                .with_context(|| format!("cargo {subcommand} is missing and cannot be installed"))?;
        }
        println!("{}", capture(&mut workspace.cargo(&[subcommand, "--version"]))?);
    }
    Ok(())
}

/// Installs Debian packages, or says why that is not possible here.
pub(super) fn install_packages(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let wanted = packages.join(", ");
    let is_root = capture(&mut workspace.command("id", &["-u"])).is_ok_and(|id| id == "0");
    if !is_root || capture(&mut workspace.command("apt-get", &["--version"])).is_err() {
        bail!("please install {wanted} (not root on a Debian system, so this run cannot)");
    }
    let apt = |arguments: &[&str]| -> Command {
        let mut command = workspace.command("apt-get", arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    execute(&mut apt(&["update", "--quiet"]))?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(packages);
    execute(&mut apt(&arguments)).with_context(|| format!("cannot install {wanted}"))
}

fn probe(workspace: &Workspace, tool: &Tool) -> Result<String> {
    // nginx tells its version on stderr, everything else on stdout.
    let output = workspace
        .command(tool.program, &[tool.version_flag])
        .output()
        .with_context(|| format!("cannot run {}", tool.program))?;
    let told = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Ok(String::from_utf8_lossy(&told).trim().to_owned())
}

/// The first `major.minor` in a line such as `v20.20.2` or `Python 3.11.7`.
fn first_version(line: &str) -> Option<(u32, u32)> {
    line.split(|letter: char| !letter.is_ascii_digit() && letter != '.').find_map(|word| {
        let mut parts = word.split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::first_version;

    #[test]
    fn versions_are_found_in_what_tools_print() {
        let cases = [
            ("v20.20.2", Some((20, 20))),
            ("Python 3.11.7", Some((3, 11))),
            ("nginx version: nginx/1.22.1", Some((1, 22))),
            ("cc (Debian 12.2.0-14) 12.2.0", Some((12, 2))),
            ("no number", None),
        ];
        for (line, wanted) in cases {
            assert_eq!(first_version(line), wanted, "{line}");
        }
    }
}
