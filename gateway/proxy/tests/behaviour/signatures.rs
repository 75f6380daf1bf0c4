//! Clients that sign (SigV4): who has signed what came is served, and nobody else.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use tollgate_accounting::ledger::Kind;
use tollgate_dialect::Dialect;
use tollgate_domain::{Secret, UnixMillis};
use tollgate_proxy::EdgeLimits;
use tollgate_sigv4::{KeyPair, Line, Scope, Signed, sign};

use crate::harness::{
    Ask, Gateway, Setup, TargetSetup,
    client::Connection,
    provider,
    setup::{EXPIRED_PAIR, KEY, PAIR},
};

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    UnixMillis::new(i64::try_from(since.as_millis()).expect("a near time"))
}

/// What a client does: signs with its pair, for the host that it calls.
fn signed(ask: Ask, (id, secret): (&str, &str), host: &str, at: UnixMillis) -> Ask {
    let keys = KeyPair {
        access_key_id: id.into(),
        secret_access_key: Secret::new(secret.into()),
        session_token: None,
    };
    let scope = Scope { region: "us-east-1".into(), service: "bedrock".into() };
    let (path, query) = ask.path.split_once('?').map_or((ask.path, None), |(p, q)| (p, Some(q)));
    let line = Line { method: ask.method.as_str(), path, query };
    let fields = [("host", host.as_bytes()), ("content-type", &b"application/json"[..])];
    let Signed { authorization, date, content_sha256 } = sign(&keys, &scope, &line, &fields, &ask.body, at);
    ask.with("authorization", authorization)
        .with("content-type", "application/json")
        .with("x-amz-date", date)
        .with("x-amz-content-sha256", content_sha256)
}

/// The host that the tests' client calls over HTTP/1.1.
const HOST: &str = "tollgate.test";

/// Signed as it should be.
pub(crate) fn right(ask: Ask) -> Ask {
    signed(ask, PAIR, HOST, now())
}

#[tokio::test]
async fn a_signed_request_is_its_keys() {
    let provider = provider().await;
    let claude = TargetSetup {
        dialect: Dialect::Anthropic,
        name: "anthropic".to_owned(),
        ..TargetSetup::from(&provider)
    };
    let gateway = Gateway::start(Setup::new([TargetSetup::from(&provider), claude]));
    for ask in [Ask::chat(), Ask::stream(), Ask::messages().without("x-api-key")] {
        let answer = gateway.send(&right(ask)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let call = provider.book().calls().pop().expect("a call");
        let mine = call.headers.iter().find(|(name, _)| name.starts_with("x-amz-"));
        assert_eq!(mine, None, "a client's signature goes no further");
    }
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.len(), 3);
    assert!(ledger.rows.iter().all(|row| row.identity.key.as_str() == "main"));
}

#[tokio::test]
async fn over_http2_the_host_is_the_authority() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let host = gateway.address().to_string();
    let mut client = Connection::http2(gateway.address()).await;
    assert_eq!(client.send(&signed(Ask::chat(), PAIR, &host, now())).await.status, 200);
    assert_eq!(client.send(&signed(Ask::chat(), PAIR, HOST, now())).await.status, 401);
    drop(client);
    gateway.stop().await;
}

#[tokio::test]
async fn models_are_listed_for_who_has_signed_and_nobody_else() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let list = || Ask { method: Method::GET, ..Ask::post("/v1/models", "") };
    assert_eq!(gateway.send(&right(list())).await.status, 200);
    let other = signed(list(), (PAIR.0, "another-secret-0123456789"), HOST, now());
    assert_eq!(gateway.send(&other).await.status, 401);
    gateway.stop().await;
}

