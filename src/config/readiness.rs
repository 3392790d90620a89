//! Whether to wait until AWS knows a new key, and where to ask: the endpoint, its region, and how it is reached.

use std::time::Duration;

use super::proxy::resolve_general_proxy;
use super::source::Layers;
use crate::aws::sts;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::http::address::{Address, parse_server};
use crate::http::transport::Connection;
use crate::origin::Origin;
use crate::origin::WithOrigin;
use crate::provider::cloud::parse_place;
use crate::variables as var;

/// Where a new key is tried.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// How STS is reached. Nothing in it is Vault's: not its CA, not its proxy, no client certificate.
    pub connection: Connection,
    /// The `Host` header, which is signed: without a port that is the scheme's own.
    pub authority: String,
    /// The region that the request is signed for.
    pub region: String,
}

impl Readiness {
    /// Reads the system's roots, whatever CA was named for Vault.
    ///
    /// # Errors
    /// [`Kind::Config`] when this system has none.
    pub(crate) fn read_roots(&mut self, host: &Host) -> Result<()> {
        self.connection.read_roots(host).map_err(|error| {
            error.hint("install ca-certificates in the image: the CA that is set for Vault does not cover AWS")
        })
    }
}

/// The deadline of one question, and of its connection. STS answers within half a second.
pub(crate) const QUESTION: Duration = Duration::from_secs(5);

/// Decides where a new key is tried.
///
/// `region` is the one that flag or file name, and that the job's tools will have. Without it they take the
/// environment's, in the order of the newer SDKs.
///
/// # Errors
/// [`Kind::Config`] when the endpoint is none, or this system has no roots; [`Kind::Usage`] for a region that is none.
pub(super) fn resolve_readiness(region: Option<&WithOrigin<String>>, layers: &Layers<'_>) -> Result<Readiness> {
    let found;
    let region = match region {
        Some(region) => Some(region),
        None => {
            found = layers.first_variable(&[var::AWS_REGION, var::AWS_DEFAULT_REGION])?;
            found.as_ref()
        }
    };
    let name = region.map(|region| parse_place(region, "region")).transpose()?;
    let (url, signed_for) = sts::endpoint(name.as_deref());
    let default = WithOrigin { value: url, origin: region.map_or(Origin::Default, |region| region.origin.clone()) };
    let endpoint = layers.first_variable(&[var::AWS_ENDPOINT_URL_STS, var::AWS_ENDPOINT_URL])?;
    let (connection, authority) = connect(&endpoint.unwrap_or(default), layers)?;
    let region = match &connection.address {
        Address::Tcp(server) => sts::region_of(&server.host).map_or(signed_for, str::to_owned),
        Address::Unix(_) => signed_for,
    };
    Ok(Readiness { connection, authority, region })
}

/// Security: a variable may name the endpoint, for no secret goes there. A server of somebody else's gets the key's
/// id, and a signature over its own host name, which AWS refuses; it can say that a key is known, or is not, and
/// nothing else. For that reason `allowed-origins` does not speak of it.
fn connect(endpoint: &WithOrigin<String>, layers: &Layers<'_>) -> Result<(Connection, String)> {
    let wrong = |problem: &str| {
        Error::new(Kind::Config, format!("the endpoint of STS (from {}) {problem}", endpoint.origin))
            .hint("https://sts.eu-central-1.amazonaws.com, or http:// for this machine only")
    };
    let origin = parse_server(endpoint.value.trim()).map_err(|problem| wrong(&problem))?;
    if !origin.tls && !origin.is_loopback() {
        return Err(wrong(&format!("is http:// to {}: anyone on the network path could answer", origin.authority())));
    }
    if !origin.prefix.is_empty() {
        return Err(wrong("has a path in it"));
    }
    let authority = origin.host_header();
    let address = Address::Tcp(origin);
    let proxy = resolve_general_proxy(&address, layers)?;
    let connection = Connection { proxy, ..Connection::to_service(address, endpoint.origin.to_string(), QUESTION) };
    Ok((connection, authority))
}
