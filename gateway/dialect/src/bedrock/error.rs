//! Errors of Bedrock: what its exceptions mean, and how ours are written.
//!
//! The name of an exception stands in the header `x-amzn-errortype`, perhaps with an address behind
//! it, the words for people in the body. In a stream an exception is a message, and its name begins
//! with a small letter.

use serde_json::{Value, json};

use crate::{
    anthropic,
    codec::ErrorFace,
    event_stream::{self, Kind, Message},
    fault::{Fault, FaultRules},
    wire::Operation,
};

/// The header that names an error.
pub(crate) const TYPE_HEADER: &str = "x-amzn-errortype";

/// The name of the exception decides. A prompt that is too long has none of its own.
pub(crate) static RULES: FaultRules = FaultRules {
    codes: &[
        ("ValidationException", Fault::Request),
        ("ConflictException", Fault::Conflict),
        ("ServiceQuotaExceededException", Fault::AccountExhausted),
        ("AccessDeniedException", Fault::Credential),
        ("UnrecognizedClientException", Fault::Credential),
        ("InvalidSignatureException", Fault::Credential),
        ("SignatureDoesNotMatch", Fault::Credential),
        ("IncompleteSignatureException", Fault::Credential),
        ("MissingAuthenticationTokenException", Fault::Credential),
        ("ExpiredTokenException", Fault::Credential),
        ("InvalidClientTokenId", Fault::Credential),
        ("ResourceNotFoundException", Fault::ModelMissing),
        ("UnknownOperationException", Fault::NotFound),
        ("ThrottlingException", Fault::Throttled),
        ("TooManyRequestsException", Fault::Throttled),
        // An imported model that is being loaded: another target need not wait for it.
        ("ModelNotReadyException", Fault::Throttled),
        ("ModelTimeoutException", Fault::Server),
        ("ModelErrorException", Fault::Server),
        ("ModelStreamErrorException", Fault::Server),
        ("InternalServerException", Fault::Server),
        ("InternalFailure", Fault::Server),
        ("ServiceUnavailableException", Fault::Overloaded),
    ],
    types: &[],
    phrases: &[
        (Fault::Request, "input is too long", Fault::ContextLength),
        (Fault::Request, "too many input tokens", Fault::ContextLength),
        (Fault::Request, "maximum context length", Fault::ContextLength),
        (Fault::Request, "context window", Fault::ContextLength),
    ],
    // Its models put their own errors into the chunks of a stream.
    base: Some(&anthropic::error::RULES),
};

/// The fault behind an answer with an error status, whose header `x-amzn-errortype` may name it.
pub(crate) fn of_answer(status: u16, body: &[u8], named: Option<&str>) -> Fault {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    // Servers that speak AWS's older protocol put the name into the body.
    let name = named.or_else(|| body.get("__type")?.as_str()).map(bare);
    RULES.of_event(&json!({"code": name, "status_code": status, "message": words(&body)}))
}

/// The fault that a message of a stream tells; `None` for an event.
pub(crate) fn of_message(message: &Message<'_>) -> Option<Fault> {
    let (name, said) = match message.kind {
        Kind::Event(_) => return None,
        Kind::Exception(name) => {
            let body: Value = serde_json::from_slice(message.payload).unwrap_or_default();
            (name, words(&body).to_owned())
        }
        Kind::Error(code, said) => (code, String::from_utf8_lossy(said).into_owned()),
    };
    let mut name = String::from_utf8_lossy(bare_bytes(name)).into_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Some(RULES.of_event(&json!({"code": name, "message": said})))
}

/// The name without the address behind it and the namespace before it.
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default().trim()
}

fn bare_bytes(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b':').next().unwrap_or_default()
}

fn words(body: &Value) -> &str {
    let said = body.get("message").or_else(|| body.get("Message"));
    said.and_then(Value::as_str).unwrap_or_default()
}

/// Our error as the JSON body that AWS's clients read.
pub(crate) fn body(face: &ErrorFace<'_>) -> Vec<u8> {
    let mut body = json!({"message": message(face)}).to_string().into_bytes();
    body.push(b'\n');
    body
}

