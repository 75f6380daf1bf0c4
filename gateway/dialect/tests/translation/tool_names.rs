//! A tool's name that the upstream's dialect does not take goes there as another, and comes back.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::{Dialect, Framing, HubAsk, HubTold, NameRule, Operation};

use crate::{CHAT, CONVERSE, CONVERSE_STREAM, GENERATE, MESSAGES, RESPONSES, STREAM, aws, told, way};

type Side = (Dialect, Operation);

const SIDES: [Side; 5] = [CHAT, RESPONSES, MESSAGES, GENERATE, CONVERSE];

/// A conversation that defines two tools, has called the first one, and demands it again.
fn asked(side: Side, first: &str, second: &str) -> Value {
    let tools = [first, second];
    match side {
        CHAT => json!({"model": "m", "messages": [
                {"role": "user", "content": "Hi."},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": first, "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "x"}],
            "tools": tools.map(|name| json!({"type": "function", "function": {"name": name}})),
            "tool_choice": {"type": "function", "function": {"name": first}}}),
        RESPONSES => json!({"model": "m", "store": false, "input": [
                {"role": "user", "content": "Hi."},
                {"type": "function_call", "call_id": "c1", "name": first, "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "x"}],
            "tools": tools.map(|name| json!({"type": "function", "name": name, "strict": false, "parameters": {"type": "object"}})),
            "tool_choice": {"type": "function", "name": first}}),
        MESSAGES => json!({"model": "m", "max_tokens": 9, "messages": [
                {"role": "user", "content": "Hi."},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": first, "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "x"}]}],
            "tools": tools.map(|name| json!({"name": name, "input_schema": {"type": "object"}})),
            "tool_choice": {"type": "tool", "name": first}}),
        GENERATE => json!({"contents": [
                {"role": "user", "parts": [{"text": "Hi."}]},
                {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": first, "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": first, "response": {"result": "x"}}}]}],
            "tools": [{"functionDeclarations": tools.map(|name| json!({"name": name}))}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [first]}}}),
        _ => json!({"messages": [
                {"role": "user", "content": [{"text": "Hi."}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": first, "input": {}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "x"}]}}]}],
            "toolConfig": {
                "tools": tools.map(|name| json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}})),
                "toolChoice": {"tool": {"name": first}}}}),
    }
}

/// Where the names of [`asked`] stand in a side's body: defined, called, demanded. Only Gemini's results
/// name their tool too.
fn names(side: Side, body: &Value) -> Vec<String> {
    let places: &[&str] = match side {
        CHAT => &[
            "/tools/0/function/name",
            "/tools/1/function/name",
            "/messages/1/tool_calls/0/function/name",
            "/tool_choice/function/name",
        ],
        RESPONSES => &["/tools/0/name", "/tools/1/name", "/input/1/name", "/tool_choice/name"],
        MESSAGES => &["/tools/0/name", "/tools/1/name", "/messages/1/content/0/name", "/tool_choice/name"],
        GENERATE => &[
            "/tools/0/functionDeclarations/0/name",
            "/tools/0/functionDeclarations/1/name",
            "/contents/1/parts/0/functionCall/name",
            "/contents/2/parts/0/functionResponse/name",
            "/toolConfig/functionCallingConfig/allowedFunctionNames/0",
        ],
        _ => &[
            "/toolConfig/tools/0/toolSpec/name",
            "/toolConfig/tools/1/toolSpec/name",
            "/messages/1/content/0/toolUse/name",
            "/toolConfig/toolChoice/tool/name",
        ],
    };
    let name = |place: &&str| body.pointer(place).and_then(Value::as_str).map(str::to_owned);
    places.iter().map(|place| name(place).unwrap_or_else(|| panic!("{side:?} {place}: {body}"))).collect()
}

