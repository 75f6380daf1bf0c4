//! A small client of the admin API: one connection per call, plain HTTP.

use std::{env, fs, io, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tollgate_domain::Secret;
use url::Url;

use super::output;

const CONNECT: Duration = Duration::from_secs(5);
/// The longest silence, before the answer and within it; a month's usage may take a while.
const SILENCE: Duration = Duration::from_secs(120);
const LARGEST_ANSWER: usize = 256 << 20;

/// Where the admin API is. The token comes from `TOLLGATE_TOKEN` or `TOLLGATE_TOKEN_FILE` only: an
/// argument would stand in the process list.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerArgs {
    /// Base URL of the admin API; the token comes from TOLLGATE_TOKEN or TOLLGATE_TOKEN_FILE.
    #[arg(long, env = "TOLLGATE_SERVER", default_value = "http://127.0.0.1:9090", value_name = "URL")]
    pub(super) server: String,
}

/// A gateway's admin API, as seen from the command line.
pub(super) struct Client {
    origin: Url,
    token: Option<Secret>,
}

/// A status and the whole body that came with it.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Client {
    /// A client with the token of the environment.
    pub(super) fn new(args: &ServerArgs) -> Result<Self> {
        let token = token(|name| env::var(name).ok())?;
        Ok(Self { origin: origin(&args.server)?, token })
    }

    /// Reads JSON from `/api/v1` and the path's segments.
    pub(super) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value> {
        let url = self.url(&["api", "v1"], path, query);
        self.json(&self.exchange(Method::GET, &url, Bytes::new())?)
    }

    /// Sends JSON to `/api/v1` and the path's segments, and reads JSON.
    pub(super) fn post(&self, path: &[&str], body: &impl serde::Serialize) -> Result<Value> {
        let url = self.url(&["api", "v1"], path, &[]);
        self.json(&self.exchange(Method::POST, &url, serde_json::to_vec(body)?.into())?)
    }

    /// Sends a text to `/api/v1` and the path's segments, and reads JSON.
    pub(super) fn post_text(&self, path: &[&str], text: Vec<u8>) -> Result<Value> {
        let url = self.url(&["api", "v1"], path, &[]);
        self.json(&self.exchange(Method::POST, &url, text.into())?)
    }

    /// Reads a path at the root, whatever its status.
    pub(super) fn probe(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer> {
        let url = self.url(&[], &[path], query);
        self.exchange(Method::GET, &url, Bytes::new())
    }

    /// Copies a file from `/api/v1` and the path's segments into `out`; returns the bytes copied.
    ///
    /// A connection that breaks in the middle is an error, and so is an interrupt: half a file never
    /// looks whole, and whoever asked for it can take it away.
    pub(super) fn download(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        out: &mut dyn io::Write,
    ) -> Result<u64> {
        let url = self.url(&["api", "v1"], path, query);
        let copy = async {
            let (status, mut body) = self.open(Method::GET, &url, Bytes::new()).await?;
            if status != StatusCode::OK {
                let body = collect(body).await?;
                return Err(failure(&Answer { status, body }, self.token.is_some()));
            }
            let mut copied = 0;
            while let Some(chunk) = next_chunk(&mut body).await? {
                out.write_all(&chunk).map_err(output::write_error)?;
                copied += chunk.len() as u64;
            }
            out.flush().map_err(output::write_error)?;
            Ok(copied)
        };
        runtime()?.block_on(async {
            tokio::select! {
                copied = copy => copied,
                stopped = interrupt() => Err(stopped.err().map_or_else(|| anyhow!("interrupted"), Into::into)),
            }
        })
    }

    fn exchange(&self, method: Method, url: &Url, body: Bytes) -> Result<Answer> {
        runtime()?.block_on(async {
            let (status, body) = self.open(method, url, body).await?;
            Ok(Answer { status, body: collect(body).await? })
        })
    }

    fn json(&self, answer: &Answer) -> Result<Value> {
        if !answer.status.is_success() {
            return Err(failure(answer, self.token.is_some()));
        }
        serde_json::from_slice(&answer.body).with_context(|| {
            format!("the server's {} answer is no JSON: is it a Tollgate admin API?", answer.status)
        })
    }

    async fn open(&self, method: Method, url: &Url, body: Bytes) -> Result<(StatusCode, Incoming)> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let unreachable = || {
            format!(
                "cannot reach the admin API at {}; is the gateway running? --server or TOLLGATE_SERVER says where",
                self.origin
            )
        };
        let address = (host.trim_start_matches('[').trim_end_matches(']'), port);
        let stream = timeout(CONNECT, TcpStream::connect(address))
            .await
            .map_err(|_| anyhow!("no connection within {} s", CONNECT.as_secs()))
            .and_then(|connected| connected.map_err(Into::into))
            .with_context(unreachable)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(unreachable)?;
        tokio::spawn(connection);
        let request = self.request(method, url, body)?;
        let response = timeout(SILENCE, sender.send_request(request))
            .await
            .map_err(|_| anyhow!("no answer within {} s", SILENCE.as_secs()))
            .and_then(|answered| answered.map_err(Into::into))
            .with_context(unreachable)?;
        let (head, body) = response.into_parts();
        Ok((head.status, body))
    }

    fn request(&self, method: Method, url: &Url, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, url.authority())
            .header(header::USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            let mut bearer = http::HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| anyhow!("the token has characters that no header takes"))?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        Ok(request.body(Full::new(body))?)
    }

    fn url(&self, root: &[&str], path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.origin.clone();
        url.path_segments_mut()
            .expect("an http URL has a path")
            .pop_if_empty()
            .extend(root.iter().chain(path));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Resolves when the user or the system wants the command to end.
async fn interrupt() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

async fn next_chunk(body: &mut Incoming) -> Result<Option<Bytes>> {
    loop {
        let frame =
            timeout(SILENCE, body.frame()).await.map_err(|_| anyhow!("the answer stopped in the middle"))?;
        match frame.transpose().context("the answer broke off")? {
            None => return Ok(None),
            // Trailers say nothing that a file needs.
            Some(frame) => {
                if let Ok(chunk) = frame.into_data() {
                    return Ok(Some(chunk));
                }
            }
        }
    }
}

async fn collect(mut body: Incoming) -> Result<Bytes> {
    let mut whole = Vec::new();
    while let Some(chunk) = next_chunk(&mut body).await? {
        if whole.len() + chunk.len() > LARGEST_ANSWER {
            bail!("the answer is larger than {} MiB", LARGEST_ANSWER >> 20);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

/// The problem that the server describes, in one line.
fn failure(answer: &Answer, sent_token: bool) -> anyhow::Error {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let hint = match answer.status {
        StatusCode::UNAUTHORIZED if !sent_token => "; set TOLLGATE_TOKEN or TOLLGATE_TOKEN_FILE",
        _ => "",
    };
    let errors = problem["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let errors: String = errors.map(|error| format!("\n{error}")).collect();
    match (problem["detail"].as_str(), problem["code"].as_str()) {
        (Some(detail), Some("unsupported_operation")) => anyhow!("not available yet: {detail}"),
        (Some(detail), Some(code)) => anyhow!("{detail} ({code}){hint}{errors}"),
        _ => anyhow!("the server answered {}{hint}", answer.status),
    }
}

fn origin(server: &str) -> Result<Url> {
    let url = Url::parse(server).ok().filter(Url::has_host);
    let Some(url) = url else { bail!("{server:?} is no URL: write it as http://127.0.0.1:9090") };
    match url.scheme() {
        "http" => Ok(url),
        "https" => bail!(
            "not available yet: the admin API over https; reach it by http, for example through an SSH tunnel"
        ),
        other => bail!("the admin API is reached by http, not by {other}"),
    }
}

fn token(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Secret>> {
    let set = |name| lookup(name).filter(|value| !value.is_empty());
    if let Some(token) = set("TOLLGATE_TOKEN") {
        return Ok(Some(Secret::new(token)));
    }
    let Some(file) = set("TOLLGATE_TOKEN_FILE") else { return Ok(None) };
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read TOLLGATE_TOKEN_FILE {file}"))?;
    Ok(Some(Secret::new(text.trim_end().to_owned())))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// A server that answers one call with the given bytes and gives back what it was asked.
    fn one_answer(answer: &'static str) -> (Client, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let origin =
            origin(&format!("http://{}", listener.local_addr().expect("it is bound"))).expect("a URL");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the client calls");
            let mut asked = Vec::new();
            let mut chunk = [0; 1024];
            while !asked.windows(4).any(|window| window == b"\r\n\r\n") {
                let read = stream.read(&mut chunk).expect("the client sends a head");
                asked.extend_from_slice(&chunk[..read]);
            }
            stream.write_all(answer.as_bytes()).expect("the client reads");
            String::from_utf8(asked).expect("the head is text")
        });
        (Client { origin, token: Some(Secret::new("s3cret-s3cret-s3cret".into())) }, server)
    }

    #[test]
    fn a_call_carries_token_query_and_encoded_names() {
        let (client, server) = one_answer("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"items\":[]}");
        let answer = client.get(&["targets", "meta/llama@aoai"], &[("by", "tag:a b")]).expect("it answers");
        assert_eq!(answer["items"], Value::Array(Vec::new()));
        let asked = server.join().expect("it was called").to_lowercase();
        assert!(
            asked.starts_with("get /api/v1/targets/meta%2fllama@aoai?by=tag%3aa+b http/1.1\r\n"),
            "{asked}"
        );
        assert!(asked.contains("authorization: bearer s3cret-s3cret-s3cret\r\n"), "{asked}");
    }

    #[test]
    fn a_problem_is_told_in_its_own_words() {
        let (client, _server) = one_answer(
            "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n{\"detail\":\"role viewer may not drain\",\"code\":\"forbidden\"}",
        );
        let error = client.get(&["usage"], &[]).expect_err("it is refused");
        assert_eq!(error.to_string(), "role viewer may not drain (forbidden)");
    }

    #[test]
    fn half_a_file_is_a_failure() {
        let (client, _server) =
            one_answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nid,se\r\n");
        let mut file = Vec::new();
        assert!(client.download(&["export", "csv"], &[], &mut file).is_err());
    }

    #[test]
    fn nobody_there_says_where_it_was_looked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let server = format!("http://{}", listener.local_addr().expect("it is bound"));
        drop(listener);
        let client = Client { origin: origin(&server).expect("a URL"), token: None };
        let error = format!("{:#}", client.get(&["usage"], &[]).expect_err("nobody listens"));
        assert!(error.contains(&server) && error.contains("TOLLGATE_SERVER"), "{error}");
    }

    #[test]
    fn servers_are_plain_http_urls() {
        assert!(origin("http://10.0.0.1:9090").is_ok());
        for (server, part) in
            [("10.0.0.1:9090", "no URL"), ("https://gw", "not available yet"), ("ftp://gw", "not by ftp")]
        {
            let error = origin(server).expect_err(server).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_token_comes_from_the_environment_or_a_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("token");
        fs::write(&file, "from-a-file\n").expect("it is ours");
        let path = file.to_str().expect("a plain path").to_owned();
        let by_file = token(|name| (name == "TOLLGATE_TOKEN_FILE").then(|| path.clone()));
        assert_eq!(
            by_file.expect("the file is there").map(|t| t.expose().to_owned()).as_deref(),
            Some("from-a-file")
        );
        let both = token(|name| Some(if name == "TOLLGATE_TOKEN" { "direct".into() } else { path.clone() }));
        assert_eq!(both.expect("no file is read").map(|t| t.expose().to_owned()).as_deref(), Some("direct"));
        assert!(token(|_| None).expect("none is fine").is_none());
        assert!(token(|name| (name == "TOLLGATE_TOKEN_FILE").then(|| "/nowhere/token".into())).is_err());
    }
}
