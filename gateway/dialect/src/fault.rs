//! What an upstream's refusal means for the next attempt.
//!
//! The knowledge is data: each dialect lists its vendors' codes, error types and message phrases.
//! A code decides first, then the HTTP status, and a phrase only refines what the status left
//! general; nothing in a message decides alone.

use serde_json::Value;

use crate::{event_stream::Message, sse::data};

/// The class of a failed answer, which decides retry, hold, breaker and what the client sees.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fault {
    /// The request itself is wrong; every target would say so.
    Request,
    /// The prompt does not fit the model's context.
    ContextLength,
    /// A content policy refused prompt or answer.
    ContentFilter,
    /// 408: the upstream gave up waiting for the request.
    RequestTimeout,
    /// 409: a lock at the upstream.
    Conflict,
    /// A rate limit of the upstream; another target may have room.
    Throttled,
    /// The upstream account has no money or quota left.
    AccountExhausted,
    /// The upstream's pool is full, whoever asks.
    Overloaded,
    /// The upstream failed in a way that another attempt may not meet.
    Server,
    /// The upstream failed in a way that it would repeat.
    ServerFinal,
    /// 501: the upstream does not do what was asked, which says nothing about its health.
    Unsupported,
    /// The gateway's own credential was refused.
    Credential,
    /// The upstream does not know the model or deployment.
    ModelMissing,
    /// 404 for something else, such as an API that this server does not have. Another target may
    /// know it; this one stays as good as it is for what it has.
    NotFound,
    /// A redirect, which is never followed.
    Redirect,
}

/// One dialect's table.
#[derive(Debug)]
pub(crate) struct FaultRules {
    /// Values of `code` (or of a telling `type`), which decide whatever the status is.
    pub(crate) codes: &'static [(&'static str, Fault)],
    /// Values of `type`, for error events, which have no status.
    pub(crate) types: &'static [(&'static str, Fault)],
    /// Lower-case pieces of messages that turn the first fault into the second.
    pub(crate) phrases: &'static [(Fault, &'static str, Fault)],
    /// The table to ask when this one has no answer.
    pub(crate) base: Option<&'static FaultRules>,
}

impl FaultRules {
    /// The fault behind an HTTP answer with an error status.
    pub(crate) fn of_answer(&self, status: u16, body: &[u8]) -> Fault {
        let error = serde_json::from_slice(body).map(|value| ErrorFields::of(&value)).unwrap_or_default();
        let fault = self.by_code(&error).unwrap_or_else(|| by_status(status));
        self.refined(fault, &error)
    }

    /// The fault behind an error object inside a successful answer or a stream.
    pub(crate) fn of_event(&self, value: &Value) -> Fault {
        let error = ErrorFields::of(value);
        let fault = self
            .by_code(&error)
            .or_else(|| error.status.map(by_status))
            .or_else(|| self.by_type(&error))
            .unwrap_or(Fault::Server);
        self.refined(fault, &error)
    }

    fn by_code(&self, error: &ErrorFields) -> Option<Fault> {
        let listed = |name: &Option<String>| name.as_deref().and_then(|name| find(self.codes, name));
        let own = error.codes.iter().find_map(|code| find(self.codes, code)).or_else(|| listed(&error.kind));
        own.or_else(|| self.base.and_then(|base| base.by_code(error)))
    }

    fn by_type(&self, error: &ErrorFields) -> Option<Fault> {
        let own = error.kind.as_deref().and_then(|kind| find(self.types, kind));
        own.or_else(|| self.base.and_then(|base| base.by_type(error)))
    }

    fn refined(&self, fault: Fault, error: &ErrorFields) -> Fault {
        let refines =
            |(from, phrase, _): &&(Fault, &str, Fault)| *from == fault && error.message.contains(phrase);
        match self.phrases.iter().find(refines) {
            Some((_, _, to)) => *to,
            None => self.base.map_or(fault, |base| base.refined(fault, error)),
        }
    }
}

fn find(table: &[(&str, Fault)], name: &str) -> Option<Fault> {
    table.iter().find(|(listed, _)| *listed == name).map(|(_, fault)| *fault)
}

/// The words of a provider's error for people, whichever of the shapes in use it has.
#[must_use]
pub fn error_message(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(&value);
    let message = message_in(error).unwrap_or(error).as_str()?;
    (!message.is_empty()).then(|| message.to_owned())
}

/// The same of an error event in a stream, as received.
#[must_use]
pub fn error_message_of_event(event: &[u8]) -> Option<String> {
    match Message::parse(event) {
        Some(message) => error_message(message.payload),
        None => error_message(data(event).bytes()?),
    }
}

fn message_in(error: &Value) -> Option<&Value> {
    ["message", "Message", "detail", "msg"].into_iter().find_map(|name| error.get(name))
}

/// What a status alone says; unknown 4xx are the request's fault, unknown 5xx the server's.
pub(crate) fn by_status(status: u16) -> Fault {
    match status {
        300..=399 => Fault::Redirect,
        401 | 403 => Fault::Credential,
        402 => Fault::AccountExhausted,
        404 => Fault::NotFound,
        408 => Fault::RequestTimeout,
        409 => Fault::Conflict,
        429 => Fault::Throttled,
        400..=499 => Fault::Request,
        501 => Fault::Unsupported,
        505..=511 => Fault::ServerFinal,
        529 => Fault::Overloaded,
        _ => Fault::Server,
    }
}

/// The telling members of an error, whichever of the shapes in use it has.
#[derive(Debug, Default, Eq, PartialEq)]
struct ErrorFields {
    /// `code`, then the code of an `innererror`, then a `status` in words.
    codes: Vec<String>,
    kind: Option<String>,
    /// Lower case.
    message: String,
    /// A status told inside the body.
    status: Option<u16>,
}

impl ErrorFields {
    /// Reads `{"error": {…}}`, the bare object, `{"error": "text"}`, `{"message": …}`,
    /// `{"detail": …}` and a list with one of these.
    fn of(value: &Value) -> Self {
        let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let codes: Vec<String> = [error.get("code"), error.pointer("/innererror/code"), error.get("status")]
            .into_iter()
            .flatten()
            .filter_map(text)
            .collect();
        let number = |name: &str| {
            let value = error.get(name)?;
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        };
        let status = ["status_code", "status", "code", "statusCode"].into_iter().find_map(number);
        let message = message_in(error).unwrap_or(error);
        Self {
            codes,
            kind: error.get("type").and_then(text),
            message: message.as_str().map_or_else(|| message.to_string(), str::to_owned).to_lowercase(),
            status: status.and_then(|status| u16::try_from(status).ok()).filter(|status| *status >= 300),
        }
    }
}
