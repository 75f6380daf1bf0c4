//! Plain answers of the Gemini API, the frame of its streams, and the models that are ours to list.

use serde_json::json;

use crate::{
    framing::Framing,
    gemini::{error::RULES, usage},
    output::OutputText,
    reported::Reported,
    walk::{Value, Walk, parse_at, text_of},
    wire::Operation,
};

/// Reads a plain answer.
pub(crate) fn read(operation: Operation, body: &[u8]) -> Reported {
    let mut reported = Reported::default();
    let mut candidates = None;
    let mut walk = Walk::new(body);
    while let Some(found) = walk.next() {
        if found.depth != 1 {
            break;
        }
        match (found.name, found.value) {
            (b"modelVersion", Value::Text(raw)) => {
                let model = Some(raw.strip_prefix(b"models/").unwrap_or(raw)).filter(|name| !name.is_empty());
                reported.served_model = model.map(|name| text_of(name).into());
            }
            (b"usageMetadata", Value::Open) => {
                let stated = usage::read(&body[found.at..]);
                reported.usage = stated.usage;
                reported.flags = stated.flags;
                reported.service_tier = stated.service_tier.map(|tier| text_of(tier).into());
            }
            (b"error", value) if !value.is_null() => {
                reported.fault = Some(RULES.of_event(&parse_at(body, found.at).unwrap_or_default()));
            }
            (b"candidates", Value::Open) => candidates = Some(found.at),
            _ => {}
        }
        if found.value == Value::Open {
            walk.step_over();
        }
    }
    if operation.generates() && reported.fault.is_none() {
        read_candidates(body, candidates, &mut reported);
    }
    reported
}

/// Only grounded answers and those without figures have to be looked into.
fn read_candidates(body: &[u8], candidates: Option<usize>, reported: &mut Reported) {
    let grounded = memchr::memmem::find(body, b"\"groundingMetadata\"").is_some();
    if reported.usage.is_some() && !grounded {
        return;
    }
    let Some(candidates) = candidates.and_then(|at| parse_at(body, at)) else { return };
    let all = candidates.as_array().map(Vec::as_slice).unwrap_or_default();
    match &mut reported.usage {
        Some(usage) => {
            let groundings = all.iter().filter_map(|candidate| candidate.get("groundingMetadata"));
            let model = reported.served_model.as_deref();
            usage.web_searches = groundings.map(|grounding| usage::searches(grounding, model)).sum();
        }
        None => {
            let mut output = OutputText::default();
            all.iter().filter_map(|candidate| candidate.get("content")).for_each(|content| {
                output.push_visible(content);
                for part in content["parts"].as_array().into_iter().flatten() {
                    output.push_strings(&part["functionCall"]);
                }
            });
            reported.counted_output = Some(output.count());
        }
    }
}

/// A stream that was not asked for as server-sent events is one JSON array.
pub(crate) fn framing(content_type: Option<&[u8]>) -> Option<Framing> {
    let is_json = content_type.is_some_and(|value| value.starts_with(b"application/json"));
    if is_json { Some(Framing::JsonArray) } else { Framing::of_events(content_type) }
}

/// The models a key may use, or one of them. What each can do and hold is not ours to tell: clients
/// that choose by a method find all that this gateway serves.
pub(crate) fn models(names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
    const METHODS: [&str; 5] =
        ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];
    let model = |name: &str| {
        json!({
            "name": format!("models/{name}"),
            "displayName": name,
            "supportedGenerationMethods": METHODS,
        })
    };
    let body = match one {
        Some(name) => model(name),
        None => json!({ "models": names.map(model).collect::<Vec<_>>() }),
    };
    let mut body = body.to_string().into_bytes();
    body.push(b'\n');
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn an_answer_without_counts_is_counted() {
        let body = br#"{"candidates":[{"content":{"parts":[{"text":"hello world"}],"role":"model"}}],"usageMetadata":{"trafficType":"ON_DEMAND"}}"#;
        let reported = read(Operation::GenerateContent, body);
        assert_eq!((reported.usage, reported.counted_output), (None, Some(2)));
        assert_eq!(reported.service_tier.as_deref(), Some("ON_DEMAND"));
        let call = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"weather","args":{"place":"Berlin"}}}]}}]}"#;
        assert!(read(Operation::GenerateContent, call).counted_output > Some(1));
        assert_eq!(read(Operation::EmbedContent, b"{\"embedding\":{}}").counted_output, None);
    }

    #[test]
    fn searches_stand_in_the_grounding() {
        let body = br#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":3},"modelVersion":"gemini-3.5-flash"}"#;
        let usage = read(Operation::GenerateContent, body).usage.expect("counts");
        assert_eq!((usage.input_tokens(), usage.web_searches), (3, 2));
    }

    #[test]
    fn an_error_inside_a_success_is_a_fault() {
        let body = br#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#;
        assert_eq!(read(Operation::GenerateContent, body).fault, Some(Fault::Overloaded));
    }

    #[test]
    fn the_content_type_tells_the_frame() {
        let cases: [(Option<&[u8]>, Option<Framing>); 4] = [
            (Some(b"text/event-stream"), Some(Framing::Events)),
            (Some(b"application/json; charset=UTF-8"), Some(Framing::JsonArray)),
            (None, Some(Framing::Events)),
            (Some(b"text/html"), None),
        ];
        for (content_type, want) in cases {
            assert_eq!(framing(content_type), want);
        }
    }
}
