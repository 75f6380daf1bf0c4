//! Bedrock: the model in the path, streams of binary messages, and AWS's names for what goes wrong.

use tollgate_accounting::ledger::End;
use tollgate_dialect::Dialect;
use tollgate_domain::Usage;
use tollgate_simulator::{
    At, Exact, Fault, Framing, Piece, Refusal, Script, Simulator,
    event_stream::{chunk, event, exception},
};

use crate::harness::{
    Answer, Ask, Gateway, Setup, TargetSetup, client::Connection, ledger::outcomes, provider, scripted,
    setup::cost,
};

const CONVERSE: &str = "/model/nova/converse";
const STREAM: &str = "/model/nova/converse-stream";
const INVOKE: &str = "/model/nova/invoke";
const INVOKE_STREAM: &str = "/model/nova/invoke-with-response-stream";
const BODY: &str =
    r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"topP":0.5}}"#;
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

const USAGE: &str = r#"{"cacheReadInputTokens":2,"cacheReadInputTokenCount":2,"inputTokens":10,"outputTokens":3,"totalTokens":15}"#;

fn usage() -> Usage {
    Usage { input_uncached: 10, cache_read: 2, output_text: 3, ..Usage::default() }
}

fn answer(headers: &[(&'static str, &'static str)], pieces: impl IntoIterator<Item = Vec<u8>>) -> Script {
    with_status(200, headers, pieces)
}

fn with_status(
    status: u16,
    headers: &[(&'static str, &'static str)],
    pieces: impl IntoIterator<Item = Vec<u8>>,
) -> Script {
    Script::exact(Exact {
        status,
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        pieces: pieces.into_iter().map(Piece::new).collect(),
        framing: Framing::Chunked,
    })
}

fn streamed(pieces: impl IntoIterator<Item = Vec<u8>>) -> Script {
    answer(&[("content-type", EVENT_STREAM)], pieces)
}

fn target(provider: &Simulator) -> TargetSetup {
    TargetSetup { dialect: Dialect::Bedrock, ..provider.into() }
}

fn gateway(provider: &Simulator) -> Gateway {
    Gateway::start(Setup::new([target(provider)]))
}

