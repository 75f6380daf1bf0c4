//! What a provider keeps is found again by the next process, and by its own project alone.

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use serde_json::json;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_response_outlives_the_process() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let create = json!({ "model": "gpt-5-mini", "input": "Say hello." }).to_string();
    let caller = stage.gateway.caller(ConfigText::KEY);
    let first = caller.post("/v1/responses", &[], create).await?;
    ensure!(first.status == StatusCode::OK, "{}: {}", first.status, first.json());
    let first = first.json();
    let id = first["id"].as_str().context("no id")?;

    stage.gateway.kill()?;
    stage.gateway.restart()?;
    let follow = |id: &str| {
        json!({ "model": "gpt-5-mini", "input": "Go on.", "previous_response_id": id }).to_string()
    };
    let caller = stage.gateway.caller(ConfigText::KEY);
    let next = caller.post("/v1/responses", &[], follow(id)).await?;
    ensure!(next.status == StatusCode::OK, "{}: {}", next.status, next.json());
    let unknown = caller.post("/v1/responses", &[], follow("resp_of_nobody")).await?;
    ensure!(unknown.status == StatusCode::NOT_FOUND, "{}", unknown.status);
    ensure!(unknown.error_code() == "response_not_found", "{}", unknown.json());
    stage.close().await
}
