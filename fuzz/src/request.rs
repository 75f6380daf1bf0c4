//! Requests: what the gateway peeks is what every other parser reads, and an edit changes what it names.

use bytes::Bytes;
use serde_json::Value;
use tollgate_dialect::{Codec, Dialect, Edits, Family, Head, Malformed, Operation};

use crate::{known, spaced};

const MODEL: &str = "new \"model\"";
const EDITS: Edits<'_> = Edits { model: Some(MODEL), include_usage: true, output_cap: Some(77) };
/// Members that edits may change.
const EDITED: [&str; 10] = [
    "model",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    // Requests inside a request name their model once more.
    "requests",
    "generateContentRequest",
];

pub(crate) fn check(dialect: Dialect, bytes: &[u8]) {
    let codec = dialect.codec();
    let body = Bytes::copy_from_slice(bytes);
    // Without repeated names: of those that are not interpreted, each parser takes its own.
    let parsed = serde_json::from_slice::<Value>(bytes).ok().filter(|_| spaced::is_plain_json(bytes));
    for operation in known::operations(dialect) {
        match codec.peek(*operation, &body) {
            Err(fault) => says_why(&fault),
            // Some clients only look whether a model is there.
            Ok(head) if body.is_empty() => {
                assert_eq!(
                    codec.request_body(*operation, &head, &body, &EDITS),
                    body,
                    "nothing stays nothing"
                );
            }
            Ok(head) => {
                is_read_alike(dialect, *operation, &head, &body, parsed.as_ref());
                is_edited(codec, *operation, &head, &body, parsed.as_ref());
                codec.estimate_input(*operation, &body, &head);
            }
        }
    }
}

pub(crate) fn says_why(fault: &Malformed) {
    assert!(!fault.message.is_empty());
    assert!(matches!(fault.code, "invalid_request" | "unsupported_operation"), "{fault:?}");
    if let Some(param) = fault.param {
        assert!(fault.message.contains(param), "{fault:?}");
    }
}

/// A parser of JSON sees the same model, stream and caps.
fn is_read_alike(dialect: Dialect, operation: Operation, head: &Head, body: &Bytes, parsed: Option<&Value>) {
    assert_eq!(body.get(head.body_end), Some(&b'}'), "{operation:?}");
    let value_at = |span: &std::ops::Range<usize>| {
        let raw = body.get(span.clone()).unwrap_or_else(|| panic!("{span:?} of {}", body.len()));
        serde_json::from_slice::<Value>(raw).unwrap_or_else(|error| panic!("{operation:?} {raw:?}: {error}"))
    };
    if let Some(model) = &head.model {
        assert_eq!(value_at(&model.span), Value::from(model.value.as_str()));
    }
    let Some(object) = parsed else { return };
    if !matches!(dialect.family(), Family::Gemini | Family::Bedrock) {
        let model = object["model"].as_str();
        assert_eq!(head.model.as_ref().map(|model| model.value.as_str()), model, "{operation:?}");
        let cap = head.output_cap.as_ref().map(|cap| Value::from(cap.value));
        assert_eq!(cap, head.output_cap.as_ref().map(|cap| value_at(&cap.span)), "{operation:?}");
    }
    let asks = object["stream"] == true || object["stream_format"] == "sse";
    let always = known::STREAMS_BY_NAME.contains(&operation);
    assert!(!head.stream || asks || always, "{operation:?}: nobody asked for a stream");
    if known::streamed(dialect).contains(&operation)
        && operation != Operation::Speech
        && !operation.takes_form()
    {
        assert_eq!(head.stream, object["stream"] == true || always, "{operation:?}");
    }
}

/// No edit keeps the bytes; the edits change what they name and nothing else; done again they do nothing.
fn is_edited(codec: &dyn Codec, operation: Operation, head: &Head, body: &Bytes, parsed: Option<&Value>) {
    let untouched = codec.request_body(operation, head, body, &Edits::default());
    assert_eq!(untouched, body, "{operation:?}: no edit is no change");
    let edited = codec.request_body(operation, head, body, &EDITS);
    let again = codec
        .peek(operation, &edited)
        .unwrap_or_else(|fault| panic!("{operation:?}: an edit broke the body: {fault}"));
    assert_eq!(again.stream, head.stream, "{operation:?}");
    let twice = codec.request_body(operation, &again, &edited, &EDITS);
    assert_eq!(twice, edited, "{operation:?}: the same edits once more");
    let Some(before) = parsed.and_then(Value::as_object) else { return };
    let after: Value =
        serde_json::from_slice(&edited).unwrap_or_else(|error| panic!("{operation:?}: {error}: {edited:?}"));
    assert!(spaced::is_plain_json(&edited), "{operation:?}: an edit made a name stand twice");
    if head.model.is_some() && !before["model"].as_str().is_some_and(|model| model.contains('/')) {
        assert_eq!(after["model"], MODEL, "{operation:?}");
    }
    let kept = |object: &serde_json::Map<String, Value>| {
        let object = object.iter().filter(|(name, _)| !EDITED.contains(&name.as_str()));
        object.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(after.as_object().map(kept), Some(kept(before)), "{operation:?}");
}
