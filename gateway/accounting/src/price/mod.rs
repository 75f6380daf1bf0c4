//! What things cost: dated prices as listed and as agreed, and the bill of one call.
//!
//! A [`PriceBook`] is built once from a price file and never changes. Each unit price is rounded
//! once, when it is built, to whole pico-units of currency; from there on quantity times unit price
//! is exact, so that a bill is the sum of its meters to the last digit.

mod bill;
mod book;
mod class;
mod entry;
mod exchange;
mod rates;
mod scale;

pub use bill::{Bill, Meter, MeterKind};
pub use book::{PriceBook, PriceLine};
pub use entry::{PriceEntry, PriceError, PriceFault, Rates, TierEntry};
pub use exchange::{Exchange, Rate, TwoRates};
pub use rates::Price;
