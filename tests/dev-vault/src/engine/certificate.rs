//! The TLS certificate auth method: roles, each with the CA that signs for it, and `login` by what the connection proved.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use serde_json::json;

use super::{Backend, Call, is_role_name, token_params};
use crate::core::fields::Object;
use crate::core::request::Operation;
use crate::core::response::{Failure, Grant, Outcome, Response, TokenParams};

#[derive(Debug, Default)]
pub(crate) struct Certificate {
    roles: BTreeMap<String, Role>,
}

#[derive(Debug)]
struct Role {
    ca: Vec<CertificateDer<'static>>,
    token: TokenParams,
}

impl Backend for Certificate {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let (head, name) = call.path.split_once('/').unwrap_or((call.path, ""));
        match (head, name, call.operation()) {
            ("login", "", Operation::Create | Operation::Update) => self.login(call),
            ("certs", name, Operation::Create | Operation::Update) if is_role_name(name, "") => {
                let data = call.data();
                let pem = data.text("certificate")?;
                let ca: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
                let ca = ca.ok().filter(|ca| !ca.is_empty());
                let ca = ca.ok_or_else(|| Failure::bad_request("failed to parse certificate"))?;
                let token = token_params(data, TokenParams::default())?;
                self.roles.insert(name.to_lowercase(), Role { ca, token });
                Ok(None)
            }
            _ => Err(Failure::unsupported_path()),
        }
    }

    fn is_login(&self, path: &str) -> bool {
        path == "login"
    }
}

impl Certificate {
    fn login(&self, call: &Call<'_>) -> Outcome {
        let name = call.data().text("name")?.to_lowercase();
        let Some((leaf, above)) = call.request.certificates.split_first() else {
            return Err(Failure::bad_request("client certificate must be supplied"));
        };
        let found = self.roles.get_key_value(&name).or_else(|| {
            self.roles.iter().find(|(_, role)| name.is_empty() && is_signed_by(leaf, above, &role.ca, call))
        });
        let Some((name, role)) = found.filter(|(_, role)| is_signed_by(leaf, above, &role.ca, call)) else {
            return Err(Failure::bad_request("invalid certificate or no client certificate supplied"));
        };
        let mut metadata = Object::new();
        metadata.insert("cert_name".to_owned(), json!(name));
        let alias = name.clone();
        let grant = Grant { params: role.token.clone(), metadata, display_name: alias.clone(), alias };
        Ok(Some(Response { grant: Some(grant), ..Response::default() }))
    }
}

/// Whether the chain ends at one of these, is for clients, and is valid now.
fn is_signed_by(
    leaf: &CertificateDer<'_>,
    above: &[CertificateDer<'_>],
    ca: &[CertificateDer<'static>],
    call: &Call<'_>,
) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(ca.iter().cloned());
    let provider = Arc::new(crate::p521::crypto_provider());
    let now = UnixTime::since_unix_epoch(call.now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.is_ok_and(|verifier| verifier.verify_client_cert(leaf, above, now).is_ok())
}
