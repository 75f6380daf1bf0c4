//! The FOCUS file: its columns, its equations, and that nothing is lost or counted twice.

use std::{collections::HashMap, sync::Arc};

use jiff::tz::TimeZone;
use proptest::prelude::*;
use smallvec::smallvec;
use tollgate_accounting::{
    ledger::{Entry, Kind},
    price::{Meter, MeterKind},
};
use tollgate_domain::{Money, RequestId, UnitPrice, UnixMillis, Usage, UsageSource};
use tollgate_finance::{FocusForm, FocusVersion, export_focus};

use crate::ground::{NOON, all_kinds, entry, store_of};

type Row = HashMap<String, String>;

fn exported(entries: &[Entry], version: FocusVersion) -> Vec<Row> {
    let (_folder, store) = store_of(entries);
    let mut file = Vec::new();
    let lines = export_focus(&store, &all_kinds(), (version, FocusForm::Csv), &TimeZone::UTC, &mut file)
        .expect("exported");
    let mut reader = csv::Reader::from_reader(&*file);
    let rows: Vec<Row> = reader.deserialize().map(|row| row.expect("a row of named fields")).collect();
    assert_eq!(rows.len() as u64, lines);
    rows
}

fn meter(meter: MeterKind, quantity: u64, pico: i64) -> Meter {
    let unit_price = UnitPrice::from_pico(pico);
    Meter {
        meter,
        quantity,
        unit_price,
        list_price: None,
        cost: unit_price.times(quantity),
        price_id: "gpt-2026".into(),
    }
}

fn metered(number: u64, meters: &[Meter]) -> Entry {
    let cost = meters.iter().map(|meter| meter.cost).sum();
    Entry { meters: meters.iter().cloned().collect(), cost: Some(cost), ..entry(number) }
}

