//! An operator takes a region out of service under load, and brings it back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tollgate_simulator::Behaviour;
use tollgate_test_support::{ConfigText, Gateway};

use crate::{
    load::{Load, one, open_stream},
    stage::{Stage, text, until},
};

/// The promise is one second; a busy machine gets more.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_region_gets_nothing_new_and_finishes_what_it_has() -> Result<()> {
    let behaviour = Behaviour { chunks: 30, chunk_pause: Duration::from_millis(50), ..Behaviour::default() };
    let mut stage = Stage::set(behaviour)?;
    let (caller, admin) = (stage.gateway.caller(ConfigText::KEY), stage.gateway.admin());
    let load = Load::start(&caller, 12);
    until("calls are answered", async || Ok(load.answered() >= 12)).await?;
    let stream = open_stream(&caller).await?;
    ensure!(stream.headers["x-tollgate-region"] == "east", "{:?}", stream.headers);

    admin.act("regions", "east", "drain", "storm").await?;
    let moved =
        until("new requests go elsewhere", async || Ok(region(&stage.gateway).await? == "west")).await?;
    ensure!(moved < SOON, "new requests go elsewhere only after {moved:?}");
    let before = stage.east.book().totals().calls;
    tokio::time::sleep(Duration::from_millis(300)).await;
    ensure!(stage.east.book().totals().calls == before, "a drained region gets new calls");

    let reply = stream.rest().await?;
    ensure!(reply.is_complete_stream(), "a stream in flight was cut: {:?}", reply.events().last());
    for call in load.finish().await {
        ensure!(call.is_whole(), "a client noticed: {}", call.told());
    }
    let east = admin.list("regions").await?.into_iter().find(|region| region["name"] == "east");
    ensure!(east.context("east is listed")?["state"] == "draining");
    admin.act("regions", "east", "enable", "over").await?;
    until("the region is back", async || Ok(region(&stage.gateway).await? == "east")).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_state_outlives_a_crash_and_ends_when_it_was_told_to() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    stage.gateway.admin().act("regions", "east", "disable", "maintenance").await?;
    stage.gateway.kill()?;
    stage.gateway.restart()?;
    ensure!(region(&stage.gateway).await? == "west", "a restart has forgotten what the operator said");

    stage.gateway.admin().act("regions", "east", "enable", "done").await?;
    until("the region is back", async || Ok(region(&stage.gateway).await? == "east")).await?;

    let order = json!({ "reason": "short storm", "for": "4s" });
    stage.gateway.admin().post("/regions/east/drain", &order).await?;
    ensure!(region(&stage.gateway).await? == "west", "the order is in force");
    until("the order has run out", async || Ok(region(&stage.gateway).await? == "east")).await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_work_from_the_command_line() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let run = |arguments: &[&str]| stage.gateway.command(arguments);

    let drained = run(&["regions", "drain", "east", "--reason", "storm", "-o", "json"])?;
    ensure!(drained.status.success(), "{}", text(&drained.stderr));
    let view: serde_json::Value = serde_json::from_slice(&drained.stdout)?;
    ensure!(view["state"] == "draining" && view["reason"] == "storm", "{view}");
    ensure!(region(&stage.gateway).await? == "west");

    let listed = text(&run(&["regions", "list", "-o", "csv"])?.stdout);
    ensure!(listed.starts_with("name,") && listed.contains("\neast,"), "{listed}");
    for (kind, name) in [("upstreams", "openai-west"), ("targets", "gpt-5-mini@openai-west")] {
        // With the other region drained, it is the last one.
        let output = run(&[kind, "disable", name, "--reason", "test", "--force"])?;
        ensure!(output.status.success(), "{kind}: {}", text(&output.stderr));
        ensure!(text(&output.stdout).contains("disabled"), "{kind}: {}", text(&output.stdout));
        ensure!(run(&[kind, "enable", name])?.status.success(), "{kind}");
    }
    let unknown = run(&["regions", "drain", "est"])?;
    ensure!(unknown.status.code() == Some(1), "{}", unknown.status);
    ensure!(text(&unknown.stderr).contains("est"), "{}", text(&unknown.stderr));
    ensure!(run(&["regions", "drain"])?.status.code() == Some(2), "usage errors have their own code");
    ensure!(run(&["regions", "enable", "east"])?.status.success());
    until("the region is back", async || Ok(region(&stage.gateway).await? == "east")).await?;
    stage.close().await
}

/// Where a new request goes.
async fn region(gateway: &Gateway) -> Result<String> {
    let call = one(&gateway.caller(ConfigText::KEY), false, false).await;
    ensure!(call.is_whole(), "{}", call.told());
    Ok(call.answer?.header("x-tollgate-region").to_owned())
}
