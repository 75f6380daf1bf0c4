//! A backup is made while calls run, and what is made of it again is whole.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::{
    load::Load,
    stage::{Stage, chat, text, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_gateway_comes_back_whole() -> Result<()> {
    // Streams of two seconds, so that some are open whenever the backup is made.
    let slow = Behaviour { chunks: 20, chunk_pause: Duration::from_millis(100), ..Behaviour::default() };
    let mut stage = Stage::set(slow)?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let mut before = Vec::new();
    for _ in 0..5 {
        before.push(caller.chat(&chat("gpt-5-mini", false)).await?.request_id().to_owned());
    }
    let load = Load::start(&caller, 8);
    until("calls run", async || Ok(load.answered() > 8)).await?;

    let made = stage.gateway.command(&["backup", "-c", "tollgate.yaml", "--out", "one.tar"])?;
    ensure!(made.status.success(), "{}", text(&made.stderr));
    let after = load.answered();
    until("calls still run", async || Ok(load.answered() > after + 8)).await?;
    for call in load.finish().await {
        ensure!(call.is_whole(), "the backup disturbs: {}", call.told());
    }
    let file = stage.gateway.folder().join("one.tar");
    ensure!(fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600, "others may read it");

    let restored = stage.gateway.command(&["restore", "one.tar", "--dir", "again/data"])?;
    ensure!(restored.status.success(), "{}", text(&restored.stderr));
    ensure!(text(&restored.stdout).contains("journal and ledger agree"), "{}", text(&restored.stdout));
    let audit = stage.gateway.command(&["verify", "--dir", "again/data"])?;
    ensure!(audit.status.success(), "{}", text(&audit.stdout));
    let again = stage.gateway.folder().join("again/data");
    for kept in ["pepper", "stored.sqlite", "configuration/00-tollgate.yaml", "configuration/01-prices.yaml"]
    {
        ensure!(again.join(kept).is_file(), "{kept} is missing: {:?}", names(&again)?);
    }
    ensure!(!names(&again.join("history"))?.is_empty(), "the history is missing");
    let written = fs::read_to_string(again.join("configuration/00-tollgate.yaml"))?;
    ensure!(written == fs::read_to_string(stage.gateway.config_file())?, "another configuration");

    // A gateway that starts on it knows what was served before.
    stage.gateway.kill()?;
    fs::rename(stage.gateway.folder().join("data"), stage.gateway.folder().join("lost"))?;
    fs::rename(&again, stage.gateway.folder().join("data"))?;
    stage.gateway.restart()?;
    for id in &before {
        let row = stage.gateway.admin().row(id).await?;
        ensure!(row["end"] == "completed", "{row}");
    }
    let open: Vec<Value> = stage.gateway.admin().requests("end=recovered").await?;
    ensure!(!open.is_empty(), "what was open is not closed");
    let reply = stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status.is_success(), "{}", reply.status);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_overwritten_and_nothing_broken_is_restored() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
    stage.gateway.admin().rows("", 1).await?;
    let backup = || stage.gateway.command(&["backup", "-c", "tollgate.yaml", "--out", "one.tar"]);
    ensure!(backup()?.status.success(), "the first one");
    let folder = stage.gateway.folder().to_owned();
    let whole = fs::read(folder.join("one.tar"))?;
    let refused = backup()?;
    ensure!(refused.status.code() == Some(1), "{}", text(&refused.stdout));
    ensure!(fs::read(folder.join("one.tar"))? == whole, "the backup was changed");

    // The folder of a gateway that runs.
    let refused = stage.gateway.command(&["restore", "one.tar", "--dir", "data"])?;
    ensure!(refused.status.code() == Some(1) && text(&refused.stderr).contains("not empty"), "{refused:?}");

    let pepper = fs::read(folder.join("data/pepper"))?;
    let place = whole.windows(pepper.len()).position(|bytes| bytes == pepper).context("it has the pepper")?;
    let mut changed = whole.clone();
    changed[place] ^= 1;
    let broken: [(&str, &[u8], &str); 3] = [
        ("changed.tar", &changed, "the part pepper is not what was backed up"),
        ("short.tar", &whole[..whole.len() / 2], "cannot be restored"),
        ("empty.tar", b"", "no whole backup"),
    ];
    for (name, bytes, wanted) in broken {
        fs::write(folder.join(name), bytes)?;
        let refused = stage.gateway.command(&["restore", name, "--dir", "again"])?;
        let told = text(&refused.stderr);
        ensure!(refused.status.code() == Some(1) && told.contains(wanted), "{name}: {told}");
        ensure!(!folder.join("again").exists(), "{name} leaves something behind");
    }
    let left: Vec<String> =
        names(&folder)?.into_iter().filter(|name| name.starts_with(".tollgate")).collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    stage.close().await
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
