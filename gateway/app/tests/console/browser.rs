//! Runs the scripts that drive the browser.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result};
use tollgate_test_support::{Check, Sdk};

/// Names under which distributions install it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Where the browser is.
fn chromium() -> Result<String> {
    let folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    let places = folders.iter().flat_map(|folder| NAMES.iter().map(move |name| folder.join(name)));
    let found = places
        .into_iter()
        .find(|place| place.is_file())
        .context("no Chromium: run `cargo xtask setup` once")?;
    found.into_os_string().into_string().ok().context("a path that is no text")
}

/// Where screenshots go.
fn screenshots() -> Result<String> {
    let executable = env::current_exe().context("cannot tell where the test runs from")?;
    let target = executable
        .ancestors()
        .find(|folder| folder.join("debug").is_dir() || folder.join("release").is_dir());
    let folder = target.context("no target folder")?.join("console-screenshots");
    std::fs::create_dir_all(&folder).context("no folder for screenshots")?;
    folder.into_os_string().into_string().ok().context("a path that is no text")
}

/// Runs the checks of `script`, whose names begin with `console_`.
pub(crate) fn run(script: &str, variables: &[(&str, &str)]) -> Result<Vec<Check>> {
    let (chromium, screenshots) = (chromium()?, screenshots()?);
    let own = [("CHROMIUM", chromium.as_str()), ("SCREENSHOTS", screenshots.as_str())];
    Sdk::Browser.run(&format!("console_{script}"), &[variables, &own].concat())
}
