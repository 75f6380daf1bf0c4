//! The columns and what a charge says in each. An empty field is null.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde_json::{Map, Value, json};
use tollgate_accounting::price::MeterKind;
use tollgate_domain::{Money, UnitPrice};

use super::{
    FocusVersion, HOUR,
    charge::{Charge, Status, Sums, What},
};

/// Tokens are priced by the million.
const BLOCK: u64 = 1_000_000;

/// The columns of a version, in the order of the file.
pub(super) struct Columns {
    version: FocusVersion,
    zone: TimeZone,
}

/// A line under construction: names and values at once, so that they cannot part.
type Line = Vec<(&'static str, String)>;

impl Columns {
    pub(super) fn new(version: FocusVersion, zone: TimeZone) -> Self {
        Self { version, zone }
    }

    /// The header: the names of any line, here of one that says nothing.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let nothing = Charge {
            organization: "".into(),
            team: "".into(),
            project: "".into(),
            key: "".into(),
            cost_center: None,
            tags: Default::default(),
            alias: "".into(),
            currency: "".into(),
            served: None,
            what: What::Adjustment,
            status: Status::Settled,
        };
        self.fields(0, &nothing, &Sums::default()).into_iter().map(|(name, _)| name).collect()
    }

    pub(super) fn line(&self, hour: i64, charge: &Charge, sums: &Sums) -> Vec<String> {
        self.fields(hour, charge, sums).into_iter().map(|(_, value)| value).collect()
    }

    fn fields(&self, hour: i64, charge: &Charge, sums: &Sums) -> Line {
        let mut line = Line::new();
        self.money(charge, sums, &mut line);
        self.periods(hour, &mut line);
        self.parties(charge, &mut line);
        sku(charge, &mut line);
        own(charge, sums, &mut line);
        line
    }

    fn money(&self, charge: &Charge, sums: &Sums, line: &mut Line) {
        let cost = sums.cost.to_string();
        let measure = Measure::of(&charge.what, sums.quantity);
        let (category, frequency) = match charge.what {
            What::Metered { .. } | What::Unpriced(_) => ("Usage", "Usage-Based"),
            What::Fixed => ("Purchase", "Recurring"),
            What::Adjustment => ("Adjustment", "One-Time"),
        };
        let pricing = match charge.what {
            What::Metered { .. } | What::Unpriced(_) => "Standard",
            What::Fixed => "Committed",
            What::Adjustment => "",
        };
        line.extend([
            ("BilledCost", "0".to_owned()),
            ("EffectiveCost", cost.clone()),
            ("ContractedCost", cost),
            ("ListCost", list_cost(charge, sums).to_string()),
            ("ContractedUnitPrice", measure.unit_price),
            ("ListUnitPrice", measure.list_price),
            ("BillingCurrency", charge.currency.to_string()),
            ("PricingQuantity", measure.priced),
            ("PricingUnit", measure.pricing_unit),
            ("ConsumedQuantity", measure.consumed),
            ("ConsumedUnit", measure.consumed_unit),
            ("PricingCategory", pricing.to_owned()),
            ("ChargeCategory", category.to_owned()),
            ("ChargeClass", String::new()),
            ("ChargeDescription", description(charge)),
            ("ChargeFrequency", frequency.to_owned()),
        ]);
    }

    fn periods(&self, hour: i64, line: &mut Line) {
        let (begin, end) = self.month(hour);
        line.extend([
            ("ChargePeriodStart", instant(hour)),
            ("ChargePeriodEnd", instant(hour + HOUR)),
            ("BillingPeriodStart", begin),
            ("BillingPeriodEnd", end),
        ]);
    }

    /// The calendar month of an instant.
    fn month(&self, millis: i64) -> (String, String) {
        let at = Timestamp::from_millisecond(millis).unwrap_or_default();
        let first = self.zone.to_datetime(at).date().first_of_month();
        let next = first.checked_add(1.month()).unwrap_or(Date::MAX);
        let midnight = |date: Date| {
            let at = self.zone.to_timestamp(date.at(0, 0, 0, 0));
            at.map(|at| instant(at.as_millisecond())).unwrap_or_default()
        };
        (midnight(first), midnight(next))
    }

    fn parties(&self, charge: &Charge, line: &mut Line) {
        let provider = charge.served.as_ref().map_or("", |served| &served.provider);
        let (service, company) = names_of(provider);
        let company = if company.is_empty() { charge.organization.to_string() } else { company.to_owned() };
        line.extend([
            ("BillingAccountId", charge.organization.to_string()),
            ("BillingAccountName", charge.organization.to_string()),
            ("BillingAccountType", "Organization".to_owned()),
            ("SubAccountId", charge.project.to_string()),
            ("SubAccountName", charge.project.to_string()),
            ("SubAccountType", "Project".to_owned()),
            ("InvoiceIssuerName", company.clone()),
        ]);
        match self.version {
            FocusVersion::V1_2 => {
                line.extend([("ProviderName", company.clone()), ("PublisherName", company)]);
            }
            FocusVersion::V1_4 => {
                line.extend([("ServiceProviderName", company.clone()), ("HostProviderName", company)]);
            }
        }
        let region = charge.served.as_ref().map(|served| served.region.to_string()).unwrap_or_default();
        line.extend([
            ("ServiceCategory", "AI and Machine Learning".to_owned()),
            ("ServiceSubcategory", "Generative AI".to_owned()),
            ("ServiceName", service.to_owned()),
            ("RegionId", region.clone()),
            ("RegionName", region),
        ]);
    }
}

