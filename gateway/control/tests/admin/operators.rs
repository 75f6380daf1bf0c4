//! Orders beyond the plain drain: force, models, deadlines, last homes, failovers, previews.

use serde_json::{Value, json};
use tollgate_control::operate::{Restored, Subject};
use tollgate_proxy::OperatorState;

use crate::fixture::{Gateway, now};

/// The usual gateway, where project `search` of team `hr` may be served in `us` only.
fn with_residency() -> Gateway {
    let gateway = Gateway::new();
    let project = "  - name: hr\n    projects:\n      - name: search\n";
    gateway.edit_config(project, &format!("{project}        zones: [us]\n"));
    gateway.reload();
    gateway
}

async fn act(gateway: &Gateway, path: &str, body: &Value) -> Value {
    let answer = gateway.call("POST", &format!("/api/v1/{path}"), "ops", &body.to_string()).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn share(gateway: &Gateway, region: &str) -> u16 {
    gateway.live.fleet.region(&region.into()).moved.permille()
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused_and_changes_nothing() {
    let gateway = with_residency();
    let cases = [
        ("regions/uss/drain", "{}", 404, "not_found", "did you mean \"us\""),
        ("models/gpt5/drain", "{}", 404, "not_found", "did you mean \"gpt\""),
        ("regions/eu/drain", "{", 400, "invalid_request", "body"),
        ("regions/eu/drain", r#"{"for": "soon"}"#, 400, "invalid_request", "length of time"),
        ("regions/eu/drain", r#"{"for": "-5m"}"#, 400, "invalid_request", "length of time"),
        ("regions/eu/drain", r#"{"for": "0s"}"#, 400, "invalid_request", "length of time"),
        ("regions/eu/drain", r#"{"until": "2026-11-24"}"#, 400, "invalid_request", "unknown field"),
        ("regions/eu/drain", r#"{"deadline": "5m"}"#, 400, "invalid_request", "belongs to `disable`"),
        ("regions/eu/disable", r#"{"deadline": "5m", "for": "5m"}"#, 400, "invalid_request", "not before"),
        ("regions/eu/enable", r#"{"for": "5m"}"#, 400, "invalid_request", "no meaning"),
        ("regions/eu/force", r#"{"preview": true}"#, 400, "invalid_request", "`preview`"),
        ("upstreams/openai/reset", r#"{"force": true}"#, 400, "invalid_request", "nothing else"),
        ("regions/us/drain", "{}", 409, "no_permitted_home", "`force`"),
        ("models/gpt/drain", "{}", 409, "no_permitted_home", "`force`"),
        ("regions/us/failover", "{}", 400, "invalid_request", "`to` is missing"),
        ("regions/us/failover", r#"{"to": "us"}"#, 400, "invalid_request", "itself"),
        ("regions/us/failover", r#"{"to": "euu"}"#, 404, "not_found", "did you mean"),
        ("regions/uss/failover", r#"{"to": "eu"}"#, 404, "not_found", "did you mean"),
        ("regions/us/failover", r#"{"to": "eu", "ramp": "25h"}"#, 400, "invalid_request", "a day"),
        ("regions/us/failover", r#"{"to": "eu", "ramp": "-1m"}"#, 400, "invalid_request", "length of time"),
        ("regions/us/failover", r#"{"to": "eu"}"#, 409, "no_permitted_home", "`force`"),
        ("regions/eu/failback", "{}", 409, "conflict", "not failed over"),
    ];
    for (path, body, status, code, words) in cases {
        let answer = gateway.call("POST", &format!("/api/v1/{path}"), "ops", body).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{path} {body}: {}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(words), "{path} {body}: {detail}");
    }
    for region in ["eu", "us"] {
        assert_eq!(gateway.state_of_region(region), OperatorState::Enabled);
        assert_eq!(share(&gateway, region), 0);
    }
    assert!(gateway.store.overrides.lock().is_empty());
    assert!(gateway.store.audit.lock().is_empty());
}

#[tokio::test]
async fn only_those_who_may_operate_fail_over() {
    let gateway = Gateway::new();
    for who in ["money", "eyes"] {
        for path in ["/api/v1/regions/us/failover", "/api/v1/regions/us/failback", "/api/v1/models/gpt/force"]
        {
            let answer = gateway.call("POST", path, who, r#"{"to": "eu"}"#).await;
            assert_eq!(answer.problem(), (403, "forbidden".into()), "{who} {path}");
        }
    }
}

#[tokio::test]
async fn what_is_so_already_is_told_unless_it_gets_another_end() {
    let gateway = Gateway::new();
    act(&gateway, "regions/eu/drain", &json!({ "reason": "storm" })).await;
    let again = gateway.call("POST", "/api/v1/regions/eu/drain", "ops", r#"{"reason": "twice"}"#).await;
    assert_eq!(again.problem(), (409, "conflict".into()));
    assert!(again.text.contains("draining already") && again.text.contains("by ops"), "{}", again.text);
    assert_eq!(gateway.store.overrides.lock()[0].reason, "storm");
    assert_eq!(gateway.store.audit.lock().len(), 1);

    let view = act(&gateway, "regions/eu/drain", &json!({ "reason": "longer", "for": "1h" })).await;
    assert!(view["until"].is_string() && view["reason"] == "longer", "{view}");
    let view = act(&gateway, "regions/eu/disable", &json!({})).await;
    assert_eq!(view["state"], "disabled", "another state is another order");
    for _ in 0..2 {
        assert_eq!(act(&gateway, "regions/eu/enable", &json!({})).await["state"], "enabled");
    }
}

#[tokio::test]
async fn a_last_home_is_taken_only_by_force_and_the_audit_names_whose() {
    let gateway = with_residency();
    let refused = gateway.call("POST", "/api/v1/upstreams/openai/disable", "ops", "{}").await;
    assert_eq!(refused.problem(), (409, "no_permitted_home".into()));
    assert_eq!(refused.json()["errors"], json!(["project hr/search, model gpt"]));

    // The other region is nobody's last one, but with this one gone it is everybody's.
    act(&gateway, "upstreams/openai/disable", &json!({ "force": true, "reason": "leak" })).await;
    let audit = gateway.store.audit.lock()[0].clone();
    let detail: Value = serde_json::from_str(&audit.detail).expect("the detail is JSON");
    assert_eq!(
        (audit.action.as_str(), &detail["without_home"]),
        ("upstream.disable", &json!(["hr/search: gpt"]))
    );
    let refused = gateway.call("POST", "/api/v1/regions/eu/drain", "ops", "{}").await;
    assert_eq!(refused.json()["errors"], json!(["project retail/search, model gpt"]));
}

#[tokio::test]
async fn a_forced_upstream_and_a_drained_model_are_shown_and_outlive_a_restart() {
    let gateway = Gateway::new();
    let view = act(&gateway, "upstreams/openai/force", &json!({ "for": "10m", "reason": "probe" })).await;
    assert_eq!((&view["state"], &view["effective_state"]), (&json!("forced"), &json!("forced")));
    act(&gateway, "models/gpt/drain", &json!({ "force": true })).await;
    let models = gateway.get("/api/v1/models", "eyes").await.json();
    let model = &models["items"][0];
    assert_eq!(
        [&model["kind"], &model["name"], &model["state"], &model["zones"]],
        [&json!("model"), &json!("gpt"), &json!("draining"), &json!(["eu", "us"])]
    );
    assert_eq!(gateway.get("/api/v1/models/gpt", "eyes").await.json()["in_flight"], 0);

    let restarted = gateway.restarted();
    let restored = restarted.operators.restore(now()).expect("the store can be read");
    assert_eq!(restored, Restored { in_force: 2, unreadable: Vec::new() });
    let state = restarted.live.fleet.model(&"gpt".into()).operator.state(OperatorState::Enabled);
    assert_eq!(state, OperatorState::Draining);
}

#[tokio::test]
async fn a_deadline_is_part_of_the_word_and_of_the_audit() {
    let gateway = Gateway::new();
    act(&gateway, "regions/eu/disable", &json!({ "deadline": "5m" })).await;
    let word = gateway.live.fleet.region(&"eu".into()).operator.word().expect("it was said");
    assert_eq!(word.cut_at, Some(word.since.plus(300_000)));
    let detail: Value = serde_json::from_str(&gateway.store.audit.lock()[0].detail).expect("JSON");
    assert!(detail["deadline"].is_string(), "{detail}");
    gateway.operators.expire(word.since.plus(299_000)).expect("the store works");
    let fleet = &gateway.live.fleet;
    gateway.operators.expire(word.since.plus(300_000)).expect("the store works");
    assert!(fleet.cut_overdue(word.since.plus(300_000)).is_empty(), "it was met");
}

#[tokio::test]
async fn a_failover_moves_by_its_ramp_and_outlives_a_restart() {
    let gateway = Gateway::new();
    let order = json!({ "to": "eu", "ramp": "10m", "reason": "storm" });
    let view = act(&gateway, "regions/us/failover", &order).await;
    let shown = &view["failover"];
    assert_eq!(
        [&shown["to"], &shown["state"], &shown["share_permille"], &shown["ramp_seconds"], &shown["author"]],
        [&json!("eu"), &json!("moving"), &json!(0), &json!(600), &json!("ops")]
    );
    assert_eq!(view["state"], "enabled", "those who may not go there stay");
    assert_eq!(gateway.store.audit.lock()[0].action, "region.failover");

    let since = gateway.store.overrides.lock()[0].since;
    for (minutes, permille) in [(1, 100), (5, 500), (10, 1_000), (60, 1_000)] {
        let ended = gateway.operators.expire(since.plus(minutes * 60_000)).expect("the store works");
        assert_eq!((share(&gateway, "us"), ended.len()), (permille, 0), "after {minutes} min");
    }
    let view = gateway.get("/api/v1/regions/us", "eyes").await.json();
    assert_eq!(view["failover"]["state"], "moved");

    let restarted = gateway.restarted();
    let restored = restarted.operators.restore(since.plus(300_000)).expect("the store can be read");
    assert_eq!(restored, Restored { in_force: 1, unreadable: Vec::new() });
    assert_eq!(share(&restarted, "us"), 500);
}

#[tokio::test]
async fn a_failover_returns_by_itself_by_the_ramp_it_left_by() {
    let gateway = Gateway::new();
    act(&gateway, "regions/us/failover", &json!({ "to": "eu", "ramp": "1m", "for": "10m" })).await;
    let since = gateway.store.overrides.lock()[0].since;
    let at = |millis| gateway.operators.expire(since.plus(millis)).expect("the store works");
    at(599_000);
    assert_eq!(share(&gateway, "us"), 1_000);
    at(600_000);
    let audit = gateway.store.audit.lock().last().cloned().expect("it is told");
    assert_eq!((audit.actor.as_str(), audit.action.as_str()), ("gateway", "region.failback"));
    at(630_000);
    assert_eq!(share(&gateway, "us"), 500);
    let view = gateway.get("/api/v1/regions/us", "eyes").await.json();
    assert_eq!(
        (&view["failover"]["state"], &view["failover"]["author"]),
        (&json!("returning"), &json!("gateway"))
    );
    assert_eq!(at(660_000), [Subject::Region("us".into())]);
    assert_eq!(share(&gateway, "us"), 0);
    assert!(gateway.store.overrides.lock().is_empty());
}

#[tokio::test]
async fn an_operator_fails_back_with_a_ramp_at_once_or_by_enabling() {
    let gateway = Gateway::new();
    let over = json!({ "to": "eu" });
    act(&gateway, "regions/us/failover", &over).await;
    assert_eq!(share(&gateway, "us"), 1_000, "without a ramp all move at once");
    let view = act(&gateway, "regions/us/failback", &json!({ "ramp": "10m" })).await;
    assert_eq!(view["failover"]["state"], "returning");
    let since = gateway.store.overrides.lock()[0].since;
    gateway.operators.expire(since.plus(300_000)).expect("the store works");
    assert_eq!(share(&gateway, "us"), 500);
    let view = act(&gateway, "regions/us/enable", &json!({})).await;
    assert_eq!((share(&gateway, "us"), &view["failover"]), (0, &Value::Null));

    act(&gateway, "regions/us/failover", &over).await;
    let view = act(&gateway, "regions/us/failback", &json!({})).await;
    assert_eq!((share(&gateway, "us"), &view["failover"]), (0, &Value::Null), "as fast as it left");
    assert!(gateway.store.overrides.lock().is_empty());
}

#[tokio::test]
async fn a_failover_that_does_not_fit_what_is_so_changes_nothing() {
    let gateway = Gateway::new();
    let refused = async |path: &str, to: &str, words: &str| {
        let body = json!({ "to": to }).to_string();
        let answer = gateway.call("POST", &format!("/api/v1/regions/{path}/failover"), "ops", &body).await;
        assert_eq!(answer.problem(), (409, "conflict".into()), "{}", answer.text);
        assert!(answer.text.contains(words), "{}", answer.text);
    };
    act(&gateway, "regions/us/failover", &json!({ "to": "eu" })).await;
    refused("us", "eu", "already").await;
    refused("eu", "us", "themselves").await;
    act(&gateway, "regions/us/failback", &json!({})).await;
    act(&gateway, "regions/eu/drain", &json!({})).await;
    refused("us", "eu", "takes no requests").await;
    assert_eq!(share(&gateway, "us"), 0);

    // A region that serves none of the models.
    let gateway = Gateway::new();
    gateway.edit_config(
        "  - { name: us, zone: us }",
        "  - { name: us, zone: us }\n  - { name: bare, zone: us }",
    );
    gateway.reload();
    let body = json!({ "to": "bare" }).to_string();
    let answer = gateway.call("POST", "/api/v1/regions/us/failover", "ops", &body).await;
    assert_eq!(answer.problem(), (409, "conflict".into()));
    assert!(answer.text.contains("nothing would move"), "{}", answer.text);
}

#[tokio::test]
async fn a_preview_tells_who_moves_where_and_for_how_much_and_changes_nothing() {
    let gateway = Gateway::new();
    gateway.edit_config("region: eu, base_url", "region: eu, capacity: { tokens_per_minute: 11 }, base_url");
    gateway.edit_prices(
        "prices:\n",
        "prices:\n  - { model: meta/gpt-5, upstream: aoai-eu, from: 2026-01-01, currency: USD, per: 1000000, input: \"2\", output: \"4\" }\n",
    );
    gateway.reload();
    let just_now = jiff::Timestamp::now().to_string();
    for team in ["retail", "retail", "retail", "hr"] {
        gateway.add_row(team, &just_now, "0.00002");
    }
    gateway.add_row("retail", "2026-01-01T00:00:00Z", "1");
    let preview = act(&gateway, "regions/us/drain", &json!({ "preview": true })).await;
    let moved = |team: &str, requests: u64, before: &str, after: &str| {
        json!({
            "team": team, "project": "search", "model": "gpt",
            "from": "meta/gpt-5@openai", "to": "meta/gpt-5@aoai-eu",
            "requests": requests, "requests_per_minute": 1, "tokens_per_minute": 3 * requests,
            "price_per_hour": before, "price_per_hour_after": after,
        })
    };
    let moves = [moved("hr", 1, "0.00024", "0.00048"), moved("retail", 3, "0.00072", "0.00144")];
    assert_eq!(preview["moves"], json!(moves));
    assert_eq!(
        [&preview["price_per_hour"], &preview["price_per_hour_after"], &preview["currency"]],
        [&json!("0.00096"), &json!("0.00192"), &json!("USD")]
    );
    let receiver = &preview["receivers"][0];
    assert_eq!(
        [
            "requests_per_minute_after",
            "tokens_per_minute",
            "tokens_per_minute_after",
            "capacity_tokens_per_minute"
        ]
        .map(|field| &receiver[field]),
        [&json!(1), &json!(0), &json!(12), &json!(11)]
    );
    assert_eq!(receiver["fits"], false, "{receiver}");
    assert_eq!((&preview["homeless"], &preview["window_seconds"]), (&json!([]), &json!(300)));
    assert_eq!(gateway.state_of_region("us"), OperatorState::Enabled);
    assert!(gateway.store.overrides.lock().is_empty() && gateway.store.audit.lock().is_empty());
}

#[tokio::test]
async fn a_preview_names_who_would_be_refused_and_who_would_stay() {
    let gateway = with_residency();
    let just_now = jiff::Timestamp::now().to_string();
    for team in ["retail", "hr"] {
        gateway.add_row(team, &just_now, "0.00002");
    }
    let hr = json!([{ "team": "hr", "project": "search", "model": "gpt" }]);
    let drain = act(&gateway, "regions/us/drain", &json!({ "preview": true })).await;
    assert_eq!(drain["homeless"], hr);
    let destinations: Vec<[&Value; 2]> =
        drain["moves"].as_array().into_iter().flatten().map(|moved| [&moved["team"], &moved["to"]]).collect();
    assert_eq!(
        destinations,
        [[&json!("hr"), &Value::Null], [&json!("retail"), &json!("meta/gpt-5@aoai-eu")]]
    );

    let over = act(&gateway, "regions/us/failover", &json!({ "to": "eu", "preview": true })).await;
    assert_eq!((&over["stays"], &over["homeless"]), (&hr, &hr));
    assert_eq!(over["moves"].as_array().map(Vec::len), Some(1), "{over}");
    assert_eq!(over["moves"][0]["team"], "retail");

    let model = act(&gateway, "models/gpt/disable", &json!({ "preview": true })).await;
    assert_eq!(model["homeless"].as_array().map(Vec::len), Some(2), "{model}");
    assert!(model["moves"].as_array().into_iter().flatten().all(|moved| moved["to"].is_null()), "{model}");
}
