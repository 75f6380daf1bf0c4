//! What an upstream is shown, and where that comes from.

use std::{fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use tollgate_domain::Secret;

use super::SecretText;

/// An upstream's secret.
#[derive(Clone, Debug, JsonSchema)]
#[serde(untagged)]
pub enum Credential {
    /// The secret, sent as the dialect has it.
    Plain(SecretText),
    /// How it is shown and where it comes from.
    Table(Box<CredentialTable>),
}

/// An upstream's credential: how it is shown, and where it comes from. Which fields there are depends on
/// `type` and `source`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialTable {
    /// How it is shown.
    pub r#type: CredentialType,
    /// Where it comes from. Default: the fields of this group themselves. With a source, it is renewed
    /// before its end.
    pub source: Option<CredentialSource>,
    /// The secret of the types `api_key` and `bearer`.
    pub value: Option<SecretText>,
    /// Of `aws`: the public part of a key pair.
    pub access_key_id: Option<SecretText>,
    /// Of `aws`: the secret part of a key pair; requests are signed with it.
    pub secret_access_key: Option<SecretText>,
    /// Of `aws`: the token of a temporary key pair.
    pub session_token: Option<SecretText>,
    /// Of `aws`: region to sign for. Default: the one in the upstream's address, or `AWS_REGION` for the
    /// token service of `web_identity`. Example: `eu-central-1`.
    pub region: Option<String>,
    /// Of `aws`: service to sign for. Default: `bedrock`, or `bedrock-mantle` by the upstream's address.
    pub service: Option<String>,
    /// Of `aws`, source `profile`: section of the shared file. Default: `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// Of `aws`, source `profile`: the shared file. Default: `AWS_SHARED_CREDENTIALS_FILE`, else
    /// `~/.aws/credentials`.
    pub credentials_file: Option<PathBuf>,
    /// Of `aws`, source `web_identity`: the role. Default: `AWS_ROLE_ARN`.
    pub role_arn: Option<String>,
    /// Of `aws`, source `web_identity`: name of the session. Default: `AWS_ROLE_SESSION_NAME`, else
    /// `tollgate`.
    pub session_name: Option<String>,
    /// File with a token, looked at again every few seconds. The sources `web_identity` and
    /// `workload_identity` have a default: `AWS_WEB_IDENTITY_TOKEN_FILE`, `AZURE_FEDERATED_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// Of `entra`: the tenant. Default with `workload_identity`: `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// Of `entra`: the application, or the identity that was assigned to the machine by a user. Default
    /// with `workload_identity`: `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// Of `entra`, source `client_secret`: the application's secret.
    pub client_secret: Option<SecretText>,
    /// Of `gcp`, source `service_account`: JSON file with the account's key.
    pub key_file: Option<PathBuf>,
    /// Of `entra` and `gcp`: what the token is for. Default:
    /// `https://cognitiveservices.azure.com/.default`, and `https://www.googleapis.com/auth/cloud-platform`.
    pub scope: Option<String>,
    /// Whoever hands the credential out, where it is not at its usual address. Example:
    /// `http://127.0.0.1:9911/token`.
    pub endpoint: Option<String>,
}

/// How a credential is shown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// In the dialect's own header.
    ApiKey,
    /// As `Authorization: Bearer`.
    Bearer,
    /// A token of Microsoft Entra ID, as `Authorization: Bearer`.
    Entra,
    /// AWS Signature Version 4.
    Aws,
    /// A token of Google Cloud, as `Authorization: Bearer`.
    Gcp,
}

/// Where a credential comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// A file that somebody else renews, named by `token_file`. Of `bearer`, `entra` and `gcp`.
    TokenFile,
    /// The variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. Of `aws`.
    Environment,
    /// A section of AWS's shared credentials file. Of `aws`.
    Profile,
    /// The endpoint that AWS gives a container, by `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `_FULL_URI`.
    /// Of `aws`.
    Container,
    /// The metadata endpoint of an EC2 machine, in its second version. Of `aws`.
    Instance,
    /// A role for a token that names this workload, by AWS's token service. Of `aws`.
    WebIdentity,
    /// The identity of an Azure machine or app. Of `entra`.
    ManagedIdentity,
    /// A registered application with a secret. Of `entra`.
    ClientSecret,
    /// A registered application that another issuer's token vouches for. Of `entra`.
    WorkloadIdentity,
    /// The key of a service account. Of `gcp`.
    ServiceAccount,
    /// The metadata endpoint of a Google Cloud machine. Of `gcp`.
    Metadata,
}

impl Credential {
    /// The secret that is shown as it is, if there is one.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Plain(secret) => Some(&secret.0),
            Self::Table(table) => table.value.as_ref().map(|secret| &secret.0),
        }
    }

    /// How it is shown, where it says so.
    #[must_use]
    pub fn kind(&self) -> Option<CredentialType> {
        self.table().map(|table| table.r#type)
    }

    /// Its fields, where it is a group of them.
    #[must_use]
    pub fn table(&self) -> Option<&CredentialTable> {
        match self {
            Self::Plain(_) => None,
            Self::Table(table) => Some(table),
        }
    }
}

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CredentialVisitor)
    }
}

struct CredentialVisitor;

impl<'de> Visitor<'de> for CredentialVisitor {
    type Value = Credential;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret text or a group of fields with a `type`")
    }

    fn visit_str<E>(self, text: &str) -> Result<Credential, E> {
        Ok(Credential::Plain(SecretText(Secret::new(text.to_owned()))))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Credential, A::Error> {
        let table = CredentialTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Credential::Table(Box::new(table)))
    }
}
