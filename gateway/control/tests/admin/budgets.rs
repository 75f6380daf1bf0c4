//! Budgets with their forecast, raised for a time, and the alerts about them.

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tollgate_control::alerts::Event;

use crate::fixture::{Gateway, now};

const RAISE: &str = "/api/v1/budgets/project/retail/search/raise";
const LOWER: &str = "/api/v1/budgets/project/retail/search/lower";

/// The budget of the project `retail/search`.
async fn budget(gateway: &Gateway) -> Value {
    let list = gateway.get("/api/v1/budgets", "money").await.json();
    let items = list["items"].as_array().into_iter().flatten();
    items.into_iter().find(|item| item["team"] == "retail").cloned().expect("it is configured")
}

#[tokio::test]
async fn a_forecast_comes_with_its_method_after_three_days() {
    let gateway = Gateway::new();
    assert_eq!(budget(&gateway).await["forecast"], Value::Null, "nothing is known");
    let noon = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date().at(12, 0, 0, 0);
    for ago in 1..=20 {
        let day = noon.checked_sub(ago.days()).expect("it is in range").date();
        gateway.add_row("retail", &format!("{day}T12:00:00Z"), "2");
    }
    // What was read before stays for ten minutes; another process reads for itself.
    let gateway = gateway.restarted();
    let budget = budget(&gateway).await;
    assert_eq!(budget["forecast_method"], "weekday_mean", "{budget}");
    assert_eq!(budget["data_through"], noon.checked_sub(1.day()).expect("it is in range").date().to_string());
    assert_eq!(budget["forecast"], budget["forecast_p90"], "every day was like the other");
    // Of this month nothing is known to the quotas, so that each day left is what is to come.
    let days_left = noon.date().last_of_month().day() - noon.date().day() + 1;
    assert_eq!(budget["forecast"], (i32::from(days_left) * 2).to_string());
}

