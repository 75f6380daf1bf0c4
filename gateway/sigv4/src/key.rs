//! Who signs, and what for.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tollgate_domain::Secret;
use zeroize::Zeroizing;

pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub(crate) const TERMINATOR: &str = "aws4_request";

/// An access key: its public id, its secret, and the token of a temporary one.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// What tells the key from others.
    pub access_key_id: Box<str>,
    /// What signatures are derived from. It never travels.
    pub secret_access_key: Secret,
    /// Of temporary keys only; it travels beside the signature.
    pub session_token: Option<Secret>,
}

/// What a signature is good for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Scope {
    /// For example `eu-central-1`.
    pub region: Box<str>,
    /// For example `bedrock`.
    pub service: Box<str>,
}

impl Scope {
    /// The scope of one day (`20150830`), as signatures name it.
    pub(crate) fn text(&self, day: &str) -> String {
        format!("{day}/{}/{}/{TERMINATOR}", self.region, self.service)
    }
}

/// The signature of a canonical request, given in two parts, made at an instant by its text.
pub(crate) fn signature(secret: &Secret, scope: &Scope, instant: &str, canonical: [&[u8]; 2]) -> [u8; 32] {
    let day = instant.get(..8).unwrap_or(instant);
    let first = Zeroizing::new(format!("AWS4{}", secret.expose()));
    let mut key = Zeroizing::new(mac(first.as_bytes(), day.as_bytes()));
    for part in [&*scope.region, &*scope.service, TERMINATOR] {
        key = Zeroizing::new(mac(&*key, part.as_bytes()));
    }
    let [form, payload] = canonical;
    let canonical = hex::encode(Sha256::new().chain_update(form).chain_update(payload).finalize());
    let to_sign = format!("{ALGORITHM}\n{instant}\n{}\n{canonical}", scope.text(day));
    mac(&*key, to_sign.as_bytes())
}

fn mac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}
