//! Why a request went where it went, and what codes mean.

use std::time::Instant;

use serde_json::{Value, json};
use tollgate_accounting::ledger::{Attempt, End, Kind};
use tollgate_domain::RequestId;

use crate::fixture::{Gateway, millis};

const AT: &str = "2026-11-03T10:00:00Z";

/// A row of a request that `attempts` tell of.
fn row(gateway: &Gateway, attempts: &[(&str, &str, Option<u16>)]) -> RequestId {
    let id = gateway.add_row("retail", AT, "1.5");
    let mut rows = gateway.store.rows.lock();
    let row = rows.last_mut().expect("it was just added");
    row.attempts = attempts
        .iter()
        .zip(1..)
        .map(|((upstream, outcome, status), n)| Attempt {
            n,
            upstream: (*upstream).into(),
            region: "us".into(),
            outcome: (*outcome).to_owned().into(),
            status: *status,
            upstream_request_id: None,
            ttft_ms: None,
            duration_ms: 35,
            meters: Default::default(),
            waste: Default::default(),
        })
        .collect();
    id
}

async fn explained(gateway: &Gateway, id: RequestId) -> Value {
    gateway.get(&format!("/api/v1/requests/{id}"), "root").await.json()["explanation"].clone()
}

fn text(explanation: &Value, part: &str) -> String {
    explanation[part].to_string()
}

#[tokio::test]
async fn attempts_are_told_in_their_order_with_what_came_of_them() {
    let gateway = Gateway::new();
    let id = row(&gateway, &[("aoai-eu", "throttled", Some(429)), ("openai", "ok", Some(200))]);
    let explanation = explained(&gateway, id).await;
    let story: Vec<&str> =
        explanation["story"].as_array().expect("sentences").iter().filter_map(Value::as_str).collect();
    assert_eq!(
        story,
        [
            "At 2026-11-03T10:00:00.000Z the key retail/search/prod asked for gpt (chat_completions, in the dialect openai).",
            "gpt has 2 targets in 1 level, and the lower level is asked only where the higher one cannot serve.",
            "Attempt 1 went to aoai-eu in us: it said that it was being called too often (HTTP 429) after 35 ms; the next target was tried.",
            "Attempt 2 went to openai in us: it answered (HTTP 200) after 35 ms.",
            "openai in us (processed in the zone us) answered, whole after 100 ms.",
        ]
    );
    assert_eq!(explanation["passed_over"], json!([]), "both were tried");
    assert!(text(&explanation, "costs").contains("Together 1.5 USD."), "{explanation}");
    assert_eq!(explanation["unknown"], json!([]));
}

#[tokio::test]
async fn what_was_passed_over_is_told_by_what_was_seen_then() {
    let gateway = Gateway::new();
    let id = row(&gateway, &[("openai", "ok", None)]);
    let explanation = explained(&gateway, id).await;
    assert_eq!(explanation["passed_over"][0]["target"], "meta/gpt-5@aoai-eu");
    assert_eq!(explanation["passed_over"][0]["why"], "another target of its level was chosen");
    for who in ["money", "retail-admin"] {
        let row = gateway.get(&format!("/api/v1/requests/{id}"), who).await.json();
        assert!(row["explanation"]["story"].is_array(), "{who}");
        assert_eq!(row["explanation"]["passed_over"], Value::Null, "{who} may not see the fleet");
    }

    gateway.call("POST", "/api/v1/regions/eu/drain", "ops", r#"{"reason": "storm"}"#).await;
    let snapshot = gateway.reloader.snapshot().load_full();
    let before = millis(AT).plus(-5_000);
    let changes = gateway.chronicle.look(&snapshot, Instant::now(), before);
    assert_eq!(changes.len(), 1, "{changes:?}");
    let explanation = explained(&gateway, id).await;
    assert_eq!(explanation["passed_over"][0]["why"], "an operator or the configuration had taken it out");
    gateway.call("POST", "/api/v1/regions/eu/enable", "ops", "").await;
    gateway.chronicle.look(&snapshot, Instant::now(), millis(AT).plus(5_000));
    assert_eq!(explained(&gateway, id).await, explanation, "what came later changes nothing");
    let changes = gateway.get("/api/v1/changes", "ops").await.json();
    let kinds: Vec<&Value> =
        changes["items"].as_array().expect("items").iter().map(|change| &change["what"]).collect();
    for what in ["target.troubled", "target.well", "region.drain", "region.enable", "config.applied"] {
        assert!(kinds.contains(&&json!(what)), "{what}: {kinds:?}");
    }

    gateway.edit_config("        models: [gpt]\n        budget: { amount: \"500.00\", period: month, mode: hard, alerts: [50] }\n        keys: [{ name: prod, secret: \"${env:RETAIL_KEY}\" }]", "        zones: [us]\n        models: [gpt]\n        keys: [{ name: prod, secret: \"${env:RETAIL_KEY}\" }]");
    gateway.reload();
    let explanation = explained(&gateway, id).await;
    assert_eq!(explanation["passed_over"][0]["why"], "it processes in eu, and the project permits us only");
    assert!(text(&explanation, "unknown").contains("version 1 of the configuration"), "{explanation}");
}

#[tokio::test]
async fn what_nobody_knows_is_said_to_be_unknown() {
    let gateway = Gateway::new();
    gateway.edit_config(
        "- { upstream: openai, model: meta/gpt-5 }",
        "- { upstream: openai, model: meta/gpt-5, priority: 2 }",
    );
    gateway.reload();
    let id = row(&gateway, &[("openai", "ok", None)]);
    let explanation = explained(&gateway, id).await;
    assert_eq!(explanation["passed_over"][0]["why"], "this is not known");
    assert!(text(&explanation, "unknown").contains("once a second, since its start"), "{explanation}");
    std::sync::Arc::make_mut(&mut gateway.store.rows.lock()[0].identity).instance = "gw-2".into();
    assert!(text(&explained(&gateway, id).await, "unknown").contains("another instance served it"));
}

#[tokio::test]
async fn a_refusal_is_explained_by_its_code() {
    let gateway = Gateway::new();
    let id = row(&gateway, &[]);
    {
        let mut rows = gateway.store.rows.lock();
        let row = rows.last_mut().expect("it was just added");
        (row.kind, row.end, row.status) = (Kind::Refusal, None::<End>, 429);
        row.error_code = Some("budget_exceeded".into());
    }
    let explanation = explained(&gateway, id).await;
    let story = text(&explanation, "story");
    assert!(story.contains("refused with HTTP 429") && story.contains("worst case does not fit"), "{story}");
    assert_eq!(explanation["passed_over"], json!([]), "targets had no part in it");
}

#[tokio::test]
async fn every_code_has_its_page() {
    let gateway = Gateway::new();
    let list = gateway.get("/api/v1/explain", "eyes").await.json();
    let codes = list["items"].as_array().expect("items");
    assert!(codes.len() > 40, "{}", codes.len());
    for code in codes {
        let code = code["code"].as_str().expect("a code");
        let page = gateway.get(&format!("/api/v1/explain/{code}"), "retail-eyes").await.json();
        assert!(page["meaning"].is_string() && page["remedy"].is_string(), "{page}");
    }
    let unknown = gateway.get("/api/v1/explain/budget_exceded", "eyes").await;
    assert_eq!(unknown.problem(), (404, "not_found".into()));
    assert!(unknown.text.contains("did you mean budget_exceeded?"), "{}", unknown.text);
}
