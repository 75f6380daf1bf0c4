//! One attempt to deliver one alert.

use std::sync::Arc;

use axum::body::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use tollgate_domain::UnixMillis;
use tollgate_proxy::post;

use super::{
    book::{Alert, Tried},
    webhook::Webhook,
};

/// An alert on its way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) webhook: Arc<Webhook>,
    pub(super) alert: Alert,
    /// 1 for the first attempt.
    pub(super) attempt: u32,
}

/// Sends a letter. Takes no longer than the webhook's timeout, whatever the receiver does.
///
/// # Cancel safety
/// The receiver may have taken the letter; it will be sent again under the same id.
pub(super) async fn deliver(letter: &Letter, now: UnixMillis) -> Tried {
    let failed = |status, error: String| Tried::Failed { status, error };
    let webhook = &letter.webhook;
    let Some(request) = request(letter, now) else {
        return failed(None, "the address cannot stand in a request".to_owned());
    };
    let sent = post(&webhook.origin, webhook.tls.as_ref(), request);
    match tokio::time::timeout(webhook.timeout, sent).await {
        Err(_) => failed(None, format!("no answer within {} s", webhook.timeout.as_secs())),
        Ok(Err(error)) => failed(None, error.to_string()),
        Ok(Ok(status)) if status.is_success() => Tried::Taken { status: status.as_u16() },
        Ok(Ok(status)) => failed(Some(status.as_u16()), format!("the receiver answered {status}")),
    }
}

fn request(letter: &Letter, now: UnixMillis) -> Option<Request<Full<Bytes>>> {
    let Letter { webhook, alert, attempt } = letter;
    let body = serde_json::to_vec(&alert.body).ok()?;
    let mut host = HeaderValue::from_str(&webhook.origin.authority()).ok()?;
    host.set_sensitive(true);
    Request::post(webhook.target.expose())
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .header("x-tollgate-event", alert.kind.as_str())
        .header("x-tollgate-event-id", &alert.id)
        .header("x-tollgate-attempt", *attempt)
        .header("x-tollgate-signature", webhook.signature(&body, now))
        .body(Full::new(body.into()))
        .ok()
}
