//! Of a client: the claim to be who it says, read from the head, and proven once the body is there.

use subtle::ConstantTimeEq;
use tollgate_domain::{Secret, UnixMillis};

use super::{
    canonical::{self, Field, Line},
    instant,
    key::{ALGORITHM, Scope, TERMINATOR, signature},
};

/// How far the time of a signature may lie from ours, either way: what AWS allows.
const MOST_SKEW_MILLIS: i64 = 15 * 60 * 1_000;
/// What a client says that signs no body; its transport has to keep the body whole.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const DATE: &str = "x-amz-date";

/// Why a signature is not taken. Says nothing that the client does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A part of the `authorization` header is missing or unreadable.
    #[error("the authorization header has no readable {0}")]
    Incomplete(&'static str),
    /// A header that has to be signed is not among the signed ones.
    #[error("the header {0} must be sent and signed")]
    Unsigned(&'static str),
    /// The clocks differ too much.
    #[error("the signature's time is more than 15 minutes away from the time here")]
    Skewed,
    /// The credential's day is not that of the signature.
    #[error("the credential's date is not that of x-amz-date")]
    OtherDay,
    /// The body is signed piece by piece, or by another algorithm.
    #[error("x-amz-content-sha256 is neither the body's SHA-256 nor UNSIGNED-PAYLOAD")]
    Payload,
    /// The body is not the one whose hash was sent.
    #[error("the body is not the one that x-amz-content-sha256 was made of")]
    OtherBody,
    /// Another secret, or another request, than the one that was signed.
    #[error(
        "the signature does not match: check the secret access key and that nothing changes the request on its way"
    )]
    Mismatch,
}

/// What a client claims with its `authorization` header.
pub struct Claim<'a> {
    /// Which key it says to have.
    pub access_key_id: &'a str,
    day: &'a str,
    scope: Scope,
    signed: Vec<&'a str>,
    signature: [u8; 32],
}

impl<'a> Claim<'a> {
    /// Reads the value of an `authorization` header; `None` when it is of another scheme.
    ///
    /// # Errors
    /// It is of this scheme, and incomplete.
    pub fn read(authorization: &'a str) -> Option<Result<Self, Fault>> {
        let parts = authorization.strip_prefix(ALGORITHM)?;
        // Another algorithm's name may begin the same.
        parts.starts_with(' ').then(|| Self::parts(parts))
    }

    fn parts(parts: &'a str) -> Result<Self, Fault> {
        let part = |name: &'static str| {
            let mut found =
                parts.split(',').filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            match (found.next(), found.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(Fault::Incomplete(name)),
            }
        };
        let credential = || Fault::Incomplete("Credential");
        let mut scope = part("Credential")?.split('/');
        let mut next = || scope.next().filter(|text| !text.is_empty()).ok_or_else(credential);
        let (access_key_id, day, region, service) = (next()?, next()?, next()?, next()?);
        if next()? != TERMINATOR || scope.next().is_some() {
            return Err(credential());
        }
        let signed: Vec<&str> = part("SignedHeaders")?.split(';').collect();
        // In order and once each, so that one text stands for one set of headers.
        if !signed.is_sorted_by(|one, next| one < next) {
            return Err(Fault::Incomplete("SignedHeaders"));
        }
        let mut signature = [0; 32];
        hex::decode_to_slice(part("Signature")?, &mut signature)
            .map_err(|_| Fault::Incomplete("Signature"))?;
        let scope = Scope { region: region.into(), service: service.into() };
        Ok(Self { access_key_id, day, scope, signed, signature })
    }

    /// Holds the claim against the request's head: what must be signed is, and the time is near.
    ///
    /// `fields` are all header fields, `host` among them whatever the version of HTTP calls it.
    ///
    /// # Errors
    /// The head alone shows that the claim cannot be true.
    pub fn about(&self, line: &Line<'_>, fields: &[Field<'_>], now: UnixMillis) -> Result<Unproven, Fault> {
        let text = |name| text(fields, name);
        let date = text(DATE)?.ok_or(Fault::Unsigned(DATE))?;
        let at = instant::parse(date).ok_or(Fault::Incomplete(DATE))?;
        if now.since(at).saturating_abs() > MOST_SKEW_MILLIS {
            return Err(Fault::Skewed);
        }
        if date.get(..8) != Some(self.day) {
            return Err(Fault::OtherDay);
        }
        let payload = text(CONTENT_SHA256)?;
        for (name, needed) in [("host", true), (DATE, true), (CONTENT_SHA256, payload.is_some())] {
            if needed && !self.signed.contains(&name) {
                return Err(Fault::Unsigned(name));
            }
        }
        Ok(Unproven {
            form: canonical::begin(line, fields, &self.signed),
            payload: payload.map(Payload::read).transpose()?,
            scope: self.scope.clone(),
            instant: date.into(),
            signature: self.signature,
        })
    }
}

/// The text of a header that may stand there once.
fn text<'f>(fields: &[Field<'f>], name: &'static str) -> Result<Option<&'f str>, Fault> {
    let mut values = fields.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => std::str::from_utf8(value).map(Some).map_err(|_| Fault::Incomplete(name)),
        (Some(_), Some(_)) => Err(Fault::Incomplete(name)),
    }
}

/// What a client says of its body.
enum Payload {
    Unsigned,
    Hash([u8; 32]),
}

impl Payload {
    fn read(text: &str) -> Result<Self, Fault> {
        if text == UNSIGNED {
            return Ok(Self::Unsigned);
        }
        let mut hash = [0; 32];
        // Capital digits would be signed as they are, and no client writes them.
        let small = text.bytes().all(|byte| !byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut hash) {
            Ok(()) if small => Ok(Self::Hash(hash)),
            _ => Err(Fault::Payload),
        }
    }
}

/// A claim that only the body can prove. Whoever sees it could repeat the request: it has no `Debug`.
pub struct Unproven {
    /// The canonical request up to the hash of the body.
    form: Vec<u8>,
    /// What was sent for that hash; the body's own where nothing was.
    payload: Option<Payload>,
    scope: Scope,
    instant: Box<str>,
    signature: [u8; 32],
}

impl Unproven {
    /// Proves the claim by the key's secret and the body. The comparison takes the same time wherever
    /// signatures differ.
    ///
    /// # Errors
    /// Somebody else signed, or something else was signed.
    pub fn prove(&self, secret: &Secret, body: &[u8]) -> Result<(), Fault> {
        let hash = canonical::hashed(body);
        let payload = match &self.payload {
            Some(Payload::Unsigned) => UNSIGNED,
            Some(Payload::Hash(sent)) if hex::encode(sent) != hash => return Err(Fault::OtherBody),
            _ => &hash,
        };
        let right = signature(secret, &self.scope, &self.instant, [&self.form, payload.as_bytes()]);
        if bool::from(right.ct_eq(&self.signature)) { Ok(()) } else { Err(Fault::Mismatch) }
    }
}
