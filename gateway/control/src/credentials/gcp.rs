//! Tokens of Google Cloud: of the machine's service account, or for the key of one.
//!
//! Sources: Google Cloud, "Access tokens of the metadata server", and "Using OAuth 2.0 for server to
//! server applications" (RFC 7523: a signed assertion is exchanged for a token).

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::{SignatureScheme, crypto::aws_lc_rs::sign::any_supported_type, sign::SigningKey};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tollgate_domain::{Secret, UnixMillis};

use super::{Fresh, Trouble, desk::Desk, desk::text, token};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// So long an assertion is good; the token endpoint takes no longer ones.
const ASSERTION_SECONDS: i64 = 3_600;

/// How a token of Google Cloud is had.
pub enum GcpWay {
    /// The machine's metadata endpoint.
    Machine(Desk),
    /// The token endpoint, for an assertion that the key signs.
    Account {
        /// The token endpoint.
        desk: Desk,
        /// Whose key.
        account: ServiceAccount,
        /// What the token is for.
        scope: String,
    },
}

/// The key of a service account.
pub struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    /// Whom its assertions are for: the token endpoint by the name that the key's file gives it.
    pub audience: String,
    key: Arc<dyn SigningKey>,
}

/// A file that is no key of a service account.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is no key of a service account: {0}")]
pub struct UnusableKey(&'static str);

impl ServiceAccount {
    /// Reads the JSON file that the console gives out for a key.
    ///
    /// # Errors
    /// What it lacks.
    pub fn read(content: &Secret) -> Result<Self, UnusableKey> {
        let json: Value =
            serde_json::from_str(content.expose()).map_err(|_| UnusableKey("it is not JSON"))?;
        let member = |name| text(&json, name).map(|text| text.expose().to_owned());
        if member("type").as_deref() != Some("service_account") {
            return Err(UnusableKey("its `type` is not service_account"));
        }
        let pem = text(&json, "private_key").ok_or(UnusableKey("`private_key` is missing"))?;
        let unreadable = UnusableKey("`private_key` is no RSA key in PEM form");
        let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| unreadable)?;
        let key = any_supported_type(&key).map_err(|_| unreadable)?;
        if key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_none() {
            return Err(unreadable);
        }
        Ok(Self {
            email: member("client_email").ok_or(UnusableKey("`client_email` is missing"))?,
            key_id: member("private_key_id"),
            audience: member("token_uri").ok_or(UnusableKey("`token_uri` is missing"))?,
            key,
        })
    }

    /// A signed statement (RS256) that we are this account, good for an hour.
    fn assertion(&self, scope: &str, now: UnixMillis) -> Option<Secret> {
        let issued = now.get().div_euclid(1_000);
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email,
            "scope": scope,
            "aud": self.audience,
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        });
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
        let signature = signer.sign(signed.as_bytes()).ok()?;
        Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

impl GcpWay {
    pub(super) async fn fetch(&self, now: UnixMillis) -> Result<Fresh, Trouble> {
        let (desk, answer) = match self {
            Self::Machine(desk) => (desk, desk.get(&[("metadata-flavor", "Google")]).await?),
            Self::Account { desk, account, scope } => {
                let assertion = account.assertion(scope, now).ok_or_else(|| Trouble::Unreadable {
                    place: account.email.clone(),
                    what: "a key that cannot sign",
                })?;
                let form = [("grant_type", GRANT), ("assertion", assertion.expose())];
                (desk, desk.post(&form).await?)
            }
        };
        token::read(&answer, desk.place(), now)
    }
}
