//! The admin API: who may ask, what is answered, and what stays after a change.

mod access;
mod budgets;
mod capacity;
mod close;
mod config;
mod console;
mod drills;
mod explain;
mod fixture;
mod keys;
mod live;
mod memory;
mod objectives;
mod operators;
mod reconcile;
mod sessions;
mod trial;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tollgate_control::{admin::Check, operate::Restored};
use tollgate_proxy::{Entered, OperatorState, Sample};

use crate::fixture::{Gateway, millis};

#[tokio::test]
async fn without_configured_tokens_only_health_and_metrics_answer() {
    let gateway = Gateway::without_tokens();
    let refused = gateway.get("/api/v1/usage", "root").await;
    assert_eq!(refused.problem(), (401, "unauthorized".into()));
    assert!(refused.text.contains("admin.tokens"), "it says how to configure one: {}", refused.text);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(gateway.get(path, "").await.status, 200, "{path}");
        assert_eq!(gateway.status_listener(path).await, 200, "{path}");
    }
    assert_eq!(gateway.status_listener("/api/v1/usage").await, 404, "the status listener has no API");
}

#[tokio::test]
async fn what_does_not_exist_or_makes_no_sense_is_a_problem_too() {
    let gateway = Gateway::new();
    let cases = [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("DELETE", "/api/v1/usage", 405, "method_not_allowed"),
        ("PUT", "/api/v1/config", 428, "precondition_required"),
        ("POST", "/api/v1/config/rollback", 400, "invalid_request"),
        ("GET", "/api/v1/config/diff?from=9", 404, "not_found"),
        ("GET", "/api/v1/export/focus?from=-1d&to=now&format=xlsx", 400, "invalid_request"),
        ("GET", "/api/v1/export/parquet?from=now&to=-1d", 400, "invalid_request"),
        ("GET", "/api/v1/export/xlsx?from=-1d&to=now&detail=perhaps", 400, "invalid_request"),
        ("GET", "/api/v1/export/focus?from=-1d&to=now&version=1.3", 400, "invalid_request"),
        ("GET", "/api/v1/export/focus?from=now&to=-1d", 400, "invalid_request"),
        ("POST", "/api/v1/drills/7/stop", 404, "not_found"),
        ("GET", "/api/v1/drills/seven", 404, "not_found"),
        ("GET", "/api/v1/usage?by=colour", 400, "invalid_request"),
        ("GET", "/api/v1/usage?teem=hr", 400, "invalid_request"),
        ("GET", "/api/v1/usage?from=soon", 400, "invalid_request"),
        ("GET", "/api/v1/requests?limit=1001", 400, "invalid_request"),
        ("GET", "/api/v1/requests?order=best", 400, "invalid_request"),
        ("GET", "/api/v1/requests?after=x", 400, "invalid_request"),
        ("GET", "/api/v1/requests/17", 404, "not_found"),
        ("GET", "/api/v1/export/csv?from=2026-11", 400, "invalid_request"),
        ("GET", "/api/v1/export/csv?from=2026-12&to=2026-11", 400, "invalid_request"),
        ("POST", "/api/v1/regions/ue/drain", 404, "not_found"),
    ];
    for (method, path, status, code) in cases {
        assert_eq!(
            gateway.call(method, path, "root", "").await.problem(),
            (status, code.into()),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn usage_is_exact_and_narrowed_to_what_a_token_sees() {
    let gateway = Gateway::new();
    gateway.add_row("retail", "2026-11-03T10:00:00Z", "0.000000000001");
    gateway.add_row("retail", "2026-11-04T10:00:00Z", "1.5");
    gateway.add_row("hr", "2026-11-04T11:00:00Z", "2");
    let all = gateway.get("/api/v1/usage?by=team&from=2026-11&to=2026-12", "money").await.json();
    let figures: Vec<(&Value, &Value)> =
        all["items"].as_array().into_iter().flatten().map(|item| (&item["team"], &item["cost"])).collect();
    assert_eq!(figures, [(&json!("hr"), &json!("2")), (&json!("retail"), &json!("1.500000000001"))]);
    assert_eq!((&all["total"]["cost"], &all["total"]["requests"]), (&json!("3.500000000001"), &json!(3)));
    assert_eq!(all["next"], Value::Null);

    let own = gateway.get("/api/v1/usage?by=day,team", "retail-lead").await.json();
    assert_eq!(own["total"]["requests"], 2, "{own}");
    assert_eq!(own["items"][0]["day"], "2026-11-03");
    let other = gateway.get("/api/v1/usage?team=hr", "retail-lead").await;
    assert_eq!(other.problem(), (403, "forbidden".into()));
    let unknown = gateway.get("/api/v1/usage?team=nobody", "retail-lead").await;
    assert_eq!(unknown.text, other.text, "a narrowed token cannot learn which teams exist");
}

#[tokio::test]
async fn rows_come_in_pages_and_rows_of_other_teams_do_not_exist() {
    let gateway = Gateway::new();
    let first = gateway.add_row("retail", "2026-11-03T10:00:00Z", "1");
    gateway.add_row("retail", "2026-11-04T10:00:00Z", "2");
    let hr = gateway.add_row("hr", "2026-11-05T10:00:00Z", "3");

    let page = gateway.get("/api/v1/requests?limit=2", "money").await.json();
    let costs = |page: &Value| -> Vec<Value> {
        page["items"].as_array().into_iter().flatten().map(|row| row["cost"].clone()).collect()
    };
    assert_eq!(costs(&page), ["3", "2"]);
    let next = page["next"].as_str().expect("there is more");
    let rest = gateway.get(&format!("/api/v1/requests?limit=2&after={next}"), "money").await.json();
    assert_eq!((costs(&rest), &rest["next"]), (vec![json!("1")], &Value::Null));

    let own = gateway.get("/api/v1/requests", "retail-lead").await.json();
    assert_eq!(costs(&own), ["2", "1"]);
    let row = gateway.get(&format!("/api/v1/requests/{first}"), "retail-lead").await.json();
    assert_eq!(
        (&row["id"], &row["started_at"]),
        (&json!(first.to_string()), &json!("2026-11-03T10:00:00.000Z"))
    );
    assert_eq!(gateway.get(&format!("/api/v1/requests/{hr}"), "retail-lead").await.problem().0, 404);
    assert_eq!(gateway.get(&format!("/api/v1/requests/{hr}"), "money").await.status, 200);
}

#[tokio::test]
async fn an_export_has_every_row_of_the_range_that_the_token_sees() {
    let gateway = Gateway::new();
    for (team, at, cost) in [
        ("retail", "2026-10-31T23:59:59Z", "1"),
        ("retail", "2026-11-01T00:00:00Z", "2"),
        ("hr", "2026-11-30T23:59:59Z", "3"),
        ("hr", "2026-12-01T00:00:00Z", "4"),
    ] {
        gateway.add_row(team, at, cost);
    }
    let file = gateway.get("/api/v1/export/csv?from=2026-11&to=2026-12", "money").await;
    assert_eq!(file.content_type, "text/csv; charset=utf-8");
    let lines: Vec<&str> = file.text.lines().collect();
    assert!(lines[0].starts_with("id,seq,kind,started_at,"), "{}", lines[0]);
    let teams: Vec<&str> = lines[1..].iter().filter_map(|line| line.split(',').nth(6)).collect();
    assert_eq!(teams, ["hr", "retail"]);

    for at in 0..1_500 {
        gateway.add_row("retail", &format!("2026-09-01T00:{:02}:{:02}Z", at / 60, at % 60), "1");
    }
    let long = gateway.get("/api/v1/export/csv?from=2026-09&to=2026-10", "retail-lead").await;
    assert_eq!(long.text.lines().count(), 1 + 1_500, "longer than a page and than a chunk");
}

#[tokio::test]
async fn every_form_of_export_is_served_as_what_it_is() {
    let gateway = Gateway::new();
    gateway.add_row("retail", "2026-11-03T10:00:00Z", "1.5");
    let workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    let cases = [
        ("csv?", "text/csv; charset=utf-8", "id,seq,"),
        ("focus?", "text/csv; charset=utf-8", "BilledCost,"),
        ("focus?version=1.2&format=parquet&", "application/vnd.apache.parquet", "PAR1"),
        ("parquet?", "application/vnd.apache.parquet", "PAR1"),
        ("xlsx?", workbook, "PK"),
        ("xlsx?detail=true&", workbook, "PK"),
    ];
    for (call, media_type, begin) in cases {
        let path = format!("/api/v1/export/{call}from=2026-11&to=2026-12");
        let file = gateway.get(&path, "money").await;
        assert_eq!((file.status.as_u16(), file.content_type.as_str()), (200, media_type), "{call}");
        assert!(file.text.starts_with(begin), "{call}");
        assert_eq!(gateway.get(&path, "ops").await.status, 403, "{call}");
    }
}

#[tokio::test]
async fn an_export_that_breaks_off_never_looks_whole() {
    let gateway = Gateway::new();
    for at in 0..1_500 {
        gateway.add_row("retail", &format!("2026-09-01T00:{:02}:{:02}Z", at / 60, at % 60), "1");
    }
    gateway.store.breaks_off.store(true, Ordering::Relaxed);
    // Rows were sent already: the body ends in an error, which a client sees as a broken connection.
    let csv = gateway.body_of("/api/v1/export/csv?from=2026-09&to=2026-10", "money").await;
    assert!(csv.is_err(), "{csv:?}");
    // Nothing was sent yet: it can still be told.
    for form in ["parquet", "xlsx"] {
        let path = format!("/api/v1/export/{form}?from=2026-09&to=2026-10");
        let answer = gateway.get(&path, "money").await;
        assert_eq!(answer.problem(), (503, "ledger_unavailable".into()), "{form}");
    }
}

#[tokio::test]
async fn budgets_show_what_is_left_of_the_teams_that_a_token_sees() {
    let gateway = Gateway::new();
    let all = gateway.get("/api/v1/budgets", "money").await.json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2), "{all}");
    let own = gateway.get("/api/v1/budgets", "retail-lead").await.json();
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1), "{own}");
    let budget = &own["items"][0];
    let shown = ["team", "project", "mode", "amount", "spent", "reserved", "remaining", "period", "state"];
    let want = ["retail", "search", "hard", "500", "0", "0", "500", "month", "ok"];
    assert_eq!(shown.map(|field| budget[field].as_str().unwrap_or("-")), want);
    assert!(
        budget.as_object().is_some_and(|budget| budget.contains_key("forecast")),
        "the field is promised"
    );
}

