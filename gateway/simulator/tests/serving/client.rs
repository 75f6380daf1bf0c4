//! A small caller for these tests: one connection, hyper on top.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tollgate_simulator::Protocol;

/// One connection.
pub(crate) struct Client {
    sender: Sender,
    headers: HeaderMap,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An answer read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr, protocol: Protocol) -> Self {
        let stream = TokioIo::new(TcpStream::connect(addr).await.expect("a listener"));
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.expect("a handshake");
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), stream).await.expect("a handshake");
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Self { sender, headers: HeaderMap::new() }
    }

    /// Sends this header with every request from now on.
    pub(crate) fn header(&mut self, name: &'static str, value: &'static str) {
        self.headers.insert(name, value.parse().expect("a header value"));
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string().into()).await.expect("an answer")
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new()).await.expect("an answer")
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> hyper::Result<Answer> {
        let uri = match self.sender {
            Sender::Http1(_) => path.to_owned(),
            Sender::Http2(_) => format!("http://127.0.0.1{path}"),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().expect("a path");
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert("host", "127.0.0.1".parse().expect("a host"));
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                request.headers_mut().remove("host");
                sender.send_request(request).await?
            }
        };
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Like `post`, for answers that may break off.
    pub(crate) async fn try_post(&mut self, path: &str, body: &Value) -> hyper::Result<Answer> {
        self.send(Method::POST, path, body.to_string().into()).await
    }
}
impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The `data:` lines of an event stream.
pub(crate) fn event_data(body: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(body).expect("text");
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}
