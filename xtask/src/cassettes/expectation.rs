//! What a recorded answer must become at the client.

use serde_json::Value;

use super::recording::Recording;

/// How the gateway has to answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expectation {
    /// The provider's answer, as recorded: a success, or a fault of the request itself.
    PassedThrough,
    /// The gateway's own answer to a failure that is none of the client's doing.
    Own { status: u16, code: &'static str },
    /// Refused before any provider is asked: the request names state that one provider account
    /// keeps, and that was not made through this gateway or is not carried by it.
    Refused { status: u16, code: &'static str },
}

impl Expectation {
    /// By what was asked and what the provider answered.
    pub(super) fn of(recording: &Recording) -> Self {
        let body = &recording.request.body;
        let is_set = |member: &str| body.get(member).is_some_and(|value| !value.is_null());
        if is_set("previous_response_id") {
            return Self::Refused { status: 404, code: "response_not_found" };
        }
        if is_set("conversation") {
            return Self::Refused { status: 404, code: "conversation_not_found" };
        }
        // Elsewhere a prompt is the text itself.
        if body["prompt"].is_object() {
            return Self::Refused { status: 404, code: "prompt_not_found" };
        }
        if body["background"] == Value::Bool(true) {
            return Self::Refused { status: 501, code: "unsupported_operation" };
        }
        match recording.response.status {
            // Key, permission, and a model that the provider does not know: the operator's to mend.
            401 | 403 => Self::Own { status: 502, code: "upstream_auth" },
            404 => Self::Own { status: 502, code: "upstream_misconfigured" },
            402 => Self::Own { status: 503, code: "upstream_account_exhausted" },
            429 => Self::Own { status: 429, code: "upstream_rate_limited" },
            status @ (503 | 504) => Self::Own { status, code: "upstream_error" },
            500.. => Self::Own { status: 502, code: "upstream_error" },
            _ => Self::PassedThrough,
        }
    }
}
