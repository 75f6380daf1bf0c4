//! Calls that are no conversation, through the whole binary to the ledger.

use anyhow::{Result, ensure};
use serde_json::json;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_answered_and_has_its_row() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let model = "gpt-5-mini";
    let calls = [
        ("/v1/completions", json!({ "model": model, "prompt": "Once upon a time", "max_tokens": 5 })),
        ("/v1/completions", json!({ "model": model, "prompt": "Once upon a time", "stream": true })),
        ("/v1/moderations", json!({ "model": model, "input": "Hello." })),
        ("/v1/rerank", json!({ "model": model, "query": "q", "documents": ["a", "b"] })),
        ("/v1/images/generations", json!({ "model": model, "prompt": "a cat" })),
        ("/v1/audio/speech", json!({ "model": model, "input": "Hello.", "voice": "alloy" })),
    ];
    let caller = stage.gateway.caller(ConfigText::KEY);
    for (path, body) in &calls {
        let reply = caller.post(path, &[], body.to_string()).await?;
        ensure!(reply.status.is_success(), "{path}: {} {}", reply.status, reply.json());
    }
    let rows = stage.gateway.admin().rows("", calls.len()).await?;
    let found = |operation: &str| rows.iter().filter(|row| row["operation"] == operation).collect::<Vec<_>>();
    for row in found("completions") {
        ensure!(row["usage_source"] == "reported" && row["input_tokens"] == 4, "{row}");
        ensure!(row["output_tokens"].as_u64().is_some_and(|tokens| tokens >= 5), "{row}");
    }
    ensure!(found("completions").len() == 2, "{rows:?}");
    ensure!(found("moderations")[0]["cost"] == "0", "{rows:?}");
    ensure!(found("image_generations")[0]["output_tokens"] == 272, "{rows:?}");
    let rerank = found("rerank")[0];
    ensure!(rerank["flags"].to_string().contains("price_incomplete"), "search units have no price: {rerank}");
    ensure!(found("speech")[0]["usage_source"] == "estimated", "{rows:?}");
    stage.close().await
}
