//! Station 0: sockets.
//!
//! One listener per core on the same port (the kernel deals connections out), HTTP/1.1 and HTTP/2 by
//! ALPN or by the HTTP/2 preface, TLS optional. A connection lives on the core that accepted it.

mod activity;
mod aside;
mod client_io;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, header};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    edge::Exchange,
    pipeline::{self, Serving},
    server::Stage,
    worker::{Worker, wall_clock},
};

use activity::Activity;
use aside::Aside;
use client_io::ClientIo;

pub(crate) use activity::InFlight;

/// A TLS handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Once nothing new is accepted, so long may the first words of a connection take that came before.
const LAST_CALL: Duration = Duration::from_millis(250);
/// A connection that has not said a word for this long is closed.
const SILENCE: Duration = Duration::from_secs(75);
/// The preface that begins every HTTP/2 connection (RFC 9113, section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Largest request head, and most fields in it.
const MAX_HEAD: usize = 32 << 10;
const MAX_FIELDS: usize = 100;
/// A pause after accepting failed, since it fails again while descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// TLS of a listener; replaced whole when certificates change.
pub type ListenerTls = Arc<ArcSwap<ServerConfig>>;

/// One listening socket per core, all on the same address.
///
/// Sockets of other processes could share the port too, and the kernel would deal every second
/// connection to whoever came by mistake; so the address is tried once without sharing, unless it is meant
/// to be shared.
///
/// # Errors
/// The address is taken, or not ours to take.
pub(crate) fn bind(address: SocketAddr, shared: bool, cores: usize) -> io::Result<Vec<StdListener>> {
    if address.port() != 0 && !shared {
        drop(listening(address, false)?);
    }
    let first = listening(address, true)?;
    let address = first.local_addr()?;
    let others = (1..cores).map(|_| listening(address, true));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn listening(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4_096)?;
    Ok(socket.into())
}

