//! Certificates: of our listeners, and toward upstreams.

use std::{
    collections::HashMap,
    path::Path as FilePath,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha2::{Digest, Sha256};
use tollgate_proxy::{client_tls, server_tls};
use x509_cert::der::Decode as _;

use crate::config::{
    file::{ServerTls, UpstreamTls},
    sources::Sources,
};

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// TLS of a listener.
pub(super) fn server(files: &ServerTls, sources: &Sources) -> Result<Arc<ServerConfig>, String> {
    let (certificate, key) = (read(&files.cert, sources)?, read(&files.key, sources)?);
    server_tls(&certificate, &key).map_err(|error| {
        format!("{} and {} cannot be served: {error}", files.cert.display(), files.key.display())
    })
}

/// TLS toward upstreams, each setting made once: connections of one setting resume each other.
#[derive(Default)]
pub(super) struct Clients {
    made: HashMap<String, Arc<ClientConfig>>,
}

/// TLS toward an upstream and what tells it from other settings.
pub(super) struct Client {
    pub(super) config: Arc<ClientConfig>,
    /// Changes with the content of every file that it is made of.
    pub(super) identity: String,
}

impl Clients {
    /// The setting for an upstream.
    pub(super) fn get(
        &mut self,
        files: Option<&UpstreamTls>,
        http2: bool,
        sources: &Sources,
    ) -> Result<Client, String> {
        let mut digest = Sha256::new();
        let paths = files.into_iter().flat_map(|files| [&files.ca, &files.cert, &files.key]);
        for path in paths {
            let bytes = path.as_ref().map(|path| read(path, sources)).transpose()?.unwrap_or_default();
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        }
        let identity = format!("{}{}", if http2 { "h2" } else { "h1" }, hex::encode(digest.finalize()));
        if let Some(config) = self.made.get(&identity) {
            return Ok(Client { config: Arc::clone(config), identity });
        }
        let mut roots = system_roots().clone();
        if let Some(ca) = files.and_then(|files| files.ca.as_ref()) {
            for certificate in certificates(ca, sources)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", ca.display()))?;
            }
        }
        let own = match files.map(|files| (&files.cert, &files.key)) {
            Some((Some(cert), Some(key))) => Some(self::identity(cert, key, sources)?),
            _ => None,
        };
        let config = client_tls(roots, http2, own)
            .map_err(|error| format!("the client certificate cannot be used with its key: {error}"))?;
        self.made.insert(identity.clone(), Arc::clone(&config));
        Ok(Client { config, identity })
    }
}

/// The authorities that this machine trusts, read once and only when some upstream is https.
pub(super) fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

fn identity(cert: &FilePath, key: &FilePath, sources: &Sources) -> Result<Identity, String> {
    let chain = certificates(cert, sources)?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key, sources)?).map_err(|_| {
        format!(
            "{} has no private key in PEM form: its text begins with -----BEGIN PRIVATE KEY-----",
            key.display()
        )
    })?;
    Ok((chain, secret))
}

fn certificates(path: &FilePath, sources: &Sources) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path, sources)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| format!("{}: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!(
            "{} has no certificate in PEM form: its text begins with -----BEGIN CERTIFICATE-----",
            path.display()
        ));
    }
    Ok(chain)
}

/// When the certificate of this file ends, its chain left aside, in seconds since 1970. `None` where that
/// cannot be read: whoever serves it says why.
pub(super) fn ends(path: &FilePath, sources: &Sources) -> Option<u64> {
    let first = certificates(path, sources).ok()?.into_iter().next()?;
    let certificate = x509_cert::Certificate::from_der(&first).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
}

fn read(path: &FilePath, sources: &Sources) -> Result<Vec<u8>, String> {
    std::fs::read(sources.resolve(path)).map_err(|error| sources.cannot_read(path, &error))
}
