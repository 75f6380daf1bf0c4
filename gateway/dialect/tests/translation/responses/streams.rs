//! Streams into responses, and streams of responses into the others'.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::{ErrorFace, Splitter, Translation};
use tollgate_domain::Usage;

use crate::{CHAT, MESSAGES, RESPONSES, events, told, way};

fn written(stream: &[Value]) -> Vec<u8> {
    stream.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
}

/// What a client reads of a stream that comes in these pieces.
fn text_of<'a>(way: Translation, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let (mut translation, mut splitter) = (way.stream(&told(None), true), Splitter::new());
    let mut out = Vec::new();
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece));
        for event in splitter.by_ref() {
            out.extend(translation.event(&event));
        }
    }
    let usage = Usage { input_uncached: 4, output_text: 2, ..Usage::default() };
    out.extend(translation.finish(Some(&usage)));
    String::from_utf8(out).expect("text")
}

fn read(way: Translation, stream: &[Value]) -> Vec<Value> {
    events(&text_of(way, [&*written(stream)]))
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

/// What this API's clients put together of a stream, which must be what its last event repeats.
fn assemble(events: &[Value]) -> Value {
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], place, "every event is counted");
    }
    let mut items: Vec<Value> = Vec::new();
    let mut said = String::new();
    for event in events {
        let item =
            event["output_index"].as_u64().and_then(|place| items.get_mut(usize::try_from(place).ok()?));
        match event["type"].as_str().expect("a type") {
            "response.output_item.added" => {
                assert_eq!(event["output_index"], items.len());
                items.push(event["item"].clone());
            }
            "response.output_item.done" => *item.expect("an item that was added") = event["item"].clone(),
            "response.content_part.added" | "response.reasoning_summary_part.added" => said.clear(),
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_summary_text.delta" => {
                assert_eq!(event["item_id"], item.expect("an item")["id"]);
                said.push_str(event["delta"].as_str().expect("text"));
            }
            "response.output_text.done" | "response.reasoning_summary_text.done" => {
                assert_eq!(event["text"], said)
            }
            "response.refusal.done" => assert_eq!(event["refusal"], said),
            "response.function_call_arguments.delta" => {
                let item = item.expect("an item");
                let whole = format!(
                    "{}{}",
                    item["arguments"].as_str().expect("text"),
                    event["delta"].as_str().expect("text")
                );
                item["arguments"] = json!(whole);
            }
            "response.function_call_arguments.done" => {
                let item = item.expect("an item");
                let so_far = item["arguments"].as_str().expect("text");
                assert!(so_far.is_empty() || event["arguments"] == so_far, "{event}");
                item["arguments"] = event["arguments"].clone();
            }
            _ => {}
        }
    }
    let last = events.last().expect("a terminal event");
    assert_eq!(last["response"]["output"], Value::Array(items));
    last["response"].clone()
}

