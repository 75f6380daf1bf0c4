//! Errors of the OpenAI family: what upstream codes mean, and how ours are written.

use serde_json::json;

use crate::{
    codec::ErrorFace,
    fault::{Fault, FaultRules},
    wire::Operation,
};

/// Codes of api.openai.com and of servers that follow it.
pub(crate) static RULES: FaultRules = FaultRules {
    codes: &[
        ("context_length_exceeded", Fault::ContextLength),
        ("content_filter", Fault::ContentFilter),
        ("content_policy_violation", Fault::ContentFilter),
        ("invalid_prompt", Fault::ContentFilter),
        ("bio_policy", Fault::ContentFilter),
        ("model_not_found", Fault::ModelMissing),
        ("invalid_api_key", Fault::Credential),
        ("insufficient_quota", Fault::AccountExhausted),
        ("billing_hard_limit_reached", Fault::AccountExhausted),
        ("billing_not_active", Fault::AccountExhausted),
        ("rate_limit_exceeded", Fault::Throttled),
        ("too_many_requests", Fault::Throttled),
        ("engine_overloaded", Fault::Overloaded),
        ("slow_down", Fault::Overloaded),
        ("overloaded", Fault::Overloaded),
        ("overloaded_error", Fault::Overloaded),
        ("server_error", Fault::Server),
        ("internal_error", Fault::Server),
        ("vector_store_timeout", Fault::Server),
        ("data_residency_mismatch", Fault::Request),
        ("invalid_image", Fault::Request),
        ("image_too_large", Fault::Request),
        ("unsupported_image_media_type", Fault::Request),
        ("failed_to_download_image", Fault::Request),
        ("tool_use_failed", Fault::Request),
        // 404s that are about something the request names, not about the model.
        ("previous_response_not_found", Fault::Request),
        ("not_found", Fault::Request),
    ],
    types: &[
        ("invalid_request_error", Fault::Request),
        ("authentication_error", Fault::Credential),
        ("permission_error", Fault::Credential),
        ("requests", Fault::Throttled),
        ("tokens", Fault::Throttled),
        ("rate_limit_error", Fault::Throttled),
        ("server_error", Fault::Server),
    ],
    phrases: &[
        (Fault::Request, "maximum context length", Fault::ContextLength),
        (Fault::Request, "context length", Fault::ContextLength),
        (Fault::Request, "context window", Fault::ContextLength),
        (Fault::Request, "insufficient balance", Fault::AccountExhausted),
        (Fault::Throttled, "exceeded your current quota", Fault::AccountExhausted),
    ],
    base: None,
};

/// Our error as the JSON body that OpenAI's clients read. They show people little but the
/// message, so that it carries the request id.
pub(crate) fn body(face: &ErrorFace<'_>) -> Vec<u8> {
    let mut body = error_object(face).to_string().into_bytes();
    body.push(b'\n');
    body
}

/// Our error as an event of a stream in which nothing was sent yet.
pub(crate) fn event(operation: Operation, face: &ErrorFace<'_>) -> Vec<u8> {
    match operation {
        Operation::Responses => responses_event(face, 0),
        _ => format!("data: {}\n\n", error_object(face)).into_bytes(),
    }
}

/// Our error as the last event of a responses stream.
pub(crate) fn responses_event(face: &ErrorFace<'_>, sequence_number: u64) -> Vec<u8> {
    let event = json!({
        "type": "error", "code": face.code, "message": message(face), "param": face.param,
        "sequence_number": sequence_number,
    });
    format!("event: error\ndata: {event}\n\n").into_bytes()
}

fn error_object(face: &ErrorFace<'_>) -> serde_json::Value {
    json!({ "error": {
        "message": message(face), "type": kind(face), "param": face.param, "code": face.code,
    } })
}

fn message(face: &ErrorFace<'_>) -> String {
    format!("{} (request id: {})", face.message, face.request_id)
}

fn kind(face: &ErrorFace<'_>) -> &'static str {
    match (face.code, face.status) {
        // Clients know this type as one that waiting does not cure.
        ("budget_exceeded", _) => "insufficient_quota",
        ("token_rate_limit_exceeded" | "token_quota_exceeded", _) => "tokens",
        (_, 429) => "requests",
        (_, 403) => "permission_error",
        (_, 501) => "invalid_request_error",
        (_, 500..) => "server_error",
        _ => "invalid_request_error",
    }
}
