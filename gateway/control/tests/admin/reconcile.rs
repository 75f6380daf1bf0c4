//! Invoices over the admin API.

use serde_json::{Value, json};

use crate::fixture::Gateway;

fn asked(from: &str, to: &str, content: &str) -> Value {
    json!({ "from": from, "to": to, "files": [{ "name": "november.csv", "format": "csv", "content": content }] })
}

const HONEST: &str = "date,model,cost,currency\n2026-11-05,gpt-5,3.5,USD\n";

async fn gateway() -> Gateway {
    let gateway = Gateway::new();
    gateway.add_row("retail", "2026-11-05T10:00:00Z", "1.25");
    gateway.add_row("hr", "2026-11-05T23:59:59Z", "2.25");
    gateway
}

#[tokio::test]
async fn an_invoice_is_held_against_the_rows_of_its_days() {
    let gateway = gateway().await;
    let body = asked("2026-11-01", "2026-12-01", HONEST).to_string();
    let report = gateway.call("POST", "/api/v1/reconcile", "money", &body).await.json();
    assert_eq!((&report["items"], &report["within_tolerance"]), (&json!([]), &json!(true)), "{report}");
    let dear = HONEST.replace("3.5", "9.5");
    let body = asked("2026-11-01", "2026-12-01", &dear).to_string();
    let report = gateway.call("POST", "/api/v1/reconcile", "money", &body).await.json();
    assert_eq!(
        (&report["items"][0]["difference"], &report["within_tolerance"]),
        (&json!("6"), &json!(false))
    );
    let mut tolerant = asked("2026-11-01", "2026-12-01", &dear);
    tolerant["tolerance"] = json!("6");
    tolerant["provider"] = json!("openai");
    let report = gateway.call("POST", "/api/v1/reconcile", "root", &tolerant.to_string()).await.json();
    assert_eq!(report["within_tolerance"], true, "{report}");
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_its_fault() {
    let gateway = gateway().await;
    let mixed = json!({ "from": "2026-11-01", "to": "2026-12-01", "files": [
        { "name": "a.csv", "content": HONEST }, { "name": "b.json", "content": "{\"data\":[]}" }] });
    let cases = [
        (asked("2026-12-01", "2026-11-01", HONEST), "the range ends at or before its begin"),
        (asked("2026-11-01T10:00:00Z", "2026-12-01", HONEST), "whole days of UTC"),
        (json!({ "files": [] }), "`from` and `to` are needed"),
        (json!({ "from": "2026-11-01", "to": "2026-12-01" }), "no file"),
        (
            asked("2026-11-01", "2026-12-01", "day,model,cost,currency\n"),
            "november.csv: the file lacks `date`",
        ),
        (asked("2026-11-01", "2026-12-01", "\u{0}"), "november.csv: the file lacks"),
        (mixed, "a.csv is of the form csv, b.json of openai"),
        (json!({ "frm": "2026-11-01" }), "unknown field `frm`"),
    ];
    for (body, told) in cases {
        let answer = gateway.call("POST", "/api/v1/reconcile", "money", &body.to_string()).await;
        assert_eq!(answer.problem().0, 400, "{body}");
        assert!(answer.text.contains(told), "{body}: {}", answer.text);
    }
    for who in ["eyes", "ops", "retail-lead"] {
        let body = asked("2026-11-01", "2026-12-01", HONEST).to_string();
        assert_eq!(gateway.call("POST", "/api/v1/reconcile", who, &body).await.problem().0, 403, "{who}");
    }
}
