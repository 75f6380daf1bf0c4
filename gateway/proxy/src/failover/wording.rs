//! What of an upstream's answer means something in another dialect.

use http::{HeaderMap, HeaderValue, header};
use tollgate_dialect::{ErrorFace, Fault, error_message};

use super::{attempt::upstream_request_id, failure::Passed};
use crate::{
    edge::{self, Exchange},
    intake::Envelope,
};

/// The `content-type` of an answer in one piece.
pub(super) const PLAIN: &str = "application/json";

/// An upstream's refusal of the request, with its words in the client's dialect.
pub(super) fn refusal(passed: Passed, fault: Fault, envelope: &Envelope, exchange: &Exchange) -> Passed {
    let said = error_message(&passed.body);
    let code = match fault {
        Fault::ContextLength => "context_length_exceeded",
        Fault::ContentFilter => "content_filter",
        _ => "invalid_request",
    };
    let id = exchange.id.to_string();
    let face = ErrorFace {
        status: passed.status,
        code,
        message: said.as_deref().unwrap_or("the upstream refused the request"),
        param: None,
        request_id: &id,
    };
    let body = envelope.dialect.codec().error_body(&face).into();
    let mut headers = answer_headers(&passed.headers, PLAIN);
    edge::put_error_header(&mut headers, envelope.dialect, &face);
    Passed { status: passed.status, headers, body }
}

/// Of an answer in another dialect, only the provider's id for it means something to the client.
pub(super) fn answer_headers(upstream: &HeaderMap, content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(id) = upstream_request_id(upstream) {
        headers.insert("x-request-id", id.clone());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers
}
