//! Signing in to the console: what a session may, how it ends, and what is kept of it.

use axum::{body::to_bytes, http::Response};
use serde_json::{Value, json};

use crate::fixture::{Gateway, secret_of};

const OWN: (&str, &str) = ("origin", "http://gw:9090");
const FOREIGN: (&str, &str) = ("origin", "http://evil.example");

async fn json_of(response: Response<axum::body::Body>) -> Value {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("the body arrives");
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

fn cookie_of(response: &Response<axum::body::Body>) -> String {
    let set = response.headers().get("set-cookie").expect("a cookie").to_str().expect("text");
    set.split(';').next().unwrap_or_default().to_owned()
}

/// A browser that has signed in.
struct Browser<'a> {
    gateway: &'a Gateway,
    cookie: String,
    proof: String,
}

impl<'a> Browser<'a> {
    async fn sign_in(gateway: &'a Gateway, body: Value) -> Result<Self, u16> {
        let response = gateway.browse("POST", "/api/v1/session", &[OWN], &body.to_string()).await;
        if response.status() != 204 {
            return Err(response.status().as_u16());
        }
        let cookie = cookie_of(&response);
        let me = json_of(gateway.browse("GET", "/api/v1/me", &[("cookie", &cookie)], "").await).await;
        Ok(Self { gateway, cookie, proof: me["csrf"].as_str().expect("a proof").to_owned() })
    }

    async fn with_token(gateway: &'a Gateway, who: &str) -> Self {
        Self::sign_in(gateway, json!({ "token": secret_of(who) })).await.expect("signed in")
    }

    async fn get(&self, path: &str) -> Response<axum::body::Body> {
        self.gateway.browse("GET", path, &[("cookie", &self.cookie)], "").await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)]) -> u16 {
        let cookie = ("cookie", self.cookie.as_str());
        let headers: Vec<_> = headers.iter().copied().chain([cookie]).collect();
        self.gateway.browse("POST", path, &headers, r#"{"reason":"test"}"#).await.status().as_u16()
    }
}

