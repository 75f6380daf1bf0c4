//! Scripts: what one call gets instead of the usual answer.
//!
//! A script is a reply (realistic, exact bytes, or a refusal as the provider words it), a wait
//! before its head, and at most one fault. `Script` is JSON too, for `POST /_sim/script`.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Behaviour, millis};

/// What one call gets.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Only calls of this model take the script; others leave it in the queue.
    pub model: Option<String>,
    /// Wait before the head, on top of the behaviour's latency.
    #[serde(rename = "delay_ms", with = "millis")]
    pub delay: Duration,
    /// What is answered.
    pub reply: Reply,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

/// What is answered.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// As the simulator's current behaviour says.
    #[default]
    Usual,
    /// A realistic answer of these measures.
    As(Behaviour),
    /// A refusal, worded as the provider whose path was called words it.
    Refusal(Refusal),
    /// Exactly this.
    Exact(Exact),
}

/// An answer given byte by byte.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Exact {
    /// HTTP status.
    pub status: u16,
    /// Headers in order. `content-length` and `transfer-encoding` come from `framing`.
    #[serde(default)]
    pub headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// The body in the pieces in which it is sent; each is one chunk of chunked framing.
    pub pieces: Vec<Piece>,
    /// How the body's end is told.
    #[serde(default)]
    pub framing: Framing,
}

/// A part of a body that leaves in one write.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Wait before it.
    #[serde(default, rename = "pause_ms", with = "millis")]
    pub pause: Duration,
    /// The bytes; in JSON a string.
    #[serde(with = "text")]
    pub data: Bytes,
}

impl Piece {
    /// A piece that follows at once.
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self { pause: Duration::ZERO, data: data.into() }
    }

    /// A piece after a pause.
    pub fn after(pause: Duration, data: impl Into<Bytes>) -> Self {
        Self { pause, data: data.into() }
    }
}

/// How the end of an HTTP/1.1 body is told. HTTP/2 has its own way and ignores it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// `content-length` of the whole body.
    #[default]
    Length,
    /// `transfer-encoding: chunked`.
    Chunked,
}

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is reset as soon as it is accepted, or as soon as a kept one brings the next
    /// request. Nothing is read into the book. The script's other parts do not matter. Needs HTTP/1.1.
    Refuse,
    /// The connection is reset (TCP RST; on HTTP/2 the stream is) at that place.
    Reset(At),
    /// The connection is closed in good order (TCP FIN) at that place, in the middle of the framing.
    Close(At),
    /// Nothing more is sent from that place on; the connection stays open until the caller leaves.
    Stall(At),
    /// A stream ends after so many content chunks: properly framed, but without the dialect's end mark.
    EndEarly(u32),
    /// After so many content chunks comes the dialect's error event, then a proper end of the framing.
    ErrorEvent(u32),
    /// The body leaves in pieces of one byte, with this many milliseconds between them.
    Trickle(u64),
    /// The status stays, the body breaks off in the middle of its JSON, properly framed.
    MalformedBody,
    /// The body is a page of HTML that says so in `content-type`.
    WrongContentType,
    /// `content-length` promises ten bytes more than come before the connection closes.
    ShortBody,
}

/// A place in an answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// After so many bytes on the wire, head and framing included; 0 is before the head. On HTTP/2:
    /// of the body.
    Byte(u64),
    /// After so many content chunks of a stream; 0 is after the head and the events before the first
    /// content. A plain answer counts as two chunks, one half each.
    Chunk(u32),
}

/// A refusal, worded as the called provider does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// 429 for the rate, with `retry-after-ms` and, where it is a whole number, `retry-after`.
    RateLimited {
        /// How long to wait; neither header is sent without it.
        retry_after_ms: Option<u64>,
    },
    /// 429 that waiting does not cure: the account has no credit left.
    InsufficientQuota,
    /// 503 with `retry-after` in seconds.
    Unavailable {
        /// How long to wait; no header is sent without it.
        retry_after: Option<u32>,
    },
    /// 529 `overloaded_error` (Anthropic), 503 elsewhere.
    Overloaded,
    /// 500.
    ServerError,
    /// 401: the credential is wrong.
    Unauthorized,
    /// 404: the model or deployment does not exist.
    ModelNotFound,
    /// 400 `context_length_exceeded`.
    ContextLength,
    /// 400 `content_filter` of the prompt.
    ContentFilter,
    /// Another status with a plain error body.
    Status(u16),
}

impl Script {
    /// The usual answer, to add a delay or a fault to.
    pub fn usual() -> Self {
        Self::default()
    }

    /// A realistic answer of so many words, streamed as so many chunks when a stream is asked.
    pub fn words(chunks: u32) -> Self {
        Self::behaving(Behaviour { chunks, ..Behaviour::default() })
    }

    /// A realistic answer of these measures.
    pub fn behaving(behaviour: Behaviour) -> Self {
        Self { reply: Reply::As(behaviour), ..Self::default() }
    }

