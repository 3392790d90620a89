//! The TLS settings, from PEM texts that were read elsewhere.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::p521::crypto_provider;
use super::transport::{ClientCertificate, Connection, Roots};
use super::verifier::{CaVerifier, NoVerifier};
use crate::error::{Error, Kind, Result};

/// The settings for one server: TLS 1.2 or later, `ring`, these roots and no others.
pub(super) fn client_config(connection: &Connection) -> Result<ClientConfig> {
    let provider = Arc::new(crypto_provider());
    let broken = |cause: rustls::Error| Error::new(Kind::Internal, "TLS cannot be set up").cause(cause);
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(broken)?;
    let builder = match &connection.roots {
        Roots::Pem { text, origin } => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(named(text, origin, provider)?))
        }
        // No handshake will ask for a root, or one without roots will refuse every server.
        Roots::None | Roots::System => builder.with_root_certificates(RootCertStore::empty()),
        Roots::Unchecked => builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerifier(provider))),
    };
    let Some(ClientCertificate { chain, key, .. }) = &connection.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let unusable = |what: &str| {
        Error::new(Kind::Config, format!("the client {what} cannot be used"))
            .hint("PEM, the certificate first and then its chain; the key unencrypted")
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| unusable("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| unusable("key"))?;
    builder.with_client_auth_cert(chain, key).map_err(|_| unusable("certificate with this key"))
}

fn named(text: &str, origin: &str, provider: Arc<CryptoProvider>) -> Result<CaVerifier> {
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok).collect();
    let verifier = CaVerifier::new(certificates, provider)
        .map_err(|cause| Error::new(Kind::Internal, "TLS cannot be set up").cause(cause))?;
    verifier.ok_or_else(|| {
        Error::new(Kind::Config, format!("there is no certificate in {origin}"))
            .hint("PEM: -----BEGIN CERTIFICATE-----")
    })
}