fn start() -> Vec<u8> {
    event("messageStart", r#"{"p":"abcdef","role":"assistant"}"#)
}

fn said(text: &str) -> Vec<u8> {
    event("contentBlockDelta", &format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{text}"}},"p":"ab"}}"#))
}

fn stop() -> Vec<u8> {
    event("messageStop", r#"{"stopReason":"end_turn"}"#)
}

fn metadata() -> Vec<u8> {
    event("metadata", &format!(r#"{{"metrics":{{"latencyMs":5}},"usage":{USAGE}}}"#))
}

fn conversation() -> Vec<u8> {
    [start(), said("one"), said(" two"), stop(), metadata()].concat()
}

/// The message with which the gateway ends a stream that died.
fn last_message(got: &Answer, words: &str) -> Vec<u8> {
    let message = format!("{words} (request id: {})", got.header("x-request-id"));
    exception("modelStreamErrorException", &serde_json::json!({ "message": message }).to_string())
}

const CLOSED: &str = "the upstream closed the connection in the middle of its answer";
const DAMAGED: &str = "the upstream's answer was damaged on its way and cannot be read further";

#[tokio::test]
async fn a_plain_answer_passes_and_every_token_is_counted() {
    let body = format!(
        r#"{{"output":{{"message":{{"role":"assistant","content":[{{"text":"hi"}}]}}}},"stopReason":"end_turn","usage":{USAGE},"serviceTier":{{"type":"flex"}}}}"#
    );
    for path in [CONVERSE, "/model/%6Eova/converse", "/bedrock/model/nova/converse/"] {
        let headers = [("content-type", "application/json"), ("x-amzn-requestid", "theirs")];
        let provider = scripted(answer(&headers, [body.clone().into_bytes()])).await;
        let gateway = gateway(&provider);
        let signed =
            Ask::post(path, BODY).with("x-amz-date", "20261129T000000Z").with("x-amz-security-token", "t");
        let got = gateway.send(&signed.with("x-amzn-bedrock-trace", "ENABLED")).await;
        assert_eq!((got.status, got.text()), (200, body.as_str()), "{path}");
        assert_eq!(got.header("x-amzn-requestid"), got.header("x-request-id"));
        assert_eq!(got.header("x-upstream-request-id"), "theirs");
        assert!(!got.header("x-tollgate-cost").is_empty());
        let calls = provider.book().calls();
        assert_eq!(
            (&*calls[0].path, &*calls[0].body),
            ("/model/amazon.nova-lite-v1%3A0/converse", BODY.as_bytes())
        );
        let sent: Vec<&str> = calls[0].headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(sent.contains(&"authorization") && sent.contains(&"x-amzn-bedrock-trace"), "{sent:?}");
        assert!(!sent.iter().any(|name| name.starts_with("x-amz-")), "{sent:?}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage, row.cost), (usage(), Some(cost(12, 2, 3))));
        assert_eq!((&*row.dialect, &*row.operation, row.model.as_str()), ("bedrock", "converse", "nova"));
        assert_eq!(row.service_tier.as_deref(), Some("flex"));
    }
}

#[tokio::test]
async fn a_stream_passes_whole_however_it_is_cut() {
    let whole = conversation();
    let bytes = whole.iter().map(|byte| vec![*byte]).collect::<Vec<_>>();
    let halves = vec![whole[..whole.len() / 2].to_vec(), whole[whole.len() / 2..].to_vec()];
    for pieces in [vec![whole.clone()], halves, bytes] {
        let provider = scripted(streamed(pieces)).await;
        let gateway = gateway(&provider);
        let got = gateway.send(&Ask::post(STREAM, BODY)).await;
        assert_eq!((got.status, &got.body[..]), (200, &whole[..]));
        assert_eq!(got.header("content-type"), EVENT_STREAM);
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage, row.cost, row.stream), (usage(), Some(cost(12, 2, 3)), true));
    }
}

#[tokio::test]
async fn a_stream_without_a_content_type_is_given_its_own() {
    let provider = scripted(answer(&[], [conversation()])).await;
    let gateway = gateway(&provider);
    let got = Connection::http2(gateway.address()).await.send(&Ask::post(STREAM, BODY)).await;
    assert_eq!((got.status, &got.body[..]), (200, &conversation()[..]));
    assert_eq!(got.header("content-type"), EVENT_STREAM);
    assert_eq!(gateway.stop().await.only(End::Completed).usage, usage());
}

#[tokio::test]
async fn a_stream_that_dies_ends_with_an_exception_of_its_own_frame() {
    let begun = [start(), said("one")].concat();
    let torn = [begun.clone(), said("two")[..30].to_vec()].concat();
    let torn_at_the_end = [begun.clone(), stop(), metadata()[..50].to_vec()].concat();
    let stopped = [begun.clone(), stop()].concat();
    let mut damaged = [begun.clone(), said("two"), stop(), metadata()].concat();
    damaged[begun.len() + 40] ^= 4;
    let mut damaged_length = damaged.clone();
    damaged_length[begun.len() + 1] ^= 1;
    // What came, whether it ended in good order, what is passed on, and what is said of it.
    let cases = [
        ("between messages", begun.clone(), true, begun.clone(), CLOSED),
        ("within one", torn.clone(), true, begun.clone(), CLOSED),
        ("by a reset", torn, false, begun.clone(), CLOSED),
        ("within the last one", torn_at_the_end, true, stopped, CLOSED),
        ("by damage", damaged, true, begun.clone(), DAMAGED),
        ("by a damaged length", damaged_length, true, begun, DAMAGED),
    ];
    for (name, sent, in_order, passed, words) in cases {
        let fault = (!in_order).then_some(Fault::Close(At::Chunk(1)));
        let rest = if in_order { vec![] } else { vec![b"never sent".to_vec()] };
        let script = Script { fault, ..streamed([vec![sent], rest].concat()) };
        let provider = scripted(script).await;
        let gateway = gateway(&provider);
        let got = gateway.send(&Ask::post(STREAM, BODY)).await;
        let want = [passed, last_message(&got, words)].concat();
        assert_eq!((got.status, &got.body[..]), (200, &want[..]), "{name}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Truncated);
        assert_eq!(row.error_code.as_deref(), Some("upstream_truncated"), "{name}");
        assert!(row.usage.output_text > 0, "{name}: what was said is counted");
    }
}

#[tokio::test]
async fn an_upstreams_own_exception_keeps_its_bytes() {
    let words = exception("throttlingException", r#"{"message":"Too many tokens"}"#);
    let sent = [start(), said("one"), words].concat();
    let provider = scripted(streamed([sent.clone()])).await;
    let gateway = gateway(&provider);
    let got = gateway.send(&Ask::post(STREAM, BODY)).await;
    assert_eq!((got.status, &got.body[..]), (200, &sent[..]));
    let ledger = gateway.stop().await;
    assert_eq!(ledger.only(End::UpstreamFailed).error_code.as_deref(), Some("upstream_error"));
}

#[tokio::test]
async fn what_fails_before_the_first_word_is_another_targets_to_answer() {
    let mut damaged = conversation();
    damaged[20] ^= 1;
    let cases = [
        ("throttled", [start(), exception("throttlingException", "{}")].concat()),
        ("server_error", exception("modelStreamErrorException", r#"{"originalStatusCode":500}"#)),
        ("truncated", start()),
        ("protocol", damaged),
    ];
    for (outcome, first) in cases {
        let failing = scripted(streamed([first])).await;
        let healthy = scripted(streamed([conversation()])).await;
        let gateway = Gateway::start(Setup::new([target(&failing), target(&healthy)]));
        let got = gateway.send(&Ask::post(STREAM, BODY)).await;
        assert_eq!((got.status, &got.body[..]), (200, &conversation()[..]), "{outcome}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((outcomes(row), row.usage), (vec![outcome, "ok"], usage()), "{outcome}");
    }
}

#[tokio::test]
async fn calls_in_a_vendors_words_are_counted_by_body_header_and_chunk() {
    let headers = [
        ("content-type", "application/json"),
        ("x-amzn-bedrock-input-token-count", "10"),
        ("x-amzn-bedrock-output-token-count", "3"),
        ("x-amzn-bedrock-cache-read-input-token-count", "2"),
    ];
    let plain = br#"{"outputs":[{"text":"hi","stop_reason":"stop"}]}"#.to_vec();
    let stream = [
        chunk(r#"{"generation":"hi","stop_reason":null}"#),
        chunk(r#"{"generation":"","stop_reason":"stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":10,"outputTokenCount":3,"cacheReadInputTokenCount":2}}"#),
    ]
    .concat();
    let cases = [
        (INVOKE, answer(&headers, [plain.clone()]), plain, "invoke_model"),
        (INVOKE_STREAM, streamed([stream.clone()]), stream, "invoke_model_with_response_stream"),
    ];
    for (path, script, want, operation) in cases {
        let provider = scripted(script).await;
        let gateway = gateway(&provider);
        let got = gateway.send(&Ask::post(path, r#"{"prompt":"hi"}"#)).await;
        assert_eq!((got.status, &got.body[..]), (200, &want[..]), "{path}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage, &*row.operation), (usage(), operation), "{path}");
    }
}

#[tokio::test]
async fn anthropics_words_pass_in_either_form_and_take_what_the_provider_booked() {
    const BODY: &str = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}"#;
    for path in [INVOKE, INVOKE_STREAM] {
        let provider = provider().await;
        let model = Some("anthropic.claude-sonnet-4-5");
        let target = TargetSetup { other_model: model, ..target(&provider) };
        let gateway = Gateway::start(Setup { priced: false, ..Setup::new([target]) });
        let got = gateway.send(&Ask::post(path, BODY)).await;
        assert_eq!(got.status, 200, "{path}");
        let told = provider.book().totals().told;
        assert!(told.output_tokens > 0 && provider.book().calls()[0].usage_told, "{path}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!(
            (row.usage.input_tokens(), row.usage.output_tokens()),
            (told.input_tokens, told.output_tokens)
        );
    }
}

#[tokio::test]
async fn a_stream_in_a_vendors_words_that_fails_before_the_first_is_another_targets() {
    let model = Some("anthropic.claude-sonnet-4-5");
    let failing = scripted(Script::usual().then(Fault::ErrorEvent(0))).await;
    let healthy = provider().await;
    let targets = [&failing, &healthy].map(|provider| TargetSetup { other_model: model, ..target(provider) });
    let gateway = Gateway::start(Setup { priced: false, ..Setup::new(targets) });
    let got = gateway.send(&Ask::post(INVOKE_STREAM, r#"{"max_tokens":64,"messages":[]}"#)).await;
    assert_eq!(got.status, 200);
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(outcomes(row).last(), Some(&"ok"));
    assert_eq!(row.usage.output_tokens(), healthy.book().totals().told.output_tokens);
}

#[tokio::test]
async fn a_hard_budget_caps_what_the_client_left_open() {
    let provider = scripted(answer(&[("content-type", "application/json")], [b"{}".to_vec()])).await;
    let gateway = Gateway::start(Setup { reserve_full: true, ..Setup::new([target(&provider)]) });
    gateway.send(&Ask::post(CONVERSE, BODY)).await;
    let sent = String::from_utf8(provider.book().calls()[0].body.to_vec()).expect("text");
    assert_eq!(sent, BODY.replace("\"topP\":0.5", "\"topP\":0.5,\"maxTokens\":1000"));
    gateway.stop().await;
}

#[tokio::test]
async fn counting_tokens_is_free() {
    let body = r#"{"inputTokens":12}"#;
    let provider =
        scripted(answer(&[("content-type", "application/json")], [body.as_bytes().to_vec()])).await;
    let gateway = gateway(&provider);
    let ask = Ask::post("/model/nova/count-tokens", r#"{"input":{"converse":{"messages":[]}}}"#);
    let got = gateway.send(&ask).await;
    assert_eq!((got.status, got.text()), (200, body));
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!((row.usage, row.cost), (Usage::default(), Some(cost(0, 0, 0))));
}

#[tokio::test]
async fn refusals_are_told_by_awss_names() {
    let provider = scripted(answer(&[], [b"{}".to_vec()])).await;
    let gateway = gateway(&provider);
    let cases = [
        (
            Ask::post(CONVERSE, BODY).with("authorization", "Bearer wrong"),
            401,
            "AccessDeniedException",
            "API key",
        ),
        (Ask::post("/model/nobody/converse", BODY), 404, "ResourceNotFoundException", "nobody"),
        (Ask::post("/model/forbidden/converse", BODY), 403, "AccessDeniedException", "forbidden"),
        (Ask::post(CONVERSE, "[]"), 400, "ValidationException", "JSON object"),
        (
            Ask::post(CONVERSE, r#"{"inferenceConfig":{"maxTokens":1,"maxTokens":2}}"#),
            400,
            "ValidationException",
            "maxTokens",
        ),
        (Ask::post("/guardrail/g/version/1/apply", "{}"), 501, "UnknownOperationException", "guardrails"),
        (
            Ask::post("/aws/v2/model/nova/converse", BODY),
            404,
            "UnknownOperationException",
            "did you mean /model/nova/converse?",
        ),
        (
            Ask::post("/v1/chat/complete", BODY).with("amz-sdk-request", "attempt=1"),
            404,
            "UnknownOperationException",
            "no such path",
        ),
    ];
    for (ask, status, name, words) in cases {
        let got = gateway.send(&ask).await;
        assert_eq!((got.status, got.header("x-amzn-errortype")), (status, name), "{}", ask.path);
        assert!(got.json()["message"].as_str().is_some_and(|said| said.contains(words)), "{}", got.text());
        assert_eq!(got.header("x-amzn-requestid"), got.header("x-request-id"));
    }
    assert!(provider.book().calls().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn an_upstreams_refusals_are_passed_on_or_told_as_the_gateways_own() {
    let named = |name| [("content-type", "application/json"), ("x-amzn-errortype", name)];
    let words = r#"{"message":"The value at messages is wrong."}"#;
    let cases = [
        (
            "ValidationException:http://aws.example/",
            400,
            400,
            "ValidationException:http://aws.example/",
            "invalid_request",
        ),
        ("UnrecognizedClientException", 403, 502, "InternalServerException", "upstream_auth"),
        ("ResourceNotFoundException", 404, 502, "InternalServerException", "upstream_misconfigured"),
        ("ThrottlingException", 429, 429, "ThrottlingException", "upstream_rate_limited"),
        (
            "ServiceQuotaExceededException",
            400,
            503,
            "ServiceUnavailableException",
            "upstream_account_exhausted",
        ),
        ("ModelErrorException", 424, 502, "InternalServerException", "upstream_error"),
    ];
    for (name, status, want, told, code) in cases {
        let provider = scripted(with_status(status, &named(name), [words.as_bytes().to_vec()])).await;
        let gateway = gateway(&provider);
        let got = gateway.send(&Ask::post(CONVERSE, BODY)).await;
        assert_eq!((got.status, got.header("x-amzn-errortype")), (want, told), "{name}");
        assert_eq!(got.header("x-tollgate-error"), code, "{name}");
        assert_eq!(got.text() == words, want == 400, "{name}: {}", got.text());
        if code == "upstream_rate_limited" {
            let wait: u64 = got.header("x-amz-retry-after").parse().expect("milliseconds");
            assert!((1..=60_000).contains(&wait), "{wait}");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_simulated_provider_and_the_ledger_agree_to_the_last_token() {
    let provider = provider().await;
    for path in [CONVERSE, STREAM] {
        let gateway = gateway(&provider);
        let got = gateway.send(&Ask::post(path, BODY)).await;
        assert_eq!(got.status, 200, "{path}");
        let ledger = gateway.stop().await;
        let usage = ledger.only(End::Completed).usage;
        provider.book().wait_for_ended(1).await;
        let told = provider.book().calls().last().expect("a call").usage;
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (told.input_tokens, told.output_tokens));
    }
    provider.script(Script::refusal(Refusal::Unavailable { retry_after: None }));
    let gateway = gateway(&provider);
    let got = gateway.send(&Ask::post(CONVERSE, BODY)).await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (503, "ServiceUnavailableException"));
    gateway.stop().await;
}

/// A gateway that has another vendor's model behind the name.
fn translating(provider: &Simulator) -> Gateway {
    Gateway::start(Setup { mixed: true, ..Setup::new(vec![TargetSetup::from(provider)]) })
}

#[tokio::test]
async fn a_client_is_answered_in_its_dialect_by_another_vendors_model() {
    let provider = provider().await;
    let gateway = translating(&provider);
    let got = gateway.send(&Ask::post(CONVERSE, BODY)).await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/json"), "{}", got.text());
    let told = provider.book().totals().told;
    let body = got.json();
    assert_eq!(body["stopReason"], "end_turn");
    assert!(!body["output"]["message"]["content"][0]["text"].as_str().expect("a text").is_empty());
    assert_eq!(body["usage"]["inputTokens"], told.input_tokens);
    assert_eq!(body["usage"]["outputTokens"], told.output_tokens);
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!((&*row.dialect, row.usage.input_tokens()), ("bedrock", told.input_tokens));
}

#[tokio::test]
async fn a_stream_of_another_vendors_model_comes_as_messages_to_its_metadata() {
    let provider = provider().await;
    let gateway = translating(&provider);
    let got = gateway.send(&Ask::post(STREAM, BODY)).await;
    assert_eq!((got.status, got.header("content-type")), (200, EVENT_STREAM));
    let told = provider.book().totals().told;
    let (input, output) = (told.input_tokens, told.output_tokens);
    let metadata = format!(
        r#"{{"usage":{{"inputTokens":{input},"outputTokens":{output},"totalTokens":{},"cacheReadInputTokens":0,"cacheWriteInputTokens":0}},"metrics":{{"latencyMs":0}}}}"#,
        input + output
    );
    let end = [
        event("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        event("messageStop", r#"{"stopReason":"end_turn"}"#),
        event("metadata", &metadata),
    ];
    assert!(got.body.starts_with(&event("messageStart", r#"{"role":"assistant"}"#)));
    assert!(got.body.ends_with(&end.concat()), "{}", String::from_utf8_lossy(&got.body));
    let ledger = gateway.stop().await;
    assert_eq!(ledger.only(End::Completed).usage.output_tokens(), output);
}

#[tokio::test]
async fn a_stream_of_another_vendors_model_that_dies_ends_with_an_exception() {
    let provider = scripted(Script::usual().then(Fault::Close(At::Chunk(2)))).await;
    let gateway = translating(&provider);
    let got = gateway.send(&Ask::post(STREAM, BODY)).await;
    assert_eq!(got.status, 200);
    assert!(got.body.ends_with(&last_message(&got, CLOSED)), "{}", String::from_utf8_lossy(&got.body));
    gateway.stop().await;
}
