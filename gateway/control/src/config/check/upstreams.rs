//! Regions and upstreams: addresses, headers, credentials' types.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use url::{Host, Url};

use crate::config::{
    compile::dialect_of,
    file::{Dialect, Upstream},
    problem::Path,
};

use super::Check;

/// Headers that the gateway itself sets, or that would break the exchange.
const OWN_HEADERS: [&str; 17] = [
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "cookie",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "accept-encoding",
    "proxy-authorization",
];

/// More often than that, looking is a load.
const SHORTEST_PROBE: Duration = Duration::from_millis(100);

impl Check<'_> {
    pub(super) fn regions_and_upstreams(&mut self) {
        let file = self.file;
        let regions = Path::default().field("regions");
        self.unique(&regions, "name", "region", file.regions.iter().map(|region| region.name.as_str()));
        for (index, region) in file.regions.iter().enumerate() {
            self.name(regions.index(index).field("name"), &region.name);
            self.name(regions.index(index).field("zone"), &region.zone);
        }
        let upstreams = Path::default().field("upstreams");
        self.unique(
            &upstreams,
            "name",
            "upstream",
            file.upstreams.iter().map(|upstream| upstream.name.as_str()),
        );
        for (index, upstream) in file.upstreams.iter().enumerate() {
            let here = upstreams.index(index);
            self.name(here.field("name"), &upstream.name);
            let known = file.regions.iter().map(|region| region.name.as_str());
            self.reference(here.field("region"), "region", &upstream.region, known);
            self.base_url(&here, upstream);
            self.headers(&here.field("headers"), upstream);
            self.upstream_parts(&here, upstream);
            let used = file
                .models
                .iter()
                .flat_map(|model| &model.targets)
                .any(|target| target.upstream == upstream.name);
            if !used {
                self.doubt(
                    here.field("name"),
                    format!(
                        "no model has a target at `{}`: add one, or take the upstream out",
                        upstream.name
                    ),
                );
            }
        }
    }

    fn upstream_parts(&mut self, here: &Path, upstream: &Upstream) {
        self.credential(&here.field("credential"), upstream);
        self.capacity(here, upstream);
        self.apis(here, upstream);
        self.probes(&here.field("probes"), upstream);
        for (index, zone) in upstream.processing.iter().flatten().enumerate() {
            self.name(here.field("processing").index(index), zone);
        }
        if upstream.processing.as_ref().is_some_and(Vec::is_empty) {
            self.error(
                here.field("processing"),
                "expected at least one zone; leave it out for the region's zone",
            );
        }
        if upstream.max_concurrency == Some(0) {
            self.error(here.field("max_concurrency"), "must be at least 1");
        }
        if let Some(tls) = &upstream.tls
            && tls.cert.is_some() != tls.key.is_some()
        {
            self.error(here.field("tls"), "a client certificate needs both `cert` and `key`");
        }
        let names = [("provider", &upstream.provider), ("account", &upstream.account)];
        for (field, name) in names {
            if let Some(name) = name {
                self.name(here.field(field), name);
            }
        }
    }

    fn probes(&mut self, here: &Path, upstream: &Upstream) {
        let probes = &upstream.probes;
        for (field, span) in [("idle", probes.idle), ("open", probes.open), ("timeout", probes.timeout)] {
            if span.is_some_and(|span| span.0 < SHORTEST_PROBE) {
                self.error(here.field(field), "must be at least 100ms");
            }
        }
        self.generating_probe(&here.field("generate"), upstream);
    }

    /// A look that is paid for can be asked, and has a price.
    fn generating_probe(&mut self, here: &Path, upstream: &Upstream) {
        let Some(model) = &upstream.probes.generate else { return };
        let models = self.file.models.iter().flat_map(|alias| &alias.targets);
        let mut own = models.filter(|target| target.upstream == upstream.name);
        if upstream.http2 {
            self.error(
                here.clone(),
                "looks speak HTTP/1.1 and this upstream is spoken to by `http2`; leave it out",
            );
        } else if dialect_of(upstream.dialect).codec().hub().is_none() {
            self.error(here.clone(), "this dialect has no conversations to ask for; leave it out");
        } else if !own.any(|target| target.model == *model) {
            self.error(here.clone(), format!("no target of this upstream has the model `{model}`; name one that a model of `models` uses"));
        }
    }

    fn apis(&mut self, here: &Path, upstream: &Upstream) {
        let Some(apis) = &upstream.apis else { return };
        let here = here.field("apis");
        if !matches!(upstream.dialect, Dialect::Openai | Dialect::AzureOpenai) {
            self.error(here, "only `openai` and `azure-openai` have several ways to converse: leave it out");
        } else if apis.is_empty() {
            self.error(here, "expected `chat_completions`, `responses` or both; leave it out for both");
        }
    }

    fn base_url(&mut self, here: &Path, upstream: &Upstream) {
        let path = here.field("base_url");
        // The address itself stays out of messages: it may hold a password.
        let Ok(url) = Url::parse(&upstream.base_url) else {
            return self.error(path, "expected an address such as https://api.openai.com/v1");
        };
        if !url.has_host() || !matches!(url.scheme(), "http" | "https") {
            return self.error(path, "expected an address that begins with https:// or http://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.error(path.clone(), "put the secret into `credential`, not into the address");
        }
        if url.query().is_some() || url.fragment().is_some() {
            self.error(
                path.clone(),
                "an address has no `?` or `#` part; use `api_version` for Azure's version",
            );
        }
        let near = nearness(&url);
        if near.is_private() && !upstream.allow_private {
            self.error(path.clone(), "a private or loopback address needs `allow_private: true`");
        }
        if url.scheme() == "http" && !near.is_loopback() {
            self.warn(path.clone(), "prompts and the credential travel in clear text: use https");
        }
        let path_of_url = url.path().trim_end_matches('/');
        let versioned = ["/v1", "/v2"].iter().any(|version| path_of_url.ends_with(version));
        if versioned && !matches!(upstream.dialect, Dialect::Openai | Dialect::Gemini) {
            self.warn(path, "expected the host root for this dialect: the gateway adds the path itself");
        }
    }

    fn headers(&mut self, path: &Path, upstream: &Upstream) {
        for (name, value) in &upstream.headers {
            let here = path.field(name);
            let lower = name.to_ascii_lowercase();
            if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
                self.error(here, "this is not the name of a header: use letters, digits and `-`");
            } else if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("x-tollgate-") {
                self.error(here, "the gateway sets this header itself: leave it out");
            } else if http::HeaderValue::from_str(value).is_err() {
                self.error(
                    here,
                    "the value has characters that cannot stand in a header: use printable ASCII",
                );
            }
        }
    }
}

