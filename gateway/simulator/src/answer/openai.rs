//! OpenAI chat completions, with Azure's additions where the path is Azure's.
//!
//! Shapes: <https://platform.openai.com/docs/api-reference/chat>.

use std::io::Write;
use std::time::Duration;

use super::plan::Plan;
use super::turn::{Content, End, ToolCall, Turn};
use super::{Family, Headers, Stamp, azure, text};

/// Pads a stream's chunks to the size that api.openai.com gives them.
const OBFUSCATION: &str = "kX0qvT3mZ8sY";

pub(super) fn headers(stamp: &Stamp) -> Headers {
    vec![
        ("x-request-id".into(), stamp.request_id.clone().into()),
        ("openai-processing-ms".into(), "27".into()),
        ("openai-version".into(), "2020-10-01".into()),
        ("x-ratelimit-limit-requests".into(), "10000".into()),
        ("x-ratelimit-limit-tokens".into(), "2000000".into()),
        ("x-ratelimit-remaining-requests".into(), "9999".into()),
        ("x-ratelimit-remaining-tokens".into(), "1999972".into()),
        ("x-ratelimit-reset-requests".into(), "6ms".into()),
        ("x-ratelimit-reset-tokens".into(), "0s".into()),
    ]
}

/// A plain answer.
pub(super) fn body(turn: &Turn<'_>) -> Vec<u8> {
    let message = match &turn.content {
        Content::Words(_) => format!(
            "{{\"role\":\"assistant\",\"content\":\"{}\",\"refusal\":null,\"annotations\":[]}}",
            turn.text()
        ),
        Content::Tool(call) => format!(
            "{{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{{\"id\":\"call_{}\",\
             \"type\":\"function\",\"function\":{{\"name\":{},\"arguments\":{}}}}}],\"refusal\":null,\
             \"annotations\":[]}}",
            turn.stamp.tail,
            call.name,
            quoted(&call.arguments)
        ),
    };
    let (filtered, prompt_filtered) = match turn.family {
        Family::Azure => (azure::CHOICE_FILTER, azure::PROMPT_FILTER),
        _ => ("", ""),
    };
    let choices: Vec<String> = (0..turn.choices)
        .map(|index| {
            format!(
                "{{\"index\":{index},\"message\":{message},\"logprobs\":null,\"finish_reason\":\"{}\"{filtered}}}",
                finish(turn.end)
            )
        })
        .collect();
    format!(
        "{{\"id\":\"chatcmpl-{}\",\"object\":\"chat.completion\",\"created\":{},\"model\":{},\"choices\":[{}],\
         \"usage\":{},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_50cad350e4\"{prompt_filtered}}}",
        turn.stamp.tail,
        turn.stamp.created,
        turn.model,
        choices.join(","),
        usage(turn)
    )
    .into_bytes()
}

/// A stream: role, content, finish, usage if asked, `[DONE]`.
pub(super) fn stream(turn: &Turn<'_>, plan: &mut Plan) {
    let chunks = Chunks::new(turn);
    let choices = 0..turn.choices;
    if turn.family == Family::Azure {
        plan.push(Duration::ZERO, |body| body.extend_from_slice(azure::FIRST_CHUNK.as_bytes()));
    }
    for choice in choices.clone() {
        plan.push(Duration::ZERO, |body| {
            chunks.write(
                body,
                choice,
                format_args!("{{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}}"),
                None,
            );
        });
    }
    let content_from = plan.pieces.len();
    match &turn.content {
        Content::Words(words) => {
            for word in (0..*words).map(text::chunk_text) {
                for choice in choices.clone() {
                    plan.push(turn.pause, |body| {
                        chunks.write(body, choice, format_args!("{{\"content\":\"{word}\"}}"), None);
                    });
                }
            }
        }
        Content::Tool(call) => {
            for choice in choices.clone() {
                tool_chunks(turn, call, &chunks, choice, plan);
            }
        }
    }
    plan.content = content_from..plan.pieces.len();
    for choice in choices {
        plan.push(Duration::ZERO, |body| {
            chunks.write(body, choice, format_args!("{{}}"), Some(finish(turn.end)));
        });
    }
    if turn.include_usage {
        let usage = usage(turn);
        plan.push(Duration::ZERO, |body| {
            body.extend_from_slice(chunks.head.as_bytes());
            put(body, format_args!("],\"usage\":{usage},\"obfuscation\":\"\"}}\n\n"));
        });
    }
    plan.push(Duration::ZERO, |body| body.extend_from_slice(b"data: [DONE]\n\n"));
}

fn tool_chunks(turn: &Turn<'_>, call: &ToolCall, chunks: &Chunks, choice: u32, plan: &mut Plan) {
    plan.push(turn.pause, |body| {
        let delta = format_args!(
            "{{\"tool_calls\":[{{\"index\":0,\"id\":\"call_{}\",\"type\":\"function\",\
             \"function\":{{\"name\":{},\"arguments\":\"\"}}}}]}}",
            turn.stamp.tail, call.name
        );
        chunks.write(body, choice, delta, None);
    });
    for fragment in &call.fragments {
        plan.push(turn.pause, |body| {
            let delta = format_args!(
                "{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":{}}}}}]}}",
                quoted(fragment)
            );
            chunks.write(body, choice, delta, None);
        });
    }
}

/// What all chunks of one stream share, written once.
struct Chunks {
    /// Up to the opening bracket of `choices`.
    head: String,
    tail: String,
}

impl Chunks {
    fn new(turn: &Turn<'_>) -> Self {
        let head = format!(
            "data: {{\"id\":\"chatcmpl-{}\",\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":{},\
             \"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[",
            turn.stamp.tail, turn.stamp.created, turn.model
        );
        let usage = if turn.include_usage { "\"usage\":null," } else { "" };
        Self { head, tail: format!("],{usage}\"obfuscation\":\"{OBFUSCATION}\"}}\n\n") }
    }

    fn write(&self, body: &mut Vec<u8>, choice: u32, delta: std::fmt::Arguments<'_>, finish: Option<&str>) {
        body.extend_from_slice(self.head.as_bytes());
        put(
            body,
            format_args!("{{\"index\":{choice},\"delta\":{delta},\"logprobs\":null,\"finish_reason\":"),
        );
        match finish {
            Some(reason) => put(body, format_args!("\"{reason}\"}}")),
            None => body.extend_from_slice(b"null}"),
        }
        body.extend_from_slice(self.tail.as_bytes());
    }
}

/// Formats into a buffer.
pub(super) fn put(body: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    body.write_fmt(text).expect("a vector takes every write");
}

/// A JSON string, quotes included.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn finish(end: End) -> &'static str {
    match end {
        End::Stop => "stop",
        End::Length => "length",
        End::Tool => "tool_calls",
    }
}

fn usage(turn: &Turn<'_>) -> String {
    let usage = turn.usage;
    let written = match usage.cache_write_tokens {
        0 => String::new(),
        tokens => format!("\"cache_write_tokens\":{tokens},"),
    };
    format!(
        "{{\"prompt_tokens\":{},\"completion_tokens\":{},\"total_tokens\":{},\
         \"prompt_tokens_details\":{{\"cached_tokens\":{},{written}\"audio_tokens\":0}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":{},\"audio_tokens\":0,\
         \"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}}",
        usage.input_tokens,
        usage.output_tokens,
        usage.input_tokens + usage.output_tokens,
        usage.cached_input_tokens,
        usage.reasoning_tokens
    )
}
