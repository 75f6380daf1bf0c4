//! The configuration by the command line: what differs, the way back; and why a request went where it went.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::{Behaviour, Script};
use tollgate_test_support::ConfigText;

use crate::stage::{Stage, chat, text, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_compared_and_returned_to() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let mut next = stage.config.clone();
    next.models = next.models.replace("{ name: gpt-5-mini,", "{ name: gpt-5-mini, title: other-name,");
    stage.gateway.write_config(&next.to_string())?;
    let admin = stage.gateway.admin();
    until("the new file is in force", async || Ok(admin.get("/config").await?["version"] == 2)).await?;

    let run = |arguments: &[&str]| stage.gateway.command(&[&["config"], arguments].concat());
    let same = run(&["diff", "2"])?;
    ensure!(same.status.code() == Some(0) && same.stdout.is_empty(), "{}", text(&same.stderr));
    let differs = run(&["diff", "1"])?;
    let shown = text(&differs.stdout);
    ensure!(differs.status.code() == Some(1) && shown.contains("other-name"), "{shown}");
    ensure!(
        !shown.contains(ConfigText::KEY) && !shown.contains(ConfigText::UPSTREAM_KEY),
        "secrets: {shown}"
    );

    std::fs::write(stage.gateway.folder().join("candidate.yaml"), stage.config.to_string())?;
    let candidate = run(&["diff", "candidate.yaml"])?;
    ensure!(text(&candidate.stdout).contains("+  - { name: gpt-5-mini,"), "{}", text(&candidate.stdout));

    let back = run(&["rollback", "1", "--reason", "a slip", "-o", "json"])?;
    let running: Value = serde_json::from_slice(&back.stdout).with_context(|| text(&back.stderr))?;
    ensure!(running["version"] == 3, "{running}");
    let reply = stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status.is_success(), "{}", reply.status);
    let history: Value = serde_json::from_slice(&run(&["history", "-o", "json"])?.stdout)?;
    ensure!(history["items"].as_array().is_some_and(|items| items.len() == 3), "{history}");
    let file = std::fs::read_to_string(stage.gateway.config_file())?;
    ensure!(file == stage.config.to_string(), "the file is the old one again, secrets and all");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_explained_by_its_id() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    stage.east.script(Script::unavailable(30));
    let reply = stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status.is_success(), "{}", reply.status);
    stage.gateway.admin().row(reply.request_id()).await?;
    let told = stage.gateway.command(&["explain", reply.request_id()])?;
    let story = text(&told.stdout);
    for part in [
        "asked for gpt-5-mini (chat_completions",
        "Attempt 1 went to openai-east in east:",
        "the next target was tried.",
        "openai-west in west (processed in the zone us) answered, whole",
        "Cost:",
        "(input) × ",
        "Together ",
    ] {
        ensure!(story.contains(part), "{part:?} is missing in:\n{story}");
    }
    stage.close().await
}
