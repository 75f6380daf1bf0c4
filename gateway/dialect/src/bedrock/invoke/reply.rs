//! Plain answers of InvokeModel: what each vendor's body states, and where it states nothing, what AWS
//! states in headers.

use tollgate_domain::Units;

use super::Shape;
use crate::{
    anthropic,
    bedrock::usage::Figures,
    codec::HeaderOf,
    openai,
    output::OutputText,
    reported::{Reported, count_at},
    walk::{Value, Walk, parse_at, text_of},
};

/// The tier that served the call.
pub(crate) const TIER_HEADER: &str = "x-amzn-bedrock-service-tier";

/// Reads an answer.
pub(crate) fn read(body: &[u8], header: &HeaderOf<'_>) -> Reported {
    let shape = Shape::of(body);
    let mut reported =
        Reported { served_model: shape.model.map(|raw| text_of(raw).into()), ..Reported::default() };
    let usage = shape.usage.and_then(|at| body.get(at..)).unwrap_or_default();
    let own = take_usage(usage, &mut reported);
    if let Some(tier) = header(TIER_HEADER).filter(|tier| !tier.is_empty()) {
        reported.service_tier = Some(tier.into());
    }
    if reported.usage.is_some() {
        return reported;
    }
    let figures = own.or(shape.counts).or(of_results(body)).or(Figures::of_headers(header));
    figures.or(shape.metered(body)).report(&mut reported);
    if reported.usage.is_none() {
        count(body, &shape, &mut reported);
    }
    reported
}

/// Takes a `usage` in the words of its vendor. Those of Amazon may be incomplete and are given back.
pub(super) fn take_usage(raw: &[u8], reported: &mut Reported) -> Figures {
    let names = Walk::new(raw).take_while(|found| found.depth > 0).filter(|found| found.depth == 1);
    for found in names {
        match found.name {
            b"input_tokens" | b"output_tokens" => {
                let tier = anthropic::usage::take(raw, &mut anthropic::usage::Stated::default(), reported);
                reported.service_tier = tier.filter(|tier| !tier.is_empty()).map(Into::into);
                return Figures::default();
            }
            b"prompt_tokens" | b"completion_tokens" => {
                openai::usage::take(raw, reported);
                return Figures::default();
            }
            _ => {}
        }
    }
    Figures::of_usage(raw)
}

/// Titan counts the output of each result.
fn of_results(body: &[u8]) -> Figures {
    let mut walk = Walk::new(body);
    let results =
        walk.find(|found| found.depth == 1 && found.name == b"results" && found.value == Value::Open);
    let Some(results) = results.and_then(|found| parse_at(body, found.at)) else { return Figures::default() };
    let counts = results.as_array().into_iter().flatten().filter_map(|one| count_at(one, "/tokenCount"));
    Figures::of_output(counts.reduce(u64::saturating_add))
}

/// Counts an answer that nobody has counted: its pictures, or its text.
fn count(body: &[u8], shape: &Shape<'_>, reported: &mut Reported) {
    let images = shape.images.and_then(|at| parse_at(body, at));
    if let Some(images) = images.as_ref().and_then(serde_json::Value::as_array) {
        reported.counted_units = Some(Units { images: images.len() as u64, ..Units::default() });
        return;
    }
    let mut output = OutputText::default();
    for found in Walk::new(body) {
        if let (name, Value::Text(text)) = (found.name, found.value)
            && is_text(name)
        {
            output.push_raw(text);
        }
    }
    reported.counted_output = Some(output.count());
}

