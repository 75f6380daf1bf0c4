//! What a process knew, the next one knows: spend, tokens of the day, versions.

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use serde_json::Value;
use tollgate_simulator::Behaviour;
use tollgate_test_support::{ConfigText, Gateway};

use crate::stage::{Stage, chat, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spend_and_versions_are_kept() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.teams = config.teams.replace(
            "        keys:",
            "        budget: { amount: \"100.00\", period: month, mode: hard }\n        keys:",
        );
    })?;
    for _ in 0..5 {
        let reply = stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
        ensure!(reply.status == StatusCode::OK, "{}", reply.status);
    }
    stage.gateway.admin().rows("", 5).await?;
    let (spent, version) = figures(&stage.gateway).await?;
    ensure!(spent["spent"] != "0" && spent["reserved"] == "0", "{spent}");

    stage.gateway.kill()?;
    stage.gateway.restart()?;
    let (again, same_version) = figures(&stage.gateway).await?;
    for name in ["spent", "reserved", "remaining", "amount", "period_start"] {
        ensure!(spent[name] == again[name], "{name}: {} became {}", spent[name], again[name]);
    }
    ensure!(version["hash"] == same_version["hash"], "{version} became {same_version}");
    ensure!(version["version"] == same_version["version"], "the same files are the same version");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_the_day_are_kept() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.teams =
            config.teams.replace("        keys:", "        limits: { tokens_per_day: 400 }\n        keys:");
        config.models =
            config.models.replace("name: gpt-5-mini,", "name: gpt-5-mini, max_output_tokens: 30,");
    })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let mut taken = 0;
    until("the day's tokens are used", async || {
        let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
        taken += usize::from(reply.status == StatusCode::OK);
        ensure!(
            reply.status == StatusCode::OK || reply.error_code() == "token_quota_exceeded",
            "{}",
            reply.status
        );
        Ok(reply.status != StatusCode::OK)
    })
    .await?;
    ensure!(taken > 2, "refused after {taken} calls");

    stage.gateway.admin().rows("", taken).await?;
    stage.gateway.kill()?;
    stage.gateway.restart()?;
    let reply = stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
    ensure!(
        reply.error_code() == "token_quota_exceeded",
        "a restart gave the day's tokens back: {}",
        reply.status
    );
    stage.close().await
}

/// The project's budget, and the running version.
async fn figures(gateway: &Gateway) -> Result<(Value, Value)> {
    let admin = gateway.admin();
    let budgets = admin.budgets().await?;
    let project = budgets.into_iter().find(|budget| !budget["amount"].is_null()).context("no budget")?;
    Ok((project, admin.get("/config").await?))
}
