//! Refusals in the words of the provider that was called.

use serde_json::{Value, json};

use super::plan::Plan;
use super::{Family, Stamp, json as answer};
use crate::{Incoming, Refusal};

/// The answer that refuses.
pub(super) fn plan(refusal: Refusal, family: Family, stamp: &Stamp, name: &str, incoming: &Incoming) -> Plan {
    let said = Said::of(refusal, family, incoming.model.as_deref().unwrap_or("unknown"));
    let mut plan = said.plan(family, stamp, name);
    match refusal {
        // Told in the body.
        Refusal::RateLimited { .. } if family == Family::Gemini => {}
        Refusal::RateLimited { retry_after_ms: Some(wait) } => {
            plan.headers.push(("retry-after-ms".into(), wait.to_string().into()));
            if wait % 1000 == 0 {
                plan.headers.push(("retry-after".into(), (wait / 1000).to_string().into()));
            }
        }
        Refusal::Unavailable { retry_after: Some(wait) } => {
            plan.headers.push(("retry-after".into(), wait.to_string().into()));
        }
        _ => {}
    }
    plan
}

/// A refusal with a status and a message of its own.
pub(super) fn plain(status: u16, message: &str, family: Family, stamp: &Stamp, name: &str) -> Plan {
    let message = message.to_owned();
    let said = Said { status, kind: kind(status, family), code: None, param: None, message, wait: None };
    said.plan(family, stamp, name)
}

/// What the error body says, before the family has shaped it.
struct Said {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
    /// Milliseconds to wait, for a body that tells them.
    wait: Option<u64>,
}

impl Said {
    fn of(refusal: Refusal, family: Family, model: &str) -> Self {
        let (status, code, param, message) = match refusal {
            Refusal::RateLimited { .. } => {
                (429, Some("rate_limit_exceeded"), None, format!("Rate limit reached for {model}."))
            }
            Refusal::InsufficientQuota => (
                429,
                Some("insufficient_quota"),
                None,
                "You exceeded your current quota, please check your plan and billing details.".to_owned(),
            ),
            Refusal::Unavailable { .. } => {
                (503, None, None, "The service is temporarily unable to process your request.".to_owned())
            }
            Refusal::Overloaded if family == Family::Anthropic => (529, None, None, "Overloaded".to_owned()),
            Refusal::Overloaded => {
                (503, None, None, "The engine is currently overloaded, please try again later.".to_owned())
            }
            Refusal::ServerError => {
                (500, None, None, "The server had an error while processing your request.".to_owned())
            }
            Refusal::Unauthorized => {
                (401, Some("invalid_api_key"), None, "Incorrect API key provided.".to_owned())
            }
            Refusal::ModelNotFound => (404, Some("model_not_found"), None, not_found(family, model)),
            Refusal::ContextLength => {
                (400, Some("context_length_exceeded"), Some("messages"), too_long(family))
            }
            Refusal::ContentFilter => (
                400,
                Some("content_filter"),
                Some("prompt"),
                "The response was filtered due to the prompt triggering the content management policy."
                    .to_owned(),
            ),
            Refusal::Status(status) => (status, None, None, format!("Simulated status {status}.")),
        };
        let kind = match refusal {
            Refusal::InsufficientQuota if is_openai(family) => "insufficient_quota",
            Refusal::RateLimited { .. } if is_openai(family) => "requests",
            _ => kind(status, family),
        };
        let wait = match refusal {
            Refusal::RateLimited { retry_after_ms } => retry_after_ms,
            _ => None,
        };
        Self { status, kind, code, param, message, wait }
    }

    /// The exception of Bedrock that says it, and its status.
    fn exception(&self) -> (u16, &'static str) {
        match (self.code, self.status) {
            (Some("insufficient_quota"), _) => (400, "ServiceQuotaExceededException"),
            (_, 401) => (403, "UnrecognizedClientException"),
            (_, 403) => (403, "AccessDeniedException"),
            (_, 404) => (404, "ResourceNotFoundException"),
            (_, 408) => (408, "ModelTimeoutException"),
            (_, 429) => (429, "ThrottlingException"),
            (_, 503) => (503, "ServiceUnavailableException"),
            (_, status @ 500..) => (status, "InternalServerException"),
            (_, status) => (status, "ValidationException"),
        }
    }

