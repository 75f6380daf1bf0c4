//! The head of an upstream request: made anew for every attempt, from the client's request and the
//! target's own credential. Nothing of a former attempt is in it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use tollgate_dialect::{Codec, Operation};

use super::connection::RequestBody;
use crate::snapshot::Target;

/// What the client sent, as far as upstreams may see it.
pub(crate) struct UpstreamRequest<'a> {
    /// What the upstream is asked for.
    pub(crate) operation: Operation,
    /// The kept response that it is about.
    pub(crate) response: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: Option<&'a str>,
    /// Headers that its dialect demands and the client's dialect does not have.
    pub(crate) needed: &'static [(&'static str, &'static str)],
    /// The body, edited or translated.
    pub(crate) body: Bytes,
}

/// Builds the request for one target.
///
/// Headers go by the allow-list of the upstream's dialect; the client's credential, cookies and
/// hop-by-hop fields are on none. The answer is asked for without content coding, so that its usage
/// can be read.
pub(crate) fn build(request: UpstreamRequest<'_>, target: &Target) -> Option<Request<RequestBody>> {
    let upstream = &*target.upstream;
    let codec = upstream.dialect.codec();
    let mut built = Request::new(Full::new(request.body));
    *built.method_mut() = Method::from_bytes(request.operation.method().as_bytes()).ok()?;
    *built.uri_mut() = match request.response {
        Some(id) => target.uri_of_response(request.operation, id, request.query)?,
        None => target.uri(request.operation, request.query)?,
    };
    let headers = built.headers_mut();
    headers.reserve(request.headers.len() + request.needed.len() + 4);
    if !upstream.http2 {
        headers.insert(header::HOST, target.host()?);
    }
    copy_allowed(request.headers, headers, codec);
    for (name, value) in request.needed {
        headers.entry(*name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &upstream.headers {
        headers.insert(name.clone(), value.clone());
    }
    if let Some((name, value)) = upstream.credential.header() {
        headers.insert(name, value);
    }
    Some(built)
}

fn copy_allowed(from: &HeaderMap, to: &mut HeaderMap, codec: &dyn Codec) {
    for (name, value) in from {
        if codec.forwards_header(name.as_str()) && !is_never_forwarded(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// Stands behind every allow-list: a list that is wrong one day must not give these away.
fn is_never_forwarded(name: &HeaderName) -> bool {
    const NEVER: [HeaderName; 11] = [
        header::AUTHORIZATION,
        header::COOKIE,
        header::HOST,
        header::CONTENT_LENGTH,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::EXPECT,
        header::PROXY_AUTHORIZATION,
    ];
    NEVER.contains(name)
        || matches!(
            name.as_str(),
            "x-api-key"
                | "api-key"
                | "x-goog-api-key"
                | "keep-alive"
                | "openai-organization"
                | "openai-project"
        )
        || name.as_str().starts_with("x-tollgate-")
}
