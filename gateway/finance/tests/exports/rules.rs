//! The rules that FOCUS gives for each row, checked on every row of a mixed month, for both versions.
//!
//! They are the MUST rules of the "Cost and Usage" columns that the files have
//! (<https://focus.finops.org/focus-specification/>). The public validator knows version 1.2 only and
//! runs beside (`validator`). That the checker can fail is shown with planted faults.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
use tollgate_domain::Money;
use tollgate_finance::{FocusForm, FocusVersion, export_focus};

use crate::{
    ground::{all_kinds, store_of},
    mixed::mixed,
};

type Row = BTreeMap<String, String>;

const NEVER_NULL: [&str; 20] = [
    "BilledCost",
    "EffectiveCost",
    "ContractedCost",
    "ListCost",
    "BillingCurrency",
    "BillingAccountId",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargeFrequency",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "InvoiceIssuerName",
    "ServiceCategory",
    "ServiceSubcategory",
    "ServiceName",
    "BillingAccountType",
    "SubAccountType",
    "ChargeDescription",
    "Tags",
];
const MAY_BE_NULL: [&str; 6] = [
    "BillingAccountName",
    "ChargeClass",
    "PricingQuantity",
    "PricingUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
];
const DECIMALS: [&str; 8] = [
    "BilledCost",
    "EffectiveCost",
    "ContractedCost",
    "ListCost",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingQuantity",
    "ConsumedQuantity",
];
const INSTANTS: [&str; 4] =
    ["ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd"];

/// What is wrong with a row, by the names of the rules that it breaks.
fn broken(row: &Row, version: FocusVersion) -> BTreeSet<&'static str> {
    let rules: [(&'static str, bool); 12] = [
        ("columns of the version", has_columns(row, version)),
        ("no null where none is allowed", never_null(row, version)),
        ("plain decimals", DECIMALS.iter().all(|column| is_decimal(&row[*column]))),
        ("instants in UTC to the second", INSTANTS.iter().all(|column| is_instant(&row[*column]))),
        ("periods", periods_hold(row)),
        ("allowed values", values_are_allowed(row)),
        ("quantities with units", quantities_have_units(row)),
        ("what usage must tell", usage_is_told(row)),
        ("prices are not negative", prices_are_not_negative(row)),
        ("price times quantity is cost", equations_hold(row)),
        ("flat JSON objects", objects_are_flat(row)),
        ("stock-keeping units", skus_hold(row)),
    ];
    rules.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
}

fn names(version: FocusVersion) -> (&'static [&'static str], &'static [&'static str]) {
    let (old, new) = (&["ProviderName", "PublisherName"], &["ServiceProviderName", "HostProviderName"]);
    match version {
        FocusVersion::V1_2 => (old, new),
        FocusVersion::V1_4 => (new, old),
    }
}

fn has_columns(row: &Row, version: FocusVersion) -> bool {
    let (has, has_not) = names(version);
    let known = NEVER_NULL.iter().chain(&MAY_BE_NULL).chain(has).all(|column| row.contains_key(*column));
    let well_named = row.keys().all(|name| {
        let name = name.strip_prefix("x_").unwrap_or(name);
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric())
    });
    known && well_named && !has_not.iter().any(|column| row.contains_key(*column))
}

fn never_null(row: &Row, version: FocusVersion) -> bool {
    NEVER_NULL
        .iter()
        .chain(names(version).0)
        .all(|column| row.get(*column).is_some_and(|value| !value.is_empty()))
}

fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    text.is_empty() || (digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(places))
}

fn is_instant(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z') && text.parse::<Timestamp>().is_ok()
}

fn periods_hold(row: &Row) -> bool {
    // Texts of one form and one zone are in order as their instants are.
    let [begin, end, first, past] = INSTANTS.map(|column| &row[column]);
    let within = first <= begin && end <= past;
    begin < end && first < past && (if row["ChargeClass"] == "Correction" { end <= first } else { within })
}

fn values_are_allowed(row: &Row) -> bool {
    let one_of = |column: &str, values: &[&str]| values.contains(&row[column].as_str());
    let currency = &row["BillingCurrency"];
    one_of("ChargeCategory", &["Usage", "Purchase", "Tax", "Credit", "Adjustment"])
        && one_of("ChargeClass", &["", "Correction"])
        && one_of("ChargeFrequency", &["One-Time", "Recurring", "Usage-Based"])
        && one_of("PricingCategory", &["", "Standard", "Dynamic", "Committed", "Other"])
        && one_of(
            "PricingUnit",
            &[
                "",
                "1000000 Tokens",
                "Requests",
                "Searches",
                "Images",
                "Seconds",
                "Characters",
                "Charges",
                "Hours",
            ],
        )
        && !(row["ChargeCategory"] == "Purchase" && row["ChargeFrequency"] == "Usage-Based")
        && row["ServiceCategory"] == "AI and Machine Learning"
        && currency.len() == 3
        && currency.bytes().all(|letter| letter.is_ascii_uppercase())
}

fn quantities_have_units(row: &Row) -> bool {
    let together = |one: &str, other: &str| row[one].is_empty() == row[other].is_empty();
    together("ConsumedQuantity", "ConsumedUnit")
        && together("PricingQuantity", "PricingUnit")
        && (row["ChargeCategory"] == "Usage" || row["ConsumedQuantity"].is_empty())
}

