//! An upstream in the test's hand: it sends what the test says, when the test says.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::soon;

/// A listener that answers nothing by itself.
pub(crate) struct ByHand {
    listener: TcpListener,
}

impl ByHand {
    pub(crate) async fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a free port") }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound socket")
    }

    /// Takes the next connection and reads its request to the end.
    pub(crate) async fn accept(&self) -> Call {
        let (socket, _) =
            soon("a connection to the upstream", self.listener.accept()).await.expect("a socket");
        let mut call = Call { socket, request: Vec::new() };
        call.read_request().await;
        call
    }
}

/// A request that waits for its answer.
pub(crate) struct Call {
    socket: TcpStream,
    /// The request as it came.
    request: Vec<u8>,
}

impl Call {
    /// The first line, the fields with their names in small letters, and the body.
    pub(crate) fn request(&self) -> (&str, Vec<(String, &str)>, &[u8]) {
        let end = memchr::memmem::find(&self.request, b"\r\n\r\n").expect("a whole head");
        let mut lines = std::str::from_utf8(&self.request[..end]).expect("a head of text").split("\r\n");
        let line = lines.next().expect("a first line");
        let fields = lines.map(|line| line.split_once(':').expect("a field"));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
        (line, fields, &self.request[end + 4..])
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &str) {
        self.socket.write_all(bytes.as_bytes()).await.expect("the gateway reads");
    }

    /// Begins a stream.
    pub(crate) async fn send_stream_head(&mut self) {
        self.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
    }

    /// Sends one event in a chunk of its own.
    pub(crate) async fn send_event(&mut self, data: &str) {
        let event = format!("data: {data}\n\n");
        self.send(&format!("{:x}\r\n{event}\r\n", event.len())).await;
    }

    /// Sends a content event of a chat stream.
    pub(crate) async fn send_content(&mut self, text: &str) {
        let event = format!(
            r#"{{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-5-mini","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
        );
        self.send_event(&event).await;
    }

    /// Ends a chat stream as it should end, with its usage.
    pub(crate) async fn send_stream_end(&mut self) {
        self.send_event(r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-5-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#).await;
        self.send_event(r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-5-mini","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#).await;
        self.send_event("[DONE]").await;
        self.send("0\r\n\r\n").await;
    }

    /// Answers a plain call.
    pub(crate) async fn send_plain(&mut self, body: &str) {
        self.send(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    }

    /// Answers a plain call, the last of its connection.
    pub(crate) async fn send_last_plain(mut self, body: &str) {
        let length = body.len();
        self.send(&format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// Waits until the gateway has closed the connection.
    pub(crate) async fn wait_for_close(&mut self) {
        let mut rest = [0; 64];
        let closed = async { while matches!(self.socket.read(&mut rest).await, Ok(read) if read > 0) {} };
        soon("the gateway closing its connection", closed).await;
    }

    /// Reads a request with a content length.
    async fn read_request(&mut self) {
        let mut seen = Vec::new();
        let reading = async {
            loop {
                if let Some(head) = memchr::memmem::find(&seen, b"\r\n\r\n")
                    && seen.len() >= head + 4 + content_length(&seen[..head])
                {
                    return seen;
                }
                let read = self.socket.read_buf(&mut seen).await.expect("a request");
                assert!(read > 0, "the gateway left before its request was whole");
            }
        };
        self.request = soon("a whole request", reading).await;
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.map_or(0, |value| value.trim().parse().expect("a number"))
}
