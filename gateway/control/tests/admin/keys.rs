//! Keys made at run time: made, replaced, withdrawn, kept, and shown without their secret.

use serde_json::{Value, json};
use tollgate_domain::KeyShape;

use crate::fixture::Gateway;

async fn make(gateway: &Gateway, who: &str, order: Value) -> Value {
    let answer = gateway.call("POST", "/api/v1/keys", who, &order.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

async fn listed(gateway: &Gateway, who: &str, query: &str) -> Vec<[String; 3]> {
    let list = gateway.get(&format!("/api/v1/keys?{query}"), who).await.json();
    let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}")).clone();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    items.iter().map(|key| [text(&key["team"]), text(&key["name"]), text(&key["state"])]).collect()
}

fn known(gateway: &Gateway, name: &str) -> Vec<(bool, usize, u16)> {
    let snapshot = gateway.reloader.snapshot().load_full();
    let principals = snapshot.keys.principals().filter(|principal| principal.identity.key.as_str() == name);
    principals.map(|p| (p.revoked, p.models.len(), p.refusal_status)).collect()
}

#[tokio::test]
async fn a_key_is_in_force_when_it_is_answered_and_its_secret_is_shown_once() {
    let gateway = Gateway::new();
    let order = json!({
        "project": "retail/search",
        "name": "ci",
        "for": "90d",
        "models": ["gpt"],
        "limits": { "requests_per_minute": 60, "cached_input_weight": "0.5" },
        "budget": { "amount": "5.00", "period": "month" },
        "refusal_status": 402,
        "reason": "for the pipeline",
    });
    let made = make(&gateway, "root", order).await;
    let secret = made["secret"].as_str().expect("the secret").to_owned();
    assert_eq!(KeyShape::of(secret.as_bytes()), KeyShape::Whole(made["id"].as_str().expect("an id")));
    assert_eq!(known(&gateway, "ci"), [(false, 1, 402)]);

    let list = gateway.get("/api/v1/keys?project=search&team=retail", "root").await;
    let (id, shown) = (made["id"].as_str().expect("an id"), list.json());
    let key = &shown["items"][0];
    assert_eq!((&key["id"], &key["managed"], &key["state"]), (&json!(id), &json!("api"), &json!("active")));
    assert_eq!(key["limits"], json!({ "requests_per_minute": 60, "cached_input_weight": "0.5" }));
    assert_eq!((&key["budget"]["amount"], &key["refusal_status"]), (&json!("5"), &json!(402)));
    let budgets = gateway.get("/api/v1/budgets", "money").await.json();
    assert!(budgets.to_string().contains(r#""key":"ci""#), "a key's budget is among the others: {budgets}");

    let tail = &secret[secret.len() - 20..];
    let kept = format!("{:?}{:?}", gateway.store.documents.lock(), gateway.store.audit.lock());
    let audit = gateway.get("/api/v1/audit", "root").await;
    for (place, text) in [("list", &list.text), ("store", &kept), ("audit", &audit.text)] {
        assert!(!text.contains(tail), "the secret stands in the {place}");
    }
    let entry = &audit.json()["items"][0];
    assert_eq!((&entry["action"], &entry["subject"]), (&json!("key.create"), &json!("retail/search/ci")));
    assert_eq!((&entry["actor"], &entry["detail"]["reason"]), (&json!("root"), &json!("for the pipeline")));
}

#[tokio::test]
async fn what_is_no_sound_key_is_refused_and_nothing_is_kept() {
    let gateway = Gateway::new();
    let cases = [
        (json!({}), 404, "not_found", "no project"),
        (json!({ "project": "retail/nothing" }), 404, "not_found", "retail/nothing"),
        (json!({ "project": "search" }), 400, "invalid_request", "several teams"),
        (json!({ "project": "retail/search", "name": "prod" }), 409, "conflict", "rotate"),
        (json!({ "project": "retail/search", "name": "a/b" }), 400, "invalid_request", "key.name"),
        (
            json!({ "project": "retail/search", "models": ["gtp"] }),
            400,
            "invalid_request",
            "did you mean `gpt`",
        ),
        (
            json!({ "project": "retail/search", "limits": { "tokens_per_day": 0 } }),
            400,
            "invalid_request",
            "at least 1",
        ),
        (json!({ "project": "retail/search", "limits": { "speed": 1 } }), 400, "invalid_request", "speed"),
        (json!({ "project": "retail/search", "refusal_status": 200 }), 400, "invalid_request", "400 to 499"),
        (json!({ "project": "retail/search", "expires": "2020-01-01" }), 400, "invalid_request", "passed"),
        (
            json!({ "project": "retail/search", "expires": "2099-01-01", "for": "1h" }),
            400,
            "invalid_request",
            "give `expires`",
        ),
        (
            json!({ "project": "retail/search", "budget": { "amount": "-1", "period": "day" } }),
            400,
            "invalid_request",
            "negative",
        ),
        (
            json!({ "project": "retail/search", "secret": "mine-mine-mine-mine" }),
            400,
            "invalid_request",
            "secret",
        ),
    ];
    for (order, status, code, part) in cases {
        let answer = gateway.call("POST", "/api/v1/keys", "root", &order.to_string()).await;
        assert_eq!(answer.problem(), (status, code.into()), "{order}: {}", answer.text);
        assert!(answer.text.contains(part), "{order}: {}", answer.text);
    }
    assert!(gateway.store.documents.lock().is_empty() && gateway.store.audit.lock().is_empty());
    gateway.fill_disk();
    let answer = gateway.call("POST", "/api/v1/keys", "root", r#"{"project": "hr/search"}"#).await;
    assert_eq!(answer.problem(), (503, "ledger_unavailable".into()));
    assert_eq!(
        gateway.reloader.snapshot().load().keys.principals().count(),
        2,
        "nothing opens that is not kept"
    );
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_stays_so() {
    let gateway = Gateway::new();
    let made = make(&gateway, "root", json!({ "project": "retail/search", "name": "ci" })).await;
    let path = format!("/api/v1/keys/{}/revoke", made["id"].as_str().expect("an id"));
    let revoked = gateway.call("POST", &path, "root", r#"{"reason": "leaked"}"#).await.json();
    assert_eq!((&revoked["state"], &revoked["revoked_by"]), (&json!("revoked"), &json!("root")));
    assert_eq!(known(&gateway, "ci"), [(true, 1, 429)], "known, so that the answer is key_revoked");
    let again = gateway.call("POST", &path, "root", "").await.json();
    assert_eq!(again["revoked"], revoked["revoked"], "the first time counts");

    let restarted = gateway.restarted();
    assert_eq!(known(&restarted, "ci"), [(true, 1, 429)]);
    make(&restarted, "root", json!({ "project": "retail/search", "name": "ci" })).await;
    let mut both = known(&restarted, "ci");
    both.sort_unstable();
    assert_eq!(both, [(false, 1, 429), (true, 1, 429)], "its name is free again");
    assert_eq!(gateway.call("POST", "/api/v1/keys/x/revoke", "root", "").await.problem().0, 404);
}

#[tokio::test]
async fn a_rotated_key_goes_on_beside_the_new_one_for_a_while() {
    let gateway = Gateway::new();
    let order = json!({ "project": "retail/search", "name": "ci", "refusal_status": 402 });
    let made = make(&gateway, "root", order).await;
    let path = format!("/api/v1/keys/{}/rotate", made["id"].as_str().expect("an id"));
    let rotated = gateway.call("POST", &path, "root", r#"{"overlap": "1h"}"#).await.json();
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!((&rotated["name"], &rotated["replaces"]), (&json!("ci"), &made["id"]));
    assert!(rotated["former"]["expires"].is_string(), "{rotated}");
    assert_eq!(known(&gateway, "ci"), [(false, 1, 402), (false, 1, 402)]);
    let scopes = gateway.reloader.running().scopes.clone();
    let named = scopes.iter().filter(|scope| &*scope.id().name == "retail/search/ci").count();
    assert_eq!(named, 1, "the two share their limits");

    let path = format!("/api/v1/keys/{}/rotate", rotated["id"].as_str().expect("an id"));
    gateway.call("POST", &path, "root", r#"{"overlap": "0s"}"#).await;
    let refused = gateway.call("POST", &path, "root", "").await;
    assert_eq!(refused.problem(), (409, "conflict".into()), "it is over: {}", refused.text);
    let states = listed(&gateway, "root", "team=retail&state=expired").await;
    assert_eq!(states.len(), 1, "{states:?}");
}

#[tokio::test]
async fn a_key_follows_its_project_and_opens_nothing_without_one() {
    let gateway = Gateway::new();
    let models = json!({ "project": "hr/search", "name": "ci", "models": ["gpt"] });
    make(&gateway, "root", models).await;
    gateway.edit_config(
        "  - name: hr\n    projects:\n      - name: search",
        "  - name: people\n    renamed_from: [hr]\n    projects:\n      - name: search",
    );
    gateway.reload();
    assert_eq!(known(&gateway, "ci"), [(false, 1, 429)]);
    assert_eq!(listed(&gateway, "root", "team=people").await.len(), 2);

    gateway.edit_config("  - name: people\n    renamed_from: [hr]", "  - name: staff");
    gateway.reload();
    assert_eq!(known(&gateway, "ci"), []);
    assert_eq!(listed(&gateway, "root", "state=stray").await, [["hr", "ci", "stray"]]);
    let shown = gateway.get("/api/v1/config", "root").await;
    assert!(shown.text.contains("its project is not configured"), "{}", shown.text);

    gateway.edit_config("  - name: staff", "  - name: hr");
    gateway.reload();
    assert_eq!(known(&gateway, "ci"), [(false, 1, 429)], "back with its project");
}

#[tokio::test]
async fn keys_come_in_pages_and_a_scope_narrows_them() {
    let gateway = Gateway::new();
    for name in ["a", "b", "c"] {
        make(&gateway, "root", json!({ "project": "retail/search", "name": name })).await;
    }
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page = gateway.get(&format!("/api/v1/keys?limit=2{after}"), "root").await.json();
        names.extend(page["items"].as_array().expect("items").iter().map(|key| key["name"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", next.replace('/', "%2F")),
            None => break,
        }
    }
    assert_eq!(names, ["prod", "a", "b", "c", "prod"], "those of hr, then those of retail");

    let own = listed(&gateway, "retail-admin", "").await;
    assert!(own.len() == 4 && own.iter().all(|[team, ..]| team == "retail"), "{own:?}");
    let answer = gateway.get("/api/v1/keys?team=hr", "retail-admin").await;
    assert_eq!(answer.problem(), (403, "forbidden".into()));
    let foreign = json!({ "project": "hr/search" }).to_string();
    assert_eq!(gateway.call("POST", "/api/v1/keys", "retail-admin", &foreign).await.problem().0, 404);
    let own = make(&gateway, "retail-admin", json!({ "project": "search", "name": "d" })).await;
    assert_eq!(own["team"], "retail", "the only project of that name that it sees");
    let hr = make(&gateway, "root", json!({ "project": "hr/search", "name": "d" })).await;
    for action in ["revoke", "rotate"] {
        let path = format!("/api/v1/keys/{}/{action}", hr["id"].as_str().expect("an id"));
        assert_eq!(gateway.call("POST", &path, "retail-admin", "").await.problem().0, 404, "{action}");
    }
}

#[tokio::test]
async fn what_another_process_has_done_is_followed() {
    let gateway = Gateway::new();
    let other = gateway.restarted();
    let made = make(&gateway, "root", json!({ "project": "retail/search", "name": "ci" })).await;
    other.keys.follow().expect("the store can be read");
    assert_eq!(known(&other, "ci"), [(false, 1, 429)]);
    let path = format!("/api/v1/keys/{}/revoke", made["id"].as_str().expect("an id"));
    gateway.call("POST", &path, "root", "").await;
    other.keys.follow().expect("the store can be read");
    assert_eq!(known(&other, "ci"), [(true, 1, 429)]);
}

#[tokio::test]
async fn a_key_of_another_pepper_opens_nothing_and_is_told() {
    let gateway = Gateway::new();
    make(&gateway, "root", json!({ "project": "retail/search", "name": "ci" })).await;
    let other = gateway.restarted_with_pepper([8; 32]);
    assert_eq!(known(&other, "ci"), []);
    assert_eq!(
        listed(&other, "root", "state=sealed_elsewhere").await,
        [["retail", "ci", "sealed_elsewhere"]]
    );
    assert!(other.reloader.running().strays[0].contains("pepper"));
}