    /// A refusal.
    pub fn refusal(refusal: Refusal) -> Self {
        Self { reply: Reply::Refusal(refusal), ..Self::default() }
    }

    /// 429 with the wait in `retry-after-ms` (and `retry-after` when it is whole seconds).
    pub fn rate_limited(wait: Duration) -> Self {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self::refusal(Refusal::RateLimited { retry_after_ms: Some(wait) })
    }

    /// 503 that asks to wait so many seconds.
    pub fn unavailable(retry_after: u32) -> Self {
        Self::refusal(Refusal::Unavailable { retry_after: Some(retry_after) })
    }

    /// A connection that is reset before anything is read.
    pub fn refuse() -> Self {
        Self::usual().then(Fault::Refuse)
    }

    /// A JSON body with a content length.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::exact(Exact {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            pieces: vec![Piece::new(body)],
            framing: Framing::Length,
        })
    }

    /// A chunked event stream of exactly these pieces.
    pub fn events(pieces: Vec<Piece>) -> Self {
        Self::exact(Exact {
            status: 200,
            headers: vec![("content-type".into(), "text/event-stream; charset=utf-8".into())],
            pieces,
            framing: Framing::Chunked,
        })
    }

    /// Exactly this answer.
    pub fn exact(exact: Exact) -> Self {
        Self { reply: Reply::Exact(exact), ..Self::default() }
    }

    /// The same with a fault.
    #[must_use]
    pub fn then(self, fault: Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }

    /// The same with a wait before the head.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The same for calls of one model only.
    #[must_use]
    pub fn for_model(self, model: impl Into<String>) -> Self {
        Self { model: Some(model.into()), ..self }
    }

    /// The script that a model's name asks for by its suffix, e.g. `gpt-5-mini--reset`; a status of
    /// three digits is answered with that status. Names without a known suffix ask for nothing.
    pub fn from_model(model: &str) -> Option<Self> {
        let (_, suffix) = model.rsplit_once("--")?;
        let script = match suffix {
            "429" => Self::rate_limited(Duration::from_secs(1)),
            "quota" => Self::refusal(Refusal::InsufficientQuota),
            "503" => Self::unavailable(1),
            "overloaded" => Self::refusal(Refusal::Overloaded),
            "401" => Self::refusal(Refusal::Unauthorized),
            "404" => Self::refusal(Refusal::ModelNotFound),
            "too-long" => Self::refusal(Refusal::ContextLength),
            "filtered" => Self::refusal(Refusal::ContentFilter),
            "slow" => Self::usual().after(Duration::from_secs(2)),
            "reset" => Self::usual().then(Fault::Reset(At::Chunk(1))),
            "stall" => Self::usual().then(Fault::Stall(At::Chunk(1))),
            "truncated" => Self::usual().then(Fault::EndEarly(1)),
            "error-event" => Self::usual().then(Fault::ErrorEvent(1)),
            "malformed" => Self::usual().then(Fault::MalformedBody),
            "html" => Self::usual().then(Fault::WrongContentType),
            digits => Self::refusal(Refusal::Status(status(digits)?)),
        };
        Some(script)
    }

    pub(crate) fn takes(&self, model: Option<&str>) -> bool {
        self.model.as_deref().is_none_or(|wanted| Some(wanted) == model)
    }
}

fn status(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

mod text {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, ser::Error};

    pub(super) fn serialize<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(data)
            .map_err(|_| S::Error::custom("a piece that is not UTF-8 has no JSON form"))?;
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        String::deserialize(deserializer).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_suffix_asks_for_a_fault() {
        let cases = [
            ("gpt-5-mini--429", Some("{\"rate_limited\":{\"retry_after_ms\":1000}}")),
            ("gpt-5-mini--418", Some("{\"status\":418}")),
            ("gpt-5-mini--reset", None),
        ];
        for (model, refusal) in cases {
            let script = Script::from_model(model).expect(model);
            let told = match script.reply {
                Reply::Refusal(refusal) => Some(serde_json::to_string(&refusal).expect("plain data")),
                _ => None,
            };
            assert_eq!(told.as_deref(), refusal, "{model}");
        }
        for model in ["gpt-5-mini", "gpt-5--mini", "x--200", "x--9999"] {
            assert!(Script::from_model(model).is_none(), "{model}");
        }
    }

    #[test]
    fn scripts_are_read_from_json() {
        let script: Script = serde_json::from_str(
            r#"{"model":"m","delay_ms":5,"reply":{"as":{"chunks":3}},"fault":{"reset":{"byte":17}}}"#,
        )
        .expect("a script");
        assert_eq!(script.delay, Duration::from_millis(5));
        assert_eq!(script.fault, Some(Fault::Reset(At::Byte(17))));
        assert!(matches!(script.reply, Reply::As(Behaviour { chunks: 3, .. })));
        assert!(script.takes(Some("m")) && !script.takes(Some("n")) && !script.takes(None));
        assert!(serde_json::from_str::<Script>(r#"{"fualt":null}"#).is_err());
    }
}
