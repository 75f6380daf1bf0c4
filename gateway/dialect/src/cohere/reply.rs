//! Answers of Cohere's API: what was billed, and the list of models that is ours.

use serde_json::json;
use tollgate_domain::Usage;

use crate::{
    fault::FaultRules,
    openai::media,
    reported::{Reported, count_of},
    walk::{Value, Walk},
    wire::Operation,
};

/// Reads a plain answer. What counts is what is billed; what a model saw of it stands beside and may be more.
pub(crate) fn read(operation: Operation, body: &[u8], rules: &FaultRules) -> Reported {
    match operation {
        Operation::Rerank => media::read(operation, body, rules),
        _ => Reported { usage: billed_tokens(body), ..Reported::default() },
    }
}

/// `meta.billed_units`; vectors before it are stepped over.
fn billed_tokens(body: &[u8]) -> Option<Usage> {
    let mut walk = Walk::new(body);
    let (mut within_meta, mut within_billed) = (false, false);
    let (mut texts, mut images) = (None, None);
    while let Some(found) = walk.next() {
        let opens = found.value == Value::Open;
        match (found.depth, found.name, found.value) {
            (1, name, _) => {
                within_meta = opens && name == b"meta";
                if opens && !within_meta {
                    walk.step_over();
                }
            }
            (2, name, _) => within_billed = within_meta && opens && name == b"billed_units",
            (3, b"input_tokens", Value::Scalar(count)) if within_billed => texts = count_of(count),
            (3, b"image_tokens", Value::Scalar(count)) if within_billed => images = count_of(count),
            _ => {}
        }
    }
    let usage =
        Usage { input_uncached: texts.unwrap_or(0), input_image: images.unwrap_or(0), ..Usage::default() };
    (texts.is_some() || images.is_some()).then_some(usage)
}

/// The models a key may use, or one of them.
pub(crate) fn models(names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
    let model = |name: &str| json!({"name": name, "endpoints": ["embed", "rerank"]});
    let body = match one {
        Some(name) => model(name),
        None => json!({"models": names.map(model).collect::<Vec<_>>()}),
    };
    let mut body = body.to_string().into_bytes();
    body.push(b'\n');
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohere::error::RULES;

    #[test]
    fn what_is_billed_is_what_counts() {
        let none = Usage::default();
        let cases = [
            (
                r#"{"id":"1","texts":["input_tokens"],"embeddings":{"float":[[0.1]]},"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":7,"image_tokens":0}}}"#,
                Some(Usage { input_uncached: 7, ..none }),
            ),
            (
                r#"{"meta":{"tokens":{"input_tokens":91},"billed_units":{"input_tokens":25,"image_tokens":3},"cached_tokens":9},"embeddings":{}}"#,
                Some(Usage { input_uncached: 25, input_image: 3, ..none }),
            ),
            (r#"{"meta":{"billed_units":{"input_tokens":4},"tokens":{"input_tokens":91}}}"#, {
                Some(Usage { input_uncached: 4, ..none })
            }),
            (r#"{"billed_units":{"input_tokens":7},"meta":{"tokens":{"input_tokens":7}}}"#, None),
            (r#"{"meta":{"billed_units":{"input_tokens":-1}}}"#, None),
            ("no JSON", None),
        ];
        for (body, want) in cases {
            assert_eq!(read(Operation::Embed, body.as_bytes(), &RULES).usage, want, "{body}");
        }
    }

    #[test]
    fn a_rerank_is_billed_by_searches() {
        let body = br#"{"results":[],"meta":{"billed_units":{"search_units":2}}}"#;
        let usage = read(Operation::Rerank, body, &RULES).usage.expect("billed units");
        assert_eq!((usage.units.search_units, usage.input_tokens()), (2, 0));
    }
}
