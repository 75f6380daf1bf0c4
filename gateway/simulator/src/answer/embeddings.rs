//! OpenAI embeddings and the list of models.
//!
//! Shapes: <https://platform.openai.com/docs/api-reference/embeddings>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Stamp;
use crate::request::Asked;

/// Length of a vector when the caller asks for none: short, since nobody reads it.
pub(super) const DIMENSIONS: usize = 64;

/// The most dimensions that a vector gets, as the largest real model has.
pub(super) const MAX_DIMENSIONS: usize = 3072;

/// A vector for each input, as numbers or as little-endian 32-bit floats in base64.
pub(super) fn body(asked: &Asked<'_>, model: &str, tokens: u64) -> Vec<u8> {
    let inputs = asked.input.as_ref().map_or(1, |input| if input.is_token_list { 1 } else { input.items });
    let dimensions = asked.dimensions.unwrap_or(DIMENSIONS).min(MAX_DIMENSIONS);
    let in_base64 = asked.encoding_format.as_deref() == Some("base64");
    let data: Vec<Value> = (0..inputs)
        .map(|index| {
            let vector = vector(index, dimensions);
            let embedding = if in_base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Value::from(STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let answer = json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    });
    answer.to_string().into_bytes()
}

/// Multiples of 1/64, which survive every number format.
pub(super) fn vector(index: usize, dimensions: usize) -> Vec<f32> {
    (0..dimensions)
        .map(|place| {
            let step = u8::try_from((index * 7 + place * 13) % 127).unwrap_or_default();
            (f32::from(step) - 63.0) / 64.0
        })
        .collect()
}

/// The list of models.
pub(super) fn models(stamp: &Stamp) -> Vec<u8> {
    let names = ["gpt-5-mini", "gpt-5-nano", "text-embedding-3-small", "claude-sonnet-4-5"];
    let data: Vec<Value> = names
        .iter()
        .map(|id| json!({ "id": id, "object": "model", "created": stamp.created, "owned_by": "simulator" }))
        .collect();
    json!({ "object": "list", "data": data }).to_string().into_bytes()
}
