//! Streams of generated content into other dialects, and back.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::{ErrorFace, Framing, HubTold, Translation};
use tollgate_domain::Usage;

use crate::{CHAT, GENERATE, MESSAGES, RESPONSES, STREAM, events, told, way};

/// What a client reads of a stream that comes in these pieces.
fn read(way: Translation, framing: Framing, pieces: &[&[u8]], told: &HubTold<'_>) -> String {
    let mut splitter = framing.splitter();
    let mut translation = way.stream(told, true);
    let mut out = Vec::new();
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece));
        for event in splitter.by_ref() {
            out.extend(translation.event(&event));
        }
    }
    out.extend(translation.event(&splitter.rest()));
    let usage = Usage { input_uncached: 4, output_text: 2, ..Usage::default() };
    out.extend(translation.finish(Some(&usage)));
    String::from_utf8(out).expect("text")
}

fn chunks() -> Vec<Value> {
    let chunk = |parts: Value, finish: Option<&str>| {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
        if let Some(reason) = finish {
            candidate["finishReason"] = json!(reason);
        }
        json!({"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r7"})
    };
    vec![
        json!({"usageMetadata": {"trafficType": "ON_DEMAND"}}),
        chunk(json!([{"text": "h", "thought": true}]), None),
        chunk(json!([{"text": "m", "thought": true}]), None),
        chunk(json!([{"text": "Sö"}]), None),
        chunk(
            json!([{"text": ""}, {"functionCall": {"name": "f", "args": {"a": "[é]"}}, "thoughtSignature": "c2ln"}, {"functionCall": {"name": "f"}}]),
            None,
        ),
        chunk(json!([]), Some("STOP")),
        chunk(json!([{"text": ""}]), Some("STOP")),
    ]
}

fn as_events(chunks: &[Value], end: &str) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}{end}{end}")).collect()
}

fn as_array(chunks: &[Value]) -> String {
    let all: Vec<String> = chunks.iter().map(Value::to_string).collect();
    format!("[{}\n]\n", all.join("\n,\r\n"))
}

#[test]
fn a_stream_of_generated_content_reads_as_chunks_of_a_chat() {
    let stream = as_events(&chunks(), "\r\n");
    let chunks = events(&read(way(CHAT, GENERATE), Framing::Events, &[stream.as_bytes()], &told(None)));
    let deltas: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta")).collect();
    let head = |index: u32, proof: Option<Value>| {
        let mut call = json!({"index": index, "id": format!("call_r7_{index}"), "type": "function", "function": {"name": "f", "arguments": ""}});
        if let Some(proof) = proof {
            call["extra_content"] = proof;
        }
        json!({"tool_calls": [call]})
    };
    let arguments =
        |index: u32, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
    assert_eq!(
        deltas,
        [
            &json!({"role": "assistant", "content": ""}),
            &json!({"reasoning_content": "h"}),
            &json!({"reasoning_content": "m"}),
            &json!({"content": "Sö"}),
            &head(0, Some(json!({"google": {"thought_signature": "c2ln"}}))),
            &arguments(0, "{\"a\":\"[é]\"}"),
            &head(1, None),
            &arguments(1, "{}"),
            &json!({}),
        ]
    );
    let [.., finish, usage, done] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!((&usage["usage"]["prompt_tokens"], done), (&json!(4), &json!("[DONE]")));
}

#[test]
fn a_stream_of_generated_content_reads_as_a_stream_of_messages() {
    let stream = as_events(&chunks(), "\n");
    let all = events(&read(way(MESSAGES, GENERATE), Framing::Events, &[stream.as_bytes()], &told(None)));
    let blocks: Vec<&Value> = all.iter().filter_map(|event| event.get("content_block")).collect();
    assert_eq!(
        blocks,
        [
            &json!({"type": "thinking", "thinking": "", "signature": ""}),
            &json!({"type": "text", "text": ""}),
            &json!({"type": "thinking", "thinking": "", "signature": ""}),
            &json!({"type": "tool_use", "id": "call_r7_0", "name": "f", "input": {}}),
            &json!({"type": "tool_use", "id": "call_r7_1", "name": "f", "input": {}}),
        ]
    );
    let proofs: Vec<&Value> = all.iter().filter_map(|event| event.pointer("/delta/signature")).collect();
    assert_eq!(proofs, ["", "gemini:c2ln"]);
    assert_eq!(all[all.len() - 2]["delta"]["stop_reason"], "tool_use");
}