/// True for a member in which some vendor puts what its model wrote.
pub(super) fn is_text(name: &[u8]) -> bool {
    matches!(
        name,
        b"text"
            | b"outputText"
            | b"generation"
            | b"completion"
            | b"content"
            | b"arguments"
            | b"reasoning_content"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_domain::Usage;

    use super::*;

    fn headers(name: &str) -> Option<&'static str> {
        match name {
            "x-amzn-bedrock-input-token-count" => Some("40"),
            "x-amzn-bedrock-output-token-count" => Some("8"),
            "x-amzn-bedrock-cache-read-input-token-count" => Some("2"),
            TIER_HEADER => Some("priority"),
            _ => None,
        }
    }

    #[test]
    fn each_vendor_is_read_in_its_own_words() {
        let none = Usage::default();
        let plain = |input_uncached, output_text| Usage { input_uncached, output_text, ..none };
        let cases = [
            (
                "anthropic",
                json!({"type": "message", "model": "claude", "content": [],
                    "usage": {"input_tokens": 3, "cache_read_input_tokens": 9511, "cache_creation_input_tokens": 1956, "output_tokens": 44}}),
                Usage { cache_read: 9511, cache_write_5m: 1956, ..plain(3, 44) },
            ),
            (
                "nova",
                json!({"output": {"message": {}}, "usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 16, "cacheReadInputTokenCount": 3}}),
                Usage { cache_read: 3, ..plain(9, 4) },
            ),
            (
                "nova without its output",
                json!({"usage": {"inputTokens": 30}}),
                Usage { cache_read: 2, ..plain(30, 8) },
            ),
            (
                "titan",
                json!({"inputTextTokenCount": 5, "results": [{"tokenCount": 7, "outputText": "a"}, {"tokenCount": 1}]}),
                Usage { cache_read: 2, ..plain(5, 8) },
            ),
            (
                "llama",
                json!({"generation": "a", "prompt_token_count": 11, "generation_token_count": 12, "stop_reason": "stop"}),
                Usage { cache_read: 2, ..plain(11, 12) },
            ),
            (
                "openai and those like it",
                json!({"choices": [{"message": {}}], "model": "gpt-oss", "usage": {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8}}),
                plain(6, 2),
            ),
            (
                "mistral",
                json!({"outputs": [{"text": "a", "stop_reason": "stop"}]}),
                Usage { cache_read: 2, ..plain(40, 8) },
            ),
            (
                "cohere",
                json!({"text": "a", "finish_reason": "COMPLETE"}),
                Usage { cache_read: 2, ..plain(40, 8) },
            ),
        ];
        for (name, body, want) in cases {
            let reported = read(body.to_string().as_bytes(), &headers);
            assert_eq!(reported.usage, Some(want), "{name}");
            assert_eq!(reported.service_tier.as_deref(), Some("priority"), "{name}");
        }
    }

    #[test]
    fn embeddings_state_their_input_in_the_body_or_in_a_header() {
        let header = |name: &str| (name == "x-amzn-bedrock-input-token-count").then_some("6");
        let titan = read(br#"{"embedding":[0.1],"inputTextTokenCount":4}"#, &header);
        assert_eq!(titan.usage, Some(Usage { input_uncached: 4, ..Usage::default() }));
        let cohere = read(br#"{"embeddings":[[0.1]],"response_type":"embeddings_floats"}"#, &header);
        assert_eq!(cohere.usage, Some(Usage { input_uncached: 6, ..Usage::default() }));
    }

    #[test]
    fn what_nobody_counted_is_counted_here() {
        let of = |body: &str| read(body.as_bytes(), &|_| None);
        assert_eq!(of(r#"{"outputs":[{"text":"hello world"}]}"#).counted_output, Some(2));
        assert_eq!(of(r#"{"generation":"hello world","stop_reason":"stop"}"#).counted_output, Some(2));
        let images = of(r#"{"images":["AAAA","BBBB"],"error":null}"#);
        assert_eq!(images.counted_units.map(|units| units.images), Some(2));
        assert_eq!(of("no JSON at all").counted_output, Some(0));
    }

    #[test]
    fn awss_own_counts_are_the_last_resort() {
        let body =
            br#"{"text":"a","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":1}}"#;
        let usage = read(body, &|_| None).usage.expect("counts");
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (3, 1));
        let usage = read(body, &headers).usage.expect("counts");
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (42, 8));
    }
}
