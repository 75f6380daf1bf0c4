//! Trying a key out: a request like an application's goes to the data port, and what came of it is told.

use std::sync::Arc;

use axum::{Router, extract::Request, http::StatusCode, response::IntoResponse, routing::post};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixture::Gateway;

/// What the data port was sent: path, credential, body.
type Heard = Arc<Mutex<Vec<(String, String, Value)>>>;

/// Answers at the gateway's data port.
fn answer(
    gateway: &Gateway,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    id: &str,
    body: &Value,
) -> Heard {
    let heard = Heard::default();
    let (told, id, body) = (Arc::clone(&heard), id.to_owned(), body.to_string());
    let reply = move |request: Request| {
        let (told, id, body) = (Arc::clone(&told), id.clone(), body.clone());
        async move {
            let credential = request.headers()["authorization"].to_str().unwrap_or_default().to_owned();
            let path = request.uri().path().to_owned();
            let sent = axum::body::to_bytes(request.into_body(), 1 << 16).await.unwrap_or_default();
            let sent = serde_json::from_slice(&sent).unwrap_or(Value::Null);
            told.lock().push((path, credential, sent));
            let mut response = (StatusCode::from_u16(status).unwrap_or_default(), body).into_response();
            response.headers_mut().insert("x-request-id", id.parse().expect("an id"));
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().expect("a header"));
            }
            response
        }
    };
    let listener = gateway.data_port.lock().take().expect("nobody took it before");
    listener.set_nonblocking(true).expect("a socket takes it");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a bound socket");
    let router = Router::new().route("/v1/chat/completions", post(reply));
    tokio::spawn(async move { axum::serve(listener, router).await });
    heard
}

const SERVED: &[(&str, &str)] =
    &[("x-tollgate-upstream", "openai"), ("x-tollgate-region", "us"), ("x-tollgate-attempts", "1")];

fn order() -> String {
    json!({ "secret": "key-of-retail-0123", "model": "gpt" }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_gets_is_told_with_its_story_to_who_sees_the_team() {
    let gateway = Gateway::new();
    let id = gateway.add_row("retail", &jiff::Timestamp::now().to_string(), "0.25").to_string();
    let body = json!({ "choices": [{ "message": { "content": "Hello." } }], "usage": { "prompt_tokens": 7, "completion_tokens": 2 } });
    let heard = answer(&gateway, 200, SERVED, &id, &body);

    let told = gateway.call("POST", "/api/v1/keys/test", "root", &order()).await.json();
    let facts = ["ok", "status", "answer", "upstream", "attempts", "input_tokens", "currency", "error"];
    let want = json!([true, 200, "Hello.", "openai", 1, 7, "USD", null]);
    assert_eq!(Value::from(facts.map(|name| told[name].clone()).to_vec()), want);
    assert_eq!(told["request_id"], json!(id));
    assert!(told["explanation"]["story"][0].as_str().is_some_and(|said| said.contains("retail/search")));

    let (path, credential, sent) = heard.lock()[0].clone();
    assert_eq!((path.as_str(), credential.as_str()), ("/v1/chat/completions", "Bearer key-of-retail-0123"));
    assert_eq!((&sent["model"], sent.get("max_tokens")), (&json!("gpt"), None));
    let audit = format!("{:?}", gateway.store.audit.lock());
    assert!(
        !told.to_string().contains("0123") && !audit.contains("key-of-retail"),
        "the secret is kept nowhere"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_another_team_stays_unseen() {
    let gateway = Gateway::new();
    let id = gateway.add_row("hr", &jiff::Timestamp::now().to_string(), "1").to_string();
    answer(&gateway, 200, SERVED, &id, &json!({ "choices": [] }));
    let told = gateway.call("POST", "/api/v1/keys/test", "retail-lead", &order()).await.json();
    assert_eq!((&told["ok"], &told["answer"]), (&json!(true), &json!("")));
    assert!(told.get("explanation").is_none() && !told.to_string().contains("hr"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_it_means_and_what_to_do() {
    let gateway = Gateway::new();
    let refused = &[("x-tollgate-error", "invalid_api_key"), ("x-tollgate-error-source", "gateway")];
    answer(&gateway, 401, refused, "0197", &json!({ "error": { "message": "unknown key" } }));
    let told = gateway.call("POST", "/api/v1/keys/test", "eyes", &order()).await.json();
    assert_eq!((&told["ok"], &told["status"], &told["answer"]), (&json!(false), &json!(401), &Value::Null));
    let error = &told["error"];
    assert_eq!((&error["code"], &error["message"]), (&json!("invalid_api_key"), &json!("unknown key")));
    assert!(error["meaning"].is_string() && error["remedy"].is_string(), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_port_that_does_not_answer_is_told_and_no_failure_of_the_page() {
    let gateway = Gateway::new();
    drop(gateway.data_port.lock().take());
    let answer = gateway.call("POST", "/api/v1/keys/test", "root", &order()).await;
    let told = answer.json();
    assert_eq!((answer.status.as_u16(), &told["status"]), (200, &Value::Null), "{told}");
    assert!(told["error"]["message"].as_str().is_some_and(|said| said.contains("no answer")), "{told}");
}

#[tokio::test]
async fn an_order_without_a_key_or_a_model_or_with_a_book_to_say_is_refused() {
    let gateway = Gateway::new();
    let orders = [
        json!({}),
        json!({ "secret": "k", "model": " " }),
        json!({ "secret": "", "model": "gpt" }),
        json!({ "secret": "k", "model": "gpt", "prompt": "a".repeat(4_001) }),
        json!({ "secret": "k\u{7f}", "model": "gpt" }),
        json!({ "secret": "k", "model": "gpt", "url": "http://elsewhere.example" }),
    ];
    for order in orders {
        let answer = gateway.call("POST", "/api/v1/keys/test", "root", &order.to_string()).await;
        assert_eq!(answer.problem(), (400, "invalid_request".to_owned()), "{order}");
    }
}
