//! Cohere's embeddings, by its own API and as Bedrock hands them on.
//!
//! Shapes: <https://docs.cohere.com/reference/embed>

use serde_json::{Value, json};

use super::embeddings::{DIMENSIONS, MAX_DIMENSIONS, vector};
use super::{Headers, Stamp};
use crate::request::Asked;

pub(super) fn headers() -> Headers {
    vec![("x-envoy-upstream-service-time".into(), "12".into())]
}

/// A vector for each text.
pub(super) fn vectors(asked: &Asked<'_>) -> Vec<Value> {
    let dimensions = asked.output_dimension.unwrap_or(DIMENSIONS).min(MAX_DIMENSIONS);
    let texts = asked.texts.as_ref().map_or(0, |texts| texts.items);
    (0..texts).map(|index| json!(vector(index, dimensions))).collect()
}

/// An answer of the API's second version, with its numbers by kind.
pub(super) fn embeddings(asked: &Asked<'_>, stamp: &Stamp, tokens: u64) -> Vec<u8> {
    let answer = json!({
        "id": stamp.tail,
        "embeddings": { "float": vectors(asked) },
        "meta": { "api_version": { "version": "2" }, "billed_units": { "input_tokens": tokens, "image_tokens": 0 } },
        "response_type": "embeddings_by_type",
    });
    answer.to_string().into_bytes()
}
