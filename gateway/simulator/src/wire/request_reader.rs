//! Reads HTTP/1.1 requests from a socket: heads by httparse, bodies by length or chunks.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Incoming;
use crate::request::Protocol;

const MAX_HEAD: usize = 256 * 1024;
const MAX_HEADERS: usize = 256;
const MAX_BODY: u64 = 256 * 1024 * 1024;

/// A request and what its head says about the connection.
pub(super) struct Request {
    pub(super) incoming: Incoming,
    pub(super) keep_alive: bool,
}

/// Bytes that were read and not used yet.
#[derive(Default)]
pub(super) struct RequestReader {
    buffer: BytesMut,
}

#[derive(Debug)]
struct Head {
    length: usize,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
    keep_alive: bool,
    expects_continue: bool,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Length(u64),
    Chunked,
}

impl RequestReader {
    /// Waits for the first byte of a request. False when the caller has closed instead.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn wait(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        Ok(!self.buffer.is_empty() || self.fill(stream).await? > 0)
    }

    /// Reads one request. `keep_headers` is false when nobody will look at them.
    pub(super) async fn read(&mut self, stream: &mut TcpStream, keep_headers: bool) -> io::Result<Request> {
        let head = loop {
            if let Some(head) = parse_head(&self.buffer, keep_headers)? {
                break head;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(invalid("head too large"));
            }
            self.fill_more(stream).await?;
        };
        self.buffer.advance(head.length);
        if head.expects_continue {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = match head.body {
            Body::Length(length) => self.take(stream, length).await?,
            Body::Chunked => self.take_chunks(stream).await?,
        };
        let incoming = Incoming::new(Protocol::Http1, &head.method, &head.path, head.headers, body);
        Ok(Request { incoming, keep_alive: head.keep_alive })
    }

    async fn take(&mut self, stream: &mut TcpStream, length: u64) -> io::Result<Bytes> {
        let length = usize::try_from(length.min(MAX_BODY + 1)).unwrap_or(usize::MAX);
        if length as u64 > MAX_BODY {
            return Err(invalid("body too large"));
        }
        while self.buffer.len() < length {
            self.fill_more(stream).await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn take_chunks(&mut self, stream: &mut TcpStream) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let size = loop {
                match httparse::parse_chunk_size(&self.buffer) {
                    Ok(httparse::Status::Complete((line, size))) => {
                        self.buffer.advance(line);
                        break size;
                    }
                    Ok(httparse::Status::Partial) => self.fill_more(stream).await?,
                    Err(_) => return Err(invalid("chunk size")),
                }
            };
            if size == 0 {
                // Trailers are not looked at: everything to the empty line goes.
                while !self.take_line(stream).await?.is_empty() {}
                return Ok(body.freeze());
            }
            if body.len() as u64 + size > MAX_BODY {
                return Err(invalid("body too large"));
            }
            body.extend_from_slice(&self.take(stream, size).await?);
            self.take_line(stream).await?;
        }
    }

    async fn take_line(&mut self, stream: &mut TcpStream) -> io::Result<Bytes> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(2);
                return Ok(line);
            }
            self.fill_more(stream).await?;
        }
    }

    async fn fill_more(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        if self.fill(stream).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        self.buffer.reserve(8 * 1024);
        stream.read_buf(&mut self.buffer).await
    }
}

fn parse_head(buffer: &[u8], keep_headers: bool) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(invalid(&error.to_string())),
    };
    let mut head = Head {
        length,
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        headers: Vec::new(),
        body: Body::Length(0),
        keep_alive: request.version == Some(1),
        expects_continue: false,
    };
    for header in request.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        match header.name {
            name if name.eq_ignore_ascii_case("content-length") => {
                head.body = Body::Length(value.trim().parse().map_err(|_| invalid("content-length"))?);
            }
            name if name.eq_ignore_ascii_case("transfer-encoding") => head.body = Body::Chunked,
            name if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") => {
                head.keep_alive = false;
            }
            name if name.eq_ignore_ascii_case("expect") => head.expects_continue = true,
            _ => {}
        }
        if keep_headers {
            head.headers.push((header.name.to_ascii_lowercase(), value.into_owned()));
        }
    }
    Ok(Some(head))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("bad request: {what}"))
}