/// The service and the company behind it, of a provider's id in the ledger; its own name where it is
/// none of the well-known ones.
fn names_of(provider: &str) -> (&str, &str) {
    match provider {
        "openai" => ("OpenAI API", "OpenAI"),
        "azure" => ("Azure OpenAI", "Microsoft"),
        "anthropic" => ("Claude API", "Anthropic"),
        "" => ("AI gateway", ""),
        other => (other, other),
    }
}

fn description(charge: &Charge) -> String {
    let model = charge.served.as_ref().map_or(&*charge.alias, |served| &*served.model);
    match &charge.what {
        What::Metered { meter, .. } => format!("{} of {model}", meter_name(*meter)),
        What::Unpriced(meter) => format!("{} of {model}, which has no price", meter_name(*meter)),
        What::Fixed => format!("Reserved capacity of {model}"),
        What::Adjustment => format!("Adjustment of {model}"),
    }
}

/// What the quantity costs by the provider's list. What has no quantity has no list price either and
/// stands there as it is charged.
fn list_cost(charge: &Charge, sums: &Sums) -> Money {
    match &charge.what {
        What::Metered { list_price, .. } => list_price.times(sums.quantity),
        What::Unpriced(_) | What::Fixed | What::Adjustment => sums.cost,
    }
}

/// Quantities and the price of one, as text.
#[derive(Default)]
struct Measure {
    unit_price: String,
    list_price: String,
    priced: String,
    pricing_unit: String,
    consumed: String,
    consumed_unit: String,
}

impl Measure {
    fn of(what: &What, quantity: u64) -> Self {
        let (meter, prices) = match what {
            What::Fixed | What::Adjustment => return Self::default(),
            What::Unpriced(meter) => (*meter, None),
            What::Metered { meter, unit_price, list_price, .. } => (*meter, Some((*unit_price, *list_price))),
        };
        let (unit, block) = match meter {
            MeterKind::Request => ("Requests", 1),
            MeterKind::Search => ("Searches", 1),
            MeterKind::CapacityUsed | MeterKind::CapacityIdle => ("Hours", 1),
            _ => ("Tokens", BLOCK),
        };
        let pricing_unit = if block == 1 { unit.to_owned() } else { format!("{block} {unit}") };
        Self {
            unit_price: prices.map(|(price, _)| of_block(price, block)).unwrap_or_default(),
            list_price: prices.map(|(_, list)| of_block(list, block)).unwrap_or_default(),
            priced: part_of(quantity, block),
            pricing_unit,
            consumed: quantity.to_string(),
            consumed_unit: unit.to_owned(),
        }
    }
}

/// The price of a block of units.
fn of_block(price: UnitPrice, block: u64) -> String {
    price.times(block).to_string()
}

/// A quantity in blocks, exactly: both are whole, and a block is a power of ten.
fn part_of(quantity: u64, block: u64) -> String {
    Money::from_pico(i128::from(quantity) * (1_000_000_000_000 / i128::from(block))).to_string()
}

fn sku(charge: &Charge, line: &mut Line) {
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
    let details = if details.is_empty() { String::new() } else { Value::from(details).to_string() };
    line.extend([
        ("SkuId", id),
        ("SkuPriceId", price),
        ("SkuMeter", meter_text),
        ("SkuPriceDetails", details),
        ("Tags", tags(charge)),
    ]);
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

fn own(charge: &Charge, sums: &Sums, line: &mut Line) {
    let status = match charge.status {
        Status::Settled => "Settled",
        Status::Estimated => "Estimated",
        Status::Unknown => "Unknown",
    };
    let price = match &charge.what {
        What::Metered { price_id, .. } => price_id.to_string(),
        What::Unpriced(_) | What::Fixed | What::Adjustment => String::new(),
    };
    let (from, to) = sums.seqs.map(|(from, to)| (from.to_string(), to.to_string())).unwrap_or_default();
    line.extend([
        ("x_Team", charge.team.to_string()),
        ("x_CostCenter", charge.cost_center.as_deref().unwrap_or_default().to_owned()),
        ("x_KeyId", charge.key.to_string()),
        ("x_ModelAlias", charge.alias.to_string()),
        ("x_CostStatus", status.to_owned()),
        ("x_PriceVersion", price),
        ("x_RequestCount", sums.rows.to_string()),
        ("x_LedgerFrom", from),
        ("x_LedgerTo", to),
    ]);
}

fn meter_name(meter: MeterKind) -> &'static str {
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
        MeterKind::Request | MeterKind::Search | MeterKind::CapacityUsed | MeterKind::CapacityIdle => &[],
    }
}

/// An instant in UTC, to the second.
fn instant(millis: i64) -> String {
    let at = Timestamp::from_millisecond(millis).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
