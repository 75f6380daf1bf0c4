//! Plain answers of Bedrock, the frame of its streams, and the models that are ours to list.

use serde_json::json;

use crate::{
    bedrock::{invoke, usage},
    codec::HeaderOf,
    framing::{EVENT_STREAM, Framing},
    output::OutputText,
    reported::Reported,
    walk::{Value, Walk, parse_at},
    wire::Operation,
};

/// Reads a plain answer and what its headers say of it.
pub(crate) fn read(operation: Operation, body: &[u8], header: &HeaderOf<'_>) -> Reported {
    match operation {
        Operation::InvokeModel => invoke::reply::read(body, header),
        Operation::Converse | Operation::ConverseStream => conversed(body),
        _ => Reported::default(),
    }
}

/// Reads an answer of Converse.
fn conversed(body: &[u8]) -> Reported {
    let mut reported = Reported::default();
    let mut output = None;
    let mut walk = Walk::new(body);
    while let Some(found) = walk.next() {
        if found.depth != 1 {
            break;
        }
        usage::take(body, &found, &mut reported);
        if found.value == Value::Open {
            if found.name == b"output" {
                output = Some(found.at);
            }
            walk.step_over();
        }
    }
    if reported.usage.is_none() {
        reported.counted_output = output.and_then(|at| parse_at(body, at)).map(|value| {
            let mut output = OutputText::default();
            output.push_visible(&value);
            output.count()
        });
    }
    reported
}

/// A stream may come without saying what it is; anything else than an event stream is none.
pub(crate) fn framing(content_type: Option<&[u8]>) -> Option<Framing> {
    let is_stream = content_type.is_none_or(|value| value.starts_with(EVENT_STREAM.as_bytes()));
    is_stream.then_some(Framing::EventStream)
}

/// The models a key may use, or one of them, as the API that manages Bedrock lists them. Where each
/// comes from and what it takes is not ours to tell.
pub(crate) fn models(names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
    let model = |name: &str| json!({"modelId": name, "modelName": name, "responseStreamingSupported": true});
    let body = match one {
        Some(name) => json!({ "modelDetails": model(name) }),
        None => json!({ "modelSummaries": names.map(model).collect::<Vec<_>>() }),
    };
    let mut body = body.to_string().into_bytes();
    body.push(b'\n');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_counts_is_counted() {
        let body = br#"{"output":{"message":{"role":"assistant","content":[{"text":"hello world"},{"toolUse":{"name":"f","input":{"a":"b"}}}]}},"stopReason":"end_turn"}"#;
        let reported = read(Operation::Converse, body, &|_| None);
        assert_eq!(reported.usage, None);
        assert!(reported.counted_output > Some(2), "{reported:?}");
        assert_eq!(read(Operation::CountTokens, br#"{"inputTokens":5}"#, &|_| None), Reported::default());
    }

    #[test]
    fn the_content_type_tells_the_frame() {
        let cases: [(Option<&[u8]>, Option<Framing>); 4] = [
            (Some(b"application/vnd.amazon.eventstream"), Some(Framing::EventStream)),
            (None, Some(Framing::EventStream)),
            (Some(b"text/event-stream"), None),
            (Some(b"application/json"), None),
        ];
        for (content_type, want) in cases {
            assert_eq!(framing(content_type), want);
        }
    }

    #[test]
    fn models_are_listed_as_bedrock_lists_them() {
        let all: serde_json::Value =
            serde_json::from_slice(&models(&mut ["a", "b:0"].into_iter(), None)).expect("JSON");
        assert_eq!(all["modelSummaries"][1]["modelId"], "b:0");
        let one: serde_json::Value =
            serde_json::from_slice(&models(&mut ["a"].into_iter(), Some("a"))).expect("JSON");
        assert_eq!(one["modelDetails"]["modelId"], "a");
    }
}
