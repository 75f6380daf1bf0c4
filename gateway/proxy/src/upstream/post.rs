//! A single message to somebody who is no provider: for what the gateway has to tell or to ask, outside
//! of the way of a request.
//!
//! Resolution, the check of the address and TLS are those of upstreams. One connection, one request;
//! redirects are not followed, and of the answer no more is read than the caller asks for, so that a
//! receiver can hold up nothing and fill nothing.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;

use super::{
    connect::ConnectError, connect::connect, connection::MAX_HEAD, credential::Origin, io::UpstreamIo,
};
use crate::snapshot::Timeouts;

/// Sends a request to this origin and gives the status of the answer. `tls` is needed where the
/// origin is https.
///
/// Has no bound on the whole: the caller puts one around it.
///
/// # Errors
/// No connection, or no answer on it; whether the message was taken is then unknown.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn post(
    origin: &Origin,
    tls: Option<&Arc<ClientConfig>>,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, PostError> {
    converse(origin, tls, request, None).await.map(|answer| answer.status)
}

/// Sends a request to this origin and gives the answer, whose body has at most `most` bytes. As
/// [`post`] otherwise.
///
/// # Errors
/// No connection, no answer on it, or one that is too long.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn fetch(
    origin: &Origin,
    tls: Option<&Arc<ClientConfig>>,
    request: Request<Full<Bytes>>,
    most: usize,
) -> Result<Fetched, PostError> {
    converse(origin, tls, request, Some(most)).await
}

/// Opens a connection to this origin, with TLS where it is https, and closes it again.
///
/// # Errors
/// No connection.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(crate) async fn reach(
    origin: &Origin,
    timeouts: &Timeouts,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<(), ConnectError> {
    connect(origin, timeouts, tls).await.map(drop)
}

/// An answer that was fetched.
pub struct Fetched {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body. It may hold secrets, and it has no `Debug` for that reason.
    pub body: Bytes,
}

impl Fetched {
    /// When to come back, where it says so in seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// `most` is what is read of the body; without it, nothing is.
async fn converse(
    origin: &Origin,
    tls: Option<&Arc<ClientConfig>>,
    request: Request<Full<Bytes>>,
    most: Option<usize>,
) -> Result<Fetched, PostError> {
    let socket = connect(origin, &Timeouts::default(), tls).await?;
    let handshake =
        http1::Builder::new().max_header_size(MAX_HEAD).handshake(TokioIo::new(UpstreamIo::new(socket)));
    let (mut sender, connection) = handshake.await.map_err(|_| PostError::Broken)?;
    let mut answer = pin!(async {
        let answer = sender.send_request(request).await.map_err(|_| PostError::Broken)?;
        let (head, body) = answer.into_parts();
        let body = match most {
            None => Bytes::new(),
            Some(most) => {
                let whole = Limited::new(body, most).collect().await;
                whole.map_err(|_| PostError::Broken)?.to_bytes()
            }
        };
        Ok(Fetched { status: head.status, headers: head.headers, body })
    });
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // Its end decides the answer too.
        _ = connection => answer.await,
    }
}

/// Why there is no answer. Names no host: addresses of receivers may hold secrets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PostError {
    /// No connection came about.
    #[error("no connection: {0}")]
    Connect(#[from] ConnectError),
    /// The connection broke, or what came back is not HTTP or longer than it may be.
    #[error("the connection broke before an answer")]
    Broken,
}
