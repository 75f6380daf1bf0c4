//! Errors of Cohere's API: what its statuses and words mean, and how ours are written.

use serde_json::json;

use crate::{
    codec::ErrorFace,
    fault::{Fault, FaultRules},
};

/// There are no codes: the status decides, and words refine it.
pub(crate) static RULES: FaultRules = FaultRules {
    codes: &[],
    types: &[],
    phrases: &[
        (Fault::Request, "too many tokens", Fault::ContextLength),
        (Fault::NotFound, "model", Fault::ModelMissing),
        // A month's calls of a key that was given for trying; waiting does not bring them back.
        (Fault::Throttled, "calls / month", Fault::AccountExhausted),
    ],
    base: None,
};

/// Our error as the JSON body that Cohere's clients read.
pub(crate) fn body(face: &ErrorFace<'_>) -> Vec<u8> {
    let mut body = json!({"id": face.request_id, "message": message(face)}).to_string().into_bytes();
    body.push(b'\n');
    body
}

/// Our error as an event. No stream is served here, so that nobody reads it yet.
pub(crate) fn event(face: &ErrorFace<'_>) -> Vec<u8> {
    let event = json!({"id": face.request_id, "message": message(face)});
    format!("data: {event}\n\n").into_bytes()
}

/// People are shown nothing but the message.
fn message(face: &ErrorFace<'_>) -> String {
    format!("{} (request id: {})", face.message, face.request_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_decide_and_words_refine() {
        let said = |message: &str| json!({"id": "1", "message": message}).to_string();
        let cases = [
            (400, said("invalid request: at least one text is required"), Fault::Request),
            (
                400,
                said("too many tokens: size limit exceeded by 25 tokens. Try shorter inputs."),
                Fault::ContextLength,
            ),
            (401, said("invalid api token"), Fault::Credential),
            (404, said("model 'embed-v1' was removed on September 15, 2025."), Fault::ModelMissing),
            (404, said("no such page"), Fault::NotFound),
            (429, said("Please wait and try again later"), Fault::Throttled),
            (
                429,
                said("You are using a Trial key, which is limited to 1000 API calls / month."),
                Fault::AccountExhausted,
            ),
            (500, said("internal server error"), Fault::Server),
            (503, "<html>".to_owned(), Fault::Server),
        ];
        for (status, body, want) in cases {
            assert_eq!(RULES.of_answer(status, body.as_bytes()), want, "{status} {body}");
        }
    }

    #[test]
    fn our_errors_are_a_message_with_the_id_that_leads_to_the_row() {
        let face =
            ErrorFace { status: 404, code: "model_not_found", message: "no", param: None, request_id: "r-1" };
        assert_eq!(body(&face), b"{\"id\":\"r-1\",\"message\":\"no (request id: r-1)\"}\n");
    }
}
