//! Everything fails, or refuses at once, or says how long to wait: what providers get then, by count.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use tollgate_simulator::{Behaviour, Exact, Framing, Piece, Refusal, Script};
use tollgate_test_support::{ConfigText, Gateway};

use crate::{
    load::one,
    stage::{Stage, short_or_long},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_everything_fails_providers_get_little_more_than_clients_ask() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    for provider in [&stage.east, &stage.west] {
        provider.always(Some(Script::refusal(Refusal::ServerError)));
    }
    let caller = stage.gateway.caller(ConfigText::KEY);
    let calls = short_or_long(500, 5_000);
    for number in 0..calls {
        let reply = one(&caller, number % 2 == 1, false).await.answer?;
        ensure!(reply.status.is_server_error(), "{}", reply.status);
    }
    let upstream_calls = stage.east.book().totals().calls + stage.west.book().totals().calls;
    ensure!(upstream_calls > 0, "nobody was asked");
    ensure!(upstream_calls * 100 <= calls * 115, "{upstream_calls} calls for {calls}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_refuses_at_once_attracts_no_traffic() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.models = config.models.replace("priority: 2", "priority: 1");
    })?;
    stage.east.always(Some(Script::refusal(Refusal::RateLimited { retry_after_ms: None })));
    let caller = stage.gateway.caller(ConfigText::KEY);
    let calls = short_or_long(300, 3_000);
    for number in 0..calls {
        let call = one(&caller, number % 2 == 1, false).await;
        ensure!(call.is_whole(), "a client noticed: {}", call.told());
    }
    let refused = stage.east.book().totals().calls;
    // Each hold is twice as long as the one before: to see sixteen, this would have to run for minutes.
    ensure!((1..=15).contains(&refused), "{refused} of {calls} calls went to the target that refuses");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_are_obeyed_up_to_a_cap_and_garbage_is_none() -> Result<()> {
    const UNHINTED: u64 = 1_000;
    const CAP: u64 = 300_000;
    let cases = [
        ("retry-after-ms", "90000", 90_000),
        ("x-ms-retry-after-ms", "40000", 40_000),
        ("retry-after", "20.5", 20_500),
        ("retry-after", "60", 60_000),
        ("retry-after", "3000", CAP),
        ("retry-after", "soon", UNHINTED),
        ("retry-after", "-5", UNHINTED),
        ("retry-after", "99999", UNHINTED),
        ("retry-after-ms", "NaN", UNHINTED),
        ("retry-after", "Thu, 99 Foo 2026 00:00:00 GMT", UNHINTED),
    ];
    let mut stage = Stage::set(Behaviour::default())?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    for (name, value, held_ms) in cases {
        stage.east.script(throttled(name, value));
        let before = Timestamp::now();
        let call = one(&caller, false, false).await;
        let after = Timestamp::now();
        ensure!(call.is_whole(), "{name}: {value}: {}", call.told());
        let until = hold_until(&stage.gateway).await?;
        // The provider comes back a little later than asked, so that not all callers come back at once.
        let (least, most) = (Duration::from_millis(held_ms), Duration::from_millis(held_ms * 11 / 10 + 1));
        ensure!(
            (before + least - Duration::from_millis(1)..=after + most).contains(&until),
            "{name}: {value}: held from {before} until {until}"
        );
        stage.gateway.admin().post("/upstreams/openai-east/reset", &serde_json::json!({})).await?;
    }
    ensure!(stage.east.scripts_left() == 0, "every refusal was met");
    stage.close().await
}

/// 429 with one header that says when to come back.
fn throttled(name: &'static str, value: &'static str) -> Script {
    Script::exact(Exact {
        status: 429,
        headers: vec![("content-type".into(), "application/json".into()), (name.into(), value.into())],
        pieces: vec![Piece::new(r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#)],
        framing: Framing::Length,
    })
}

async fn hold_until(gateway: &Gateway) -> Result<Timestamp> {
    let target = gateway.admin().get("/targets/gpt-5-mini@openai-east").await?;
    let until = target["hold_until"].as_str().context("it is held")?;
    until.parse().with_context(|| format!("hold_until {until}"))
}
