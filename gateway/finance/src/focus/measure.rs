//! Quantities and prices as the specification counts them: tokens are priced by the million.

use std::borrow::Cow;

use tollgate_domain::Money;

use super::charge::{Charge, Origin, What};

/// Tokens that are priced together.
const BLOCK: u64 = 1_000_000;
/// Milliseconds of a second, which is what the specification counts time in.
const MILLIS: u64 = 1_000;
/// Pico-units of one.
const PICO: i128 = 1_000_000_000_000;

/// Quantities and the price of one pricing unit. Priced quantity times unit price is the cost, exactly.
#[derive(Default)]
pub(super) struct Measure {
    pub(super) unit_price: Option<Money>,
    pub(super) list_price: Option<Money>,
    /// What the quantity costs by the provider's list; none where there is no list price.
    pub(super) list_cost: Option<Money>,
    pub(super) priced: Option<Money>,
    pub(super) pricing_unit: Cow<'static, str>,
    pub(super) consumed: Option<Money>,
    pub(super) consumed_unit: Cow<'static, str>,
}

impl Measure {
    /// What `quantity` of a charge is.
    pub(super) fn of(charge: &Charge, quantity: i128) -> Self {
        let (meter, prices) = match &charge.what {
            What::Lump(amount) if matches!(charge.origin, Origin::Capacity(_)) => {
                return Self::charges(*amount, quantity);
            }
            What::Lump(_) => return Self::default(),
            What::Unpriced(meter) => (*meter, None),
            What::Metered { meter, unit_price, list_price, .. } => (*meter, Some((*unit_price, *list_price))),
        };
        let unit = unit_of(meter.unit());
        let (block, pricing_unit) = match meter.unit() {
            "token" => (BLOCK, Cow::Borrowed("1000000 Tokens")),
            "millisecond" => (MILLIS, unit.clone()),
            _ => (1, unit.clone()),
        };
        let consumed_block = if meter.unit() == "millisecond" { MILLIS } else { 1 };
        Self {
            unit_price: prices.map(|(price, _)| price.times(block)),
            list_price: prices.map(|(_, list)| list.times(block)),
            list_cost: prices
                .map(|(_, list)| Money::from_pico(quantity.saturating_mul(i128::from(list.pico())))),
            // Exact: both are whole, and a block is a power of ten.
            priced: Some(Money::from_pico(quantity.saturating_mul(PICO / i128::from(block)))),
            pricing_unit,
            consumed: Some(Money::from_pico(quantity.saturating_mul(PICO / i128::from(consumed_block)))),
            consumed_unit: unit,
        }
    }

    /// Capacity that is charged by the piece; one that is given back counts below zero.
    fn charges(amount: Money, quantity: i128) -> Self {
        let taken_back = amount < Money::ZERO;
        let quantity = if taken_back { -quantity } else { quantity };
        let price = Some(if taken_back { -amount } else { amount });
        Self {
            unit_price: price,
            list_price: price,
            list_cost: None,
            priced: Some(Money::from_pico(quantity.saturating_mul(PICO))),
            pricing_unit: Cow::Borrowed("Charges"),
            consumed: Some(Money::from_pico(quantity.saturating_mul(PICO))),
            consumed_unit: Cow::Borrowed("Charges"),
        }
    }
}

/// A unit in the plural and with a capital, as the specification's unit format asks.
fn unit_of(unit: &'static str) -> Cow<'static, str> {
    match unit {
        "token" => Cow::Borrowed("Tokens"),
        "request" => Cow::Borrowed("Requests"),
        "millisecond" => Cow::Borrowed("Seconds"),
        "search" | "search_unit" => Cow::Borrowed("Searches"),
        other => {
            let (first, rest) = other.split_at(1);
            Cow::Owned(format!("{}{rest}s", first.to_uppercase()))
        }
    }
}
