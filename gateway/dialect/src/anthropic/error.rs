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

/// Our error as the JSON body that Anthropic's clients read. Claude Code shows people nothing but the
/// message, so that it carries the request id too.
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
        "error": {"type": kind(face), "message": format!("{} (request id: {})", face.message, face.request_id)},
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_decide_before_statuses_and_phrases_only_refine() {
        let error = |kind: &str, message: &str| {
            json!({"type": "error", "error": {"type": kind, "message": message}}).to_string()
        };
        let cases = [
            (529, error("overloaded_error", "Overloaded"), Fault::Overloaded),
            (429, error("rate_limit_error", ""), Fault::Throttled),
            (
                400,
                error("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
                Fault::ContextLength,
            ),
            (400, error("invalid_request_error", "Your credit balance is too low"), Fault::AccountExhausted),
            (400, error("invalid_request_error", "max_tokens: field required"), Fault::Request),
            (402, error("billing_error", ""), Fault::AccountExhausted),
            (404, error("not_found_error", "model: x"), Fault::ModelMissing),
            (413, "<html>too large</html>".to_owned(), Fault::Request),
            (500, error("api_error", ""), Fault::Server),
            (504, error("timeout_error", ""), Fault::Server),
        ];
        for (status, body, want) in cases {
            assert_eq!(RULES.of_answer(status, body.as_bytes()), want, "{status} {body}");
        }
    }

    #[test]
    fn our_errors_read_as_clients_expect_them() {
        let face = |status, code| ErrorFace { status, code, message: "no", param: None, request_id: "r-1" };
        let want = r#"{"type":"error","error":{"type":"rate_limit_error","message":"no (request id: r-1)"},"request_id":"r-1"}"#;
        assert_eq!(body(&face(429, "budget_exceeded")), format!("{want}\n").into_bytes());
        let event = event(&face(429, "rate_limit_exceeded"));
        assert_eq!(event, format!("event: error\ndata: {want}\n\n").into_bytes());
        let kinds = [
            (400, "invalid_request", "invalid_request_error"),
            (401, "invalid_api_key", "authentication_error"),
            (404, "model_not_found", "not_found_error"),
            (502, "upstream_error", "api_error"),
            (503, "overloaded", "overloaded_error"),
            (504, "upstream_ttft", "timeout_error"),
        ];
        for (status, code, want) in kinds {
            assert_eq!(kind(&face(status, code)), want, "{code}");
        }
    }
}
