//! A client gets its own dialect, whatever its target speaks; what cannot be said there is refused
//! before anything is sent, and failover crosses dialects.

use serde_json::{Value, json};
use tollgate_accounting::ledger::End;
use tollgate_dialect::Dialect;
use tollgate_simulator::{At, Fault, Piece, Refusal, Script, Simulator};

use crate::harness::{Answer, Ask, Gateway, Setup, TargetSetup, ledger::outcomes, provider, scripted};

/// The client's dialect and the target's, each time different.
const WAYS: [(Dialect, Dialect); 8] = [
    (Dialect::OpenAi, Dialect::Anthropic),
    (Dialect::Anthropic, Dialect::OpenAi),
    (Dialect::OpenAi, Dialect::Gemini),
    (Dialect::Gemini, Dialect::OpenAi),
    (Dialect::Anthropic, Dialect::Gemini),
    (Dialect::Gemini, Dialect::Anthropic),
    (Dialect::OpenAi, Dialect::Bedrock),
    (Dialect::Anthropic, Dialect::Bedrock),
];

fn speaking(dialect: Dialect, simulator: &Simulator) -> TargetSetup {
    TargetSetup { dialect, ..simulator.into() }
}

fn mixed(targets: Vec<TargetSetup>) -> Setup {
    Setup { mixed: true, ..Setup::new(targets) }
}

fn ask(client: Dialect, stream: bool) -> Ask {
    let usage = if stream { r#","stream_options":{"include_usage":true}"# } else { "" };
    match client {
        Dialect::Anthropic => Ask::messages().body(format!(
            r#"{{"model":"claude","max_tokens":64,"stream":{stream},"messages":[{{"role":"user","content":"Hi."}}]}}"#
        )),
        Dialect::Gemini if stream => generate("/v1beta/models/gemini:streamGenerateContent?alt=sse"),
        Dialect::Gemini => generate("/v1beta/models/gemini:generateContent"),
        _ => Ask::chat().body(format!(
            r#"{{"model":"chat","stream":{stream},"messages":[{{"role":"user","content":"Hi."}}]{usage}}}"#
        )),
    }
}

fn generate(path: &'static str) -> Ask {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"Hi."}]}],"generationConfig":{"maxOutputTokens":64}}"#;
    Ask::post(path, body)
}

/// The visible text and the usage (input, output) of a whole answer in the client's dialect.
fn whole(client: Dialect, answer: &Answer) -> (String, u64, u64) {
    let body = answer.json();
    let count = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64).expect("a count");
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
    match client {
        Dialect::Anthropic => {
            (text("/content/0/text"), count("/usage/input_tokens"), count("/usage/output_tokens"))
        }
        Dialect::Gemini => (
            text("/candidates/0/content/parts/0/text"),
            count("/usageMetadata/promptTokenCount"),
            count("/usageMetadata/candidatesTokenCount"),
        ),
        _ => (
            text("/choices/0/message/content"),
            count("/usage/prompt_tokens"),
            count("/usage/completion_tokens"),
        ),
    }
}

/// The same of a stream.
fn streamed(client: Dialect, answer: &Answer) -> (String, u64, u64) {
    let (mut said, mut input, mut output) = (String::new(), 0, 0);
    let events = answer.text().lines().filter_map(|line| line.strip_prefix("data: "));
    for event in events.filter(|event| *event != "[DONE]") {
        let event: Value = serde_json::from_str(event).expect("an event of JSON");
        let (text, usage, names) = match client {
            Dialect::Anthropic => ("/delta/text", "/usage", ["input_tokens", "output_tokens"]),
            Dialect::Gemini => (
                "/candidates/0/content/parts/0/text",
                "/usageMetadata",
                ["promptTokenCount", "candidatesTokenCount"],
            ),
            _ => ("/choices/0/delta/content", "/usage", ["prompt_tokens", "completion_tokens"]),
        };
        said.push_str(event.pointer(text).and_then(Value::as_str).unwrap_or_default());
        if let Some(usage) = event.pointer(usage).filter(|usage| !usage.is_null()) {
            [input, output] = names.map(|name| usage[name].as_u64().expect("a count"));
        }
    }
    (said, input, output)
}

/// What is written once, at the end of a whole stream.
fn end_mark(client: Dialect) -> &'static str {
    match client {
        Dialect::Anthropic => "event: message_stop",
        Dialect::Gemini => "\"finishReason\":\"STOP\"",
        _ => "data: [DONE]",
    }
}

