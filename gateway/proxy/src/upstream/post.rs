//! A single message to somebody who is no provider: for what the gateway has to tell, outside of
//! the way of a request.
//!
//! Resolution, the check of the address and TLS are those of upstreams. One connection, one request;
//! redirects are not followed, and of the answer only the status is read, so that a receiver can hold
//! up nothing and fill nothing.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
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
    let socket = connect(origin, &Timeouts::default(), tls).await?;
    let handshake =
        http1::Builder::new().max_header_size(MAX_HEAD).handshake(TokioIo::new(UpstreamIo::new(socket)));
    let (mut sender, connection) = handshake.await.map_err(|_| PostError::Broken)?;
    let mut answer = pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        // Its end decides the answer too.
        _ = connection => answer.await,
    };
    answer.map(|answer| answer.status()).map_err(|_| PostError::Broken)
}

/// Why there is no answer. Names no host: addresses of receivers may hold secrets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PostError {
    /// No connection came about.
    #[error("no connection: {0}")]
    Connect(#[from] ConnectError),
    /// The connection broke, or what came back is not HTTP.
    #[error("the connection broke before an answer")]
    Broken,
}
