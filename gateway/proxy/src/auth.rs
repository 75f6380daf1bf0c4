//! Station 1: who is calling?
//!
//! Takes the request's headers, gives a [`Principal`]. A key is known only by a keyed digest of its
//! secret, and digests are compared in constant time; no such secret is kept, logged or echoed.
//!
//! A key that is a pair signs its requests instead. Its secret never travels, so that it has to be here
//! to check by: it is kept in memory only, wiped when the configuration that named it is gone. Whoever
//! signs is only [claimed](Claimed) to be known until the body is there.

mod pair;

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Uri, request::Parts};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tollgate_domain::{KeyShape, Secret, UnixMillis};
use tollgate_sigv4::Claim;

use crate::{edge::Said, rejection::Rejection, snapshot::Principal};

pub(crate) use pair::Claimed;
use pair::Pair;

/// HMAC-SHA-256 under the instance's pepper of the SHA-256 of a secret: what is kept of a key.
///
/// The inner hash makes a configured `sha256:` as good as the secret itself; the pepper makes the
/// table worthless to whoever copies it without the pepper.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// A digest that was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What is to be kept.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

/// Known keys by digest.
pub struct KeyRing {
    keyed: Hmac<Sha256>,
    keys: HashMap<KeyDigest, Arc<Principal>, foldhash::fast::RandomState>,
    /// Keys that are pairs, by the id of each.
    pairs: HashMap<Box<str>, Arc<Pair>, foldhash::fast::RandomState>,
}

impl KeyRing {
    /// An empty ring under a pepper.
    #[must_use]
    pub fn new(pepper: [u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(&pepper).expect("HMAC takes keys of any length");
        Self { keyed, keys: HashMap::default(), pairs: HashMap::default() }
    }

    /// The digest of a secret whose SHA-256 is given.
    #[must_use]
    pub fn digest(&self, sha256: &[u8; 32]) -> KeyDigest {
        let mut mac = self.keyed.clone();
        mac.update(sha256);
        KeyDigest(mac.finalize().into_bytes().into())
    }

    /// Adds a key by the SHA-256 of its secret. Returns false when the same secret is known already:
    /// two keys that cannot be told apart are a mistake of whoever configured them.
    pub fn insert(&mut self, sha256: &[u8; 32], principal: Arc<Principal>) -> bool {
        let digest = self.digest(sha256);
        self.keys.insert(digest, principal).is_none()
    }

    /// Adds a key by its digest, as it was kept. Returns false when the same secret is known already.
    pub fn insert_digest(&mut self, digest: KeyDigest, principal: Arc<Principal>) -> bool {
        self.keys.insert(digest, principal).is_none()
    }

    /// Adds a key that signs its requests. Returns false when the same id is known already.
    pub fn insert_pair(
        &mut self,
        access_key_id: impl Into<Box<str>>,
        secret: Secret,
        principal: Arc<Principal>,
    ) -> bool {
        self.pairs.insert(access_key_id.into(), Arc::new(Pair::new(secret, principal))).is_none()
    }

    /// All keys' owners.
    pub fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.keys.values()
    }

    fn find(&self, secret: &[u8]) -> Option<&Arc<Principal>> {
        let digest = self.digest(&Sha256::digest(secret).into());
        let (found, principal) = self.keys.get_key_value(&digest)?;
        bool::from(found.0.ct_eq(&digest.0)).then_some(principal)
    }
}

/// Who calls, as far as the head of a request tells.
pub(crate) enum Identified {
    /// It has shown its secret.
    Known(Arc<Principal>),
    /// It has signed, which the body will prove.
    Claimed(Box<Claimed>),
}

/// Finds the owner of the one credential that the request carries.
///
/// # Errors
/// No credential, an unknown one, two that differ, one that is revoked or expired, or a signature that
/// its own head shows to be wrong.
pub(crate) fn identify(
    keys: &KeyRing,
    said: &Said<'_>,
    head: &Parts,
    now: UnixMillis,
) -> Result<Identified, Rejection> {
    let signature = said.authorization.and_then(|value| Claim::read(value.to_str().ok()?));
    if let Some(claim) = signature {
        if let Some((place, _)) = beside_authorization(said, &head.uri).next() {
            return Err(Rejection::DifferingKeys("authorization", place));
        }
        return Claimed::by(&keys.pairs, &claim?, head, now).map(Box::new).map(Identified::Claimed);
    }
    let secret = credential(said, &head.uri)?;
    let principal = keys.find(&secret).ok_or_else(|| match KeyShape::of(&secret) {
        KeyShape::Mistyped => Rejection::MistypedKey,
        KeyShape::Foreign | KeyShape::Whole(_) => Rejection::UnknownKey,
    })?;
    refuse_ended(principal, now)?;
    Ok(Identified::Known(Arc::clone(principal)))
}

