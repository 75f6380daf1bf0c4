//! A receiver of records, and one message to it.

use std::{fmt, sync::Arc, time::Duration};

use axum::body::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use rustls::ClientConfig;
use tollgate_proxy::{Fetched, Origin, PostError, fetch};
use tollgate_telemetry::otlp::{Sender, rejected};

/// So much of an answer is read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Who gets records.
pub struct Receiver {
    /// Where it is.
    pub origin: Origin,
    /// What stands before the path of each signal.
    pub base_path: String,
    /// More headers; their values are secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// TLS towards it, when its address is https.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long a message may take.
    pub timeout: Duration,
    /// It is told of requests.
    pub traces: bool,
    /// How often it is told figures; `None` is never.
    pub metrics_every: Option<Duration>,
    /// What is the same in all records.
    pub sender: Sender,
}

impl fmt::Debug for Receiver {
    /// Without the headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What came of a message. The words are for the log and name nobody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    /// Taken, but for so many records.
    Taken { rejected: u64 },
    /// It will never be taken.
    Refused(&'static str),
    /// It may be taken later, and after so long if that is said.
    Later(&'static str, Option<Duration>),
}

impl Receiver {
    /// Sends a message. Takes no longer than the receiver's timeout, whatever it does.
    ///
    /// # Cancel safety
    /// The receiver may have taken the message.
    pub(super) async fn send(&self, path: &str, body: Bytes) -> Sent {
        let Some(request) = self.request(path, body) else {
            return Sent::Refused("the address cannot stand in a request");
        };
        let answer = fetch(&self.origin, self.tls.as_ref(), request, LONGEST_ANSWER);
        match tokio::time::timeout(self.timeout, answer).await {
            Err(_) => Sent::Later("no answer in time", None),
            Ok(Err(PostError::Connect(_))) => Sent::Later("no connection", None),
            Ok(Err(PostError::Broken)) => Sent::Later("no answer that can be read", None),
            Ok(Ok(answer)) => judged(&answer),
        }
    }

    fn request(&self, path: &str, body: Bytes) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::post(format!("{}{path}", self.base_path))
            .header(header::HOST, self.origin.authority())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body)).ok()
    }
}

/// By OTLP's rules: four statuses may be tried again, and no other.
fn judged(answer: &Fetched) -> Sent {
    match answer.status {
        status if status.is_success() => Sent::Taken { rejected: rejected(&answer.body) },
        StatusCode::TOO_MANY_REQUESTS => Sent::Later("it is asked too often (429)", answer.retry_after()),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Sent::Later("it is not available (502, 503 or 504)", answer.retry_after())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Sent::Refused("it does not know us (401 or 403)"),
        StatusCode::NOT_FOUND => Sent::Refused("it has no such path (404)"),
        status if status.is_server_error() => Sent::Refused("it fails (5xx)"),
        _ => Sent::Refused("it refuses the message"),
    }
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn only_what_may_be_taken_later_is_tried_again() {
        let answer = |status: u16, wait: Option<u64>| Fetched {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: wait.map(|seconds| (RETRY_AFTER, seconds.into())).into_iter().collect(),
            body: Bytes::from_static(b"\xff\xff no protobuf"),
        };
        assert_eq!(judged(&answer(200, None)), Sent::Taken { rejected: 0 });
        for status in [429, 502, 503, 504] {
            let wait = Some(Duration::from_secs(9));
            assert!(
                matches!(judged(&answer(status, Some(9))), Sent::Later(_, told) if told == wait),
                "{status}"
            );
        }
        for status in [301, 400, 401, 404, 413, 500, 501] {
            assert!(matches!(judged(&answer(status, None)), Sent::Refused(_)), "{status}");
        }
    }
}