/// A whole answer of a side that calls this tool.
fn answer(side: Side, name: &str) -> Value {
    match side {
        CHAT => {
            json!({"id": "x", "object": "chat.completion", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c2", "type": "function", "function": {"name": name, "arguments": "{}"}}]}}]})
        }
        RESPONSES => json!({"id": "x", "object": "response", "model": "m", "status": "completed", "output": [
            {"type": "function_call", "id": "fc", "call_id": "c2", "name": name, "arguments": "{}"}]}),
        MESSAGES => {
            json!({"id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
            "content": [{"type": "tool_use", "id": "c2", "name": name, "input": {}}]})
        }
        GENERATE => json!({"candidates": [{"finishReason": "STOP", "content": {"role": "model",
            "parts": [{"functionCall": {"id": "c2", "name": name, "args": {}}}]}}]}),
        _ => json!({"output": {"message": {"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "c2", "name": name, "input": {}}}]}}, "stopReason": "tool_use",
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
    }
}

/// The same as the events of a stream, as they come.
fn stream(side: Side, name: &str) -> Vec<u8> {
    let events: Vec<Value> = match side {
        CHAT => vec![
            json!({"model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [
                {"index": 0, "id": "c2", "type": "function", "function": {"name": name, "arguments": "{}"}}]}}]}),
            json!({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        ],
        RESPONSES => vec![
            json!({"type": "response.created", "response": {"id": "x", "model": "m"}}),
            json!({"type": "response.output_item.added", "output_index": 0,
                "item": {"type": "function_call", "id": "fc", "call_id": "c2", "name": name, "arguments": ""}}),
            json!({"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "fc", "delta": "{}"}),
            json!({"type": "response.completed", "response": answer(RESPONSES, name)}),
        ],
        MESSAGES => vec![
            json!({"type": "message_start", "message": {"model": "m"}}),
            json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "tool_use", "id": "c2", "name": name, "input": {}}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
            json!({"type": "message_stop"}),
        ],
        GENERATE => vec![answer(GENERATE, name)],
        _ => {
            return [
                json!({"event": "messageStart", "payload": {"role": "assistant"}}),
                json!({"event": "contentBlockStart", "payload": {"contentBlockIndex": 0,
                    "start": {"toolUse": {"toolUseId": "c2", "name": name}}}}),
                json!({"event": "contentBlockStop", "payload": {"contentBlockIndex": 0}}),
                json!({"event": "messageStop", "payload": {"stopReason": "tool_use"}}),
            ]
            .iter()
            .flat_map(aws::written)
            .collect();
        }
    };
    events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into_bytes()
}

/// Both ways of a stream ask for it by another operation in some dialects.
fn streamed(side: Side) -> Side {
    match side {
        GENERATE => STREAM,
        CONVERSE => CONVERSE_STREAM,
        side => side,
    }
}

fn rule(side: Side) -> NameRule {
    side.0.codec().hub_of(side.1).expect("it can be translated").tool_names()
}

/// A name and another that looks like it, so that letters alone do not tell them apart.
const ODD: [(&str, &str); 5] = [
    ("get.weather", "get:weather"),
    ("2nd", "2nd."),
    ("wetter für alle", "wetter fur alle"),
    ("a_name_of_some_seventy_letters_that_mostly_says_where_a_tool_comes_from", "f"),
    ("mcp server/tool", "mcp server\\tool"),
];

#[test]
fn an_odd_name_is_another_one_at_the_upstream_and_its_own_at_the_client() {
    for from in SIDES {
        for to in SIDES.into_iter().filter(|to| *to != from) {
            for (first, second) in ODD {
                round_trip(from, to, first, second);
            }
        }
    }
}

fn round_trip(from: Side, to: Side, first: &str, second: &str) {
    let case = format!("{from:?} to {to:?}: {first}");
    let way = way(from, to);
    let asked = way.read(asked(from, first, second).to_string().as_bytes()).expect(&case);
    let ask = HubAsk { model: "m", output_cap: 9, insert_cap: false, ask_usage: false, may_drop: &[] };
    let written = way.request(&asked, &ask).expect(&case);
    let written: Value = serde_json::from_slice(&written.body).expect("JSON");
    let names = names(to, &written);
    let (sent, other) = (&names[0], &names[1]);
    assert_ne!(sent, other, "{case}");
    assert!(names[2..].iter().all(|name| name == sent), "{case}: {names:?}");
    for (name, own) in [(sent, first), (other, second)] {
        assert!(rule(to).permits(name), "{case}: {name}");
        assert_eq!(name == own, rule(to).permits(own), "{case}: only what is refused is renamed");
    }

    let told = HubTold { asked: Some(&asked), ..told(None) };
    let reply = way.reply(answer(to, sent).to_string().as_bytes(), &told).expect(&case);
    let reply = String::from_utf8(reply).expect("text");
    calls_it(&reply, first, sent, &case);

    let framing = if to == CONVERSE { Framing::EventStream } else { Framing::Events };
    let mut splitter = framing.splitter();
    splitter.push(Bytes::from(stream(to, sent)));
    let mut translation = crate::way(streamed(from), to).stream(&told, false);
    let mut out: Vec<u8> = Vec::new();
    for event in splitter.by_ref() {
        out.extend(translation.event(&event));
    }
    out.extend(translation.finish(None));
    calls_it(&String::from_utf8_lossy(&out), first, sent, &case);
}

/// The client reads its own name of the tool, and not the upstream's.
fn calls_it(text: &str, own: &str, sent: &str, case: &str) {
    let quoted = |name: &str| json!(name).to_string();
    assert!(text.contains(&format!("\"name\":{}", quoted(own))), "{case}: {text}");
    assert!(sent == own || !text.contains(&quoted(sent)), "{case}: {text}");
}

#[test]
fn a_tool_that_a_model_made_up_keeps_its_name() {
    let asked = way(CHAT, MESSAGES).read(asked(CHAT, "a.b", "c").to_string().as_bytes()).expect("fair");
    let told = HubTold { asked: Some(&asked), ..told(None) };
    let reply = way(CHAT, MESSAGES).reply(answer(MESSAGES, "a_b").to_string().as_bytes(), &told);
    let reply: Value = serde_json::from_slice(&reply.expect("an answer")).expect("JSON");
    assert_eq!(reply["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "a_b");
}
