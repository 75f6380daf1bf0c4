//! Hostile and mistaken input: the right word in the caller's dialect, nothing reserved, no secret
//! told.

use std::time::Duration;

use http::Method;
use tollgate_dialect::Dialect;

use crate::harness::{
    Answer, Ask, Gateway, Raw, Setup, TargetSetup, provider,
    setup::{EXPIRED, KEY, REVOKED, UPSTREAM_SECRET},
};

const WRONG: &str = "tg-wrong-secret";

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

/// What is asked, and the status and code of the answer.
fn cases() -> Vec<(&'static str, Ask, u16, &'static str)> {
    let chat = Ask::chat;
    let brackets = format!("{{\"model\":\"chat\",\"messages\":{}", "[".repeat(100_000));
    let get = |path| Ask { method: Method::GET, path, ..chat().body("") };
    vec![
        ("no key", chat().without("authorization"), 401, "invalid_api_key"),
        ("a wrong key", chat().with("authorization", bearer(WRONG)), 401, "invalid_api_key"),
        ("an expired key", chat().with("authorization", bearer(EXPIRED)), 401, "key_expired"),
        ("a revoked key", chat().with("authorization", bearer(REVOKED)), 401, "key_revoked"),
        ("differing keys", chat().with("x-api-key", WRONG), 401, "invalid_api_key"),
        ("an unknown model", chat().body(r#"{"model":"gpt-9","messages":[]}"#), 404, "model_not_found"),
        (
            "a model of others",
            chat().body(r#"{"model":"forbidden","messages":[]}"#),
            403,
            "model_not_allowed",
        ),
        ("no model", chat().body(r#"{"messages":[]}"#), 400, "invalid_request"),
        ("no JSON", chat().body("hello"), 400, "invalid_request"),
        ("nothing", chat().body(""), 400, "invalid_request"),
        ("an array", chat().body("[]"), 400, "invalid_request"),
        ("half an object", chat().body(r#"{"model":"chat","#), 400, "invalid_request"),
        ("two models", chat().body(r#"{"model":"chat","model":"gpt-9"}"#), 400, "invalid_request"),
        ("a hundred thousand brackets", chat().body(brackets), 400, "invalid_request"),
        ("no UTF-8", chat().body(&b"{\"model\":\"\xff\"}"[..]), 400, "invalid_request"),
        ("a coded body", chat().with("content-encoding", "gzip"), 400, "invalid_request"),
        ("too large a body", chat().body(vec![b' '; 70_000]), 413, "request_too_large"),
        ("an unknown path", Ask { path: "/v1/chat/completion", ..chat() }, 404, "invalid_request"),
        ("another method", get("/v1/embeddings"), 405, "invalid_request"),
        ("a model of another kind", chat().body(r#"{"model":{"name":"chat"}}"#), 400, "invalid_request"),
        ("half a surrogate pair", chat().body(r#"{"model":"\ud83d"}"#), 400, "invalid_request"),
        ("a flag that is a text", chat().body(r#"{"model":"chat","stream":"yes"}"#), 400, "invalid_request"),
        (
            "two flags",
            chat().body(r#"{"model":"chat","stream":false,"stream":true}"#),
            400,
            "invalid_request",
        ),
        ("a cap below zero", chat().body(r#"{"model":"chat","max_tokens":-1}"#), 400, "invalid_request"),
        (
            "a cap beyond floats",
            chat().body(r#"{"model":"chat","max_tokens":1e400}"#),
            400,
            "invalid_request",
        ),
        (
            "a cap beyond 64 bits",
            chat().body(r#"{"model":"chat","max_tokens":99999999999999999999}"#),
            400,
            "invalid_request",
        ),
        (
            "options that are a list",
            chat().body(r#"{"model":"chat","stream_options":[]}"#),
            400,
            "invalid_request",
        ),
        (
            "documents that are none",
            Ask { path: "/v1/rerank", ..chat() }.body(r#"{"model":"chat","documents":{"a":1}}"#),
            400,
            "invalid_request",
        ),
        (
            "half a surrogate pair to be spoken",
            Ask { path: "/v1/audio/speech", ..chat() }.body(r#"{"model":"chat","input":"\ud83d"}"#),
            400,
            "invalid_request",
        ),
        (
            "a form that is JSON",
            Ask { path: "/v1/audio/transcriptions", ..chat() }
                .with("content-type", "multipart/form-data; boundary=b")
                .body(r#"{"model":"chat"}"#),
            400,
            "invalid_request",
        ),
        (
            "what is billed later",
            Ask { path: "/v1/responses", ..chat() }.body(r#"{"model":"chat","background":true,"input":"x"}"#),
            501,
            "unsupported_operation",
        ),
        (
            "a conversation of nobody",
            Ask { path: "/v1/responses", ..chat() }
                .body(r#"{"model":"chat","conversation":"conv_1","input":"x"}"#),
            404,
            "conversation_not_found",
        ),
        (
            "a prompt of nobody",
            Ask { path: "/v1/responses", ..chat() }
                .body(r#"{"model":"chat","prompt":{"id":"pmpt_1"},"input":"x"}"#),
            404,
            "prompt_not_found",
        ),
        (
            "a conversation of another kind",
            Ask { path: "/v1/responses", ..chat() }
                .body(r#"{"model":"chat","conversation":{"id":["c"]},"input":"x"}"#),
            400,
            "invalid_request",
        ),
        (
            "a response of nobody",
            Ask { path: "/v1/responses", ..chat() }
                .body(r#"{"model":"chat","previous_response_id":"r1","input":"x"}"#),
            404,
            "response_not_found",
        ),
        (
            "a response of another kind",
            Ask { path: "/v1/responses", ..chat() }
                .body(r#"{"model":"chat","previous_response_id":["r1"],"input":"x"}"#),
            400,
            "invalid_request",
        ),
    ]
}

#[tokio::test]
async fn the_answer_to_nonsense_has_the_right_code_and_shape_and_no_secret() {
    let provider = provider().await;
    let mut setup = Setup::new([
        TargetSetup::from(&provider),
        TargetSetup { dialect: Dialect::Anthropic, ..(&provider).into() },
    ]);
    setup.edge.max_body = 64 << 10;
    let gateway = Gateway::start(setup);
    for (name, ask, status, code) in cases() {
        let ask = if name.contains("brackets") { shorter(ask) } else { ask };
        let answer = gateway.send(&ask).await;
        assert_eq!(
            (answer.status, answer.header("x-tollgate-error")),
            (status, code),
            "{name}: {}",
            answer.text()
        );
        let body = answer.json();
        assert_eq!(body["error"]["code"], code, "{name}");
        assert!(body["error"]["message"].is_string() && body["error"]["type"].is_string(), "{name}: {body}");
        assert_eq!(answer.header("x-should-retry"), "false", "{name}");
        tells_no_secret(name, &answer);
    }
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}

/// The brackets must be judged by their depth here, not by their length.
fn shorter(ask: Ask) -> Ask {
    let kept = ask.body.slice(..60_000);
    ask.body(kept)
}

#[tokio::test]
async fn a_hundred_thousand_brackets_are_judged_by_their_depth() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let (_, ask, ..) = cases().into_iter().find(|case| case.0.contains("brackets")).expect("a case");
    assert!(ask.body.len() > 100_000);
    assert_eq!(gateway.send(&ask).await.status, 400);
    gateway.stop().await.refusal();
}

fn tells_no_secret(name: &str, answer: &Answer) {
    let told = format!("{:?} {}", answer.headers, answer.text());
    for secret in [KEY, EXPIRED, REVOKED, WRONG, UPSTREAM_SECRET] {
        assert!(!told.contains(secret), "{name} tells a secret: {told}");
    }
}

#[tokio::test]
async fn anthropics_callers_are_answered_in_anthropics_shape() {
    let provider = provider().await;
    let target = TargetSetup { dialect: Dialect::Anthropic, ..(&provider).into() };
    let gateway = Gateway::start(Setup::new([target]));
    let cases = [
        (Ask::messages().with("x-api-key", WRONG), 401, "authentication_error", "invalid_api_key"),
        (Ask::messages().with("x-api-key", EXPIRED), 401, "authentication_error", "key_expired"),
        (Ask::messages().body("{"), 400, "invalid_request_error", "invalid_request"),
        (
            Ask::messages().body(r#"{"model":"nobody","max_tokens":1,"messages":[]}"#),
            404,
            "not_found_error",
            "model_not_found",
        ),
        (Ask { path: "/v1/message", ..Ask::messages() }, 404, "not_found_error", "invalid_request"),
    ];
    for (ask, status, kind, code) in cases {
        let answer = gateway.send(&ask).await;
        let body = answer.json();
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (status, code), "{body}");
        assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &kind.into()), "{body}");
        assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
        tells_no_secret(kind, &answer);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_mistake_is_told_with_what_would_help() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let differing = gateway.send(&Ask::chat().with("x-api-key", WRONG)).await;
    assert!(
        differing.text().contains("authorization") && differing.text().contains("x-api-key"),
        "{}",
        differing.text()
    );
    let unknown = gateway.send(&Ask { path: "/chat/completion", ..Ask::chat() }).await;
    assert!(unknown.text().contains("/v1/chat/completions"), "{}", unknown.text());
    let get =
        gateway.send(&Ask { method: Method::GET, path: "/v1/embeddings", ..Ask::chat().body("") }).await;
    assert_eq!(get.header("allow"), "POST");
    gateway.stop().await;
}

#[tokio::test]
async fn a_gibibyte_that_is_only_announced_is_refused_at_once() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let mut client = Raw::connect(gateway.address()).await;
    client.write(&head(&["content-length: 1073741824"])).await;
    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("request_too_large"), "{answer}");
    gateway.stop().await.refusal();
}

#[tokio::test]
async fn a_body_that_trickles_in_is_not_waited_for_to_its_end() {
    let provider = provider().await;
    let mut setup = Setup::new([&provider]);
    setup.edge.body_grace = Duration::from_millis(200);
    let gateway = Gateway::start(setup);
    let mut client = Raw::connect(gateway.address()).await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: {}\r\ncontent-length: 900\r\n\r\n",
        bearer(KEY)
    );
    client.write(head.as_bytes()).await;
    // Never silent for long, and yet it would last for minutes.
    for _ in 0..30 {
        client.write(b" ").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = client.read_to_end().await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert_eq!(provider.book().totals().calls, 0);
    assert_eq!(gateway.stop().await.open, 0);
}

#[tokio::test]
async fn a_flood_of_header_fields_is_refused() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let many: Vec<String> = (0..200).map(|n| format!("x-{n}: 1")).collect();
    let long = vec![format!("x-long: {}", "a".repeat(64 << 10))];
    for fields in [many, long] {
        let mut client = Raw::connect(gateway.address()).await;
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        client.write(&head(&fields)).await;
        let answer = client.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert!(gateway.stop().await.rows.is_empty());
}

/// Two lengths are how one request is smuggled in another.
#[tokio::test]
async fn lengths_that_contradict_each_other_are_refused() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let body = r#"{"model":"chat","messages":[]}"#;
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let cases = [
        ["content-length: 3", "content-length: 4"],
        ["transfer-encoding: gzip", "x-other: 1"],
        ["content-length: 3x", "x-other: 1"],
    ];
    for fields in cases {
        let mut client = Raw::connect(gateway.address()).await;
        client.write(&[&head(&fields)[..], chunked.as_bytes()].concat()).await;
        let answer = client.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields:?}: {answer}");
    }
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}

/// RFC 9112, section 6.1: the coding decides, and nothing more is taken from that connection.
#[tokio::test]
async fn beside_a_transfer_coding_a_length_does_not_count_and_the_connection_ends() {
    let body = r#"{"model":"chat","messages":[]}"#;
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let smuggled = [&head(&["content-length: 0"])[..], b""].concat();
    let mut orders = [["content-length: 3", "transfer-encoding: chunked"]; 2];
    orders[1].reverse();
    for fields in orders {
        let provider = provider().await;
        let gateway = Gateway::start(Setup::new([&provider]));
        let mut client = Raw::connect(gateway.address()).await;
        client.write(&[&head(&fields)[..], chunked.as_bytes(), &smuggled].concat()).await;
        let answer = client.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
        assert_eq!(&provider.book().calls()[0].body[..], body.replace("chat", "gpt-5-mini").as_bytes());
        gateway.stop().await;
    }
}

/// The head of a chat call with these fields beside the key.
fn head(fields: &[&str]) -> Vec<u8> {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {KEY}\r\n{fields}\r\n")
        .into_bytes()
}

#[tokio::test]
async fn health_checks_need_no_key() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    for path in ["/livez", "/readyz", "/"] {
        let ask = Ask { method: Method::GET, path, ..Ask::chat().without("authorization").body("") };
        assert_eq!(gateway.send(&ask).await.status, 200, "{path}");
    }
    assert!(gateway.stop().await.rows.is_empty());
}

#[tokio::test]
async fn a_connection_that_never_says_a_word_does_not_keep_the_gateway_from_stopping() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let silent = Raw::connect(gateway.address()).await;
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    gateway.stop().await;
    drop(silent);
}
