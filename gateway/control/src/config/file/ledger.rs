//! How requests are recorded, and where their rows are kept.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{JournalSection, SecretText, Span};

/// How requests are recorded. A change needs a restart.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerSection {
    /// What a recorded request survives. Default: `process`.
    #[serde(default)]
    pub durability: Durability,
    /// Where rows are kept for questions. Default: `sqlite`.
    #[serde(default)]
    pub store: Store,
    /// Where the journal goes when its own disk takes no records.
    #[serde(default)]
    pub journal: JournalSection,
    /// The server of the store `postgres`: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. May follow
    /// after a `?`: `sslmode` (`disable`; `require` or `verify-full`, which both check the server's
    /// certificate; default: `disable` on this machine, else `require`), `sslrootcert` (a PEM file of
    /// authorities; default: the system's). Example: `${env:DATABASE_URL}`.
    pub url: Option<SecretText>,
    /// Rows of months that ended longer ago are dropped from the store `postgres`; their sums per hour
    /// and day stay. At least `31d`. Default: rows are kept, as `sqlite` always keeps them. Example:
    /// `800d`.
    pub retention: Option<Span>,
}

/// What a recorded request survives.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The end of the process, `kill -9` included; a power loss may cost the last 10 milliseconds.
    #[default]
    Process,
    /// A power loss too: the last byte of an answer waits for the disk.
    Power,
}

/// Where rows are kept for questions.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// An embedded database in `data_dir`.
    #[default]
    Sqlite,
    /// A PostgreSQL server, version 13 or newer, that several gateways may share.
    Postgres,
}
