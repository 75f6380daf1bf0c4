//! A client that sees everything: heads, bodies, and how they end.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::{setup::KEY, soon};

/// A request.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Ask {
    /// A plain chat call.
    pub(crate) fn chat() -> Self {
        Self::post(
            "/v1/chat/completions",
            r#"{"model":"chat","messages":[{"role":"user","content":"Say something."}]}"#,
        )
    }

    /// A chat call that wants a stream and does not ask for its usage.
    pub(crate) fn stream() -> Self {
        Self::post(
            "/v1/chat/completions",
            r#"{"model":"chat","stream":true,"messages":[{"role":"user","content":"Say something."}]}"#,
        )
    }

    /// A plain call of Anthropic's API.
    pub(crate) fn messages() -> Self {
        Self {
            headers: vec![("x-api-key", KEY.into()), ("anthropic-version", "2023-06-01".into())],
            ..Self::post(
                "/v1/messages",
                r#"{"model":"claude","max_tokens":64,"messages":[{"role":"user","content":"Say something."}]}"#,
            )
        }
    }

    pub(crate) fn post(path: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::POST,
            path,
            headers: vec![("authorization", format!("Bearer {KEY}"))],
            body: body.into(),
        }
    }

    /// The same with a header, or with another value for it.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The same without a header.
    #[must_use]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    /// The same with another body.
    #[must_use]
    pub(crate) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The request as HTTP/1.1 writes it.
    fn wire(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: tollgate.test\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }

    fn request(&self, authority: Option<SocketAddr>) -> Request<Full<Bytes>> {
        let uri = match authority {
            Some(address) => format!("http://{address}{}", self.path),
            None => self.path.to_owned(),
        };
        let mut request = Request::builder().method(self.method.clone()).uri(uri);
        if authority.is_none() {
            request = request.header("host", "tollgate.test");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(self.body.clone())).expect("a request")
    }
}

/// One connection. Dropping it closes it.
pub(crate) struct Connection {
    sender: Sender,
    _driver: Driver,
    authority: Option<SocketAddr>,
    pending: Option<Pending>,
}

type Pending = std::pin::Pin<Box<dyn std::future::Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// The task that moves a connection's bytes; a client that is gone moves none.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub(crate) async fn http1(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("a listener");
        Self::http1_over(socket).await
    }

    pub(crate) async fn http1_over(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, driver) = http1::handshake(TokioIo::new(socket)).await.expect("a handshake");
        let driver = tokio::spawn(async move {
            // How it ends shows in the answers.
            let _ = driver.await;
        });
        Self { sender: Sender::Http1(sender), _driver: Driver(driver), authority: None, pending: None }
    }

    /// HTTP/2 without asking whether the other side speaks it.
    pub(crate) async fn http2(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("a listener");
        Self::http2_over(socket, address).await
    }

    pub(crate) async fn http2_over(
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
    ) -> Self {
        let (sender, driver) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.expect("a handshake");
        let driver = tokio::spawn(async move {
            let _ = driver.await;
        });
        Self {
            sender: Sender::Http2(sender),
            _driver: Driver(driver),
            authority: Some(address),
            pending: None,
        }
    }

    /// Sends a request; its answer is waited for by nobody yet.
    pub(crate) fn begin(&mut self, ask: &Ask) {
        let request = ask.request(self.authority);
        self.pending = Some(match &mut self.sender {
            Sender::Http1(sender) => Box::pin(sender.send_request(request)),
            Sender::Http2(sender) => Box::pin(sender.send_request(request)),
        });
    }

    /// Waits for the head of the answer to what was begun.
    pub(crate) async fn head(mut self) -> Open {
        let pending = self.pending.take().expect("a request was begun");
        let response = soon("the head of an answer", pending).await.expect("an answer");
        let (head, body) = response.into_parts();
        Open { status: head.status.as_u16(), headers: head.headers, body, connection: self }
    }

    pub(crate) async fn open(mut self, ask: &Ask) -> Open {
        self.begin(ask);
        self.head().await
    }

    /// Sends and reads the answer to its end; the connection is there for the next one.
    pub(crate) async fn send(&mut self, ask: &Ask) -> Answer {
        self.begin(ask);
        let pending = self.pending.take().expect("just begun");
        let (head, body) = soon("an answer", pending).await.expect("an answer").into_parts();
        let body = soon("the end of an answer", body.collect()).await.expect("a whole body").to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }
}

/// A socket without a library between.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a listener"))
    }

    pub(crate) async fn ask(&mut self, ask: &Ask) {
        self.write(&ask.wire()).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // Whoever closes early shows in what is read.
        let _ = self.0.write_all(bytes).await;
    }

    /// Hangs up, and waits until the gateway has seen it.
    pub(crate) async fn hang_up(mut self) {
        self.0.shutdown().await.expect("an open socket");
        self.read_to_end().await;
    }

    /// Whatever still comes until the gateway closes the connection.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut seen = Vec::new();
        // A reset ends it as well as an end in good order.
        let _ = soon("the gateway closing the connection", self.0.read_to_end(&mut seen)).await;
        String::from_utf8_lossy(&seen).into_owned()
    }
}

/// An answer whose body is still to be read.
pub(crate) struct Open {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    /// Dropped with the answer: then the client is gone.
    connection: Connection,
}

impl Open {
    /// Reads until the text has come.
    pub(crate) async fn read_until(&mut self, text: &str) -> String {
        let mut seen = BytesMut::new();
        let reading = async {
            while !contains(&seen, text) {
                let frame = self.body.frame().await.expect("more of the answer").expect("an unbroken answer");
                if let Ok(data) = frame.into_data() {
                    seen.extend_from_slice(&data);
                }
            }
        };
        soon(text, reading).await;
        String::from_utf8(seen.to_vec()).expect("text")
    }

    /// Reads the answer to its end.
    pub(crate) async fn finish(self) -> Answer {
        let body = soon("the end of an answer", self.body.collect()).await.expect("a whole body").to_bytes();
        Answer { status: self.status, headers: self.headers, body }
    }

    /// Leaves in the middle of the answer.
    pub(crate) fn leave(self) {
        drop(self.connection);
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The answer that a closed connection has brought.
    pub(crate) fn read(seen: &str) -> Self {
        let (head, body) = seen.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {seen}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let fields = lines.filter_map(|line| line.split_once(": "));
        let headers = fields.map(|(name, value)| {
            (name.parse::<http::HeaderName>().expect("a name"), value.parse().expect("a value"))
        });
        Self { status: status.expect("a status"), headers: headers.collect(), body: body.to_owned().into() }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header's value, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}
