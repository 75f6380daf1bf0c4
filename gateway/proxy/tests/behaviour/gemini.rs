//! Gemini: the model in the path, streams in two frames, and Google's words for what goes wrong.

use tollgate_accounting::ledger::End;
use tollgate_dialect::Dialect;
use tollgate_domain::Usage;
use tollgate_simulator::{At, Exact, Fault, Framing, Piece, Script, Simulator};

use crate::harness::{
    Ask, Gateway, Setup, TargetSetup,
    ledger::outcomes,
    scripted,
    setup::{KEY, cost},
};

const GENERATE: &str = "/v1beta/models/gemini:generateContent";
const STREAM: &str = "/v1beta/models/gemini:streamGenerateContent?alt=sse";
const ARRAY: &str = "/v1/models/gemini:streamGenerateContent";
const BODY: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;

const USAGE: &str = r#""usageMetadata":{"promptTokenCount":12,"cachedContentTokenCount":2,"candidatesTokenCount":3,"thoughtsTokenCount":5,"totalTokenCount":20}"#;

fn said(text: &str, finish: &str) -> String {
    format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}}{finish},"index":0}}],{USAGE},"modelVersion":"gemini-2.5-flash"}}"#
    )
}

fn ask(path: &'static str) -> Ask {
    Ask::post(path, BODY).without("authorization").with("x-goog-api-key", KEY)
}

fn answer(status: u16, content_type: &'static str, pieces: impl IntoIterator<Item = String>) -> Script {
    Script::exact(Exact {
        status,
        headers: vec![("content-type".into(), content_type.into())],
        pieces: pieces.into_iter().map(Piece::new).collect(),
        framing: Framing::Chunked,
    })
}

fn gateway(provider: &Simulator) -> Gateway {
    Gateway::start(Setup::new([TargetSetup { dialect: Dialect::Gemini, ..provider.into() }]))
}

fn usage() -> Usage {
    Usage { input_uncached: 10, cache_read: 2, output_text: 3, output_reasoning: 5, ..Usage::default() }
}

