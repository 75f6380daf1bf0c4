//! Station 0: an exchange begins.
//!
//! Gives the request its identity and its clock readings, and renders every refusal in the dialect
//! of the caller. What is not a call (health checks, an SDK's look at the root) ends here.

mod said;

use std::{cell::Cell, net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tollgate_accounting::Now;
use tollgate_dialect::{Dialect, ErrorFace};
use tollgate_domain::{RequestId, UnixMillis};

use crate::{
    rejection::{Advice, Rejection},
    snapshot::Target,
};

pub(crate) use said::Said;

/// Identity and beginning of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) id: RequestId,
    pub(crate) started: UnixMillis,
    pub(crate) began: Instant,
    pub(crate) peer: SocketAddr,
}

impl Exchange {
    /// The present, with a wall clock that cannot jump within an exchange.
    pub(crate) fn now(&self) -> Now {
        let mono = Instant::now();
        Now { wall: self.started.plus(millis(mono.duration_since(self.began))), mono }
    }

    /// The moment when it began.
    pub(crate) fn start(&self) -> Now {
        Now { wall: self.started, mono: self.began }
    }
}

/// What an exchange shares with whoever may drop it.
#[derive(Default)]
pub(crate) struct Fate {
    /// A plain call is with an upstream: it is finished even when nobody waits for it.
    pub(crate) detachable: Cell<bool>,
    /// The client has left, and the call goes on for its bill's sake.
    pub(crate) client_gone: Cell<bool>,
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A duration as rows tell it.
pub(crate) fn row_millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

pub(crate) mod name {
    //! Header names that the gateway writes.
    use super::HeaderName;

    pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    pub(crate) const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
    pub(crate) const AMAZON_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
    pub(crate) const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-upstream-request-id");
    pub(crate) const UPSTREAM: HeaderName = HeaderName::from_static("x-tollgate-upstream");
    pub(crate) const REGION: HeaderName = HeaderName::from_static("x-tollgate-region");
    pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
    pub(crate) const DROPPED: HeaderName = HeaderName::from_static("x-tollgate-dropped");
    pub(crate) const DOWNGRADED_TO: HeaderName = HeaderName::from_static("x-tollgate-downgraded-to");
    pub(crate) const FALLBACK: HeaderName = HeaderName::from_static("x-tollgate-fallback");
    pub(crate) const COST: HeaderName = HeaderName::from_static("x-tollgate-cost");
    pub(crate) const ERROR: HeaderName = HeaderName::from_static("x-tollgate-error");
    pub(crate) const ERROR_SOURCE: HeaderName = HeaderName::from_static("x-tollgate-error-source");
    pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
    pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
    /// What AWS's clients read in place of the others, in milliseconds.
    pub(crate) const AMAZON_RETRY_AFTER: HeaderName = HeaderName::from_static("x-amz-retry-after");
}

/// Puts the request's id on an answer, under the names that the dialect's SDKs read.
pub(crate) fn put_ids(headers: &mut HeaderMap, id: RequestId, dialect: Dialect) {
    let text = id.to_text();
    let value = HeaderValue::from_bytes(&text).expect("a UUID is visible ASCII");
    match dialect {
        Dialect::Anthropic => _ = headers.insert(name::ANTHROPIC_REQUEST_ID, value.clone()),
        Dialect::Bedrock => _ = headers.insert(name::AMAZON_REQUEST_ID, value.clone()),
        Dialect::OpenAi | Dialect::AzureOpenAi | Dialect::Gemini | Dialect::Cohere => {}
    }
    headers.insert(name::REQUEST_ID, value);
}

/// How far a call got: how often it was tried, and where last.
#[derive(Default)]
pub(crate) struct Tried {
    pub(crate) attempts: usize,
    pub(crate) target: Option<Arc<Target>>,
}

impl Tried {
    /// Tells the client.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        let attempts = match self.attempts {
            1 => HeaderValue::from_static("1"),
            several => HeaderValue::from(several),
        };
        headers.insert(name::ATTEMPTS, attempts);
        let Some(target) = &self.target else { return };
        // A name that no header can carry is left out; the row has it.
        if let Some(upstream) = target.upstream_header() {
            headers.insert(name::UPSTREAM, upstream);
        }
        if let Some(region) = target.region_header() {
            headers.insert(name::REGION, region);
        }
    }
}

/// A refusal as an answer in the caller's dialect.
pub(crate) fn refuse(
    rejection: &Rejection,
    dialect: Dialect,
    id: RequestId,
    tried: &Tried,
) -> Response<Bytes> {
    let codec = dialect.codec();
    let message = rejection.to_string();
    let id_text = id.to_string();
    let status = rejection.status_for(dialect);
    let face = ErrorFace {
        status: status.as_u16(),
        code: rejection.code(),
        message: &message,
        param: rejection.param(),
        request_id: &id_text,
    };
    let mut answer = json(status, codec.error_body(&face));
    let headers = answer.headers_mut();
    put_error_header(headers, dialect, &face);
    put_ids(headers, id, dialect);
    tried.put(headers);
    headers.insert(name::ERROR, HeaderValue::from_static(rejection.code()));
    let source = if rejection.is_upstreams() { "upstream" } else { "gateway" };
    headers.insert(name::ERROR_SOURCE, HeaderValue::from_static(source));
    put_advice(headers, rejection.advice(), dialect);
    if let Rejection::WrongMethod { allow } = rejection {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    answer
}

/// Names an error of ours in the header where the dialect's clients read it.
pub(crate) fn put_error_header(headers: &mut HeaderMap, dialect: Dialect, face: &ErrorFace<'_>) {
    if let Some((name, value)) = dialect.codec().error_header(face) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Tells SDKs what to do next. They sleep through whatever they are told, so it is whole seconds
/// from one to sixty, with the exact milliseconds beside it.
pub(crate) fn put_advice(headers: &mut HeaderMap, advice: Advice, dialect: Dialect) {
    match advice {
        Advice::Nothing => {}
        Advice::GiveUp => {
            headers.insert(name::SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        Advice::After(wait) => {
            let wait = wait.as_millis().clamp(1, 60_000) as u64;
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1_000)));
            headers.insert(name::RETRY_AFTER_MS, HeaderValue::from(wait));
            if dialect == Dialect::Bedrock {
                headers.insert(name::AMAZON_RETRY_AFTER, HeaderValue::from(wait));
            }
        }
    }
}

/// A JSON answer of the gateway's own.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A plain-text answer for health checks.
pub(crate) fn text(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
