//! Drills over the API: what is refused, what is written down, what a restart makes of them.

use serde_json::{Value, json};
use tollgate_control::drills::Evidence;

use crate::fixture::Gateway;

const DRILLS: &str = "/api/v1/drills";

fn order() -> Value {
    json!({ "region": "eu", "fault": "down", "projects": ["retail/search"], "for": "1m", "reason": "rehearsal" })
}

/// The usual order with other members; null takes one out.
fn order_with(changes: &Value) -> String {
    let mut order = order();
    for (name, value) in changes.as_object().expect("members") {
        match value {
            Value::Null => _ = order.as_object_mut().expect("an object").remove(name),
            value => order[name] = value.clone(),
        }
    }
    order.to_string()
}

#[tokio::test]
async fn an_unsound_order_is_refused_and_no_fault_is_injected() {
    let gateway = Gateway::new();
    let cases = [
        (json!({ "projects": null }), 400, "has no scope"),
        (json!({ "all": true }), 400, "either `projects` or `all`"),
        (json!({ "projects": ["retail/serch"] }), 404, "did you mean \"retail/search\""),
        (json!({ "projects": ["search"] }), 400, "several teams have a project"),
        (json!({ "projects": ["retail/search", "nobody"] }), 404, "no project is called \"nobody\""),
        (json!({ "region": "ue" }), 404, "no region is called \"ue\""),
        (json!({ "region": null, "upstream": "aoai-ue" }), 404, "did you mean \"aoai-eu\""),
        (json!({ "region": null }), 400, "one `region` or one `upstream`"),
        (json!({ "upstream": "aoai-eu" }), 400, "one `region` or one `upstream`"),
        (json!({ "fault": null }), 400, "`fault` is one of down, dns"),
        (json!({ "fault": "flood" }), 400, "flood"),
        (json!({ "percent": 0 }), 400, "`percent` is 1 to 100, not 0"),
        (json!({ "percent": 101 }), 400, "`percent` is 1 to 100, not 101"),
        (json!({ "percent": -1 }), 400, "expected u32"),
        (json!({ "for": null }), 400, "`for`"),
        (json!({ "for": "61m" }), 400, "at most 1h"),
        (json!({ "for": "0s" }), 400, "no length of time"),
        (json!({ "stop_when_success_below": 101 }), 400, "at most 100"),
        (json!({ "latency_ms": 5 }), 400, "belongs to the fault `latency`"),
        (json!({ "fault": "latency", "latency_ms": 60_001 }), 400, "1 to 60000"),
        (json!({ "fault": "throttle", "retry_after_ms": 0 }), 400, "1 to 60000"),
        (json!({ "fault": "error", "status": 200 }), 400, "500, 502, 503 or 504"),
        (json!({ "until": "tomorrow" }), 400, "until"),
    ];
    for (changes, status, told) in cases {
        let answer = gateway.call("POST", DRILLS, "ops", &order_with(&changes)).await;
        assert_eq!(answer.status, status, "{changes}: {}", answer.text);
        let problem = answer.json();
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(told), "{changes}: {detail}");
        assert_eq!(answer.content_type, "application/problem+json");
    }
    assert!(gateway.live.drills.running().is_empty());
    assert_eq!(gateway.get(DRILLS, "ops").await.json(), json!({ "items": [], "next": null }));
    assert!(gateway.store.audit.lock().is_empty());
}

