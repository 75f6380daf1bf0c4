//! Usage objects of the Messages API into disjoint counts.
//!
//! The vendor's counts are disjoint already, but for reasoning inside output. In a stream each
//! field of a later object replaces the earlier one, a zero included. Passes of other kinds
//! (compaction, an advising model) stand only in `iterations` and are billed all the same.

use serde_json::Value;
use tollgate_domain::Usage;

use crate::reported::{Beside, ReportFlags, Reported, count_at};

/// The fields as stated so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stated {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    web_searches: Option<u64>,
    iterations: Vec<Value>,
}

impl Stated {
    /// Takes a usage object over the ones before it.
    pub(crate) fn merge(&mut self, raw: &Value) {
        let replace = |field: &mut Option<u64>, pointer: &str| *field = count_at(raw, pointer).or(*field);
        replace(&mut self.input, "/input_tokens");
        replace(&mut self.cache_read, "/cache_read_input_tokens");
        replace(&mut self.cache_write, "/cache_creation_input_tokens");
        replace(&mut self.cache_write_5m, "/cache_creation/ephemeral_5m_input_tokens");
        replace(&mut self.cache_write_1h, "/cache_creation/ephemeral_1h_input_tokens");
        replace(&mut self.output, "/output_tokens");
        replace(&mut self.thinking, "/output_tokens_details/thinking_tokens");
        replace(&mut self.web_searches, "/server_tool_use/web_search_requests");
        if let Some(passes) = raw.get("iterations").and_then(Value::as_array) {
            self.iterations.clone_from(passes);
        }
    }

    fn of(raw: &Value) -> Self {
        let mut stated = Self::default();
        stated.merge(raw);
        stated
    }

    /// Writes the usage so far into the report.
    pub(crate) fn report(&self, reported: &mut Reported) {
        if self.input.is_none() && self.output.is_none() {
            return;
        }
        let top = self.usage();
        reported.beside.clear();
        if self.iterations.is_empty() {
            reported.usage = Some(top);
            return;
        }
        let (mut billed, mut shown) = (Usage::default(), Usage::default());
        let mut models: Vec<&str> = Vec::new();
        for pass in &self.iterations {
            let usage = Self::of(pass).usage();
            let model = pass.get("model").and_then(Value::as_str);
            models.extend(model);
            match (pass.get("type").and_then(Value::as_str), model) {
                (Some("advisor_message"), Some(model)) => {
                    reported.beside.push(Beside { model: model.into(), usage });
                }
                (Some("compaction"), _) => billed = billed.plus(&usage),
                _ => {
                    billed = billed.plus(&usage);
                    shown = shown.plus(&usage);
                }
            }
        }
        models.dedup();
        reported.flags.usage_inconsistent =
            (shown.input_tokens(), shown.output_tokens()) != (top.input_tokens(), top.output_tokens());
        reported.flags.multi_model = models.len() > 1 || !reported.beside.is_empty();
        if billed.output_reasoning == 0 {
            // Only the top level tells thinking.
            let thinking = top.output_reasoning.min(billed.output_text);
            billed.output_text -= thinking;
            billed.output_reasoning = thinking;
        }
        reported.usage = Some(Usage { web_searches: top.web_searches, ..billed });
    }

    fn usage(&self) -> Usage {
        let output = self.output.unwrap_or(0);
        let thinking = self.thinking.unwrap_or(0).min(output);
        let (cache_write_5m, cache_write_1h) = self.cache_writes();
        Usage {
            input_uncached: self.input.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_5m,
            cache_write_1h,
            output_text: output - thinking,
            output_reasoning: thinking,
            web_searches: self.web_searches.unwrap_or(0),
            ..Usage::default()
        }
    }

    /// The total decides; a split that was told before the total grew or shrank only divides it.
    fn cache_writes(&self) -> (u64, u64) {
        let (short, long) = (self.cache_write_5m.unwrap_or(0), self.cache_write_1h.unwrap_or(0));
        let total = self.cache_write.unwrap_or(short.saturating_add(long));
        let long = if short == 0 && long > 0 { total } else { long.min(total) };
        (total - long, long)
    }
}

/// The price tier in a usage object.
pub(crate) fn service_tier(raw: &Value) -> Option<&str> {
    raw.get("service_tier").and_then(Value::as_str)
}

