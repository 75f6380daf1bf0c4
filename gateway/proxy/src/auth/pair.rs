//! Keys that sign: an id that tells whose the request is, and a secret to check the signature by.

use std::{collections::HashMap, sync::Arc};

use http::request::Parts;
use tollgate_domain::{Secret, UnixMillis};
use tollgate_sigv4::{Claim, Fault, Field, Line, Unproven};

use super::refuse_ended;
use crate::{rejection::Rejection, snapshot::Principal};

/// The secret of a pair, and whose it is.
pub(super) struct Pair {
    secret: Secret,
    principal: Arc<Principal>,
}

impl Pair {
    pub(super) fn new(secret: Secret, principal: Arc<Principal>) -> Self {
        Self { secret, principal }
    }
}

/// A caller that has named its key and signed; nothing is counted to its account before the body has
/// proven it.
pub(crate) struct Claimed {
    pair: Arc<Pair>,
    unproven: Unproven,
}

impl Claimed {
    /// Reads a claim against the head that it is about.
    pub(super) fn by(
        pairs: &HashMap<Box<str>, Arc<Pair>, foldhash::fast::RandomState>,
        claim: &Claim<'_>,
        head: &Parts,
        now: UnixMillis,
    ) -> Result<Self, Rejection> {
        let authority = head.uri.authority().map(|authority| ("host", authority.as_str().as_bytes()));
        let fields = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        // HTTP/2 has the host in its first line.
        let host = authority.filter(|_| !head.headers.contains_key(http::header::HOST));
        let fields: Vec<Field<'_>> = fields.chain(host).collect();
        if fields.iter().any(|(name, _)| *name == "x-amz-security-token") {
            // Pairs here are for good; whoever sends a token means a key of somebody else's.
            return Err(Rejection::UnknownKeyPair);
        }
        let pair = pairs.get(claim.access_key_id).ok_or(Rejection::UnknownKeyPair)?;
        let line = Line { method: head.method.as_str(), path: head.uri.path(), query: head.uri.query() };
        let unproven = claim.about(&line, &fields, now)?;
        Ok(Self { pair: Arc::clone(pair), unproven })
    }

    /// Whom the claim is about.
    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.pair.principal
    }

    /// Proves the claim by the body that came.
    ///
    /// # Errors
    /// The signature is not of this key and request, or the key is revoked or expired.
    pub(crate) fn prove(&self, body: &[u8], now: UnixMillis) -> Result<(), Rejection> {
        self.unproven.prove(&self.pair.secret, body)?;
        refuse_ended(&self.pair.principal, now)
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self::Signature(fault)
    }
}
