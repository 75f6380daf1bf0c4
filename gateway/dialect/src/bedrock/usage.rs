//! Counts of Bedrock into disjoint ones.
//!
//! Converse and Amazon's own models count what was read from and written to the cache beside the
//! input, each under two names with one value. A call of another vendor's model is counted once more
//! by AWS: in headers of a plain answer, in the last chunk of a stream.

use tollgate_domain::Usage;

use crate::{
    codec::HeaderOf,
    places::{Told, told_by_model},
    reported::{ReportFlags, Reported, count_of},
    walk::{Found, Value, Walk, text_of},
    wire::Dialect,
};

/// The counts as stated, as far as they are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Figures {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    total: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    /// How much of it lives an hour, and how much five minutes, where that is told.
    written_1h: Option<u64>,
    written_5m: Option<u64>,
}

impl Figures {
    /// Reads the `usage` that begins `raw`.
    pub(crate) fn of_usage(raw: &[u8]) -> Self {
        let mut figures = Self::default();
        let mut within: &[u8] = b"";
        let mut detail = Detail::default();
        for found in Walk::new(raw) {
            match (found.depth, found.name, found.value) {
                (0, ..) => break,
                (1, name, Value::Open) => (within, detail) = (name, Detail::default()),
                (1, name, Value::Scalar(scalar)) => figures.put(name, scalar),
                (3, b"ttl", Value::Text(ttl)) if within == b"cacheDetails" => {
                    detail.ttl = Some(ttl);
                    figures.put_detail(&mut detail);
                }
                (3, b"inputTokens", Value::Scalar(scalar)) if within == b"cacheDetails" => {
                    detail.count = count_of(scalar);
                    figures.put_detail(&mut detail);
                }
                _ => {}
            }
        }
        figures
    }

    /// Reads the `amazon-bedrock-invocationMetrics` that begin `raw`.
    pub(crate) fn of_metrics(raw: &[u8]) -> Self {
        let mut figures = Self::default();
        for found in Walk::new(raw) {
            match (found.depth, found.name, found.value) {
                (0, ..) => break,
                (1, b"inputTokenCount", Value::Scalar(scalar)) => figures.input = count_of(scalar),
                (1, b"outputTokenCount", Value::Scalar(scalar)) => figures.output = count_of(scalar),
                (1, name, Value::Scalar(scalar)) => figures.put(name, scalar),
                _ => {}
            }
        }
        figures
    }

    /// Reads the headers of a plain answer.
    pub(crate) fn of_headers(header: &HeaderOf<'_>) -> Self {
        let count = |name| header(name).and_then(|text| count_of(text.trim().as_bytes()));
        Self {
            input: count("x-amzn-bedrock-input-token-count"),
            output: count("x-amzn-bedrock-output-token-count"),
            cache_read: count("x-amzn-bedrock-cache-read-input-token-count"),
            cache_write: count("x-amzn-bedrock-cache-write-input-token-count"),
            ..Self::default()
        }
    }

    /// The output alone.
    pub(crate) fn of_output(output: Option<u64>) -> Self {
        Self { output, ..Self::default() }
    }

    fn put(&mut self, name: &[u8], scalar: &[u8]) {
        let field = match name {
            b"inputTokens" => &mut self.input,
            b"outputTokens" => &mut self.output,
            b"totalTokens" => &mut self.total,
            b"cacheReadInputTokens" | b"cacheReadInputTokenCount" => &mut self.cache_read,
            b"cacheWriteInputTokens" | b"cacheWriteInputTokenCount" => &mut self.cache_write,
            _ => return,
        };
        *field = count_of(scalar).or(*field);
    }

    fn put_detail(&mut self, detail: &mut Detail<'_>) {
        let (Some(ttl), Some(count)) = (detail.ttl, detail.count) else { return };
        *detail = Detail::default();
        let field = if ttl == b"1h" { &mut self.written_1h } else { &mut self.written_5m };
        *field = Some(field.unwrap_or(0).saturating_add(count));
    }

