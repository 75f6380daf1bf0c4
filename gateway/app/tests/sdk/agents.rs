//! The model that coding agents talk to: a script that runs one command and then tells what it printed.

use serde_json::{Value, json};
use tollgate_simulator::{At, Fault, Incoming, Operation, Piece, Script};

use crate::stage::USAGE;

const COMMAND: &str = "cat note.txt";

/// What a coding agent's call is answered; `None` for calls of other models.
pub(crate) fn script(call: &Incoming) -> Option<Script> {
    let model = call.model.as_deref().filter(|model| model.starts_with("agent"))?;
    let body = String::from_utf8_lossy(&call.body);
    let events = match call.operation {
        Operation::Responses => responses(model, &body),
        Operation::Messages => messages(model, &body),
        _ => return None,
    };
    let pieces = events.iter().map(|event| {
        let name = event["type"].as_str().unwrap_or_default();
        Piece::new(format!("event: {name}\ndata: {event}\n\n"))
    });
    let script = Script::events(pieces.collect());
    // After the first content has passed, so that the gateway cannot ask elsewhere.
    let dies = model.ends_with("dies");
    Some(if dies { script.then(Fault::Reset(At::Chunk(CHUNKS_BEFORE_DEATH))) } else { script })
}

/// Events that leave before a dying stream breaks off: up to a piece of text in both dialects.
const CHUNKS_BEFORE_DEATH: u32 = 3;

/// The model's last words; that it read the note shows only if the tool's result came back to it.
fn conclusion(request: &str) -> &'static str {
    if request.contains("The word is plover.") {
        "The note says: The word is plover."
    } else {
        "The note is empty."
    }
}

/// A turn of OpenAI's Responses API.
fn responses(model: &str, request: &str) -> Vec<Value> {
    let answer = json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": model, "output": [] });
    let item = if request.contains("function_call_output") || model.ends_with("dies") {
        json!({ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": conclusion(request), "annotations": [] }] })
    } else {
        json!({ "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "exec_command",
            "arguments": json!({ "cmd": COMMAND }).to_string(), "status": "completed" })
    };
    let mut events = vec![
        json!({ "type": "response.created", "sequence_number": 0, "response": answer }),
        json!({ "type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item }),
    ];
    if item["type"] == "message" {
        events.push(json!({ "type": "response.output_text.delta", "sequence_number": 2, "item_id": "msg_1",
            "output_index": 0, "content_index": 0, "delta": conclusion(request) }));
    }
    let (input, output) = USAGE;
    let mut whole = answer;
    whole["status"] = "completed".into();
    whole["output"] = json!([item]);
    whole["usage"] = json!({
        "input_tokens": input, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": output, "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": input + output,
    });
    events.extend([
        json!({ "type": "response.output_item.done", "sequence_number": 3, "output_index": 0, "item": item }),
        json!({ "type": "response.completed", "sequence_number": 4, "response": whole }),
    ]);
    events
}

/// A turn of Anthropic's Messages API.
fn messages(model: &str, request: &str) -> Vec<Value> {
    let (input, output) = USAGE;
    let start = json!({ "type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": input, "output_tokens": 1 },
    } });
    let (block, delta, reason) = if request.contains("\"tool_result\"") || model.ends_with("dies") {
        let text = json!({ "type": "text", "text": "" });
        (text, json!({ "type": "text_delta", "text": conclusion(request) }), "end_turn")
    } else {
        let call = json!({ "type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {} });
        let arguments = json!({ "command": COMMAND, "description": "Show the note" }).to_string();
        (call, json!({ "type": "input_json_delta", "partial_json": arguments }), "tool_use")
    };
    vec![
        start,
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null }, "usage": { "output_tokens": output } }),
        json!({ "type": "message_stop" }),
    ]
}
