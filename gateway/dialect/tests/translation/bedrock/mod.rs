//! Converse on either side.

mod replies;
mod requests_from;
mod requests_to;
mod streams;

use serde_json::Value;

/// A model on Bedrock that thinks up to a budget, and one that decides by effort.
const BY_BUDGET: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
const BY_EFFORT: &str = "anthropic.claude-opus-5";
const NOVA: &str = "amazon.nova-pro-v1:0";

/// The members of one body with those of another.
fn with(base: &Value, more: Value) -> Value {
    let mut members = base.clone();
    members.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
    members
}
