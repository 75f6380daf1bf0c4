//! Usage objects of the Messages API into disjoint counts.
//!
//! The vendor's counts are disjoint already, but for reasoning inside output. In a stream each
//! field of a later object replaces the earlier one, a zero included. Passes of other kinds
//! (compaction, an advising model) stand only in `iterations` and are billed all the same.

use std::borrow::Cow;

use serde_json::Value;
use tollgate_domain::Usage;

use crate::{
    reported::{Beside, ReportFlags, Reported, count_at, count_of},
    walk::{self, Walk, parse_at, text_of},
};

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
    fn merge(&mut self, raw: &Value) {
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

    /// Takes the fields of a later object over those before it.
    fn replace(&mut self, later: &Self) {
        self.input = later.input.or(self.input);
        self.cache_read = later.cache_read.or(self.cache_read);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.cache_write_5m = later.cache_write_5m.or(self.cache_write_5m);
        self.cache_write_1h = later.cache_write_1h.or(self.cache_write_1h);
        self.output = later.output.or(self.output);
        self.thinking = later.thinking.or(self.thinking);
        self.web_searches = later.web_searches.or(self.web_searches);
    }

    fn put(&mut self, within: &[u8], name: &[u8], scalar: &[u8]) {
        let field = match (within, name) {
            (b"", b"input_tokens") => &mut self.input,
            (b"", b"cache_read_input_tokens") => &mut self.cache_read,
            (b"", b"cache_creation_input_tokens") => &mut self.cache_write,
            (b"cache_creation", b"ephemeral_5m_input_tokens") => &mut self.cache_write_5m,
            (b"cache_creation", b"ephemeral_1h_input_tokens") => &mut self.cache_write_1h,
            (b"", b"output_tokens") => &mut self.output,
            (b"output_tokens_details", b"thinking_tokens") => &mut self.thinking,
            (b"server_tool_use", b"web_search_requests") => &mut self.web_searches,
            _ => return,
        };
        *field = count_of(scalar);
    }

    fn of(raw: &Value) -> Self {
        let mut stated = Self::default();
        stated.merge(raw);
        stated
    }

    /// Writes the usage so far into the report.
    fn report(&self, reported: &mut Reported) {
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

/// Takes the usage object that begins `raw` over the ones before it, and what it makes of them into
/// the report; gives the price tier that it names.
pub(crate) fn take<'a>(raw: &'a [u8], stated: &mut Stated, reported: &mut Reported) -> Option<Cow<'a, str>> {
    if let Some(plain) = Plain::of(raw) {
        stated.replace(&plain.stated);
        stated.report(reported);
        take_place(plain.place, reported);
        return plain.service_tier.map(text_of);
    }
    let raw = parse_at(raw, 0)?;
    stated.merge(&raw);
    stated.report(reported);
    flag(&raw, &mut reported.flags);
    take_place(raw.get(PLACE).and_then(Value::as_str).map(str::as_bytes), reported);
    service_tier(&raw).map(|tier| Cow::Owned(tier.to_owned()))
}

/// The member that names the geography in which the model ran; `not_available` where that is not told.
const PLACE: &str = "inference_geo";

/// Keeps the first place named: later objects of a stream name none.
fn take_place(named: Option<&[u8]>, reported: &mut Reported) {
    if reported.place.is_none()
        && let Some(named) = named.filter(|named| !named.is_empty() && *named != b"not_available")
    {
        reported.place = Some(text_of(named).into());
    }
}

/// A usage object that holds counts and a tier alone, as nearly all do: it is read in passing, at a
/// tenth of what parsing it costs.
struct Plain<'a> {
    stated: Stated,
    service_tier: Option<&'a [u8]>,
    place: Option<&'a [u8]>,
}

impl<'a> Plain<'a> {
    /// Nothing for an object that has more to tell, or that is cut short.
    fn of(raw: &'a [u8]) -> Option<Self> {
        let mut plain = Self { stated: Stated::default(), service_tier: None, place: None };
        let mut within: &[u8] = b"";
        let mut walk = Walk::new(raw);
        for found in walk.by_ref() {
            match (found.depth, found.name, found.value) {
                (0, ..) => return Some(plain),
                (1, b"iterations" | b"fallback_credit", value) if !value.is_null() => return None,
                (1, b"service_tier", walk::Value::Text(tier)) => plain.service_tier = Some(tier),
                (1, name, walk::Value::Text(place)) if name == PLACE.as_bytes() => plain.place = Some(place),
                (1, name, walk::Value::Open) => within = name,
                (1, name, walk::Value::Scalar(scalar)) => plain.stated.put(b"", name, scalar),
                (2, name, walk::Value::Scalar(scalar)) => plain.stated.put(within, name, scalar),
                _ => {}
            }
        }
        walk.is_outside().then_some(plain)
    }
}

/// The price tier in a usage object.
fn service_tier(raw: &Value) -> Option<&str> {
    raw.get("service_tier").and_then(Value::as_str)
}

/// What makes the cost of a usage object approximate.
fn flag(raw: &Value, flags: &mut ReportFlags) {
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
    fn what_is_read_in_passing_is_what_parsing_reads() {
        let cases = [
            r#"{"input_tokens":3,"output_tokens":null,"iterations":null,"service_tier":"batch"}"#,
            r#"{"input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":2,"x":{"input_tokens":9}}}"#,
            r#"{ "output_tokens" : 5, "output_tokens_details": {"thinking_tokens": 4}, "input_tokens": -1 }"#,
            r#"{"server_tool_use":{"web_search_requests":2},"input_tokens":1.5,"output_tokens":1}"#,
            r#"{"cache_creation":null,"cache_read_input_tokens":7,"input_tokens":[1]}"#,
        ];
        for raw in cases {
            let value = serde_json::from_str::<Value>(raw).expect("JSON");
            let behind = format!("{raw},\"input_tokens\":99}}");
            let (mut stated, mut reported) = (Stated::default(), Reported::default());
            let tier = take(behind.as_bytes(), &mut stated, &mut reported);
            assert_eq!(reported, report(std::slice::from_ref(&value)), "{raw}");
            assert_eq!(tier.as_deref(), service_tier(&value), "{raw}");
            let cut = &raw.as_bytes()[..raw.len() - 1];
            let mut reported = Reported::default();
            assert_eq!(take(cut, &mut Stated::default(), &mut reported), None, "{raw}");
            assert_eq!(reported, Reported::default(), "{raw}");
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