/// Our error as a message of a stream.
pub(crate) fn event(operation: Operation, face: &ErrorFace<'_>) -> Vec<u8> {
    let headers = [
        (":exception-type", name_in_stream(operation, face)),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    event_stream::write(&headers, json!({"message": message(face)}).to_string().as_bytes())
}

/// Clients show people the message alone, so that it carries the request id.
fn message(face: &ErrorFace<'_>) -> String {
    format!("{} (request id: {})", face.message, face.request_id)
}

/// The exception that clients know for an error of ours.
pub(crate) fn name(face: &ErrorFace<'_>) -> &'static str {
    match (face.status, face.code) {
        // Clients wait and try again when they are throttled; here waiting does not help.
        (_, "budget_exceeded" | "token_quota_exceeded") | (402, _) => "ServiceQuotaExceededException",
        (404, "invalid_request") | (405 | 501, _) => "UnknownOperationException",
        (_, "invalid_signature") => "InvalidSignatureException",
        (_, "unknown_access_key") => "UnrecognizedClientException",
        (401 | 403, _) => "AccessDeniedException",
        (404, _) => "ResourceNotFoundException",
        (408 | 504, _) => "ModelTimeoutException",
        (409, _) => "ConflictException",
        (429, _) => "ThrottlingException",
        (503 | 529, _) => "ServiceUnavailableException",
        (500.., _) => "InternalServerException",
        _ => "ValidationException",
    }
}

/// The same among those that a stream may end with.
fn name_in_stream(operation: Operation, face: &ErrorFace<'_>) -> &'static str {
    match (face.status, face.code) {
        (_, "internal") => "internalServerException",
        (_, "meter_backpressure") | (503 | 529, _) => "serviceUnavailableException",
        (429, _) => "throttlingException",
        (408 | 504, _) if operation == Operation::InvokeModelStream => "modelTimeoutException",
        (500.., _) => "modelStreamErrorException",
        _ => "validationException",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_header_decides_before_the_status() {
        let long = r#"{"message":"Input is too long for requested model."}"#;
        let cases = [
            (400, Some("ValidationException:http://internal.amazon.com/coral/"), "{}", Fault::Request),
            (400, Some("ValidationException"), long, Fault::ContextLength),
            (400, None, long, Fault::ContextLength),
            (400, Some("ServiceQuotaExceededException"), "{}", Fault::AccountExhausted),
            (403, Some("ExpiredTokenException:http://x/"), r#"{"Message":"no"}"#, Fault::Credential),
            (403, None, "<html>", Fault::Credential),
            (404, Some("ResourceNotFoundException"), "{}", Fault::ModelMissing),
            (404, None, "{}", Fault::NotFound),
            (408, Some("ModelTimeoutException"), "{}", Fault::Server),
            (424, Some("ModelErrorException"), "{}", Fault::Server),
            (429, Some("ThrottlingException"), "{}", Fault::Throttled),
            (429, Some("ModelNotReadyException"), "{}", Fault::Throttled),
            (500, None, "", Fault::Server),
            (503, Some("ServiceUnavailableException"), "{}", Fault::Overloaded),
            (400, None, r#"{"__type":"com.amazon.coral#ThrottlingException"}"#, Fault::Throttled),
            (418, Some("NobodyKnowsException"), "{}", Fault::Request),
        ];
        for (status, name, body, want) in cases {
            assert_eq!(of_answer(status, body.as_bytes(), name), want, "{status} {name:?} {body}");
        }
    }

    #[test]
    fn an_exception_of_a_stream_means_what_it_means_outside() {
        let told = |headers: &[(&str, &str)], payload: &str| {
            let bytes = event_stream::write(headers, payload.as_bytes());
            of_message(&Message::parse(&bytes).expect("whole"))
        };
        let exception =
            |name, payload| told(&[(":message-type", "exception"), (":exception-type", name)], payload);
        assert_eq!(exception("throttlingException", "{}"), Some(Fault::Throttled));
        assert_eq!(exception("serviceUnavailableException", "no JSON"), Some(Fault::Overloaded));
        assert_eq!(exception("modelStreamErrorException", "{}"), Some(Fault::Server));
        assert_eq!(
            exception("validationException", r#"{"message":"Input is too long."}"#),
            Some(Fault::ContextLength)
        );
        assert_eq!(exception("", "{}"), Some(Fault::Server));
        let error = [(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "x")];
        assert_eq!(told(&error, ""), Some(Fault::Server));
        assert_eq!(told(&[(":message-type", "event")], "{}"), None);
    }

    #[test]
    fn our_errors_read_as_awss_clients_expect_them() {
        let face = |status, code| ErrorFace { status, code, message: "no", param: None, request_id: "r-1" };
        assert_eq!(body(&face(429, "x")), b"{\"message\":\"no (request id: r-1)\"}\n");
        let names = [
            (400, "invalid_request", "ValidationException"),
            (401, "invalid_api_key", "AccessDeniedException"),
            (403, "model_not_allowed", "AccessDeniedException"),
            (403, "invalid_signature", "InvalidSignatureException"),
            (403, "unknown_access_key", "UnrecognizedClientException"),
            (404, "model_not_found", "ResourceNotFoundException"),
            (404, "invalid_request", "UnknownOperationException"),
            (413, "request_too_large", "ValidationException"),
            (429, "rate_limit_exceeded", "ThrottlingException"),
            (429, "budget_exceeded", "ServiceQuotaExceededException"),
            (402, "budget_exceeded", "ServiceQuotaExceededException"),
            (500, "internal", "InternalServerException"),
            (501, "unsupported_operation", "UnknownOperationException"),
            (502, "upstream_error", "InternalServerException"),
            (503, "overloaded", "ServiceUnavailableException"),
            (504, "upstream_ttft", "ModelTimeoutException"),
        ];
        for (status, code, want) in names {
            assert_eq!(name(&face(status, code)), want, "{status} {code}");
        }
        let bytes = event(Operation::ConverseStream, &face(502, "upstream_truncated"));
        let message = Message::parse(&bytes).expect("a whole message");
        assert_eq!(message.kind, Kind::Exception(b"modelStreamErrorException"));
        assert_eq!(message.payload, br#"{"message":"no (request id: r-1)"}"#);
    }
}
