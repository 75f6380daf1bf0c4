//! Upstreams' credentials: what they are, or where they come from.

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use tollgate_dialect::Dialect;
use tollgate_domain::{Name, Secret};
use tollgate_proxy::{Credential, Live, Presentation, Scheme};
use tollgate_sigv4::{KeyPair, Scope};
use url::{Position, Url};

use crate::{
    config::{
        document::Document,
        file::{self, CredentialSource, CredentialTable, CredentialType},
    },
    credentials::{AwsWay, Desk, EntraWay, GcpWay, ServiceAccount, Shown, Source, Way},
};

use super::{endpoints, tls::Clients};

const EC2: &str = "http://169.254.169.254/";
const ECS: &str = "http://169.254.170.2";
const AZURE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const ENTRA: &str = "https://login.microsoftonline.com";
const GOOGLE: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";

const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What a credential is compiled in.
pub(super) struct Surroundings<'a> {
    pub(super) document: &'a Document,
    pub(super) live: &'a Live,
    pub(super) clients: &'a mut Clients,
}

type Made = (Credential, Option<Arc<Source>>);

impl Surroundings<'_> {
    /// An upstream's credential, and its source where it has to be renewed.
    pub(super) fn credential(
        mut self,
        given: &file::Upstream,
        dialect: Dialect,
        url: &Url,
    ) -> Result<Made, String> {
        let Some(credential) = &given.credential else { return Ok((Credential::none(), None)) };
        if let Some(secret) = credential.secret() {
            let presentation = presentation(dialect, credential.kind());
            let ready = Credential::new(secret, presentation).map_err(|error| error.to_string())?;
            return Ok((ready, None));
        }
        let table = credential.table().ok_or("the secret is missing")?;
        let scope = match table.r#type {
            CredentialType::Aws => Some(scope(table, url)?),
            _ => None,
        };
        if let (Some(scope), None | Some(CredentialSource::Environment)) = (&scope, table.source) {
            return Ok((Credential::signing(self.keys(table)?, scope.clone()), None));
        }
        let way = self.way(table, scope.as_ref())?;
        let identity = identity(given, table);
        let cell = self.live.fleet.credential(&identity);
        let source = Source { upstream: given.name.as_str().into(), identity, cell: Arc::clone(&cell), way };
        Ok((Credential::kept(cell, scope), Some(Arc::new(source))))
    }

    fn way(&mut self, table: &CredentialTable, scope: Option<&Scope>) -> Result<Way, String> {
        let source = table.source.ok_or("the field `source` is missing")?;
        Ok(match source {
            CredentialSource::TokenFile => {
                Way::TokenFile(self.path(table.token_file.as_deref(), "token_file")?)
            }
            CredentialSource::Environment => return Err("these keys are read at once".into()),
            CredentialSource::Profile => Way::Aws(self.profile(table)?),
            CredentialSource::Container => Way::Aws(self.container(table)?),
            CredentialSource::Instance => {
                let endpoint = table.endpoint.as_deref().unwrap_or(EC2);
                Way::Aws(AwsWay::Instance(self.desk(endpoint)?))
            }
            CredentialSource::WebIdentity => Way::Aws(self.web_identity(table, scope)?),
            CredentialSource::ManagedIdentity => Way::Entra(self.managed_identity(table)?),
            CredentialSource::ClientSecret => Way::Entra(EntraWay::Secret {
                desk: self.entra(table)?,
                client_id: table.client_id.clone().ok_or("the field `client_id` is missing")?,
                client_secret: secret(&table.client_secret).ok_or("the field `client_secret` is missing")?,
                scope: table.scope.clone().unwrap_or_else(|| AZURE_SCOPE.into()),
            }),
            CredentialSource::WorkloadIdentity => {
                let file = self.or_variable(
                    &path_text(&table.token_file),
                    "token_file",
                    "AZURE_FEDERATED_TOKEN_FILE",
                )?;
                Way::Entra(EntraWay::Federated {
                    desk: self.entra(table)?,
                    client_id: self.or_variable(&table.client_id, "client_id", "AZURE_CLIENT_ID")?,
                    token_file: self.resolve(FilePath::new(&file)),
                    scope: table.scope.clone().unwrap_or_else(|| AZURE_SCOPE.into()),
                })
            }
            CredentialSource::ServiceAccount => Way::Gcp(self.service_account(table)?),
            CredentialSource::Metadata => {
                let endpoint = table.endpoint.as_deref().unwrap_or(GOOGLE);
                Way::Gcp(GcpWay::Machine(self.desk(endpoint)?))
            }
        })
    }

    /// Keys that stand in the file or in the environment.
    fn keys(&self, table: &CredentialTable) -> Result<KeyPair, String> {
        let part = |given: &Option<file::SecretText>, field: &str, variable: &str| match table.source {
            Some(_) => self.variable(variable).map(Secret::new).ok_or(format!("{variable} is not set")),
            None => secret(given).ok_or(format!("the field `{field}` is missing")),
        };
        let session_token = part(&table.session_token, "session_token", "AWS_SESSION_TOKEN").ok();
        let id = part(&table.access_key_id, "access_key_id", "AWS_ACCESS_KEY_ID")?;
        Ok(KeyPair {
            access_key_id: id.expose().into(),
            secret_access_key: part(&table.secret_access_key, "secret_access_key", "AWS_SECRET_ACCESS_KEY")?,
            session_token,
        })
    }

    fn profile(&self, table: &CredentialTable) -> Result<AwsWay, String> {
        let profile = table.profile.clone().or_else(|| self.variable("AWS_PROFILE"));
        let usual = || Some(format!("{}/.aws/credentials", self.variable("HOME")?));
        let file = path_text(&table.credentials_file)
            .or_else(|| self.variable("AWS_SHARED_CREDENTIALS_FILE"))
            .or_else(usual)
            .ok_or("there is no `credentials_file`, and no home folder to look in")?;
        let profile = profile.unwrap_or_else(|| "default".into());
        Ok(AwsWay::Profile { file: self.resolve(FilePath::new(&file)), profile })
    }

    fn container(&mut self, table: &CredentialTable) -> Result<AwsWay, String> {
        let relative = || {
            let path = self.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")?;
            path.starts_with('/').then(|| format!("{ECS}{path}"))
        };
        let endpoint = table
            .endpoint
            .clone()
            .or_else(relative)
            .or_else(|| self.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
            .ok_or("there is no `endpoint`, and no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI")?;
        let file = path_text(&table.token_file)
            .or_else(|| self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
            .map(|file| self.resolve(FilePath::new(&file)));
        let token = self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new);
        let shown = file.map(Shown::File).or(token.map(Shown::Token)).unwrap_or(Shown::Nothing);
        Ok(AwsWay::Container { desk: self.desk(&endpoint)?, shown })
    }

    fn web_identity(&mut self, table: &CredentialTable, scope: Option<&Scope>) -> Result<AwsWay, String> {
        let region = scope.map_or("us-east-1", |scope| &scope.region);
        let usual = format!("https://sts.{region}.amazonaws.com/");
        let endpoint = table.endpoint.clone().unwrap_or(usual);
        let token_file =
            self.or_variable(&path_text(&table.token_file), "token_file", "AWS_WEB_IDENTITY_TOKEN_FILE")?;
        let session_name = table.session_name.clone().or_else(|| self.variable("AWS_ROLE_SESSION_NAME"));
        Ok(AwsWay::WebIdentity {
            desk: self.desk(&endpoint)?,
            role_arn: self.or_variable(&table.role_arn, "role_arn", "AWS_ROLE_ARN")?,
            session_name: session_name.unwrap_or_else(|| "tollgate".into()),
            token_file: self.resolve(FilePath::new(&token_file)),
        })
    }

    fn managed_identity(&mut self, table: &CredentialTable) -> Result<EntraWay, String> {
        let scope = table.scope.as_deref().unwrap_or(AZURE_SCOPE);
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let app = self.variable("IDENTITY_ENDPOINT").zip(self.variable("IDENTITY_HEADER"));
        let app = app.filter(|_| table.endpoint.is_none());
        let (endpoint, version) = match (&table.endpoint, &app) {
            (Some(endpoint), _) => (endpoint.as_str(), "2018-02-01"),
            (None, Some((endpoint, _))) => (endpoint.as_str(), "2019-08-01"),
            (None, None) => (AZURE, "2018-02-01"),
        };
        let mut url = endpoints::address(endpoint)?;
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(id) = &table.client_id {
            url.query_pairs_mut().append_pair("client_id", id);
        }
        let desk = self.desk_at(&url)?;
        Ok(match app {
            Some((_, header)) => EntraWay::App { desk, header: Secret::new(header) },
            None => EntraWay::Machine(desk),
        })
    }

    /// The token endpoint of a tenant.
    fn entra(&mut self, table: &CredentialTable) -> Result<Desk, String> {
        if let Some(endpoint) = &table.endpoint {
            return self.desk(endpoint);
        }
        let tenant = self.or_variable(&table.tenant_id, "tenant_id", "AZURE_TENANT_ID")?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        if tenant.is_empty() || !tenant.bytes().all(is_name) {
            return Err("`tenant_id` is no id or domain of a tenant".into());
        }
        self.desk(&format!("{ENTRA}/{tenant}/oauth2/v2.0/token"))
    }

    fn service_account(&mut self, table: &CredentialTable) -> Result<GcpWay, String> {
        let path = self.path(table.key_file.as_deref(), "key_file")?;
        let content = std::fs::read_to_string(&path).map(Secret::new);
        let content = content.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let account =
            ServiceAccount::read(&content).map_err(|error| format!("{}: {error}", path.display()))?;
        let desk = match &table.endpoint {
            Some(endpoint) => self.desk(endpoint)?,
            // A key's file must not send our statements to a place that is not Google's.
            None => {
                let url = endpoints::address(&account.audience)?;
                let of_google =
                    |host: &str| host.ends_with(".googleapis.com") || host == "accounts.google.com";
                if url.scheme() != "https" || !url.host_str().is_some_and(of_google) {
                    return Err(format!(
                        "{}: its `token_uri` is not Google's: give `endpoint`",
                        path.display()
                    ));
                }
                self.desk_at(&url)?
            }
        };
        let scope = table.scope.clone().unwrap_or_else(|| GOOGLE_SCOPE.into());
        Ok(GcpWay::Account { desk, account, scope })
    }

    fn desk(&mut self, text: &str) -> Result<Desk, String> {
        self.desk_at(&endpoints::address(text)?)
    }

    fn desk_at(&mut self, url: &Url) -> Result<Desk, String> {
        let origin = endpoints::origin(url)?;
        let tls = match origin.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(self.clients.get(None, false, self.document.sources())?.config),
        };
        Ok(Desk { origin, tls, target: url[Position::BeforePath..Position::AfterQuery].to_owned() })
    }

    fn or_variable(&self, given: &Option<String>, field: &str, variable: &str) -> Result<String, String> {
        let missing = || format!("there is no `{field}`, and {variable} is not set");
        given.clone().or_else(|| self.variable(variable)).ok_or_else(missing)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.document.sources().variable(name).filter(|value| !value.is_empty())
    }

    fn path(&self, given: Option<&FilePath>, field: &str) -> Result<PathBuf, String> {
        given.map(|path| self.resolve(path)).ok_or_else(|| format!("the field `{field}` is missing"))
    }

    fn resolve(&self, path: &FilePath) -> PathBuf {
        self.document.sources().resolve(path)
    }
}

