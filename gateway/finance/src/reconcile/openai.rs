//! OpenAI's costs, `GET /v1/organization/costs`, grouped by line item, and for the tokens its usage,
//! `GET /v1/organization/usage/completions` or `/embeddings`, grouped by model
//! (<https://platform.openai.com/docs/api-reference/usage>).
//!
//! A line item is a model and a sort of tokens, such as `gpt-5-mini-2025-08-07, input`, or something
//! that is no model.

use std::borrow::Cow;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    invoice::{InvoiceError, Line, Side, Told},
    pages::{self, Page},
    written::Amount,
};
use crate::price_list::amount::times_ten_to;

const WHAT: &str = "a report of OpenAI's costs or usage API";

#[derive(Deserialize)]
struct Bucket<'a> {
    start_time: i64,
    #[serde(borrow, default)]
    results: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    amount: Option<Value<'a>>,
    #[serde(borrow)]
    line_item: Option<Cow<'a, str>>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    quantity_unit: Option<Cow<'a, str>>,
    #[serde(borrow)]
    project_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    api_key_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    input_tokens: Option<u64>,
    input_cached_tokens: Option<u64>,
    input_cache_write_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow)]
    currency: Cow<'a, str>,
}

/// Reads pages of costs or of usage.
pub(super) fn read(file: &[u8], take: &mut dyn FnMut(Line)) -> Result<Told, InvoiceError> {
    let pages: Vec<Page<Bucket<'_>>> = pages::read(file, WHAT)?;
    let mut report = None;
    for bucket in pages.iter().flat_map(|page| &page.data) {
        let day = day_of(bucket.start_time)?;
        for item in &bucket.results {
            report = Some(match (&item.amount, item.input_tokens) {
                (Some(amount), _) => {
                    take(item.cost(amount, day)?);
                    "costs"
                }
                (None, Some(input)) => {
                    item.usage(input, day, take);
                    "usage"
                }
                (None, None) => {
                    return Err(InvoiceError::NotTheReport(
                        "a result has neither `amount` nor `input_tokens`: take /v1/organization/costs or a usage report of tokens",
                    ));
                }
            });
        }
    }
    let last = pages.last().is_some_and(|page| !page.has_more);
    Ok(Told { other_lines: 0, pages: Some((report.unwrap_or("costs"), last)) })
}

fn day_of(seconds: i64) -> Result<Date, InvoiceError> {
    let at = Timestamp::from_second(seconds)
        .map_err(|_| InvoiceError::Json { what: WHAT, why: format!("`start_time` {seconds} is no time") })?;
    Ok(at.to_zoned_datetime(TimeZone::UTC).date())
}

impl Item<'_> {
    fn cost(&self, amount: &Value<'_>, day: Date) -> Result<Line, InvoiceError> {
        let raw = amount.value.get();
        let cost = Amount::read(raw, 0, &amount.currency).ok_or_else(|| InvoiceError::Json {
            what: WHAT,
            why: format!("`amount.value` is no amount: {}", raw.chars().take(40).collect::<String>()),
        })?;
        let (model, side) = match self.line_item.as_deref() {
            None => (None, Side::All),
            Some(item) => model_and_side(item),
        };
        let scope = self.api_key_id.as_deref().or(self.project_id.as_deref());
        Ok(Line {
            day,
            model,
            side,
            cost: Some(cost),
            tokens: self.quantity.and_then(|raw| tokens(raw.get(), self.quantity_unit.as_deref()?)),
            scope: scope.map(str::to_owned),
        })
    }

    /// The counts of a result; cached tokens are part of `input_tokens`.
    fn usage(&self, input: u64, day: Date, take: &mut dyn FnMut(Line)) {
        let (cached, written) =
            (self.input_cached_tokens.unwrap_or_default(), self.input_cache_write_tokens.unwrap_or_default());
        let sides = [
            (Side::Input, input.saturating_sub(cached).saturating_sub(written)),
            (Side::CachedInput, cached),
            (Side::CacheWrite, written),
            (Side::Output, self.output_tokens.unwrap_or_default()),
        ];
        for (side, tokens) in sides {
            let model = self.model.as_deref().map(str::to_owned);
            take(Line { day, model, side, cost: None, tokens: Some(tokens), scope: None });
        }
    }
}

fn model_and_side(line_item: &str) -> (Option<String>, Side) {
    let Some((model, sort)) = line_item.rsplit_once(", ") else {
        return (Some(line_item.to_owned()), Side::Other);
    };
    let sort = sort.to_ascii_lowercase();
    let side = match () {
        () if sort.contains("cached") => Side::CachedInput,
        () if sort.contains("cache write") => Side::CacheWrite,
        () if sort.contains("input") => Side::Input,
        () if sort.contains("output") => Side::Output,
        () => return (Some(line_item.to_owned()), Side::Other),
    };
    (Some(model.to_owned()), side)
}

