//! An upstream's credential that somebody else renews: the running gateway shows what the file says now,
//! and while it says nothing, requests go to the other region.

use std::fs;

use anyhow::{Result, ensure};
use http::StatusCode;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::stage::{Stage, chat, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_somebody_else_renews_is_shown_as_it_is_now() -> Result<()> {
    let plain = format!("credential: {} }}", ConfigText::UPSTREAM_KEY);
    let from_file = "credential: { type: bearer, source: token_file, token_file: token } }";
    let mut stage = Stage::with(Behaviour::default(), |config| {
        // The first upstream: OpenAI's in the preferred region.
        config.upstreams = config.upstreams.replacen(&plain, from_file, 1);
    })?;
    let (caller, admin) = (stage.gateway.caller(ConfigText::KEY), stage.gateway.admin());
    let state = async || {
        let upstreams = admin.get("/upstreams").await?;
        let items = upstreams["items"].as_array().cloned().unwrap_or_default();
        let east = items.into_iter().find(|upstream| upstream["name"] == "openai-east");
        anyhow::Ok(east.unwrap_or_default()["credential"].clone())
    };

    until("the missing file is told", async || {
        let state = state().await?;
        let trouble = state["trouble"].as_str().unwrap_or_default();
        Ok(state["state"] == "missing" && trouble.contains("cannot read token"))
    })
    .await?;
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status == StatusCode::OK, "{}", reply.status);
    ensure!(stage.east.book().totals().calls == 0, "it is asked without a credential");

    let file = stage.gateway.folder().join("token");
    fs::write(&file, ConfigText::UPSTREAM_KEY)?;
    until("the file's token is there", async || Ok(state().await?["state"] == "fresh")).await?;
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status == StatusCode::OK, "{}", reply.status);
    // The provider answers nobody without its credential.
    ensure!(stage.east.book().totals().calls == 1, "the preferred region is not asked again");

    fs::remove_file(&file)?;
    until("the trouble is told", async || Ok(state().await?["state"] == "ageing")).await?;
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status == StatusCode::OK, "{}", reply.status);
    ensure!(stage.east.book().totals().calls == 2, "the old token serves until it ends");
    ensure!(!stage.gateway.log().contains(ConfigText::UPSTREAM_KEY), "the log shows a token");
    stage.close().await
}