    /// These, and those of `others` for what is not stated here.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            input: self.input.or(others.input),
            output: self.output.or(others.output),
            total: self.total.or(others.total),
            cache_read: self.cache_read.or(others.cache_read),
            cache_write: self.cache_write.or(others.cache_write),
            written_1h: self.written_1h.or(others.written_1h),
            written_5m: self.written_5m.or(others.written_5m),
        }
    }

    /// Takes the counts into a report; nothing where there are none.
    pub(crate) fn report(&self, reported: &mut Reported) {
        let Some(usage) = self.usage() else { return };
        let sum = usage.input_tokens().saturating_add(usage.output_tokens());
        let contradicts = self.total.is_some_and(|total| total != sum);
        reported.flags = ReportFlags { usage_inconsistent: contradicts, ..reported.flags };
        reported.usage = Some(usage);
    }

    fn usage(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let details = self.written_1h.unwrap_or(0).saturating_add(self.written_5m.unwrap_or(0));
        let written = self.cache_write.unwrap_or(details);
        let cache_write_1h = self.written_1h.unwrap_or(0).min(written);
        Some(Usage {
            input_uncached: self.input.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_5m: written - cache_write_1h,
            cache_write_1h,
            output_text: self.output.unwrap_or(0),
            ..Usage::default()
        })
    }
}

/// One `{ttl, inputTokens}`, whichever comes first.
#[derive(Default)]
struct Detail<'a> {
    ttl: Option<&'a [u8]>,
    count: Option<u64>,
}

/// Takes what a top-level member of a Converse answer, or of the last event of its stream, says of the
/// call itself.
pub(crate) fn take(body: &[u8], found: &Found<'_>, reported: &mut Reported) {
    if found.value != Value::Open {
        return;
    }
    let raw = body.get(found.at..).unwrap_or_default();
    match found.name {
        b"usage" => Figures::of_usage(raw).report(reported),
        b"serviceTier" => {
            if let Some(tier) = text_within(raw, 1, b"type") {
                reported.service_tier = Some(text_of(tier).into());
            }
        }
        b"performanceConfig" if text_within(raw, 1, b"latency") == Some(b"optimized") => {
            // It has a price of its own, which no price of tokens tells.
            reported.flags.cost_approximate = true;
        }
        // A router has chosen the model.
        b"trace" => {
            if let Some(model) = text_within(raw, 2, b"invokedModelId") {
                let model = text_of(model);
                // A profile or a model of a region: the name that it has tells where it ran.
                let told = told_by_model(Dialect::Bedrock, &model, "");
                reported.place = told.and_then(Told::place).map(Into::into);
                reported.served_model = Some(model.into());
            }
        }
        _ => {}
    }
}

