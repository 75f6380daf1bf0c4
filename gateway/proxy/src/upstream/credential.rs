//! An upstream's secret, bound to the one origin that may see it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue};
use tollgate_domain::Secret;
use tollgate_sigv4::{KeyPair, Scope};

use super::issued::{CredentialCell, CredentialView, Issued, What};

/// How long a request waits for a credential while the first one is still on its way.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where an upstream listens. Connections are opened to an origin and to nothing else; no header,
/// body field or redirect can choose one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    /// TLS or clear text.
    pub scheme: Scheme,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Private and loopback addresses may be connected to.
    pub allow_private: bool,
}

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Origin {
    /// The `host` header: without the port where it is the scheme's own (RFC 9110, section 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// How a credential is presented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presentation {
    /// `authorization: Bearer …`
    Bearer,
    /// `api-key: …`
    ApiKey,
    /// `x-api-key: …`
    XApiKey,
    /// `x-goog-api-key: …`
    XGoogApiKey,
}

/// What an upstream is shown. It debugs as a mark, and is only ever attached to requests for the
/// upstream it was built with.
#[derive(Clone)]
pub struct Credential(Kind);

#[derive(Clone)]
enum Kind {
    Nothing,
    /// The same header with every request.
    Header(HeaderName, HeaderValue),
    /// A signature over each request.
    Signature(Arc<KeyPair>, Arc<Scope>),
    /// What somebody keeps fresh; keys are signed with for this scope.
    Kept(Arc<CredentialCell>, Option<Arc<Scope>>),
}

/// A secret that cannot stand in a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the credential has characters that cannot stand in a header")]
pub struct UnsendableCredential;

/// What one attempt proves its right with.
pub(crate) enum Proof {
    Nothing,
    Header(HeaderName, HeaderValue),
    Signature(Arc<KeyPair>, Arc<Scope>),
}

impl Credential {
    /// A secret in the header that the presentation names.
    ///
    /// # Errors
    /// The secret has bytes that a header may not carry.
    pub fn new(secret: &Secret, presentation: Presentation) -> Result<Self, UnsendableCredential> {
        let name = match presentation {
            Presentation::Bearer => {
                return Ok(Self(Kind::Header(http::header::AUTHORIZATION, bearer(secret)?)));
            }
            Presentation::ApiKey => HeaderName::from_static("api-key"),
            Presentation::XApiKey => HeaderName::from_static("x-api-key"),
            Presentation::XGoogApiKey => HeaderName::from_static("x-goog-api-key"),
        };
        let value = sensitive(secret.expose().to_owned())?;
        Ok(Self(Kind::Header(name, value)))
    }

    /// Keys that never end, to sign each request with.
    #[must_use]
    pub fn signing(keys: KeyPair, scope: Scope) -> Self {
        Self(Kind::Signature(Arc::new(keys), Arc::new(scope)))
    }

    /// One that is kept fresh. `scope` is what requests are signed for where keys are issued.
    #[must_use]
    pub fn kept(cell: Arc<CredentialCell>, scope: Option<Scope>) -> Self {
        Self(Kind::Kept(cell, scope.map(Arc::new)))
    }

    /// No credential: a server that asks for none.
    #[must_use]
    pub const fn none() -> Self {
        Self(Kind::Nothing)
    }

    /// How it stands, where it is one that is kept fresh.
    #[must_use]
    pub fn view(&self, now: Instant) -> Option<CredentialView> {
        match &self.0 {
            Kind::Kept(cell, _) => Some(cell.view(now)),
            _ => None,
        }
    }

    /// How long requests need not try, since there is none; `None` when they may.
    pub(crate) fn is_missing_for(&self, now: Instant) -> Option<Duration> {
        match &self.0 {
            Kind::Kept(cell, _) => cell.is_missing_for(now),
            _ => None,
        }
    }

    /// The upstream has refused it: whoever keeps it fresh asks for another one.
    pub(crate) fn doubt(&self) {
        if let Kind::Kept(cell, _) = &self.0 {
            cell.doubt();
        }
    }

    /// What an attempt shows now. `None` when there is nothing to show yet: then it
    /// [waits](Self::arrival).
    pub(crate) fn proof(&self) -> Option<Proof> {
        match &self.0 {
            Kind::Nothing => Some(Proof::Nothing),
            Kind::Header(name, value) => Some(Proof::Header(name.clone(), value.clone())),
            Kind::Signature(keys, scope) => Some(Proof::Signature(Arc::clone(keys), Arc::clone(scope))),
            Kind::Kept(cell, scope) => {
                cell.current(Instant::now()).and_then(|issued| proof_of(&issued, scope.as_ref()))
            }
        }
    }

    /// Waits for the first one that somebody issues; `None` when nobody does in time.
    pub(crate) async fn arrival(&self) -> Option<Proof> {
        match &self.0 {
            Kind::Kept(cell, scope) => {
                cell.arrival(PATIENCE).await.and_then(|issued| proof_of(&issued, scope.as_ref()))
            }
            _ => self.proof(),
        }
    }
}

/// Keys without a scope prove nothing.
fn proof_of(issued: &Issued, scope: Option<&Arc<Scope>>) -> Option<Proof> {
    match &issued.what {
        What::Token(value) => Some(Proof::Header(http::header::AUTHORIZATION, value.clone())),
        What::Keys(keys) => Some(Proof::Signature(Arc::clone(keys), Arc::clone(scope?))),
    }
}

/// A secret as a bearer token.
pub(super) fn bearer(secret: &Secret) -> Result<HeaderValue, UnsendableCredential> {
    sensitive(format!("Bearer {}", secret.expose()))
}

fn sensitive(text: String) -> Result<HeaderValue, UnsendableCredential> {
    let mut value = HeaderValue::try_from(text).map_err(|_| UnsendableCredential)?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_never_shows_itself() {
        let secret = Secret::new("sk-very-secret-value".into());
        let credential = Credential::new(&secret, Presentation::Bearer).expect("printable");
        let Some(Proof::Header(name, value)) = credential.proof() else { panic!("a header") };
        assert!(!format!("{credential:?} {name:?} {value:?}").contains("very-secret"));
        assert!(Credential::new(&Secret::new("a\nb".into()), Presentation::ApiKey).is_err());
    }

    #[test]
    fn the_authority_leaves_the_schemes_own_port_out() {
        let origin =
            |scheme, host: &str, port| Origin { scheme, host: host.into(), port, allow_private: false };
        assert_eq!(origin(Scheme::Https, "a.example", 443).authority(), "a.example");
        assert_eq!(origin(Scheme::Http, "a.example", 8080).authority(), "a.example:8080");
        assert_eq!(origin(Scheme::Https, "::1", 444).authority(), "[::1]:444");
    }
}
