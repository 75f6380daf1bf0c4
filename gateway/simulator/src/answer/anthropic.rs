//! Anthropic messages.
//!
//! Shapes: <https://docs.anthropic.com/en/api/messages> and `…/messages-streaming`.

use std::time::Duration;

use super::openai::{put, quoted};
use super::plan::Plan;
use super::turn::{Content, End, Turn};
use super::{Headers, Stamp, text};

pub(super) fn headers(stamp: &Stamp) -> Headers {
    vec![
        ("request-id".into(), stamp.request_id.clone().into()),
        ("anthropic-organization-id".into(), "11111111-2222-3333-4444-555555555555".into()),
        ("anthropic-ratelimit-requests-limit".into(), "20000".into()),
        ("anthropic-ratelimit-requests-remaining".into(), "19999".into()),
        ("anthropic-ratelimit-requests-reset".into(), "2030-01-01T00:00:00Z".into()),
        ("anthropic-ratelimit-tokens-limit".into(), "4800000".into()),
        ("anthropic-ratelimit-tokens-remaining".into(), "4800000".into()),
        ("anthropic-ratelimit-tokens-reset".into(), "2030-01-01T00:00:00Z".into()),
    ]
}

/// A plain answer.
pub(super) fn body(turn: &Turn<'_>) -> Vec<u8> {
    let content = match &turn.content {
        Content::Words(_) => format!("{{\"type\":\"text\",\"text\":\"{}\"}}", turn.text()),
        Content::Tool(call) => format!(
            "{{\"type\":\"tool_use\",\"id\":\"toolu_{}\",\"name\":{},\"input\":{},\"caller\":{{\"type\":\"direct\"}}}}",
            turn.stamp.tail, call.name, call.arguments
        ),
    };
    format!(
        "{{\"model\":{},\"id\":\"msg_{}\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{content}],\
         \"stop_reason\":\"{}\",\"stop_sequence\":null,\"stop_details\":null,\"usage\":{{{},\"output_tokens\":{},{},\
         \"service_tier\":\"standard\",\"inference_geo\":\"not_available\"}}}}",
        turn.model,
        turn.stamp.tail,
        stop_reason(turn.end),
        input_usage(turn),
        turn.usage.output_tokens,
        output_details(turn)
    )
    .into_bytes()
}

/// A stream. The usage of `message_delta` is cumulative, as the provider's is.
pub(super) fn stream(turn: &Turn<'_>, plan: &mut Plan) {
    plan.opening = 1;
    plan.push(Duration::ZERO, |body| {
        put(
            body,
            format_args!(
                "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"model\":{},\
                 \"id\":\"msg_{}\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\
                 \"stop_sequence\":null,\"stop_details\":null,\"usage\":{{{},\"output_tokens\":1,\
                 \"service_tier\":\"standard\",\"inference_geo\":\"not_available\"}}}}  }}\n\n",
                turn.model,
                turn.stamp.tail,
                input_usage(turn)
            ),
        );
    });
    let block = match &turn.content {
        Content::Words(_) => "{\"type\":\"text\",\"text\":\"\"}".to_owned(),
        Content::Tool(call) => format!(
            "{{\"type\":\"tool_use\",\"id\":\"toolu_{}\",\"name\":{},\"input\":{{}},\"caller\":{{\"type\":\"direct\"}}}}",
            turn.stamp.tail, call.name
        ),
    };
    event(plan, "content_block_start", &format!(",\"index\":0,\"content_block\":{block}    "));
    plan.push(Duration::ZERO, |body| body.extend_from_slice(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"));
    deltas(turn, plan);
    event(plan, "content_block_stop", ",\"index\":0       ");
    event(
        plan,
        "message_delta",
        &format!(
            ",\"delta\":{{\"stop_reason\":\"{}\",\"stop_sequence\":null,\"stop_details\":null}},\
             \"usage\":{{{},\"output_tokens\":{},{}}} ",
            stop_reason(turn.end),
            input_usage(turn),
            turn.usage.output_tokens,
            output_details(turn)
        ),
    );
    event(plan, "message_stop", "     ");
}

fn deltas(turn: &Turn<'_>, plan: &mut Plan) {
    const HEAD: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":";
    let from = plan.pieces.len();
    match &turn.content {
        Content::Words(words) => {
            for word in (0..*words).map(text::chunk_text) {
                plan.push(turn.pause, |body| {
                    body.extend_from_slice(HEAD.as_bytes());
                    put(body, format_args!("\"text_delta\",\"text\":\"{word}\"}}      }}\n\n"));
                });
            }
        }
        Content::Tool(call) => {
            for fragment in &call.fragments {
                plan.push(turn.pause, |body| {
                    body.extend_from_slice(HEAD.as_bytes());
                    put(
                        body,
                        format_args!("\"input_json_delta\",\"partial_json\":{}}}  }}\n\n", quoted(fragment)),
                    );
                });
            }
        }
    }
    plan.content = from..plan.pieces.len();
}

fn event(plan: &mut Plan, name: &str, rest: &str) {
    plan.push(Duration::ZERO, |body| {
        put(body, format_args!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n"));
    });
}

fn stop_reason(end: End) -> &'static str {
    match end {
        End::Stop => "end_turn",
        End::Length => "max_tokens",
        End::Tool => "tool_use",
    }
}

/// The input side; Anthropic's `input_tokens` leaves out what was read from or written to the cache.
fn input_usage(turn: &Turn<'_>) -> String {
    let usage = turn.usage;
    let fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens;
    format!(
        "\"input_tokens\":{fresh},\"cache_creation_input_tokens\":{written},\"cache_read_input_tokens\":{},\
         \"cache_creation\":{{\"ephemeral_5m_input_tokens\":{written},\"ephemeral_1h_input_tokens\":0}}",
        usage.cached_input_tokens,
        written = usage.cache_write_tokens
    )
}

fn output_details(turn: &Turn<'_>) -> String {
    format!("\"output_tokens_details\":{{\"thinking_tokens\":{}}}", turn.usage.reasoning_tokens)
}
