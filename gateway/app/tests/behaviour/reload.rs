//! The configuration changes while it serves: a good file is in force soon and drops nothing, a
//! broken one changes nothing and is named with its place.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::StatusCode;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::{
    load::Load,
    stage::{Stage, chat, short_or_long, text, until},
};

/// The promise is one second; a busy machine gets more.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_drop_nothing_and_broken_files_change_nothing() -> Result<()> {
    let behaviour = Behaviour { chunks: 10, chunk_pause: Duration::from_millis(10), ..Behaviour::default() };
    let mut stage = Stage::set(behaviour)?;
    let (caller, admin) = (stage.gateway.caller(ConfigText::KEY), stage.gateway.admin());
    let load = Load::start(&caller, 8);
    for number in 0..short_or_long(5, 25) {
        let alias = format!("alias-{number}");
        stage.gateway.write_config(&with_alias(&stage.config, &alias))?;
        let took = until("the new model is there", async || {
            Ok(caller.chat(&chat(&alias, false)).await?.status == StatusCode::OK)
        })
        .await?;
        ensure!(took < SOON, "{alias} is served only after {took:?}");

        let mut broken = with_alias(&stage.config, "never-served");
        let line = broken.lines().count() + 1;
        broken.push_str("teems: []\n");
        stage.gateway.write_config(&broken)?;
        let place = format!("tollgate.yaml:{line}:1");
        until("the broken file is reported", async || {
            Ok(admin.get("/config").await?["last_error"]["errors"].to_string().contains(&place))
        })
        .await?;
        until("the log names the place", async || Ok(stage.gateway.log().contains(&place))).await?;
        until("the metric tells", async || {
            Ok(text(&admin.root("/metrics").await?.body).contains("tollgate_config_last_reload_success 0"))
        })
        .await?;
        ensure!(
            caller.chat(&chat(&alias, false)).await?.status == StatusCode::OK,
            "a broken file took {alias}"
        );
        let never = caller.chat(&chat("never-served", false)).await?;
        ensure!(never.error_code() == "model_not_found", "a broken file is in force: {}", never.status);
    }
    for call in load.finish().await {
        ensure!(call.is_whole(), "a client noticed: {}", call.told());
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_price_holds_for_the_next_request() -> Result<()> {
    let mut stage = Stage::set(Behaviour { chunks: 10, ..Behaviour::default() })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let before = caller.chat(&chat("gpt-5-mini", false)).await?.header("x-tollgate-cost").to_owned();
    ensure!(!before.is_empty(), "a priced answer tells its cost");
    let dearer = stage.config.prices.replace("output: \"2.00\"", "output: \"4.00\"");
    std::fs::write(stage.gateway.folder().join("prices.yaml"), dearer)?;
    until("the new price holds", async || {
        Ok(caller.chat(&chat("gpt-5-mini", false)).await?.header("x-tollgate-cost") != before)
    })
    .await?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signal_and_api_reload_too() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let admin = stage.gateway.admin();
    let version = async || Ok::<_, anyhow::Error>(admin.get("/config").await?["version"].clone());

    stage.gateway.write_config(&with_alias(&stage.config, "by-signal"))?;
    stage.gateway.hang_up()?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    until("the signal's file is in force", async || {
        Ok(caller.chat(&chat("by-signal", false)).await?.status == StatusCode::OK)
    })
    .await?;

    stage.gateway.write_config(&with_alias(&stage.config, "by-order"))?;
    let reply = admin.reload().await?;
    ensure!(reply.status == StatusCode::OK, "{}", text(&reply.body));
    let answer = caller.chat(&chat("by-order", false)).await?;
    ensure!(answer.status == StatusCode::OK, "an order's answer came before its effect: {}", answer.status);

    let before = version().await?;
    stage.gateway.write_config("version: 1\nmodels: [\n")?;
    let reply = admin.reload().await?;
    ensure!(reply.status.is_client_error(), "{}", reply.status);
    ensure!(text(&reply.body).contains("tollgate.yaml:"), "no place: {}", text(&reply.body));
    ensure!(version().await? == before, "a refused file made a version");
    stage.close().await
}

/// The usual configuration with one more model, which the key may use.
fn with_alias(config: &ConfigText, alias: &str) -> String {
    let mut config = config.clone();
    config.models.push_str(&format!(
        "  - {{ name: {alias}, targets: [{{ upstream: openai-east, model: gpt-5-mini }}] }}\n"
    ));
    config.teams = config.teams.replace("models: [", &format!("models: [{alias}, "));
    config.to_string()
}
