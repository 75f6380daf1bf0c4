//! One small request with a key that somebody holds, sent to the gateway's own data port: it is
//! authenticated, limited, routed, charged and kept as any other, so that what it shows is what an
//! application will meet.

mod own_port;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollgate_domain::{RequestId, Secret};
use tollgate_proxy::{Fetched, Origin, PostError, Scheme, fetch};

pub use own_port::Untrusted;

use crate::{codes, reload::Running};

/// How long the answer may take: longer than a first token takes anywhere, shorter than a reader's patience.
const PATIENCE: Duration = Duration::from_secs(60);
/// So much of an answer is read; a short prompt has a short one.
const LONGEST_BODY: usize = 1 << 20;
/// So many characters of an answer are shown.
const LONGEST_ANSWER: usize = 4_000;

/// What is asked.
pub struct Trial {
    /// The key, as an application would send it.
    pub secret: Secret,
    /// The model.
    pub model: String,
    /// What to say to it.
    pub prompt: String,
}

/// Why nothing was asked, or nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No key is written like this, and no header can hold it.
    #[error("the key has characters that no key has")]
    NoKey,
    /// The data port's own certificate cannot be trusted.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// The data port did not answer.
    #[error("the data port gave no answer: {0}")]
    Unanswered(#[from] PostError),
    /// It took too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// What came back.
#[derive(Debug, Default, Serialize)]
pub struct Tried {
    /// Whether a model answered.
    pub ok: bool,
    /// HTTP status, as the application would have seen it; nothing where nothing came back.
    pub status: Option<u16>,
    /// The row's id.
    pub request_id: Option<String>,
    /// What the model said.
    pub answer: Option<String>,
    /// Why the answer is none.
    pub error: Option<Refused>,
    /// Who answered.
    pub upstream: Option<String>,
    /// Where.
    pub region: Option<String>,
    /// How many upstreams were tried.
    pub attempts: Option<u32>,
    /// All input tokens.
    pub input_tokens: Option<u64>,
    /// All output tokens.
    pub output_tokens: Option<u64>,
    /// What it cost, a decimal text; nothing where the model has no price.
    pub cost: Option<String>,
    /// From the first byte sent to the last one received, in milliseconds.
    pub duration_ms: u64,
}

/// An answer that is none.
#[derive(Debug, Default, Serialize)]
pub struct Refused {
    /// Our code, where it is ours.
    pub code: Option<String>,
    /// `gateway` or `upstream`.
    pub source: Option<String>,
    /// What the application would have read.
    pub message: Option<String>,
    /// What the code means.
    pub meaning: Option<&'static str>,
    /// What to do about it.
    pub remedy: Option<&'static str>,
}

impl Tried {
    /// Nothing came back.
    #[must_use]
    pub fn unanswered(why: &TrialError) -> Self {
        let error = Refused { message: Some(why.to_string()), ..Refused::default() };
        Self { error: Some(error), ..Self::default() }
    }

    /// The id, to look for the row.
    #[must_use]
    pub fn row(&self) -> Option<RequestId> {
        self.request_id.as_deref()?.parse().ok()
    }
}

/// Sends the request to the data port at `address` and waits for the answer, a minute at most.
///
/// # Errors
/// Nothing came back. An answer that refuses the request is none of them.
///
/// # Cancel safety
/// Dropping the future closes the connection: the gateway meets a client that left.
pub async fn run(trial: &Trial, address: SocketAddr, running: &Running) -> Result<Tried, TrialError> {
    let tls = own_port::trust(running)?;
    let address = reachable(address);
    let origin = Origin {
        scheme: if tls.is_some() { Scheme::Https } else { Scheme::Http },
        host: address.ip().to_string(),
        port: address.port(),
        allow_private: true,
    };
    let request = request(trial, &origin).ok_or(TrialError::NoKey)?;
    let begun = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, fetch(&origin, tls.as_ref(), request, LONGEST_BODY));
    let answer = answer.await.map_err(|_| TrialError::Late)??;
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(read(&answer, millis))
}