fn events() -> [String; 2] {
    let event = |chunk: String| format!("data: {chunk}\r\n\r\n");
    [event(said("one", "")), event(said(" two", r#","finishReason":"STOP""#))]
}

#[tokio::test]
async fn a_plain_answer_passes_and_every_token_is_counted() {
    let body = said("hello", r#","finishReason":"STOP""#);
    let provider = scripted(answer(200, "application/json; charset=UTF-8", [body.clone()])).await;
    let gateway = gateway(&provider);
    let got = gateway.send(&ask(GENERATE)).await;
    assert_eq!((got.status, got.text()), (200, body.as_str()));
    let calls = provider.book().calls();
    assert_eq!(calls[0].path, "/v1beta/models/gemini-2.5-flash:generateContent");
    assert_eq!(calls[0].body, BODY);
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!((row.usage, row.cost), (usage(), Some(cost(12, 2, 8))));
    assert_eq!(
        (&*row.dialect, &*row.operation, row.model.as_str()),
        ("gemini", "generate_content", "gemini")
    );
}

#[tokio::test]
async fn a_key_in_the_query_is_taken_and_goes_no_further() {
    let provider = scripted(answer(200, "text/event-stream", events())).await;
    let gateway = gateway(&provider);
    let path = "/v1beta/models/gemini:streamGenerateContent?key=tg-client-secret&alt=sse";
    let got = gateway.send(&Ask::post(path, BODY).without("authorization")).await;
    assert_eq!((got.status, got.text()), (200, events().concat().as_str()));
    let calls = provider.book().calls();
    assert_eq!(calls[0].path, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    let shows_key = calls[0].headers.iter().any(|(name, _)| name == "x-goog-api-key");
    assert!(shows_key && !format!("{:?}", calls[0].headers).contains(KEY));
    assert_eq!(gateway.stop().await.only(End::Completed).usage, usage());
}

#[tokio::test]
async fn a_stream_passes_in_either_frame() {
    let array = format!("[{}\n,\r\n{}\n]", said("one", ""), said(" two", r#","finishReason":"STOP""#));
    let bytes = array.bytes().map(|byte| char::from(byte).to_string());
    let cases = [
        (STREAM, answer(200, "text/event-stream", events()), events().concat()),
        (ARRAY, answer(200, "application/json", bytes), array),
    ];
    for (path, script, want) in cases {
        let provider = scripted(script).await;
        let gateway = gateway(&provider);
        let got = gateway.send(&ask(path)).await;
        assert_eq!((got.status, got.text()), (200, want.as_str()), "{path}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage, row.stream), (usage(), true), "{path}");
    }
}

#[tokio::test]
async fn a_stream_that_dies_in_mid_air_ends_in_an_error_of_its_frame() {
    let first = said("one", "");
    let cases = [
        (STREAM, "text/event-stream", format!("data: {first}\r\n\r\n")),
        (ARRAY, "application/json", format!("[{first}")),
    ];
    for (path, content_type, sent) in cases {
        let torn = format!("{sent},{{\"candi");
        let script = Script {
            fault: Some(Fault::Close(At::Chunk(2))),
            ..answer(200, content_type, [sent.clone(), torn[sent.len()..].to_owned(), "rest".to_owned()])
        };
        let provider = scripted(script).await;
        let gateway = gateway(&provider);
        let got = gateway.send(&ask(path)).await;
        let text = got.text();
        assert!(text.starts_with(&sent), "{path}: {text}");
        let error = text[sent.len()..].to_owned();
        assert!(error.contains(r#""status":"UNAVAILABLE""#), "{path}: {text}");
        if path == ARRAY {
            let all: serde_json::Value = serde_json::from_str(text).expect("a whole array");
            assert_eq!(all.as_array().map(Vec::len), Some(2));
        }
        let ledger = gateway.stop().await;
        assert_eq!(ledger.only(End::Truncated).usage.input_tokens(), 12, "{path}");
    }
}

#[tokio::test]
async fn refusals_are_told_in_googles_words() {
    let provider = scripted(answer(200, "application/json", ["{}".to_owned()])).await;
    let gateway = gateway(&provider);
    let cases = [
        (
            ask(GENERATE).without("x-goog-api-key").with("x-goog-api-key", "wrong"),
            401,
            "UNAUTHENTICATED",
            "INVALID_API_KEY",
        ),
        (ask("/v1beta/models/nobody:generateContent"), 404, "NOT_FOUND", "MODEL_NOT_FOUND"),
        (ask(GENERATE).body("[]"), 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
        (
            ask(GENERATE).body(r#"{"generationConfig":{},"generation_config":{}}"#),
            400,
            "INVALID_ARGUMENT",
            "INVALID_REQUEST",
        ),
        (ask("/v1beta/cachedContents"), 501, "UNIMPLEMENTED", "UNSUPPORTED_OPERATION"),
    ];
    for (ask, status, words, reason) in cases {
        let got = gateway.send(&ask).await;
        let error = &got.json()["error"];
        assert_eq!((got.status, &error["code"]), (status, &status.into()), "{error}");
        assert_eq!((&error["status"], &error["details"][0]["reason"]), (&words.into(), &reason.into()));
    }
    assert!(provider.book().calls().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn a_throttled_target_is_left_alone_for_as_long_as_its_details_ask() {
    let error = r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37s"}]}}"#;
    let provider = scripted(answer(429, "application/json", [error.to_owned()])).await;
    let gateway = gateway(&provider);
    let got = gateway.send(&ask(GENERATE)).await;
    assert_eq!((got.status, &got.json()["error"]["status"]), (429, &"RESOURCE_EXHAUSTED".into()));
    let wait: u64 = got.header("retry-after").parse().expect("seconds");
    // A hold is spread by up to a tenth, and no less than what was asked for.
    assert!((37..=41).contains(&wait), "{wait}");
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(ledger.only(End::UpstreamFailed)), ["throttled"]);
}
