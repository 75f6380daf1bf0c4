//! `cargo xtask fuzz`: libFuzzer under each target of the `fuzz` crate, one after the other, for so many
//! seconds each.
//!
//! The stable compiler has LLVM's coverage pass, which is all that libFuzzer needs to find its way; what
//! it lacks are the sanitizers, and nothing here is `unsafe`. New inputs stay below the target folder,
//! what broke a law as well; the corpus in the repository only gets what a person puts there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    environment::{self, Tool},
    steps::{capture, execute},
    workspace::Workspace,
};

/// Seconds for each target where nothing else is said.
pub(crate) const SECONDS: u64 = 60;

/// libFuzzer is C++.
const COMPILER: Tool =
    Tool { program: "c++", version_flag: "--version", oldest: None, packages: &["g++", "libc6-dev"] };

/// LLVM's coverage pass with a counter for each edge and the operands of comparisons; the linker must
/// keep the counters, to which only the runtime refers.
const COVERAGE: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Clink-dead-code",
    "-Cforce-frame-pointers=yes",
];

/// Longer inputs find nothing that shorter ones do not, and find it more slowly.
const LONGEST_INPUT: usize = 4 << 10;
/// A law that takes longer than this for such an input is broken, and so is one that takes more memory.
const PATIENCE_SECONDS: u64 = 10;
const MOST_MEGABYTES: u64 = 1_024;

/// Fuzzes each target whose name contains `only`.
pub(crate) fn run(workspace: &Workspace, seconds: u64, only: Option<&str>) -> Result<()> {
    environment::require(workspace, &COMPILER)?;
    let names = targets(workspace, only)?;
    ensure!(!names.is_empty(), "no target is called so");
    let binary = build(workspace)?;
    let mut broken = Vec::new();
    for name in &names {
        match fuzz(workspace, &binary, name, seconds)? {
            Outcome::Whole { executions, found } => {
                println!("{name:<24} {executions:>10} executions {found:>6} inputs kept   no law broken");
            }
            Outcome::Broken(log) => {
                println!("{name:<24} BROKEN\n{log}");
                broken.push(name.as_str());
            }
        }
    }
    println!("{} targets, {seconds} s each, {} broken", names.len(), broken.len());
    if !broken.is_empty() {
        bail!("laws are broken in {}", broken.join(", "));
    }
    Ok(())
}

/// The targets by name: each has a corpus, and the tests of the crate see to it.
fn targets(workspace: &Workspace, only: Option<&str>) -> Result<Vec<String>> {
    let corpus = workspace.root.join("fuzz/corpus");
    let entries = fs::read_dir(&corpus).with_context(|| format!("cannot list {}", corpus.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if only.is_none_or(|part| name.contains(part)) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Builds the targets with coverage, in a folder of their own. `--target` keeps the flags away from build
/// scripts.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let version = capture(&mut workspace.command("rustc", &["-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let folder = folder(workspace);
    let mut cargo =
        workspace.cargo(&["build", "--package", "tollgate-fuzz", "--bin", "guided", "--features", "guided"]);
    cargo
        .args(["--profile", "fuzz", "--locked", "--target", host])
        .env("CARGO_TARGET_DIR", folder.join("build"))
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    execute(&mut cargo)?;
    Ok(folder.join("build").join(host).join("fuzz/guided"))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("fuzz")
}

enum Outcome {
    /// Nothing was found.
    Whole { executions: u64, found: u64 },
    /// What the fuzzer said last.
    Broken(String),
}

fn fuzz(workspace: &Workspace, binary: &Path, name: &str, seconds: u64) -> Result<Outcome> {
    let folder = folder(workspace);
    let found = folder.join("found").join(name);
    let broken = folder.join("broken");
    for folder in [&found, &broken] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let dictionary = workspace.root.join("fuzz/dictionary.txt");
    let output = Command::new(binary)
        .env("TOLLGATE_FUZZ_TARGET", name)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST_INPUT}"))
        .arg(format!("-timeout={PATIENCE_SECONDS}"))
        .arg(format!("-rss_limit_mb={MOST_MEGABYTES}"))
        .arg(format!("-dict={}", dictionary.display()))
        .arg(format!("-artifact_prefix={}/{name}-", broken.display()))
        .arg("-print_final_stats=1")
        .args([found, workspace.root.join("fuzz/corpus").join(name)])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Ok(Outcome::Broken(last_words(&log)));
    }
    let stat = |name: &str| {
        let line =
            log.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|count| count.trim().parse().ok())
    };
    let executions: u64 = stat("number_of_executed_units").context("the fuzzer told no count")?;
    // A fuzzer that found no way through the code has not looked at it.
    ensure!(!log.contains("no interesting inputs were found"), "{name}: the build has no coverage");
    Ok(Outcome::Whole { executions, found: stat("new_units_added").unwrap_or(0) })
}

/// The panic and where the input was written to, without the fuzzer's own progress.
fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
