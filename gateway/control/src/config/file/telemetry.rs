//! What observers outside are told: traces and metrics.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SecretText, Share, Span, UpstreamTls};

/// What observers outside are told.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySection {
    /// What the trace is worth that a caller says its request belongs to (W3C `traceparent`).
    /// Default: `trusted`.
    #[serde(default)]
    pub trace_context: TraceContext,
    /// Name of this service, `service.name` of all records. Default: `tollgate`.
    pub service_name: Option<String>,
    /// More attributes of this process, in all records. Default: none.
    /// Example: `{ deployment.environment.name: prod }`.
    #[serde(default)]
    pub resource: BTreeMap<String, String>,
    /// By which conventions calls of models are named in records. Default: `v1.41`.
    #[serde(default)]
    pub genai_semconv: GenAiSemconv,
    /// Who gets the records, in OpenTelemetry's protocol over HTTP (protobuf). Default: nobody.
    pub otlp: Option<OtlpSection>,
}

/// What a caller's trace is worth.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum TraceContext {
    /// It goes on here, and is recorded or not as its caller has decided.
    #[default]
    Trusted,
    /// Another one begins here, with a link to it.
    Link,
    /// Nothing.
    Ignore,
}

/// By which conventions calls of models are named.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
pub enum GenAiSemconv {
    /// OpenTelemetry's conventions 1.37 to 1.41, which dashboards know.
    #[default]
    #[serde(rename = "v1.41")]
    V1_41,
    /// Those of late 2026, which are still moving.
    #[serde(rename = "latest")]
    Latest,
    /// Both, where they differ.
    #[serde(rename = "both")]
    Both,
}

/// A receiver of records.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpSection {
    /// Its address; `/v1/traces` and `/v1/metrics` are added. It may be a private or loopback one.
    /// Example: `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// More headers to send; their values are secrets. Default: none.
    /// Example: `{ authorization: "${env:OTLP_AUTHORIZATION}" }`.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretText>,
    /// How long a message may take, 100ms to 60s. Default: `10s`.
    pub timeout: Option<Span>,
    /// Certificates. Default: the system's authorities, no client certificate.
    pub tls: Option<UpstreamTls>,
    /// Whether it is told of requests: a span for each, and one for each of its attempts. Default: `true`.
    #[serde(default = "yes")]
    pub traces: bool,
    /// Share of the traces that begin here which are recorded; a trusted caller's trace is recorded as the
    /// caller says. Default: `1`. Example: `0.01`.
    pub sample: Option<Share>,
    /// Whether it is told the figures of `/metrics`. Default: `false`, since they can be had there.
    #[serde(default)]
    pub metrics: bool,
    /// How often it is told the figures, 1s to 1h. Default: `60s`.
    pub metrics_interval: Option<Span>,
}

const fn yes() -> bool {
    true
}
