//! What must not pass is refused with the right status and code in the caller's dialect, costs
//! nothing, and leaves no secret and no prompt anywhere.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_simulator::Behaviour;
use tollgate_test_support::{ConfigText, Reply};

use crate::stage::{PATIENCE, Stage, chat, messages, text};

const EXPIRED: &str = "key-whose-time-is-over";
const WRONG: &str = "key-that-nobody-ever-gave-out";
const PROMPT: &str = "the-words-of-a-prompt-are-nobodys-business";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_say_why_in_the_callers_dialect_and_cost_nothing() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), set)?;
    for case in cases() {
        let caller = stage.gateway.caller(case.key);
        let reply = caller.post(case.path, &[], case.body.clone()).await?;
        case.check(&reply).with_context(|| format!("{}: {}", case.name, text(&reply.body)))?;
    }
    let totals = [stage.east.book().totals(), stage.west.book().totals()];
    ensure!(totals.iter().all(|totals| totals.calls == 0), "a refused request reached a provider");
    let budgets = stage.gateway.admin().budgets().await?;
    ensure!(budgets.iter().all(|budget| budget["reserved"] == "0" && budget["spent"] == "0"), "{budgets:?}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_headers_is_refused_and_the_next_client_served() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let names: Vec<String> = (0..5_000).map(|number| format!("x-flood-{number}")).collect();
    let flood: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "drop")).collect();
    let body = chat("gpt-5-mini", false).to_string();
    // The server may close the connection before the client has written all of it.
    if let Ok(reply) = caller.post("/v1/chat/completions", &flood, body).await {
        ensure!(reply.status == 431, "{} {}", reply.status, text(&reply.body));
    }
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status.is_success(), "{}", text(&reply.body));
    ensure!(stage.east.book().totals().calls == 1, "the flood reached a provider");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_prompt_is_told_to_anyone() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), set)?;
    let said = json!([{ "role": "user", "content": PROMPT }]);
    for model in ["gpt-5-mini", "no-such-model"] {
        let body = json!({ "model": model, "messages": said });
        for key in [ConfigText::KEY, EXPIRED, WRONG] {
            stage.gateway.caller(key).chat(&body).await?;
        }
    }
    stage.gateway.caller(ConfigText::KEY).post("/v1/chat/completions", &[], PROMPT).await?;
    let metrics = text(&stage.gateway.admin().root("/metrics").await?.body);
    stage.close().await?;
    let log = stage.gateway.log();
    ensure!(log.contains("no-such-model") || log.contains("model_not_found"), "the log tells nothing: {log}");
    for secret in [ConfigText::KEY, EXPIRED, WRONG, ConfigText::UPSTREAM_KEY, PROMPT] {
        ensure!(!log.contains(secret), "`{secret}` stands in the log:\n{log}");
        ensure!(!metrics.contains(secret), "`{secret}` stands in the metrics");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_path_is_not_found() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let reply = caller.post("/v1/chat/completion", &[], "{}").await?;
    ensure!(reply.status == 404, "{} {}", reply.status, text(&reply.body));
    ensure!(reply.json()["error"]["message"].is_string(), "{}", text(&reply.body));
    stage.close().await
}

/// A request and what must come back.
struct Case {
    name: &'static str,
    key: &'static str,
    path: &'static str,
    body: Bytes,
    status: u16,
    code: &'static str,
}

impl Case {
    fn check(&self, reply: &Reply) -> Result<()> {
        ensure!(reply.status == self.status, "status {} instead of {}", reply.status, self.status);
        ensure!(reply.error_code() == self.code, "`{}` instead of `{}`", reply.error_code(), self.code);
        ensure!(reply.header("x-tollgate-error-source") == "gateway", "the source is not told");
        let error = &reply.json()["error"];
        ensure!(error["message"].is_string(), "no message");
        if self.path == "/v1/messages" {
            ensure!(reply.json()["type"] == "error" && error["type"].is_string(), "not Anthropic's form");
        } else {
            ensure!(error["code"] == self.code, "the body's code is {}", error["code"]);
        }
        Ok(())
    }
}

/// Every refusal in both dialects.
fn cases() -> Vec<Case> {
    let nested = format!("{{\"model\":\"gpt-5-mini\",\"messages\":{}", "[".repeat(100_000));
    let of = |name, key, body: String, status, code| (name, key, Bytes::from(body), status, code);
    let in_dialect = |path: &'static str, make: fn(&str) -> Value, model: &str| {
        [
            of("wrong key", WRONG, make(model).to_string(), 401, "invalid_api_key"),
            of("no key", "", make(model).to_string(), 401, "invalid_api_key"),
            of("expired key", EXPIRED, make(model).to_string(), 401, "key_expired"),
            of("unknown model", ConfigText::KEY, make("no-such").to_string(), 404, "model_not_found"),
            of("model not allowed", ConfigText::KEY, make("forbidden").to_string(), 403, "model_not_allowed"),
            of("no JSON", ConfigText::KEY, "hello".to_owned(), 400, "invalid_request"),
            of("nested brackets", ConfigText::KEY, nested.clone(), 400, "invalid_request"),
        ]
        .map(|(name, key, body, status, code)| Case { name, key, path, body, status, code })
    };
    let mut cases = Vec::new();
    cases.extend(in_dialect("/v1/chat/completions", |model| chat(model, false), "gpt-5-mini"));
    cases.extend(in_dialect("/v1/messages", |model| messages(model, false), "claude-sonnet-4-6"));
    cases
}

/// A hard budget, a key whose time is over, and a model that the project may not use.
fn set(config: &mut ConfigText) {
    config
        .models
        .push_str("  - { name: forbidden, targets: [{ upstream: openai-east, model: gpt-5-mini }] }\n");
    config.teams = config.teams.replace(
        "        keys:",
        "        budget: { amount: \"5\", period: total, mode: hard }\n        keys:",
    );
    config.teams.push_str(&format!("          - {{ name: old, secret: {EXPIRED}, expires: 2020-01-01 }}\n"));
}

/// A body of 1 GiB is refused by its announcement: the client sends none of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_body_is_refused_when_it_is_announced() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let address = stage.gateway.data_url().trim_start_matches("http://").to_owned();
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: tollgate\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            ConfigText::KEY,
            1u64 << 30
        );
        let answer = first_bytes(address.clone(), head).await?;
        ensure!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        ensure!(answer.contains("x-tollgate-error: request_too_large"), "{path}: {answer}");
    }
    ensure!(stage.east.book().totals().calls == 0, "it reached a provider");
    stage.close().await
}

/// What comes back to a head whose body never follows.
async fn first_bytes(address: String, head: String) -> Result<String> {
    tokio::task::spawn_blocking(move || {
        let mut connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.write_all(head.as_bytes())?;
        let mut received = vec![0; 8 << 10];
        let length = connection.read(&mut received).context("no answer to the announcement")?;
        Ok(text(&received[..length]))
    })
    .await?
}
