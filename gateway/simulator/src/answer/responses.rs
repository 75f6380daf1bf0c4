//! OpenAI responses.
//!
//! Shapes: <https://platform.openai.com/docs/api-reference/responses-streaming>.

use std::time::Duration;

use serde_json::{Value, json};

use super::openai::{put, quoted};
use super::plan::Plan;
use super::text;
use super::turn::{Content, End, ToolCall, Turn};

/// A plain answer.
pub(super) fn body(turn: &Turn<'_>) -> Vec<u8> {
    response(turn, Stage::Ended).to_string().into_bytes()
}

/// A stream, from `response.created` to `response.completed` or `response.incomplete`.
pub(super) fn stream(turn: &Turn<'_>, plan: &mut Plan) {
    let mut events = Events { plan, sequence: 0 };
    let opened = response(turn, Stage::Opened);
    events.send("response.created", Duration::ZERO, &format!(",\"response\":{opened}"));
    events.send("response.in_progress", Duration::ZERO, &format!(",\"response\":{opened}"));
    let item = item(turn, Stage::Opened);
    events.send(
        "response.output_item.added",
        Duration::ZERO,
        &format!(",\"output_index\":0,\"item\":{item}"),
    );
    match &turn.content {
        Content::Words(words) => message_events(turn, *words, &mut events),
        Content::Tool(call) => call_events(turn, call, &mut events),
    }
    let item = self::item(turn, Stage::Ended);
    events.send("response.output_item.done", Duration::ZERO, &format!(",\"output_index\":0,\"item\":{item}"));
    let last = if turn.end == End::Length { "response.incomplete" } else { "response.completed" };
    events.send(last, Duration::ZERO, &format!(",\"response\":{}", response(turn, Stage::Ended)));
}

fn message_events(turn: &Turn<'_>, words: u32, events: &mut Events<'_>) {
    let place = format!(",\"item_id\":\"msg_{}\",\"output_index\":0,\"content_index\":0", turn.stamp.tail);
    let part = part("");
    events.send("response.content_part.added", Duration::ZERO, &format!("{place},\"part\":{part}"));
    let from = events.plan.pieces.len();
    for word in (0..words).map(text::chunk_text) {
        let rest = format!("{place},\"delta\":\"{word}\",\"logprobs\":[],\"obfuscation\":\"kX0qvT3m\"");
        events.send("response.output_text.delta", turn.pause, &rest);
    }
    events.plan.content = from..events.plan.pieces.len();
    let whole = turn.text();
    let rest = format!("{place},\"text\":{},\"logprobs\":[]", quoted(&whole));
    events.send("response.output_text.done", Duration::ZERO, &rest);
    let part = self::part(&whole);
    events.send("response.content_part.done", Duration::ZERO, &format!("{place},\"part\":{part}"));
}

fn call_events(turn: &Turn<'_>, call: &ToolCall, events: &mut Events<'_>) {
    let place = format!(",\"item_id\":\"fc_{}\",\"output_index\":0", turn.stamp.tail);
    let from = events.plan.pieces.len();
    for fragment in &call.fragments {
        let rest = format!("{place},\"delta\":{},\"obfuscation\":\"kX0qvT3m\"", quoted(fragment));
        events.send("response.function_call_arguments.delta", turn.pause, &rest);
    }
    events.plan.content = from..events.plan.pieces.len();
    let rest = format!("{place},\"arguments\":{},\"name\":{}", quoted(&call.arguments), call.name);
    events.send("response.function_call_arguments.done", Duration::ZERO, &rest);
}

struct Events<'a> {
    plan: &'a mut Plan,
    sequence: u64,
}

impl Events<'_> {
    fn send(&mut self, kind: &str, pause: Duration, rest: &str) {
        let sequence = self.sequence;
        self.plan.push(pause, |body| {
            put(
                body,
                format_args!(
                    "event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{sequence}{rest}}}\n\n"
                ),
            );
        });
        self.sequence += 1;
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    Opened,
    Ended,
}

/// The response object, whole in every event that carries it.
fn response(turn: &Turn<'_>, stage: Stage) -> Value {
    let ended = stage == Stage::Ended;
    let cut = ended && turn.end == End::Length;
    let status = match (ended, cut) {
        (false, _) => "in_progress",
        (true, true) => "incomplete",
        (true, false) => "completed",
    };
    let output = if ended { vec![item(turn, stage)] } else { Vec::new() };
    let usage = turn.usage;
    let model: Value = serde_json::from_str(&turn.model).expect("a JSON string since the turn was made");
    json!({
        "id": format!("resp_{}", turn.stamp.tail),
        "object": "response",
        "created_at": turn.stamp.created,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": if cut { json!({ "reason": "max_output_tokens" }) } else { Value::Null },
        "instructions": null,
        "max_output_tokens": turn.output_cap,
        "max_tool_calls": null,
        "model": model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null },
        "service_tier": if ended { "default" } else { "auto" },
        "store": false,
        "temperature": 1.0,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": if ended { json!({
            "input_tokens": usage.input_tokens,
            "input_tokens_details": { "cached_tokens": usage.cached_input_tokens, "cache_write_tokens": usage.cache_write_tokens },
            "output_tokens": usage.output_tokens,
            "output_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }) } else { Value::Null },
        "user": null,
        "metadata": {},
    })
}

/// The one output item: a message or a function call.
fn item(turn: &Turn<'_>, stage: Stage) -> Value {
    let ended = stage == Stage::Ended;
    let status = match (ended, turn.end) {
        (false, _) => "in_progress",
        (true, End::Length) => "incomplete",
        (true, _) => "completed",
    };
    match &turn.content {
        Content::Words(_) => json!({
            "id": format!("msg_{}", turn.stamp.tail),
            "type": "message",
            "status": status,
            "content": if ended { vec![part(&turn.text())] } else { Vec::new() },
            "role": "assistant",
        }),
        Content::Tool(call) => json!({
            "id": format!("fc_{}", turn.stamp.tail),
            "type": "function_call",
            "status": status,
            "arguments": if ended { call.arguments.as_str() } else { "" },
            "call_id": format!("call_{}", turn.stamp.tail),
            "name": serde_json::from_str::<Value>(&call.name).expect("a JSON string since the call was made"),
        }),
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}