fn presentation(dialect: Dialect, kind: Option<CredentialType>) -> Presentation {
    match (dialect, kind) {
        (_, Some(CredentialType::Bearer)) | (Dialect::OpenAi | Dialect::Bedrock | Dialect::Cohere, _) => {
            Presentation::Bearer
        }
        (Dialect::AzureOpenAi, _) => Presentation::ApiKey,
        (Dialect::Anthropic, _) => Presentation::XApiKey,
        (Dialect::Gemini, _) => Presentation::XGoogApiKey,
    }
}

/// What requests are signed for: as given, else as the address of AWS says.
fn scope(table: &CredentialTable, url: &Url) -> Result<Scope, String> {
    let host = url.host_str().unwrap_or_default();
    let mut labels = host.split('.');
    let (first, second) = (labels.next().unwrap_or_default(), labels.next());
    let is_amazons =
        [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|end| host.ends_with(end));
    let region = table.region.as_deref().or_else(|| second.filter(|_| is_amazons));
    let region = region.ok_or("the address names no region to sign for: give `region`")?;
    let usual = if first == "bedrock-mantle" { "bedrock-mantle" } else { "bedrock" };
    Ok(Scope { region: region.into(), service: table.service.as_deref().unwrap_or(usual).into() })
}

/// What tells a credential from every other: a change of what configuration says of it makes a new one,
/// and what was issued for the old one is not shown any more.
fn identity(given: &file::Upstream, table: &CredentialTable) -> Name {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update(text.len().to_le_bytes());
        digest.update(text);
    };
    add(&given.name);
    // Secrets debug as marks, so that they are added by themselves.
    add(&format!("{table:?}"));
    for secret in [&table.client_secret, &table.session_token].into_iter().flatten() {
        add(secret.0.expose());
    }
    hex::encode(digest.finalize()).into()
}

fn secret(given: &Option<file::SecretText>) -> Option<Secret> {
    given.as_ref().map(|secret| secret.0.clone())
}

fn path_text(path: &Option<PathBuf>) -> Option<String> {
    path.as_ref().map(|path| path.display().to_string())
}