fn amount(text: &str) -> Money {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// The specification's own example: five million uncached input at 3, one and a half million output at 15.
#[test]
fn tokens_are_priced_by_the_million_and_every_equation_holds() {
    let meters =
        [meter(MeterKind::Input, 5_000_000, 3_000_000), meter(MeterKind::Output, 1_500_000, 15_000_000)];
    let rows = exported(&[metered(1, &meters)], FocusVersion::V1_4);
    let told = |row: &Row| {
        ["ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "ListUnitPrice", "ListCost"]
            .map(|column| row[column].clone())
    };
    assert_eq!(told(&rows[0]), ["5000000", "Tokens", "5", "1000000 Tokens", "3", "15"]);
    assert_eq!(told(&rows[1]), ["1500000", "Tokens", "1.5", "1000000 Tokens", "15", "22.5"]);
    let row = &rows[0];
    assert_eq!((row["BilledCost"].as_str(), row["EffectiveCost"].as_str()), ("0.0", "15"));
    assert_eq!(
        (row["ChargePeriodStart"].as_str(), row["ChargePeriodEnd"].as_str()),
        ("2026-10-01T12:00:00Z", "2026-10-01T13:00:00Z")
    );
    assert_eq!(row["BillingPeriodStart"], "2026-10-01T00:00:00Z");
    assert_eq!(row["BillingPeriodEnd"], "2026-11-01T00:00:00Z");
    assert_eq!(
        row["SkuPriceDetails"],
        r#"{"x_ModelId":"gpt","x_TokenDirection":"Input","x_TokenCacheAction":"Uncached"}"#
    );
    assert_eq!(row["Tags"], r#"{"env":"prod","feature":"a,b\"c","tollgate:team":"retail"}"#);
    assert_eq!((row["x_RequestCount"].as_str(), row["x_CostStatus"].as_str()), ("1", "Settled"));
}

#[test]
fn an_agreed_price_stands_beside_the_list_price_and_both_equations_hold() {
    let agreed = Meter {
        list_price: Some(UnitPrice::from_pico(3_000_000)),
        ..meter(MeterKind::Input, 2_000_000, 2_625_000)
    };
    let row = exported(&[metered(1, &[agreed])], FocusVersion::V1_4).remove(0);
    let told = ["ListUnitPrice", "ListCost", "ContractedUnitPrice", "ContractedCost", "EffectiveCost"]
        .map(|column| row[column].as_str());
    assert_eq!(told, ["3", "6", "2.625", "5.25", "5.25"]);
}

#[test]
fn each_version_has_the_columns_that_it_asks_for() {
    let row = |version| exported(&[entry(1)], version).remove(0);
    let (old, new) = (row(FocusVersion::V1_2), row(FocusVersion::V1_4));
    let mandatory = [
        "BilledCost",
        "EffectiveCost",
        "ContractedCost",
        "ListCost",
        "BillingCurrency",
        "BillingAccountId",
        "BillingAccountName",
        "BillingPeriodStart",
        "BillingPeriodEnd",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodStart",
        "ChargePeriodEnd",
        "InvoiceIssuerName",
        "PricingQuantity",
        "PricingUnit",
        "ServiceCategory",
        "ServiceName",
    ];
    for column in mandatory {
        assert!(old.contains_key(column) && new.contains_key(column), "{column}");
    }
    assert_eq!((old["ProviderName"].as_str(), old["PublisherName"].as_str()), ("OpenAI", "OpenAI"));
    assert_eq!((new["ServiceProviderName"].as_str(), new["HostProviderName"].as_str()), ("OpenAI", "OpenAI"));
    assert!(!new.contains_key("ProviderName") && !old.contains_key("ServiceProviderName"));
}

#[test]
fn what_has_no_price_is_told_as_unknown_and_refusals_are_no_charges() {
    let unpriced = Entry { cost: None, meters: smallvec![], ..entry(1) };
    let counted = Entry { usage_source: UsageSource::Counted, ..entry(2) };
    let refused = Entry { kind: Kind::Refusal, meters: smallvec![], cost: Some(Money::ZERO), ..entry(3) };
    let correction = Entry {
        kind: Kind::Adjustment,
        meters: smallvec![],
        cost: Some(amount("-0.5")),
        adjusts: Some(RequestId::new(NOON, 1)),
        ..entry(4)
    };
    let rows = exported(&[unpriced, counted, refused, correction], FocusVersion::V1_4);
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            ["ChargeCategory", "x_CostStatus", "EffectiveCost", "ConsumedQuantity", "ListUnitPrice"]
                .map(|column| row[column].as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            ["Usage", "Estimated", "0.000025", "10", "2.5"],
            ["Usage", "Unknown", "0", "14", ""],
            ["Usage", "Unknown", "0", "5", ""],
            ["Adjustment", "Settled", "-0.5", "", ""],
        ]
    );
}

/// 2026-09-30T12:00:00Z, a day before the rows of `entry`: its month is closed to them.
const SEPTEMBER: UnixMillis = UnixMillis::new(NOON.get() - 86_400_000);

fn told(row: &Row) -> [&str; 9] {
    [
        "ChargeCategory",
        "ChargeClass",
        "ChargePeriodStart",
        "BillingPeriodStart",
        "ListUnitPrice",
        "PricingQuantity",
        "ConsumedQuantity",
        "EffectiveCost",
        "x_ChargeReason",
    ]
    .map(|column| row[column].as_str())
}

#[test]
fn a_price_corrected_after_the_close_is_taken_back_and_charged_anew() {
    let meters =
        [meter(MeterKind::Input, 1_000_000, -3_000_000), meter(MeterKind::Input, 1_000_000, 2_000_000)];
    let correction = |original| Entry {
        kind: Kind::Adjustment,
        usage: Usage::default(),
        operation: "rerate".into(),
        adjusts: Some(RequestId::new(original, 1)),
        ..metered(1, &meters)
    };
    let (october, september) = ("2026-10-01T00:00:00Z", "2026-09-30T12:00:00Z");
    let rows = exported(&[correction(SEPTEMBER)], FocusVersion::V1_4);
    assert_eq!(
        rows.iter().map(told).collect::<Vec<_>>(),
        [
            ["Usage", "Correction", september, october, "2", "1", "", "2", "rerate"],
            ["Usage", "Correction", september, october, "3", "-1", "", "-3", "rerate"],
        ]
    );
    // Within its own month it is no correction of something closed.
    let rows = exported(&[correction(NOON)], FocusVersion::V1_4);
    let noon = "2026-10-01T12:00:00Z";
    assert_eq!(told(&rows[0]), ["Adjustment", "", noon, october, "2", "1", "", "2", "rerate"]);
}

#[test]
fn a_request_that_is_told_after_the_close_keeps_its_hour_and_its_tokens() {
    let late = Entry {
        kind: Kind::Adjustment,
        adjusts: Some(RequestId::new(SEPTEMBER, 1)),
        ..metered(1, &[meter(MeterKind::Output, 500_000, 4_000_000)])
    };
    let rows = exported(&[late], FocusVersion::V1_2);
    let (october, september) = ("2026-10-01T00:00:00Z", "2026-09-30T12:00:00Z");
    assert_eq!(
        told(&rows[0]),
        ["Usage", "Correction", september, october, "4", "0.5", "500000", "2", "late"]
    );
}

#[test]
fn capacity_is_committed_usage_whoever_uses_it() {
    let fixed = |number| Entry {
        kind: Kind::Fixed,
        usage: Usage::default(),
        meters: smallvec![],
        cost: Some(amount("12.5")),
        operation: "idle".into(),
        ..entry(number)
    };
    let rows = exported(&[fixed(1), fixed(2)], FocusVersion::V1_4);
    let (october, noon) = ("2026-10-01T00:00:00Z", "2026-10-01T12:00:00Z");
    assert_eq!(
        rows.iter().map(told).collect::<Vec<_>>(),
        [["Usage", "", noon, october, "12.5", "2", "2", "25", "idle"]]
    );
    assert_eq!(
        (rows[0]["PricingCategory"].as_str(), rows[0]["PricingUnit"].as_str()),
        ("Committed", "Charges")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the rows, lines add up to them, token by token and to the last place.
    #[test]
    fn lines_add_up_to_the_rows(
        parts in prop::collection::vec((0_usize..11, 1_u64..50_000, 1_i64..90_000_000, 0_u64..3, 0_i64..8), 1..60),
    ) {
        let entries: Vec<Entry> = parts
            .iter()
            .zip(1_u64..)
            .map(|((kind, quantity, pico, project, hours), number)| {
                let mut entry = metered(number, &[meter(MeterKind::ALL[*kind], *quantity, *pico)]);
                entry.started_at = NOON.plus(hours * 1_800_000);
                entry.id = RequestId::new(entry.started_at, number.into());
                let mut identity = (*entry.identity).clone();
                identity.project = ["a", "b", "c"][*project as usize].into();
                entry.identity = Arc::new(identity);
                entry
            })
            .collect();
        let rows = exported(&entries, FocusVersion::V1_4);
        let sum = |column: &str| rows.iter().map(|row| amount(&row[column])).sum::<Money>();
        let costs = entries.iter().filter_map(|entry| entry.cost).sum::<Money>();
        prop_assert_eq!(sum("EffectiveCost"), costs);
        prop_assert_eq!(sum("ListCost"), costs);
        let consumed: u64 = rows.iter().map(|row| row["ConsumedQuantity"].parse::<u64>().expect("whole")).sum();
        prop_assert_eq!(consumed, parts.iter().map(|part| part.1).sum::<u64>());
        for row in &rows {
            let product = amount(&row["ListUnitPrice"]).pico() * amount(&row["PricingQuantity"]).pico();
            prop_assert_eq!(product, amount(&row["ListCost"]).pico() * 1_000_000_000_000, "{:?}", row);
        }
    }
}
