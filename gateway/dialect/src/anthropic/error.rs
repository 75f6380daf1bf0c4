//! Errors of the Messages API: what its types mean, and how ours are written.

use serde_json::{Value, json};

use crate::{
    codec::ErrorFace,
    fault::{Fault, FaultRules},
};

/// `error.type` is all there is; `invalid_request_error` also stands for other 4xx, so that the
/// status decides where there is one.
pub(crate) static RULES: FaultRules = FaultRules {
    codes: &[
        ("authentication_error", Fault::Credential),
        ("permission_error", Fault::Credential),
        ("billing_error", Fault::AccountExhausted),
        ("not_found_error", Fault::ModelMissing),
        ("request_too_large", Fault::Request),
        ("rate_limit_error", Fault::Throttled),
        ("overloaded_error", Fault::Overloaded),
    ],
    types: &[
        ("invalid_request_error", Fault::Request),
        ("api_error", Fault::Server),
        ("timeout_error", Fault::Server),
    ],
    phrases: &[
        (Fault::Request, "prompt is too long", Fault::ContextLength),
        (Fault::Request, "exceed context limit", Fault::ContextLength),
        (Fault::Request, "credit balance is too low", Fault::AccountExhausted),
        (Fault::Request, "usage limits", Fault::AccountExhausted),
        (Fault::Request, "content filtering policy", Fault::ContentFilter),
    ],
    base: None,
};

/// Our error as the JSON body that Anthropic's clients read.
pub(crate) fn body(face: &ErrorFace<'_>) -> Vec<u8> {
    let mut body = object(face).to_string().into_bytes();
    body.push(b'\n');
    body
}

/// Our error as the last event of a stream.
pub(crate) fn event(face: &ErrorFace<'_>) -> Vec<u8> {
    format!("event: error\ndata: {}\n\n", object(face)).into_bytes()
}

fn object(face: &ErrorFace<'_>) -> Value {
    json!({
        "type": "error",
        "error": {"type": kind(face), "message": face.message},
        "request_id": face.request_id,
    })
}

fn kind(face: &ErrorFace<'_>) -> &'static str {
    match (face.status, face.code) {
        (401, _) => "authentication_error",
        (402, _) => "billing_error",
        (403, _) => "permission_error",
        (404, _) => "not_found_error",
        (413, _) => "request_too_large",
        (429, _) => "rate_limit_error",
        (504, _) => "timeout_error",
        (503 | 529, "overloaded" | "upstream_saturated" | "no_healthy_upstream") | (529, _) => {
            "overloaded_error"
        }
        (501, _) => "invalid_request_error",
        (500.., _) => "api_error",
        _ => "invalid_request_error",
    }
}
