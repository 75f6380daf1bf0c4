//! What the scripted targets say: the same in every dialect.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_simulator::event_stream;

use super::party::Party;

/// The text of every answer, with a letter that a cut can split.
pub(super) const TEXT: [&str; 2] = ["So be ", "it \u{1f600}."];
/// The tool that is called where tools are offered, the call's id, and its arguments.
pub(super) const TOOL: &str = "look";
pub(super) const CALL: &str = "call_1";
pub(super) const ARGUMENTS: [&str; 2] = ["{\"place\":\"K\u{f6}ln\",", "\"days\":2.50}"];
/// Tokens: input (some of it cached), cached input, output.
pub(super) const USAGE: [u64; 3] = [11, 3, 7];

pub(super) fn content_type(target: Party, stream: bool) -> &'static str {
    match (target, stream) {
        (_, false) => "application/json",
        (Party::Converse, true) => "application/vnd.amazon.eventstream",
        (_, true) => "text/event-stream",
    }
}

/// The answer of a target, with a call of a tool where `calls`.
pub(super) fn answer(target: Party, stream: bool, calls: bool) -> Bytes {
    match (target, stream) {
        (Party::Chat, false) => chat(calls).to_string().into(),
        (Party::Chat, true) => chat_stream(calls).into(),
        (Party::Responses, false) => response(calls, true).to_string().into(),
        (Party::Responses, true) => responses_stream(calls).into(),
        (Party::Messages, false) => messages(calls).to_string().into(),
        (Party::Messages, true) => messages_stream(calls).into(),
        (Party::Gemini, false) => gemini(&TEXT.concat(), calls, true).to_string().into(),
        (Party::Gemini, true) => gemini_stream(calls).into(),
        (Party::Converse, false) => converse(calls).to_string().into(),
        (Party::Converse, true) => converse_stream(calls).into(),
    }
}

fn arguments() -> Value {
    serde_json::from_str(&ARGUMENTS.concat()).expect("arguments are JSON")
}

fn named(kind: &str, data: &Value) -> String {
    format!("event: {kind}\ndata: {data}\n\n")
}

fn chat_usage() -> Value {
    let [input, cached, output] = USAGE;
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": cached}})
}

fn chat(calls: bool) -> Value {
    let mut message = json!({"role": "assistant", "content": TEXT.concat(), "refusal": null});
    if calls {
        message["tool_calls"] = json!([{"id": CALL, "type": "function", "function": {"name": TOOL, "arguments": ARGUMENTS.concat()}}]);
    }
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5-mini-2025",
        "choices": [{"index": 0, "message": message, "finish_reason": if calls { "tool_calls" } else { "stop" }}],
        "usage": chat_usage()})
}

fn chat_stream(calls: bool) -> String {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
            "model": "gpt-5-mini-2025", "choices": choices, "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
    };
    let call = |call: Value| delta(json!({"tool_calls": [call]}), Value::Null);
    let mut stream = delta(json!({"role": "assistant", "content": ""}), Value::Null);
    stream.extend(TEXT.map(|text| delta(json!({"content": text}), Value::Null)));
    if calls {
        stream += &call(
            json!({"index": 0, "id": CALL, "type": "function", "function": {"name": TOOL, "arguments": ""}}),
        );
        stream.extend(ARGUMENTS.map(|part| call(json!({"index": 0, "function": {"arguments": part}}))));
    }
    stream += &delta(json!({}), json!(if calls { "tool_calls" } else { "stop" }));
    stream + &chunk(json!([]), chat_usage()) + "data: [DONE]\n\n"
}

fn response_items(calls: bool) -> Vec<Value> {
    let mut items =
        vec![json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": TEXT.concat(), "annotations": [], "logprobs": []}]})];
    if calls {
        items.push(json!({"type": "function_call", "id": "fc_1", "call_id": CALL, "name": TOOL,
            "arguments": ARGUMENTS.concat(), "status": "completed"}));
    }
    items
}

fn response(calls: bool, ended: bool) -> Value {
    let [input, cached, output] = USAGE;
    let usage = json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output,
        "input_tokens_details": {"cached_tokens": cached}, "output_tokens_details": {"reasoning_tokens": 0}});
    json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5-mini-2025", "error": null,
        "status": if ended { "completed" } else { "in_progress" }, "incomplete_details": null,
        "output": if ended { response_items(calls) } else { Vec::new() },
        "usage": if ended { usage } else { Value::Null }})
}

fn responses_stream(calls: bool) -> String {
    let mut stream = String::new();
    let mut number = 0;
    let mut send = |kind: &str, mut event: Value| {
        event["type"] = json!(kind);
        event["sequence_number"] = json!(number);
        number += 1;
        stream += &named(kind, &event);
    };
    send("response.created", json!({"response": response(calls, false)}));
    send("response.in_progress", json!({"response": response(calls, false)}));
    for (place, item) in response_items(calls).iter().enumerate() {
        let mut opened = item.clone();
        let (emptied, kind, deltas) = match item["type"].as_str() {
            Some("message") => ("content", "response.output_text.delta", TEXT),
            _ => ("arguments", "response.function_call_arguments.delta", ARGUMENTS),
        };
        opened[emptied] = if emptied == "content" { json!([]) } else { json!("") };
        send("response.output_item.added", json!({"output_index": place, "item": opened}));
        for delta in deltas {
            send(
                kind,
                json!({"output_index": place, "content_index": 0, "item_id": item["id"], "delta": delta}),
            );
        }
        send("response.output_item.done", json!({"output_index": place, "item": item}));
    }
    send("response.completed", json!({"response": response(calls, true)}));
    stream
}

