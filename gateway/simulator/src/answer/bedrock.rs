//! Bedrock's Converse, plain and as an event stream.
//!
//! Shapes: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html> and
//! `…_ConverseStream.html`

use std::time::Duration;

use super::openai::quoted;
use super::plan::Plan;
use super::turn::{Content, End, Turn};
use super::{Headers, Stamp, text};
use crate::event_stream;

/// What a stream is announced as.
pub(super) const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

pub(super) fn headers(stamp: &Stamp) -> Headers {
    vec![("x-amzn-requestid".into(), stamp.request_id.clone().into())]
}

/// A plain answer.
pub(super) fn body(turn: &Turn<'_>) -> Vec<u8> {
    let content = match &turn.content {
        Content::Words(_) => format!("{{\"text\":\"{}\"}}", turn.text()),
        Content::Tool(call) => format!(
            "{{\"toolUse\":{{\"input\":{},\"name\":{},\"toolUseId\":\"{}\"}}}}",
            call.arguments,
            call.name,
            tool_id(turn)
        ),
    };
    format!(
        "{{\"metrics\":{{\"latencyMs\":12}},\"output\":{{\"message\":{{\"content\":[{content}],\"role\":\"assistant\"}}}},\
         \"stopReason\":\"{}\",\"usage\":{}}}",
        stop_reason(turn.end),
        usage(turn)
    )
    .into_bytes()
}

/// A stream. Its usage stands in the last event alone.
pub(super) fn stream(turn: &Turn<'_>, plan: &mut Plan) {
    event(plan, Duration::ZERO, "messageStart", "{\"p\":\"abcdefghijk\",\"role\":\"assistant\"}");
    if let Content::Tool(call) = &turn.content {
        let start = format!(
            "{{\"contentBlockIndex\":0,\"p\":\"ab\",\"start\":{{\"toolUse\":{{\"name\":{},\"toolUseId\":\"{}\"}}}}}}",
            call.name,
            tool_id(turn)
        );
        event(plan, Duration::ZERO, "contentBlockStart", &start);
    }
    deltas(turn, plan);
    event(plan, Duration::ZERO, "contentBlockStop", "{\"contentBlockIndex\":0,\"p\":\"abcde\"}");
    let stop = format!("{{\"p\":\"abcdefg\",\"stopReason\":\"{}\"}}", stop_reason(turn.end));
    event(plan, Duration::ZERO, "messageStop", &stop);
    let metadata = format!("{{\"metrics\":{{\"latencyMs\":12}},\"p\":\"abc\",\"usage\":{}}}", usage(turn));
    event(plan, Duration::ZERO, "metadata", &metadata);
}

fn deltas(turn: &Turn<'_>, plan: &mut Plan) {
    let from = plan.pieces.len();
    let mut delta = |delta: String| {
        let payload = format!("{{\"contentBlockIndex\":0,\"delta\":{{{delta}}},\"p\":\"abcdefgh\"}}");
        event(plan, turn.pause, "contentBlockDelta", &payload);
    };
    match &turn.content {
        Content::Words(words) => {
            (0..*words).map(text::chunk_text).for_each(|word| delta(format!("\"text\":\"{word}\"")));
        }
        Content::Tool(call) => {
            for fragment in &call.fragments {
                delta(format!("\"toolUse\":{{\"input\":{}}}", quoted(fragment)));
            }
        }
    }
    plan.content = from..plan.pieces.len();
}

fn event(plan: &mut Plan, pause: Duration, name: &str, payload: &str) {
    plan.push(pause, |body| body.extend_from_slice(&event_stream::event(name, payload)));
}

fn tool_id(turn: &Turn<'_>) -> String {
    format!("tooluse_{}", turn.stamp.tail)
}

fn stop_reason(end: End) -> &'static str {
    match end {
        End::Stop => "end_turn",
        End::Length => "max_tokens",
        End::Tool => "tool_use",
    }
}

/// The counts; `inputTokens` leaves out what was read from or written to the cache.
fn usage(turn: &Turn<'_>) -> String {
    let usage = turn.usage;
    let fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens;
    format!(
        "{{\"cacheReadInputTokenCount\":{read},\"cacheReadInputTokens\":{read},\
         \"cacheWriteInputTokenCount\":{written},\"cacheWriteInputTokens\":{written},\"inputTokens\":{fresh},\
         \"outputTokens\":{},\"totalTokens\":{}}}",
        usage.output_tokens,
        usage.input_tokens + usage.output_tokens,
        read = usage.cached_input_tokens,
        written = usage.cache_write_tokens
    )
}
