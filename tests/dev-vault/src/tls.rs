//! Certificates made at start, good and bad ones, and the TLS configuration of a listener.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What a listener shows its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// Plain HTTP.
    #[default]
    Off,
    /// A good certificate for `127.0.0.1`, `::1` and `localhost`.
    Valid,
    /// A certificate that ended in 2021.
    Expired,
    /// A certificate that begins in 2090.
    NotYetValid,
    /// A certificate for `vault.invalid` only.
    WrongName,
    /// A good certificate, and nothing newer than TLS 1.2.
    Tls12Only,
}

/// A client certificate and its key.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The certificate, PEM.
    pub cert_pem: String,
    /// The private key, PEM (PKCS #8).
    pub key_pem: String,
}

/// The certificates of one server.
pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    pub(crate) client: ClientIdentity,
    pub(crate) config: Arc<ServerConfig>,
}

impl Certificates {
    /// `None` for plain HTTP.
    pub(crate) fn new(tls: Tls, require_client: bool) -> Result<Option<Self>, Box<dyn std::error::Error>> {
        if tls == Tls::Off {
            return Ok(None);
        }
        let ca = CertifiedIssuer::self_signed(ca_params(), KeyPair::generate()?)?;
        let leaf_key = KeyPair::generate()?;
        let leaf = leaf_params(tls)?.signed_by(&leaf_key, &ca)?;
        let client_key = KeyPair::generate()?;
        let client = client_params()?.signed_by(&client_key, &ca)?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[_] = if tls == Tls::Tls12Only { &[&rustls::version::TLS12] } else { rustls::ALL_VERSIONS };
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
        let builder = if require_client {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(ca.der().to_vec()))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let mut config = builder.with_single_cert(vec![leaf.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self {
            ca_pem: ca.pem(),
            client: ClientIdentity { cert_pem: client.pem(), key_pem: client_key.serialize_pem() },
            config: Arc::new(config),
        }))
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "dev-vault test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(tls: Tls) -> Result<CertificateParams, rcgen::Error> {
    let names: &[&str] = if tls == Tls::WrongName { &["vault.invalid"] } else { &["localhost", "127.0.0.1", "::1"] };
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let (begin, end) = match tls {
        Tls::Expired => (2020, 2021),
        Tls::NotYetValid => (2090, 2091),
        _ => (2020, 2090),
    };
    (params.not_before, params.not_after) = (date_time_ymd(begin, 1, 1), date_time_ymd(end, 1, 1));
    Ok(params)
}

fn client_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec!["job.test".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "job.test");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}