#[tokio::test]
async fn a_drained_region_is_drained_at_once_and_after_a_restart() {
    let gateway = Gateway::new();
    let body = r#"{"reason": "storm", "for": "30m"}"#;
    let view = gateway.call("POST", "/api/v1/regions/eu/drain", "ops", body).await.json();
    assert_eq!(
        (&view["state"], &view["reason"], &view["author"]),
        (&json!("draining"), &json!("storm"), &json!("ops"))
    );
    assert_eq!(gateway.state_of_region("eu"), OperatorState::Draining);
    assert_eq!(gateway.state_of_region("us"), OperatorState::Enabled);

    let targets = gateway.get("/api/v1/targets", "ops").await.json();
    let states: Vec<[&Value; 3]> = targets["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|target| [&target["name"], &target["state"], &target["effective_state"]])
        .collect();
    assert_eq!(states[0], [&json!("meta/gpt-5@aoai-eu"), &json!("enabled"), &json!("draining")]);
    assert_eq!(states[1], [&json!("meta/gpt-5@openai"), &json!("enabled"), &json!("enabled")]);

    let audit = gateway.get("/api/v1/audit", "ops").await.json();
    let entry = &audit["items"][0];
    assert_eq!(
        (&entry["actor"], &entry["action"], &entry["subject"]),
        (&json!("ops"), &json!("region.drain"), &json!("eu"))
    );
    assert_eq!(entry["detail"]["reason"], "storm");

    let since = gateway.store.overrides.lock()[0].since;
    let restarted = gateway.restarted();
    let restored = restarted.operators.restore(since).expect("the store can be read");
    assert_eq!(restored, Restored { in_force: 1, unreadable: Vec::new() });
    assert_eq!(restarted.state_of_region("eu"), OperatorState::Draining);
}

#[tokio::test]
async fn a_state_ends_by_itself_or_by_enabling() {
    let gateway = Gateway::new();
    // The two are all there is, so that the second one takes somebody's last home.
    let drain = |path: &'static str| gateway.call("POST", path, "ops", r#"{"for": "1m", "force": true}"#);
    drain("/api/v1/regions/eu/drain").await;
    drain("/api/v1/targets/meta%2Fgpt-5@openai/disable").await;
    let since = gateway.store.overrides.lock()[0].since;

    assert!(gateway.operators.expire(since.plus(59_000)).expect("the store works").is_empty());
    let late = since.plus(70_000);
    let ended = gateway.operators.expire(late).expect("the store works");
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert_eq!(gateway.state_of_region("eu"), OperatorState::Enabled);
    assert!(gateway.store.overrides.lock().is_empty(), "a restart must not bring them back");
    assert_eq!(
        gateway.store.audit.lock().last().map(|entry| entry.actor.clone()).as_deref(),
        Some("gateway")
    );

    drain("/api/v1/regions/eu/drain").await;
    let view = gateway.call("POST", "/api/v1/regions/eu/enable", "ops", "").await.json();
    assert_eq!((&view["state"], &view["until"]), (&json!("enabled"), &Value::Null));
    assert!(gateway.store.overrides.lock().is_empty());
}

#[tokio::test]
async fn a_state_whose_time_ran_out_while_the_gateway_was_down_does_not_return() {
    let gateway = Gateway::new();
    gateway.call("POST", "/api/v1/regions/eu/disable", "ops", r#"{"for": "1m"}"#).await;
    let since = gateway.store.overrides.lock()[0].since;
    let restarted = gateway.restarted();
    let restored = restarted.operators.restore(since.plus(60_000)).expect("the store can be read");
    assert_eq!(restored.in_force, 0);
    assert_eq!(restarted.state_of_region("eu"), OperatorState::Enabled);
    assert!(gateway.store.overrides.lock().is_empty());
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_done() {
    let gateway = Gateway::new();
    gateway.fill_disk();
    let answer = gateway.call("POST", "/api/v1/regions/eu/drain", "ops", "").await;
    assert_eq!(answer.problem(), (503, "ledger_unavailable".into()));
    assert_eq!(gateway.state_of_region("eu"), OperatorState::Enabled);
}

#[tokio::test]
async fn a_target_that_waits_for_an_operator_comes_back_by_the_word_on_what_it_is_part_of() {
    let gateway = Gateway::new();
    let words =
        ["/api/v1/regions/us/enable", "/api/v1/upstreams/openai/enable", "/api/v1/upstreams/openai/reset"];
    for word in words {
        for target in gateway.reloader.snapshot().load().targets() {
            target.live.leave(&target.upstream.region);
        }
        let view = gateway.get("/api/v1/upstreams/openai", "eyes").await.json();
        assert_eq!(view["awaits_operator"], json!(true), "{view}");
        gateway.call("POST", word, "ops", r#"{"reason": "it is well again"}"#).await;
        for (upstream, waits) in [("openai", false), ("aoai-eu", true)] {
            let view = gateway.get(&format!("/api/v1/upstreams/{upstream}"), "eyes").await.json();
            assert_eq!(view["awaits_operator"], json!(waits), "{word}: {view}");
        }
    }
}

#[tokio::test]
async fn an_upstream_shows_the_worst_of_its_targets_until_it_is_reset() {
    let gateway = Gateway::new();
    let now = std::time::Instant::now();
    for target in gateway
        .reloader
        .snapshot()
        .load()
        .targets()
        .filter(|target| target.upstream.name.as_str() == "openai")
    {
        for _ in 0..20 {
            target.live.breaker(|breaker| breaker.sample(Sample::Fault, Entered::Freely, 0, now));
        }
        target.live.hold.throttled(Some(std::time::Duration::from_secs(50)), 0, now);
    }
    for path in ["/api/v1/upstreams/openai", "/api/v1/regions/us", "/api/v1/targets/meta%2Fgpt-5@openai"] {
        let view = gateway.get(path, "eyes").await.json();
        assert_eq!((&view["breaker"], &view["success_rate"]), (&json!("open"), &json!(0.0)), "{view}");
        assert!(view["hold_until"].is_string(), "{view}");
    }
    let healthy = gateway.get("/api/v1/upstreams/aoai-eu", "eyes").await.json();
    assert_eq!((&healthy["breaker"], &healthy["hold_until"]), (&json!("closed"), &Value::Null));

    let view =
        gateway.call("POST", "/api/v1/upstreams/openai/reset", "ops", r#"{"reason": "fixed"}"#).await.json();
    assert_eq!((&view["breaker"], &view["hold_until"]), (&json!("closed"), &Value::Null), "{view}");
    assert_eq!(gateway.store.audit.lock()[0].action, "upstream.reset");
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let gateway = Gateway::new();
    let ready = gateway.get("/readyz?verbose", "").await;
    assert_eq!((ready.status.as_u16(), ready.text.as_str()), (200, "[+]journal: ok\nready\n"));
    gateway.checks.lock().push(Check { name: "draining", problem: Some("shutting down".into()) });
    let unready = gateway.get("/readyz", "").await;
    assert_eq!(
        (unready.status.as_u16(), unready.text.as_str()),
        (503, "[-]draining: shutting down\nnot ready\n")
    );
    assert_eq!(gateway.get("/livez", "").await.status, 200, "a draining process is alive");
}

#[tokio::test]
async fn the_audit_is_read_page_by_page() {
    let gateway = Gateway::new();
    for action in ["drain", "disable", "enable"] {
        gateway.call("POST", &format!("/api/v1/regions/eu/{action}"), "ops", "").await;
    }
    let page = gateway.get("/api/v1/audit?limit=2", "eyes").await.json();
    assert_eq!((&page["items"][0]["action"], &page["next"]), (&json!("region.enable"), &json!("2")));
    let rest = gateway.get("/api/v1/audit?limit=2&after=2", "eyes").await.json();
    assert_eq!((&rest["items"][0]["action"], &rest["next"]), (&json!("region.drain"), &Value::Null));
    let at = rest["items"][0]["at"].as_str().expect("it has a time");
    assert!(millis(at) > millis("2024-01-01T00:00:00Z"), "{at}");
}

#[tokio::test]
async fn a_reload_takes_the_new_file_and_refuses_a_broken_one() {
    let gateway = Gateway::new();
    let first = gateway.get("/api/v1/config", "eyes").await.json();
    assert_eq!((&first["version"], &first["last_error"]), (&json!(1), &Value::Null));

    gateway.edit_config("500.00", "700.00");
    let second = gateway.call("POST", "/api/v1/config/reload", "ops", "{}").await.json();
    assert_eq!(
        (&second["version"], &second["author"], &second["source"]),
        (&json!(2), &json!("ops"), &json!("api"))
    );
    let budgets = gateway.get("/api/v1/budgets", "money").await.json();
    assert_eq!(budgets["items"][0]["amount"], "700");
    assert_eq!(gateway.store.audit.lock()[0].action, "config.reload");

    gateway.edit_config("currency: USD\n", "curency: USD\n");
    let refused = gateway.call("POST", "/api/v1/config/reload", "ops", "").await;
    assert_eq!(refused.problem(), (422, "config_invalid".into()));
    let error = refused.json()["errors"][0].as_str().unwrap_or_default().to_owned();
    assert!(error.starts_with("tollgate.yaml:4:1"), "{error}");
    let shown = gateway.get("/api/v1/config", "eyes").await.json();
    assert_eq!((&shown["version"], &shown["last_error"]["errors"][0]), (&json!(2), &json!(error)));
    assert_eq!(gateway.store.audit.lock().len(), 1, "nothing was changed");
}

#[tokio::test]
async fn what_changed_between_versions_is_shown_to_those_who_may_change_it() {
    let gateway = Gateway::new();
    gateway.edit_config("500.00", "700.00");
    gateway.call("POST", "/api/v1/config/reload", "ops", "").await;
    let seen = gateway.get("/api/v1/config/history", "root").await.json();
    let versions: Vec<&Value> =
        seen["items"].as_array().into_iter().flatten().map(|item| &item["version"]).collect();
    assert_eq!(versions, [2, 1]);
    assert!(seen["items"][0]["diff"].as_str().is_some_and(|diff| diff.contains("700.00")), "{seen}");
    let seen = gateway.get("/api/v1/config/history", "eyes").await.json();
    assert_eq!((&seen["items"][0]["version"], &seen["items"][0]["diff"]), (&json!(2), &Value::Null));
}

#[tokio::test]
async fn a_candidate_is_validated_and_changes_nothing() {
    let gateway = Gateway::new();
    let good = gateway.call("POST", "/api/v1/config/validate", "ops", "version: 1\n").await;
    let bad = gateway.call("POST", "/api/v1/config/validate", "ops", "version: 1\nteems: []\n").await;
    assert_eq!(bad.problem(), (422, "config_invalid".into()));
    assert!(bad.json()["errors"].to_string().contains("tollgate.yaml:2:1"), "{}", bad.text);
    assert_ne!(good.status, 500, "{}", good.text);
    assert_eq!(gateway.get("/api/v1/config", "eyes").await.json()["version"], 1);
}
