//! What callers get from a simulator that nobody steers, on both protocols and in all dialects.

use crate::client::{Client, event_data};
use serde_json::{Value, json};
use tollgate_simulator::{
    Behaviour, Operation, Options, Outcome, Protocol, Script, Simulator, Usage, chunk_text, event_stream,
    text_of,
};

async fn simulator(behaviour: Behaviour) -> Simulator {
    Simulator::start(Options { behaviour, ..Options::default() }).await.expect("a free port")
}

fn chat(extra: Value) -> Value {
    let mut body = json!({ "model": "gpt-5-mini", "messages": [{ "role": "user", "content": "12345678" }] });
    let members = extra.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(members);
    body
}

#[tokio::test]
async fn a_plain_answer_says_its_words_and_its_usage_on_both_protocols() {
    let simulator =
        simulator(Behaviour { chunks: 5, cached_tokens: 1, reasoning_tokens: 7, ..Behaviour::default() })
            .await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = Client::connect(simulator.addr(), protocol).await;
        let answer = client.post("/v1/chat/completions", &chat(json!({}))).await;
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!(body["choices"][0]["message"]["content"], text_of(5));
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body["usage"]["prompt_tokens"], 2);
        assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
        assert_eq!(body["usage"]["completion_tokens"], 12);
        assert_eq!(body["usage"]["total_tokens"], 14);
    }
    simulator.book().wait_for_ended(2).await;
    let usage = Usage {
        input_tokens: 2,
        cached_input_tokens: 1,
        cache_write_tokens: 0,
        output_tokens: 12,
        reasoning_tokens: 7,
    };
    for (call, protocol) in simulator.book().calls().into_iter().zip([Protocol::Http1, Protocol::Http2]) {
        assert_eq!(
            (call.protocol, call.operation, call.outcome),
            (protocol, Operation::Chat, Outcome::Whole)
        );
        assert_eq!((call.usage, call.usage_told), (usage, true));
    }
}

#[tokio::test]
async fn a_chat_stream_has_usage_only_when_asked() {
    let simulator = simulator(Behaviour { chunks: 3, ..Behaviour::default() }).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    for (asked, tells) in [
        (json!({ "stream": true }), false),
        (json!({ "stream": true, "stream_options": { "include_usage": true } }), true),
    ] {
        let answer = client.post("/v1/chat/completions", &chat(asked)).await;
        let events = event_data(&answer.body);
        let (done, chunks) = events.split_last().expect("events");
        assert_eq!(done, "[DONE]");
        let chunks: Vec<Value> =
            chunks.iter().map(|data| serde_json::from_str(data).expect("a chunk")).collect();
        let words: Vec<&str> =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(words, ["", chunk_text(0), chunk_text(1), chunk_text(2)]);
        let told: Vec<&Value> =
            chunks.iter().map(|chunk| &chunk["usage"]).filter(|usage| usage.is_object()).collect();
        assert_eq!(told.len(), usize::from(tells));
        if tells {
            assert_eq!(chunks.last().expect("chunks")["choices"], json!([]));
        }
    }
    simulator.book().wait_for_ended(2).await;
    let told: Vec<bool> = simulator.book().calls().iter().map(|call| call.usage_told).collect();
    assert_eq!(told, [false, true]);
}

#[tokio::test]
async fn an_output_cap_ends_the_answer_as_each_dialect_says_it() {
    let simulator = simulator(Behaviour { chunks: 9, ..Behaviour::default() }).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let ask = json!([{ "role": "user", "content": "hello" }]);
    let cases = [
        (
            "/v1/chat/completions",
            json!({ "model": "m", "messages": ask, "max_tokens": 4 }),
            "/choices/0/finish_reason",
            "length",
        ),
        (
            "/v1/chat/completions",
            json!({ "model": "m", "messages": ask, "max_completion_tokens": 4 }),
            "/choices/0/finish_reason",
            "length",
        ),
        (
            "/v1/responses",
            json!({ "model": "m", "input": "hello", "max_output_tokens": 4 }),
            "/status",
            "incomplete",
        ),
        (
            "/v1/messages",
            json!({ "model": "m", "messages": ask, "max_tokens": 4 }),
            "/stop_reason",
            "max_tokens",
        ),
    ];
    for (path, body, place, want) in cases {
        let answer = client.post(path, &body).await.json();
        assert_eq!(answer.pointer(place), Some(&json!(want)), "{path}");
    }
    simulator.book().wait_for_ended(4).await;
    assert!(simulator.book().calls().iter().all(|call| call.usage.output_tokens == 4));
}

