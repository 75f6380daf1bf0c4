//! Header values and paths that every exchange with a target repeats: made once, then only referred to.

use std::sync::OnceLock;

use http::{HeaderValue, Uri};
use tollgate_dialect::Operation;
use tollgate_domain::UpstreamModel;

use super::{Target, Upstream};
use crate::{residency::Named, upstream::Scheme};

/// One place per operation.
const OPERATIONS: usize = Operation::GetModel as usize + 1;

/// What is made when a target is first used.
pub struct Prepared {
    host: OnceLock<Option<HeaderValue>>,
    upstream: OnceLock<Option<HeaderValue>>,
    region: OnceLock<Option<HeaderValue>>,
    named: Named,
    uris: [OnceLock<Option<Uri>>; OPERATIONS],
}

impl Default for Prepared {
    fn default() -> Self {
        Self {
            host: OnceLock::new(),
            upstream: OnceLock::new(),
            region: OnceLock::new(),
            named: Named::default(),
            uris: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}

impl Prepared {
    /// Where answers said that they were processed.
    pub(crate) const fn named(&self) -> &Named {
        &self.named
    }
}

impl Clone for Prepared {
    /// Whoever has a copy makes its own when it is first used.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Target {
    /// The `host` header toward the upstream.
    pub(crate) fn host(&self) -> Option<HeaderValue> {
        let host = || self.upstream.origin.authority().parse().ok();
        self.prepared.host.get_or_init(host).clone()
    }

    /// What tells clients the upstream's name; `None` where no header can carry it.
    pub(crate) fn upstream_header(&self) -> Option<HeaderValue> {
        let value = || HeaderValue::from_str(self.upstream.name.as_str()).ok();
        self.prepared.upstream.get_or_init(value).clone()
    }

    /// What tells clients the region; `None` where no header can carry it.
    pub(crate) fn region_header(&self) -> Option<HeaderValue> {
        let value = || HeaderValue::from_str(self.upstream.region.as_str()).ok();
        self.prepared.region.get_or_init(value).clone()
    }

    /// Where an operation is asked of the upstream, with what is passed on of the client's query.
    pub(crate) fn uri(&self, operation: Operation, query: Option<&str>) -> Option<Uri> {
        match self.prepared.uris.get(operation as usize).filter(|_| query.is_none()) {
            Some(uri) => uri.get_or_init(|| self.make_uri(operation, &self.model, None)).clone(),
            None => self.make_uri(operation, &self.model, query),
        }
    }

    /// Where what is kept is asked for.
    pub(crate) fn uri_of_kept(&self, operation: Operation, named: &str, query: Option<&str>) -> Option<Uri> {
        self.make_uri(operation, &named.into(), query)
    }

    fn make_uri(&self, operation: Operation, named: &UpstreamModel, query: Option<&str>) -> Option<Uri> {
        let upstream = &*self.upstream;
        let path = upstream.dialect.codec().upstream_path(
            operation,
            &upstream.base_path,
            named,
            query,
            upstream.api_version.as_deref(),
        );
        // HTTP/2 takes scheme and authority from the URI, HTTP/1.1 the host from its header.
        if upstream.http2 { absolute(upstream, &path) } else { path.parse().ok() }
    }
}

fn absolute(upstream: &Upstream, path: &str) -> Option<Uri> {
    let scheme = match upstream.origin.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let authority = upstream.origin.authority();
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
}
