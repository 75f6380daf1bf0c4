//! What a key may do and what is left for it, told to whoever holds the key.

use http::Method;
use serde_json::{Value, json};
use tollgate_accounting::quota::{Limits, ScopeRules};

use crate::{
    harness::{
        Ask, Gateway, Setup, provider,
        setup::{KEY, Rules},
    },
    signatures,
};

fn me() -> Ask {
    Ask { method: Method::GET, ..Ask::post("/tollgate/v1/me", "") }
}

fn limit<'v>(about: &'v Value, name: &str) -> &'v Value {
    let limits = about["limits"].as_array().expect("a list");
    limits.iter().find(|limit| limit["limit"] == name).unwrap_or_else(|| panic!("{name}: {about}"))
}

fn limited() -> Rules {
    let limits = Limits {
        requests_per_minute: Some(10),
        tokens_per_minute: Some(50_000),
        tokens_per_day: Some(90_000),
        concurrent_requests: Some(3),
        ..Limits::default()
    };
    Rules { project: ScopeRules { limits, budget: None }, ..Rules::default() }
}

#[tokio::test]
async fn a_key_learns_what_it_may_do_in_whatever_form_it_is_shown() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup { rules: limited(), ..Setup::new([&provider]) });
    let forms: [(&str, &str); 4] =
        [("authorization", "Bearer "), ("x-api-key", ""), ("api-key", ""), ("x-goog-api-key", "")];
    for (header, before) in forms {
        let answer =
            gateway.send(&me().without("authorization").with(header, format!("{before}{KEY}"))).await;
        assert_eq!(answer.status, 200, "{header}: {}", answer.text());
        let about = answer.json();
        assert!(about["models"].as_array().is_some_and(|models| models.contains(&json!("chat"))), "{about}");
        assert!(about["team"].is_string() && about["project"].is_string() && about["key"].is_string());
        assert!(!answer.header("x-request-id").is_empty() && answer.header("cache-control") == "no-store");
    }
    let spelt: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for key in [KEY, &spelt] {
        let path: &'static str = format!("/tollgate/v1/me?alt=json&key={key}").leak();
        let answer = gateway.send(&Ask { path, ..me() }.without("authorization")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(!answer.text().contains(KEY), "{}", answer.text());
    }
    assert_eq!(provider.book().totals().calls, 0);
    let ledger = gateway.stop().await;
    assert!(ledger.rows.is_empty(), "a question is no request");
}

#[tokio::test]
async fn a_key_that_signs_learns_the_same_and_only_by_its_own_signature() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup { rules: limited(), ..Setup::new([&provider]) });
    let plain = gateway.send(&me()).await.json();
    let answer = gateway.send(&signatures::right(me().without("authorization"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let signed = answer.json();
    assert_eq!(signed["models"], plain["models"]);
    assert_eq!(limit(&signed, "tokens_per_day")["amount"], 90_000);
    // What was signed is this path and no other, and the signature stands alone.
    let elsewhere = Ask { path: "/tollgate/v1/me?key=", ..signatures::right(me().without("authorization")) };
    let beside: &'static str = format!("/tollgate/v1/me?key={KEY}").leak();
    let beside = Ask { path: beside, ..signatures::right(me().without("authorization")) };
    for (ask, code) in [(elsewhere, "invalid_signature"), (beside, "invalid_api_key")] {
        let answer = gateway.send(&ask).await;
        assert!(matches!(answer.status, 401 | 403), "{}", answer.status);
        assert_eq!(answer.header("x-tollgate-error"), code, "{}", answer.text());
    }
    let ledger = gateway.stop().await;
    assert!(ledger.rows.is_empty(), "a question is no request");
}

#[tokio::test]
async fn what_is_left_shrinks_by_calls_and_not_by_looking() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup { rules: limited(), ..Setup::new([&provider]) });
    let before = gateway.send(&me()).await.json();
    for (name, amount) in [
        ("requests_per_minute", 10),
        ("tokens_per_minute", 50_000),
        ("tokens_per_day", 90_000),
        ("concurrent_requests", 3),
    ] {
        let limit = limit(&before, name);
        assert_eq!((&limit["amount"], &limit["remaining"]), (&json!(amount), &json!(amount)), "{name}");
        assert_eq!(limit["scope"], "project", "{name}");
    }
    assert_eq!(gateway.send(&me()).await.json()["models"], before["models"]);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let after = gateway.send(&me()).await.json();
    assert_eq!(limit(&after, "requests_per_minute")["remaining"], 9);
    assert!(limit(&after, "tokens_per_day")["remaining"].as_u64() < Some(90_000), "{after}");
    assert_eq!(limit(&after, "concurrent_requests")["remaining"], 3);
    gateway.stop().await;
}

#[tokio::test]
async fn nobody_else_learns_anything() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    for (ask, status, code) in [
        (me().without("authorization"), 401, "invalid_api_key"),
        (me().with("authorization", "Bearer tlg_abc_def"), 401, "invalid_api_key"),
        (Ask::post("/tollgate/v1/me", "{}"), 405, "invalid_request"),
    ] {
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (status, code), "{}", answer.text());
    }
    gateway.stop().await;
}