#[tokio::test]
async fn a_messages_stream_runs_from_start_to_stop_with_cumulative_usage() {
    let simulator = simulator(Behaviour { chunks: 2, cached_tokens: 1, ..Behaviour::default() }).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let ask = json!({ "model": "claude-sonnet-4-5", "max_tokens": 99, "stream": true,
        "system": "1234", "messages": [{ "role": "user", "content": [{ "type": "text", "text": "12345678" }] }] });
    let answer = client.post("/v1/messages", &ask).await;
    let events: Vec<Value> =
        event_data(&answer.body).iter().map(|data| serde_json::from_str(data).expect("JSON")).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 2);
    assert_eq!(events[0]["message"]["usage"]["cache_read_input_tokens"], 1);
    assert_eq!(events[6]["usage"]["output_tokens"], 2);
}

#[tokio::test]
async fn a_responses_stream_numbers_its_events_and_ends_with_the_whole_response() {
    let simulator = simulator(Behaviour { chunks: 2, ..Behaviour::default() }).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let answer =
        client.post("/openai/v1/responses", &json!({ "model": "m", "input": "hi", "stream": true })).await;
    let events: Vec<Value> =
        event_data(&answer.body).iter().map(|data| serde_json::from_str(data).expect("JSON")).collect();
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let last = events.last().expect("events");
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], text_of(2));
    assert_eq!(last["response"]["usage"]["output_tokens"], 2);
}

