//! A journal on a file system that is really full: requests are refused before they go upstream, the
//! gateway says why it is not ready, and all of it passes by itself when there is space.
//!
//! It mounts a small file system, for which it must be root and allowed to, and fails where it is not.
//! Only `TOLLGATE_NO_MOUNT=1` spares it, which the build's task sets, and says, where nothing can be
//! mounted; the same on a disk in the test's hand is among the data plane's tests.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use http::StatusCode;
use tempfile::TempDir;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::stage::{Stage, chat, text, until};

/// One segment of 256 KiB and some small files; the next has no space.
const FULL_SOON: &str = "size=320k";
const ENOUGH: &str = "size=8m";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_requests_until_there_is_space() -> Result<()> {
    let data = tempfile::tempdir()?;
    if std::env::var_os("TOLLGATE_NO_MOUNT").is_some_and(|value| value == "1") {
        return Ok(());
    }
    let small = SmallFileSystem::mount(data.path().join("journal"), FULL_SOON)
        .context("TOLLGATE_NO_MOUNT=1 leaves this test out")?;
    let stage = Stage::with(Behaviour::default(), |config| on(config, &data))?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let mut served = 0;
    until("the disk is full", async || {
        // Long records fill it soon.
        let (long, body) = ("x".repeat(500), chat("gpt-5-mini", false).to_string());
        let headers = [("x-tollgate-user", long.as_str()), ("x-tollgate-session", long.as_str())];
        let reply = caller.post("/v1/chat/completions", &headers, body).await?;
        served += usize::from(reply.status == StatusCode::OK);
        ensure!(
            reply.status == StatusCode::OK || reply.error_code() == "meter_backpressure",
            "{} {}",
            reply.status,
            text(&reply.body)
        );
        Ok(reply.status != StatusCode::OK)
    })
    .await?;
    ensure!(stage.east.book().totals().calls == served as u64, "a refused call has gone upstream");
    let ready = stage.gateway.admin().root("/readyz").await?;
    ensure!(ready.status == StatusCode::SERVICE_UNAVAILABLE, "{}", ready.status);
    ensure!(text(&ready.body).contains("disk is full"), "{}", text(&ready.body));

    small.resize(ENOUGH)?;
    until("requests are served again", async || {
        let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
        served += usize::from(reply.status == StatusCode::OK);
        Ok(reply.status == StatusCode::OK)
    })
    .await?;
    ensure!(stage.gateway.admin().root("/readyz").await?.status == StatusCode::OK, "still not ready");
    ends_clean(stage, data.path(), served).await
}

/// The journal on the small file system, the ledger beside it.
fn on(config: &mut ConfigText, data: &TempDir) {
    let folder = data.path().display();
    config.head = config.head.replace("data_dir: data", &format!("data_dir: {folder}"));
    config.head.push_str("\nworkers: 1");
    config.head = config.head.replace("journal: {", "journal: { segment: 256KiB,");
}

async fn ends_clean(mut stage: Stage, data: &Path, served: usize) -> Result<()> {
    let admin = stage.gateway.admin();
    until("each answer has its row", async || Ok(admin.requests("end=completed").await?.len() == served))
        .await?;
    stage.gateway.terminate()?;
    stage.gateway.ended(crate::stage::PATIENCE).await?;
    let folder = data.to_str().context("a temporary folder's name is text")?;
    let output = stage.gateway.command(&["verify", "--dir", folder])?;
    ensure!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    Ok(())
}

/// A file system in memory, gone when dropped.
struct SmallFileSystem(PathBuf);

impl SmallFileSystem {
    fn mount(place: PathBuf, size: &str) -> Result<Self> {
        std::fs::create_dir_all(&place)?;
        run("mount", &["-t", "tmpfs", "-o", size, "tmpfs"], &place)?;
        Ok(Self(place))
    }

    fn resize(&self, size: &str) -> Result<()> {
        run("mount", &["-o", &format!("remount,{size}")], &self.0)
    }
}

impl Drop for SmallFileSystem {
    fn drop(&mut self) {
        // Lazily: the gateway of a failed test may still have files open.
        if let Err(error) = run("umount", &["--lazy"], &self.0) {
            eprintln!("{error:#}");
        }
    }
}

fn run(program: &str, arguments: &[&str], place: &Path) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .arg(place)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", place.display(), text(&output.stderr).trim());
    }
    Ok(())
}
