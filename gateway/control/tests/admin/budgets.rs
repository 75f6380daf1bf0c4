//! Budgets with their forecast, raised for a time, and the alerts about them.

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tollgate_accounting::quota::{Period, ScopeId, ScopeKind};
use tollgate_control::alerts::Event;
use tollgate_domain::Money;

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

/// Names on a page of budgets, and what else the answer tells.
async fn paged(gateway: &Gateway, who: &str, query: &str) -> (Vec<String>, Value, Value) {
    let answer = gateway.get(&format!("/api/v1/budgets?{query}"), who).await.json();
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let names = items.iter().map(|item| format!("{}/{}", text(&item["team"]), text(&item["project"])));
    (names.collect(), answer["next"].clone(), answer["count"].clone())
}

#[tokio::test]
async fn budgets_are_found_by_name_and_told_in_pages() {
    let gateway = Gateway::new();
    let whole = paged(&gateway, "root", "").await;
    let both = ["hr/search".to_owned(), "retail/search".to_owned()];
    assert_eq!((&whole.0[..], &whole.1, &whole.2), (&both[..], &Value::Null, &json!(2)));

    let first = paged(&gateway, "root", "limit=1").await;
    assert_eq!((&first.0[..], &first.1, &first.2), (&both[..1], &json!("project:hr/search"), &json!(2)));
    let second = paged(&gateway, "root", "limit=1&after=project:hr/search").await;
    assert_eq!((&second.0[..], &second.1), (&both[1..], &Value::Null));

    for query in ["find=TAIL", "team=retail", "scope=project&team=retail&project=search"] {
        assert_eq!(paged(&gateway, "root", query).await.0, both[1..], "{query}");
    }
    assert!(paged(&gateway, "root", "scope=team").await.0.is_empty());
    assert_eq!(paged(&gateway, "retail-lead", "order=tightest").await.0, both[1..]);

    for query in
        ["limit=0", "order=none", "order=tightest&after=project:a/b", "after=x", "scope=all", "page=2"]
    {
        let refused = gateway.get(&format!("/api/v1/budgets?{query}"), "root").await;
        assert_eq!(refused.problem(), (400, "invalid_request".to_owned()), "{query}");
    }
    assert_eq!(gateway.get("/api/v1/budgets?team=hr", "retail-lead").await.status, 403);
}

#[tokio::test]
async fn the_tightest_budgets_come_first() {
    let gateway = Gateway::new();
    let project = |team: &str| ScopeId { kind: ScopeKind::Project, name: format!("{team}/search").into() };
    let spent = Money::from_pico(400_000_000_000_000);
    gateway.live.quotas.restore(&project("retail"), Period::Month, now(), spent);
    let (names, next, _) = paged(&gateway, "root", "order=tightest&limit=1").await;
    assert_eq!((names, next), (vec!["retail/search".to_owned()], Value::Null));
}

#[tokio::test]
async fn projects_are_those_of_the_configuration_that_the_token_sees() {
    let gateway = Gateway::new();
    let list = gateway.get("/api/v1/projects", "eyes").await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{list}");
    assert_eq!((&list["items"][0]["team"], &list["items"][0]["models"]), (&json!("hr"), &json!(["gpt"])));
    let page = gateway.get("/api/v1/projects?limit=1", "eyes").await.json();
    assert_eq!((&page["next"], &page["count"]), (&json!("hr/search"), &json!(2)));
    let rest = gateway.get("/api/v1/projects?limit=1&after=hr/search", "eyes").await.json();
    assert_eq!((&rest["items"][0]["team"], &rest["next"]), (&json!("retail"), &Value::Null));
    let own = gateway.get("/api/v1/projects?find=SEARCH", "retail-lead").await.json();
    assert_eq!((&own["count"], &own["items"][0]["team"]), (&json!(1), &json!("retail")));
}