#[tokio::test]
async fn a_raise_is_in_force_until_it_is_lowered_and_over_restarts() {
    let gateway = Gateway::new();
    let order = json!({ "amount": "50", "for": "2h", "reason": "launch" }).to_string();
    let raised = gateway.call("POST", RAISE, "money", &order).await;
    assert_eq!(raised.status, 200, "{}", raised.text);
    let raised = raised.json();
    assert_eq!((&raised["amount"], &raised["refuses_at"]), (&json!("550"), &json!("550")));
    assert_eq!((&raised["raise"]["by"], &raised["raise"]["reason"]), (&json!("money"), &json!("launch")));

    let gateway = gateway.restarted();
    assert_eq!(budget(&gateway).await["amount"], "550");
    let lowered = gateway.call("POST", LOWER, "root", r#"{ "reason": "over" }"#).await.json();
    assert_eq!((&lowered["amount"], &lowered["raise"]), (&json!("500"), &Value::Null));
    assert_eq!(gateway.call("POST", LOWER, "root", "").await.problem(), (409, "conflict".into()));
    assert_eq!(budget(&gateway.restarted()).await["amount"], "500");

    let audit = gateway.get("/api/v1/audit", "root").await.json();
    let told: Vec<(&str, &str)> = audit["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| (item["action"].as_str().unwrap_or(""), item["actor"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(told, [("budget.lower", "root"), ("budget.raise", "money")]);
}

#[tokio::test]
async fn a_raise_ends_by_itself_and_the_audit_tells() {
    let gateway = Gateway::new();
    let order = json!({ "amount": "50", "for": "1h", "reason": "launch" }).to_string();
    assert_eq!(gateway.call("POST", RAISE, "money", &order).await.status, 200);
    let over = now().plus(3_600_001);
    gateway.raises.follow(over).expect("the store takes it");
    gateway.raises.follow(over).expect("there is nothing more to do");
    assert_eq!(budget(&gateway).await["amount"], "500");
    let audit = gateway.get("/api/v1/audit?limit=1", "root").await.json();
    assert_eq!(audit["items"][0]["action"], "budget.raise_ended");
    assert_eq!(audit["items"][0]["subject"], "project retail/search");
}

#[tokio::test]
async fn a_raise_that_cannot_be_meant_changes_nothing() {
    let gateway = Gateway::new();
    let cases = [
        (r#"{ "amount": "-5", "for": "2h", "reason": "x" }"#, "not more than nothing"),
        (r#"{ "amount": "0", "for": "2h", "reason": "x" }"#, "not more than nothing"),
        (r#"{ "amount": "5001", "for": "2h", "reason": "x" }"#, "more than 10 times the budget of 500"),
        (r#"{ "amount": "5", "until": "2020-01-01", "reason": "x" }"#, "has passed"),
        (r#"{ "amount": "5", "until": "2120-01-01", "reason": "x" }"#, "longer than a year"),
        (r#"{ "amount": "5", "for": "2h", "reason": " " }"#, "the reason is missing"),
        (r#"{ "amount": "5", "reason": "x" }"#, "give `until`"),
        (r#"{ "amount": "5", "until": "2120-01-01", "for": "2h", "reason": "x" }"#, "give `until`"),
        (r#"{ "amount": 5, "for": "2h", "reason": "x" }"#, "the body"),
        (r#"{ "amount": "1e3", "for": "2h", "reason": "x" }"#, "the body"),
        (r#"{ "amount": "5", "for": "2h", "reason": "x", "scope": "all" }"#, "unknown field"),
        (r#"{ "for": "2h", "reason": "x" }"#, "`amount` is missing"),
    ];
    for (order, part) in cases {
        let answer = gateway.call("POST", RAISE, "root", order).await;
        assert_eq!(answer.problem(), (400, "invalid_request".into()), "{order}");
        assert!(answer.text.contains(part), "{order}: {}", answer.text);
    }
    let sound = r#"{ "amount": "5", "for": "2h", "reason": "x" }"#;
    let cases = [
        ("/api/v1/budgets/project/retail/serch/raise", "root", 404, "not_found"),
        ("/api/v1/budgets/team/retail/raise", "root", 404, "not_found"),
        (RAISE, "ops", 403, "forbidden"),
        (RAISE, "eyes", 403, "forbidden"),
        (RAISE, "retail-lead", 403, "forbidden"),
    ];
    for (path, who, status, code) in cases {
        assert_eq!(
            gateway.call("POST", path, who, sound).await.problem(),
            (status, code.into()),
            "{path} {who}"
        );
    }
    gateway.fill_disk();
    let full = gateway.call("POST", RAISE, "root", sound).await;
    assert_eq!(full.problem(), (503, "ledger_unavailable".into()));
    assert_eq!(budget(&gateway).await["amount"], "500");
    assert!(gateway.store.audit.lock().is_empty());
}

#[tokio::test]
async fn alerts_are_shown_to_those_who_see_their_team() {
    let gateway = Gateway::new();
    let unpriced = Event::Unpriced { model: "gpt".into(), day: "2026-11-24".into() };
    gateway.alerts.raise(unpriced.clone());
    gateway.alerts.take(Vec::new(), &[], now()).expect("the store takes it");
    let all = gateway.get("/api/v1/alerts", "eyes").await.json();
    assert_eq!(all["items"][0]["kind"], "model_unpriced");
    assert_eq!(all["items"][0]["deliveries"], json!([]));
    let own = gateway.get("/api/v1/alerts", "retail-lead").await.json();
    assert_eq!(own["items"], json!([]), "it is about no team");
    assert_eq!(gateway.get("/api/v1/alerts?team=hr", "retail-lead").await.status, 403);
    assert_eq!(gateway.get("/api/v1/alerts?limit=0", "eyes").await.status, 400);

    gateway.fill_disk();
    let next = Event::Unpriced { model: "nano".into(), day: "2026-11-24".into() };
    gateway.alerts.raise(next);
    assert!(gateway.alerts.take(Vec::new(), &[], now()).is_err());
    gateway.empty_disk();
    let waited = gateway.alerts.take(Vec::new(), &[], now()).expect("the store takes it");
    assert_eq!(waited.len(), 1, "what was raised meanwhile is not lost");
}
