//! What is sent: URL, headers and body, made into bytes once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::Uri;

/// Replaced in bodies by the request's number.
const NUMBER: &str = "{{n}}";

/// The request, as options.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct RequestOptions {
    /// Where to send, e.g. `http://127.0.0.1:8080/v1/chat/completions`; loopback only.
    #[arg(long)]
    url: String,
    /// `name: value`, repeatable.
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// A file with the body; `{{n}}` in it becomes the request's number. A chat request without it.
    #[arg(long)]
    body: Option<PathBuf>,
    /// Model of the chat request that is sent without `--body`.
    #[arg(long, default_value = "gpt-5-mini")]
    model: String,
    /// Bytes of its prompt.
    #[arg(long, default_value_t = 1024)]
    prompt_bytes: usize,
}

impl RequestOptions {
    pub(crate) fn template(&self) -> Result<Template> {
        let body = match &self.body {
            Some(file) => {
                std::fs::read_to_string(file).with_context(|| format!("body {}", file.display()))?
            }
            None => chat_body(&self.model, self.prompt_bytes),
        };
        let headers = self.headers.iter().map(|header| split_header(header)).collect::<Result<Vec<_>>>()?;
        Template::new(&self.url, headers, body)
    }
}

/// A chat request with a prompt of that size.
pub(crate) fn chat_body(model: &str, prompt_bytes: usize) -> String {
    let prompt = "Say it again. ".repeat(prompt_bytes / 14 + 1);
    let body = serde_json::json!({
        "model": model,
        "messages": [{ "role": "user", "content": prompt[..prompt_bytes] }],
    });
    body.to_string()
}

fn split_header(header: &str) -> Result<(String, String)> {
    let (name, value) = header.split_once(':').with_context(|| format!("header {header:?}: no colon"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// A request ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) addr: SocketAddr,
    pub(crate) uri: Uri,
    pub(crate) headers: Vec<(String, String)>,
    plain: Form,
    streamed: Form,
}

/// One form of the body.
#[derive(Clone, Debug)]
struct Form {
    body: String,
    /// Head and body for HTTP/1.1, when no number goes in.
    wire: Option<Bytes>,
}

impl Template {
    pub(crate) fn new(url: &str, headers: Vec<(String, String)>, body: String) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("url {url}"))?;
        ensure!(uri.scheme_str() == Some("http"), "url {url}: only http is spoken");
        let host = uri.host().with_context(|| format!("url {url}: no host"))?;
        let ip = match host {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            literal => literal.parse().with_context(|| format!("url {url}: the host must be an address"))?,
        };
        let IpAddr::V4(v4) = ip else { bail!("url {url}: only 127.0.0.0/8 is loaded") };
        ensure!(v4.is_loopback(), "url {url}: only 127.0.0.0/8 is loaded");
        let addr = SocketAddr::new(ip, uri.port_u16().unwrap_or(80));
        let streamed = ask_for_stream(&body)?;
        let form = |body: String| {
            let wire = (!body.contains(NUMBER)).then(|| wire(&uri, addr, &headers, &body));
            Form { body, wire }
        };
        let (plain, streamed) = (form(body), form(streamed));
        Ok(Self { addr, plain, streamed, uri, headers })
    }

    /// Head and body for HTTP/1.1.
    pub(crate) fn wire(&self, number: u64, stream: bool) -> Bytes {
        let form = self.form(stream);
        match &form.wire {
            Some(wire) => wire.clone(),
            None => {
                wire(&self.uri, self.addr, &self.headers, &form.body.replace(NUMBER, &number.to_string()))
            }
        }
    }

    /// The body alone.
    pub(crate) fn body(&self, number: u64, stream: bool) -> Bytes {
        self.form(stream).body.replace(NUMBER, &number.to_string()).into()
    }

    fn form(&self, stream: bool) -> &Form {
        if stream { &self.streamed } else { &self.plain }
    }
}

/// The body with `"stream": true` as its first member; a body that says it already stays.
fn ask_for_stream(body: &str) -> Result<String> {
    let rest = body.trim_start().strip_prefix('{').context("the body is no JSON object")?;
    if body.contains("\"stream\"") {
        return Ok(body.to_owned());
    }
    Ok(format!("{{\"stream\":true,{rest}"))
}

fn wire(uri: &Uri, addr: SocketAddr, headers: &[(String, String)], body: &str) -> Bytes {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut wire = format!("POST {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        wire.push_str(&format!("{name}: {value}\r\n"));
    }
    wire.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    wire.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loaded() {
        let cases = [
            ("http://127.0.0.1:8080/v1", true),
            ("http://127.9.9.9/v1", true),
            ("http://localhost:1/", true),
            ("http://10.0.0.1/", false),
            ("http://example.com/", false),
            ("http://[::1]:80/", false),
            ("https://127.0.0.1/", false),
        ];
        for (url, want) in cases {
            assert_eq!(Template::new(url, Vec::new(), "{}".into()).is_ok(), want, "{url}");
        }
    }

    #[test]
    fn numbers_go_into_bodies_and_lengths_follow() {
        let template = Template::new("http://127.0.0.1:1/p", Vec::new(), r#"{"user":"u{{n}}"}"#.into())
            .expect("a template");
        for (number, length) in [(7, 13), (1234, 16)] {
            let wire = String::from_utf8(template.wire(number, false).to_vec()).expect("text");
            assert!(
                wire.ends_with(&format!("content-length: {length}\r\n\r\n{{\"user\":\"u{number}\"}}")),
                "{wire}"
            );
        }
        assert_eq!(&template.body(1, true)[..], br#"{"stream":true,"user":"u1"}"#);
    }
}
