//! HTTP/2 by hyper. Faults are those that HTTP/2 has: a stream reset, a lost connection, silence.

use std::convert::Infallible;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming as RequestBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::Socket;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Sleep};

use super::at_phase;
use crate::answer::{How, Plan};
use crate::book::{Entry, Outcome};
use crate::request::Protocol;
use crate::server::{Phase, Shared};
use crate::{Framing, Incoming};

/// Serves a connection that speaks HTTP/2 from its first byte.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, mut phase: watch::Receiver<Phase>) {
    // hyper owns the stream; a second handle on the same socket can still choose RST over FIN.
    let Ok(handle) = stream.as_fd().try_clone_to_owned() else { return };
    let handle = Socket::from(handle);
    let lost = Arc::new(Notify::new());
    let service = {
        let (shared, lost) = (shared.clone(), lost.clone());
        service_fn(move |request| answer(request, shared.clone(), lost.clone()))
    };
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_concurrent_streams(10_000);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut aborted = phase.clone();
    let mut draining = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = lost.notified() => break,
            () = at_phase(&mut aborted, Phase::Aborted) => break,
            () = at_phase(&mut phase, Phase::Draining), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
    let _ = handle.set_linger(Some(Duration::ZERO));
}

/// The answer broke off as its script said. hyper turns it into a stream reset.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("scripted stream reset")
    }
}

impl std::error::Error for Broken {}

async fn answer(
    request: Request<RequestBody>,
    shared: Arc<Shared>,
    lost: Arc<Notify>,
) -> Result<Response<PlannedBody>, Box<dyn std::error::Error + Send + Sync>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let incoming = Incoming::new(Protocol::Http2, parts.method.as_str(), path, headers, body);
    let (plan, entry) = shared.answer(&incoming);
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let mut body = PlannedBody::new(plan, entry, lost);
    if body.left == Some(0) {
        body.fault().await?;
    }
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(body.plan.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &body.plan.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value.as_ref()))
        {
            response.headers_mut().append(name, value);
        }
    }
    if body.plan.framing == Framing::Length {
        let length = body.plan.body.len() as u64 + body.plan.promised;
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
    }
    if incoming.method == "HEAD" {
        body.next = body.plan.pieces.len();
    }
    Ok(response.map(|()| body))
}

/// The planned body as HTTP/2 frames, one a piece.
struct PlannedBody {
    plan: Plan,
    entry: Option<Entry>,
    lost: Arc<Notify>,
    /// The next piece.
    next: usize,
    /// Body bytes given out.
    sent: usize,
    /// Body bytes to the break.
    left: Option<u64>,
    pause: Option<Pin<Box<Sleep>>>,
    /// When the last pause was over, as planned.
    due: Instant,
}

impl PlannedBody {
    fn new(plan: Plan, entry: Option<Entry>, lost: Arc<Notify>) -> Self {
        let left = plan.breaks.and_then(|fault| fault.at);
        Self { plan, entry, lost, next: 0, sent: 0, left, pause: None, due: Instant::now() }
    }

    /// The planned break, waited for to its end.
    async fn fault(&mut self) -> Result<Infallible, Broken> {
        std::future::poll_fn(|_| self.poll_fault()).await
    }

    fn poll_fault(&mut self) -> Poll<Result<Infallible, Broken>> {
        match self.plan.breaks.map(|fault| fault.how) {
            Some(How::Stall) => return Poll::Pending,
            Some(How::Close) => self.lost.notify_one(),
            Some(How::Reset) | None => {}
        }
        self.close(Outcome::Faulted);
        Poll::Ready(Err(Broken))
    }

    fn close(&mut self, outcome: Outcome) {
        if let Some(mut entry) = self.entry.take() {
            entry.sent(self.sent, self.plan.words_within(self.sent));
            entry.close(outcome);
        }
    }

    /// The next piece, at most up to the planned break.
    fn take(&mut self, mut end: usize) -> Bytes {
        self.next += 1;
        if let Some(left) = &mut self.left {
            let room = usize::try_from(*left).unwrap_or(usize::MAX);
            end = end.min(self.sent.saturating_add(room));
            *left -= (end - self.sent) as u64;
        }
        let bytes = Bytes::copy_from_slice(&self.plan.body[self.sent..end]);
        self.sent = end;
        bytes
    }
}

impl Body for PlannedBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        if this.left == Some(0) {
            return this.poll_fault().map(|Err(broken)| Some(Err(broken)));
        }
        let Some(cut) = this.plan.pieces.get(this.next).copied() else {
            if this.plan.breaks.is_some_and(|fault| fault.at.is_none()) {
                return this.poll_fault().map(|Err(broken)| Some(Err(broken)));
            }
            this.close(Outcome::Whole);
            return Poll::Ready(None);
        };
        if !cut.pause.is_zero() {
            let pause = this.pause.get_or_insert_with(|| {
                this.due = (this.due + cut.pause).max(Instant::now());
                Box::pin(tokio::time::sleep_until(this.due))
            });
            ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        Poll::Ready(Some(Ok(Frame::data(this.take(cut.end)))))
    }
}

impl Drop for PlannedBody {
    fn drop(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.sent(self.sent, self.plan.words_within(self.sent));
        }
    }
}
