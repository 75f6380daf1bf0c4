//! Upstreams: origins, credentials, timeouts, certificates.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderName, HeaderValue};
use tollgate_dialect::{Apis, Dialect};
use tollgate_domain::{Name, ZoneName};
use tollgate_proxy::{
    Failback, InjectUsage, Live, OperatorState, Origin, Probes, Scheme, Timeouts, Upstream,
};
use url::Url;

use crate::{
    config::{
        document::Document,
        file::{self, Api, Billing, InjectStreamUsage, State},
        problem::{Path, Problem, Severity},
    },
    credentials::Source,
};

use super::{
    credentials::Surroundings,
    quirks,
    tls::{self, Clients},
};

/// Upstreams by name, with what routes need of them beside the snapshot.
pub(super) type Upstreams = HashMap<String, Endpoint>;

/// An upstream with who is paid.
pub(super) struct Endpoint {
    pub(super) upstream: Arc<Upstream>,
    pub(super) provider: Name,
    pub(super) account: Name,
    pub(super) fate_group: Option<Name>,
    /// Paid for whether it is used or not.
    pub(super) is_provisioned: bool,
    /// Where its credential comes from, where that has to be renewed.
    pub(super) source: Option<Arc<Source>>,
}

pub(super) fn compile(document: &Document, live: &Live, problems: &mut Vec<Problem>) -> Upstreams {
    let mut clients = Clients::default();
    let mut upstreams = Upstreams::new();
    for (index, given) in document.file.upstreams.iter().enumerate() {
        let here = Path::default().field("upstreams").index(index);
        let compiled = endpoint(document, given, live, &mut clients);
        match compiled {
            Ok(endpoint) => {
                upstreams.insert(given.name.clone(), endpoint);
            }
            Err((field, message)) => problems.push(document.problem(here.field(field), message)),
        }
    }
    let https = document.file.upstreams.iter().position(|given| given.base_url.starts_with("https:"));
    if let Some(index) = https
        && tls::system_roots().is_empty()
    {
        let path = Path::default().field("upstreams").index(index).field("base_url");
        let message =
            "this machine has no certificate authorities: install ca-certificates, or give `tls.ca`";
        problems.push(Problem { severity: Severity::Warning, ..document.problem(path, message) });
    }
    upstreams
}

/// An error names the field at fault.
fn endpoint(
    document: &Document,
    given: &file::Upstream,
    live: &Live,
    clients: &mut Clients,
) -> Result<Endpoint, (&'static str, String)> {
    let dialect = dialect(given.dialect);
    let url = Url::parse(&given.base_url).map_err(|error| ("base_url", error.to_string()))?;
    let origin = origin(&url, given).ok_or(("base_url", "expected an address with a host".to_owned()))?;
    let client = match origin.scheme {
        Scheme::Http => None,
        Scheme::Https => {
            let client = clients.get(given.tls.as_ref(), given.http2, document.sources());
            Some(client.map_err(|message| ("tls", message))?)
        }
    };
    let identity = client.as_ref().map_or(if given.http2 { "h2c" } else { "h1" }, |client| &client.identity);
    let pool_key = format!("{:?} {} {} {identity}", origin.scheme, origin.authority(), origin.allow_private);
    let surroundings = Surroundings { document, live, clients };
    let (credential, source) =
        surroundings.credential(given, dialect, &url).map_err(|message| ("credential", message))?;
    let name = given.name.as_str().into();
    let region = given.region.as_str().into();
    let known = quirks::of(given.provider.as_deref(), url.host_str());
    let upstream = Upstream {
        dialect,
        zones: zones(document, given),
        region_zones: document
            .file
            .regions
            .iter()
            .map(|known| (known.name.as_str().into(), known.zone.as_str().into()))
            .collect(),
        base_path: url.path().trim_end_matches('/').to_owned(),
        credential,
        headers: headers(given).ok_or(("headers", "expected names and values of headers".to_owned()))?,
        apis: match given.apis.as_deref() {
            None => known.apis,
            Some(given) => apis(given),
        },
        api_version: given.api_version.clone(),
        hears_of_traces: given.propagate_trace.unwrap_or(given.allow_private),
        http2: given.http2,
        inject_usage: match given.inject_stream_usage {
            InjectStreamUsage::Auto => known.inject_usage,
            InjectStreamUsage::Always => InjectUsage::Always,
            InjectStreamUsage::Never => InjectUsage::Never,
        },
        timeouts: timeouts(&given.timeouts),
        max_concurrency: given.max_concurrency,
        configured: match given.state {
            State::Enabled => OperatorState::Enabled,
            State::Draining => OperatorState::Draining,
            State::Disabled => OperatorState::Disabled,
        },
        probes: probes(&given.probes),
        failback: failback(document, given),
        live: live.fleet.upstream(&name),
        region_live: live.fleet.region(&region),
        pool_key: pool_key.into(),
        tls: client.map(|client| client.config),
        origin: Arc::new(origin),
        name,
        region,
    };
    Ok(Endpoint {
        upstream: Arc::new(upstream),
        provider: given.provider.as_deref().unwrap_or(provider(dialect)).into(),
        account: given.account.as_deref().unwrap_or(&given.name).into(),
        fate_group: given.fate_group.as_deref().map(Name::from),
        is_provisioned: given.billing == Billing::Provisioned,
        source,
    })
}