#[test]
fn a_stream_of_generated_content_reads_as_one_of_responses() {
    let stream = as_events(&chunks(), "\r\n");
    let all = events(&read(way(RESPONSES, GENERATE), Framing::Events, &[stream.as_bytes()], &told(None)));
    let last = all.last().expect("events");
    assert_eq!(last["type"], "response.completed");
    let items = last["response"]["output"].as_array().expect("items");
    let said: Vec<(&str, &Value)> = items
        .iter()
        .map(|item| match item["type"].as_str().expect("a type") {
            "reasoning" => ("reasoning", &item["summary"]),
            "message" => ("message", &item["content"][0]["text"]),
            kind => (kind, &item["arguments"]),
        })
        .filter(|(kind, said)| *kind != "reasoning" || **said != json!([]))
        .collect();
    assert_eq!(said.last(), Some(&("function_call", &json!("{}"))));
    assert!(said.contains(&("function_call", &json!("{\"a\":\"[é]\"}"))), "{said:?}");
    assert!(said.contains(&("message", &json!("Sö"))), "{said:?}");
}

#[test]
fn a_refused_prompt_is_a_whole_stream() {
    let stream =
        as_events(&[json!({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "g"})], "\r\n");
    let chunks = events(&read(way(CHAT, GENERATE), Framing::Events, &[stream.as_bytes()], &told(None)));
    let [start, finish, _, done] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(start["choices"][0]["delta"]["role"], "assistant");
    assert_eq!((&finish["choices"][0]["finish_reason"], done), (&json!("content_filter"), &json!("[DONE]")));
}

#[test]
fn a_stream_split_at_any_byte_and_in_either_frame_reads_the_same() {
    let forms = [
        (Framing::Events, as_events(&chunks(), "\r\n")),
        (Framing::Events, as_events(&chunks(), "\n")),
        (Framing::JsonArray, as_array(&chunks())),
    ];
    for client in [CHAT, MESSAGES] {
        let whole = read(way(client, GENERATE), Framing::Events, &[forms[0].1.as_bytes()], &told(None));
        for (framing, stream) in &forms {
            for at in 0..=stream.len() {
                let (before, after) = stream.as_bytes().split_at(at);
                assert_eq!(
                    read(way(client, GENERATE), *framing, &[before, after], &told(None)),
                    whole,
                    "{at}"
                );
            }
        }
    }
}

fn chat_stream() -> String {
    let chunk = |delta: Value, finish: Value| json!({"id": "c", "model": "gpt-x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let call = |index: u32, head: Option<&str>, arguments: &str| {
        let mut call = json!({"index": index, "function": {"arguments": arguments}});
        if let Some(name) = head {
            call["id"] = json!(format!("call_{index}"));
            call["function"]["name"] = json!(name);
        }
        chunk(json!({"tool_calls": [call]}), Value::Null)
    };
    let stream = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "hm"}), Value::Null),
        chunk(json!({"content": "So"}), Value::Null),
        chunk(json!({"content": " bé it."}), Value::Null),
        call(0, Some("f"), "{\"a\""),
        call(1, Some("g"), ""),
        call(0, None, ":1.50}"),
        chunk(json!({}), json!("tool_calls")),
        json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}),
    ];
    format!("{}data: [DONE]\n\n", as_events(&stream, "\n"))
}

fn parts(chunks: &[Value]) -> Vec<Value> {
    let of = |chunk: &Value| chunk["candidates"][0]["content"]["parts"].as_array().expect("parts").clone();
    chunks.iter().flat_map(of).collect()
}

fn in_array<'a>() -> HubTold<'a> {
    HubTold { framing: Framing::JsonArray, ..told(None) }
}

