//! One request over one connection: HTTP/1.1 by hand, since the generator shares the cores with
//! what it measures, and HTTP/2 by hyper.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::check::{Check, Expected, Held};
use crate::tally::{Failure, Times};
use crate::template::Template;

/// How one request is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) number: u64,
    /// Latency counts from here.
    pub(crate) intended: Instant,
    pub(crate) expected: Expected,
    pub(crate) timeout: Duration,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) times: Times,
    pub(crate) done: Result<Held, Failure>,
    /// A word of the answer had come, whatever followed.
    pub(crate) had_content: bool,
    /// What the gateway says of the way; nothing without a head.
    pub(crate) way: Way,
    /// Kept connections that were found closed, and replaced before the request counted as sent.
    pub(crate) reconnects: u64,
}

/// What a gateway's head says of the way that a request took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// Of the answer; 0 without a head.
    pub(crate) status: u16,
    /// `x-tollgate-upstream`.
    pub(crate) upstream: Option<Box<str>>,
    /// `x-tollgate-attempts`.
    pub(crate) attempts: Option<u32>,
}

impl Way {
    fn header(&mut self, name: &str, value: &[u8]) {
        let text = || std::str::from_utf8(value).ok().map(str::trim);
        if name.eq_ignore_ascii_case("x-tollgate-upstream") {
            self.upstream = text().map(Box::from);
        } else if name.eq_ignore_ascii_case("x-tollgate-attempts") {
            self.attempts = text().and_then(|value| value.parse().ok());
        }
    }
}

/// What was seen of an answer so far; it stays when the time for the rest is over.
struct Seen {
    first: Option<Instant>,
    way: Way,
    check: Check,
    reconnects: u64,
}

/// A connection that answers one request at a time.
#[derive(Debug)]
pub(crate) enum Lane {
    /// HTTP/1.1; absent until the first request, and after one that closed it.
    Http1(Option<Http1>),
    /// A handle on an HTTP/2 connection that other lanes share.
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Lane {
    /// Makes the request and waits for what becomes of it.
    pub(crate) async fn ask(&mut self, template: &Template, ask: Ask) -> Answer {
        let check = Check::new(ask.expected);
        let mut seen = Seen { first: None, way: Way::default(), check, reconnects: 0 };
        let asked = async {
            match self {
                Self::Http1(kept) => ask_http1(kept, template, ask, &mut seen).await,
                Self::Http2(sender) => ask_http2(sender.clone(), template, ask, &mut seen).await,
            }
        };
        let done = tokio::time::timeout(ask.timeout, asked).await.unwrap_or(Err(Failure::Timeout));
        if done == Err(Failure::Timeout)
            && let Self::Http1(kept) = self
        {
            *kept = None;
        }
        let last = Instant::now();
        let times = Times {
            first: seen.first.unwrap_or(last).duration_since(ask.intended),
            last: last.duration_since(ask.intended),
        };
        let had_content = seen.check.has_content();
        Answer { times, done, had_content, way: seen.way, reconnects: seen.reconnects }
    }
}

/// Opens an HTTP/2 connection with prior knowledge.
pub(crate) async fn connect_http2(addr: SocketAddr) -> anyhow::Result<http2::SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Its end shows in the requests that it carried.
        let _ = connection.await;
    });
    Ok(sender)
}

async fn ask_http2(
    mut sender: http2::SendRequest<Full<Bytes>>,
    template: &Template,
    ask: Ask,
    seen: &mut Seen,
) -> Result<Held, Failure> {
    let mut request = Request::post(&template.uri).header("content-type", "application/json");
    for (name, value) in &template.headers {
        request = request.header(name, value);
    }
    let body = Full::new(template.body(ask.number, ask.expected.stream));
    let request = request.body(body).map_err(|_| Failure::Protocol)?;
    sender.ready().await.map_err(|_| Failure::Connect)?;
    let answer = sender.send_request(request).await.map_err(|_| Failure::NoAnswer)?;
    seen.first = Some(Instant::now());
    seen.way.status = answer.status().as_u16();
    for (name, value) in answer.headers() {
        seen.way.header(name.as_str(), value.as_bytes());
    }
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Failure::Truncated)?.into_data() {
            seen.check.feed(&data);
        }
    }
    seen.check.finish(seen.way.status)
}

async fn ask_http1(
    kept: &mut Option<Http1>,
    template: &Template,
    ask: Ask,
    seen: &mut Seen,
) -> Result<Held, Failure> {
    let wire = template.wire(ask.number, ask.expected.stream);
    if let Some(connection) = kept.take() {
        match exchange(connection, &wire, seen, kept).await {
            // A server may close a kept connection at any time; only a fresh one must answer.
            Err(Failure::NoAnswer) => seen.reconnects += 1,
            done => return done,
        }
    }
    let connection = Http1::connect(template.addr).await.map_err(|_| Failure::Connect)?;
    exchange(connection, &wire, seen, kept).await
}

/// Sends and reads to the end of the answer; gives the connection back when it can go on.
async fn exchange(
    mut connection: Http1,
    wire: &[u8],
    seen: &mut Seen,
    kept: &mut Option<Http1>,
) -> Result<Held, Failure> {
    connection.stream.write_all(wire).await.map_err(|_| Failure::NoAnswer)?;
    connection.fill().await.map_err(|_| Failure::NoAnswer)?;
    seen.first = Some(Instant::now());
    let head = connection.head().await?;
    seen.way = head.way;
    let check = &mut seen.check;
    match head.body {
        Body::Length(length) => connection.read_length(length, check).await?,
        Body::Chunked => connection.read_chunks(check).await?,
        Body::ToClose => connection.read_to_close(check).await?,
    }
    if head.keeps_alive {
        *kept = Some(connection);
    }
    seen.check.finish(seen.way.status)
}