fn stream_of_messages() -> Vec<Value> {
    let block = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta =
        |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    vec![
        json!({"type": "message_start", "message": {"model": "claude-x", "usage": {"input_tokens": 4}}}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        json!({"type": "ping"}),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "EqoB"})),
        block(1, json!({"type": "redacted_thinking", "data": "Emwa"})),
        block(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "So "})),
        delta(2, json!({"type": "text_delta", "text": "be it \u{1f600}."})),
        block(3, json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{\"a\":"})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "1.50}"})),
        block(4, json!({"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}})),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn a_stream_of_messages_reads_as_a_stream_of_responses() {
    let read = read(way(RESPONSES, MESSAGES), &stream_of_messages());
    let item = ["response.output_item.added", "response.output_item.done"];
    assert_eq!(
        kinds(&read),
        [
            "response.created",
            "response.in_progress",
            item[0],
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            item[1],
            item[0],
            item[1],
            item[0],
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            item[1],
            item[0],
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            item[0],
            "response.function_call_arguments.done",
            item[1],
            "response.function_call_arguments.done",
            item[1],
            "response.completed",
        ]
    );
    let response = assemble(&read);
    assert_eq!((&response["id"], &response["model"]), (&json!("resp_7"), &json!("claude-x")));
    assert_eq!((&response["status"], &response["store"]), (&json!("completed"), &json!(false)));
    assert_eq!(
        (&response["usage"]["input_tokens"], &response["usage"]["output_tokens"]),
        (&json!(4), &json!(2))
    );
    let output = &response["output"];
    assert!(output[0]["encrypted_content"].as_str().expect("a proof").starts_with("tollgate.1.anthropic."));
    assert_eq!((&output[1]["type"], &output[1]["summary"]), (&json!("reasoning"), &json!([])));
    assert_eq!(output[2]["content"][0]["text"], "So be it \u{1f600}.");
    assert_eq!((&output[3]["call_id"], &output[3]["arguments"]), (&json!("toolu_1"), &json!("{\"a\":1.50}")));
    assert_eq!((&output[4]["name"], &output[4]["arguments"]), (&json!("g"), &json!("{}")));
}

#[test]
fn a_proof_without_a_text_is_no_sealed_block() {
    let stream = [
        json!({"type": "message_start", "message": {"model": "claude-x"}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqoB"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
    ];
    let response = assemble(&read(way(RESPONSES, MESSAGES), &stream));
    let mut input = response["output"].as_array().expect("items").clone();
    input.push(json!({"role": "user", "content": "And?"}));
    let body =
        crate::carried(RESPONSES, MESSAGES, &json!({"input": input}).to_string()).expect("it can be said");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let want = json!([{"type": "thinking", "thinking": "", "signature": "EqoB"}]);
    assert_eq!(body["messages"][0]["content"], want);
}

#[test]
fn what_comes_streamed_is_what_comes_whole() {
    let streamed = assemble(&read(way(RESPONSES, MESSAGES), &stream_of_messages()));
    let whole = json!({"model": "claude-x", "stop_reason": "tool_use", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "EqoB"}, {"type": "redacted_thinking", "data": "Emwa"},
        {"type": "text", "text": "So be it \u{1f600}."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}, {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}}]});
    let whole = whole.to_string().replace("{\"a\":1}", "{\"a\":1.50}");
    let usage = Usage { input_uncached: 4, output_text: 2, ..Usage::default() };
    let whole = way(RESPONSES, MESSAGES).reply(whole.as_bytes(), &told(Some(&usage))).expect("an answer");
    assert_eq!(streamed, serde_json::from_slice::<Value>(&whole).expect("JSON"));
}

fn chunk(delta: Value) -> Value {
    json!({"id": "c", "model": "gpt-x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn stream_of_chunks(reason: &str) -> Vec<Value> {
    let call = |index: u32, more: Value| {
        let mut call = json!({"index": index});
        call.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        chunk(json!({"tool_calls": [call]}))
    };
    vec![
        chunk(json!({"role": "assistant", "content": ""})),
        chunk(json!({"reasoning_content": "hm"})),
        chunk(json!({"content": "So"})),
        chunk(json!({"refusal": "No."})),
        call(0, json!({"id": "call_1", "function": {"name": "f", "arguments": "{\"a\""}})),
        call(1, json!({"id": "call_2", "function": {"name": "g", "arguments": "{\"b\""}})),
        call(0, json!({"function": {"arguments": ":1}"}})),
        call(1, json!({"function": {"arguments": ":2}"}})),
        json!({"model": "gpt-x", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}),
        Value::from("[DONE]"),
    ]
}

#[test]
fn chunks_read_as_a_stream_of_responses_calls_mixed_as_they_come() {
    let response = assemble(&read(way(RESPONSES, CHAT), &stream_of_chunks("tool_calls")));
    let output = response["output"].as_array().expect("items");
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"]);
    assert_eq!(output[0]["encrypted_content"], Value::Null, "nothing proves it");
    assert_eq!(output[1]["content"][1], json!({"type": "refusal", "refusal": "No."}));
    assert_eq!(
        (&output[2]["arguments"], &output[3]["arguments"]),
        (&json!("{\"a\":1}"), &json!("{\"b\":2}"))
    );
}

#[test]
fn a_stream_that_met_its_cap_ends_incomplete() {
    for (reason, detail) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        let stream = [chunk(json!({"content": "So"})), stream_of_chunks(reason)[8].clone()];
        let read = read(way(RESPONSES, CHAT), &stream);
        assert_eq!(kinds(&read).last(), Some(&"response.incomplete"));
        let response = assemble(&read);
        assert_eq!(response["incomplete_details"]["reason"], detail);
        assert_eq!(response["output"][0]["status"], "incomplete");
    }
}

#[test]
fn a_stream_without_a_word_is_still_a_whole_response() {
    let read = read(way(RESPONSES, CHAT), &stream_of_chunks("stop")[8..]);
    assert_eq!(kinds(&read), ["response.created", "response.in_progress", "response.completed"]);
    assert_eq!(assemble(&read)["output"], json!([]));
}

#[test]
fn an_error_of_ours_goes_on_counting() {
    let mut translation = way(RESPONSES, CHAT).stream(&told(None), true);
    let mut out = Vec::new();
    for event in &stream_of_chunks("stop")[..3] {
        out.extend(translation.event(&written(std::slice::from_ref(event))));
    }
    let before = events(&String::from_utf8(out).expect("text")).len();
    let face =
        ErrorFace { status: 502, code: "upstream_truncated", message: "cut", param: None, request_id: "7" };
    let last = events(&String::from_utf8(translation.error(&face)).expect("text"));
    assert_eq!(
        (last.len(), &last[0]["type"], &last[0]["code"]),
        (1, &json!("error"), &json!("upstream_truncated"))
    );
    assert_eq!(last[0]["sequence_number"], before);
}

#[test]
fn an_answer_without_end_ends_as_one_that_met_its_cap() {
    let mut translation = way(RESPONSES, CHAT).stream(&told(None), true);
    let long = written(&[chunk(json!({"content": "x".repeat(1 << 20)}))]);
    let told = (0..20).map(|_| translation.event(&long).len()).filter(|length| *length > 1 << 20).count();
    assert!((14..=16).contains(&told), "{told} MiB");
    let end = events(&String::from_utf8(translation.finish(None)).expect("text"));
    let last = end.last().expect("a terminal event");
    assert_eq!(
        (&last["type"], &last["response"]["status"]),
        (&json!("response.incomplete"), &json!("incomplete"))
    );
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
}

fn stream_of_responses() -> Vec<Value> {
    let added = |place: u32, item: Value| json!({"type": "response.output_item.added", "output_index": place, "item": item});
    let done = |place: u32, item: Value| json!({"type": "response.output_item.done", "output_index": place, "item": item});
    let delta =
        |kind: &str, place: u32, delta: &str| json!({"type": kind, "output_index": place, "delta": delta});
    let summary = |part: u32, delta: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": part, "delta": delta});
    let response = |status: &str| json!({"model": "gpt-x", "status": status, "output": []});
    vec![
        json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress")}),
        json!({"type": "response.in_progress", "response": response("in_progress")}),
        added(0, json!({"type": "reasoning", "id": "rs_1", "summary": []})),
        summary(0, "hm"),
        summary(1, "so"),
        json!({"type": "response.reasoning_summary_text.done", "output_index": 0, "text": "hm"}),
        done(
            0,
            json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"}),
        ),
        added(1, json!({"type": "reasoning", "id": "rs_2", "summary": []})),
        done(1, json!({"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBBB"})),
        added(2, json!({"type": "message", "id": "msg_1", "content": []})),
        delta("response.output_text.delta", 2, "So "),
        delta("response.output_text.delta", 2, "be it \u{1f600}."),
        json!({"type": "response.output_text.done", "output_index": 2, "text": "So be it \u{1f600}."}),
        done(
            2,
            json!({"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "So be it \u{1f600}."}]}),
        ),
        added(
            3,
            json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}),
        ),
        delta("response.function_call_arguments.delta", 3, "{\"a\":"),
        delta("response.function_call_arguments.delta", 3, "1.50}"),
        done(
            3,
            json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1.50}"}),
        ),
        // Some servers tell a call only when it is whole.
        done(
            4,
            json!({"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "g", "arguments": "{}"}),
        ),
        json!({"type": "response.completed", "response": response("completed")}),
    ]
}

#[test]
fn a_stream_of_responses_reads_as_chunks() {
    let chunks = read(way(CHAT, RESPONSES), &stream_of_responses());
    let deltas: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta")).collect();
    let call = |call: Value| json!({"tool_calls": [call]});
    let head = |index: u32, id: &str, name: &str| {
        call(
            json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}),
        )
    };
    let more =
        |index: u32, arguments: &str| call(json!({"index": index, "function": {"arguments": arguments}}));
    assert_eq!(
        deltas[..5],
        [
            &json!({"role": "assistant", "content": ""}),
            &json!({"reasoning_content": "hm"}),
            &json!({"reasoning_content": "\n\n"}),
            &json!({"reasoning_content": "so"}),
            deltas[4],
        ]
    );
    assert_eq!(deltas[4]["thinking_blocks"][0]["thinking"], "hm\n\nso");
    assert_eq!(deltas[5]["thinking_blocks"][0]["type"], "redacted_thinking");
    assert_eq!(
        deltas[6..],
        [
            &json!({"content": "So "}),
            &json!({"content": "be it \u{1f600}."}),
            &head(0, "call_1", "f"),
            &more(0, "{\"a\":"),
            &more(0, "1.50}"),
            &head(1, "call_2", "g"),
            &more(1, "{}"),
            &json!({}),
        ]
    );
    let [.., finish, usage, done] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!((&usage["usage"]["prompt_tokens"], done), (&json!(4), &json!("[DONE]")));
}

#[test]
fn a_stream_of_responses_reads_as_a_stream_of_messages() {
    let read = read(way(MESSAGES, RESPONSES), &stream_of_responses());
    let starts: Vec<&Value> = read
        .iter()
        .filter(|event| event["type"] == "content_block_start")
        .map(|event| &event["content_block"]["type"])
        .collect();
    assert_eq!(starts, ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]);
    let [.., delta, stop] = &read[..] else { panic!("{read:?}") };
    assert_eq!((&delta["delta"]["stop_reason"], &stop["type"]), (&json!("tool_use"), &json!("message_stop")));
}

#[test]
fn cutting_a_stream_anywhere_changes_nothing() {
    let cases = [
        (way(RESPONSES, MESSAGES), stream_of_messages()),
        (way(RESPONSES, CHAT), stream_of_chunks("tool_calls")),
        (way(CHAT, RESPONSES), stream_of_responses()),
        (way(MESSAGES, RESPONSES), stream_of_responses()),
    ];
    for (way, stream) in cases {
        let stream = written(&stream);
        let whole = text_of(way, [&*stream]);
        for cut in 0..=stream.len() {
            let (before, after) = stream.split_at(cut);
            assert_eq!(text_of(way, [before, after]), whole, "cut at {cut}");
        }
        assert_eq!(text_of(way, stream.chunks(1)), whole, "byte by byte");
    }
}
