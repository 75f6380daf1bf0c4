//! The head of an upstream request: made anew for every attempt, from the client's request and the
//! target's own credential. Nothing of a former attempt is in it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use tollgate_dialect::{Codec, Operation};
use tollgate_domain::UnixMillis;
use tollgate_sigv4::{Field, KeyPair, Line, Scope, Signed, sign};

use super::{connection::RequestBody, credential::Proof};
use crate::{snapshot::Target, trace::Trace};

/// What the client sent, as far as upstreams may see it.
pub(crate) struct UpstreamRequest<'a> {
    /// What the upstream is asked for.
    pub(crate) operation: Operation,
    /// What is kept and it is about.
    pub(crate) kept: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: Option<&'a str>,
    /// Headers that its dialect demands and the client's dialect does not have.
    pub(crate) needed: &'static [(&'static str, &'static str)],
    /// The body, edited or translated.
    pub(crate) body: Bytes,
    /// Where it stands in a trace, and the number of this attempt.
    pub(crate) trace: Option<(&'a Trace, u16)>,
}

/// Builds the request for one target.
///
/// Headers go by the allow-list of the upstream's dialect; the client's credential, cookies, place in a
/// trace, baggage and hop-by-hop fields are on none. Of a trace an upstream hears from us alone, if it is to.
/// The answer is asked for without content coding, so that its usage can be read. A signature is made last,
/// over what is sent, at the time of this attempt.
pub(crate) fn build(
    request: UpstreamRequest<'_>,
    target: &Target,
    proof: Proof,
    now: UnixMillis,
) -> Option<Request<RequestBody>> {
    let upstream = &*target.upstream;
    let codec = upstream.dialect.codec();
    let body = request.body;
    let mut built = Request::new(Full::new(body.clone()));
    *built.method_mut() = Method::from_bytes(request.operation.method().as_bytes()).ok()?;
    *built.uri_mut() = match request.kept {
        Some(named) => target.uri_of_kept(request.operation, named, request.query)?,
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
    if let Some((trace, n)) = request.trace.filter(|_| upstream.hears_of_traces) {
        trace.put(n, headers);
    }
    for (name, value) in &upstream.headers {
        headers.insert(name.clone(), value.clone());
    }
    match proof {
        Proof::Nothing => {}
        Proof::Header(name, value) => {
            headers.insert(name, value);
        }
        Proof::Signature(keys, scope) => put_signature(&mut built, &body, &keys, &scope, now)?,
    }
    Some(built)
}

/// Signs the host and what the body is; the rest of the head may be changed by proxies on the way.
fn put_signature(
    request: &mut Request<RequestBody>,
    body: &[u8],
    keys: &KeyPair,
    scope: &Scope,
    now: UnixMillis,
) -> Option<()> {
    let (uri, headers) = (request.uri(), request.headers());
    let host = match headers.get(header::HOST) {
        Some(host) => host.as_bytes(),
        None => uri.authority()?.as_str().as_bytes(),
    };
    let mut fields: Vec<Field<'_>> = vec![("host", host)];
    if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
        fields.push(("content-type", content_type.as_bytes()));
    }
    let line = Line { method: request.method().as_str(), path: uri.path(), query: uri.query() };
    let Signed { authorization, date, content_sha256 } = sign(keys, scope, &line, &fields, body, now);
    let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let proofs = [
        ("x-amz-date", Some(date)),
        ("x-amz-content-sha256", Some(content_sha256)),
        ("x-amz-security-token", token),
        ("authorization", Some(authorization)),
    ];
    for (name, value) in proofs {
        let Some(value) = value else { continue };
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(matches!(name, "authorization" | "x-amz-security-token"));
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Some(())
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
                | "traceparent"
                | "tracestate"
                | "baggage"
                | "openai-organization"
                | "openai-project"
        )
        || name.as_str().starts_with("x-tollgate-")
        // What a client's own signature is made of says nothing about a request of ours.
        || name.as_str().starts_with("x-amz-")
}
