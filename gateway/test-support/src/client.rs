//! A raw HTTP client: what it returns is what came over the wire.

use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

use crate::events::{Event, events_of};

type Incoming = http_body_util::combinators::BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Sends requests to one address with one key. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Caller {
    base: String,
    key: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Caller {
    /// A client of `base` (scheme and authority, no slash at the end) that authenticates as `key`.
    pub fn new(base: impl Into<String>, key: impl Into<String>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            base: base.into(),
            key: key.into(),
            http: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// The same connections with another key.
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self { key: key.into(), ..self.clone() }
    }

    /// `POST /v1/chat/completions`, the answer whole.
    ///
    /// # Errors
    /// The connection failed before the head of an answer came.
    pub async fn chat(&self, body: &Value) -> Result<Reply> {
        self.post("/v1/chat/completions", &[], body.to_string()).await
    }

    /// `POST /v1/messages`, the answer whole.
    ///
    /// # Errors
    /// The connection failed before the head of an answer came.
    pub async fn messages(&self, body: &Value) -> Result<Reply> {
        self.post("/v1/messages", &[("anthropic-version", "2023-06-01")], body.to_string()).await
    }

    /// Any `POST`, the answer whole.
    ///
    /// # Errors
    /// The connection failed before the head of an answer came.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Reply> {
        self.stream(path, headers, body).await?.rest().await
    }

    /// Any call, the answer whole.
    ///
    /// # Errors
    /// The connection failed before the head of an answer came.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        self.send(method, path, headers, body.into()).await?.rest().await
    }

    /// Any `GET`, the answer whole.
    ///
    /// # Errors
    /// The connection failed before the head of an answer came.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, &[], Bytes::new()).await?.rest().await
    }

    /// Any `POST`; the answer as it comes. Dropping the [`Streaming`] is a client that leaves.
    ///
    /// # Errors
    /// The connection failed before the head of an answer came.
    pub async fn stream(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Streaming> {
        self.send(Method::POST, path, headers, body.into()).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Streaming> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).context("not a request")?;
        let response = self.http.request(request).await.with_context(|| format!("no answer to {path}"))?;
        Ok(Streaming::new(response.map(|body| body.map_err(Into::into).boxed())))
    }
}

/// An answer read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Every byte of the body that came.
    pub body: Bytes,
    /// Why the body did not end properly; none when it did.
    pub broken: Option<String>,
}

impl Reply {
    /// A header as text; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The gateway's id of the request, which is also that of its ledger row.
    pub fn request_id(&self) -> &str {
        self.header("x-request-id")
    }

    /// The gateway's error code; empty when the request went well.
    pub fn error_code(&self) -> &str {
        self.header("x-tollgate-error")
    }

    /// The body as JSON; null where it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as events.
    pub fn events(&self) -> Vec<Event> {
        events_of(&self.body)
    }

    /// Did a stream end as a complete one does: body whole, end mark there, no error event?
    pub fn is_complete_stream(&self) -> bool {
        let events = self.events();
        self.broken.is_none() && events.iter().any(Event::is_end_mark) && !events.iter().any(Event::is_error)
    }
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub struct Streaming {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    received: BytesMut,
}

impl Streaming {
    fn new(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body, received: BytesMut::new() }
    }

    /// The next piece of the body as it came; none at its end.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|problem| anyhow::anyhow!("body broke off: {problem}"))?;
            if let Ok(data) = frame.into_data() {
                self.received.extend_from_slice(&data);
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Reads until `count` whole events have come since the beginning, or to the end.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn events(&mut self, count: usize) -> Result<Vec<Event>> {
        loop {
            let events = events_of(&self.received);
            if events.len() >= count || self.chunk().await?.is_none() {
                return Ok(events);
            }
        }
    }

    /// Reads the rest.
    ///
    /// # Errors
    /// None of its own: a body that breaks off is told by [`Reply::broken`].
    pub async fn rest(mut self) -> Result<Reply> {
        let broken = loop {
            match self.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(problem) => break Some(format!("{problem:#}")),
            }
        };
        Ok(Reply { status: self.status, headers: self.headers, body: self.received.freeze(), broken })
    }
}
