//! Addresses, the access log, the edge, and who may use the admin API.

use std::{net::SocketAddr, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SecretText, Size, Span, quantities::socket_address};

/// Addresses to listen on. A change needs a restart.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where clients call. Default: `0.0.0.0:8080`.
    #[serde(default = "data")]
    pub data: Listener,
    /// Admin API, console and metrics. Default: `127.0.0.1:9090`.
    #[serde(default = "admin")]
    pub admin: Listener,
    /// Only `/metrics`, `/livez` and `/readyz`. Default: none. Example: `{ address: "0.0.0.0:9091" }`.
    pub status: Option<Listener>,
    /// Lets other gateways of the same user listen on the data port too, each with its own `instance` and
    /// `data_dir`; the system deals connections out among them. Default: `false`, so that a second process
    /// that was started by mistake is refused.
    #[serde(default)]
    pub share_port: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self { data: data(), admin: admin(), status: None, share_port: false }
    }
}

/// One address to listen on.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// IP address and port. Example: `"0.0.0.0:8080"`.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "socket_address")]
    pub address: SocketAddr,
    /// Certificate to serve TLS with. Default: clear text.
    pub tls: Option<ServerTls>,
}

/// A server's certificate.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// File with the certificate and its chain, PEM.
    pub cert: PathBuf,
    /// File with the private key, PEM.
    pub key: PathBuf,
}

/// Who may use the admin API.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    /// Bearer tokens. Default: none, so that the admin API refuses everyone.
    #[serde(default)]
    pub tokens: Vec<AdminToken>,
}

/// A bearer token of the admin API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    /// Name of its holder, as the audit log has it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The token, at least 16 bytes. Example: `"${env:TOLLGATE_ADMIN_TOKEN}"`.
    pub token: SecretText,
    /// Narrows what it sees. Default: everything.
    pub scope: Option<TokenScope>,
}

/// What a token of the admin API may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads, and states of regions, upstreams and targets, drills, reload.
    Operator,
    /// Usage, requests, budgets, exports.
    Finance,
    /// Reads, but not keys.
    Viewer,
}

/// Narrows a token to some teams.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenScope {
    /// Names of teams. Example: `[retail]`.
    pub teams: Vec<String>,
}

/// Where the line of each request goes.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// `stdout`, `stderr`, `off` or a file. Default: `stdout`. A change needs a restart.
    #[serde(default = "stdout")]
    pub to: String,
    /// When the file is put aside and a new one begun. Default: never; SIGUSR1 and SIGHUP open it anew by its
    /// name. A change needs a restart.
    pub rotate: Option<Rotate>,
}

/// When a file is put aside, under its name with `.1` behind it, and how many are kept.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Before it grows beyond this, at least 1MiB. Default: it may grow. Example: `100MiB`.
    pub size: Option<Size>,
    /// When it is so old, at least 1m. Default: it may be of any age. Example: `1d`.
    pub age: Option<Span>,
    /// So many are kept beside the one that is written, 0 to 1000. Default: 7.
    #[serde(default = "week")]
    pub keep: u32,
}

const fn week() -> u32 {
    7
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { to: stdout(), rotate: None }
    }
}

fn stdout() -> String {
    "stdout".into()
}

/// What a client may send.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// Largest request body; above it the answer is 413. Default: `32MiB`.
    pub max_body: Option<Size>,
    /// Former name of `admission.max_in_flight`.
    pub max_in_flight: Option<u32>,
    /// Longest silence while a body is being sent; after it the answer is 408. Default: `15s`.
    pub body_idle: Option<Span>,
    /// A body that takes longer than this to come has to have come at 1 KiB a second at least, on the
    /// whole; else the answer is 408. Default: `10s`.
    pub body_grace: Option<Span>,
}

fn data() -> Listener {
    Listener { address: SocketAddr::from(([0, 0, 0, 0], 8080)), tls: None }
}

fn admin() -> Listener {
    Listener { address: SocketAddr::from(([127, 0, 0, 1], 9090)), tls: None }
}
