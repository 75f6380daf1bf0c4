//! Errors of Google's APIs: what their statuses mean, and how ours are written.
//!
//! The shape is that of [AIP-193](https://google.aip.dev/193): a numeric `code`, a canonical `status`
//! in words, a message, and typed `details`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    codec::ErrorFace,
    fault::{Fault, FaultRules},
};

/// The canonical status decides; the developer API tells a bad key, an unfit region and a prompt that
/// is too long by the same one, so that the message refines it.
pub(crate) static RULES: FaultRules = FaultRules {
    codes: &[
        ("INVALID_ARGUMENT", Fault::Request),
        ("FAILED_PRECONDITION", Fault::Request),
        ("OUT_OF_RANGE", Fault::Request),
        ("UNAUTHENTICATED", Fault::Credential),
        ("PERMISSION_DENIED", Fault::Credential),
        ("NOT_FOUND", Fault::ModelMissing),
        ("ABORTED", Fault::Conflict),
        ("RESOURCE_EXHAUSTED", Fault::Throttled),
        ("INTERNAL", Fault::Server),
        ("UNKNOWN", Fault::Server),
        ("UNIMPLEMENTED", Fault::Unsupported),
        ("UNAVAILABLE", Fault::Overloaded),
        ("DEADLINE_EXCEEDED", Fault::Server),
    ],
    types: &[],
    phrases: &[
        (Fault::Request, "api key not valid", Fault::Credential),
        (Fault::Request, "api key expired", Fault::Credential),
        (Fault::Request, "user location is not supported", Fault::Credential),
        (Fault::Request, "enable billing", Fault::AccountExhausted),
        (Fault::Request, "exceeds the maximum number of tokens", Fault::ContextLength),
        (Fault::Throttled, "prepayment credits are depleted", Fault::AccountExhausted),
    ],
    base: None,
};

/// The longest wait that an answer's words are taken for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// How long `google.rpc.RetryInfo` among an error's details asks to wait; there is no header for it.
pub(crate) fn wait(body: &[u8]) -> Option<Duration> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(&value);
    let details = value.pointer("/error/details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    seconds(delay).map(|wait| wait.min(LONGEST_WAIT))
}

/// A duration as protocol buffers write it in JSON: seconds, perhaps with a fraction, and an `s`.
fn seconds(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits_only = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = format!("{fraction:0<9}").parse().ok().filter(|_| digits_only)?;
    Some(Duration::new(whole.parse().ok()?, nanos))
}

/// Our error as the JSON body that Google's clients read.
pub(crate) fn body(face: &ErrorFace<'_>) -> Vec<u8> {
    let mut body = object(face).to_string().into_bytes();
    body.push(b'\n');
    body
}

/// Our error as the last event of a stream of server-sent events, with Google's line ends.
pub(crate) fn event(face: &ErrorFace<'_>) -> Vec<u8> {
    format!("data: {}\r\n\r\n", object(face)).into_bytes()
}

/// Our error as the last element of a stream that is a JSON array; `began` tells whether its opening
/// bracket was sent.
pub(crate) fn last_element(face: &ErrorFace<'_>, began: bool) -> Vec<u8> {
    let before = if began { "," } else { "[" };
    format!("{before}\r\n{}\r\n]", object(face)).into_bytes()
}

fn object(face: &ErrorFace<'_>) -> Value {
    let mut metadata = json!({"requestId": face.request_id});
    if let Some(param) = face.param {
        metadata["param"] = param.into();
    }
    json!({"error": {
        "code": face.status,
        "message": face.message,
        "status": status(face.status),
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": face.code.to_ascii_uppercase(),
            "domain": "tollgate",
            "metadata": metadata,
        }],
    }})
}

/// The canonical status of an HTTP status ([`google.rpc.Code`]), and the nearest for those that have
/// none.
///
/// [`google.rpc.Code`]: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
fn status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_in_words_decide_and_phrases_only_refine() {
        let error = |code: u16, status: &str, message: &str| {
            json!({"error": {"code": code, "message": message, "status": status}}).to_string()
        };
        let cases = [
            (400, error(400, "INVALID_ARGUMENT", "Request contains an invalid argument."), Fault::Request),
            (
                400,
                error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
                Fault::Credential,
            ),
            (
                400,
                error(
                    400,
                    "INVALID_ARGUMENT",
                    "The input token count (2000001) exceeds the maximum number of tokens allowed (1048576).",
                ),
                Fault::ContextLength,
            ),
            (
                400,
                error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
                Fault::Credential,
            ),
            (403, error(403, "PERMISSION_DENIED", ""), Fault::Credential),
            (
                404,
                error(404, "NOT_FOUND", "models/x is not found for API version v1beta"),
                Fault::ModelMissing,
            ),
            (429, error(429, "RESOURCE_EXHAUSTED", "Quota exceeded"), Fault::Throttled),
            (500, error(500, "INTERNAL", ""), Fault::Server),
            (503, error(503, "UNAVAILABLE", "The model is overloaded."), Fault::Overloaded),
            (504, error(504, "DEADLINE_EXCEEDED", ""), Fault::Server),
            (404, "<html>".to_owned(), Fault::NotFound),
        ];
        for (status, body, want) in cases {
            assert_eq!(RULES.of_answer(status, body.as_bytes()), want, "{status} {body}");
            let in_array = format!("[{body}]");
            assert_eq!(RULES.of_answer(status, in_array.as_bytes()), want, "{status} {in_array}");
        }
    }

    #[test]
    fn the_wait_stands_among_the_details() {
        let wait_of = |delay: &str| {
            let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay});
            let error = json!({"error": {"code": 429, "details": [{"@type": "x"}, info]}});
            assert_eq!(wait(json!([error]).to_string().as_bytes()), wait(error.to_string().as_bytes()));
            wait(error.to_string().as_bytes())
        };
        assert_eq!(wait_of("48s"), Some(Duration::from_secs(48)));
        assert_eq!(wait_of("0.5s"), Some(Duration::from_millis(500)));
        assert_eq!(wait_of("99999999999s"), Some(LONGEST_WAIT));
        for nonsense in ["", "s", "-1s", "48", "1.5.5s", "1.1234567890s", "1.+5s"] {
            assert_eq!(wait_of(nonsense), None, "{nonsense}");
        }
        assert_eq!(wait(b"no JSON"), None);
    }

    #[test]
    fn our_errors_read_as_googles_clients_expect_them() {
        let face = ErrorFace {
            status: 429,
            code: "budget_exceeded",
            message: "no",
            param: Some("model"),
            request_id: "r-1",
        };
        let told: Value = serde_json::from_slice(&body(&face)).expect("JSON");
        assert_eq!(told["error"]["code"], 429);
        assert_eq!(told["error"]["status"], "RESOURCE_EXHAUSTED");
        assert_eq!(told["error"]["message"], "no");
        assert_eq!(told["error"]["details"][0]["reason"], "BUDGET_EXCEEDED");
        assert_eq!(told["error"]["details"][0]["metadata"], json!({"requestId": "r-1", "param": "model"}));
        assert_eq!(event(&face), format!("data: {told}\r\n\r\n").into_bytes());
        for began in [false, true] {
            let rest = String::from_utf8(last_element(&face, began)).expect("text");
            let whole = format!("{}{rest}", if began { "[{}" } else { "" });
            let whole: Value = serde_json::from_str(&whole).expect("a whole array");
            assert_eq!(whole.as_array().and_then(|all| all.last()), Some(&told));
        }
    }
}
