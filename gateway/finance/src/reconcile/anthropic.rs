//! Anthropic's cost report, `GET /v1/organizations/cost_report`, grouped by description, and for the
//! tokens its usage report, `GET /v1/organizations/usage_report/messages`, grouped by model
//! (<https://platform.claude.com/docs/en/api/admin/cost_report>).
//!
//! Amounts are decimal texts in the smallest unit of the currency: `123.45` of USD is 1.2345.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    invoice::{InvoiceError, Line, Side, Told},
    pages::{self, Page},
    written::{Amount, day},
};
use crate::minor_unit;

const WHAT: &str = "a cost or usage report of Anthropic's admin API";

#[derive(Deserialize)]
struct Bucket<'a> {
    #[serde(borrow)]
    starting_at: Cow<'a, str>,
    #[serde(borrow, default)]
    results: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow)]
    currency: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cost_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    token_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    workspace_id: Option<Cow<'a, str>>,
    uncached_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

/// Reads pages of either report.
pub(super) fn read(file: &[u8], take: &mut dyn FnMut(Line)) -> Result<Told, InvoiceError> {
    let pages: Vec<Page<Bucket<'_>>> = pages::read(file, WHAT)?;
    let mut report = None;
    for bucket in pages.iter().flat_map(|page| &page.data) {
        let day = day(&bucket.starting_at).ok_or_else(|| InvoiceError::Json {
            what: WHAT,
            why: format!("`starting_at` is no time: {:?}", bucket.starting_at),
        })?;
        for item in &bucket.results {
            report = Some(match (item.amount, item.uncached_input_tokens) {
                (Some(amount), _) => {
                    take(item.cost(amount.get(), day)?);
                    "cost"
                }
                (None, Some(input)) => {
                    item.usage(input, day, take);
                    "usage"
                }
                (None, None) => {
                    return Err(InvoiceError::NotTheReport(
                        "a result has neither `amount` nor `uncached_input_tokens`: take cost_report or usage_report/messages",
                    ));
                }
            });
        }
    }
    let last = pages.last().is_some_and(|page| !page.has_more);
    Ok(Told { other_lines: 0, pages: Some((report.unwrap_or("cost"), last)) })
}

impl Item<'_> {
    fn cost(&self, raw: &str, day: jiff::civil::Date) -> Result<Line, InvoiceError> {
        let currency = self.currency.as_deref().unwrap_or("USD");
        let places = minor_unit::places(currency) as i32;
        let cost = Amount::read(raw, -places, currency).ok_or_else(|| InvoiceError::Json {
            what: WHAT,
            why: format!("`amount` is no amount: {}", raw.chars().take(40).collect::<String>()),
        })?;
        let side = match self.token_type.as_deref() {
            Some("uncached_input_tokens") => Side::Input,
            Some("cache_read_input_tokens") => Side::CachedInput,
            Some(token_type) if token_type.starts_with("cache_creation") => Side::CacheWrite,
            Some("output_tokens") => Side::Output,
            Some(_) => Side::Other,
            None if self.model.is_none() && self.cost_type.is_some() => Side::Other,
            None => Side::All,
        };
        // Searches and the like have no model; what they are stands in its place.
        let other = self.description.as_deref().or(self.cost_type.as_deref());
        Ok(Line {
            day,
            model: self.model.as_deref().or(other).map(str::to_owned),
            side,
            cost: Some(cost),
            tokens: None,
            scope: self.workspace_id.as_deref().map(str::to_owned),
        })
    }

    fn usage(&self, input: u64, day: jiff::civil::Date, take: &mut dyn FnMut(Line)) {
        let written = self.cache_creation.unwrap_or_default();
        let written = written.ephemeral_5m_input_tokens.saturating_add(written.ephemeral_1h_input_tokens);
        let sides = [
            (Side::Input, input),
            (Side::CachedInput, self.cache_read_input_tokens.unwrap_or_default()),
            (Side::CacheWrite, written),
            (Side::Output, self.output_tokens.unwrap_or_default()),
        ];
        for (side, tokens) in sides {
            let model = self.model.as_deref().map(str::to_owned);
            take(Line { day, model, side, cost: None, tokens: Some(tokens), scope: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(file: &str) -> Result<Vec<Line>, InvoiceError> {
        let mut lines = Vec::new();
        read(file.as_bytes(), &mut |line| lines.push(line))?;
        Ok(lines)
    }

    fn page(results: &str) -> String {
        format!(
            r#"{{"data":[{{"starting_at":"2026-11-05T00:00:00Z","ending_at":"2026-11-06T00:00:00Z","results":[{results}]}}],"has_more":false,"next_page":null}}"#
        )
    }

    #[test]
    fn amounts_are_cents_with_parts_of_cents() {
        let results = r#"
            {"currency":"USD","amount":"12378.912","cost_type":"tokens","token_type":"cache_creation.ephemeral_1h_input_tokens","model":"claude-sonnet-4-5-20250929","workspace_id":"wrkspc_1","description":"Claude Sonnet 4.5 Usage"},
            {"currency":"USD","amount":"100","cost_type":"web_search","description":"Web Search Usage","model":null,"token_type":null},
            {"currency":"JPY","amount":"100","model":null}"#;
        let lines = lines(&page(results)).expect("read");
        let money = |line: &Line| line.cost.as_ref().map(|cost| cost.money.to_string()).unwrap_or_default();
        let told: Vec<_> = lines.iter().map(|line| (line.model.as_deref(), line.side, money(line))).collect();
        assert_eq!(
            told,
            [
                (Some("claude-sonnet-4-5-20250929"), Side::CacheWrite, "123.78912".to_owned()),
                (Some("Web Search Usage"), Side::Other, "1".to_owned()),
                (None, Side::All, "100".to_owned()),
            ]
        );
    }

    #[test]
    fn usage_is_told_by_disjoint_sorts() {
        let result = r#"{"uncached_input_tokens":40,"cache_read_input_tokens":60,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"output_tokens":7,"model":"claude","server_tool_use":{"web_search_requests":1}}"#;
        let told: Vec<_> =
            lines(&page(result)).expect("read").iter().map(|line| (line.side, line.tokens)).collect();
        let want = [(Side::Input, 40), (Side::CachedInput, 60), (Side::CacheWrite, 3), (Side::Output, 7)];
        assert_eq!(told, want.map(|(side, tokens)| (side, Some(tokens))));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let cases = [
            ("{\"data\":[{\"results\":[]}]}".to_owned(), "missing field `starting_at`"),
            (page("{}"), "neither `amount` nor `uncached_input_tokens`"),
            (page(r#"{"amount":"12,5","currency":"USD"}"#), "no amount: \"12,5\""),
            (page("{\"amount\":\"1\"}").replace("2026-11-05", "yesterday"), "no time"),
        ];
        for (file, told) in cases {
            let error = lines(&file).expect_err(&file).to_string();
            assert!(error.contains(told), "{file}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..60), value in ".{0,20}") {
            let _ = read(&raw, &mut |_| {});
            let value = serde_json::to_string(&value).expect("a text is JSON");
            let file = page(&format!(r#"{{"amount":{value},"currency":{value},"token_type":{value},"model":{value}}}"#));
            let _ = read(file.as_bytes(), &mut |_| {});
            let _ = read(&file.as_bytes()[..file.len() * (raw.len() + 1) / 62], &mut |_| {});
        }
    }
}