/// A quantity whose unit is tokens, or thousands or millions of them.
fn tokens(quantity: &str, unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let power = match unit.strip_suffix("tokens").or_else(|| unit.strip_suffix("token"))?.trim() {
        "" | "1" => 0,
        "1k" | "1000" | "thousand" => 3,
        "1m" | "1000000" | "million" => 6,
        _ => return None,
    };
    let amount = times_ten_to(quantity, power)?;
    let whole = amount.pico() % 1_000_000_000_000 == 0;
    u64::try_from(amount.pico() / 1_000_000_000_000).ok().filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(file: &str) -> Result<(Vec<Line>, Told), InvoiceError> {
        let mut lines = Vec::new();
        let told = read(file.as_bytes(), &mut |line| lines.push(line))?;
        Ok((lines, told))
    }

    fn page(results: &str, more: bool) -> String {
        format!(
            r#"{{"object":"page","data":[{{"object":"bucket","start_time":1793836800,"end_time":1793923200,"results":[{results}]}}],"has_more":{more},"next_page":null}}"#
        )
    }

    #[test]
    fn costs_keep_every_digit_and_tell_model_and_sort() {
        let results = r#"
            {"object":"organization.costs.result","amount":{"value":0.12345678901,"currency":"usd"},"line_item":"gpt-4o-2024-08-06, cached input","project_id":"proj_1","quantity":2.5,"quantity_unit":"1M tokens","new":{"x":[1]}},
            {"object":"organization.costs.result","amount":{"value":1e-05,"currency":"usd"},"line_item":"Web search tool calls","project_id":null},
            {"object":"organization.costs.result","amount":{"value":"3.10","currency":"usd"},"line_item":null}"#;
        let (lines, told) = lines(&page(results, false)).expect("read");
        assert_eq!(told.pages, Some(("costs", true)));
        let money = |line: &Line| line.cost.as_ref().map(|cost| cost.money.to_string()).unwrap_or_default();
        let told: Vec<_> =
            lines.iter().map(|line| (line.model.as_deref(), line.side, money(line), line.tokens)).collect();
        assert_eq!(
            told,
            [
                (Some("gpt-4o-2024-08-06"), Side::CachedInput, "0.12345678901".to_owned(), Some(2_500_000)),
                (Some("Web search tool calls"), Side::Other, "0.00001".to_owned(), None),
                (None, Side::All, "3.1".to_owned(), None),
            ]
        );
        assert_eq!(
            (lines[0].day.to_string().as_str(), lines[0].scope.as_deref()),
            ("2026-11-05", Some("proj_1"))
        );
    }

    #[test]
    fn usage_is_told_by_disjoint_sorts() {
        let result = r#"{"object":"organization.usage.completions.result","input_tokens":100,"input_cached_tokens":60,"output_tokens":7,"model":"gpt-4o"}"#;
        let (lines, _) = lines(&page(result, false)).expect("read");
        let told: Vec<_> = lines.iter().map(|line| (line.side, line.tokens)).collect();
        let want = [(Side::Input, 40), (Side::CachedInput, 60), (Side::CacheWrite, 0), (Side::Output, 7)];
        assert_eq!(told, want.map(|(side, tokens)| (side, Some(tokens))));
    }

    #[test]
    fn pages_come_in_a_list_or_one_after_the_other_and_the_last_must_be_there() {
        let item = r#"{"amount":{"value":1,"currency":"usd"}}"#;
        let (first, last) = (page(item, true), page(item, false));
        for file in [format!("[{first},{last}]"), format!("{first}\n{last}")] {
            let (lines, told) = lines(&file).expect("read");
            assert_eq!((lines.len(), told.pages), (2, Some(("costs", true))));
        }
        assert_eq!(lines(&first).expect("read").1.pages, Some(("costs", false)));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let amount =
            |value: &str| page(&format!(r#"{{"amount":{{"value":{value},"currency":"usd"}}}}"#), false);
        let cases = [
            (String::new(), "the file is empty"),
            ("{}".to_owned(), "missing field `data`"),
            ("date,model".to_owned(), "not a report of OpenAI's"),
            (page("{}", false), "neither `amount` nor `input_tokens`"),
            (amount("true"), "no amount: true"),
            (amount("null"), "no amount: null"),
            (page(r#"{"amount":{"value":1}}"#, false), "missing field `currency`"),
        ];
        for (file, told) in cases {
            let error = lines(&file).expect_err(&file).to_string();
            assert!(error.contains(told), "{file}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..60), value in ".{0,20}", at in any::<i64>()) {
            let _ = read(&raw, &mut |_| {});
            let value = serde_json::to_string(&value).expect("a text is JSON");
            let file = page(&format!(r#"{{"amount":{{"value":{value},"currency":{value}}},"line_item":{value},"quantity":{value},"quantity_unit":{value}}}"#), false);
            let _ = read(file.replace("1793836800", &at.to_string()).as_bytes(), &mut |_| {});
            let cut = file.len() * (raw.len() + 1) / 62;
            let _ = read(&file.as_bytes()[..cut], &mut |_| {});
        }
    }
}
