//! Budgets: how much money, for how long, and what happens on the way to its end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollgate_domain::Money;

/// Money for a period.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How much, in the configuration's currency, as a decimal text. Example: `"500.00"`.
    #[schemars(schema_with = "super::decimal_schema")]
    pub amount: Money,
    /// For how long.
    pub period: Period,
    /// What happens at its end. Default: `hard`.
    #[serde(default)]
    pub mode: BudgetMode,
    /// What is reserved for a call before its cost is known. Default: `full`.
    #[serde(default)]
    pub reserve: Reserve,
    /// Percentages of the amount at which to tell, once a period each. Default: none, for a `soft`
    /// budget `[100]`. Example: `[50, 80, 100]`.
    pub alerts: Option<Vec<u16>>,
    /// Percentages of the amount at which to tell when so much is forecast for the end of the period,
    /// once a period each. Default: none. Example: `[100]`.
    #[serde(default)]
    pub forecast_alerts: Vec<u16>,
    /// What happens from which share of the amount on. Default: what the mode says.
    /// Example: `[{ at: 80, model: gpt-5-nano }, { at: 100, refuse: true }]`.
    #[serde(default)]
    pub actions: Vec<BudgetAction>,
}

/// What happens from a share of a budget on. Give `model` or `refuse`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetAction {
    /// From which percentage of the amount on. Example: `80`.
    pub at: u16,
    /// Name of the model that serves calls for dearer ones, where the caller may call it.
    pub model: Option<String>,
    /// Calls that could exceed that percentage are refused.
    #[serde(default)]
    pub refuse: bool,
}

/// A calendar period.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first of the month.
    Month,
    /// From January, April, July, October.
    Quarter,
    /// From the first of January.
    Year,
    /// Without end.
    Total,
}

/// What happens when a budget is spent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetMode {
    /// Calls that could exceed it are refused.
    #[default]
    Hard,
    /// Calls go on, and people are told.
    Soft,
    /// Nothing is refused; it is only counted.
    Observe,
}

/// What is reserved for a call before its cost is known.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reserve {
    /// The most that it can cost.
    #[default]
    Full,
    /// The mean of what the newest such calls have cost, once enough are known.
    Expected,
}