fn messages_usage() -> Value {
    let [input, cached, output] = USAGE;
    json!({"input_tokens": input - cached, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0,
        "output_tokens": output})
}

fn messages(calls: bool) -> Value {
    let mut content = vec![json!({"type": "text", "text": TEXT.concat()})];
    if calls {
        content.push(json!({"type": "tool_use", "id": CALL, "name": TOOL, "input": arguments()}));
    }
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6-2026",
        "content": content, "stop_reason": if calls { "tool_use" } else { "end_turn" }, "stop_sequence": null,
        "usage": messages_usage()})
}

fn messages_stream(calls: bool) -> String {
    let mut stream = String::new();
    let mut send = |kind: &str, mut event: Value| {
        event["type"] = json!(kind);
        stream += &named(kind, &event);
    };
    let mut usage = messages_usage();
    usage["output_tokens"] = json!(1);
    send(
        "message_start",
        json!({"message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [],
        "model": "claude-sonnet-4-6-2026", "stop_reason": null, "stop_sequence": null, "usage": usage}}),
    );
    let text = json!({"type": "text", "text": ""});
    let call = json!({"type": "tool_use", "id": CALL, "name": TOOL, "input": {}});
    let blocks = [(text, "text_delta", "text", TEXT), (call, "input_json_delta", "partial_json", ARGUMENTS)];
    for (index, (block, kind, member, deltas)) in blocks.into_iter().enumerate().take(1 + usize::from(calls))
    {
        send("content_block_start", json!({"index": index, "content_block": block}));
        for delta in deltas {
            send("content_block_delta", json!({"index": index, "delta": {"type": kind, member: delta}}));
        }
        send("content_block_stop", json!({"index": index}));
    }
    let reason = if calls { "tool_use" } else { "end_turn" };
    send(
        "message_delta",
        json!({"delta": {"stop_reason": reason, "stop_sequence": null}, "usage": messages_usage()}),
    );
    send("message_stop", json!({}));
    stream
}

fn gemini(text: &str, calls: bool, ended: bool) -> Value {
    let [input, cached, output] = USAGE;
    let mut parts = vec![json!({"text": text})];
    if calls {
        parts.push(json!({"functionCall": {"id": CALL, "name": TOOL, "args": arguments()}}));
    }
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if ended {
        candidate["finishReason"] = json!("STOP");
    }
    json!({"candidates": [candidate], "modelVersion": "gemini-2.5-flash-001", "responseId": "r-1", "usageMetadata": {
        "promptTokenCount": input, "cachedContentTokenCount": cached, "candidatesTokenCount": output,
        "totalTokenCount": input + output}})
}

fn gemini_stream(calls: bool) -> String {
    let [first, second] = TEXT;
    let chunks = [gemini(first, false, false), gemini(second, calls, true)];
    chunks.map(|chunk| format!("data: {chunk}\r\n\r\n")).concat()
}

fn converse_usage() -> Value {
    let [input, cached, output] = USAGE;
    json!({"inputTokens": input - cached, "cacheReadInputTokens": cached, "cacheWriteInputTokens": 0,
        "outputTokens": output, "totalTokens": input + output})
}

fn converse(calls: bool) -> Value {
    let mut content = vec![json!({"text": TEXT.concat()})];
    if calls {
        content.push(json!({"toolUse": {"toolUseId": CALL, "name": TOOL, "input": arguments()}}));
    }
    json!({"output": {"message": {"role": "assistant", "content": content}}, "metrics": {"latencyMs": 5},
        "stopReason": if calls { "tool_use" } else { "end_turn" }, "usage": converse_usage()})
}

fn converse_stream(calls: bool) -> Vec<u8> {
    let frame = |kind, payload: &Value| event_stream::event(kind, &payload.to_string());
    let mut stream = frame("messageStart", &json!({"role": "assistant"}));
    let delta = |index: u32, delta: Value| {
        frame("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}))
    };
    for text in TEXT {
        stream.extend(delta(0, json!({"text": text})));
    }
    stream.extend(frame("contentBlockStop", &json!({"contentBlockIndex": 0})));
    if calls {
        let start = json!({"toolUse": {"toolUseId": CALL, "name": TOOL}});
        stream.extend(frame("contentBlockStart", &json!({"contentBlockIndex": 1, "start": start})));
        for part in ARGUMENTS {
            stream.extend(delta(1, json!({"toolUse": {"input": part}})));
        }
        stream.extend(frame("contentBlockStop", &json!({"contentBlockIndex": 1})));
    }
    let reason = if calls { "tool_use" } else { "end_turn" };
    stream.extend(frame("messageStop", &json!({"stopReason": reason})));
    stream.extend(frame("metadata", &json!({"usage": converse_usage(), "metrics": {"latencyMs": 5}})));
    stream
}
