//! How things stand, from memory, and live views of it.

use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tollgate_accounting::ledger::{End, Kind};
use tollgate_control::feed::Feed;

use crate::fixture::{Gateway, now};

/// Rows of both teams that end now: one that was served, one that failed, one that was refused.
fn happen(gateway: &Gateway) {
    let at = jiff::Timestamp::now().to_string();
    for team in ["retail", "hr", "hr"] {
        gateway.add_row(team, &at, "1.5");
    }
    let mut rows = gateway.store.rows.lock();
    rows[1].end = Some(End::Truncated);
    rows[2].kind = Kind::Refusal;
    gateway.feed.rows(rows.iter());
}

#[tokio::test]
async fn an_overview_tells_of_the_last_hour_what_the_token_sees() {
    let gateway = Gateway::new();
    happen(&gateway);
    let whole = gateway.get("/api/v1/overview", "root").await.json();
    let hour = &whole["last_hour"];
    let figures = ["requests", "failed", "refusals", "input_tokens", "cost"].map(|name| hour[name].clone());
    assert_eq!(figures, [json!(2), json!(1), json!(1), json!(20), json!("3")]);
    assert_eq!(whole["minutes"].as_array().map(Vec::len), Some(61));
    assert_eq!(whole["fleet"]["targets"], 2);
    assert_eq!((&whole["budgets"]["count"], &whole["config"]["version"]), (&json!(2), &json!(1)));

    let own = gateway.get("/api/v1/overview", "retail-lead").await.json();
    assert_eq!((&own["last_hour"]["requests"], &own["last_hour"]["refusals"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&own["budgets"]["count"], &own["fleet"], &own["config"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
    let finance = gateway.get("/api/v1/overview", "money").await.json();
    assert_eq!((&finance["last_hour"]["requests"], &finance["fleet"]), (&json!(2), &Value::Null));

    gateway.call("POST", "/api/v1/regions/eu/drain", "ops", "").await;
    let whole = gateway.get("/api/v1/overview", "eyes").await.json();
    assert_eq!(whole["fleet"]["troubled"][0]["target"], "meta/gpt-5@aoai-eu");
}

#[tokio::test]
async fn what_is_older_than_two_hours_is_forgotten() {
    let gateway = Gateway::new();
    let old = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3)).to_string();
    gateway.add_row("retail", &old, "1");
    happen_in_order(&gateway);
    let sums = gateway.feed.minutes(&[], 120, now());
    assert_eq!(sums.iter().map(|(_, sums)| sums.requests).sum::<u64>(), 1);
    assert_eq!(sums.len(), 121);
}

fn happen_in_order(gateway: &Gateway) {
    gateway.add_row("retail", &jiff::Timestamp::now().to_string(), "1");
    gateway.feed.rows(gateway.store.rows.lock().iter());
}

/// Events of a stream until one is of this name; gives its data.
async fn until(body: &mut Body, name: &str) -> Option<Value> {
    let mut text = String::new();
    loop {
        for event in text.split("\n\n") {
            if let Some(data) = event.strip_prefix(&format!("event: {name}\ndata: "))
                && let Ok(value) = serde_json::from_str(data)
            {
                return Some(value);
            }
        }
        let frame = body.frame().await?.expect("the body arrives");
        text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
    }
}

#[tokio::test]
async fn a_live_view_tells_rows_and_changes_that_the_token_sees() {
    let gateway = Gateway::new();
    let (mut whole, mut own) =
        (gateway.open("/api/v1/stream", "root").await, gateway.open("/api/v1/stream", "retail-lead").await);
    for body in [&mut whole, &mut own] {
        assert!(until(body, "overview").await.is_some_and(|shown| shown["last_hour"].is_object()));
    }
    happen(&gateway);
    let rows = until(&mut whole, "requests").await.expect("rows");
    assert_eq!((rows["items"].as_array().map(Vec::len), &rows["left_out"]), (Some(3), &json!(0)));
    let rows = until(&mut own, "requests").await.expect("rows");
    assert_eq!((rows["items"].as_array().map(Vec::len), &rows["left_out"]), (Some(1), &Value::Null));
    assert!(!rows.to_string().contains("\"hr\""), "{rows}");

    gateway.call("POST", "/api/v1/regions/eu/drain", "ops", "").await;
    let snapshot = gateway.reloader.snapshot().load_full();
    gateway.feed.changes(gateway.chronicle.look(&snapshot, std::time::Instant::now(), now()));
    let changes = until(&mut whole, "changes").await.expect("changes");
    assert_eq!(changes["items"][0]["what"], "target.troubled");
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_let_go_and_told() {
    let gateway = Gateway::new();
    let mut body = gateway.open("/api/v1/stream", "root").await;
    assert!(until(&mut body, "overview").await.is_some());
    gateway.add_row("retail", &jiff::Timestamp::now().to_string(), "1");
    // The view has no turn meanwhile.
    for _ in 0..600 {
        gateway.feed.rows(gateway.store.rows.lock().iter());
    }
    assert!(until(&mut body, "dropped").await.is_some_and(|told| told["missed"].as_u64() > Some(0)));
    assert!(body.frame().await.is_none(), "and it ends");
}

#[tokio::test]
async fn there_are_only_so_many_live_views() {
    let gateway = Gateway::new();
    let mut open = Vec::new();
    let refused = loop {
        match gateway.try_open("/api/v1/stream", "eyes").await {
            (200, body) => open.push(body),
            (status, _) => break status,
        }
        assert!(open.len() < 1_000, "there is no end");
    };
    assert_eq!(refused, 409);
    drop(open);
    let mut turns = 0;
    while gateway.try_open("/api/v1/stream", "eyes").await.0 != 200 {
        tokio::task::yield_now().await;
        turns += 1;
        assert!(turns < 10_000, "room is not given back");
    }
}

#[tokio::test]
async fn an_overview_tells_what_failed_lately_and_how_soon_answers_began() {
    let gateway = Gateway::new();
    let at = jiff::Timestamp::now().to_string();
    for team in ["retail", "retail", "hr", "hr"] {
        gateway.add_row(team, &at, "1.5");
    }
    {
        let mut rows = gateway.store.rows.lock();
        (rows[0].ttft_ms, rows[1].ttft_ms) = (Some(20), Some(30));
        rows[2].end = Some(End::Truncated);
        (rows[3].kind, rows[3].error_code) = (Kind::Refusal, Some("budget_exceeded".into()));
        gateway.feed.rows(rows.iter());
    }
    let lately = gateway.get("/api/v1/overview", "root").await.json()["lately"].clone();
    assert_eq!((&lately["sums"]["requests"], &lately["ttft_p95_ms"]), (&json!(3), &json!(30)));
    assert!(lately["seconds"].as_u64().is_some_and(|seconds| (1..=960).contains(&seconds)), "{lately}");
    let mut failures: Vec<(String, String, u64)> = Vec::new();
    for failure in lately["failures"].as_array().expect("a list") {
        let name = failure["error_code"].as_str().or(failure["end"].as_str()).unwrap_or_default();
        failures.push((
            failure["kind"].as_str().unwrap_or_default().to_owned(),
            name.to_owned(),
            failure["count"].as_u64().unwrap_or_default(),
        ));
    }
    failures.sort();
    let want = [("refusal", "budget_exceeded", 1), ("usage", "truncated", 1)];
    assert_eq!(failures, want.map(|(kind, name, count)| (kind.to_owned(), name.to_owned(), count)));

    let own = gateway.get("/api/v1/overview", "retail-lead").await.json()["lately"].clone();
    assert_eq!((&own["failures"], &own["sums"]["requests"]), (&json!([]), &json!(2)));
}

#[tokio::test]
async fn a_process_that_begins_remembers_the_last_hour_of_its_own_gateway() {
    let gateway = Gateway::new();
    let at = |minutes: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes)).to_string();
    for minutes in [5, 6, 50, 70] {
        gateway.add_row("retail", &at(minutes), "1");
    }
    let other = Feed::new(now());
    other.recall(&*gateway.store, "gw-2").expect("the store can be read");
    let sums = |feed: &Feed| feed.minutes(&[], 60, now()).iter().map(|(_, sums)| sums.requests).sum::<u64>();
    assert_eq!(sums(&other), 0, "rows of another gateway are not its own");
    let begun = Feed::new(now());
    begun.recall(&*gateway.store, "gw-1").expect("the store can be read");
    assert_eq!(sums(&begun), 3);
    assert!(now().since(begun.since()) >= 3_600_000);
}
