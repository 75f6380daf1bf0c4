//! Streams from a target's dialect into a client's.

use serde_json::{Value, json};
use tollgate_domain::Usage;

use crate::{CHAT, MESSAGES, events, told, way};

/// What a client reads of a stream in another dialect.
fn read(way: tollgate_dialect::Translation, stream: &[Value]) -> Vec<Value> {
    let mut translation = way.stream(&told(None), true);
    let mut out = Vec::new();
    for event in stream {
        out.extend(translation.event(format!("data: {event}\n\n").as_bytes()));
    }
    let usage = Usage { input_uncached: 4, output_text: 2, ..Usage::default() };
    out.extend(translation.finish(Some(&usage)));
    events(&String::from_utf8(out).expect("text"))
}

#[test]
fn a_stream_of_messages_reads_as_chunks() {
    let block = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta =
        |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stream = [
        json!({"type": "message_start", "message": {"model": "claude-x", "usage": {"input_tokens": 4}}}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        json!({"type": "ping"}),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "sealed"})),
        block(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "So"})),
        block(2, json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"a\":"})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "1}"})),
        block(3, json!({"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}})),
        block(4, json!({"type": "hologram"})),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {}}),
        json!({"type": "message_stop"}),
    ];
    let chunks = read(way(CHAT, MESSAGES), &stream);
    let deltas: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta")).collect();
    assert_eq!(
        deltas,
        [
            &json!({"role": "assistant", "content": ""}),
            &json!({"reasoning_content": "hm"}),
            &json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "sealed"}]}),
            &json!({"content": "So"}),
            &json!({"tool_calls": [{"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            &json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\":"}}]}),
            &json!({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
            &json!({"tool_calls": [{"index": 1, "id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": ""}}]}),
            &json!({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
            &json!({}),
        ]
    );
    let [.., finish, usage, done] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!((&usage["choices"], &usage["usage"]["prompt_tokens"]), (&json!([]), &json!(4)));
    assert_eq!(done, "[DONE]");
    assert!(
        chunks[..chunks.len() - 1]
            .iter()
            .all(|chunk| chunk["model"] == "claude-x" && chunk["id"] == "chatcmpl-7")
    );
}

fn chunk(delta: Value) -> Value {
    json!({"id": "c", "model": "gpt-x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn call(index: u32, head: Option<(&str, &str)>, arguments: &str) -> Value {
    let mut call = json!({"index": index, "function": {"arguments": arguments}});
    if let Some((id, name)) = head {
        call["id"] = json!(id);
        call["function"]["name"] = json!(name);
    }
    chunk(json!({"tool_calls": [call]}))
}

fn finish(reason: &str) -> Value {
    json!({"model": "gpt-x", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The blocks that a client of messages puts together, with their text or arguments.
fn blocks(events: &[Value]) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open = None;
    for event in events {
        match event["type"].as_str().expect("a type") {
            "content_block_start" => {
                assert_eq!(open, None, "blocks come one after the other");
                assert_eq!(event["index"], blocks.len());
                open = Some(event["index"].clone());
                let block = &event["content_block"];
                let named = block["name"].as_str().or(block["type"].as_str()).expect("a kind");
                blocks.push((named.to_owned(), String::new()));
            }
            "content_block_delta" => {
                assert_eq!(Some(&event["index"]), open.as_ref());
                let said = ["text", "partial_json", "thinking"]
                    .into_iter()
                    .find_map(|name| event["delta"][name].as_str());
                blocks.last_mut().expect("an open block").1.push_str(said.unwrap_or_default());
            }
            "content_block_stop" => assert_eq!(Some(&event["index"]), open.take().as_ref()),
            _ => {}
        }
    }
    assert_eq!(open, None, "every block is closed");
    blocks
}

#[test]
fn chunks_read_as_a_stream_of_messages() {
    let stream = [
        chunk(json!({"role": "assistant", "content": ""})),
        chunk(json!({"reasoning_content": "hm"})),
        chunk(json!({"content": "So"})),
        chunk(json!({"content": " be it."})),
        call(0, Some(("call_1", "f")), ""),
        call(0, None, "{\"a\":"),
        call(0, None, "1}"),
        finish("tool_calls"),
        json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}),
        Value::from("[DONE]"),
    ];
    let read = read(way(MESSAGES, CHAT), &stream);
    let want = [("thinking", "hm"), ("text", "So be it."), ("f", "{\"a\":1}")];
    assert_eq!(blocks(&read), want.map(|(kind, said)| (kind.to_owned(), said.to_owned())));
    assert_eq!((&read[0]["type"], &read[0]["message"]["model"]), (&json!("message_start"), &json!("gpt-x")));
    let [.., delta, stop] = &read[..] else { panic!("{read:?}") };
    assert_eq!(delta["delta"]["stop_reason"], "tool_use");
    assert_eq!((&delta["usage"]["input_tokens"], &delta["usage"]["output_tokens"]), (&json!(4), &json!(2)));
    assert_eq!(stop["type"], "message_stop");
}

#[test]
fn mixed_fragments_of_several_calls_become_whole_blocks_in_order() {
    let stream = [
        call(0, Some(("call_1", "f")), "{\"a\""),
        call(1, Some(("call_2", "g")), "{\"b\""),
        call(0, None, ":1}"),
        call(1, None, ":2}"),
        finish("tool_calls"),
    ];
    let want = [("f", "{\"a\":1}"), ("g", "{\"b\":2}")];
    assert_eq!(
        blocks(&read(way(MESSAGES, CHAT), &stream)),
        want.map(|(kind, said)| (kind.to_owned(), said.to_owned()))
    );
}

#[test]
fn a_stream_without_a_word_is_still_a_whole_message() {
    let read = read(way(MESSAGES, CHAT), &[finish("stop")]);
    let kinds: Vec<_> = read.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["message_start", "message_delta", "message_stop"]);
}
