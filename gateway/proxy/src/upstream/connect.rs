//! A new connection to an origin: resolve, check, connect, handshake; each step with its own bound.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    credential::{Origin, Scheme},
    egress,
    io::Socket,
};
use crate::snapshot::Timeouts;

/// A later address is tried beside the earlier ones after this (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// What was sent and stays unacknowledged for so long has met a dead path. The kernel alone would go on
/// sending for a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(1);

/// Why no connection came about. Names no host: it may be shown to clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConnectError {
    /// The host's name is not known, or nobody said in time.
    #[error("its name could not be resolved")]
    Dns,
    /// Every address is one that `allow_private` guards.
    #[error("its address is private, which `allow_private` would have to allow")]
    PrivateAddress,
    /// No address takes connections.
    #[error("the connection was refused")]
    Refused,
    /// A step took longer than it may.
    #[error("the connection timed out")]
    TimedOut,
    /// The other side is not who it should be, or speaks no TLS.
    #[error("the TLS handshake failed")]
    Tls,
    /// The other side speaks no HTTP.
    #[error("the HTTP handshake failed")]
    Http,
}

/// Connects to an origin; `tls` is that of https.
pub(super) async fn connect(
    origin: &Origin,
    timeouts: &Timeouts,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Socket, ConnectError> {
    let addresses = resolve(origin, timeouts).await?;
    let tcp = timeout(timeouts.connect, race(addresses)).await.map_err(|_| ConnectError::TimedOut)??;
    set_options(&tcp);
    match (origin.scheme, tls) {
        (Scheme::Http, _) => Ok(Socket::Clear(tcp)),
        (Scheme::Https, Some(config)) => {
            let name = ServerName::try_from(origin.host.clone()).map_err(|_| ConnectError::Tls)?;
            let handshake = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
            let tls = timeout(timeouts.tls, handshake).await;
            let tls = tls.map_err(|_| ConnectError::TimedOut)?.map_err(|_| ConnectError::Tls)?;
            Ok(Socket::Tls(Box::new(tls)))
        }
        (Scheme::Https, None) => Err(ConnectError::Tls),
    }
}

/// A connection works without them, so a refused option is no error.
fn set_options(tcp: &TcpStream) {
    // Requests and stream chunks are small; waiting to fill a segment would only delay them.
    let _ = tcp.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}

async fn resolve(origin: &Origin, timeouts: &Timeouts) -> Result<Vec<SocketAddr>, ConnectError> {
    let found: Vec<SocketAddr> = match origin.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, origin.port)],
        Err(_) => {
            let lookup = tokio::net::lookup_host((origin.host.as_str(), origin.port));
            let found = timeout(timeouts.dns, lookup).await;
            found.map_err(|_| ConnectError::Dns)?.map_err(|_| ConnectError::Dns)?.collect()
        }
    };
    if found.is_empty() {
        return Err(ConnectError::Dns);
    }
    let allowed: Vec<_> =
        found.into_iter().filter(|address| origin.allow_private || egress::is_public(address.ip())).collect();
    if allowed.is_empty() { Err(ConnectError::PrivateAddress) } else { Ok(allowed) }
}

async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
    if let [only] = addresses[..] {
        return TcpStream::connect(only).await.map_err(|_| ConnectError::Refused);
    }
    let mut attempts: FuturesUnordered<_> = (0u32..)
        .zip(addresses)
        .map(|(place, address)| async move {
            tokio::time::sleep(STAGGER * place).await;
            TcpStream::connect(address).await
        })
        .collect();
    while let Some(attempt) = attempts.next().await {
        if let Ok(tcp) = attempt {
            return Ok(tcp);
        }
    }
    Err(ConnectError::Refused)
}

/// TLS towards upstreams: TLS 1.2 and 1.3, verification always on.
///
/// `roots` are trusted beside nothing else; `http2` chooses what ALPN offers.
///
/// # Errors
/// A client certificate that does not fit its key.
pub fn client_tls(
    roots: RootCertStore,
    http2: bool,
    client: Option<(
        Vec<rustls_pki_types::CertificateDer<'static>>,
        rustls_pki_types::PrivateKeyDer<'static>,
    )>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
    };
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(Arc::new(config))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_that_acknowledges_nothing_is_given_up_in_a_second() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addresses = vec![listener.local_addr().expect("a bound socket has one")];
        let tcp = race(addresses).await.expect("it listens");
        set_options(&tcp);
        let told = SockRef::from(&tcp).tcp_user_timeout().expect("the kernel knows the option");
        assert_eq!(told, Some(UNACKNOWLEDGED));
    }
}
