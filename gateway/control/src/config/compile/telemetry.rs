//! Who gets records, and what becomes of traces.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use tollgate_proxy::{CallersTrace, Origin, Scheme, Tracing};
use tollgate_telemetry::otlp::{Attributes, Generation, Sender};
use url::Url;

use super::tls::Clients;
use crate::{
    config::{
        document::Document,
        file::{ConfigFile, GenAiSemconv, OtlpSection, TraceContext},
        problem::{Path, Problem},
    },
    otlp::Receiver,
};

const USUAL_TIMEOUT: Duration = Duration::from_secs(10);
const USUAL_INTERVAL: Duration = Duration::from_secs(60);
/// All of them.
const EVERY_TRACE: u32 = 1_000_000;

/// What becomes of the traces of requests.
pub(super) fn tracing(file: &ConfigFile) -> Tracing {
    let telemetry = &file.telemetry;
    let recorded = telemetry.otlp.as_ref().filter(|otlp| otlp.traces);
    Tracing {
        callers: match telemetry.trace_context {
            TraceContext::Trusted => CallersTrace::Trusted,
            TraceContext::Link => CallersTrace::Linked,
            TraceContext::Ignore => CallersTrace::Ignored,
        },
        sampled_millionths: recorded.map(|otlp| otlp.sample.map_or(EVERY_TRACE, |share| share.millionths)),
    }
}

pub(super) fn receiver(
    document: &Document,
    instance: &str,
    problems: &mut Vec<Problem>,
) -> Option<Arc<Receiver>> {
    let otlp = document.file.telemetry.otlp.as_ref()?;
    match compile(document, instance, otlp) {
        Ok(receiver) => Some(Arc::new(receiver)),
        Err((field, message)) => {
            let here = Path::default().field("telemetry").field("otlp").field(field);
            problems.push(document.problem(here, message));
            None
        }
    }
}

/// An error names the field at fault.
fn compile(
    document: &Document,
    instance: &str,
    otlp: &OtlpSection,
) -> Result<Receiver, (&'static str, String)> {
    let unusable = || ("endpoint", "expected an address with a host".to_owned());
    let url = Url::parse(&otlp.endpoint).map_err(|_| unusable())?;
    let host = url.host_str().ok_or_else(unusable)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().ok_or_else(unusable)?;
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let tls = match scheme {
        Scheme::Http => None,
        Scheme::Https => {
            let client = Clients::default().get(otlp.tls.as_ref(), false, document.sources());
            Some(client.map_err(|message| ("tls", message))?.config)
        }
    };
    let header = |(name, value): (&String, &crate::config::file::SecretText)| {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value.0.expose()).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    Ok(Receiver {
        // A collector stands beside those whom it listens to, mostly.
        origin: Origin { scheme, host, port, allow_private: true },
        base_path: url.path().trim_end_matches('/').to_owned(),
        headers: otlp.headers.iter().filter_map(header).collect(),
        tls,
        timeout: otlp.timeout.map_or(USUAL_TIMEOUT, |timeout| timeout.0),
        traces: otlp.traces,
        metrics_every: otlp
            .metrics
            .then(|| otlp.metrics_interval.map_or(USUAL_INTERVAL, |interval| interval.0)),
        sender: sender(&document.file, instance),
    })
}

fn sender(file: &ConfigFile, instance: &str) -> Sender {
    let telemetry = &file.telemetry;
    let version = env!("CARGO_PKG_VERSION");
    let mut resource = Attributes::default();
    resource.text("service.name", telemetry.service_name.as_deref().unwrap_or("tollgate"));
    resource.text("service.version", version);
    resource.text("service.instance.id", instance);
    telemetry.resource.iter().for_each(|(name, value)| resource.text(name, value.as_str()));
    Sender {
        resource: resource.into_list(),
        version: version.to_owned(),
        generation: match telemetry.genai_semconv {
            GenAiSemconv::V1_41 => Generation::V1_41,
            GenAiSemconv::Latest => Generation::Latest,
            GenAiSemconv::Both => Generation::Both,
        },
    }
}