/// Nothing is sent, nothing is reserved, and no row says that the key's owner has asked.
#[tokio::test]
async fn a_signature_that_does_not_hold_is_nobodys() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let body = r#"{"model":"chat","messages":[{"role":"user","content":"Say more."}]}"#;
    let authorization = |ask: &Ask| {
        let found = ask.headers.iter().find(|(name, _)| *name == "authorization");
        found.map(|(_, value)| value.clone()).expect("signed")
    };
    let old = now().plus(-16 * 60 * 1_000);
    let cut = authorization(&right(Ask::chat())).replace("host;", "");
    let cases = [
        ("another secret", signed(Ask::chat(), (PAIR.0, KEY), HOST, now()), "invalid_signature"),
        ("another body", right(Ask::chat()).body(body), "invalid_signature"),
        ("another host", signed(Ask::chat(), PAIR, "elsewhere.test", now()), "invalid_signature"),
        ("another path", Ask { path: "/v1/responses", ..right(Ask::chat()) }, "invalid_signature"),
        ("a header changed", right(Ask::chat()).with("content-type", "text/plain"), "invalid_signature"),
        ("too old", signed(Ask::chat(), PAIR, HOST, old), "invalid_signature"),
        ("the host not signed", right(Ask::chat()).with("authorization", cut), "invalid_signature"),
        (
            "signed in pieces",
            right(Ask::chat()).with("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            "invalid_signature",
        ),
        ("no date", right(Ask::chat()).without("x-amz-date"), "invalid_signature"),
        (
            "half a header",
            right(Ask::chat()).with("authorization", "AWS4-HMAC-SHA256 x"),
            "invalid_signature",
        ),
        ("an unknown id", signed(Ask::chat(), ("TLGNOBODY", PAIR.1), HOST, now()), "unknown_access_key"),
        ("a session token", right(Ask::chat()).with("x-amz-security-token", "t"), "unknown_access_key"),
        ("a second key", right(Ask::chat()).with("x-api-key", KEY), "invalid_api_key"),
        ("an expired pair", signed(Ask::chat(), (EXPIRED_PAIR, PAIR.1), HOST, now()), "key_expired"),
        (
            "an id as a key",
            Ask::chat().with("authorization", format!("Bearer {}", PAIR.0)),
            "invalid_api_key",
        ),
    ];
    for (name, ask, code) in cases {
        let answer = gateway.send(&ask).await;
        assert_eq!(
            (answer.status, answer.header("x-tollgate-error")),
            (401, code),
            "{name}: {}",
            answer.text()
        );
        assert_eq!(answer.header("x-should-retry"), "false", "{name}");
        assert!(!answer.text().contains(PAIR.1), "{name}");
    }
    assert_eq!(provider.book().totals().calls, 0);
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.len(), 0, "no row of somebody who is not known");
}

#[tokio::test]
async fn limits_on_the_body_hold_before_anybody_is_known() {
    let provider = provider().await;
    let edge = EdgeLimits { max_body: 64, ..EdgeLimits::default() };
    let gateway = Gateway::start(Setup { edge, ..Setup::new([&provider]) });
    let large = || Ask::chat().body(vec![b' '; 65]);
    assert_eq!(gateway.send(&right(large())).await.status, 413);
    assert_eq!(gateway.send(&large()).await.status, 413);
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.iter().filter(|row| row.kind == Kind::Refusal).count(), 1, "only the known key's");
    assert_eq!(provider.book().totals().calls, 0);
}

/// In Bedrock's own dialect: its paths are encoded twice under a signature, and its clients read the
/// exception's name.
#[tokio::test]
async fn bedrocks_clients_sign_and_are_refused_in_their_own_words() {
    let provider = provider().await;
    let target = TargetSetup { dialect: Dialect::Bedrock, ..TargetSetup::from(&provider) };
    let gateway = Gateway::start(Setup::new([target]));
    let body = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;
    let ask = || Ask::post("/model/no%3Ava%2F1/converse", body);
    let known = gateway.send(&right(ask())).await;
    assert_eq!(
        (known.status, known.header("x-tollgate-error")),
        (404, "model_not_found"),
        "{}",
        known.text()
    );
    let cases = [
        (signed(ask(), (PAIR.0, KEY), HOST, now()), "InvalidSignatureException", "invalid_signature"),
        (
            signed(ask(), ("TLGNOBODY", PAIR.1), HOST, now()),
            "UnrecognizedClientException",
            "unknown_access_key",
        ),
    ];
    for (ask, exception, code) in cases {
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (403, code), "{}", answer.text());
        assert!(answer.header("x-amzn-errortype").starts_with(exception));
        assert!(answer.json()["message"].is_string());
    }
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}