    fn plan(&self, family: Family, stamp: &Stamp, name: &str) -> Plan {
        let body = match family {
            Family::Anthropic => json!({
                "type": "error",
                "error": { "type": self.kind, "message": self.message },
                "request_id": stamp.request_id,
            }),
            Family::Bedrock => json!({ "message": self.message }),
            Family::Cohere => json!({ "id": stamp.tail, "message": self.message }),
            Family::Azure => self.azure_body(),
            Family::Gemini => self.gemini_body(),
            Family::OpenAi => json!({ "error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            } }),
        };
        let mut plan = answer(family, stamp, name, body.to_string().into_bytes());
        plan.status = self.status;
        if family == Family::Bedrock {
            let (status, exception) = self.exception();
            plan.status = status;
            plan.headers.push(("x-amzn-errortype".into(), format!("{exception}:http://aws.example/").into()));
        }
        plan
    }

    /// The wait stands among the details.
    fn gemini_body(&self) -> Value {
        let mut error = json!({ "code": self.status, "message": self.message, "status": self.kind });
        if let Some(wait) = self.wait {
            let delay = format!("{}.{:03}s", wait / 1000, wait % 1000);
            error["details"] =
                json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }]);
        }
        json!({ "error": error })
    }

    /// Azure's gateway words some errors itself, by status; the model's own have OpenAI's shape.
    fn azure_body(&self) -> Value {
        match self.code {
            Some("model_not_found") => {
                json!({ "error": { "code": "DeploymentNotFound", "message": self.message } })
            }
            Some("content_filter") => json!({ "error": {
                "message": self.message, "type": null, "param": "prompt", "code": "content_filter", "status": 400,
                "innererror": {
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": { "hate": { "filtered": true, "severity": "high" } },
                },
            } }),
            Some("context_length_exceeded" | "insufficient_quota") => json!({ "error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            } }),
            _ => json!({ "error": { "code": self.status.to_string(), "message": self.message } }),
        }
    }
}

fn is_openai(family: Family) -> bool {
    matches!(family, Family::OpenAi | Family::Azure)
}

fn not_found(family: Family, model: &str) -> String {
    match family {
        Family::Anthropic => format!("model: {model}"),
        Family::Gemini => format!("models/{model} is not found for API version v1beta."),
        Family::Azure => "The API deployment for this resource does not exist.".to_owned(),
        Family::Bedrock => "The provided model identifier is invalid.".to_owned(),
        Family::Cohere => format!("model '{model}' not found, make sure the correct model ID was used."),
        Family::OpenAi => format!("The model `{model}` does not exist or you do not have access to it."),
    }
}

fn too_long(family: Family) -> String {
    match family {
        Family::Anthropic => "prompt is too long: 210000 tokens > 200000 maximum".to_owned(),
        Family::Gemini => {
            "The input token count (2000001) exceeds the maximum number of tokens allowed (1048576)."
                .to_owned()
        }
        Family::Bedrock => "Input is too long for requested model.".to_owned(),
        Family::Cohere => "too many tokens: size limit exceeded by 25836 tokens.".to_owned(),
        Family::Azure | Family::OpenAi => {
            "This model's maximum context length is 128000 tokens. Please reduce the length of the messages."
                .to_owned()
        }
    }
}

/// The error type that goes with a status.
fn kind(status: u16, family: Family) -> &'static str {
    if family == Family::Anthropic {
        return match status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            400..500 => "invalid_request_error",
            _ => "api_error",
        };
    }
    if family == Family::Gemini {
        return match status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            400..500 => "INVALID_ARGUMENT",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            _ => "INTERNAL",
        };
    }
    match status {
        429 => "requests",
        400..500 => "invalid_request_error",
        503 => "service_unavailable_error",
        _ => "server_error",
    }
}
