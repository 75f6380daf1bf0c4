//! Gemini: generated content in one piece and as a stream in either frame, embeddings, the token count.
//!
//! Shapes: <https://ai.google.dev/api/generate-content> and `…/embeddings`.

use std::time::Duration;

use serde_json::{Value, json};

use super::embeddings::{DIMENSIONS, MAX_DIMENSIONS, vector};
use super::plan::Plan;
use super::turn::{Content, End, Turn};
use super::{Headers, text};
use crate::request::Asked;
use crate::{Incoming, Operation};

pub(super) fn headers() -> Headers {
    vec![("server-timing".into(), "gfet4t7; dur=27".into())]
}

/// True when the caller wants a stream as server-sent events and not as one JSON array.
pub(super) fn wants_events(incoming: &Incoming) -> bool {
    let query = incoming.path.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair == "alt=sse")
}

/// A plain answer.
pub(super) fn body(turn: &Turn<'_>) -> Vec<u8> {
    let part = match &turn.content {
        Content::Words(_) => format!("{{\"text\":\"{}\"}}", turn.text()),
        Content::Tool(call) => called(call),
    };
    let candidates = candidates(turn, &part, Some(turn.end));
    chunk(turn, &candidates, turn.usage.output_tokens).into_bytes()
}

/// A stream: every chunk is a whole answer with the new parts and the totals so far.
pub(super) fn stream(turn: &Turn<'_>, events: bool, plan: &mut Plan) {
    let mut frame = Frame { events, began: false };
    match &turn.content {
        Content::Words(words) => {
            for word in 0..*words {
                let part = format!("{{\"text\":\"{}\"}}", text::chunk_text(word));
                let said = turn.usage.reasoning_tokens + u64::from(word + 1) * u64::from(turn.choices);
                frame.push(plan, turn.pause, &chunk(turn, &candidates(turn, &part, None), said));
            }
        }
        Content::Tool(call) => {
            let said = turn.usage.output_tokens;
            frame.push(plan, turn.pause, &chunk(turn, &candidates(turn, &called(call), None), said));
        }
    }
    plan.content = 0..plan.pieces.len();
    let last = candidates(turn, "{\"text\":\"\"}", Some(turn.end));
    frame.push(plan, Duration::ZERO, &chunk(turn, &last, turn.usage.output_tokens));
    if !events {
        plan.push(Duration::ZERO, |body| body.extend_from_slice(b"\n]\n"));
    }
}

/// What stands around the chunks.
struct Frame {
    events: bool,
    began: bool,
}

impl Frame {
    fn push(&mut self, plan: &mut Plan, pause: Duration, chunk: &str) {
        let began = std::mem::replace(&mut self.began, true);
        let (before, after) = match (self.events, began) {
            (true, _) => ("data: ", "\r\n\r\n"),
            (false, false) => ("[", ""),
            (false, true) => (",\r\n", ""),
        };
        plan.push(pause, |body| body.extend_from_slice(format!("{before}{chunk}{after}").as_bytes()));
    }
}

/// The event or the element with which the provider says that a stream has failed.
pub(super) fn error_event(events: bool, began: bool) -> String {
    let error = json!({"error": {"code": 503, "message": "The model is overloaded. Please try again later.",
        "status": "UNAVAILABLE"}});
    match (events, began) {
        (true, _) => format!("data: {error}\r\n\r\n"),
        (false, false) => format!("[{error}\n]\n"),
        (false, true) => format!(",\r\n{error}\n]\n"),
    }
}

fn called(call: &super::turn::ToolCall) -> String {
    format!("{{\"functionCall\":{{\"name\":{},\"args\":{}}}}}", call.name, call.arguments)
}

/// The same part for each candidate.
fn candidates(turn: &Turn<'_>, part: &str, end: Option<End>) -> String {
    let finish = end.map_or(String::new(), |end| format!(",\"finishReason\":\"{}\"", finish_reason(end)));
    let all: Vec<String> = (0..turn.choices)
        .map(|index| {
            format!("{{\"content\":{{\"parts\":[{part}],\"role\":\"model\"}}{finish},\"index\":{index}}}")
        })
        .collect();
    all.join(",")
}

/// Calls of tools end as words do.
fn finish_reason(end: End) -> &'static str {
    match end {
        End::Stop | End::Tool => "STOP",
        End::Length => "MAX_TOKENS",
    }
}

/// A chunk that states so many output tokens, reasoning included.
fn chunk(turn: &Turn<'_>, candidates: &str, output: u64) -> String {
    let usage = turn.usage;
    let thoughts = usage.reasoning_tokens;
    format!(
        "{{\"candidates\":[{candidates}],\"usageMetadata\":{{\"promptTokenCount\":{},\
         \"cachedContentTokenCount\":{},\"candidatesTokenCount\":{},\"thoughtsTokenCount\":{thoughts},\
         \"totalTokenCount\":{}}},\"modelVersion\":{},\"responseId\":\"{}\"}}",
        usage.input_tokens,
        usage.cached_input_tokens,
        output - thoughts,
        usage.input_tokens + output,
        turn.model,
        turn.stamp.tail,
    )
}

/// The token count, which is free.
pub(super) fn count(asked: &Asked<'_>) -> Vec<u8> {
    json!({ "totalTokens": asked.input_tokens() }).to_string().into_bytes()
}

/// One vector, or one for each request. The developer API tells no usage; this one does, as Vertex does.
pub(super) fn embeddings(operation: Operation, asked: &Asked<'_>, tokens: u64) -> Vec<u8> {
    let values = |index: usize, dimensions: Option<usize>| -> Value {
        let dimensions = dimensions.unwrap_or(DIMENSIONS).min(MAX_DIMENSIONS);
        json!({ "values": vector(index, dimensions) })
    };
    let usage = json!({ "promptTokenCount": tokens });
    let answer = if operation == Operation::BatchEmbedContents {
        let requests = asked.requests.iter().flatten().enumerate();
        let all: Vec<Value> = requests.map(|(index, one)| values(index, one.output_dimensionality)).collect();
        json!({ "embeddings": all, "usageMetadata": usage })
    } else {
        json!({ "embedding": values(0, asked.output_dimensionality), "usageMetadata": usage })
    };
    answer.to_string().into_bytes()
}