/// TLS for a listener from a certificate chain and its key, both PEM: TLS 1.2 and 1.3, HTTP/2 and
/// HTTP/1.1.
///
/// # Errors
/// Not PEM, no key, or a key that does not fit the certificate.
pub fn server_tls(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, BadCertificate> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|_| BadCertificate::Certificate)?;
    if chain.is_empty() {
        return Err(BadCertificate::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| BadCertificate::Key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BadCertificate::Tls)?;
    let mut config =
        builder.with_no_client_auth().with_single_cert(chain, key).map_err(BadCertificate::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Why a certificate and key cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// The certificate file holds no certificate.
    #[error("no PEM certificate found")]
    Certificate,
    /// The key file holds no private key.
    #[error("no PEM private key found")]
    Key,
    /// They do not fit each other.
    #[error("{0}")]
    Tls(rustls::Error),
}

/// Spawns hyper's tasks on the current core.
#[derive(Clone, Copy)]
pub(crate) struct LocalExec;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExec {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// Accepts connections until the stage says otherwise.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    listener: StdListener,
    tls: Option<ListenerTls>,
    mut stage: watch::Receiver<Stage>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut leaving = stage.clone();
    let serve = |socket, peer, stage: &watch::Receiver<Stage>| {
        let serving = connection(Rc::clone(&worker), socket, peer, tls.clone(), stage.clone());
        worker.tasks.spawn_local(serving);
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = leaving.wait_for(|stage| *stage >= Stage::Leaving), if !worker.is_leaving() => {
                worker.leave();
                continue;
            }
            _ = stage.wait_for(|stage| *stage >= Stage::Draining) => break,
        };
        match accepted {
            Ok((socket, peer)) => serve(socket, peer, &stage),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    worker.leave();
    // The system has promised these to their clients already, and closing the socket would break it.
    while let Some(Ok((socket, peer))) = listener.accept().now_or_never() {
        serve(socket, peer, &stage);
    }
    Ok(())
}

async fn connection(
    worker: Rc<Worker>,
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<ListenerTls>,
    stage: watch::Receiver<Stage>,
) {
    // Events and small answers must not wait for more to come.
    let _ = socket.set_nodelay(true);
    let Some(tls) = tls else {
        let mut stopping = stage.clone();
        let first_words = tokio::select! {
            biased;
            first_words = timeout(SILENCE, speaks_h2(&socket)) => first_words,
            // Whoever has not said anything yet has nothing in flight, or has only just come.
            () = async {
                let _ = stopping.wait_for(|stage| *stage >= Stage::Draining).await;
                tokio::time::sleep(LAST_CALL).await;
            } => return,
        };
        match first_words {
            Ok(Ok(Protocol2::Http1)) => {
                let activity = Rc::<Activity>::default();
                let io = ClientIo::new(socket, Rc::clone(&activity));
                serve_h1(worker, io, activity, peer, stage).await;
            }
            Ok(Ok(Protocol2::Http2)) => {
                let io = ClientIo::new(socket, Rc::default());
                Box::pin(serve_h2(worker, io, peer, stage)).await;
            }
            // The client left, or never said anything.
            Ok(Err(_)) | Err(_) => {}
        }
        return;
    };
    let activity = Rc::<Activity>::default();
    let handshake = TlsAcceptor::from(tls.load_full()).accept(ClientIo::new(socket, Rc::clone(&activity)));
    let Ok(Ok(secure)) = Box::pin(timeout(HANDSHAKE, handshake)).await else { return };
    // Boxed, so that connections in clear text do not carry the room of TLS.
    if secure.get_ref().1.alpn_protocol() == Some(b"h2") {
        Box::pin(serve_h2(worker, secure, peer, stage)).await;
    } else {
        Box::pin(serve_h1(worker, secure, activity, peer, stage)).await;
    }
}

enum Protocol2 {
    Http1,
    Http2,
}

/// Looks at the first bytes without taking them.
async fn speaks_h2(socket: &TcpStream) -> io::Result<Protocol2> {
    let mut first = [0; H2_PREFACE.len()];
    loop {
        let seen = socket.peek(&mut first).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..seen] != H2_PREFACE[..seen] {
            return Ok(Protocol2::Http1);
        }
        if seen == H2_PREFACE.len() {
            return Ok(Protocol2::Http2);
        }
        // A part of the preface is there; peeking again at once would spin.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Begins an exchange for each request of a connection.
fn begin(worker: &Rc<Worker>, peer: SocketAddr, request: Request<Incoming>) -> Serving {
    let started = wall_clock();
    let exchange = Exchange { id: worker.new_id(started), started, began: Instant::now(), peer };
    pipeline::serve(Rc::clone(worker), exchange, request)
}

/// Serves a connection until it is not used any more; on drain it finishes what is in flight, lets
/// `$parting` pass, and says goodbye.
macro_rules! drive {
    ($connection:expr, $unused:expr, $parting:expr, $stage:expr) => {{
        let mut connection = pin!($connection);
        let mut unused = pin!($unused);
        let mut stage = $stage;
        let draining = {
            let aside = Aside::new(async {
                tokio::select! {
                    () = unused.as_mut() => false,
                    _ = stage.wait_for(|stage| *stage >= Stage::Draining) => true,
                }
            });
            tokio::select! {
                biased;
                // An error here is the client's connection breaking; its requests have been settled.
                _ = connection.as_mut() => false,
                draining = aside => draining,
            }
        };
        let goodbye = draining
            && tokio::select! {
                biased;
                _ = connection.as_mut() => false,
                () = unused.as_mut() => false,
                () = $parting => true,
            };
        if goodbye {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                _ = connection => {}
                () = unused => {}
            }
        }
    }};
}

/// Tells the client to bring its next request to somebody else.
fn last_of_its_connection<B>(mut response: Response<B>) -> Response<B> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn serve_h1<I>(
    worker: Rc<Worker>,
    io: I,
    activity: Rc<Activity>,
    peer: SocketAddr,
    stage: watch::Receiver<Stage>,
) where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request| {
        let in_flight = activity.begin();
        begin(&worker, peer, request).map(|answered| {
            answered.map(|response| {
                if response.body().parts() {
                    activity.part();
                }
                let response = if worker.is_leaving() { last_of_its_connection(response) } else { response };
                response.map(|body| body.in_flight(in_flight))
            })
        })
    });
    let connection = conn::http1::Builder::new()
        .max_headers(MAX_FIELDS)
        .max_header_size(MAX_HEAD)
        // About 1 KiB a message: one flat buffer is cheaper than gathering.
        .writev(false)
        .serve_connection(TokioIo::new(io), service);
    // A client that has just had its answer may have sent its next request already: it is answered, and told
    // to go, before the connection is closed.
    drive!(connection, activity.unused(), activity.silent_for(LAST_CALL), stage);
}

async fn serve_h2<I>(worker: Rc<Worker>, io: I, peer: SocketAddr, stage: watch::Receiver<Stage>)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let connection = conn::http2::Builder::new(LocalExec)
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(MAX_HEAD as u32)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .serve_connection(TokioIo::new(io), service_fn(move |request| begin(&worker, peer, request)));
    drive!(connection, std::future::pending::<()>(), std::future::ready(()), stage);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_share_a_port_and_strangers_do_not() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let ours = bind(loopback, false, 3).expect("loopback has a free port");
        let address = ours[0].local_addr().expect("it is bound");
        assert!(ours.iter().all(|socket| socket.local_addr().is_ok_and(|same| same == address)));
        assert!(bind(address, true, 1).is_ok(), "whoever means to share may");
        let taken = bind(address, false, 1).expect_err("the port is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(ours);
        assert!(bind(address, false, 1).is_ok(), "whoever restarts gets its port back");
    }
}
