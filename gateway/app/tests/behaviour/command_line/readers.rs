//! Readers that leave: `tollgate … | head -1` ends quietly, and a gateway whose log nobody reads goes on.

use std::{
    io::Read as _,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tollgate_simulator::Behaviour;
use tollgate_test_support::{Admin, Caller, ConfigText};

use super::run;
use crate::stage::{Stage, TOLLGATE, chat, text, until};

/// The token of the usual configuration.
const ADMIN_TOKEN: &str = "admin-token-for-tests";

/// Which stream's reader leaves before a byte is written.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Stdout,
    Stderr,
}

/// Runs a command of a gateway whose reader has left; gives its exit code and what the other stream told.
fn unread(stage: &Stage, arguments: &[&str], leaves: Leaves) -> Result<(Option<i32>, String)> {
    let mut child = Command::new(TOLLGATE)
        .args(arguments)
        .current_dir(stage.gateway.folder())
        .env("TOLLGATE_SERVER", stage.gateway.admin_url())
        .env("TOLLGATE_TOKEN", ADMIN_TOKEN)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut told = String::new();
    match leaves {
        Leaves::Stdout => {
            drop(child.stdout.take());
            child.stderr.take().context("it has one")?.read_to_string(&mut told)?;
        }
        Leaves::Stderr => {
            drop(child.stderr.take());
            child.stdout.take().context("it has one")?.read_to_string(&mut told)?;
        }
    }
    Ok((child.wait()?.code(), told))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_leaves_ends_a_command_quietly() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
    stage.gateway.admin().rows("", 1).await?;
    for command in [
        "schema",
        "version",
        "--help",
        "help export",
        "completions bash",
        "explain budget_exceeded",
        "usage",
        "usage -o json",
        "config show -o json",
        "regions list -o csv",
        "prices show prices.yaml",
        "export csv --from 2020-01-01 --to 2100-01-01",
        "export xlsx --from 2020-01-01 --to 2100-01-01",
        "verify --dir data",
        "health -v",
    ] {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (code, told) = unread(&stage, &words, Leaves::Stdout)?;
        ensure!(code == Some(0) && told.is_empty(), "{command} ended with {code:?}: {told}");
    }
    // What is said on stderr may have no reader either; the verdict stays.
    std::fs::write(stage.gateway.folder().join("broken.yaml"), "teems: []\nmodles: []\n")?;
    for (command, code) in [
        ("check -c tollgate.yaml", 0),
        ("check -c broken.yaml", 1),
        ("serve -c broken.yaml", 78),
        ("usage --by nothing", 1),
        ("srve", 2),
        ("export csv --from 2020-01-01 --to 2100-01-01 --out rows.csv", 0),
        ("prices check prices.yaml", 0),
    ] {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (ended, _) = unread(&stage, &words, Leaves::Stderr)?;
        ensure!(ended == Some(code), "{command} ended with {ended:?}");
    }
    stage.close().await
}

/// A process that is ended whatever becomes of the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_log_nobody_reads_goes_on() -> Result<()> {
    let (stage, folder) = (Stage::set(Behaviour::default())?, TempDir::new()?);
    // Freed a moment before it is bound again; nobody else is given it meanwhile but by a rare chance.
    let free = || -> Result<_> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?) };
    let (data, admin) = (free()?, free()?);
    let config = stage.config.to_string().replacen("127.0.0.1:0", &data.to_string(), 1).replacen(
        "127.0.0.1:0",
        &admin.to_string(),
        1,
    );
    std::fs::write(folder.path().join("tollgate.yaml"), config)?;
    std::fs::write(folder.path().join("prices.yaml"), &stage.config.prices)?;
    let mut serving = Command::new(TOLLGATE)
        .args(["serve", "-c", "tollgate.yaml"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop((serving.stdout.take(), serving.stderr.take()));
    let mut serving = Ended(serving);
    let server = format!("http://{admin}");
    until("it is ready", async || Ok(run(&["health", "--server", &server])?.status.success())).await?;
    let caller = Caller::new(format!("http://{data}"), ConfigText::KEY);
    for stream in [false, true] {
        let reply = caller.post("/v1/chat/completions", &[], chat("gpt-5-mini", stream).to_string()).await?;
        ensure!(reply.status.is_success() && reply.broken.is_none(), "{}", text(&reply.body));
    }
    // A refused reload is told in the log.
    std::fs::write(folder.path().join("tollgate.yaml"), "teems: []\n")?;
    let admin = Admin::new(server, ADMIN_TOKEN);
    until("the broken file is refused", async || {
        Ok(admin.get("/overview").await?["config"]["refused"] == true)
    })
    .await?;
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status.is_success(), "{}", text(&reply.body));
    ensure!(serving.0.try_wait()?.is_none(), "it has ended");
    Ok(())
}
