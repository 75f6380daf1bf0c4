//! Bedrock's InvokeModel: what a model's vendor defined, and AWS's counts beside it. Models with `embed`
//! in their names make vectors, as Titan or Cohere words them; all others speak as Anthropic's do.
//!
//! Shapes: <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html>

use serde_json::json;

use super::embeddings::{DIMENSIONS, MAX_DIMENSIONS, vector};
use super::plan::Plan;
use super::turn::Turn;
use super::{Headers, Stamp, anthropic, cohere};
use crate::book::Usage;
use crate::event_stream;
use crate::request::Asked;

/// True for a model that makes vectors.
pub(super) fn embeds(model: &str) -> bool {
    model.contains("embed")
}

/// The headers that state what a plain call took.
pub(super) fn counts(usage: &Usage) -> Headers {
    let fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens;
    let count = |name: &str, count: u64| {
        (format!("x-amzn-bedrock-{name}-token-count").into(), count.to_string().into())
    };
    vec![
        count("input", fresh),
        count("output", usage.output_tokens),
        count("cache-read-input", usage.cached_input_tokens),
        count("cache-write-input", usage.cache_write_tokens),
        ("x-amzn-bedrock-invocation-latency".into(), "12".into()),
    ]
}

/// The vectors of a call: Titan's one, which states its tokens, or Cohere's, which do not.
pub(super) fn embeddings(model: &str, asked: &Asked<'_>, stamp: &Stamp, tokens: u64) -> Vec<u8> {
    let answer = if model.contains("cohere.") {
        json!({ "id": stamp.tail, "embeddings": cohere::vectors(asked), "response_type": "embeddings_floats" })
    } else {
        let dimensions = asked.dimensions.unwrap_or(DIMENSIONS).min(MAX_DIMENSIONS);
        json!({ "embedding": vector(0, dimensions), "inputTextTokenCount": tokens })
    };
    answer.to_string().into_bytes()
}

/// A stream: Anthropic's events without their pings, one in a chunk, AWS's counts in the last.
pub(super) fn stream(turn: &Turn<'_>, plan: &mut Plan) {
    let mut theirs = Plan::default();
    anthropic::stream(turn, &mut theirs);
    plan.opening = theirs.opening;
    let last = theirs.pieces.len() - 1;
    for (place, (pause, piece)) in theirs.pieces().enumerate() {
        let event = String::from_utf8_lossy(piece);
        let data = event.split_once("data: ").map_or("", |(_, data)| data.trim_end());
        if place == theirs.content.start {
            plan.content.start = plan.pieces.len();
        }
        if data.contains("\"ping\"") {
            continue;
        }
        let chunk = match data.strip_suffix('}') {
            Some(open) if place == last => {
                event_stream::chunk(&format!("{},{}}}", open.trim_end(), metrics(&turn.usage)))
            }
            _ => event_stream::chunk(data),
        };
        plan.push(pause, |body| body.extend_from_slice(&chunk));
        if place + 1 == theirs.content.end {
            plan.content.end = plan.pieces.len();
        }
    }
}

fn metrics(usage: &Usage) -> String {
    let fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens;
    let metrics = json!({
        "inputTokenCount": fresh,
        "outputTokenCount": usage.output_tokens,
        "invocationLatency": 12,
        "firstByteLatency": 3,
        "cacheReadInputTokenCount": usage.cached_input_tokens,
        "cacheWriteInputTokenCount": usage.cache_write_tokens,
    });
    format!("\"amazon-bedrock-invocationMetrics\":{metrics}")
}
