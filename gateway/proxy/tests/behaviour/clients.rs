//! Clients as they are shipped: the base URLs that people give them, the headers that they send, and
//! what they ask before their first call.

use http::Method;
use tollgate_dialect::Dialect;
use tollgate_simulator::Simulator;

use crate::harness::{Answer, Ask, Gateway, Setup, TargetSetup, provider, setup::KEY};

/// A gateway that serves `chat` in OpenAI's dialect and `claude` in Anthropic's.
async fn both() -> (Simulator, Gateway) {
    let provider = provider().await;
    let anthropic = TargetSetup {
        dialect: Dialect::Anthropic,
        name: "anthropic".to_owned(),
        ..TargetSetup::from(&provider)
    };
    let gateway = Gateway::start(Setup::new([TargetSetup::from(&provider), anthropic]));
    (provider, gateway)
}

const CHAT: &str = r#"{"model":"chat","messages":[{"role":"user","content":"Hi."}]}"#;
const RESPONSES: &str = r#"{"model":"chat","input":"Hi."}"#;
const MESSAGES: &str = r#"{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"Hi."}]}"#;

/// What a base URL that is not quite right makes of a client's path: it works, or the answer names the
/// path that does.
#[tokio::test]
async fn a_base_url_that_is_not_quite_right_works_or_is_told() {
    let works = None;
    let cases = [
        ("a slash too many at the end", "/v1//chat/completions", CHAT, works),
        ("a slash too many at the start", "//v1/chat/completions", CHAT, works),
        ("no version", "/chat/completions", CHAT, works),
        ("the version twice", "/v1/v1/chat/completions", CHAT, works),
        ("no version, responses", "/responses", RESPONSES, works),
        ("another gateway's prefix", "/openai/v1/chat/completions", CHAT, works),
        ("Anthropic's with the version", "/v1/v1/messages", MESSAGES, works),
        ("Anthropic's without it", "/messages", MESSAGES, works),
        ("another gateway's prefix, Anthropic", "/anthropic/v1/messages", MESSAGES, works),
        (
            "the whole URL as base",
            "/v1/chat/completions/chat/completions",
            CHAT,
            Some("/v1/chat/completions"),
        ),
        ("a prefix that nobody has", "/api/v1/chat/completions", CHAT, Some("/v1/chat/completions")),
        ("another API's prefix", "/anthropic/v1/chat/completions", CHAT, Some("/v1/chat/completions")),
        ("OpenAI's prefix for Anthropic", "/openai/v1/messages", MESSAGES, Some("/v1/messages")),
    ];
    let (provider, gateway) = both().await;
    for (name, path, body, told) in cases {
        let before = provider.book().totals().calls;
        let answer = gateway.send(&Ask::post(path, body)).await;
        match told {
            None => assert_eq!(answer.status, 200, "{name}: {}", answer.text()),
            Some(right) => {
                assert_eq!(
                    (answer.status, answer.header("x-tollgate-error")),
                    (404, "invalid_request"),
                    "{name}"
                );
                let message = answer.json()["error"]["message"].as_str().expect("words").to_owned();
                assert!(message.contains(right), "{name}: {message}");
                assert_eq!(provider.book().totals().calls, before, "{name}");
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn both_generations_of_anthropics_sdks_are_served() {
    let (provider, gateway) = both().await;
    let key = |name: &'static str| {
        (name, if name == "authorization" { format!("Bearer {KEY}") } else { KEY.into() })
    };
    let cases = [
        ("today's", vec![key("authorization")], "2026-10-21"),
        ("older ones", vec![key("x-api-key")], "2023-06-01"),
        ("a helper's, which fills both", vec![key("authorization"), key("x-api-key")], "2023-06-01"),
    ];
    for (name, headers, version) in cases {
        for path in ["/v1/messages", "/v1/messages?beta=true"] {
            let mut ask = Ask::post(path, MESSAGES).without("authorization");
            for (header, value) in &headers {
                ask = ask.with(header, value.clone());
            }
            ask = ask.with("anthropic-version", version).with("anthropic-beta", "a-2026-01-01,b-2026-01-01");
            let answer = gateway.send(&ask).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            assert_eq!(answer.header("request-id"), answer.header("x-request-id"), "{name}");
            let call = provider.book().calls().pop().expect("a call");
            assert_eq!(call.path, path, "{name}");
            let sent = |wanted: &str| {
                call.headers.iter().find(|(header, _)| header == wanted).map(|(_, value)| value.as_str())
            };
            assert_eq!(sent("anthropic-version"), Some(version), "{name}");
            assert_eq!(sent("anthropic-beta"), Some("a-2026-01-01,b-2026-01-01"), "{name}");
            assert!(!format!("{:?}", call.headers).contains(KEY), "{name}");
        }
    }
    gateway.stop().await;
}

fn get(path: &'static str) -> Ask {
    Ask { method: Method::GET, ..Ask::post(path, "") }
}

fn ids(list: &Answer) -> Vec<String> {
    let data = list.json()["data"].as_array().expect("a list").clone();
    data.iter().map(|model| model["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn models_are_told_in_the_shape_that_each_client_reads() {
    let (provider, gateway) = both().await;
    for path in ["/v1/models", "/models", "/openai/v1/models"] {
        let list = gateway.send(&get(path)).await;
        assert_eq!((list.status, &list.json()["object"]), (200, &"list".into()), "{path}");
        assert_eq!(ids(&list), ["chat", "claude"], "{path}: not `forbidden`, not `nowhere`");
        let first = &list.json()["data"][0];
        assert_eq!(first["object"], "model");
        assert!(first["created"].is_u64() && first["owned_by"].is_string(), "{first}");
    }
    // What Claude Code asks at its start; it reads these members and no others.
    let discovery = get("/v1/models?limit=1000").with("anthropic-version", "2023-06-01");
    let list = gateway.send(&discovery).await;
    let body = list.json();
    assert_eq!((list.status, ids(&list)), (200, vec!["chat".to_owned(), "claude".to_owned()]));
    assert_eq!(
        (&body["has_more"], &body["first_id"], &body["last_id"]),
        (&false.into(), &"chat".into(), &"claude".into())
    );
    assert!(
        body["data"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|model| model["type"] == "model" && model["display_name"].is_string())
    );
    let one = gateway.send(&get("/v1/models/chat")).await;
    assert_eq!((one.status, &one.json()["id"]), (200, &"chat".into()));
    let none = gateway.send(&get("/v1/models/forbidden")).await;
    assert_eq!((none.status, none.header("x-tollgate-error")), (404, "model_not_found"));
    assert_eq!(provider.book().totals().calls, 0, "no provider is asked");
    gateway.stop().await;
}

#[tokio::test]
async fn a_look_whether_anybody_is_there_is_answered_without_a_key() {
    let (provider, gateway) = both().await;
    for method in [Method::GET, Method::HEAD] {
        let look = Ask { method, ..Ask::post("/", "") }.without("authorization");
        assert_eq!(gateway.send(&look).await.status, 200);
    }
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}