#[tokio::test]
async fn a_tool_is_called_when_the_last_message_asks_for_it() {
    let simulator = simulator(Behaviour::default()).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let arguments = json!({ "city": "Paris" });
    let ask = json!([{ "role": "user", "content": "use a tool" }]);
    let chat = json!({ "model": "m", "messages": ask,
        "tools": [{ "type": "function", "function": { "name": "weather", "parameters": schema } }] });
    let call = client.post("/v1/chat/completions", &chat).await.json();
    let function = &call["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(function["name"], "weather");
    assert_eq!(
        serde_json::from_str::<Value>(function["arguments"].as_str().expect("text")).expect("JSON"),
        arguments
    );

    let messages = json!({ "model": "m", "max_tokens": 50, "messages": ask,
        "tools": [{ "name": "weather", "input_schema": schema }] });
    let call = client.post("/v1/messages", &messages).await.json();
    assert_eq!((&call["content"][0]["type"], &call["content"][0]["input"]), (&json!("tool_use"), &arguments));

    let responses = json!({ "model": "m", "input": "use a tool", "stream": true,
        "tools": [{ "type": "function", "name": "weather", "parameters": schema }] });
    let answer = client.post("/v1/responses", &responses).await;
    let fragments: String = event_data(&answer.body)
        .iter()
        .map(|data| serde_json::from_str::<Value>(data).expect("JSON"))
        .filter(|event| event["type"] == "response.function_call_arguments.delta")
        .filter_map(|event| event["delta"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(serde_json::from_str::<Value>(&fragments).expect("JSON"), arguments);
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_as_base64_of_the_same_numbers() {
    let simulator = simulator(Behaviour::default()).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let path = "/openai/deployments/embed/embeddings?api-version=2024-10-21";
    let plain = client.post(path, &json!({ "input": ["a", "b"], "dimensions": 2 })).await.json();
    let coded = client
        .post(path, &json!({ "input": ["a", "b"], "dimensions": 2, "encoding_format": "base64" }))
        .await
        .json();
    assert_eq!(plain["model"], "embed");
    for index in 0..2 {
        let numbers: Vec<f32> =
            serde_json::from_value(plain["data"][index]["embedding"].clone()).expect("numbers");
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let decoded = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            coded["data"][index]["embedding"].as_str().expect("text"),
        )
        .expect("base64");
        assert_eq!(decoded, bytes);
    }
}

#[tokio::test]
async fn the_control_paths_steer_and_tell() {
    let simulator =
        Simulator::start(Options { control: true, ..Options::default() }).await.expect("a free port");
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let scripts = json!([{ "reply": { "refusal": { "rate_limited": { "retry_after_ms": 2000 } } } }, { "reply": { "as": { "chunks": 1 } } }]);
    assert_eq!(client.post("/_sim/script", &scripts).await.json(), json!({ "queued": 2 }));
    assert_eq!(client.post("/_sim/behaviour", &json!({ "chunks": 2 })).await.status, 200);
    assert_eq!(client.post("/_sim/behaviour", &json!({ "chunkz": 2 })).await.status, 400);
    let limited = client.post("/v1/chat/completions", &chat(json!({}))).await;
    assert_eq!(
        (limited.status, limited.header("retry-after-ms"), limited.header("retry-after")),
        (429, Some("2000"), Some("2"))
    );
    for words in [1, 2] {
        let answer = client.post("/v1/chat/completions", &chat(json!({}))).await.json();
        assert_eq!(answer["usage"]["completion_tokens"], words);
    }
    let book = client.get("/_sim/book").await.json();
    assert_eq!((&book["totals"]["calls"], &book["totals"]["told"]["output_tokens"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn a_credential_is_asked_for_and_only_its_fingerprint_is_kept() {
    let options = Options { credential: Some("secret-of-eastus".into()), ..Options::default() };
    let simulator = Simulator::start(options).await.expect("a free port");
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    for (value, status) in [("Bearer secret-of-eastus", 200), ("Bearer other", 401)] {
        client.header("authorization", value);
        assert_eq!(client.post("/v1/chat/completions", &chat(json!({}))).await.status, status);
    }
    let calls = simulator.book().calls();
    assert_eq!(calls[0].credentials[0].fingerprint, tollgate_simulator::fingerprint("secret-of-eastus"));
    assert!(!format!("{calls:?}{simulator:?}").contains("secret-of-eastus"));
}

#[tokio::test]
async fn scripts_go_to_the_model_that_they_name_in_order() {
    let simulator = simulator(Behaviour::default()).await;
    simulator.script(Script::json(201, "{}").for_model("other"));
    simulator.script(Script::json(202, "{}"));
    simulator.script(Script::json(203, "{}"));
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let mut statuses = Vec::new();
    for model in ["gpt-5-mini", "other", "other", "gpt-5-mini"] {
        let body = json!({ "model": model, "messages": [] });
        statuses.push(client.post("/v1/chat/completions", &body).await.status);
    }
    assert_eq!(statuses, [202, 201, 203, 200]);
    assert_eq!(simulator.scripts_left(), 0);
}

#[tokio::test]
async fn a_conversation_of_bedrocks_is_answered_plain_and_as_an_event_stream() {
    let simulator = simulator(Behaviour { chunks: 2, cached_tokens: 1, ..Behaviour::default() }).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let body = json!({"messages": [{"role": "user", "content": [{"text": "12345678"}]}]});
    let plain = client.post("/model/amazon.nova-lite-v1%3A0/converse", &body).await;
    let answer = plain.json();
    assert_eq!(answer["output"]["message"]["content"][0]["text"], text_of(2));
    assert_eq!((&answer["usage"]["inputTokens"], &answer["usage"]["outputTokens"]), (&json!(1), &json!(2)));
    let stream = client.post("/model/amazon.nova-lite-v1%3A0/converse-stream", &body).await;
    let delta = |word| {
        let payload = json!({"contentBlockIndex": 0, "delta": {"text": word}, "p": "abcdefgh"});
        event_stream::event("contentBlockDelta", &payload.to_string())
    };
    for word in (0..2).map(chunk_text) {
        assert!(stream.body.windows(delta(word).len()).any(|bytes| bytes == delta(word)), "{word}");
    }
    let calls = simulator.book().calls();
    assert_eq!(calls[1].operation, Operation::ConverseStream);
    assert_eq!((calls[1].usage.input_tokens, calls[1].usage.output_tokens), (2, 2));
}