/// The text of the first member of that name and depth in the object that begins `raw`.
fn text_within<'a>(raw: &'a [u8], depth: u32, name: &[u8]) -> Option<&'a [u8]> {
    let mut walk = Walk::new(raw).take_while(|found| found.depth > 0);
    walk.find_map(|found| match found.value {
        Value::Text(text) if found.depth == depth && found.name == name && !text.is_empty() => Some(text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn report(raw: &Json) -> Reported {
        let mut reported = Reported::default();
        // What follows the object is none of it.
        let raw = format!("{raw},\"inputTokens\":9}}");
        Figures::of_usage(raw.as_bytes()).report(&mut reported);
        reported
    }

    #[test]
    fn figures_of_the_vendor_become_disjoint_counts() {
        let none = Usage::default();
        let cases = [
            (
                json!({"inputTokens": 433, "cacheReadInputTokens": 2752, "cacheReadInputTokenCount": 2752,
                    "cacheWriteInputTokens": 0, "outputTokens": 16, "totalTokens": 3201}),
                Usage { input_uncached: 433, cache_read: 2752, output_text: 16, ..none },
            ),
            (
                json!({"inputTokens": 3, "cacheReadInputTokens": 1712, "cacheWriteInputTokens": 236,
                    "cacheDetails": [{"ttl": "5m", "inputTokens": 236}], "outputTokens": 121, "totalTokens": 2072}),
                Usage { input_uncached: 3, cache_read: 1712, cache_write_5m: 236, output_text: 121, ..none },
            ),
            (
                json!({"inputTokens": 22, "cacheWriteInputTokenCount": 2492, "outputTokens": 13, "totalTokens": 2527}),
                Usage { input_uncached: 22, cache_write_5m: 2492, output_text: 13, ..none },
            ),
            (
                json!({"cacheDetails": [{"inputTokens": 10, "ttl": "1h"}, {"ttl": "5m", "inputTokens": 5}, {"ttl": "1h", "inputTokens": 1}],
                    "cacheWriteInputTokens": 16, "inputTokens": 1, "outputTokens": 2, "serverToolUsage": {"inputTokens": 9}}),
                Usage { input_uncached: 1, cache_write_5m: 5, cache_write_1h: 11, output_text: 2, ..none },
            ),
            (
                json!({"inputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": 4}]}),
                Usage { input_uncached: 1, cache_write_1h: 4, ..none },
            ),
        ];
        for (raw, want) in cases {
            let reported = report(&raw);
            assert_eq!((reported.usage, reported.flags), (Some(want), ReportFlags::default()), "{raw}");
        }
    }

    #[test]
    fn what_holds_no_count_states_nothing_and_a_wrong_sum_is_flagged() {
        for raw in [json!({}), json!({"inputTokens": null, "outputTokens": -1}), json!({"totalTokens": 3})] {
            assert_eq!(report(&raw).usage, None, "{raw}");
        }
        let odd = report(&json!({"inputTokens": 1, "outputTokens": 2, "totalTokens": 4}));
        assert_eq!(odd.flags.names().collect::<Vec<_>>(), ["usage_inconsistent"]);
    }

    #[test]
    fn what_one_place_leaves_out_the_next_one_tells() {
        let headers: &HeaderOf<'_> = &|name| match name {
            "x-amzn-bedrock-input-token-count" => Some("7"),
            "x-amzn-bedrock-output-token-count" => Some(" 51 "),
            "x-amzn-bedrock-cache-read-input-token-count" => Some("no number"),
            _ => None,
        };
        let body = Figures::of_usage(br#"{"inputTokens":30}"#);
        let all = body.or(Figures::of_headers(headers));
        assert_eq!((all.input, all.output, all.cache_read), (Some(30), Some(51), None));
        let metrics = br#"{"inputTokenCount":1,"outputTokenCount":2,"cacheReadInputTokenCount":3,"x":{"inputTokenCount":9}}"#;
        let metrics = Figures::of_metrics(metrics);
        assert_eq!((metrics.input, metrics.output, metrics.cache_read), (Some(1), Some(2), Some(3)));
    }

    #[test]
    fn an_answer_tells_its_tier_its_router_and_its_latency() {
        let body = br#"{"serviceTier":{"type":"flex"},"trace":{"guardrail":{"invokedModelId":1},"promptRouter":{"invokedModelId":"arn:a/b"}},"performanceConfig":{"latency":"optimized"}}"#;
        let mut reported = Reported::default();
        let mut walk = Walk::new(body);
        while let Some(found) = walk.next() {
            take(body, &found, &mut reported);
            if found.value == Value::Open {
                walk.step_over();
            }
        }
        assert_eq!(reported.service_tier.as_deref(), Some("flex"));
        assert_eq!(reported.served_model.as_deref(), Some("arn:a/b"));
        assert_eq!(reported.place, None);
        assert_eq!(reported.flags.names().collect::<Vec<_>>(), ["cost_approximate"]);
    }
}
