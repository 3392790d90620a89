//! Certificates made at start, good and bad ones, and the TLS configuration of a listener.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
    /// A certificate with a common name and no other.
    NoName,
    /// A certificate whose extended key usage is for clients alone.
    ClientsOnly,
    /// CA and server with keys on P-521; OpenSSL's.
    P521,
    /// A certificate that its CA signed with SHA-1; OpenSSL's.
    Sha1,
}

/// Who has signed what a listener shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Issuer {
    /// A CA.
    #[default]
    Ca,
    /// Itself, and it says that it is no CA's.
    Itself,
    /// Itself, and it says that it is a CA's: what `openssl req -x509` makes.
    ItselfAsCa,
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
    pub(crate) server_pem: String,
    pub(crate) client: ClientIdentity,
    pub(crate) config: Arc<ServerConfig>,
}

impl Certificates {
    /// `None` for plain HTTP.
    pub(crate) fn new(
        tls: Tls,
        issuer: Issuer,
        require_client: bool,
    ) -> Result<Option<Self>, Box<dyn std::error::Error>> {
        if tls == Tls::Off {
            return Ok(None);
        }
        let ca = CertifiedIssuer::self_signed(ca_params(), KeyPair::generate()?)?;
        let shown = Shown::new(tls, issuer, &ca)?;
        let client_key = KeyPair::generate()?;
        let client = client_params()?.signed_by(&client_key, &ca)?;

        let provider = Arc::new(crate::p521::crypto_provider());
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
        let chain = vec![CertificateDer::from_pem_slice(shown.certificate.as_bytes())?];
        let mut config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(shown.key.as_bytes())?)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self {
            ca_pem: shown.ca,
            server_pem: shown.certificate,
            client: ClientIdentity { cert_pem: client.pem(), key_pem: client_key.serialize_pem() },
            config: Arc::new(config),
        }))
    }
}

/// What clients see, and whom they must believe for it; PEM.
struct Shown {
    certificate: String,
    key: String,
    ca: String,
}

impl Shown {
    fn new(tls: Tls, issuer: Issuer, ca: &CertifiedIssuer<'_, KeyPair>) -> Result<Self, rcgen::Error> {
        // `rcgen` makes none of these with `ring`. How they were made is told in data/certificates/README.md.
        let made = match tls {
            Tls::P521 => Some([
                include_str!("../data/certificates/p521-server.pem"),
                include_str!("../data/certificates/p521-server-key.pem"),
                include_str!("../data/certificates/p521-ca.pem"),
            ]),
            Tls::Sha1 => Some([
                include_str!("../data/certificates/sha1-server.pem"),
                include_str!("../data/certificates/sha1-server-key.pem"),
                include_str!("../data/certificates/sha1-ca.pem"),
            ]),
            _ => None,
        };
        if let Some([certificate, key, ca]) = made.map(|texts| texts.map(str::to_owned)) {
            return Ok(Self { certificate, key, ca });
        }
        let key = KeyPair::generate()?;
        let mut params = leaf_params(tls)?;
        let certificate = match issuer {
            Issuer::Ca => params.signed_by(&key, ca)?,
            Issuer::Itself => params.self_signed(&key)?,
            Issuer::ItselfAsCa => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.self_signed(&key)?
            }
        };
        let ca = if issuer == Issuer::Ca { ca.pem() } else { certificate.pem() };
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem(), ca })
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
    let purpose =
        if tls == Tls::ClientsOnly { ExtendedKeyUsagePurpose::ClientAuth } else { ExtendedKeyUsagePurpose::ServerAuth };
    params.extended_key_usages = vec![purpose];
    if tls == Tls::NoName {
        params.subject_alt_names.clear();
    }
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
