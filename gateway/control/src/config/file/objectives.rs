//! Objectives: what routes and projects are promised, and what drills are held against.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Percent, Span};

/// What is promised of calls; measured over the last five minutes, hour and six hours, as clients see it
/// and as upstreams answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// So many calls succeed. What is the caller's own fault does not count. Default: nothing is
    /// promised. Example: `"99.9%"`.
    pub success: Option<Percent>,
    /// How soon the first content comes. Default: nothing is promised.
    pub first_token: Option<InTime>,
    /// How soon all of an answer is there. Default: nothing is promised.
    pub total: Option<InTime>,
}

/// So many of the calls that succeed are in time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InTime {
    /// The time that they have. Example: `2s`.
    pub within: Span,
    /// How many of them. Example: `"95%"`.
    pub share: Percent,
}

/// What a drill is held against.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryObjectives {
    /// How long it may take until calls succeed again: the recovery time objective. Default: none.
    /// Example: `5s`.
    pub rto: Option<Span>,
    /// For how long back what was recorded may be lost: the recovery point objective. Default: none.
    /// Example: `0s`.
    pub rpo: Option<Span>,
}