fn refuse_ended(principal: &Principal, now: UnixMillis) -> Result<(), Rejection> {
    if principal.revoked {
        return Err(Rejection::RevokedKey);
    }
    if principal.expires.is_some_and(|expires| now >= expires) {
        return Err(Rejection::ExpiredKey);
    }
    Ok(())
}

/// The credential of a request. Clients of every dialect are taken in: the same value may stand in
/// several places (a coding agent's key helper fills two headers), differing values are refused.
fn credential<'a>(said: &Said<'a>, uri: &'a Uri) -> Result<Cow<'a, [u8]>, Rejection> {
    let bearer = said.authorization.and_then(|value| bearer_token(value.as_bytes()));
    let mut found: Option<(&'static str, Cow<'a, [u8]>)> =
        bearer.map(|token| ("authorization", Cow::Borrowed(token)));
    for (place, value) in beside_authorization(said, uri) {
        match &found {
            None => found = Some((place, value)),
            Some((_, first)) if bool::from(first.ct_eq(&value)) => {}
            Some((first_place, _)) => return Err(Rejection::DifferingKeys(first_place, place)),
        }
    }
    found.map(|(_, value)| value).ok_or(Rejection::MissingKey)
}

/// What stands in the other places of a credential.
fn beside_authorization<'a>(
    said: &Said<'a>,
    uri: &'a Uri,
) -> impl Iterator<Item = (&'static str, Cow<'a, [u8]>)> {
    let places = [
        ("x-api-key", said.x_api_key.and_then(key).map(Cow::Borrowed)),
        ("api-key", said.api_key.and_then(key).map(Cow::Borrowed)),
        ("x-goog-api-key", said.x_goog_api_key.and_then(key).map(Cow::Borrowed)),
        ("key", query_key(uri)),
    ];
    places.into_iter().filter_map(|(place, value)| Some((place, value?)))
}

fn key(value: &HeaderValue) -> Option<&[u8]> {
    Some(value.as_bytes().trim_ascii()).filter(|key| !key.is_empty())
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}

/// Clients write what is not a letter or a digit as `%2F`. A plus sign is one: keys have no spaces, and who
/// pastes a key into an address does not encode it.
fn query_key(uri: &Uri) -> Option<Cow<'_, [u8]>> {
    let key = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    Some(percent_decode_str(key).into()).filter(|key: &Cow<'_, [u8]>| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn read(pairs: &[(&'static str, &str)], uri: &str) -> Result<Vec<u8>, String> {
        credential(&Said::by(&headers(pairs)), &uri.parse().unwrap())
            .map(Cow::into_owned)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_credential_is_found_wherever_a_client_puts_it() {
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: [(Pairs, &str); 7] = [
            (&[("authorization", "Bearer s3cret")], "/"),
            (&[("authorization", "bearer  s3cret ")], "/"),
            (&[("x-api-key", "s3cret")], "/"),
            (&[("api-key", "s3cret")], "/"),
            (&[("x-goog-api-key", "s3cret")], "/"),
            (&[], "/v1beta/models?alt=sse&key=s3cret"),
            (&[], "/v1beta/models?key=s%33cret"),
        ];
        for (pairs, uri) in cases {
            assert_eq!(read(pairs, uri).as_deref(), Ok(&b"s3cret"[..]), "{pairs:?} {uri}");
        }
    }

    #[test]
    fn the_same_value_twice_is_fine_and_differing_values_name_both_places() {
        let same = read(&[("authorization", "Bearer a"), ("x-api-key", "a")], "/");
        assert_eq!(same.as_deref(), Ok(&b"a"[..]));
        let differing = read(&[("authorization", "Bearer a"), ("x-api-key", "b")], "/").unwrap_err();
        assert!(differing.contains("authorization") && differing.contains("x-api-key"), "{differing}");
        assert!(read(&[("authorization", "Basic abc")], "/").is_err());
        assert!(read(&[], "/?key=").is_err());
        assert_eq!(read(&[], "/?key=a+b%2B%2F%3D").as_deref(), Ok(&b"a+b+/="[..]));
    }
}
