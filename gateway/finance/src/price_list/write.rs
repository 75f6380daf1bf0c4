//! Price entries as a price file writes them.

use std::fmt::Write as _;

use tollgate_accounting::price::{PriceEntry, Rates};
use tollgate_domain::Money;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// The entries as items of a price file's `prices:`, one a line.
#[must_use]
pub fn write_entries(entries: &[PriceEntry]) -> String {
    let mut text = String::new();
    for entry in entries {
        text.push_str("  - { ");
        text.push_str(&members(entry).join(", "));
        text.push_str(" }\n");
    }
    text
}

fn members(entry: &PriceEntry) -> Vec<String> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut members = Vec::new();
    members.extend(entry.id.as_deref().map(|id| format!("id: {}", quoted(id))));
    members.push(format!("model: {}", quoted(entry.model.as_str())));
    members
        .extend(entry.upstream.as_ref().map(|upstream| format!("upstream: {}", quoted(upstream.as_str()))));
    let from = jiff::Timestamp::from_millisecond(entry.from.get()).unwrap_or_default();
    let midnight = from.as_millisecond() % DAY == 0;
    let form = if midnight { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%S%.fZ" };
    members.push(format!("from: {}", from.strftime(form)));
    members.push(format!("currency: {}", entry.currency));
    if entry.per != 1_000_000 {
        members.push(format!("per: {}", entry.per));
    }
    members.extend(rates(&entry.rates));
    let fees = [
        ("batch_multiplier", entry.batch_multiplier),
        ("per_request", entry.per_request),
        ("per_image", entry.per_image),
        ("per_search", entry.per_search),
        ("per_audio_minute", entry.per_audio_minute),
        ("per_hour", entry.per_hour),
    ];
    members.extend(amounts(fees));
    if !entry.tiers.is_empty() {
        let mut tiers = String::new();
        for tier in &entry.tiers {
            let mut parts = vec![format!("above_input_tokens: {}", tier.above_input_tokens)];
            parts.extend(rates(&tier.rates));
            let comma = if tiers.is_empty() { "" } else { ", " };
            write!(tiers, "{comma}{{ {} }}", parts.join(", ")).expect("a string takes all text");
        }
        members.push(format!("tiers: [{tiers}]"));
    }
    members
}

fn rates(rates: &Rates) -> Vec<String> {
    amounts(rates.named()).collect()
}

fn amounts<const N: usize>(named: [(&'static str, Option<Money>); N]) -> impl Iterator<Item = String> {
    named.into_iter().filter_map(|(name, amount)| Some(format!("{name}: \"{}\"", amount?)))
}
