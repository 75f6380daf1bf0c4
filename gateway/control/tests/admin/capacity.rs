//! Hours of reserved capacity: each charged once, whatever happens between.

use std::sync::Arc;

use tollgate_accounting::ledger::{Entry, Kind, LedgerStore, Loader, RowQuery};
use tollgate_control::capacity::CapacityClerk;
use tollgate_domain::UnixMillis;

use crate::fixture::{Gateway, millis};

const HOUR: i64 = 3_600_000;

/// The upstream `openai` as paid by the hour, with room for 100 tokens an hour at 3 an hour.
fn gateway() -> (Gateway, Loader) {
    let gateway = Gateway::new();
    gateway.edit_prices(
        "output: \"2\" }",
        "output: \"2\" }\n  - { model: meta/gpt-5, upstream: openai, from: 2026-01-01, per_hour: \"3\" }",
    );
    gateway.edit_config(
        "{ name: openai, ",
        "{ name: openai, billing: provisioned, capacity: { tokens_per_minute: 1 }, ",
    );
    gateway.reload();
    let loader = gateway.loader();
    (gateway, loader)
}

fn catch_up(gateway: &Gateway, at: UnixMillis) -> u64 {
    let clerk = CapacityClerk::new(Arc::clone(&gateway.store) as _, gateway.postings());
    clerk.catch_up(&gateway.reloader.running(), &gateway.reloader.snapshot().load(), at).expect("charged")
}

fn hours(gateway: &Gateway) -> Vec<Entry> {
    let query = RowQuery { kind: Some(Kind::Fixed), ..RowQuery::default() };
    gateway.store.rows(&query).expect("read").items
}

#[test]
fn each_hour_is_charged_once_also_those_that_nobody_saw() {
    let (gateway, mut loader) = gateway();
    let start = millis("2026-11-24T10:20:00Z");
    assert_eq!(catch_up(&gateway, start), 0, "the hour is not over");
    assert_eq!(catch_up(&gateway, millis("2026-11-24T11:14:59Z")), 0, "its last calls may still run");
    gateway.add_row("retail", "2026-11-24T10:59:59Z", "0");
    gateway.add_row("hr", "2026-11-24T12:00:00Z", "0");
    assert_eq!(catch_up(&gateway, millis("2026-11-24T14:15:00Z")), 4, "10 to 13 o'clock, after a downtime");
    assert_eq!(catch_up(&gateway, millis("2026-11-24T14:16:00Z")), 0);
    loader.run_once().expect("loaded");
    let told: Vec<_> = hours(&gateway)
        .iter()
        .map(|row| {
            let parts = row.meters.iter().map(|meter| meter.cost.to_string()).collect::<Vec<_>>().join("+");
            (row.started_at.since(millis("2026-11-24T10:00:00Z")) / HOUR, parts)
        })
        .collect();
    let expected = [(3, "3"), (2, "0.75+2.25"), (1, "3"), (0, "0.75+2.25")];
    assert_eq!(told, expected.map(|(hour, parts)| (hour, parts.to_owned())));
    gateway.forget_papers();
    assert_eq!(catch_up(&gateway, millis("2026-11-24T13:30:00Z")), 0, "anew, from the hour that runs");
    assert_eq!(catch_up(&gateway, millis("2026-11-24T15:15:00Z")), 1, "13 o'clock was charged before");
}

#[test]
fn what_is_paid_by_the_hour_no_more_is_not_charged_for_the_time_between() {
    let (gateway, _loader) = gateway();
    catch_up(&gateway, millis("2026-11-24T10:00:00Z"));
    gateway.edit_config("billing: provisioned, ", "");
    gateway.reload();
    assert_eq!(catch_up(&gateway, millis("2026-11-24T20:00:00Z")), 0);
    gateway.edit_config("{ name: openai, ", "{ name: openai, billing: provisioned, ");
    gateway.reload();
    assert_eq!(catch_up(&gateway, millis("2026-11-25T10:00:00Z")), 0);
    assert_eq!(catch_up(&gateway, millis("2026-11-25T11:30:00Z")), 1);
}

#[tokio::test]
async fn teams_bear_the_used_part_by_tokens_and_the_idle_part_by_rule() {
    let (gateway, mut loader) = gateway();
    gateway.edit_config(
        "teams:\n",
        "allocation: { idle: { method: shares, shares: { retail: 50%, hr: 25% } } }\nteams:\n",
    );
    gateway.reload();
    catch_up(&gateway, millis("2026-11-24T10:00:00Z"));
    for (team, cost) in [("retail", "0.5"), ("retail", "0"), ("hr", "0")] {
        gateway.add_row(team, "2026-11-24T10:30:00Z", cost);
    }
    assert_eq!(catch_up(&gateway, millis("2026-11-24T11:15:00Z")), 1);
    loader.run_once().expect("loaded");
    let asked = "/api/v1/allocation?from=2026-11-24&to=2026-11-25";
    let answer = gateway.get(asked, "money").await.json();
    let told: Vec<_> = answer["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| {
            ["team", "direct", "used_capacity", "idle_capacity", "total"]
                .map(|name| item[name].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    // 45 of 60 tokens: 2.25 used, two thirds of it by retail; 0.75 idle.
    let want = [
        ["hr", "0", "0.75", "0.1875", "0.9375"],
        ["retail", "0.5", "1.5", "0.375", "2.375"],
        ["unallocated", "0", "0", "0.1875", "0.1875"],
    ];
    assert_eq!(told, want.map(|item| item.map(str::to_owned)));
    let share = &answer["shares"][0];
    assert_eq!(
        (&share["part"], &share["team"], &share["weight"], &share["of"]),
        (&"used".into(), &"hr".into(), &15.into(), &45.into())
    );
    let backwards = gateway.get("/api/v1/allocation?from=2026-11-25&to=2026-11-24", "money").await;
    assert_eq!(backwards.problem(), (400, "invalid_request".to_owned()));
}