/// A listener on every address is reached on the loopback one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What every chat model takes: no parameter that a server of the family may not know.
fn request(trial: &Trial, origin: &Origin) -> Option<Request<Full<Bytes>>> {
    let body = json!({
        "model": trial.model,
        "messages": [{ "role": "user", "content": trial.prompt }],
    });
    let mut credential = HeaderValue::from_str(&format!("Bearer {}", trial.secret.expose())).ok()?;
    credential.set_sensitive(true);
    Request::post("/v1/chat/completions")
        .header(header::HOST, origin.authority())
        .header(header::AUTHORIZATION, credential)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("tollgate-console/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(body.to_string().into()))
        .ok()
}

fn read(answer: &Fetched, duration_ms: u64) -> Tried {
    let text = |name: &'static str| text_of(&answer.headers, HeaderName::from_static(name));
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let ok = answer.status.is_success();
    let usage = &body["usage"];
    Tried {
        ok,
        status: Some(answer.status.as_u16()),
        request_id: text("x-request-id"),
        answer: ok.then(|| said(&body)),
        error: (!ok).then(|| refused(&answer.headers, &body)),
        upstream: text("x-tollgate-upstream"),
        region: text("x-tollgate-region"),
        attempts: text("x-tollgate-attempts").and_then(|count| count.parse().ok()),
        input_tokens: usage["prompt_tokens"].as_u64(),
        output_tokens: usage["completion_tokens"].as_u64(),
        cost: text("x-tollgate-cost"),
        duration_ms,
    }
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The text of the first choice. A model may have said nothing, such as when it only reasoned.
fn said(body: &Value) -> String {
    let content = body["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    content.chars().take(LONGEST_ANSWER).collect()
}

fn refused(headers: &HeaderMap, body: &Value) -> Refused {
    let code = text_of(headers, HeaderName::from_static("x-tollgate-error"));
    let known = code.as_deref().and_then(codes::find);
    Refused {
        source: text_of(headers, HeaderName::from_static("x-tollgate-error-source")),
        message: body["error"]["message"]
            .as_str()
            .map(|message| message.chars().take(LONGEST_ANSWER).collect()),
        meaning: known.map(|known| known.meaning),
        remedy: known.map(|known| known.remedy),
        code,
    }
}

/// What `POST /keys/test` takes.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Asked {
    pub(crate) secret: String,
    pub(crate) model: String,
    pub(crate) prompt: Option<String>,
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn fetched(status: u16, headers: &[(&'static str, &'static str)], body: &Value) -> Fetched {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let status = StatusCode::from_u16(status).expect("a status");
        Fetched { status, headers, body: body.to_string().into() }
    }

    #[test]
    fn an_answer_is_told_with_who_gave_it_and_what_it_cost() {
        let headers = [
            ("x-request-id", "0197-1"),
            ("x-tollgate-upstream", "openai"),
            ("x-tollgate-region", "eu"),
            ("x-tollgate-attempts", "2"),
            ("x-tollgate-cost", "0.000012"),
        ];
        let body = json!({
            "choices": [{ "message": { "content": "Hello." } }],
            "usage": { "prompt_tokens": 9, "completion_tokens": 3 },
        });
        let tried = read(&fetched(200, &headers, &body), 40);
        assert!(tried.ok && tried.error.is_none());
        assert_eq!(tried.answer.as_deref(), Some("Hello."));
        assert_eq!((tried.attempts, tried.input_tokens, tried.output_tokens), (Some(2), Some(9), Some(3)));
        assert_eq!(tried.cost.as_deref(), Some("0.000012"));
    }

    #[test]
    fn a_refusal_is_told_with_what_it_means_and_what_to_do() {
        let headers = [("x-tollgate-error", "model_not_allowed"), ("x-tollgate-error-source", "gateway")];
        let tried = read(&fetched(403, &headers, &json!({ "error": { "message": "no" } })), 1);
        let error = tried.error.expect("it was refused");
        assert!(!tried.ok && tried.answer.is_none());
        assert_eq!((error.source.as_deref(), error.message.as_deref()), (Some("gateway"), Some("no")));
        assert!(error.meaning.is_some() && error.remedy.is_some());
    }

    #[test]
    fn what_is_no_json_is_a_refusal_without_words() {
        let answer = Fetched {
            status: StatusCode::BAD_GATEWAY,
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"<html>"),
        };
        let error = read(&answer, 1).error.expect("it was refused");
        assert!(error.code.is_none() && error.message.is_none() && error.meaning.is_none());
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_the_loopback_one() {
        let at = |text: &str| reachable(text.parse().expect(text)).to_string();
        assert_eq!(at("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(at("[::]:8080"), "[::1]:8080");
        assert_eq!(at("192.0.2.7:80"), "192.0.2.7:80");
    }
}
