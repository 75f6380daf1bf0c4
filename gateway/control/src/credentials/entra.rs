//! Tokens of Microsoft Entra ID: of the machine's identity, or for a registered application.
//!
//! Sources: Microsoft Learn, "How to use managed identities for Azure resources on an Azure VM to
//! acquire an access token", "How to use managed identities for App Service", and "Microsoft identity
//! platform and the OAuth 2.0 client credentials flow".

use std::path::PathBuf;

use tollgate_domain::{Secret, UnixMillis};

use super::{Fresh, Trouble, desk::Desk, token, token_file};

/// What an application proves its identity with instead of a secret (RFC 7523).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a token of Entra is had.
pub enum EntraWay {
    /// The metadata endpoint of a virtual machine. The target asks for the right audience.
    Machine(Desk),
    /// The endpoint that an App Service or a container app is given.
    App {
        /// Its address, query included.
        desk: Desk,
        /// What it wants to be shown.
        header: Secret,
    },
    /// The token endpoint, for an application with a secret.
    Secret {
        /// The tenant's token endpoint.
        desk: Desk,
        /// The application.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
        /// What the token is for.
        scope: String,
    },
    /// The token endpoint, for an application that another issuer vouches for.
    Federated {
        /// The tenant's token endpoint.
        desk: Desk,
        /// The application.
        client_id: String,
        /// Where the other issuer's token is.
        token_file: PathBuf,
        /// What the token is for.
        scope: String,
    },
}

impl EntraWay {
    pub(super) async fn fetch(&self, now: UnixMillis) -> Result<Fresh, Trouble> {
        let grant = ("grant_type", "client_credentials");
        let (desk, answer) = match self {
            Self::Machine(desk) => (desk, desk.get(&[("metadata", "true")]).await?),
            Self::App { desk, header } => (desk, desk.get(&[("x-identity-header", header.expose())]).await?),
            Self::Secret { desk, client_id, client_secret, scope } => {
                let secret = ("client_secret", client_secret.expose());
                (desk, desk.post(&[grant, ("client_id", client_id), secret, ("scope", scope)]).await?)
            }
            Self::Federated { desk, client_id, token_file: path, scope } => {
                let assertion = token_file(path)?;
                let form = [
                    grant,
                    ("client_id", client_id),
                    ("client_assertion_type", ASSERTION),
                    ("client_assertion", assertion.expose()),
                    ("scope", scope),
                ];
                (desk, desk.post(&form).await?)
            }
        };
        token::read(&answer, desk.place(), now)
    }
}
