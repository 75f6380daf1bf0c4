//! Receivers of records: addresses, headers, intervals.

use std::{ops::RangeInclusive, time::Duration};

use url::Url;

use crate::config::{file::OtlpSection, problem::Path};

use super::{Check, upstreams::nearness};

/// A message may take so long.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// Figures may be told so often.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// The gateway itself says what it sends.
const OWN_HEADERS: [&str; 7] =
    ["connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding"];

impl Check<'_> {
    pub(super) fn telemetry(&mut self) {
        let telemetry = &self.file.telemetry;
        let here = Path::default().field("telemetry");
        if telemetry.service_name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            self.error(here.field("service_name"), "the name is empty; leave it out for `tollgate`");
        }
        for name in telemetry.resource.keys() {
            let is_ours = matches!(name.as_str(), "service.name" | "service.version" | "service.instance.id");
            if is_ours {
                self.error(here.field("resource").field(name), "the gateway sets this attribute itself");
            }
        }
        if let Some(otlp) = &telemetry.otlp {
            self.otlp(&here.field("otlp"), otlp);
        }
    }

    fn otlp(&mut self, here: &Path, otlp: &OtlpSection) {
        self.otlp_endpoint(here.field("endpoint"), &otlp.endpoint);
        for (name, value) in &otlp.headers {
            let here = here.field("headers").field(name);
            let lower = name.to_ascii_lowercase();
            if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
                self.error(here, "this is not the name of a header");
            } else if OWN_HEADERS.contains(&lower.as_str()) {
                self.error(here, "the gateway sets this header itself");
            } else if http::HeaderValue::from_str(value.0.expose()).is_err() {
                self.error(here, "the value has characters that cannot stand in a header");
            } else {
                self.literal(&here);
            }
        }
        if otlp.timeout.is_some_and(|timeout| !TIMEOUTS.contains(&timeout.0)) {
            self.error(here.field("timeout"), "expected 100ms to 60s");
        }
        if otlp.metrics_interval.is_some_and(|interval| !INTERVALS.contains(&interval.0)) {
            self.error(here.field("metrics_interval"), "expected 1s to 1h");
        }
        if let Some(tls) = &otlp.tls
            && tls.cert.is_some() != tls.key.is_some()
        {
            self.error(here.field("tls"), "a client certificate needs both `cert` and `key`");
        }
        if !otlp.traces && !otlp.metrics {
            self.warn(here.clone(), "neither traces nor metrics are sent there");
        }
    }

    fn otlp_endpoint(&mut self, path: Path, endpoint: &str) {
        let url = Url::parse(endpoint).ok();
        let url = url.filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let Some(url) = url else {
            return self.error(path, "expected an address that begins with https:// or http://");
        };
        let is_bare = url.username().is_empty() && url.password().is_none();
        if !is_bare || url.query().is_some() || url.fragment().is_some() {
            return self.error(path, "an address has no user, no password, no `?` and no `#` part here");
        }
        if url.path().ends_with("/v1/traces") || url.path().ends_with("/v1/metrics") {
            return self.error(path, "leave `/v1/traces` out: the gateway adds the path of each signal");
        }
        if url.port() == Some(4317) {
            self.warn(
                path,
                "4317 is usually the port of gRPC, which is not spoken here; that of HTTP is 4318",
            );
        } else if url.scheme() == "http" && !nearness(&url).is_private() {
            self.warn(
                path,
                "records and headers may travel in clear text: use https outside of one's own network",
            );
        }
    }
}
