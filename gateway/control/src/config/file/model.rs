//! Models and their targets.

use schemars::JsonSchema;
use serde::Deserialize;

use tollgate_domain::Money;

use super::{Objectives, Span};

/// What clients ask for, and what serves it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What clients call it. Example: `gpt-5-mini`.
    pub name: String,
    /// Name for people. Default: the name.
    pub title: Option<String>,
    /// What serves it; at least one.
    pub targets: Vec<Target>,
    /// How a target is chosen among those of equal priority. Default: `p2c`.
    #[serde(default)]
    pub balance: Balance,
    /// With `balance: latency`: how much slower than the fastest target one may be that is used too, in
    /// percent, to its first content. Default: 20.
    pub sensitivity: Option<u32>,
    /// A level whose upstreams come near their `max_concurrency` gives a part of its traffic to the next
    /// one before it is full. Default: `false`.
    #[serde(default)]
    pub spill_on_saturation: bool,
    /// Names that Azure clients use for it in the path. Default: none. Example: `[gpt5mini-prod]`.
    #[serde(default)]
    pub deployments: Vec<String>,
    /// Most output tokens that it gives; bounds reservations of calls that name no bound.
    pub max_output_tokens: Option<u64>,
    /// Members of a request that may be left out for a target of another dialect that has no place for
    /// them, by their path without indices; the answer tells in `x-tollgate-dropped`. Without this such
    /// a request is refused. Default: none. Example: `[seed, messages.name]`.
    #[serde(default)]
    pub may_drop: Vec<String>,
    /// Targets of one level may serve different versions of the model. Default: `false`.
    #[serde(default)]
    pub mixed_versions: bool,
    /// A call that fails may be moved to another version of the model than it was tried on. Default:
    /// `false`; where no versions are known, nothing is kept from it.
    #[serde(default)]
    pub failover_versions: bool,
    /// What is promised to all who call it. Default: nothing.
    pub objectives: Option<Objectives>,
    /// The model that a call goes to, once, when this one says that it is too long for its context; for
    /// keys that may call that one too. Default: none. Example: `gpt-5-long`.
    pub fallback: Option<String>,
    /// A stream that nobody begins to answer is asked for a second time elsewhere, and the first content
    /// wins; what the other copy has cost is waste. Default: never.
    pub hedge: Option<Hedge>,
}

/// When a stream gets a second copy elsewhere.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hedge {
    /// Only for calls that cost no more than this in the worst case, in the configuration's currency, as a
    /// decimal text: both copies may be billed. Example: `"0.02"`.
    #[schemars(schema_with = "super::decimal_schema")]
    pub max_cost: Money,
    /// Not before this; later where 95 in a hundred of the newest answers take longer to begin. Default:
    /// `1s`.
    pub after: Option<Span>,
}

/// An upstream and what it calls the model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name of the upstream.
    pub upstream: String,
    /// What the upstream calls the model, or its deployment.
    pub model: String,
    /// Version of the model that is served there. Default: the date in `model` where it has one, such as
    /// `gpt-4o-2024-08-06`, else unknown. Example: `"2024-08-06"`.
    pub version: Option<String>,
    /// Lower numbers are tried first; targets of one number are a level. Default: 1.
    #[serde(default = "first")]
    pub priority: u32,
    /// Share within its level, at least 1. Default: 100.
    #[serde(default = "whole")]
    pub weight: u32,
    /// Id of its price entry. Default: by upstream and model, else by model.
    pub price: Option<String>,
}

/// How a target is chosen among those of equal priority.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Two random targets, the less loaded one.
    #[default]
    P2c,
    /// In turns, by weight alone.
    Weighted,
    /// In turns among the fastest.
    Latency,
    /// The same target for the same conversation, whose prompt it has cached, while it is not busier
    /// than the others by more than a quarter.
    Affinity,
}

fn first() -> u32 {
    1
}

fn whole() -> u32 {
    100
}
