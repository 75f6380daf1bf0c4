//! Teams, projects and keys, with their limits and budgets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Budget, Instant, Objectives, Priority, SecretText, Share};

/// A team: the unit that finance charges.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Its identity in rows, limits and reports. Example: `retail`.
    pub name: String,
    /// Name for people. Default: the name.
    pub title: Option<String>,
    /// Former names; what was spent under them is carried over. Default: none.
    #[serde(default)]
    pub renamed_from: Vec<String>,
    /// Cost center of its rows. Example: `CC-104`.
    pub cost_center: Option<String>,
    /// Limits over all its projects. Default: none.
    #[serde(default)]
    pub limits: Limits,
    /// Money over all its projects. Default: no bound.
    pub budget: Option<Budget>,
    /// Its projects.
    #[serde(default)]
    pub projects: Vec<Project>,
}

/// A project: what a team's keys are for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its identity within the team. Example: `search-assistant`.
    pub name: String,
    /// Name for people. Default: the name.
    pub title: Option<String>,
    /// Former names; what was spent under them is carried over. Default: none.
    #[serde(default)]
    pub renamed_from: Vec<String>,
    /// Residency: the only zones where its data may be processed, whatever fails. Default: any.
    pub zones: Option<Vec<String>>,
    /// Models that it may call. Default: none.
    #[serde(default)]
    pub models: Vec<String>,
    /// Limits over all its keys. Default: none.
    #[serde(default)]
    pub limits: Limits,
    /// Money over all its keys. Default: no bound.
    pub budget: Option<Budget>,
    /// What it is promised. Default: nothing.
    pub objectives: Option<Objectives>,
    /// How urgent its requests are: when there is not room for all, the lowest are refused first.
    /// Default: `standard`.
    #[serde(default)]
    pub priority: Priority,
    /// Tags of its rows. Default: none. Example: `{ environment: prod }`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Tags that clients may set by header. Default: none. Example: `[feature]`.
    #[serde(default)]
    pub request_tags: Vec<String>,
    /// Prompts stored at a provider that its responses may fill in (`prompt: { id }`). Default: none.
    #[serde(default)]
    pub prompts: Vec<StoredPrompt>,
    /// Its keys; more can be made at run time.
    #[serde(default)]
    pub keys: Vec<Key>,
}

/// A prompt that is stored at a provider, where its account made it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredPrompt {
    /// The provider's id of it. Example: `pmpt_68a1`.
    pub id: String,
    /// The upstream whose account has it; one that serves responses.
    pub upstream: String,
}

/// A key: a secret that clients present. Give `secret` or `sha256`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its identity within the project. Example: `prod`.
    pub name: String,
    /// Name for people. Default: the name.
    pub title: Option<String>,
    /// Former names; what was spent under them is carried over. Default: none.
    #[serde(default)]
    pub renamed_from: Vec<String>,
    /// The secret, at least 16 bytes. Example: `"${env:SEARCH_PROD_KEY}"`.
    pub secret: Option<SecretText>,
    /// SHA-256 of the secret, 64 hexadecimal digits: the file need not hold the secret.
    pub sha256: Option<SecretText>,
    /// Makes the key a pair that requests can be signed with (SigV4), as Bedrock's clients do: this id,
    /// with `secret` as the secret access key. Default: none. Example: `TLGSEARCHPROD01`.
    pub access_key_id: Option<String>,
    /// From when on it is refused. Default: never. Example: `2027-01-31`.
    pub expires: Option<Instant>,
    /// Models that it may call, among the project's. Default: all of the project's.
    pub models: Option<Vec<String>>,
    /// Limits of this key. Default: none.
    #[serde(default)]
    pub limits: Limits,
    /// Money of this key. Default: no bound.
    pub budget: Option<Budget>,
    /// How urgent its requests are. Default: the project's.
    pub priority: Option<Priority>,
    /// Status of a refusal by a budget, 400 to 499. Default: 429.
    pub refusal_status: Option<u16>,
}

/// Limits of a team, a project or a key. Absent means no limit.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Requests in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Input and output tokens in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Input tokens in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_minute: Option<u64>,
    /// Input and output tokens in a calendar day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Input and output tokens in a calendar month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_month: Option<u64>,
    /// Requests at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Share of cached input tokens that counts against token limits. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input_weight: Option<Share>,
}
