//! What a store keeps beside the rows: operators' states, who did what, the configurations that were
//! in force, and papers: those of finance, run-time keys.

use tollgate_domain::UnixMillis;

/// An operator's word about a region, an upstream or a target.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Override {
    /// `region`, `upstream`, `target` or `model`; `failover` is a region whose requests are moved.
    pub kind: String,
    /// Its name; a target is `MODEL@UPSTREAM`.
    pub name: String,
    /// `draining`, `disabled` or `forced`; of a `failover`, JSON that tells where to and how fast.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub author: String,
    /// When.
    pub since: UnixMillis,
    /// When it ends by itself.
    pub until: Option<UnixMillis>,
}

/// Who did what, when.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AuditEntry {
    /// Ascending number that the store gives; ignored when appending.
    pub seq: u64,
    /// When.
    pub at: UnixMillis,
    /// Who: the name of an admin token, or of the gateway's own part.
    pub actor: String,
    /// What, such as `upstream.drain`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The particulars, as JSON text.
    pub detail: String,
}

/// A configuration that was, or is, in force.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ConfigVersion {
    /// Ascending number, given by whoever appends it.
    pub version: u64,
    /// SHA-256 of the text, in hexadecimal.
    pub hash: String,
    /// Where it came from: a file, the API, a rollback.
    pub source: String,
    /// Who brought it.
    pub author: String,
    /// When it came into force.
    pub at: UnixMillis,
    /// The configuration as written, secrets as references.
    pub text: String,
}

/// A paper that somebody needs to find again: a statement, the close of a month, an alert that was
/// sent, a run-time key. The store does not read its body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    /// What sort of paper it is, such as `statement`.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
    /// 1 for the first, one more with every change.
    pub revision: u64,
    /// When this revision was made.
    pub at: UnixMillis,
    /// The paper, as JSON text.
    pub body: String,
}
