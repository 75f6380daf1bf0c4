//! Capacity that is reserved at a provider, and how it is paid.

use schemars::JsonSchema;
use serde::Deserialize;

/// How a provider is paid.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// By what is used.
    #[default]
    Usage,
    /// By the hour of reserved capacity, used or not: `per_hour` of its price.
    Provisioned,
}

/// How much an upstream can serve.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Input and output tokens in a minute. Example: `240000`.
    pub tokens_per_minute: u64,
}
