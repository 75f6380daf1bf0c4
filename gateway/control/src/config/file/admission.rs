//! How much this process takes on at once, and who goes first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Size;

/// How much this process takes on at once. What is beyond is answered 503, before its body is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmissionSection {
    /// Most requests in flight, over all cores; from 1 to 1000000. A fifth of them is kept for
    /// interactive requests, where there are any, and a fifth for projects that have few.
    /// Default: 20000.
    pub max_in_flight: Option<u32>,
    /// Most bytes of request bodies that are held at once, announced ones included. Default: `1GiB`.
    pub max_body_bytes_held: Option<Size>,
    /// Memory that this process may have. From 80 % of it on, no request with a body over 64 KiB is
    /// taken; from 90 % on, none. Default: what its control group allows, or what the machine has.
    pub memory: Option<Size>,
}

/// How urgent requests are: when there is not room for all, the lowest are refused first.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody waits for the answer: a fifth of the slots is kept for these.
    Interactive,
    /// Neither.
    #[default]
    Standard,
    /// Nobody waits for the answer: the first to be refused.
    Batch,
}
