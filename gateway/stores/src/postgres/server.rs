//! Connections to the server, and transactions on them that end within a bounded time.
//!
//! The server is told how long a statement, a lock and a pause may take; the caller's own clock
//! stands behind that, for a server that does not answer at all.

use std::{fs, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{runtime::Runtime, task::AbortHandle, time::timeout};
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tollgate_accounting::ledger::StoreError;

use super::{
    Failure, Outcome,
    address::{Encryption, ServerUrl},
};

/// Connections that are kept open; more are opened when needed and closed afterwards.
const IDLE: usize = 4;

/// How long a server may take to let us in, once it has taken the connection.
const WELCOME: Duration = Duration::from_secs(10);

/// What a transaction is for, which decides what it may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Work {
    /// Reads from one unchanging state of the ledger.
    Read,
    /// Changes the ledger.
    Write,
    /// Changes tables.
    Schema,
}

impl Work {
    /// How the transaction begins. Everything is set for this transaction only, so that a pooler
    /// between us and the server may give each one another connection.
    const fn begin(self) -> &'static str {
        match self {
            Self::Read => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
                 SET LOCAL statement_timeout = '60s';
                 SET LOCAL lock_timeout = '5s';
                 SET LOCAL idle_in_transaction_session_timeout = '30s'"
            }
            Self::Write => {
                "BEGIN ISOLATION LEVEL READ COMMITTED;
                 SET LOCAL statement_timeout = '15s';
                 SET LOCAL lock_timeout = '5s';
                 SET LOCAL idle_in_transaction_session_timeout = '30s'"
            }
            Self::Schema => {
                "BEGIN ISOLATION LEVEL READ COMMITTED;
                 SET LOCAL statement_timeout = '300s';
                 SET LOCAL lock_timeout = '60s';
                 SET LOCAL idle_in_transaction_session_timeout = '30s'"
            }
        }
    }

    /// How long the caller waits, whatever the server does.
    const fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Self::Read => 90,
            Self::Write => 30,
            Self::Schema => 600,
        })
    }
}

/// A server and what leads to it. Calls come from threads that may block; one thread of our own
/// moves the bytes.
#[derive(Debug)]
pub(super) struct Server {
    url: ServerUrl,
    tls: Option<Tls>,
    idle: Mutex<Vec<Session>>,
    /// Taken when dropped.
    runtime: Option<Runtime>,
}

impl Server {
    /// Prepares to speak with a server; the first question connects.
    pub(super) fn new(url: &ServerUrl) -> Result<Self, StoreError> {
        let tls = match &url.encryption {
            Encryption::No => None,
            Encryption::Verified { roots } => Some(Tls::trusting(roots.as_deref())?),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ledger-postgres")
            .enable_all()
            .build()
            .map_err(|source| failed(source.into()))?;
        Ok(Self { url: url.clone(), tls, idle: Mutex::default(), runtime: Some(runtime) })
    }

    /// Where the server is.
    pub(super) fn place(&self) -> String {
        self.url.to_string()
    }

    /// Does `work` in a transaction: it is all there, or nothing of it. When time runs out while the
    /// server ends the transaction, nobody knows which; every caller may simply ask again.
    pub(super) fn run<T>(
        &self,
        kind: Work,
        work: impl AsyncFnOnce(&Client) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        let runtime = self.runtime.as_ref().expect("only dropping takes it");
        match runtime.block_on(async { timeout(kind.patience(), self.transaction(kind, work)).await }) {
            Ok(result) => Ok(result?),
            Err(_) => Err(failed(format!("no answer within {:?}", kind.patience()).into())),
        }
    }

    async fn transaction<T>(&self, kind: Work, work: impl AsyncFnOnce(&Client) -> Outcome<T>) -> Outcome<T> {
        let session = self.begin(kind).await?;
        match work(&session.client).await {
            Ok(value) => {
                session.client.batch_execute("COMMIT").await?;
                self.keep(session);
                Ok(value)
            }
            Err(failure) => {
                // A connection that cannot end its transaction is closed, and that ends it too.
                if session.client.batch_execute("ROLLBACK").await.is_ok() {
                    self.keep(session);
                }
                Err(failure)
            }
        }
    }

    /// A connection with a transaction begun.
    async fn begin(&self, kind: Work) -> Outcome<Session> {
        loop {
            let Some(session) = self.idle.lock().pop() else { break };
            // A server that went away meanwhile is noticed here, before it was asked for anything.
            if session.client.batch_execute(kind.begin()).await.is_ok() {
                return Ok(session);
            }
        }
        let late = |_| Failure::Other(format!("{} did not let us in within {WELCOME:?}", self.url).into());
        let session = timeout(WELCOME, self.connect()).await.map_err(late)??;
        session.client.batch_execute(kind.begin()).await?;
        Ok(session)
    }

    async fn connect(&self) -> Outcome<Session> {
        let (client, connection) = match &self.tls {
            None => {
                let (client, connection) = self.url.config.connect(NoTls).await?;
                (client, tokio::spawn(drive(connection)))
            }
            Some(tls) => {
                let (client, connection) = self.url.config.connect(tls.0.clone()).await?;
                (client, tokio::spawn(drive(connection)))
            }
        };
        Ok(Session { client, connection: connection.abort_handle() })
    }

    fn keep(&self, session: Session) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE && !session.client.is_closed() {
            idle.push(session);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed on the threads of another runtime, and the last owner may be there.
            runtime.shutdown_background();
        }
    }
}

/// Moves a connection's bytes. Its end is seen by whoever asks next.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    let _ = connection.await;
}

/// An open connection. Dropping it closes it, also while a server owes an answer.
#[derive(Debug)]
struct Session {
    client: Client,
    connection: AbortHandle,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// TLS with a server that shows a certificate of its name.
#[derive(Clone)]
struct Tls(MakeRustlsConnect);

impl Tls {
    /// Trusts the authorities of a PEM file, else the system's.
    fn trusting(roots: Option<&std::path::Path>) -> Result<Self, StoreError> {
        let mut trusted = RootCertStore::empty();
        match roots {
            Some(path) => {
                let unusable =
                    |what: String| failed(format!("sslrootcert {}: {what}", path.display()).into());
                let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
                for certificate in CertificateDer::pem_slice_iter(&pem) {
                    let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                    trusted.add(certificate).map_err(|error| unusable(error.to_string()))?;
                }
                if trusted.is_empty() {
                    return Err(unusable("there is no certificate in it".to_owned()));
                }
            }
            None => {
                // Certificates of the system that cannot be read vouch for nobody.
                trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.into()))?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self(MakeRustlsConnect::new(config)))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    Failure::Other(source).into()
}