/// What makes the cost of a usage object approximate.
pub(crate) fn flag(raw: &Value, flags: &mut ReportFlags) {
    let redeemed = |value: &Value| value.as_str() == Some("redeemed") || value.get("redeemed").is_some();
    if raw.get("fallback_credit").is_some_and(redeemed) {
        flags.cost_approximate = true;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(objects: &[Value]) -> Reported {
        let (mut stated, mut reported) = (Stated::default(), Reported::default());
        for raw in objects {
            stated.merge(raw);
            stated.report(&mut reported);
        }
        reported
    }

    #[test]
    fn figures_of_the_vendor_become_disjoint_counts() {
        let none = Usage::default();
        let cases = [
            (
                "cached, written, thought",
                vec![json!({"input_tokens": 6, "cache_creation_input_tokens": 574,
                    "cache_creation": {"ephemeral_5m_input_tokens": 574, "ephemeral_1h_input_tokens": 0},
                    "cache_read_input_tokens": 20443, "output_tokens": 489,
                    "output_tokens_details": {"thinking_tokens": 77}})],
                Usage {
                    input_uncached: 6,
                    cache_write_5m: 574,
                    cache_read: 20443,
                    output_reasoning: 77,
                    output_text: 412,
                    ..none
                },
            ),
            (
                "web search",
                vec![json!({"input_tokens": 7744, "output_tokens": 353,
                    "output_tokens_details": {"thinking_tokens": 80},
                    "server_tool_use": {"web_search_requests": 1}})],
                Usage {
                    input_uncached: 7744,
                    output_text: 273,
                    output_reasoning: 80,
                    web_searches: 1,
                    ..none
                },
            ),
            (
                "a stream's later figures replace",
                vec![
                    json!({"input_tokens": 702, "output_tokens": 1}),
                    json!({"input_tokens": 1591, "output_tokens": 175}),
                ],
                Usage { input_uncached: 1591, output_text: 175, ..none },
            ),
            (
                "absent fields keep what was said",
                vec![
                    json!({"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}),
                    json!({"output_tokens": 9}),
                ],
                Usage { input_uncached: 10, cache_read: 5, output_text: 9, ..none },
            ),
            (
                "a compaction is billed beside the top level",
                vec![
                    json!({"input_tokens": 100, "cache_read_input_tokens": 55096, "output_tokens": 7}),
                    json!({"input_tokens": 181, "cache_read_input_tokens": 0, "output_tokens": 8, "iterations": [
                        {"type": "compaction", "input_tokens": 100, "output_tokens": 83,
                         "cache_read_input_tokens": 55096},
                        {"type": "message", "input_tokens": 181, "output_tokens": 8}]}),
                ],
                Usage { input_uncached: 281, cache_read: 55096, output_text: 91, ..none },
            ),
            (
                "growth goes where the cache was asked to live",
                vec![
                    json!({"input_tokens": 1, "cache_creation_input_tokens": 10, "output_tokens": 1,
                        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10}}),
                    json!({"cache_creation_input_tokens": 30, "output_tokens": 2}),
                ],
                Usage { input_uncached: 1, cache_write_1h: 30, output_text: 2, ..none },
            ),
            (
                "no split means the short life",
                vec![json!({"input_tokens": 1, "cache_creation_input_tokens": 10, "output_tokens": 1})],
                Usage { input_uncached: 1, cache_write_5m: 10, output_text: 1, ..none },
            ),
        ];
        for (name, objects, want) in cases {
            let reported = report(&objects);
            assert_eq!(reported.usage, Some(want), "{name}");
            assert_eq!(reported.flags, ReportFlags::default(), "{name}");
        }
    }

    #[test]
    fn an_advising_model_is_billed_at_its_own_price() {
        let reported = report(&[
            json!({"input_tokens": 1128, "output_tokens": 2}),
            json!({"input_tokens": 2411, "output_tokens": 145, "output_tokens_details": {"thinking_tokens": 47},
                "iterations": [
                    {"type": "message", "input_tokens": 1128, "output_tokens": 135},
                    {"type": "advisor_message", "model": "big", "input_tokens": 2543, "output_tokens": 18},
                    {"type": "message", "input_tokens": 1283, "output_tokens": 10}]}),
        ]);
        let usage = reported.usage.expect("stated");
        assert_eq!((usage.input_tokens(), usage.output_text, usage.output_reasoning), (2411, 98, 47));
        let beside = Usage { input_uncached: 2543, output_text: 18, ..Usage::default() };
        assert_eq!(reported.beside, [Beside { model: "big".into(), usage: beside }]);
        assert_eq!(reported.flags.names().collect::<Vec<_>>(), ["multi_model"]);
    }
}