async fn audit(gateway: &Gateway) -> Vec<Value> {
    let list = gateway.get("/api/v1/audit", "root").await.json();
    list["items"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_session_may_what_its_token_may() {
    let gateway = Gateway::new();
    for who in ["root", "ops", "money", "eyes", "retail-lead"] {
        let browser = Browser::with_token(&gateway, who).await;
        for path in
            ["/api/v1/usage", "/api/v1/regions", "/api/v1/audit", "/api/v1/keys", "/api/v1/statements"]
        {
            let (by_session, by_token) =
                (browser.get(path).await.status(), gateway.get(path, who).await.status);
            assert_eq!(by_session, by_token, "{who} {path}");
        }
    }
}

#[tokio::test]
async fn me_tells_name_role_scope_and_rights() {
    let gateway = Gateway::new();
    let me = json_of(Browser::with_token(&gateway, "retail-lead").await.get("/api/v1/me").await).await;
    assert_eq!((&me["name"], &me["role"]), (&json!("retail-lead"), &json!("finance")));
    assert_eq!(me["scope"], json!({ "teams": ["retail"] }));
    assert_eq!(
        me["permissions"],
        json!(["be_known", "read_document", "read_spend", "export", "read_statements"])
    );
    assert_eq!(
        (&me["gateway"]["organization"], &me["gateway"]["currency"]),
        (&json!("contoso"), &json!("USD"))
    );

    let by_token = gateway.get("/api/v1/me", "root").await.json();
    assert_eq!(
        (&by_token["csrf"], &by_token["session"], &by_token["scope"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(by_token["permissions"].as_array().map(Vec::len), Some(20));
    assert_eq!(gateway.get("/api/v1/me", "").await.status, 401);
}

#[tokio::test]
async fn a_change_by_a_session_needs_its_proof_and_our_own_page() {
    let gateway = Gateway::new();
    let browser = Browser::with_token(&gateway, "ops").await;
    let other = Browser::with_token(&gateway, "ops").await;
    let path = "/api/v1/regions/eu/drain";
    let proof = ("x-tollgate-csrf", browser.proof.as_str());
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Headers<'_>, u16); 6] = [
        ("nothing", &[], 403),
        ("no proof", &[OWN], 403),
        ("another session's proof", &[OWN, ("x-tollgate-csrf", &other.proof)], 403),
        ("no origin", &[proof], 403),
        ("another origin", &[FOREIGN, proof], 403),
        ("both", &[OWN, proof], 200),
    ];
    for (name, headers, want) in cases {
        assert_eq!(browser.post(path, headers).await, want, "{name}");
    }
    let token = format!("Bearer {}", secret_of("ops"));
    let by_token =
        gateway.browse("POST", "/api/v1/regions/eu/enable", &[("authorization", &token)], "{}").await;
    assert_eq!(by_token.status(), 200, "a token needs neither");
}

#[tokio::test]
async fn a_token_beside_a_cookie_is_the_word_that_counts() {
    let gateway = Gateway::new();
    let browser = Browser::with_token(&gateway, "root").await;
    let wrong = [("cookie", browser.cookie.as_str()), ("authorization", "Bearer not-a-token-of-ours")];
    assert_eq!(gateway.browse("GET", "/api/v1/usage", &wrong, "").await.status(), 401);
}

#[tokio::test]
async fn a_session_ends_with_sign_out_and_with_its_token() {
    let gateway = Gateway::new();
    let browser = Browser::with_token(&gateway, "eyes").await;
    let proof = [OWN, ("x-tollgate-csrf", browser.proof.as_str()), ("cookie", browser.cookie.as_str())];
    let response = gateway.browse("DELETE", "/api/v1/session", &proof, "").await;
    assert_eq!(response.status(), 204);
    assert!(response.headers()["set-cookie"].to_str().is_ok_and(|set| set.contains("Max-Age=0")));
    assert_eq!(browser.get("/api/v1/usage").await.status(), 401);

    let browser = Browser::with_token(&gateway, "eyes").await;
    assert_eq!(browser.get("/api/v1/usage").await.status(), 200);
    gateway.edit_config("name: eyes, role: viewer", "name: eyes, role: finance");
    gateway.reload();
    assert_eq!(browser.get("/api/v1/regions").await.status(), 403, "its role changed");
    gateway.edit_config(r#"token: "${env:EYES}""#, "token: a-token-that-was-renewed");
    gateway.reload();
    assert_eq!(browser.get("/api/v1/usage").await.status(), 401, "its token is gone");
}

#[tokio::test]
async fn a_first_start_s_link_signs_the_first_admin_in_once() {
    let gateway = Gateway::new();
    let link = gateway.sign_in_link().expect("there is an admin");
    let code = link.strip_prefix("/sign-in#").expect("behind the mark that browsers keep to themselves");
    assert!(Browser::sign_in(&gateway, json!({ "link": "guessed" })).await.is_err());
    let browser = Browser::sign_in(&gateway, json!({ "link": code })).await.expect("signed in");
    assert_eq!(json_of(browser.get("/api/v1/me").await).await["name"], "root");
    assert_eq!(Browser::sign_in(&gateway, json!({ "link": code })).await.err(), Some(401));
    assert_eq!(Gateway::without_tokens().sign_in_link(), None, "nobody could be signed in");
}

#[tokio::test]
async fn sign_ins_are_kept_and_no_secret_is() {
    let gateway = Gateway::new();
    Browser::with_token(&gateway, "money").await;
    assert_eq!(Browser::sign_in(&gateway, json!({ "token": "guess-of-somebody" })).await.err(), Some(401));
    for _ in 0..50 {
        assert_eq!(Browser::sign_in(&gateway, json!({ "token": "another-guess" })).await.err(), Some(401));
    }
    let kept = audit(&gateway).await;
    let of = |action: &str| kept.iter().filter(|entry| entry["action"] == action).collect::<Vec<_>>();
    assert_eq!(of("sign_in").len(), 1, "{kept:?}");
    assert_eq!(
        (&of("sign_in")[0]["actor"], &of("sign_in")[0]["detail"]["with"]),
        (&json!("money"), &json!("token"))
    );
    assert_eq!(of("sign_in_failed").len(), 20, "guessing does not fill the audit");
    let text = serde_json::to_string(&kept).expect("JSON");
    for secret in [secret_of("money").as_str(), "guess-of-somebody", "another-guess"] {
        assert!(!text.contains(secret), "{secret}");
    }
    Browser::with_token(&gateway, "money").await;
}

#[tokio::test]
async fn a_sign_in_from_another_page_or_without_an_audit_is_refused() {
    let gateway = Gateway::new();
    let body = json!({ "token": secret_of("root") }).to_string();
    let response = gateway.browse("POST", "/api/v1/session", &[FOREIGN], &body).await;
    assert_eq!((response.status().as_u16(), response.headers().contains_key("set-cookie")), (403, false));
    for wrong in [json!({}), json!({ "token": "a", "link": "b" }), json!({ "password": "a" })] {
        assert_eq!(Browser::sign_in(&gateway, wrong.clone()).await.err(), Some(400), "{wrong}");
    }
    gateway.fill_disk();
    let response = gateway.browse("POST", "/api/v1/session", &[OWN], &body).await;
    assert_eq!((response.status().as_u16(), response.headers().contains_key("set-cookie")), (503, false));
}

#[tokio::test]
async fn a_cookie_of_a_page_loaded_over_tls_never_goes_in_clear() {
    let gateway = Gateway::new();
    let body = json!({ "token": secret_of("root") }).to_string();
    for (origin, secure) in [("http://gw:9090", false), ("https://gw:9090", true)] {
        let response = gateway.browse("POST", "/api/v1/session", &[("origin", origin)], &body).await;
        let set = response.headers()["set-cookie"].to_str().expect("text").to_owned();
        assert_eq!(set.contains("; Secure"), secure, "{set}");
        assert!(
            set.contains("; HttpOnly")
                && set.contains("; SameSite=Strict")
                && !set.contains(&secret_of("root"))
        );
    }
}
