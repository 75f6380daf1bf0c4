//! Every route by every role, with and without a scope of teams: who may open it, and that an answer to a
//! narrowed token has nothing of other teams.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fixture::Gateway;

/// Holders of whole tokens by role, and of those that are narrowed to the team `retail`.
const HOLDERS: [(&str, &str); 4] =
    [("root", "retail-admin"), ("ops", "retail-ops"), ("money", "retail-lead"), ("eyes", "retail-eyes")];

const EVERYBODY: &[&str] = &["root", "ops", "money", "eyes"];
const WATCHERS: &[&str] = &["root", "ops", "eyes"];
const OPERATORS: &[&str] = &["root", "ops"];
const FINANCE: &[&str] = &["root", "money"];
const BEARING: &[&str] = &["root", "money", "eyes"];
const ADMINS: &[&str] = &["root"];

/// Whether the answer can be narrowed to teams; where it cannot, a narrowed token gets none.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Narrowed,
    Whole,
}
use Scope::{Narrowed, Whole};

/// Routes by who may open them. Every route of the API's description has its line here.
const ROUTES: &[(&[&str], Scope, &[&str])] = &[
    (
        EVERYBODY,
        Narrowed,
        &[
            "GET /usage",
            "GET /requests",
            "GET /requests/{id}",
            "GET /budgets",
            "GET /projects",
            "GET /alerts",
            "GET /overview",
            "GET /stream",
            "GET /explain",
            "GET /explain/{code}",
            "GET /openapi.json",
            "GET /me",
            "POST /keys/test",
            "DELETE /session",
        ],
    ),
    (
        FINANCE,
        Narrowed,
        &[
            "GET /export/csv",
            "GET /export/focus",
            "GET /export/parquet",
            "GET /export/xlsx",
            "GET /statements",
            "GET /statements/{id}",
        ],
    ),
    (
        FINANCE,
        Whole,
        &[
            "POST /budgets/team/{team}/raise",
            "POST /budgets/team/{team}/lower",
            "POST /budgets/project/{team}/{project}/raise",
            "POST /budgets/project/{team}/{project}/lower",
            "POST /budgets/key/{team}/{project}/{key}/raise",
            "POST /budgets/key/{team}/{project}/{key}/lower",
            "POST /prices/rerate",
            "POST /reconcile",
            "POST /close",
        ],
    ),
    (BEARING, Whole, &["GET /allocation"]),
    (
        WATCHERS,
        Whole,
        &[
            "GET /regions",
            "GET /regions/{name}",
            "GET /upstreams",
            "GET /upstreams/{name}",
            "GET /targets",
            "GET /targets/{name}",
            "GET /models",
            "GET /models/{name}",
            "GET /objectives",
            "GET /config",
            "GET /config/history",
            "GET /audit",
            "GET /changes",
            "GET /drills",
            "GET /drills/{id}",
        ],
    ),
    (
        OPERATORS,
        Whole,
        &[
            "POST /regions/{name}/drain",
            "POST /regions/{name}/disable",
            "POST /regions/{name}/enable",
            "POST /regions/{name}/force",
            "POST /regions/{name}/failover",
            "POST /regions/{name}/failback",
            "POST /upstreams/{name}/drain",
            "POST /upstreams/{name}/disable",
            "POST /upstreams/{name}/enable",
            "POST /upstreams/{name}/force",
            "POST /upstreams/{name}/reset",
            "POST /targets/{name}/drain",
            "POST /targets/{name}/disable",
            "POST /targets/{name}/enable",
            "POST /targets/{name}/force",
            "POST /models/{name}/drain",
            "POST /models/{name}/disable",
            "POST /models/{name}/enable",
            "POST /models/{name}/force",
            "POST /config/reload",
            "POST /config/validate",
            "POST /drills",
            "POST /drills/{id}/stop",
        ],
    ),
    (ADMINS, Whole, &["PUT /config", "GET /config/diff", "POST /config/rollback"]),
    (ADMINS, Narrowed, &["GET /keys", "POST /keys", "POST /keys/{id}/revoke", "POST /keys/{id}/rotate"]),
];

/// Open to everybody: signing in is how somebody becomes known.
const OPEN: &str = "POST /session";

/// A path with something in place of its names, and the query that it needs.
fn called(path: &str) -> String {
    let names = [
        ("{id}", "x"),
        ("{team}", "hr"),
        ("{project}", "search"),
        ("{key}", "prod"),
        ("{name}", "nothing"),
        ("{code}", "internal"),
    ];
    let path = names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    let query = match path.as_str() {
        path if path.starts_with("/export") => "?from=2026-11&to=2026-12",
        "/config/diff" => "?from=1",
        _ => "",
    };
    format!("/api/v1{path}{query}")
}

