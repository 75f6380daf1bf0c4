//! An upstream's secret, bound to the one origin that may see it.

use std::fmt;

use http::{HeaderName, HeaderValue};
use tollgate_domain::Secret;

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

/// A ready header with an upstream's secret. It is marked sensitive, debugs as a mark, and is only
/// ever attached to requests for the upstream it was built with.
#[derive(Clone)]
pub struct Credential {
    header: Option<(HeaderName, HeaderValue)>,
}

/// A secret that cannot stand in a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the credential has characters that cannot stand in a header")]
pub struct UnsendableCredential;

impl Credential {
    /// A secret in the header that the presentation names.
    ///
    /// # Errors
    /// The secret has bytes that a header may not carry.
    pub fn new(secret: &Secret, presentation: Presentation) -> Result<Self, UnsendableCredential> {
        let (name, text) = match presentation {
            Presentation::Bearer => (http::header::AUTHORIZATION, format!("Bearer {}", secret.expose())),
            Presentation::ApiKey => (HeaderName::from_static("api-key"), secret.expose().to_owned()),
            Presentation::XApiKey => (HeaderName::from_static("x-api-key"), secret.expose().to_owned()),
            Presentation::XGoogApiKey => {
                (HeaderName::from_static("x-goog-api-key"), secret.expose().to_owned())
            }
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| UnsendableCredential)?;
        value.set_sensitive(true);
        Ok(Self { header: Some((name, value)) })
    }

    /// No credential: a server that asks for none.
    #[must_use]
    pub const fn none() -> Self {
        Self { header: None }
    }

    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        self.header.clone()
    }
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
        assert!(!format!("{credential:?} {:?}", credential.header()).contains("very-secret"));
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
