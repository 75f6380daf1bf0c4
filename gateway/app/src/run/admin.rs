//! The listeners beside the data port: admin API, metrics, health; on a runtime of their own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;
use tollgate_control::{
    admin::{self, AdminState, Check},
    config::{ListenerSettings, Settings},
    reload::Reloader,
    sessions::Sessions,
};
use tollgate_proxy::Live;

use super::{Metrics, Stewards, books::Books, journal_watch};

/// Threads for the admin side; it must stay answerable while an export runs.
const THREADS: usize = 2;
/// How long requests in flight may take at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The admin and status listeners.
pub(super) struct AdminListeners {
    runtime: Runtime,
    address: SocketAddr,
    state: Arc<AdminState>,
}

impl AdminListeners {
    pub(super) fn start(
        settings: &Settings,
        reloader: &Arc<Reloader>,
        live: &Arc<Live>,
        books: &Books,
        stewards: &Stewards,
        metrics: &Metrics,
        (stopping, data): (&Arc<AtomicBool>, SocketAddr),
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("admin")
            .enable_all()
            .build()
            .context("admin runtime")?;
        let metrics = metrics.clone();
        let state = Arc::new(AdminState {
            store: books.store(),
            postings: books.postings(),
            live: Arc::clone(live),
            reloader: Arc::clone(reloader),
            operators: Arc::clone(&stewards.operators),
            drills: Arc::clone(&stewards.drills),
            alerts: Arc::clone(&stewards.alerts),
            foresight: Arc::clone(&stewards.foresight),
            raises: Arc::clone(&stewards.raises),
            keys: Arc::clone(&stewards.keys),
            chronicle: Arc::clone(&stewards.chronicle),
            feed: Arc::clone(&stewards.feed),
            streams: admin::Streams::default(),
            data,
            trials: admin::Trials::default(),
            sessions: Sessions::default(),
            metrics: Box::new(move || metrics.render()),
            readiness: readiness(books, live, stopping),
        });
        let certificate = |listener: fn(&Settings) -> Option<&ListenerSettings>| -> Certificate {
            let reloader = Arc::clone(reloader);
            // Asked for each connection, so that a new certificate is shown from the next one on.
            Arc::new(move || listener(&reloader.running().settings)?.tls.clone())
        };
        let of_admin = certificate(|settings| Some(&settings.admin));
        let address = runtime.block_on(listen(&settings.admin, of_admin, admin::router(&state)))?;
        if let Some(status) = &settings.status {
            let of_status = certificate(|settings| settings.status.as_ref());
            runtime.block_on(listen(status, of_status, admin::status_router(&state)))?;
        }
        Ok(Self { runtime, address, state })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path of a link that signs in to the console once.
    pub(super) fn sign_in_link(&self) -> Option<String> {
        self.state.sign_in_link()
    }

    pub(super) fn stop(self) {
        self.runtime.shutdown_timeout(LAST_ANSWERS);
    }
}

/// What must hold for traffic to be sent here. Providers have no say in it: their failure must not
/// take every gateway out of rotation at once.
fn readiness(
    books: &Books,
    live: &Arc<Live>,
    stopping: &Arc<AtomicBool>,
) -> Box<dyn Fn() -> Vec<Check> + Send + Sync> {
    let (journal, live, stopping) = (books.journal(), Arc::clone(live), Arc::clone(stopping));
    Box::new(move || {
        let journal = journal_watch::condition(&journal, &live).problem();
        let check =
            |name, ok: bool, problem: &str| Check { name, problem: (!ok).then(|| problem.to_owned()) };
        vec![
            // Listeners exist only once there is a configuration and the data port is bound.
            check("configuration", true, ""),
            check("listeners", true, ""),
            check("journal", journal.is_none(), journal.unwrap_or_default()),
            check("serving", !stopping.load(Ordering::Relaxed), "the gateway is stopping"),
        ]
    })
}

/// The TLS that a listener speaks now, if it speaks any.
type Certificate = Arc<dyn Fn() -> Option<Arc<ServerConfig>> + Send + Sync>;

async fn listen(
    settings: &ListenerSettings,
    certificate: Certificate,
    router: Router,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(settings.address)
        .await
        .with_context(|| format!("cannot listen on {}", settings.address))?;
    let address = listener.local_addr().context("listener address")?;
    tokio::spawn(accept(listener, certificate, router));
    Ok(address)
}

async fn accept(listener: TcpListener, certificate: Certificate, router: Router) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                tokio::spawn(serve(socket, certificate(), router.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an admin connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(socket: TcpStream, tls: Option<Arc<ServerConfig>>, router: Router) {
    let service = TowerToHyperService::new(router);
    let server = auto::Builder::new(TokioExecutor::new());
    // An error is the client's connection breaking; there is nobody to tell.
    match tls {
        None => {
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        }
        Some(config) => {
            let Ok(socket) = TlsAcceptor::from(config).accept(socket).await else { return };
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        }
    }
}