#[tokio::test]
async fn a_drill_is_begun_seen_and_stopped_and_its_report_is_sealed() {
    let gateway = Gateway::new();
    let changes = json!({ "percent": 20, "fault": "throttle" });
    let begun = gateway.call("POST", DRILLS, "ops", &order_with(&changes)).await.json();
    assert_eq!((&begun["content"]["id"], &begun["content"]["state"]), (&json!("1"), &json!("running")));
    assert_eq!(begun["sha256"], Value::Null);
    let plan = json!({
        "region": "eu", "upstream": null, "fault": { "kind": "throttle", "retry_after_ms": 1_000 },
        "projects": ["retail/search"], "all": false, "percent": 20, "for_ms": 60_000,
        "stop_when_success_below": 50, "seed": 1,
    });
    assert_eq!(begun["content"]["plan"], plan);
    assert_eq!(gateway.live.drills.running().len(), 1);

    let other = gateway.call("POST", DRILLS, "ops", &order().to_string()).await;
    assert_eq!(other.problem(), (409, "busy".into()), "one at a time in a region");
    let other = json!({ "region": null, "upstream": "aoai-eu" });
    let other = gateway.call("POST", DRILLS, "ops", &order_with(&other)).await;
    assert_eq!(other.problem(), (409, "busy".into()), "an upstream stands in its region");
    let elsewhere = gateway.call("POST", DRILLS, "ops", &order_with(&json!({ "region": "us" }))).await;
    assert_eq!(elsewhere.json()["content"]["id"], "2");

    let seen = gateway.get("/api/v1/drills/1", "eyes").await.json();
    assert_eq!(seen["content"]["measured"]["requests"], 0);
    let stopped = gateway.call("POST", "/api/v1/drills/1/stop", "ops", r#"{"reason":"seen enough"}"#).await;
    let report: Evidence = serde_json::from_str(&stopped.text).expect("a report");
    assert_eq!(report.verify(), Ok(()));
    let content = &report.content;
    assert_eq!((&content["state"], &content["ended_by"]), (&json!("stopped"), &json!("stopped")));
    assert_eq!((&content["actor"], &content["reason"]), (&json!("ops"), &json!("rehearsal")));
    assert_eq!(content["config"]["sha256"], gateway.reloader.running().version.hash.as_str());
    assert_eq!(content["residency"]["violations"], 0);
    assert_eq!(gateway.live.drills.running().len(), 1, "the other one goes on");

    let again = gateway.call("POST", "/api/v1/drills/1/stop", "ops", "").await;
    assert_eq!(again.problem(), (409, "conflict".into()));
    let listed = gateway.get(DRILLS, "eyes").await.json();
    let states: Vec<_> =
        listed["items"].as_array().expect("items").iter().map(|item| &item["state"]).collect();
    assert_eq!(states, ["running", "stopped"]);
    assert_eq!(listed["items"][1]["sha256"], json!(report.sha256));
    let audit = gateway.store.audit.lock();
    let told: Vec<_> = audit.iter().map(|entry| (&*entry.actor, &*entry.action, &*entry.subject)).collect();
    let want = [
        ("ops", "drill.start", "1"),
        ("ops", "drill.start", "2"),
        ("ops", "drill.stop", "1"),
        ("gateway", "drill.end", "1"),
    ];
    assert_eq!(told, want);
    assert!(audit[2].detail.contains("seen enough"), "{}", audit[2].detail);
}

#[tokio::test]
async fn what_the_audit_cannot_take_is_not_begun() {
    let gateway = Gateway::new();
    gateway.fill_disk();
    let answer = gateway.call("POST", DRILLS, "ops", &order().to_string()).await;
    assert_eq!(answer.problem(), (503, "ledger_unavailable".into()));
    gateway.empty_disk();
    assert!(gateway.live.drills.running().is_empty());
    assert_eq!(gateway.get(DRILLS, "ops").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_drill_that_is_over_is_written_down_by_itself_and_reports_form_a_chain() {
    let gateway = Gateway::new();
    let mut before = Value::Null;
    for (id, end) in [("1", "shutdown"), ("2", "time")] {
        gateway.call("POST", DRILLS, "ops", &order_with(&json!({ "for": "1s" }))).await;
        let now = std::time::Instant::now();
        if end == "shutdown" {
            gateway.drills.halt(now);
        }
        let later = now + std::time::Duration::from_secs(2);
        assert_eq!(gateway.drills.tend(later, true).expect("written"), [id]);
        let report = gateway.get(&format!("{DRILLS}/{id}"), "ops").await;
        let report: Evidence = serde_json::from_str(&report.text).expect("a report");
        assert_eq!((report.verify(), &report.content["ended_by"]), (Ok(()), &json!(end)));
        assert_eq!(report.content["chain"]["previous_sha256"], before);
        before = json!(report.sha256);
    }
    assert!(gateway.live.drills.running().is_empty());
}

#[tokio::test]
async fn a_drill_does_not_go_on_after_a_restart() {
    let gateway = Gateway::new();
    gateway.call("POST", DRILLS, "ops", &order().to_string()).await;
    let restarted = gateway.restarted_with_drills();
    assert!(restarted.live.drills.running().is_empty());
    let report = restarted.get("/api/v1/drills/1", "ops").await;
    let report: Evidence = serde_json::from_str(&report.text).expect("a report");
    let content = &report.content;
    assert_eq!((&content["state"], &content["ended_by"]), (&json!("aborted"), &json!("restart")));
    assert_eq!((report.verify(), &content["measured"]), (Ok(()), &Value::Null));
}
