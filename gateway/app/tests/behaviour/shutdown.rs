//! The gateway is told to stop: nothing in flight is cut, unless it is told twice.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::StatusCode;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::{
    load::{Load, open_stream},
    stage::{PATIENCE, Stage, TOLLGATE, text, until},
};

/// Streams that last two seconds.
fn two_seconds() -> Behaviour {
    Behaviour { chunks: 20, chunk_pause: Duration::from_millis(100), ..Behaviour::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_signal_cuts_nothing() -> Result<()> {
    let mut stage = Stage::with(two_seconds(), |config| {
        config.head = config.head.replace("delay: 100ms", "delay: 1s");
    })?;
    let (caller, admin) = (stage.gateway.caller(ConfigText::KEY), stage.gateway.admin());
    ensure!(caller.get("/readyz").await?.status == StatusCode::OK);
    let load = Load::start(&caller, 12);
    until("calls are answered", async || Ok(load.answered() >= 12)).await?;
    let streams = [open_stream(&caller).await?, open_stream(&caller).await?];

    stage.gateway.terminate()?;
    let noticed = until("not ready", async || {
        Ok(admin.root("/readyz").await?.status == StatusCode::SERVICE_UNAVAILABLE)
    })
    .await?;
    ensure!(noticed < Duration::from_millis(900), "load balancers learn of it only after {noticed:?}");
    ensure!(caller.get("/readyz").await?.status == StatusCode::SERVICE_UNAVAILABLE, "the data port is ready");
    ensure!(admin.root("/livez").await?.status == StatusCode::OK, "a process that drains is alive");

    for call in load.finish().await {
        ensure!(call.is_whole(), "cut: {}", call.told());
    }
    for stream in streams {
        let reply = stream.rest().await?;
        ensure!(reply.is_complete_stream(), "cut: {:?}", reply.events().last());
    }
    let status = stage.gateway.ended(PATIENCE).await?;
    ensure!(status.success(), "{status}; its log:\n{}", stage.gateway.log());
    stage.verify()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_cuts_with_an_error_event() -> Result<()> {
    let behaviour =
        Behaviour { chunks: 50_000, chunk_pause: Duration::from_millis(20), ..Behaviour::default() };
    let mut stage = Stage::set(behaviour)?;
    let stream = open_stream(&stage.gateway.caller(ConfigText::KEY)).await?;
    stage.gateway.terminate()?;
    // The first one has to be taken before the second one is sent: equal signals merge.
    let admin = stage.gateway.admin();
    until("not ready", async || Ok(admin.root("/readyz").await?.status == StatusCode::SERVICE_UNAVAILABLE))
        .await?;
    stage.gateway.terminate()?;

    let reply = stream.rest().await?;
    let events = reply.events();
    ensure!(reply.broken.is_none(), "the body does not end properly: {:?}", reply.broken);
    ensure!(events.last().is_some_and(tollgate_test_support::Event::is_error), "{:?}", events.last());
    ensure!(!events.iter().any(tollgate_test_support::Event::is_end_mark), "it looks complete");
    let status = stage.gateway.ended(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    stage.verify()?;

    stage.gateway.restart()?;
    let rows = stage.gateway.admin().rows("", 1).await?;
    ensure!(rows[0]["end"] != "completed" && rows[0]["end"] != "recovered", "{}", rows[0]);
    ensure!(rows[0]["output_tokens"].as_u64() > Some(0), "what went out is counted: {}", rows[0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_keeps_its_hands_off_the_same_folder() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let second = std::process::Command::new(TOLLGATE)
        .args(["serve", "-c", "tollgate.yaml"])
        .current_dir(stage.gateway.folder())
        .output()?;
    let told = text(&second.stderr);
    ensure!(second.status.code() == Some(1), "{}: {told}", second.status);
    ensure!(told.contains("journal") && told.contains("gw-test"), "it does not say what is taken: {told}");
    let reply = stage.gateway.caller(ConfigText::KEY).chat(&crate::stage::chat("gpt-5-mini", false)).await?;
    ensure!(reply.status == StatusCode::OK, "the first one suffers: {}", reply.status);
    stage.close().await
}
