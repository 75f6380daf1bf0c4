//! What was sold: the stock-keeping unit of a charge, its price, and the tags that it carries.

use serde_json::{Map, Value, json};
use tollgate_accounting::price::MeterKind;

use super::{
    charge::{Charge, What},
    line::Line,
};

/// Fills the columns of the SKU and the tags.
pub(super) fn describe(charge: &Charge, line: &mut Line) {
    let mut details = Map::new();
    let (mut id, mut price, mut meter_text) = Default::default();
    if let (What::Metered { meter, .. } | What::Unpriced(meter), Some(served)) =
        (&charge.what, &charge.served)
    {
        meter_text = meter_name(*meter).to_owned();
        id = format!("{}/{}/{}", served.provider, served.model, meter.as_str());
        details.insert("x_ModelId".to_owned(), json!(*served.model));
        details.extend(token_keys(*meter).iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
        if let Some(tier) = &served.tier {
            details.insert("x_ServiceTier".to_owned(), json!(tier));
        }
    }
    if let What::Metered { meter, price_id, .. } = &charge.what {
        price = format!("{price_id}/{}", meter.as_str());
    }
    line.text("SkuId", id);
    line.text("SkuPriceId", price);
    line.text("SkuMeter", meter_text);
    line.text(
        "SkuPriceDetails",
        if details.is_empty() { String::new() } else { Value::from(details).to_string() },
    );
    line.text("Tags", tags(charge));
}

/// The people's own tags as they are, ours under a prefix.
fn tags(charge: &Charge) -> String {
    let mut tags: Map<String, Value> =
        charge.tags.iter().map(|(name, value)| (name.to_string(), json!(**value))).collect();
    tags.insert("tollgate:team".to_owned(), json!(*charge.team));
    if let Some(cost_center) = &charge.cost_center {
        tags.insert("tollgate:cost_center".to_owned(), json!(**cost_center));
    }
    Value::from(tags).to_string()
}

/// What a meter is called.
pub(super) fn meter_name(meter: MeterKind) -> &'static str {
    match meter {
        MeterKind::Input => "Input Tokens",
        MeterKind::CachedInput => "Cache Read Input Tokens",
        MeterKind::CacheWrite5m | MeterKind::CacheWrite1h | MeterKind::CacheWrite => {
            "Cache Write Input Tokens"
        }
        MeterKind::Output => "Output Tokens",
        MeterKind::Reasoning => "Reasoning Output Tokens",
        MeterKind::AudioInput => "Audio Input Tokens",
        MeterKind::AudioOutput => "Audio Output Tokens",
        MeterKind::Request => "Requests",
        MeterKind::Search => "Web Searches",
    }
}

/// What the draft of FOCUS 1.5 says of tokens, under the prefix that earlier versions ask for.
fn token_keys(meter: MeterKind) -> &'static [(&'static str, &'static str)] {
    match meter {
        MeterKind::Input => &[("x_TokenDirection", "Input"), ("x_TokenCacheAction", "Uncached")],
        MeterKind::CachedInput => &[("x_TokenDirection", "Input"), ("x_TokenCacheAction", "Read")],
        MeterKind::CacheWrite5m => {
            &[("x_TokenDirection", "Input"), ("x_TokenCacheAction", "Write"), ("x_CacheTtl", "5m")]
        }
        MeterKind::CacheWrite1h => {
            &[("x_TokenDirection", "Input"), ("x_TokenCacheAction", "Write"), ("x_CacheTtl", "1h")]
        }
        MeterKind::CacheWrite => &[("x_TokenDirection", "Input"), ("x_TokenCacheAction", "Write")],
        MeterKind::Output | MeterKind::Reasoning => &[("x_TokenDirection", "Output")],
        MeterKind::AudioInput => &[("x_TokenDirection", "Input"), ("x_Modality", "Audio")],
        MeterKind::AudioOutput => &[("x_TokenDirection", "Output"), ("x_Modality", "Audio")],
        MeterKind::Request | MeterKind::Search => &[],
    }
}