#[test]
fn chunks_of_a_chat_read_as_generated_content_in_either_frame() {
    let stream = chat_stream();
    let sent = read(way(STREAM, CHAT), Framing::Events, &[stream.as_bytes()], &told(None));
    assert!(sent.ends_with("\r\n\r\n") && !sent.contains("[DONE]"), "{sent}");
    assert!(sent.contains(r#""args":{"a":1.50}"#), "arguments keep their spelling: {sent}");
    let chunks = events(&sent);
    assert_eq!(
        parts(&chunks),
        [
            json!({"text": "hm", "thought": true}),
            json!({"text": "So"}),
            json!({"text": " bé it."}),
            json!({"functionCall": {"id": "call_0", "name": "f", "args": {"a": 1.5}}}),
            json!({"functionCall": {"id": "call_1", "name": "g", "args": {}}}),
            json!({"text": ""}),
        ]
    );
    let last = chunks.last().expect("a chunk");
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(
        last["usageMetadata"],
        json!({"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6})
    );
    assert!(chunks.iter().all(|chunk| chunk["modelVersion"] == "gpt-x" && chunk["responseId"] == "7"));
    assert_eq!(chunks.iter().filter(|chunk| chunk["candidates"][0].get("finishReason").is_some()).count(), 1);

    let array = read(way(STREAM, CHAT), Framing::Events, &[stream.as_bytes()], &in_array());
    assert_eq!(serde_json::from_str::<Vec<Value>>(&array).expect("an array"), chunks);
}

#[test]
fn what_anthropic_proved_reads_as_signatures_of_thoughts() {
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let stream = [
        json!({"type": "message_start", "message": {"model": "claude-x"}}),
        delta(json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(json!({"type": "signature_delta", "signature": "Eq+/"})),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "x"}}),
        delta(json!({"type": "text_delta", "text": "So"})),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
    ];
    let stream = as_events(&stream, "\n");
    let chunks = events(&read(way(STREAM, MESSAGES), Framing::Events, &[stream.as_bytes()], &told(None)));
    assert_eq!(
        parts(&chunks),
        [
            json!({"text": "hm", "thought": true}),
            json!({"text": "", "thought": true, "thoughtSignature": "dG9sbGdhdGUuMS5hbnRocm9waWMuZXlKd2NtOXZaaUk2SWtWeEt5OGlmUT09"}),
            json!({"text": "", "thought": true, "thoughtSignature": "cmVkYWN0ZWQ6dG9sbGdhdGUuMS5hbnRocm9waWMuZXlKd2NtOXZaaUk2SW5naWZRPT0="}),
            json!({"text": "So"}),
            json!({"text": ""}),
        ]
    );
}

#[test]
fn errors_of_ours_keep_the_frame_whole() {
    let face = ErrorFace { status: 502, code: "c", message: "m", param: None, request_id: "r" };
    let first = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for began in [false, true] {
        let mut stream = way(STREAM, CHAT).stream(&in_array(), false);
        let mut out = if began { stream.event(first.as_bytes()) } else { Vec::new() };
        out.extend(stream.error(&face));
        let all: Vec<Value> = serde_json::from_slice(&out).expect("a whole array");
        assert_eq!(all.len(), 1 + usize::from(began));
        assert_eq!(all.last().expect("an element")["error"]["status"], "UNAVAILABLE");
    }
    let mut stream = way(STREAM, CHAT).stream(&told(None), false);
    assert!(stream.error(&face).starts_with(b"data: {\"error\""));
}

proptest! {
    #[test]
    fn no_stream_makes_a_reader_panic(event in ".{0,200}", name in "[a-zA-Z]{1,12}") {
        let forms = [
            event.clone(),
            format!("data: {event}\n\n"),
            format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{{}:{}}}]}}}}]}}\n\n", json!(name), json!(event)),
        ];
        for form in forms {
            for client in [CHAT, MESSAGES] {
                let mut stream = way(client, GENERATE).stream(&told(None), true);
                let _ = (stream.event(form.as_bytes()), stream.finish(None));
            }
        }
    }
}
