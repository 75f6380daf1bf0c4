//! The configuration by the API: shown without secrets, replaced as a whole or not at all, brought back.

use serde_json::json;

use crate::fixture::Gateway;

const LITERAL: &str = "a-secret-in-the-file-1";

/// A gateway with a secret in its file.
fn gateway() -> Gateway {
    let gateway = Gateway::new();
    gateway.edit_config(
        "keys: [{ name: prod, secret: \"${env:HR_KEY}\" }]",
        &format!("keys: [{{ name: prod, secret: {LITERAL} }}]"),
    );
    gateway.reload();
    gateway
}

async fn shown(gateway: &Gateway) -> (String, String) {
    let answer = gateway.get("/api/v1/config", "root").await;
    let text = answer.json()["texts"][0]["text"].as_str().expect("the main file").to_owned();
    (answer.tag.clone(), text)
}

#[tokio::test]
async fn a_text_that_was_shown_can_be_changed_and_sent_back_without_knowing_its_secrets() {
    let gateway = gateway();
    let (tag, text) = shown(&gateway).await;
    assert!(
        !text.contains(LITERAL) && text.contains("${kept:") && text.contains("${env:RETAIL_KEY}"),
        "{text}"
    );
    let next = text.replace("\"500.00\"", "\"700.00\"");
    let looked = gateway.call("POST", "/api/v1/config/validate", "root", &next).await.json();
    assert_eq!(looked["changes"], true);
    assert!(
        looked["diff"].as_str().is_some_and(|diff| diff.contains("+        budget: { amount: \"700.00\""))
    );
    assert_eq!(gateway.config_file().matches("700.00").count(), 0, "a look changes nothing");

    let put = gateway.call_if(&tag, "PUT", "/api/v1/config?reason=more", "root", &next).await;
    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!((&put.json()["version"], &put.json()["author"]), (&json!(3), &json!("root")));
    assert_ne!(put.tag, tag);
    let file = gateway.config_file();
    assert!(file.contains(LITERAL) && file.contains("700.00") && !file.contains("kept:"), "{file}");
    let audit = gateway.get("/api/v1/audit", "root").await.json();
    let entry = &audit["items"][0];
    assert_eq!((&entry["action"], &entry["subject"]), (&json!("config.put"), &json!("3")));
    assert_eq!(entry["detail"]["reason"], "more");

    let late = gateway.call_if(&tag, "PUT", "/api/v1/config", "root", &next).await;
    assert_eq!(late.problem(), (412, "precondition_failed".into()));
    let bad = gateway.call_if("*", "PUT", "/api/v1/config", "root", "version: 1\nteems: []\n").await;
    assert_eq!(bad.problem(), (422, "config_invalid".into()));
    let unknown = next.replace("${kept:", "${kept:ff");
    let unknown = gateway.call_if("*", "PUT", "/api/v1/config", "root", &unknown).await;
    assert_eq!(unknown.problem(), (422, "config_invalid".into()), "a mark of no secret is no secret");
    gateway.edit_config("700.00", "800.00");
    let (tag, text) = shown(&gateway).await;
    let beside = gateway.call_if(&tag, "PUT", "/api/v1/config", "root", &text).await;
    assert_eq!(beside.problem(), (412, "precondition_failed".into()), "somebody has changed the file");
    assert!(gateway.config_file().contains("800.00"), "and nothing was written over it");
}

#[tokio::test]
async fn an_earlier_version_comes_back_as_a_new_one() {
    let gateway = gateway();
    let before = gateway.config_file();
    gateway.edit_config("\"500.00\"", "\"700.00\"");
    gateway.reload();
    let between = gateway.get("/api/v1/config/diff?from=2", "root").await.json();
    assert!(between["diff"].as_str().is_some_and(|diff| diff.contains("700.00")), "{between}");
    let same = gateway.get("/api/v1/config/diff?from=2&to=2", "root").await.json();
    assert_eq!((&same["to"], &same["diff"]), (&json!(2), &json!("")));

    let order = r#"{"version": 2, "reason": "too much"}"#;
    let back = gateway.call("POST", "/api/v1/config/rollback", "root", order).await;
    assert_eq!((back.status.as_u16(), &back.json()["version"]), (200, &json!(4)), "{}", back.text);
    assert_eq!(gateway.config_file(), before);
    let audit = gateway.get("/api/v1/audit", "root").await.json();
    assert_eq!(audit["items"][0]["detail"]["of_version"], 2);
    let stale = gateway.call_if("\"00\"", "POST", "/api/v1/config/rollback", "root", order).await;
    assert_eq!(stale.problem(), (412, "precondition_failed".into()));
    let unknown = gateway.call("POST", "/api/v1/config/rollback", "root", r#"{"version": 99}"#).await;
    assert_eq!(unknown.problem(), (404, "not_found".into()));
}

#[tokio::test]
async fn no_answer_about_the_configuration_has_a_secret_of_it() {
    let gateway = gateway();
    gateway.edit_config(LITERAL, "another-secret-in-the-file");
    gateway.reload();
    for path in [
        "/api/v1/config",
        "/api/v1/config/history",
        "/api/v1/config/diff?from=1",
        "/api/v1/config/diff?from=2",
    ] {
        let answer = gateway.get(path, "root").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text.contains("secret-in-the-file"), "{path}: {}", answer.text);
    }
    for who in ["ops", "eyes"] {
        assert!(gateway.get("/api/v1/config", who).await.json()["texts"].is_null(), "{who} sees no texts");
        assert_eq!(gateway.get("/api/v1/config/diff?from=1", who).await.status, 403, "{who}");
    }
    let looked = gateway.call("POST", "/api/v1/config/validate", "ops", &gateway.config_file()).await.json();
    assert!(looked["diff"].is_null(), "{looked}");
}
