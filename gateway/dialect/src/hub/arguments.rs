//! A tool's arguments, which some dialects have as text and others as an object.

use serde_json::{json, value::RawValue};

use crate::peek;

/// Arguments as an object, in the text that the model wrote; `None` where they are none, or where some
/// parser would break on them: the client's is not known.
pub(crate) fn arguments(input: &str) -> Option<Box<RawValue>> {
    let text = if input.trim().is_empty() { "{}" } else { input.trim() };
    if !peek::is_sound(text.as_bytes()) {
        return None;
    }
    RawValue::from_string(text.to_owned()).ok()
}

/// The same for a client. What is no object is kept inside one: an answer is not thrown away for a
/// model's slip.
pub(crate) fn arguments_or_raw(input: &str) -> Box<RawValue> {
    arguments(input).unwrap_or_else(|| {
        serde_json::value::to_raw_value(&json!({"_raw": input})).expect("a text is always written")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_objects_that_every_parser_reads() {
        let cases = [
            (" {\"b\":1.50,\"a\":\"\\ud83d\\ude00\"} ", "{\"b\":1.50,\"a\":\"\\ud83d\\ude00\"}"),
            ("", "{}"),
            ("[1]", r#"{"_raw":"[1]"}"#),
            ("{\"a\":", r#"{"_raw":"{\"a\":"}"#),
            (r#"{"a":"\ud83d"}"#, r#"{"_raw":"{\"a\":\"\\ud83d\"}"}"#),
        ];
        for (input, want) in cases {
            assert_eq!(arguments_or_raw(input).get(), want, "{input}");
        }
    }
}