/// How near an address is, as far as it tells by itself: a name is looked up by whoever connects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Nearness {
    Loopback,
    Private,
    Public,
}

impl Nearness {
    pub(super) fn is_private(self) -> bool {
        self != Self::Public
    }

    pub(super) fn is_loopback(self) -> bool {
        self == Self::Loopback
    }
}

pub(super) fn nearness(url: &Url) -> Nearness {
    let of = |address: IpAddr| match address {
        address if address.is_loopback() => Nearness::Loopback,
        address if is_private(address) => Nearness::Private,
        _ => Nearness::Public,
    };
    match url.host() {
        Some(Host::Ipv4(address)) => of(address.into()),
        Some(Host::Ipv6(address)) => of(address.into()),
        Some(Host::Domain(name)) if name == "localhost" || name.ends_with(".localhost") => Nearness::Loopback,
        Some(Host::Domain(_)) | None => Nearness::Public,
    }
}

/// Addresses that are not of the public internet (RFC 6890).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| is_private_v6(address), is_private_v4),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || first == 0
        || (first == 100 && second & 0xc0 == 64)
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_outside_the_public_internet_are_private() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(text.parse().expect(text)), "{text}");
        }
        for text in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(!is_private(text.parse().expect(text)), "{text}");
        }
    }
}
