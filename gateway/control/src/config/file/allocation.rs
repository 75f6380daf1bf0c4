//! Who bears what nobody of the teams has caused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Percent;

/// How shared costs are given to teams.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllocationSection {
    /// The part of reserved capacity that was used. Default: by the tokens served.
    #[serde(default = "by_tokens")]
    pub used: AllocationRule,
    /// The part that was paid for and not used. Default: to nobody, a line of its own.
    #[serde(default)]
    pub idle: AllocationRule,
}

/// How one shared cost is given to teams.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllocationRule {
    /// The method. Default: `none`.
    #[serde(default)]
    pub method: AllocationMethod,
    /// For `shares`: the team's parts. What they leave of 100% stays unallocated.
    /// Example: `{ retail: "60%", hr: "40%" }`.
    #[serde(default)]
    pub shares: BTreeMap<String, Percent>,
}

/// By what a shared cost is given to teams.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum AllocationMethod {
    /// To nobody.
    #[default]
    None,
    /// To every team the same.
    Even,
    /// By the tokens of the teams at the upstream.
    Tokens,
    /// By what the teams' own requests cost.
    Cost,
    /// By fixed shares.
    Shares,
}

impl Default for AllocationSection {
    fn default() -> Self {
        Self { used: by_tokens(), idle: AllocationRule::default() }
    }
}

fn by_tokens() -> AllocationRule {
    AllocationRule { method: AllocationMethod::Tokens, shares: BTreeMap::new() }
}