pub(in crate::config) fn dialect(dialect: file::Dialect) -> Dialect {
    match dialect {
        file::Dialect::Openai => Dialect::OpenAi,
        file::Dialect::AzureOpenai => Dialect::AzureOpenAi,
        file::Dialect::Anthropic => Dialect::Anthropic,
        file::Dialect::Gemini => Dialect::Gemini,
        file::Dialect::Bedrock => Dialect::Bedrock,
        file::Dialect::Cohere => Dialect::Cohere,
    }
}

/// Who is usually paid for a dialect.
fn provider(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "openai",
        Dialect::AzureOpenAi => "azure",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "google",
        Dialect::Bedrock => "aws",
        Dialect::Cohere => "cohere",
    }
}

fn apis(given: &[Api]) -> Apis {
    match (given.contains(&Api::ChatCompletions), given.contains(&Api::Responses)) {
        (true, false) => Apis::ChatCompletions,
        (false, true) => Apis::Responses,
        // None at all is refused by the check.
        (true, true) | (false, false) => Apis::Both,
    }
}

fn origin(url: &Url, given: &file::Upstream) -> Option<Origin> {
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default()?;
    Some(Origin { scheme, host, port, allow_private: given.allow_private })
}

fn zones(document: &Document, given: &file::Upstream) -> Vec<ZoneName> {
    if let Some(processing) = &given.processing {
        return processing.iter().map(|zone| zone.as_str().into()).collect();
    }
    let region = document.file.regions.iter().find(|region| region.name == given.region);
    region.map(|region| region.zone.as_str().into()).into_iter().collect()
}

fn probes(given: &file::Probes) -> Option<Probes> {
    let default = Probes::default();
    given.enabled.then(|| Probes {
        idle: given.idle.map_or(default.idle, |span| span.0),
        open: given.open.map_or(default.open, |span| span.0),
        timeout: given.timeout.map_or(default.timeout, |span| span.0),
        generate: given.generate.as_deref().map(Into::into),
    })
}

fn failback(document: &Document, given: &file::Upstream) -> Failback {
    let region = document.file.regions.iter().find(|region| region.name == given.region);
    match region.map(|region| region.failback).unwrap_or_default() {
        file::Failback::Auto => Failback::Auto,
        file::Failback::Manual => Failback::Manual,
    }
}

fn headers(given: &file::Upstream) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let parse = |(name, value): (&String, &String)| {
        Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value.as_str()).ok()?))
    };
    given.headers.iter().map(parse).collect()
}

fn timeouts(given: &file::Timeouts) -> Timeouts {
    let default = Timeouts::default();
    Timeouts {
        dns: given.dns.map_or(default.dns, |span| span.0),
        connect: given.connect.map_or(default.connect, |span| span.0),
        tls: given.tls.map_or(default.tls, |span| span.0),
        head: given.head.map_or(default.head, |span| span.0),
        stream_head: given.stream_head.map_or(default.stream_head, |span| span.0),
        ttft: given.ttft.map_or(default.ttft, |span| span.0),
        byte_idle: given.byte_idle.map_or(default.byte_idle, |span| span.0),
        content_idle: given.content_idle.map_or(default.content_idle, |span| span.0),
        heartbeat: given.heartbeat.map_or(default.heartbeat, |span| span.0),
        total: given.total.map_or(default.total, |span| span.0),
        stream_total: given.stream_total.map_or(default.stream_total, |span| span.0),
        keep_alive: given.keep_alive.map_or(default.keep_alive, |span| span.0),
    }
}