#[tokio::test]
async fn plain_answers_come_in_the_clients_dialect_and_are_metered_by_the_upstreams_figures() {
    for (client, target) in WAYS {
        let provider = provider().await;
        let gateway = Gateway::start(mixed(vec![speaking(target, &provider)]));
        let answer = gateway.send(&ask(client, false)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        let (text, input, output) = whole(client, &answer);
        assert!(!text.is_empty());
        let told = provider.book().totals().told;
        assert_eq!((input, output), (told.input_tokens, told.output_tokens), "{client:?}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage.input_tokens(), row.usage.output_tokens()), (input, output));
        assert_eq!(&*row.dialect, client.as_str());
        assert_eq!(answer.header("x-tollgate-cost"), row.cost.expect("priced").to_text().as_str());
    }
}

#[tokio::test]
async fn the_upstream_is_asked_in_its_own_way() {
    let (claude, gpt) = (provider().await, provider().await);
    let gateway = Gateway::start(mixed(vec![speaking(Dialect::Anthropic, &claude)]));
    assert_eq!(gateway.send(&ask(Dialect::OpenAi, false)).await.status, 200);
    gateway.stop().await;
    let gateway = Gateway::start(mixed(vec![speaking(Dialect::OpenAi, &gpt)]));
    assert_eq!(gateway.send(&ask(Dialect::Anthropic, true)).await.status, 200);
    gateway.stop().await;

    let asked = |simulator: &Simulator| {
        let call = simulator.book().calls().pop().expect("a call");
        let body: Value = serde_json::from_slice(&call.body).expect("JSON");
        (call, body)
    };
    let (call, body) = asked(&claude);
    assert_eq!(call.path, "/v1/messages");
    assert_eq!(call.header("anthropic-version"), Some("2023-06-01"));
    // The dialect demands a cap; the client gave none, so the model's own bound is it.
    assert_eq!(
        body,
        json!({"model": "claude-sonnet-4-5", "max_tokens": 1_000,
               "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi."}]}]})
    );
    let (call, body) = asked(&gpt);
    assert_eq!(call.path, "/v1/chat/completions");
    assert_eq!(call.header("anthropic-version"), None);
    assert_eq!(
        body,
        json!({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hi."}],
               "max_completion_tokens": 64, "stream": true, "stream_options": {"include_usage": true}})
    );
}

