//! One connection to an upstream, driven by the exchange that uses it.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::TokioIo;

use super::{
    connect::{ConnectError, connect},
    io::{BytesRead, UpstreamIo},
};
use crate::{
    drill::{Disturbance, Verdict},
    listen::LocalExec,
    snapshot::Upstream,
};

/// The body of an upstream request: held whole, so that it can be sent again elsewhere.
pub(crate) type RequestBody = Full<Bytes>;

/// Responses with a larger head are broken or hostile.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// A connection that a request can be sent on.
pub(crate) enum Connection {
    H1(Box<H1>),
    H2(http2::SendRequest<RequestBody>),
}

/// An HTTP/1.1 connection with its driver, which nobody else polls.
pub(crate) struct H1 {
    sender: http1::SendRequest<RequestBody>,
    driver: http1::Connection<TokioIo<UpstreamIo>, RequestBody>,
    /// The driver has ended and must not be polled again.
    ended: bool,
    read: BytesRead,
    /// When it was given back to the pool; `None` until its first request has ended.
    pub(super) idle_since: Option<Instant>,
}

/// Why no response head came.
#[derive(Debug)]
pub(crate) enum SendFailure {
    /// Not a byte was processed: it is safe, and free, to send the request again.
    Unprocessed,
    /// The connection broke before a response; the request may have been worked on.
    Broken,
    /// What came back is not HTTP.
    Protocol,
}

/// A connection in the middle of an exchange: drives the connection while its body is read.
pub(crate) struct Exchange {
    connection: Connection,
    /// What a drill does to the body.
    disturbance: Option<Box<Disturbance>>,
}

impl Connection {
    pub(super) async fn open(upstream: &Upstream) -> Result<Self, ConnectError> {
        let io = UpstreamIo::new(connect(&upstream.origin, &upstream.timeouts, upstream.tls.as_ref()).await?);
        if upstream.http2 {
            let (sender, driver) = http2::Builder::new(LocalExec)
                .handshake(TokioIo::new(io))
                .await
                .map_err(|_| ConnectError::Http)?;
            tokio::task::spawn_local(async move {
                // Its end shows in the sender; there is nobody to tell the error to.
                let _ = driver.await;
            });
            return Ok(Self::H2(sender));
        }
        let read = io.bytes_read();
        let (sender, driver) = http1::Builder::new()
            // About 1 KiB a message: one flat buffer is cheaper than gathering.
            .writev(false)
            .max_header_size(MAX_HEAD)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|_| ConnectError::Http)?;
        Ok(Self::H1(Box::new(H1 { sender, driver, ended: false, read, idle_since: None })))
    }

    /// Sends a request and waits for the head of the response, driving the connection meanwhile.
    ///
    /// # Cancel safety
    /// The connection is of no use once the future was dropped: drop it too, and the upstream sees
    /// it close.
    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendFailure>> {
        match self {
            Self::H1(h1) => Either::Left(h1.send(request)),
            // Boxed: one pointer where the usual protocol needs no more.
            Self::H2(sender) => Either::Right(Box::pin(send_h2(sender, request))),
        }
    }
}

impl H1 {
    /// A plain function that gives a future: the request goes into hyper's hands at once and is not
    /// carried along.
    fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendFailure>> {
        let reused = self.idle_since.is_some();
        let read_before = self.read.get();
        let response = self.sender.try_send_request(request);
        let (driver, ended, read) = (&mut self.driver, &mut self.ended, &self.read);
        async move {
            let mut response = std::pin::pin!(response);
            let outcome = poll_fn(|cx| {
                if let Poll::Ready(done) = response.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                drive(driver, ended, cx);
                response.as_mut().poll(cx)
            })
            .await;
            outcome.map_err(|error| failure(&error, reused && read.get() == read_before))
        }
    }

    /// Drives the connection one step.
    fn poll(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, &mut self.ended, cx);
    }

    /// True when another request can be sent on it.
    pub(super) fn poll_reusable(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll(cx);
        !self.ended && self.sender.is_ready()
    }
}

fn drive(
    driver: &mut http1::Connection<TokioIo<UpstreamIo>, RequestBody>,
    ended: &mut bool,
    cx: &mut Context<'_>,
) {
    if !*ended {
        // An error reaches whoever waits for the response or reads its body.
        *ended = Pin::new(driver).poll(cx).is_ready();
    }
}

fn failure<B>(error: &TrySendError<B>, untouched: bool) -> SendFailure {
    let cause = error.error();
    if error.message().is_some() || untouched && !cause.is_parse() {
        SendFailure::Unprocessed
    } else if cause.is_parse() {
        SendFailure::Protocol
    } else {
        SendFailure::Broken
    }
}

async fn send_h2(
    sender: &mut http2::SendRequest<RequestBody>,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, SendFailure> {
    if sender.ready().await.is_err() {
        return Err(SendFailure::Unprocessed);
    }
    sender.try_send_request(request).await.map_err(|error| {
        let refused = h2_reason(error.error()).is_some_and(|reason| reason == h2::Reason::REFUSED_STREAM);
        failure(&error, refused)
    })
}

fn h2_reason(error: &hyper::Error) -> Option<h2::Reason> {
    std::error::Error::source(error)?.downcast_ref::<h2::Error>()?.reason()
}

impl Exchange {
    pub(crate) const fn new(connection: Connection, disturbance: Option<Box<Disturbance>>) -> Self {
        Self { connection, disturbance }
    }

    /// The stream has become the client's answer.
    pub(crate) fn committed(&mut self) {
        if let Some(disturbance) = &mut self.disturbance {
            disturbance.committed();
        }
    }

    /// Reads the next frame of the response body, driving the connection as far as it goes.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        let Some(disturbance) = &mut self.disturbance else { return self.poll_undisturbed(body, cx) };
        match ready!(disturbance.poll_next(cx)) {
            Verdict::Ends => Poll::Ready(None),
            Verdict::Goes => {
                let polled = self.poll_undisturbed(body, cx);
                if let (Poll::Ready(_), Some(disturbance)) = (&polled, &mut self.disturbance) {
                    disturbance.came();
                }
                polled
            }
        }
    }

    fn poll_undisturbed(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        use http_body::Body as _;
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if let Connection::H1(h1) = &mut self.connection {
            h1.poll(cx);
            return Pin::new(body).poll_frame(cx);
        }
        Poll::Pending
    }

    /// The connection, once its response was read to the end and if it can serve another request.
    pub(crate) fn poll_release(mut self, cx: &mut Context<'_>) -> Option<Connection> {
        let reusable = match &mut self.connection {
            _ if self.disturbance.as_ref().is_some_and(|disturbance| disturbance.has_ended()) => false,
            Connection::H1(h1) => h1.poll_reusable(cx),
            Connection::H2(_) => false,
        };
        reusable.then_some(self.connection)
    }
}
