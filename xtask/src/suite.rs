//! `cargo xtask test`: everything that must be green, in one run.

use std::{ffi::OsStr, fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::{
    environment::{self, Tool},
    fuzz,
    steps::{Steps, Verdict, capture, execute},
    workspace::Workspace,
};

const PYTHON: Tool = Tool {
    program: "python3",
    version_flag: "--version",
    oldest: Some((3, 11)),
    packages: &["python3", "python3-venv"],
};
const NODE: Tool =
    Tool { program: "node", version_flag: "--version", oldest: Some((20, 0)), packages: &["nodejs", "npm"] };
const NPM: Tool = Tool { program: "npm", version_flag: "--version", oldest: None, packages: &["npm"] };
const COMPILER: Tool =
    Tool { program: "cc", version_flag: "--version", oldest: None, packages: &["gcc", "libc6-dev", "make"] };
const CURL: Tool = Tool { program: "curl", version_flag: "--version", oldest: None, packages: &["curl"] };
/// Judges what monitoring sees, and the rules in `deploy/`.
const PROMTOOL: Tool =
    Tool { program: "promtool", version_flag: "--version", oldest: None, packages: &["prometheus"] };
/// Judges the unit in `deploy/`.
const SYSTEMD: Tool =
    Tool { program: "systemd-analyze", version_flag: "--version", oldest: None, packages: &["systemd"] };
/// Gives the command line a terminal.
const SCRIPT: Tool =
    Tool { program: "script", version_flag: "--version", oldest: None, packages: &["bsdutils"] };
const CHROMIUM: Tool =
    Tool { program: "chromium", version_flag: "--version", oldest: None, packages: &["chromium"] };
const NGINX: Tool = Tool { program: "nginx", version_flag: "-v", oldest: None, packages: &["nginx-light"] };

/// Sets up what the tests need, for those who then run single tests with `cargo test`.
pub(crate) fn set_up(workspace: &Workspace) -> Verdict {
    let mut steps = Steps::default();
    steps.run("tools", || require_tools(workspace, false));
    prepare_environments(workspace, &mut steps);
    steps.close()
}

/// How the long forms are run.
#[derive(Clone, Copy)]
pub(crate) struct Long {
    /// Seconds for each fuzz target.
    pub(crate) fuzz_seconds: u64,
}

/// Runs the steps; `long` adds the forms that take their time.
pub(crate) fn run(workspace: &Workspace, long: Option<Long>) -> Result<Verdict> {
    println!("building in {}", workspace.target.display());
    let mut steps = Steps::default();
    steps.run("tools", || require_tools(workspace, long.is_some()));
    steps.run("format", || execute(&mut workspace.cargo(&["fmt", "--all", "--check"])));
    steps.run("scripts", || check_scripts(workspace));
    steps.run("clippy", || {
        let mut clippy = workspace.cargo(&["clippy", "--workspace", "--all-targets", "--locked"]);
        execute(clippy.args(["--", "-D", "warnings"]))
    });
    prepare_environments(workspace, &mut steps);
    match long {
        None => steps.run("tests", || run_tests(workspace)),
        Some(_) => steps.run("tests, long forms", || run_long_forms(workspace)),
    }
    steps.run("documentation tests", || {
        execute(&mut workspace.cargo(&["test", "--workspace", "--doc", "--locked"]))
    });
    steps.run("documentation", || {
        let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
        execute(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    if let Some(long) = long {
        steps.run("fuzz", || fuzz::run(workspace, long.fuzz_seconds, None));
        steps.run("load comparison", || compare_under_load(workspace));
    }
    Ok(steps.close())
}

fn prepare_environments(workspace: &Workspace, steps: &mut Steps) {
    steps.run("python SDKs", || environment::prepare_python(workspace));
    steps.run("node SDKs", || environment::prepare_node(workspace, "node"));
    steps.run("coding agents", || environment::prepare_node(workspace, "agents"));
    steps.run("browser driver", || environment::prepare_node(workspace, "browser"));
    steps.run("readers of finance files", || environment::prepare_readers(workspace));
}

fn require_tools(workspace: &Workspace, long: bool) -> Result<()> {
    environment::require_rust_components(workspace)?;
    for tool in [&COMPILER, &PYTHON, &NODE, &NPM, &CURL, &PROMTOOL, &SYSTEMD, &SCRIPT, &CHROMIUM] {
        environment::require(workspace, tool)?;
    }
    environment::prepare_postgres(workspace)?;
    if long {
        environment::require(workspace, &NGINX)?;
    }
    Ok(())
}

/// Unit, behaviour and SDK tests. nextest runs them in less time where it is installed.
fn run_tests(workspace: &Workspace) -> Result<()> {
    let has_nextest = capture(&mut workspace.cargo(&["nextest", "--version"])).is_ok();
    let mut tests = if has_nextest {
        workspace.cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
    } else {
        workspace.cargo(ALL_TESTS)
    };
    tests.env("TOLLGATE_TEST_ENV", workspace.test_environment());
    let mountless = environment::try_mount().err();
    if mountless.is_some() {
        tests.env("TOLLGATE_NO_MOUNT", "1");
    }
    execute(&mut tests)?;
    // Last, where it is read.
    if let Some(problem) = mountless {
        println!("NOT TESTED HERE, a disk that is really full: nothing can be mounted: {problem:#}");
    }
    Ok(())
}

const ALL_TESTS: &[&str] =
    &["test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-fail-fast"];

/// The same tests, those with a long form in it: a million requests, two hundred kills. One after the
/// other, since each loads the whole machine, with our own crates optimised, and with the figures
/// that each test has measured.
fn run_long_forms(workspace: &Workspace) -> Result<()> {
    let mut tests = workspace.cargo(ALL_TESTS);
    tests
        .args(["--", "--test-threads=1", "--show-output"])
        .env("TOLLGATE_TEST_ENV", workspace.test_environment())
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
        .env("TOLLGATE_LONG", "1")
        .env("TOLLGATE_FUZZ_CASES", "20000")
        .env("PROPTEST_CASES", "4096");
    execute(&mut tests)
}

/// Our own scripts must at least parse; the tests run the SDK scripts, but only where they reach.
fn check_scripts(workspace: &Workspace) -> Result<()> {
    let listed = capture(&mut workspace.command("git", &["ls-files", "-co", "--exclude-standard"]))
        .context("the list of our scripts comes from git")?;
    let mut checked = 0;
    for name in listed.lines().filter(|name| workspace.root.join(name).is_file()) {
        let path = workspace.root.join(name);
        let shown = path.to_string_lossy();
        match interpreter(&path)? {
            Some("bash") => execute(&mut workspace.command("bash", &["-n", &shown]))?,
            Some("python") => {
                let parse = "import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])";
                execute(&mut workspace.command("python3", &["-c", parse, &shown]))?;
            }
            Some("node") => execute(&mut workspace.command("node", &["--check", &shown]))?,
            _ => continue,
        }
        checked += 1;
    }
    ensure!(checked > 0, "no script was found to check");
    Ok(())
}

/// Who runs a file: by its ending, or by its first line.
fn interpreter(path: &Path) -> Result<Option<&'static str>> {
    Ok(match path.extension().and_then(OsStr::to_str) {
        Some("sh") => Some("bash"),
        Some("py") => Some("python"),
        Some("mjs") => Some("node"),
        Some(_) => None,
        None => {
            let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            bytes.starts_with(b"#!/usr/bin/env bash").then_some("bash")
        }
    })
}

/// The same load on the gateway and on a plain proxy; figures are of the profile that users get.
fn compare_under_load(workspace: &Workspace) -> Result<()> {
    execute(&mut workspace.cargo(&["build", "--release", "--package", "tollgate-app", "--locked"]))?;
    let mut compare = workspace.cargo(&[
        "run",
        "--release",
        "--package",
        "tollgate-load-tests",
        "--locked",
        "--",
        "compare",
    ]);
    execute(&mut compare)
}
