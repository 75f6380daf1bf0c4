//! The ledger on a PostgreSQL server: it answers like the embedded one, and a server that is away costs
//! no client anything.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use tollgate_simulator::Behaviour;
use tollgate_test_support::{Admin, ConfigText, LedgerTally, PostgresServer};

use crate::{
    load::{Call, Load},
    stage::{PATIENCE, Stage, chat, short_or_long, text, until},
};

/// A gateway whose ledger is a new database of `server`; it reads the URL from its environment.
fn stage(server: &PostgresServer) -> Result<Stage> {
    let url = server.url(&server.database()?);
    Stage::launched(
        Behaviour::default(),
        |config| {
            let url = "ledger: { store: postgres, url: \"${env:LEDGER_URL}\",";
            config.head = config.head.replace("ledger: {", url);
        },
        |launch| launch.environment.push(("LEDGER_URL".to_owned(), url)),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_nothing_that_a_client_notices() -> Result<()> {
    let server = PostgresServer::start()?;
    let mut stage = stage(&server)?;
    let load = Load::start(&stage.gateway.caller(ConfigText::KEY), 8);
    until("calls are answered", async || Ok(load.answered() >= 50)).await?;

    server.stop()?;
    let before = load.answered();
    tokio::time::sleep(Duration::from_secs(short_or_long(2, 60))).await;
    ensure!(load.answered() > before + 50, "hardly a call was answered while the ledger was away");
    for path in ["/usage?by=team", "/requests", "/requests/01999999-0000-7000-8000-000000000000"] {
        says_that_the_ledger_is_away(&stage.gateway.admin(), path).await?;
    }
    let ready = stage.gateway.admin().root("/readyz").await?;
    ensure!(ready.status == StatusCode::OK, "a ledger that is away stops no traffic: {}", ready.status);
    server.resume()?;

    let calls = load.finish().await;
    for call in &calls {
        ensure!(call.is_whole(), "a client noticed: {}", call.told());
    }
    let admin = stage.gateway.admin();
    caught_up(&admin, calls.len()).await?;
    let tally = LedgerTally::read(&admin).await?;
    let books = [stage.east.book(), stage.west.book()];
    tally.has_received(calls.iter().map(|call: &Call| call.id.as_str()), &books)?;
    tally.agrees_with(&[books[0], books[1]])?;
    ends_well(&mut stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_finds_what_was_spent() -> Result<()> {
    let server = PostgresServer::start()?;
    let mut stage = stage(&server)?;
    for _ in 0..5 {
        let reply = stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
        ensure!(reply.status == StatusCode::OK, "{}", reply.status);
    }
    let admin = stage.gateway.admin();
    let rows = admin.rows("", 5).await?;
    let usage = admin.usage("team,model").await?;
    ensure!(usage["total"]["requests"] == 5, "{usage}");
    let id = rows[0]["id"].as_str().unwrap_or_default();
    let mut one = admin.row(id).await?;
    one.as_object_mut().context("a row")?.remove("explanation").context("alone it is explained")?;
    ensure!(one == rows[0], "one row is not the row of the list");

    stage.gateway.kill()?;
    stage.gateway.restart()?;
    let again = stage.gateway.admin().usage("team,model").await?;
    ensure!(again == usage, "{usage} became {again}");

    // Limits cannot be told what was spent, so nothing is served.
    stage.gateway.kill()?;
    server.stop()?;
    let problem =
        format!("{:#}", stage.gateway.restart().err().unwrap_or_else(|| anyhow::anyhow!("it serves")));
    ensure!(problem.contains("postgres: error connecting to server"), "{problem}");
    stage.gateway.kill()?;
    server.resume()?;
    stage.gateway.restart()?;
    ends_well(&mut stage).await
}

async fn says_that_the_ledger_is_away(admin: &Admin, path: &str) -> Result<()> {
    let reply = admin.root(&format!("/api/v1{path}")).await?;
    let problem: serde_json::Value = serde_json::from_slice(&reply.body)?;
    ensure!(reply.status == StatusCode::SERVICE_UNAVAILABLE, "{path}: {} {problem}", reply.status);
    ensure!(problem["code"] == "ledger_unavailable", "{path}: {problem}");
    ensure!(
        problem["detail"].as_str().is_some_and(|detail| detail.starts_with("postgres: ")),
        "{path}: {problem}"
    );
    Ok(())
}

/// The loader pauses for longer the longer the store was away, so this may take a while.
async fn caught_up(admin: &Admin, calls: usize) -> Result<()> {
    let deadline = std::time::Instant::now() + PATIENCE * 4;
    loop {
        let usage = admin.usage("team").await?;
        if usage["total"]["requests"].as_u64() == Some(calls as u64) {
            return Ok(());
        }
        ensure!(std::time::Instant::now() < deadline, "{calls} calls, and {usage}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The gateway ends in order, and has told nobody the password.
async fn ends_well(stage: &mut Stage) -> Result<()> {
    stage.gateway.terminate()?;
    let status = stage.gateway.ended(PATIENCE).await?;
    let verified = stage.gateway.command(&["verify", "-c", "tollgate.yaml"])?;
    ensure!(verified.status.success(), "verify: {}{}", text(&verified.stdout), text(&verified.stderr));
    let log = stage.gateway.log();
    ensure!(status.success(), "the gateway ended with {status}; its log:\n{log}");
    let password = PostgresServer::PASSWORD.split('/').next().unwrap_or_default();
    ensure!(!log.contains(password), "the password is in the log:\n{log}");
    Ok(())
}
