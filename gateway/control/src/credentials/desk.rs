//! Somebody who hands out credentials, at one address that configuration or the machine's maker has
//! fixed. Redirects are not followed, and an answer has a bound in size and time.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use rustls::ClientConfig;
use tollgate_domain::Secret;
use tollgate_proxy::{Origin, fetch};

use super::Trouble;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);
/// A longer answer is no credential.
const LONGEST: usize = 64 << 10;

/// An address that credentials are asked of.
#[derive(Clone)]
pub struct Desk {
    /// Where it is.
    pub origin: Origin,
    /// TLS towards it, when it is https.
    pub tls: Option<Arc<ClientConfig>>,
    /// Path and query.
    pub target: String,
}

/// A header to send; its value may be a secret.
pub(super) type Header<'a> = (&'static str, &'a str);

impl Desk {
    /// The same desk with another path.
    pub(super) fn at(&self, target: impl Into<String>) -> Self {
        Self { target: target.into(), ..self.clone() }
    }

    /// What people are told of it.
    pub(super) fn place(&self) -> String {
        self.origin.authority()
    }

    pub(super) async fn get(&self, headers: &[Header<'_>]) -> Result<Bytes, Trouble> {
        self.ask(Method::GET, headers, String::new()).await
    }

    pub(super) async fn put(&self, headers: &[Header<'_>]) -> Result<Bytes, Trouble> {
        self.ask(Method::PUT, headers, String::new()).await
    }

    /// Posts a form.
    pub(super) async fn post(&self, pairs: &[(&str, &str)]) -> Result<Bytes, Trouble> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
        self.ask(Method::POST, &headers, form).await
    }

    async fn ask(&self, method: Method, headers: &[Header<'_>], body: String) -> Result<Bytes, Trouble> {
        let request = self.request(method, headers, body).ok_or_else(|| Trouble::Unreadable {
            place: self.place(),
            what: "characters that cannot stand in a request",
        })?;
        let asked = fetch(&self.origin, self.tls.as_ref(), request, LONGEST);
        let answer = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| Trouble::Slow(self.place()))?;
        let answer = answer.map_err(|error| Trouble::Unreachable { place: self.place(), error })?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(Trouble::Refused {
            place: self.place(),
            status: answer.status.as_u16(),
            code: error_name(&answer.body).map_or_else(String::new, |name| format!(" ({name})")),
        })
    }

    fn request(&self, method: Method, headers: &[Header<'_>], body: String) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(&self.target)
            .header(header::HOST, self.origin.authority())
            .header(header::USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        request.body(Full::new(Bytes::from(body))).ok()
    }
}

/// The name of an error (`invalid_client`, `AccessDenied`) where an answer has one. Longer texts may
/// repeat what was sent, so that they are not told.
fn error_name(body: &[u8]) -> Option<String> {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let member = |name: &str| Some(json.as_ref()?.get(name)?.as_str()?.to_owned());
    let name = member("error")
        .or_else(|| member("code"))
        .or_else(|| between(std::str::from_utf8(body).ok()?, "<Code>", "</Code>").map(str::to_owned))?;
    let is_name = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

/// The text between two marks.
pub(super) fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(inner, _)| inner)
}

/// A member of a JSON answer that must be a text and not empty.
pub(super) fn text(json: &serde_json::Value, name: &str) -> Option<Secret> {
    let text = json.get(name)?.as_str()?;
    (!text.is_empty()).then(|| Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_name_is_told_and_no_longer_text() {
        let cases: [(&[u8], Option<&str>); 5] = [
            (
                br#"{"error":"invalid_client","error_description":"secret abc is wrong"}"#,
                Some("invalid_client"),
            ),
            (br#"{"code":"NotAuthorized"}"#, Some("NotAuthorized")),
            (b"<Error><Code>AccessDenied</Code></Error>", Some("AccessDenied")),
            (br#"{"error":"the token eyJ... is wrong"}"#, None),
            (b"\xff", None),
        ];
        for (body, name) in cases {
            assert_eq!(error_name(body).as_deref(), name);
        }
    }
}
