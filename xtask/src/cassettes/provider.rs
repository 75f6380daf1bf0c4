//! The scripted provider: it answers each path prefix with one recorded answer and keeps what came. What a
//! replay needs done before and after it is answered aside.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

/// What is answered.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

/// What is answered below one path prefix.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Whatever is asked.
    pub(super) answer: Script,
    /// What else is answered, by method and path, and is not kept: it belongs to no recording.
    pub(super) aside: Vec<(Method, String, Script)>,
}

impl Slot {
    /// The script for a call, and whether it is one aside.
    fn script(&self, method: &Method, path: &str) -> (&Script, bool) {
        let aside = self.aside.iter().find(|(known, at, _)| known == method && at == path);
        aside.map_or((&self.answer, false), |(_, _, script)| (script, true))
    }
}

/// A body whose length is announced, or one that comes in pieces.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Sized(Bytes),
    Chunked(Vec<Bytes>),
}

/// A request as it arrived, without the prefix that chose the script.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A provider on a loopback port; it stops when dropped.
pub(super) struct Provider {
    address: SocketAddr,
    book: Arc<Book>,
    _serving: JoinSet<()>,
}

/// The scripts by slot, and what came for each.
struct Book {
    slots: HashMap<String, Slot>,
    received: Mutex<HashMap<String, Vec<Received>>>,
}

impl Provider {
    /// Listens, and answers `/SLOT/...` with the scripts of that slot.
    pub(super) async fn start(slots: impl IntoIterator<Item = (String, Slot)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the scripted provider")?;
        let address = listener.local_addr().context("no address of the scripted provider")?;
        let book = Arc::new(Book { slots: slots.into_iter().collect(), received: Mutex::default() });
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&book)));
        Ok(Self { address, book, _serving: serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that came for a slot, in order.
    pub(super) fn received(&self, slot: &str) -> Vec<Received> {
        self.book
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(slot)
            .cloned()
            .unwrap_or_default()
    }
}

async fn accept(listener: TcpListener, book: Arc<Book>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        // Answers are cut on purpose; the kernel must not put them together again.
        let _ = socket.set_nodelay(true);
        let book = Arc::clone(&book);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&book), request));
            // A connection that the gateway drops is no failure of the provider.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(
    book: Arc<Book>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let whole = head.uri.path().trim_start_matches('/');
    let (slot, path) = whole.split_once('/').unwrap_or((whole, ""));
    let path = format!("/{path}");
    let script = book.slots.get(slot).map(|slot| slot.script(&head.method, &path));
    if let Some((script, true)) = script {
        return Ok(script.response());
    }
    let received = Received { path, query: head.uri.query().map(str::to_owned), headers: head.headers, body };
    book.received
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(slot.to_owned())
        .or_default()
        .push(received);
    Ok(script.map_or_else(|| nothing_at(slot), |(script, _)| script.response()))
}

fn nothing_at(slot: &str) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::from(format!("no script for `{slot}`")).boxed());
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response
}

impl Script {
    fn response(&self) -> Response<BoxBody<Bytes, Infallible>> {
        let body = match &self.body {
            Body::Sized(bytes) => Full::new(bytes.clone()).boxed(),
            Body::Chunked(pieces) => {
                let frames = pieces.clone().into_iter().map(|piece| Ok(Frame::data(piece)));
                StreamBody::new(stream::iter(frames)).boxed()
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
        for (name, value) in &self.headers {
            let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()));
            if let (Ok(name), Ok(value)) = parsed {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