/// Corrections may leave out what others must tell.
fn usage_is_told(row: &Row) -> bool {
    let category = row["ChargeCategory"].as_str();
    if row["ChargeClass"] == "Correction" || !matches!(category, "Usage" | "Purchase") {
        return true;
    }
    let told = |columns: &[&str]| columns.iter().all(|column| !row[*column].is_empty());
    let priced = row["x_CostStatus"] == "Unknown" || told(&["ListUnitPrice", "ContractedUnitPrice"]);
    let consumed = category != "Usage" || told(&["ConsumedQuantity", "ConsumedUnit"]);
    priced && consumed && told(&["PricingQuantity", "PricingUnit", "PricingCategory"])
}

fn prices_are_not_negative(row: &Row) -> bool {
    !row["ListUnitPrice"].starts_with('-') && !row["ContractedUnitPrice"].starts_with('-')
}

fn equations_hold(row: &Row) -> bool {
    let amount = |column: &str| row[column].parse::<Money>().ok().map(Money::pico);
    [("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")].iter().all(|(price, cost)| {
        match (amount(price), amount("PricingQuantity"), amount(cost)) {
            (Some(price), Some(quantity), Some(cost)) => {
                let unit = 1_000_000_000_000;
                // Both sides by parts, since their products have more than 128 bits.
                price.checked_mul(quantity).is_none_or(|product| product == cost * unit)
            }
            (None, ..) => true,
            _ => false,
        }
    })
}

fn objects_are_flat(row: &Row) -> bool {
    ["Tags", "SkuPriceDetails"].iter().all(|column| {
        let text = row[*column].as_str();
        let object = serde_json::from_str::<BTreeMap<String, Value>>(text);
        text.is_empty()
            || object.is_ok_and(|object| object.values().all(|value| !value.is_object() && !value.is_array()))
    })
}

/// A price belongs to a SKU, and what describes a price to a price.
fn skus_hold(row: &Row) -> bool {
    let told = |column: &str| !row[column].is_empty();
    (told("SkuId") || !told("SkuPriceId")) && (told("SkuPriceId") || !told("SkuPriceDetails"))
}

/// The SKUs of each price: one.
fn skus_by_price(rows: &[Row]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut skus: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row["SkuPriceId"].is_empty()) {
        skus.entry(&row["SkuPriceId"]).or_default().insert(&row["SkuId"]);
    }
    skus
}

fn exported(version: FocusVersion) -> Vec<Row> {
    let (_folder, store) = store_of(&mixed(6, 1_500));
    let mut file = Vec::new();
    let zone = TimeZone::get("America/New_York").expect("a zone");
    export_focus(&store, &all_kinds(), (version, FocusForm::Csv), &zone, &mut file).expect("exported");
    csv::Reader::from_reader(&*file).deserialize().map(|row| row.expect("a row of named fields")).collect()
}

#[test]
fn every_row_of_a_mixed_month_keeps_every_rule() {
    for version in [FocusVersion::V1_2, FocusVersion::V1_4] {
        let rows = exported(version);
        for row in &rows {
            assert_eq!(broken(row, version), BTreeSet::new(), "{row:#?}");
        }
        assert!(skus_by_price(&rows).values().all(|skus| skus.len() == 1));
        let seen = |column: &str| rows.iter().map(|row| row[column].as_str()).collect::<BTreeSet<_>>();
        assert_eq!(seen("ChargeCategory"), ["Adjustment", "Usage"].into());
        assert_eq!(seen("ChargeClass"), ["", "Correction"].into());
        assert_eq!(seen("PricingCategory"), ["Committed", "Standard"].into());
        assert_eq!(seen("x_CostStatus"), ["Estimated", "Settled", "Unknown"].into());
        assert_eq!(seen("BillingCurrency"), ["EUR", "USD"].into());
    }
}

#[test]
fn planted_faults_are_found() {
    let faults: [(&str, &str, &str); 16] = [
        ("BilledCost", "", "no null where none is allowed"),
        ("HostProviderName", "", "no null where none is allowed"),
        ("ListCost", "1e-7", "plain decimals"),
        ("EffectiveCost", "+1", "plain decimals"),
        ("ChargePeriodStart", "2026-10-01 12:00:00", "instants in UTC to the second"),
        ("ChargePeriodEnd", "2020-01-01T00:00:00Z", "periods"),
        ("ChargeClass", "Correction", "periods"),
        ("ChargeCategory", "Rebate", "allowed values"),
        ("BillingCurrency", "$", "allowed values"),
        ("ConsumedUnit", "", "quantities with units"),
        ("PricingCategory", "", "what usage must tell"),
        ("ListUnitPrice", "-3", "prices are not negative"),
        ("ContractedUnitPrice", "3.000000000001", "price times quantity is cost"),
        ("SkuId", "", "stock-keeping units"),
        ("SkuPriceId", "", "stock-keeping units"),
        ("Tags", r#"{"team":{"name":"retail"}}"#, "flat JSON objects"),
    ];
    let rows = exported(FocusVersion::V1_4);
    let sound = rows
        .iter()
        .find(|row| {
            row["ChargeCategory"] == "Usage" && row["ChargeClass"].is_empty() && !row["SkuPriceId"].is_empty()
        })
        .expect("most rows are like it");
    for (column, value, rule) in faults {
        let mut row = sound.clone();
        row.insert(column.to_owned(), value.to_owned());
        assert!(broken(&row, FocusVersion::V1_4).contains(rule), "{column} = {value:?}");
    }
    let mut old = sound.clone();
    old.insert("PublisherName".to_owned(), "OpenAI".to_owned());
    assert!(broken(&old, FocusVersion::V1_4).contains("columns of the version"));
}
