//! An operator rehearses the loss of a region on live traffic, and has the evidence afterwards.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::{
    load::Load,
    stage::{Stage, text, until},
};

fn order() -> Value {
    json!({ "region": "east", "fault": "down", "all": true, "for": "5m", "reason": "rehearsal" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_do_not_notice_a_drilled_region_and_the_report_tells_what_happened() -> Result<()> {
    let behaviour = Behaviour { latency: Duration::from_millis(20), ..Behaviour::default() };
    let mut stage = Stage::set(behaviour)?;
    let (caller, admin) = (stage.gateway.caller(ConfigText::KEY), stage.gateway.admin());
    let load = Load::start(&caller, 4);
    until("calls are answered", async || Ok(load.answered() >= 4)).await?;
    let begun = admin.post("/drills", &order()).await?;
    let id = begun["content"]["id"].as_str().context("an id")?.to_owned();
    let path = format!("/drills/{id}");
    until("calls keep away from the region for a second", async || {
        Ok(admin.get(&path).await?["content"]["measured"]["avoidance_ms"].is_u64())
    })
    .await?;
    let stopped = admin.post(&format!("{path}/stop"), &json!({ "reason": "seen enough" })).await?;
    for call in load.finish().await {
        ensure!(call.is_whole(), "a client noticed: {}", call.told());
    }
    let measured = &stopped["content"]["measured"];
    ensure!(measured["failed"] == 0 && measured["recovery_ms"].is_u64(), "{stopped:#}");
    ensure!(measured["injected_faults"].as_u64() >= Some(5), "a breaker takes five: {stopped:#}");
    ensure!(measured["lost_rows"] == 0, "{stopped:#}");
    ensure!(stopped["content"]["residency"]["violations"] == 0, "{stopped:#}");

    // What the report says is what the rows say.
    let rows = admin.requests("kind=usage").await?;
    let drilled: Vec<&Value> =
        rows.iter().filter(|row| row["flags"].to_string().contains("drilled")).collect();
    ensure!(measured["requests"] == drilled.len(), "{} rows, {stopped:#}", drilled.len());
    let attempts: u64 = drilled.iter().filter_map(|row| row["attempt_count"].as_u64()).sum();
    ensure!(measured["attempts"] == attempts, "{attempts} attempts, {stopped:#}");

    let file = stage.gateway.command(&["drill", "report", &id, "--out", "evidence.json"])?;
    ensure!(file.status.success(), "{}", text(&file.stderr));
    ensure!(text(&file.stderr).contains("is what was sealed"), "{}", text(&file.stderr));
    let checked = stage.gateway.command(&["drill", "report", "--file", "evidence.json"])?;
    ensure!(checked.status.success(), "{}", text(&checked.stderr));
    let listed = text(&stage.gateway.command(&["drill", "status", "-o", "csv"])?.stdout);
    ensure!(listed.contains(",stopped,east,,down,"), "{listed}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_does_not_outlive_its_process_and_its_paper_says_so() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let run = |stage: &Stage, arguments: &[&str]| stage.gateway.command(arguments);
    let start =
        ["drill", "start", "--region", "east", "--fault", "error", "--all", "--for", "10m", "-o", "json"];
    let begun = run(&stage, &start)?;
    ensure!(begun.status.success(), "{}", text(&begun.stderr));
    stage.gateway.kill()?;
    stage.gateway.restart()?;
    let ended = stage.gateway.admin().get("/drills/1").await?;
    ensure!(ended["content"]["ended_by"] == "restart" && ended["content"]["state"] == "aborted", "{ended:#}");

    ensure!(run(&stage, &start)?.status.success());
    stage.gateway.terminate()?;
    ensure!(stage.gateway.ended(crate::stage::PATIENCE).await?.success());
    stage.gateway.restart()?;
    let ended = stage.gateway.admin().get("/drills/2").await?;
    ensure!(ended["content"]["ended_by"] == "shutdown", "{ended:#}");
    ensure!(ended["content"]["measured"]["requests"] == 0, "{ended:#}");
    let reported = run(&stage, &["drill", "report", "2"])?;
    ensure!(reported.status.success(), "{}", text(&reported.stderr));
    let none =
        run(&stage, &["drill", "start", "--region", "est", "--fault", "down", "--all", "--for", "1m"])?;
    ensure!(none.status.code() == Some(1) && text(&none.stderr).contains("east"), "{}", text(&none.stderr));
    stage.close().await
}
