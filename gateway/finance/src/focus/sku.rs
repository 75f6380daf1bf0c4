//! What was sold: the stock-keeping unit of a charge, its price, and the tags that it carries.

use serde_json::{Map, Value, json};
use tollgate_accounting::price::MeterKind;

use super::{
    charge::{Charge, What},
    line::Line,
};

/// Fills the columns of the SKU and the tags.
pub(super) fn describe(charge: &Charge, line: &mut Line) {
    let meter = match &charge.what {
        What::Metered { meter, .. } | What::Unpriced(meter) => Some(*meter),
        What::Lump(_) => None,
    };
    let id = meter.map(|meter| sku_id(charge, meter)).unwrap_or_default();
    // A price belongs to one SKU, and details to a price.
    let (price, details) = match &charge.what {
        What::Metered { meter, price_id, .. } => (format!("{id}/{price_id}"), details(charge, *meter)),
        What::Unpriced(_) | What::Lump(_) => Default::default(),
    };
    line.text("SkuId", id);
    line.text("SkuPriceId", price);
    line.text("SkuMeter", meter.map(meter_name).unwrap_or_default());
    line.text("SkuPriceDetails", details);
    line.text("Tags", tags(charge));
}

/// The provider, the model and what is counted; of what no provider served, the alias.
fn sku_id(charge: &Charge, meter: MeterKind) -> String {
    match &charge.served {
        Some(served) => format!("{}/{}/{}", served.provider, served.model, meter.as_str()),
        None => format!("gateway/{}/{}", charge.alias, meter.as_str()),
    }
}

fn details(charge: &Charge, meter: MeterKind) -> String {
    let mut details = Map::new();
    if let Some(served) = &charge.served {
        details.insert("x_ModelId".to_owned(), json!(*served.model));
    }
    details.extend(token_keys(meter).iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    if let Some(tier) = charge.served.as_ref().and_then(|served| served.tier.as_ref()) {
        details.insert("x_ServiceTier".to_owned(), json!(tier));
    }
    Value::from(details).to_string()
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
        MeterKind::ImageInput => "Image Input Tokens",
        MeterKind::ImageOutput => "Image Output Tokens",
        MeterKind::Image => "Images",
        MeterKind::AudioTime => "Audio Time",
        MeterKind::Character => "Spoken Characters",
        MeterKind::SearchUnit => "Search Units",
        MeterKind::Request => "Requests",
        MeterKind::Search => "Web Searches",
        MeterKind::CapacityUsed => "Used Capacity",
        MeterKind::CapacityIdle => "Idle Capacity",
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
        MeterKind::ImageInput => &[("x_TokenDirection", "Input"), ("x_Modality", "Image")],
        MeterKind::ImageOutput => &[("x_TokenDirection", "Output"), ("x_Modality", "Image")],
        MeterKind::Image
        | MeterKind::AudioTime
        | MeterKind::Character
        | MeterKind::SearchUnit
        | MeterKind::Request
        | MeterKind::Search
        | MeterKind::CapacityUsed
        | MeterKind::CapacityIdle => &[],
    }
}
