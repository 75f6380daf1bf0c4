//! Keys made at run time, on the data port: in force at once, refused at once, there after a crash.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};
use tollgate_simulator::Behaviour;

use crate::stage::{Stage, chat, text};

/// The promise of a withdrawal, with room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_opens_and_closes_at_once_and_outlives_a_crash() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let order = json!({ "project": "retail/search", "name": "ci" });
    let made = stage.gateway.admin().post("/keys", &order).await?;
    let secret = made["secret"].as_str().context("a secret")?.to_owned();
    let caller = stage.gateway.caller(&*secret);
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status == StatusCode::OK, "{}: {}", reply.status, reply.json());
    let row = stage.gateway.admin().row(reply.request_id()).await?;
    ensure!(row["key"] == "ci" && row["project"] == "search", "{row}");

    let slip = format!("{}{}", &secret[..secret.len() - 1], if secret.ends_with('a') { 'b' } else { 'a' });
    let reply = stage.gateway.caller(slip).chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.error_code() == "invalid_api_key", "{}", reply.error_code());
    ensure!(text(&reply.body).contains("mistyped"), "{}", text(&reply.body));

    stage.gateway.kill()?;
    stage.gateway.restart()?;
    let caller = stage.gateway.caller(&*secret);
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status == StatusCode::OK, "after a crash: {}", reply.status);

    let id = made["id"].as_str().context("an id")?;
    let asked = std::time::Instant::now();
    stage.gateway.admin().post(&format!("/keys/{id}/revoke"), &json!({ "reason": "leaked" })).await?;
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(
        reply.status == StatusCode::UNAUTHORIZED && reply.error_code() == "key_revoked",
        "{}",
        reply.status
    );
    ensure!(asked.elapsed() < AT_ONCE, "refused only after {:?}", asked.elapsed());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_makes_lists_rotates_and_revokes() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let run = |arguments: &[&str]| -> Result<Value> {
        let output = stage.gateway.command(&[arguments, &["-o", "json"]].concat())?;
        ensure!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).with_context(|| text(&output.stdout))
    };
    let made = run(&[
        "keys",
        "create",
        "--project",
        "search",
        "--name",
        "ci",
        "--expires",
        "90d",
        "--limit",
        "requests_per_minute=1",
        "--budget",
        "5.00/month",
    ])?;
    let id = made["id"].as_str().context("an id")?;
    ensure!(made["expires"].is_string() && made["budget"]["mode"] == "hard", "{made}");
    let caller = stage.gateway.caller(made["secret"].as_str().context("a secret")?);
    ensure!(caller.chat(&chat("gpt-5-mini", false)).await?.status == StatusCode::OK, "the first call");
    let second = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(second.error_code() == "rate_limit_exceeded", "its own limit: {}", second.error_code());

    let rotated = run(&["keys", "rotate", id, "--overlap", "0s"])?;
    let over = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(over.error_code() == "key_expired", "{}", over.error_code());
    run(&["keys", "revoke", rotated["id"].as_str().context("an id")?, "--reason", "x"])?;
    let list = run(&["keys", "list", "--project", "search"])?;
    let states: Vec<&Value> =
        list["items"].as_array().context("items")?.iter().map(|key| &key["state"]).collect();
    ensure!(states.len() == 3 && states.contains(&&json!("revoked")), "{states:?}");
    stage.close().await
}