#[tokio::test]
async fn a_route_opens_only_to_the_roles_and_scopes_of_its_rule() {
    let gateway = Gateway::new();
    for (roles, scope, routes) in ROUTES {
        for route in *routes {
            let (method, path) = route.split_once(' ').expect("a method and a path");
            let path = called(path);
            for (whole, narrowed) in HOLDERS {
                let may = roles.contains(&whole);
                let status = gateway.status(method, &path, whole).await;
                assert_eq!(status != 403, may, "{route} by {whole}: {status}");
                let status = gateway.status(method, &path, narrowed).await;
                assert_eq!(status != 403, may && *scope == Narrowed, "{route} by {narrowed}: {status}");
            }
            assert_eq!(gateway.status(method, &path, "").await, 401, "{route} by nobody");
            assert_eq!(gateway.status(method, &path, "stranger").await, 401, "{route} by a stranger");
            let empty = gateway.status(method, &path, "nobodys").await;
            let tells_nothing = ["/openapi.json", "/explain", "/me"].iter().any(|open| path.contains(open));
            assert!(
                empty == 403
                    || tells_nothing
                    || ![200, 201].contains(&empty)
                    || is_empty_list(&gateway, &path).await,
                "{route} with a scope of no team: {empty}"
            );
        }
    }
}

/// A scope of no team sees lists of nothing at most.
async fn is_empty_list(gateway: &Gateway, path: &str) -> bool {
    gateway.get(path, "nobodys").await.json()["items"].as_array().is_some_and(Vec::is_empty)
}

#[tokio::test]
async fn every_route_of_the_description_is_in_this_table() {
    let gateway = Gateway::new();
    let document = gateway.get("/api/v1/openapi.json", "eyes").await.json();
    let paths = document["paths"].as_object().expect("paths");
    let described: BTreeSet<String> = paths
        .iter()
        .filter_map(|(path, calls)| Some((path.strip_prefix("/api/v1")?, calls.as_object()?)))
        .flat_map(|(path, calls)| {
            calls.keys().map(move |method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
        })
        .collect();
    let listed = ROUTES.iter().flat_map(|(_, _, routes)| routes.iter().copied()).chain([OPEN]);
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(described, listed);
}

#[tokio::test]
async fn no_answer_to_a_narrowed_token_has_anything_of_another_team() {
    let gateway = Gateway::new();
    for team in ["retail", "hr"] {
        gateway.add_row(team, "2026-11-03T10:00:00Z", "1");
        let order = format!(r#"{{"project": "{team}/search", "name": "of-{team}"}}"#);
        gateway.call("POST", "/api/v1/keys", "root", &order).await;
    }
    gateway.feed.rows(gateway.store.rows.lock().iter());
    let told = |text: &str| text.contains("\"hr\"") || text.contains("hr/") || text.contains("of-hr");
    let mut seen = 0;
    for (roles, scope, routes) in ROUTES.iter().filter(|(_, scope, _)| *scope == Narrowed) {
        assert!(*scope == Narrowed);
        let reads = routes.iter().filter_map(|route| route.strip_prefix("GET "));
        for path in reads.filter(|path| !path.contains("stream") && !path.contains("openapi")) {
            let path = called(path);
            for (_, narrowed) in HOLDERS.iter().filter(|(whole, _)| roles.contains(whole)) {
                let answer = gateway.get(&path, narrowed).await;
                assert!(!told(&answer.text), "{path} by {narrowed}: {}", answer.text);
                seen += 1;
            }
            let whole = gateway.get(&path, "root").await;
            if ["/usage?", "/requests", "/budgets", "/keys"].iter().any(|path_of| path.ends_with(path_of)) {
                assert!(told(&whole.text), "{path}: the test would not see a leak: {}", whole.text);
            }
        }
    }
    assert!(seen > 20, "{seen}");
    let row =
        gateway.store.rows.lock().iter().find(|row| row.identity.team.as_str() == "hr").map(|row| row.id);
    let path = format!("/api/v1/requests/{}", row.expect("it was added"));
    assert_eq!(gateway.get(&path, "retail-admin").await.status, 404);
    let usage: Value = gateway.get("/api/v1/usage?by=team", "retail-admin").await.json();
    assert_eq!(usage["total"]["requests"], 1);
}
