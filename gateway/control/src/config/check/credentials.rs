//! Upstreams' credentials: which fields go together, and what an upstream of which dialect can be shown.

use crate::config::{
    file::{CredentialSource as Source, CredentialTable, CredentialType as Type, Dialect, Upstream},
    problem::Path,
};

use super::Check;

/// The fields of one way to have a credential.
struct Fields {
    kind: Type,
    source: Option<Source>,
    needed: &'static [&'static str],
    possible: &'static [&'static str],
}

const fn fields(
    kind: Type,
    source: Option<Source>,
    needed: &'static [&'static str],
    possible: &'static [&'static str],
) -> Fields {
    Fields { kind, source, needed, possible }
}

/// Every way that there is.
const WAYS: [Fields; 16] = [
    fields(Type::ApiKey, None, &["value"], &[]),
    fields(Type::Bearer, None, &["value"], &[]),
    fields(Type::Bearer, Some(Source::TokenFile), &["token_file"], &[]),
    fields(Type::Aws, None, &["access_key_id", "secret_access_key"], &["session_token", "region", "service"]),
    fields(Type::Aws, Some(Source::Environment), &[], &["region", "service"]),
    fields(Type::Aws, Some(Source::Profile), &[], &["profile", "credentials_file", "region", "service"]),
    fields(Type::Aws, Some(Source::Container), &[], &["endpoint", "token_file", "region", "service"]),
    fields(Type::Aws, Some(Source::Instance), &[], &["endpoint", "region", "service"]),
    fields(
        Type::Aws,
        Some(Source::WebIdentity),
        &[],
        &["role_arn", "session_name", "token_file", "endpoint", "region", "service"],
    ),
    fields(Type::Entra, Some(Source::TokenFile), &["token_file"], &[]),
    fields(Type::Entra, Some(Source::ManagedIdentity), &[], &["client_id", "scope", "endpoint"]),
    fields(
        Type::Entra,
        Some(Source::ClientSecret),
        &["tenant_id", "client_id", "client_secret"],
        &["scope", "endpoint"],
    ),
    fields(
        Type::Entra,
        Some(Source::WorkloadIdentity),
        &[],
        &["tenant_id", "client_id", "token_file", "scope", "endpoint"],
    ),
    fields(Type::Gcp, Some(Source::TokenFile), &["token_file"], &[]),
    fields(Type::Gcp, Some(Source::ServiceAccount), &["key_file"], &["scope", "endpoint"]),
    fields(Type::Gcp, Some(Source::Metadata), &[], &["endpoint"]),
];

impl Check<'_> {
    pub(super) fn credential(&mut self, here: &Path, upstream: &Upstream) {
        let Some(table) = upstream.credential.as_ref().and_then(|credential| credential.table()) else {
            return;
        };
        if !fits(table.r#type, upstream.dialect) {
            let known: Vec<&str> = KINDS
                .into_iter()
                .filter(|(kind, _)| fits(*kind, upstream.dialect))
                .map(|(_, name)| name)
                .collect();
            let message =
                format!("upstreams of this dialect take no such credential, but: {}", known.join(", "));
            return self.error(here.field("type"), message);
        }
        let way = |way: &&Fields| way.kind == table.r#type && way.source == table.source;
        let Some(way) = WAYS.iter().find(way) else {
            let known: Vec<&str> = WAYS
                .iter()
                .filter(|way| way.kind == table.r#type)
                .filter_map(|way| way.source.map(name))
                .collect();
            let path = if table.source.is_some() { here.field("source") } else { here.clone() };
            let message = match known[..] {
                [] => "this type has no `source`: leave it out".to_owned(),
                _ => format!("this type needs a `source`, one of: {}", known.join(", ")),
            };
            return self.error(path, message);
        };
        for (field, given) in given(table) {
            let path = here.field(field);
            if way.needed.contains(&field) && !given {
                self.error(here.clone(), format!("the field `{field}` is missing"));
            } else if given && !way.needed.contains(&field) && !way.possible.contains(&field) {
                let known = [way.needed, way.possible].concat().join(", ");
                let message = match known.as_str() {
                    "" => "this type and source have no such field: leave it out".to_owned(),
                    _ => format!("this type and source have no such field, but: {known}"),
                };
                self.error(path, message);
            }
        }
    }
}

/// The types, and their names in the file.
const KINDS: [(Type, &str); 5] = [
    (Type::ApiKey, "api_key"),
    (Type::Bearer, "bearer"),
    (Type::Entra, "entra"),
    (Type::Aws, "aws"),
    (Type::Gcp, "gcp"),
];

/// Whether upstreams of a dialect can be shown such a credential.
fn fits(kind: Type, dialect: Dialect) -> bool {
    match kind {
        Type::ApiKey | Type::Bearer => true,
        Type::Entra => matches!(dialect, Dialect::AzureOpenai | Dialect::Openai | Dialect::Anthropic),
        Type::Aws => matches!(dialect, Dialect::Bedrock | Dialect::Openai | Dialect::Anthropic),
        Type::Gcp => matches!(dialect, Dialect::Gemini | Dialect::Openai),
    }
}

/// The name of a source in the file.
const fn name(source: Source) -> &'static str {
    match source {
        Source::TokenFile => "token_file",
        Source::Environment => "environment",
        Source::Profile => "profile",
        Source::Container => "container",
        Source::Instance => "instance",
        Source::WebIdentity => "web_identity",
        Source::ManagedIdentity => "managed_identity",
        Source::ClientSecret => "client_secret",
        Source::WorkloadIdentity => "workload_identity",
        Source::ServiceAccount => "service_account",
        Source::Metadata => "metadata",
    }
}

/// Every field beside `type` and `source`, and whether it is given.
fn given(table: &CredentialTable) -> [(&'static str, bool); 17] {
    [
        ("value", table.value.is_some()),
        ("access_key_id", table.access_key_id.is_some()),
        ("secret_access_key", table.secret_access_key.is_some()),
        ("session_token", table.session_token.is_some()),
        ("region", table.region.is_some()),
        ("service", table.service.is_some()),
        ("profile", table.profile.is_some()),
        ("credentials_file", table.credentials_file.is_some()),
        ("role_arn", table.role_arn.is_some()),
        ("session_name", table.session_name.is_some()),
        ("token_file", table.token_file.is_some()),
        ("tenant_id", table.tenant_id.is_some()),
        ("client_id", table.client_id.is_some()),
        ("client_secret", table.client_secret.is_some()),
        ("key_file", table.key_file.is_some()),
        ("scope", table.scope.is_some()),
        ("endpoint", table.endpoint.is_some()),
    ]
}
