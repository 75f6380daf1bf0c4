//! Rates of exchange for prices in other currencies.

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_domain::Money;

use super::{Instant, quantities::decimal_schema};

/// What another currency is worth from a date on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRate {
    /// The other currency, an ISO 4217 code. Example: `EUR`.
    pub currency: String,
    /// From when on, until the next rate of the currency. Calls that began before keep theirs.
    pub from: Instant,
    /// What one unit of it is worth in the configuration's currency: above 0, up to six decimal places.
    /// Example: `"1.0855"`.
    #[schemars(schema_with = "decimal_schema")]
    pub rate: Money,
}
