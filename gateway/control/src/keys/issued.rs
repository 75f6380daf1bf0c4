//! A key that was made at run time, as it is kept.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tollgate_domain::{Secret, UnixMillis};
use tollgate_proxy::{KeyDigest, KeyRing};

use crate::config::file::{self, Budget, Limits, Priority, SecretText};

/// A key made at run time. Its secret is known to nobody; only a digest is kept.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
pub struct Issued {
    /// Its identity.
    pub id: String,
    /// The team that it was made for, by its name at that time.
    pub team: String,
    /// The project that it was made for, by its name at that time.
    pub project: String,
    /// Its name within the project: what rows carry. A key and the one that replaces it share it.
    pub name: String,
    /// HMAC of the secret's hash, in hexadecimal.
    digest: String,
    /// Which pepper the digest was made with.
    pepper: String,
    /// When it was made.
    pub created: UnixMillis,
    /// Who made it.
    pub created_by: String,
    /// From when on it is refused.
    pub expires: Option<UnixMillis>,
    /// When it was withdrawn.
    pub revoked: Option<UnixMillis>,
    /// Who withdrew it.
    pub revoked_by: Option<String>,
    /// The key that it stands in for.
    pub replaces: Option<String>,
    /// What it may do.
    #[serde(default)]
    pub policy: Policy,
}

/// What a key may do, as a configured one says it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Models that it may call, among the project's; `None` is all of them.
    pub models: Option<Vec<String>>,
    /// Its limits.
    pub limits: Limits,
    /// Its money.
    pub budget: Option<Budget>,
    /// How urgent its requests are; `None` is as the project's.
    pub priority: Option<Priority>,
    /// Status of a refusal by a budget.
    pub refusal_status: Option<u16>,
}

impl Issued {
    /// Takes a secret's digest into keeping, and nothing else of it.
    pub(super) fn seal(&mut self, secret: &Secret, pepper: [u8; 32]) {
        let sha256 = Sha256::digest(secret.expose()).into();
        self.digest = hex::encode(KeyRing::new(pepper).digest(&sha256).to_bytes());
        self.pepper = mark(pepper);
    }

    /// What the data plane knows it by; `None` when it was made under another pepper, or is damaged.
    pub(crate) fn digest(&self, mark: &str) -> Option<KeyDigest> {
        let mut digest = [0; 32];
        hex::decode_to_slice(&self.digest, &mut digest).ok().filter(|()| self.pepper == mark)?;
        Some(KeyDigest::from_bytes(digest))
    }

    /// As a key of the configuration, without its secret.
    pub(crate) fn as_key(&self) -> file::Key {
        let policy = self.policy.clone();
        file::Key {
            name: self.name.clone(),
            title: None,
            renamed_from: Vec::new(),
            secret: None,
            sha256: Some(SecretText(Secret::new("0".repeat(64)))),
            access_key_id: None,
            expires: self.expires.map(|expires| file::Instant { millis: expires.get() }),
            models: policy.models,
            limits: policy.limits,
            budget: policy.budget,
            priority: policy.priority,
            refusal_status: policy.refusal_status,
        }
    }

    /// True while it can be used, as far as it is up to the key.
    #[must_use]
    pub fn is_usable(&self, now: UnixMillis) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }

    /// `team/project/name`.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{}/{}/{}", self.team, self.project, self.name)
    }

    /// The same, over at `until` if not before.
    pub(super) fn ending(&self, until: UnixMillis) -> Self {
        Self { expires: Some(self.expires.map_or(until, |end| end.min(until))), ..self.clone() }
    }

    /// The same, of no use any more.
    pub(super) fn withdrawn(&self, at: UnixMillis, by: &str) -> Self {
        Self { revoked: Some(at), revoked_by: Some(by.to_owned()), ..self.clone() }
    }

    pub(super) fn new(id: String, owner: (&str, &str), name: String, at: UnixMillis, by: &str) -> Self {
        Self {
            id,
            team: owner.0.to_owned(),
            project: owner.1.to_owned(),
            name,
            digest: String::new(),
            pepper: String::new(),
            created: at,
            created_by: by.to_owned(),
            expires: None,
            revoked: None,
            revoked_by: None,
            replaces: None,
            policy: Policy::default(),
        }
    }
}

impl fmt::Debug for Issued {
    /// Without the digest: logs need no material for guessing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("id", &self.id).field("scope", &self.scope()).finish_non_exhaustive()
    }
}

/// Tells peppers apart without telling them: keys that another folder's pepper has sealed open nothing
/// here.
pub(crate) fn mark(pepper: [u8; 32]) -> String {
    let sha256 = Sha256::digest(b"the mark of a pepper").into();
    hex::encode(&KeyRing::new(pepper).digest(&sha256).to_bytes()[..4])
}
