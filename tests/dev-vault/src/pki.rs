//! A CA for client certificates, with an intermediate below it: for the TLS certificate method of a real server.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::tls::ClientIdentity;

/// What the extended key usage of a client certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUsage {
    /// It is for clients.
    Client,
    /// It is for servers alone.
    Server,
    /// It says nothing.
    None,
}

/// A CA and its intermediate.
pub struct ClientCa {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

impl ClientCa {
    /// Makes both.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = || KeyPair::generate().expect("a key");
        let root = CertifiedIssuer::self_signed(ca_params(name), key()).expect("a CA");
        let below = ca_params(&format!("{name} intermediate"));
        let intermediate = CertifiedIssuer::signed_by(below, key(), &root).expect("an intermediate");
        Self { root, intermediate }
    }

    /// The root, PEM, as a role of Vault has it.
    #[must_use]
    pub fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// A client certificate for this name, valid in these years. Its PEM holds the leaf alone, or the intermediate too.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn issue(&self, name: &str, usage: KeyUsage, years: (i32, i32), with_intermediate: bool) -> ClientIdentity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = match usage {
            KeyUsage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            KeyUsage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            KeyUsage::None => Vec::new(),
        };
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &self.intermediate).expect("a certificate").pem();
        let chain = if with_intermediate { leaf + &self.intermediate.pem() } else { leaf };
        ClientIdentity { cert_pem: chain, key_pem: key.serialize_pem() }
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
