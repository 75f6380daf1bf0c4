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
        ("invalid_image_format", Fault::Request),
        ("invalid_base64_image", Fault::Request),
        ("invalid_image_url", Fault::Request),
        ("invalid_image_mode", Fault::Request),
        ("image_too_large", Fault::Request),
        ("image_too_small", Fault::Request),
        ("image_parse_error", Fault::Request),
        ("image_file_too_large", Fault::Request),
        ("image_file_not_found", Fault::Request),
        ("empty_image_file", Fault::Request),
        ("unsupported_image_media_type", Fault::Request),
        ("failed_to_download_image", Fault::Request),
        ("image_content_policy_violation", Fault::ContentFilter),
        ("tool_use_failed", Fault::Request),
        // A 404 about something the request names, not about the model.
        ("previous_response_not_found", Fault::Request),
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
        (Fault::NotFound, "model", Fault::ModelMissing),
        (Fault::NotFound, "deployment", Fault::ModelMissing),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_before_statuses_and_phrases_only_refine() {
        let error = |code: &str, message: &str| {
            json!({"error": {"message": message, "type": "invalid_request_error", "code": code}}).to_string()
        };
        let cases = [
            (429, error("insufficient_quota", ""), Fault::AccountExhausted),
            (429, error("rate_limit_exceeded", ""), Fault::Throttled),
            (429, error("engine_overloaded", ""), Fault::Overloaded),
            (429, "You exceeded your current quota".to_owned(), Fault::Throttled),
            (429, error("", "You exceeded your current quota, please check"), Fault::AccountExhausted),
            (400, error("context_length_exceeded", ""), Fault::ContextLength),
            (400, error("", "This model's maximum context length is 8192 tokens"), Fault::ContextLength),
            (500, error("", "maximum context length"), Fault::Server),
            (400, error("content_filter", ""), Fault::ContentFilter),
            (400, error("model_not_found", ""), Fault::ModelMissing),
            (404, error("", "The model `x` does not exist"), Fault::ModelMissing),
            (404, error("", ""), Fault::NotFound),
            (404, r#"{"detail":"Not Found"}"#.to_owned(), Fault::NotFound),
            (404, error("previous_response_not_found", ""), Fault::Request),
            (400, error("unknown", ""), Fault::Request),
            (401, r#"{"detail":"Invalid API Key"}"#.to_owned(), Fault::Credential),
            (402, "{}".to_owned(), Fault::AccountExhausted),
            (403, String::new(), Fault::Credential),
            (405, String::new(), Fault::Request),
            (408, String::new(), Fault::RequestTimeout),
            (409, String::new(), Fault::Conflict),
            (413, String::new(), Fault::Request),
            (307, String::new(), Fault::Redirect),
            (500, "<html>".to_owned(), Fault::Server),
            (501, String::new(), Fault::Unsupported),
            (503, error("", "try later"), Fault::Server),
            (505, String::new(), Fault::ServerFinal),
            (521, String::new(), Fault::Server),
            (529, String::new(), Fault::Overloaded),
            (599, String::new(), Fault::Server),
        ];
        for (status, body, want) in cases {
            assert_eq!(RULES.of_answer(status, body.as_bytes()), want, "{status} {body}");
        }
    }

    #[test]
    fn error_events_have_no_status_but_what_they_say() {
        let cases = [
            (json!({"code": "rate_limit_exceeded"}), Fault::Throttled),
            (json!({"code": 502, "message": "bad gateway"}), Fault::Server),
            (json!({"code": "429"}), Fault::Throttled),
            (json!({"type": "invalid_request_error", "message": "context window"}), Fault::ContextLength),
            (json!("overloaded"), Fault::Server),
            (json!({"status_code": 400, "code": "tool_use_failed"}), Fault::Request),
        ];
        for (error, want) in cases {
            assert_eq!(RULES.of_event(&error), want, "{error}");
        }
    }

    #[test]
    fn our_errors_read_as_clients_expect_them() {
        let face = |status, code| ErrorFace { status, code, message: "no", param: None, request_id: "r-1" };
        let text = String::from_utf8(body(&face(429, "budget_exceeded"))).expect("text");
        let want = r#"{"error":{"message":"no (request id: r-1)","type":"insufficient_quota","param":null,"code":"budget_exceeded"}}"#;
        assert_eq!(text, format!("{want}\n"));
        let kinds = [
            (401, "invalid_api_key", "invalid_request_error"),
            (403, "model_not_allowed", "permission_error"),
            (429, "rate_limit_exceeded", "requests"),
            (429, "token_rate_limit_exceeded", "tokens"),
            (501, "unsupported_operation", "invalid_request_error"),
            (502, "upstream_error", "server_error"),
        ];
        for (status, code, want) in kinds {
            assert_eq!(kind(&face(status, code)), want, "{code}");
        }
        let last = String::from_utf8(responses_event(&face(502, "upstream_reset"), 7)).expect("text");
        assert!(last.starts_with("event: error\ndata: {\"type\":\"error\",\"code\":\"upstream_reset\""));
        assert!(last.ends_with("\"sequence_number\":7}\n\n"));
    }
}
