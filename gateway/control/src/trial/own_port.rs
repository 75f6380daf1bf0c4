//! TLS to our own data port: it is spoken to by its address, and trusted for the very certificate that
//! the configuration gives it, whoever has signed that one and whatever names it has.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

use crate::reload::Running;

/// The data port's certificate cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the certificate of the data port cannot be read: {0}")]
pub struct Untrusted(String);

/// How to speak to the data port; nothing where it speaks clear text. Reads a file.
pub(super) fn trust(running: &Running) -> Result<Option<Arc<ClientConfig>>, Untrusted> {
    let document = &running.document;
    let Some(files) = &document.file.listen.data.tls else { return Ok(None) };
    let path = document.sources().resolve(&files.cert);
    let unread = |error: &dyn fmt::Display| Untrusted(error.to_string());
    let text = std::fs::read(path).map_err(|error| unread(&error))?;
    let first = CertificateDer::pem_slice_iter(&text).next();
    let own = first.ok_or_else(|| unread(&"no certificate"))?.map_err(|error| unread(&error))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unread(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OnlyThis { own, provider }))
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

/// Trusts one certificate and nothing else.
#[derive(Debug)]
struct OnlyThis {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OnlyThis {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if shown.as_ref() == self.own.as_ref() {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("not the certificate of this gateway's data port".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
