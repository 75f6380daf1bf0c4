//! The configuration file as people write it, version 1.
//!
//! Strict: a field that is not here is an error. The documentation of each field is its description
//! in the JSON Schema: what it means, its unit, its default, an example.

mod admission;
mod alerts;
mod allocation;
mod budget;
mod capacity;
mod credential;
mod exchange;
mod journal;
mod ledger;
mod listen;
mod model;
mod objectives;
mod quantities;
mod secret;
mod team;
mod telemetry;
mod upstream;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use self::quantities::decimal_schema;
pub use self::{
    admission::{AdmissionSection, Priority},
    alerts::{AlertKind, AlertsSection, Webhook},
    allocation::{AllocationMethod, AllocationRule, AllocationSection},
    budget::{Budget, BudgetAction, BudgetMode, Period, Reserve},
    capacity::{Billing, Capacity},
    credential::{Credential, CredentialSource, CredentialTable, CredentialType},
    exchange::ExchangeRate,
    journal::JournalSection,
    ledger::{Durability, LedgerSection, Store},
    listen::{
        AccessLog, AdminSection, AdminToken, Edge, Listen, Listener, Role, Rotate, ServerTls, TokenScope,
    },
    model::{Balance, Model, Target},
    objectives::{InTime, Objectives, RecoveryObjectives},
    quantities::{Instant, Percent, Share, Size, Span},
    secret::SecretText,
    team::{Key, Limits, Project, StoredPrompt, Team},
    telemetry::{GenAiSemconv, OtlpSection, TelemetrySection, TraceContext},
    upstream::{
        Api, Dialect, Failback, InjectStreamUsage, Probes, Region, State, Timeouts, Upstream, UpstreamTls,
    },
};

/// Configuration of a Tollgate gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Version of this format. Default and only value: 1.
    #[serde(default = "first_version")]
    pub version: u32,
    /// Name of the organization; part of every ledger row. Default: `default`. Example: `contoso`.
    #[serde(default = "default_organization")]
    pub organization: String,
    /// Name of this gateway; part of every ledger row and of the journal's folder. Default: the host
    /// name. A change needs a restart. Example: `gw-1`.
    pub instance: Option<String>,
    /// Currency of budgets and totals, an ISO 4217 code. Default: `USD`.
    #[serde(default = "default_currency")]
    pub currency: String,
    /// Where budget periods and months begin.
    #[serde(default)]
    pub calendar: CalendarSection,
    /// More files, relative to the working directory; `*` and `?` may stand in a file's name. Groups
    /// of fields merge, lists are joined in the order of the names. Default: none.
    /// Example: `[config/teams/*.yaml]`.
    #[serde(default)]
    pub include: Vec<String>,
    /// Addresses to listen on.
    #[serde(default)]
    pub listen: Listen,
    /// Folder of the journal, the embedded ledger and the history. Default: `./data`. A change needs
    /// a restart.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// Who may use the admin API.
    #[serde(default)]
    pub admin: AdminSection,
    /// How requests are recorded.
    #[serde(default)]
    pub ledger: LedgerSection,
    /// Price files, relative to the working directory. Default: none, so that every call is unpriced.
    /// Example: `[config/prices.yaml]`.
    #[serde(default)]
    pub prices: Vec<PathBuf>,
    /// How the gateway ends.
    #[serde(default)]
    pub shutdown: ShutdownSection,
    /// Where the line of each request goes.
    #[serde(default)]
    pub access_log: AccessLog,
    /// What observers outside are told: traces and metrics.
    #[serde(default)]
    pub telemetry: TelemetrySection,
    /// What a client may send.
    #[serde(default)]
    pub edge: Edge,
    /// How much this process takes on at once.
    #[serde(default)]
    pub admission: AdmissionSection,
    /// Threads that serve requests. Default: the number of cores. A change needs a restart.
    pub workers: Option<u32>,
    /// Places where upstreams stand.
    #[serde(default)]
    pub regions: Vec<Region>,
    /// Endpoints of providers.
    #[serde(default)]
    pub upstreams: Vec<Upstream>,
    /// What clients ask for.
    #[serde(default)]
    pub models: Vec<Model>,
    /// What drills are held against.
    #[serde(default)]
    pub objectives: RecoveryObjectives,
    /// Who may ask, and how much.
    #[serde(default)]
    pub teams: Vec<Team>,
    /// Who is told when a budget comes to a threshold.
    #[serde(default)]
    pub alerts: AlertsSection,
    /// Rates of exchange for prices in other currencies. Default: none.
    #[serde(default)]
    pub fx: Vec<ExchangeRate>,
    /// Who bears what attempts without an answer have cost. Default: `platform`.
    #[serde(default)]
    pub waste: Waste,
    /// Who bears what nobody of the teams has caused.
    #[serde(default)]
    pub allocation: AllocationSection,
    /// Several gateways that share limits. Not available yet.
    pub fleet: Option<Later>,
}

/// Who bears what attempts without an answer have cost.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Waste {
    /// The operator: it stands in the row beside the cost, and no budget moves.
    #[default]
    Platform,
    /// The project that called: it is a part of the call's cost.
    Project,
}

/// Where budget periods and months begin.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarSection {
    /// Time zone by its IANA name. Default: `UTC`. A change needs a restart. Example: `Europe/Berlin`.
    #[serde(default = "utc")]
    pub timezone: String,
}

impl Default for CalendarSection {
    fn default() -> Self {
        Self { timezone: utc() }
    }
}

/// How the gateway ends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShutdownSection {
    /// How long requests in flight may go on after SIGTERM. Default: `600s`.
    #[serde(default = "default_drain")]
    pub drain: Span,
    /// How long it still serves after SIGTERM while not ready any more, so that load balancers
    /// notice. Default: `5s`.
    #[serde(default = "default_delay")]
    pub delay: Span,
}

impl Default for ShutdownSection {
    fn default() -> Self {
        Self { drain: default_drain(), delay: default_delay() }
    }
}

/// A name that is kept for a later version. Whatever it holds, it is refused as not available yet.
#[derive(Clone, Debug)]
pub struct Later;

impl<'de> Deserialize<'de> for Later {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Later {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NotAvailableYet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "not": {} })
    }
}

/// The JSON Schema of the configuration, as `tollgate schema` prints it, with a final newline.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(ConfigFile);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}

fn first_version() -> u32 {
    1
}

fn default_organization() -> String {
    "default".into()
}

fn default_currency() -> String {
    "USD".into()
}

fn default_data_dir() -> PathBuf {
    "./data".into()
}

fn utc() -> String {
    "UTC".into()
}

fn default_delay() -> Span {
    Span(std::time::Duration::from_secs(5))
}

fn default_drain() -> Span {
    Span(std::time::Duration::from_secs(600))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `TOLLGATE_BLESS=1` writes the schema instead of comparing it.
    #[test]
    fn the_committed_schema_is_the_one_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/schema.json");
        if std::env::var_os("TOLLGATE_BLESS").is_some() {
            std::fs::write(path, schema()).expect("config/schema.json can be written");
        }
        let committed = std::fs::read_to_string(path).expect("config/schema.json");
        assert!(committed == schema(), "config/schema.json is stale: run the test with TOLLGATE_BLESS=1");
    }
}
