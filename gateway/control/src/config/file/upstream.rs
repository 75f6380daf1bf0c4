//! Regions and upstreams.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Billing, Capacity, Credential, Span};

/// Where upstreams' endpoints stand.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its name. Example: `swedencentral`.
    pub name: String,
    /// Residency area where data is processed, unless the upstream says otherwise. Example: `eu`.
    pub zone: String,
    /// Name for people. Default: the name.
    pub title: Option<String>,
    /// How its targets get their traffic back once they are healthy again. Default: `auto`.
    #[serde(default)]
    pub failback: Failback,
}

/// How targets that were out of use get their traffic back.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Failback {
    /// By themselves, on a ramp; those that come and go have to be healthy for longer each time.
    #[default]
    Auto,
    /// When an operator enables or resets them; until then they serve only what nobody else can.
    Manual,
}

/// A provider's endpoint, in a region, with a credential.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its name. Example: `aoai-eastus`.
    pub name: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// Name of its region.
    pub region: String,
    /// Its address: with `/v1` for `openai`, the host root for the others.
    /// Example: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Its secret: a text, or a group of fields with a `type`. Default: none is sent.
    pub credential: Option<Credential>,
    /// Zones where it processes data. Default: its region's zone. Example: `[eu]`.
    pub processing: Option<Vec<String>>,
    /// Who is paid; part of every row. Default: by the dialect (`openai`, `azure`, `anthropic`).
    pub provider: Option<String>,
    /// Account at the provider; upstreams that share one are exhausted together. Default: its own.
    pub account: Option<String>,
    /// Targets that fail together share this name. Default: same dialect, model and region.
    pub fate_group: Option<String>,
    /// More headers to send, with their values. Default: none.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// State until an operator says otherwise. Default: `enabled`.
    #[serde(default)]
    pub state: State,
    /// Most requests in flight there. Twice as many may wait for one of these slots, half a second at most. A
    /// fifth of them is kept for interactive requests, where there are any, and a tenth for projects that have
    /// few, where there are several. Default: no bound.
    pub max_concurrency: Option<u32>,
    /// Private and loopback addresses may be called. Default: `false`.
    #[serde(default)]
    pub allow_private: bool,
    /// Whether it is told of the trace that a request belongs to (`traceparent` and `tracestate`, with a span
    /// of its own for each attempt). Default: as `allow_private`, so that servers of one's own are told and
    /// providers are not.
    pub propagate_trace: Option<bool>,
    /// Azure's `api-version` for calls that bring none, or the version in Gemini's paths where the
    /// address has none. Example: `2024-10-21`.
    pub api_version: Option<String>,
    /// Its ways to converse, of the dialects `openai` and `azure-openai`, which have two. A call that comes
    /// the other way is translated. Default: both, or what is known of the server.
    /// Example: `[chat_completions]`.
    pub apis: Option<Vec<Api>>,
    /// HTTP/2 instead of HTTP/1.1. Default: `false`.
    #[serde(default)]
    pub http2: bool,
    /// Whether streams are asked for their usage when the client does not. Default: `auto`.
    #[serde(default)]
    pub inject_stream_usage: InjectStreamUsage,
    /// How long each step may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// When it is looked at although nobody asks it: a connection and the free list of its models.
    #[serde(default)]
    pub probes: Probes,
    /// Certificates. Default: the system's authorities, no client certificate.
    pub tls: Option<UpstreamTls>,
    /// How much it can serve: what hours of reserved capacity are split by into their used and their
    /// idle part. Default: unknown.
    pub capacity: Option<Capacity>,
    /// How the provider is paid. Default: `usage`.
    #[serde(default)]
    pub billing: Billing,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// OpenAI, and servers compatible with it.
    Openai,
    /// Azure OpenAI.
    AzureOpenai,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini API: the developer's, or Vertex AI's with the path of a project as address.
    Gemini,
    /// Amazon Bedrock's runtime API, at the address of a region: `https://bedrock-runtime.us-east-1.amazonaws.com`.
    Bedrock,
    /// Cohere's own API at its root, `https://api.cohere.com`: embeddings and reranks.
    Cohere,
}

/// A way to converse in OpenAI's dialects.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `/v1/chat/completions`.
    ChatCompletions,
    /// `/v1/responses`.
    Responses,
}

/// State of an upstream until an operator says otherwise.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Takes requests.
    #[default]
    Enabled,
    /// No new requests; those in flight finish.
    Draining,
    /// No new requests.
    Disabled,
}

/// Whether streams are asked for their usage when the client does not.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum InjectStreamUsage {
    /// Yes, but of servers that are known to refuse it.
    #[default]
    Auto,
    /// Yes.
    Always,
    /// No: the server refuses the field or sends usage unasked.
    Never,
}

/// How long each step of a call may take.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// TCP connect. Default: `1s`.
    pub connect: Option<Span>,
    /// TLS handshake. Default: `2s`.
    pub tls: Option<Span>,
    /// Name resolution. Default: `2s`.
    pub dns: Option<Span>,
    /// Head of a plain answer. Default: `600s`.
    pub head: Option<Span>,
    /// Head of a stream. Default: `60s`.
    pub stream_head: Option<Span>,
    /// First content of a stream, after its head. Default: `60s`.
    pub ttft: Option<Span>,
    /// Silence of a stream, pings included. Default: `60s`.
    pub byte_idle: Option<Span>,
    /// A stream without content. Default: `180s`.
    pub content_idle: Option<Span>,
    /// Silence toward a stream's client until it gets a heartbeat, where its dialect has one. `0s`: none.
    /// Default: `15s`.
    pub heartbeat: Option<Span>,
    /// Whole plain call. Default: `600s`.
    pub total: Option<Span>,
    /// Whole stream. Default: `3600s`.
    pub stream_total: Option<Span>,
    /// How long an idle connection is kept. Default: `50s`.
    pub keep_alive: Option<Span>,
}

/// When an upstream is looked at although nobody asks it. Nobody is billed for that, unless `generate` asks
/// for it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Whether it is looked at. Each look is a row of the ledger. Default: `false`.
    #[serde(default)]
    pub enabled: bool,
    /// Silence after which it is looked at, and again. Default: `30s`.
    pub idle: Option<Span>,
    /// How often while its targets are left alone for their faults. Default: `5s`.
    pub open: Option<Span>,
    /// How long a look may take. Default: `2s`.
    pub timeout: Option<Span>,
    /// The model, as one of this upstream's targets names it, that a look asks for 16 tokens at most. The
    /// provider bills them; the row has their cost. Default: none, the list of models is asked for, which
    /// is free.
    pub generate: Option<String>,
}

/// Certificates toward an upstream.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTls {
    /// File with more authorities to trust, PEM.
    pub ca: Option<PathBuf>,
    /// File with the client certificate and its chain, PEM. Needs `key`.
    pub cert: Option<PathBuf>,
    /// File with the client certificate's private key, PEM.
    pub key: Option<PathBuf>,
}
