//! A tool's arguments, which some dialects have as text and others as an object.

use serde_json::{json, value::RawValue};

/// Arguments as an object, in the text that the model wrote; `None` where they are none.
pub(crate) fn arguments(input: &str) -> Option<Box<RawValue>> {
    let text = if input.trim().is_empty() { "{}" } else { input.trim() };
    let value: &RawValue = serde_json::from_str(text).ok()?;
    value.get().starts_with('{').then(|| value.to_owned())
}

/// The same for a client. What is no object is kept inside one: an answer is not thrown away for a
/// model's slip.
pub(crate) fn arguments_or_raw(input: &str) -> Box<RawValue> {
    arguments(input).unwrap_or_else(|| {
        serde_json::value::to_raw_value(&json!({"_raw": input})).expect("a text is always written")
    })
}
