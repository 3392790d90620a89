//! Whom to believe: the TLS settings, from PEM texts that were read elsewhere.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::transport::{Connection, Roots};
use crate::error::{Error, Kind, Result};

/// The settings for one server: TLS 1.2 or later, `ring`, these roots and no others.
pub(super) fn client_config(connection: &Connection) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let broken = |cause: rustls::Error| Error::new(Kind::Internal, "TLS cannot be set up").cause(cause);
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(broken)?;
    let builder = match &connection.roots {
        Roots::Pem { text, origin } => builder.with_root_certificates(root_store(text, origin)?),
        // No handshake will ask for a root, or one without roots will refuse every server.
        Roots::None | Roots::System => builder.with_root_certificates(RootCertStore::empty()),
        Roots::Unchecked => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider))),
    };
    let Some((certificate, key)) = &connection.identity else { return Ok(builder.with_no_client_auth()) };
    let unusable = |what: &str| {
        Error::new(Kind::Config, format!("the client {what} cannot be used"))
            .hint("PEM, the certificate first and then its chain; the key unencrypted")
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| unusable("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| unusable("key"))?;
    builder.with_client_auth_cert(chain, key).map_err(|_| unusable("certificate with this key"))
}

fn root_store(text: &str, origin: &str) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    // Bundles of distributions hold the odd certificate that webpki does not take; one that it takes is enough.
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok));
    if store.is_empty() {
        return Err(Error::new(Kind::Config, format!("there is no certificate in {origin}"))
            .hint("PEM: -----BEGIN CERTIFICATE-----"));
    }
    Ok(store)
}

/// Believes every certificate. For a server on this machine only, by a flag; see [`Roots::Unchecked`].
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
