//! Whether a server's certificate is believed: by a CA that signed it, or because it is itself one of those that were
//! named. The latter is how curl and Go read a CA file, and how a self-signed certificate can be believed at all.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

/// What rustls has no word for.
#[derive(Debug)]
pub(super) enum CertificateFlaw {
    /// It is self-signed, and is not one of those that were named.
    SelfSigned,
    /// What the server signed does not fit its key, or the key is too weak to be used.
    Handshake,
}

impl fmt::Display for CertificateFlaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SelfSigned => "the certificate is self-signed",
            Self::Handshake => "the signature of the handshake does not fit the certificate",
        })
    }
}

impl std::error::Error for CertificateFlaw {}

impl From<CertificateFlaw> for Error {
    fn from(refused: CertificateFlaw) -> Self {
        CertificateError::Other(OtherError(Arc::new(refused))).into()
    }
}

/// Believes what these certificates have signed, and these certificates themselves.
#[derive(Debug)]
pub(super) struct CaVerifier {
    chain: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl CaVerifier {
    /// `None` when no certificate can be read.
    pub(super) fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Self>, rustls::client::VerifierBuilderError> {
        let mut store = RootCertStore::empty();
        // Bundles of distributions hold the odd certificate that webpki does not take; one that it takes is enough.
        store.add_parsable_certificates(certificates.iter().cloned());
        if store.is_empty() {
            return Ok(None);
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build()?;
        Ok(Some(Self { chain, certificates }))
    }
}

impl ServerCertVerifier for CaVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Security: the very certificate, every byte of it. Its key or its name alone would be somebody else's word.
        let is_named = self.certificates.iter().any(|named| **named == **certificate);
        // No other certificate has to speak for one that was named, and none can spoil it.
        let intermediates = if is_named { &[] } else { intermediates };
        let Err(error) = self.chain.verify_server_cert(certificate, intermediates, name, ocsp, now) else {
            return Ok(ServerCertVerified::assertion());
        };
        if is_named && lacks_issuer_only(&error) {
            if excludes_servers(certificate) {
                return Err(CertificateError::InvalidPurpose.into());
            }
            return verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
                .map(|()| ServerCertVerified::assertion());
        }
        Err(if lacks_issuer_only(&error) && is_self_signed(certificate) {
            CertificateFlaw::SelfSigned.into()
        } else {
            error
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature).map_err(of_handshake)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature).map_err(of_handshake)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Whether all that is wrong is who signed it. webpki looks at the dates first, then whether it is a CA's, then at its
/// purpose, and only then for an issuer.
fn lacks_issuer_only(error: &Error) -> bool {
    let Error::InvalidCertificate(problem) = error else { return false };
    match problem {
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => true,
        CertificateError::Other(OtherError(cause)) => {
            matches!(cause.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// Whether there is an extended key usage and `serverAuth` is none of it: what webpki does not come to look at in a CA's
/// certificate, and lends no reader for. Both are whole DER object identifiers, which stand nowhere else.
fn excludes_servers(certificate: &[u8]) -> bool {
    const EXTENDED_KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 0x25];
    const SERVER_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    let has = |object: &[u8]| certificate.windows(object.len()).any(|window| window == object);
    has(EXTENDED_KEY_USAGE) && !has(SERVER_AUTH)
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}

/// rustls says the same of a chain that does not hold and of a handshake that does not.
fn of_handshake(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => CertificateFlaw::Handshake.into(),
        other => other,
    }
}

/// Believes every certificate. For a server on this machine only, by a flag; see
/// [`Roots::Unchecked`](super::transport::Roots::Unchecked).
#[derive(Debug)]
pub(super) struct NoVerifier(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms).map_err(of_handshake)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms).map_err(of_handshake)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