#[tokio::test]
async fn gemini_is_asked_by_path_and_verb_and_for_events() {
    let gemini = provider().await;
    let gateway = Gateway::start(mixed(vec![speaking(Dialect::Gemini, &gemini)]));
    for (client, stream) in [(Dialect::OpenAi, false), (Dialect::Anthropic, true)] {
        assert_eq!(gateway.send(&ask(client, stream)).await.status, 200);
    }
    gateway.stop().await;
    let calls = gemini.book().calls();
    let paths: Vec<&str> = calls.iter().map(|call| &*call.path).collect();
    assert_eq!(
        paths,
        [
            "/v1beta/models/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        ]
    );
    assert!(calls.iter().all(|call| call.header("x-goog-api-key").is_some()));
    let body: Value = serde_json::from_slice(&calls[1].body).expect("JSON");
    assert_eq!(
        body,
        json!({"contents": [{"role": "user", "parts": [{"text": "Hi."}]}], "generationConfig": {"maxOutputTokens": 64}})
    );
}

#[tokio::test]
async fn clients_of_gemini_get_an_array_where_they_ask_for_no_events() {
    for target in [Dialect::OpenAi, Dialect::Anthropic] {
        let provider = provider().await;
        let gateway = Gateway::start(mixed(vec![speaking(target, &provider)]));
        let answer = gateway.send(&generate("/v1beta/models/gemini:streamGenerateContent")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.header("content-type").starts_with("application/json"));
        let chunks: Vec<Value> = serde_json::from_str(answer.text()).expect("one array");
        let last = chunks.last().expect("chunks");
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        let told = provider.book().totals().told;
        assert_eq!(last["usageMetadata"]["promptTokenCount"], told.input_tokens);
        gateway.stop().await;

        let dying = scripted(Script::usual().then(Fault::EndEarly(2))).await;
        let gateway = Gateway::start(mixed(vec![speaking(target, &dying)]));
        let answer = gateway.send(&generate("/v1beta/models/gemini:streamGenerateContent")).await;
        let chunks: Vec<Value> = serde_json::from_str(answer.text()).expect("a whole array all the same");
        assert_eq!(chunks.last().expect("an error")["error"]["status"], "UNAVAILABLE");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_prompt_that_gemini_refuses_is_a_filtered_answer() {
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3},"modelVersion":"g"}"#;
    for stream in [false, true] {
        let script = match stream {
            false => Script::json(200, blocked),
            true => Script::events(vec![Piece::new(format!("data: {blocked}\r\n\r\n"))]),
        };
        let refusing = scripted(script).await;
        let gateway = Gateway::start(mixed(vec![speaking(Dialect::Gemini, &refusing)]));
        let answer = gateway.send(&ask(Dialect::OpenAi, stream)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(r#""finish_reason":"content_filter""#), "{}", answer.text());
        let ledger = gateway.stop().await;
        assert_eq!(ledger.only(End::Completed).usage.input_tokens(), 3);
    }
}

#[tokio::test]
async fn an_error_inside_geminis_success_is_no_answer() {
    let error = r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#;
    for stream in [false, true] {
        let script = match stream {
            false => Script::json(200, error),
            true => Script::events(vec![Piece::new(format!("data: {error}\r\n\r\n"))]),
        };
        let (failing, answering) = (scripted(script).await, provider().await);
        let targets = vec![speaking(Dialect::Gemini, &failing), speaking(Dialect::OpenAi, &answering)];
        let gateway = Gateway::start(mixed(targets));
        let answer = gateway.send(&ask(Dialect::OpenAi, stream)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let ledger = gateway.stop().await;
        assert_eq!(outcomes(ledger.only(End::Completed)), ["overloaded", "ok"]);
    }
}

#[tokio::test]
async fn streams_come_in_the_clients_dialect_to_their_end_mark() {
    for (client, target) in WAYS {
        let provider = provider().await;
        let gateway = Gateway::start(mixed(vec![speaking(target, &provider)]));
        let answer = gateway.send(&ask(client, true)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.header("content-type").starts_with("text/event-stream"));
        assert_eq!(answer.text().matches(end_mark(client)).count(), 1, "{}", answer.text());
        let (text, input, output) = streamed(client, &answer);
        assert!(!text.is_empty());
        let told = provider.book().totals().told;
        assert_eq!((input, output), (told.input_tokens, told.output_tokens), "{}", answer.text());
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage.input_tokens(), row.usage.output_tokens()), (input, output));
    }
}

#[tokio::test]
async fn failover_crosses_dialects_and_the_client_sees_one_clean_answer() {
    for (client, second) in WAYS {
        for stream in [false, true] {
            let failing = scripted(Script::refusal(Refusal::ServerError)).await;
            let answering = provider().await;
            let targets = vec![speaking(client, &failing), speaking(second, &answering)];
            let gateway = Gateway::start(mixed(targets));
            let answer = gateway.send(&ask(client, stream)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-tollgate-attempts"), "2");
            let (text, ..) = if stream { streamed(client, &answer) } else { whole(client, &answer) };
            assert!(!text.is_empty());
            if stream {
                assert_eq!(answer.text().matches(end_mark(client)).count(), 1, "{}", answer.text());
            }
            let told = answering.book().totals().told;
            let ledger = gateway.stop().await;
            let row = ledger.only(End::Completed);
            assert_eq!(outcomes(row), ["server_error", "ok"]);
            assert_eq!(row.usage.output_tokens(), told.output_tokens, "that of the target that answered");
        }
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_word_is_replaced_by_another_dialects() {
    for (client, second) in WAYS {
        let failing = scripted(Script::usual().then(Fault::ErrorEvent(0))).await;
        let answering = provider().await;
        let targets = vec![speaking(second, &failing), speaking(client, &answering)];
        let gateway = Gateway::start(mixed(targets));
        let answer = gateway.send(&ask(client, true)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.text().matches(end_mark(client)).count(), 1, "{}", answer.text());
        assert!(!answer.text().contains("\"error\""), "one clean stream: {}", answer.text());
        let (text, _, output) = streamed(client, &answer);
        let told = answering.book().totals().told;
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!(outcomes(row).last(), Some(&"ok"));
        assert!(!text.is_empty() && row.attempts.len() == 2);
        assert_eq!(row.usage.output_tokens(), told.output_tokens, "that of the target that answered");
        assert!(output == told.output_tokens || client == Dialect::OpenAi);
    }
}

#[tokio::test]
async fn what_the_target_cannot_say_is_refused_with_its_name_and_nothing_is_sent() {
    let provider = provider().await;
    let gateway = Gateway::start(mixed(vec![speaking(Dialect::Anthropic, &provider)]));
    let body = |more: &str| {
        Ask::chat()
            .body(format!(r#"{{"model":"chat","messages":[{{"role":"user","content":"Hi."}}],{more}}}"#))
    };
    let cases = [
        (r#""seed":7"#, "seed", "unsupported_parameter"),
        (r#""n":2"#, "n", "unsupported_parameter"),
        (r#""logit_bias":{"1":2}"#, "logit_bias", "unsupported_parameter"),
        (r#""response_format":{"type":"json_object"}"#, "response_format", "unsupported_parameter"),
        (r#""tools":[{"type":"custom","custom":{"name":"x"}}]"#, "tools[0]", "unsupported_parameter"),
        (
            r#""tools":[{"type":"function","function":{"name":"x","parameters":7}}]"#,
            "tools[0].function.parameters",
            "invalid_request",
        ),
        (r#""temperature":"hot""#, "temperature", "invalid_request"),
    ];
    for (more, param, code) in cases {
        let answer = gateway.send(&body(more)).await;
        assert_eq!(answer.status, 400, "{more}: {}", answer.text());
        assert_eq!(answer.header("x-tollgate-error"), code, "{more}");
        let told = answer.json();
        assert_eq!((&told["error"]["param"], &told["error"]["code"]), (&json!(param), &json!(code)));
        assert_eq!(answer.header("x-should-retry"), "false");
    }
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_route_may_permit_to_leave_a_member_out_and_the_answer_tells_which() {
    let provider = provider().await;
    let may_drop = vec!["seed", "messages.name"];
    let gateway = Gateway::start(Setup { may_drop, ..mixed(vec![speaking(Dialect::Anthropic, &provider)]) });
    let body = r#"{"model":"chat","seed":7,"messages":[{"role":"user","name":"ada","content":"Hi."}]}"#;
    let answer = gateway.send(&Ask::chat().body(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-dropped"), "messages[0].name,seed");
    gateway.stop().await;
}

#[tokio::test]
async fn a_fallback_that_cannot_be_asked_is_passed_by() {
    let failing = scripted(Script::refusal(Refusal::ServerError)).await;
    let claude = provider().await;
    let targets = vec![speaking(Dialect::OpenAi, &failing), speaking(Dialect::Anthropic, &claude)];
    let gateway = Gateway::start(mixed(targets));
    let body = r#"{"model":"chat","seed":7,"messages":[{"role":"user","content":"Hi."}]}"#;
    let answer = gateway.send(&Ask::chat().body(body)).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (502, "upstream_error"));
    assert_eq!(claude.book().totals().calls, 0);
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(&ledger.rows[0]), ["server_error", "untranslatable"]);
}

#[tokio::test]
async fn an_upstreams_refusal_of_the_request_keeps_its_words_in_the_clients_dialect() {
    for (client, target) in WAYS {
        let refusing = scripted(Script::refusal(Refusal::ContextLength)).await;
        let gateway = Gateway::start(mixed(vec![speaking(target, &refusing)]));
        let answer = gateway.send(&ask(client, false)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
        let error = &answer.json()["error"];
        match client {
            Dialect::Gemini => assert_eq!(error["status"], "INVALID_ARGUMENT", "{error}"),
            _ => assert_eq!(error["type"], "invalid_request_error", "{error}"),
        }
        let words = if target == Dialect::Bedrock { "Input is too long" } else { "token" };
        assert!(error["message"].as_str().is_some_and(|said| said.contains(words)), "{error}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_translated_stream_that_dies_says_so_and_has_no_end_mark() {
    let deaths = [Fault::Close(At::Chunk(2)), Fault::ErrorEvent(2), Fault::EndEarly(2)];
    for (client, target) in WAYS {
        for death in deaths {
            let dying = scripted(Script::usual().then(death)).await;
            let gateway = Gateway::start(mixed(vec![speaking(target, &dying)]));
            let answer = gateway.send(&ask(client, true)).await;
            assert_eq!(answer.status, 200);
            let text = answer.text();
            assert!(!text.contains(end_mark(client)), "{text}");
            let last = text.trim_end().rsplit("data: ").next().expect("an event");
            let last: Value = serde_json::from_str(last).expect("an event of JSON");
            let said = last["error"]["message"].as_str().expect("a message");
            let theirs = ["Overloaded", "The server had an error", "The model is overloaded"]
                .iter()
                .any(|words| said.contains(words));
            assert_eq!(
                theirs,
                matches!(death, Fault::ErrorEvent(_)),
                "its own words where it said some: {text}"
            );
            assert_eq!(last["type"] == "error", client == Dialect::Anthropic, "{text}");
            gateway.stop().await;
        }
    }
}