/// An HTTP/1.1 connection between two requests.
#[derive(Debug)]
pub(crate) struct Http1 {
    stream: TcpStream,
    buffer: BytesMut,
}

struct Head {
    way: Way,
    body: Body,
    keeps_alive: bool,
}

#[derive(Clone, Copy)]
enum Body {
    Length(u64),
    Chunked,
    ToClose,
}

impl Http1 {
    async fn connect(addr: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(4096) })
    }

    /// Reads more; the end of the connection is an error here.
    async fn fill(&mut self) -> Result<(), Failure> {
        self.buffer.reserve(4096);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(Failure::Truncated),
            Ok(_) => Ok(()),
        }
    }

    async fn head(&mut self) -> Result<Head, Failure> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 96];
            let mut response = httparse::Response::new(&mut headers);
            match response.parse(&self.buffer) {
                Ok(httparse::Status::Complete(length)) => {
                    let head = read_head(&response)?;
                    self.buffer.advance(length);
                    return Ok(head);
                }
                Ok(httparse::Status::Partial) => self.fill().await?,
                Err(_) => return Err(Failure::Protocol),
            }
        }
    }

    async fn read_length(&mut self, mut left: u64, check: &mut Check) -> Result<(), Failure> {
        loop {
            let length = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            check.feed(&self.buffer[..length]);
            self.buffer.advance(length);
            left -= length as u64;
            if left == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn read_chunks(&mut self, check: &mut Check) -> Result<(), Failure> {
        loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Ok(httparse::Status::Complete((line, size))) => {
                    self.buffer.advance(line);
                    if size > 0 {
                        self.read_length(size, check).await?;
                    }
                    self.skip_line_end().await?;
                    if size == 0 {
                        return Ok(());
                    }
                }
                Ok(httparse::Status::Partial) => self.fill().await?,
                Err(_) => return Err(Failure::Protocol),
            }
        }
    }

    async fn skip_line_end(&mut self) -> Result<(), Failure> {
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        if self.buffer[..2] != *b"\r\n" {
            return Err(Failure::Protocol);
        }
        self.buffer.advance(2);
        Ok(())
    }

    async fn read_to_close(&mut self, check: &mut Check) -> Result<(), Failure> {
        loop {
            check.feed(&self.buffer);
            self.buffer.clear();
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(Failure::Truncated),
            }
        }
    }
}

fn read_head(response: &httparse::Response<'_, '_>) -> Result<Head, Failure> {
    let mut head = Head {
        way: Way { status: response.code.unwrap_or(0), ..Way::default() },
        body: Body::ToClose,
        keeps_alive: response.version == Some(1),
    };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|value| value.trim().parse().ok());
            head.body = Body::Length(length.ok_or(Failure::Protocol)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.body = Body::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection")
            && header.value.eq_ignore_ascii_case(b"close")
        {
            head.keeps_alive = false;
        } else {
            head.way.header(header.name, header.value);
        }
    }
    if matches!(head.body, Body::ToClose) {
        head.keeps_alive = false;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use tollgate_simulator::{At, Fault, Options, Refusal, Script, Simulator};

    use super::*;
    use crate::tally::Tally;
    use crate::template::chat_body;

    /// One streamed request to a simulator that follows the script. Only an answer that cannot end
    /// gets a short time.
    async fn outcome(script: Script) -> serde_json::Value {
        let timeout = match script.fault {
            Some(Fault::Stall(_)) => Duration::from_millis(200),
            _ => Duration::from_secs(60),
        };
        let simulator = Simulator::start(Options::default()).await.expect("a free port");
        simulator.script(script);
        let url = format!("{}/v1/chat/completions", simulator.base_url());
        let template = Template::new(&url, Vec::new(), chat_body("m", 100)).expect("a template");
        let mut tally = Tally::default();
        let ask = Ask {
            number: 0,
            intended: Instant::now(),
            expected: Expected { stream: true, words: Some(20) },
            timeout,
        };
        tally.take(&Lane::Http1(None).ask(&template, ask).await);
        tally.to_json()
    }

    #[tokio::test]
    async fn each_way_to_fail_has_its_own_count() {
        let faults = [
            ("no_answer", Script::usual().then(Fault::Reset(At::Byte(0)))),
            ("truncated", Script::usual().then(Fault::Reset(At::Chunk(3)))),
            ("truncated", Script::usual().then(Fault::Close(At::Chunk(3)))),
            ("timeout", Script::usual().then(Fault::Stall(At::Chunk(3)))),
            ("no_end_mark", Script::usual().then(Fault::EndEarly(3))),
            ("error_event", Script::usual().then(Fault::ErrorEvent(3))),
            ("wrong_content", Script::words(19)),
            ("status_503", Script::refusal(Refusal::Unavailable { retry_after: None })),
        ];
        for (name, script) in faults {
            let told = outcome(script.clone()).await;
            assert_eq!(told["failures"], serde_json::json!({ name: 1 }), "{script:?}");
        }
        let told = outcome(Script::usual()).await;
        assert_eq!((&told["good"], &told["failed"], &told["events"]), (&1.into(), &0.into(), &23.into()));
    }
}
