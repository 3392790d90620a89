//! How a server is reached: the settings that `config` decides, for the client of this folder.

use std::sync::Arc;
use std::time::Duration;

use super::address::{Address, Server};
use super::no_proxy::NoProxy;
use crate::origin::Origin;
use crate::secret::Secret;

/// The deadline of a request that makes nothing.
pub(crate) const REQUEST: Duration = Duration::from_secs(20);
/// How often a request is sent again by default.
pub(crate) const RETRIES: u32 = 2;

/// Everything that the HTTP client needs.
#[derive(Debug)]
pub struct Connection {
    /// Where Vault listens.
    pub address: Address,
    /// Where the address came from.
    pub address_origin: String,
    /// What a user changes to change the address: see [`Origin::setting`].
    pub address_setting: String,
    /// The namespace, sent with every request.
    pub namespace: Option<String>,
    /// What a user changes to change the namespace, or sets where there is none.
    pub namespace_setting: String,
    /// Which CA to trust.
    pub roots: Roots,
    /// Our certificate and key, PEM, for mTLS.
    pub identity: Option<ClientCertificate>,
    /// The name in the server's certificate, when it is not the host's.
    pub server_name: Option<String>,
    /// The proxy for https.
    pub proxy: Option<Proxy>,
    /// Both the CA and the proxy were named by variables: whoever set them can be the server, whatever the address.
    pub proxy_and_ca_from_variables: bool,
    /// Servers that a standby may send us to.
    pub redirect_hosts: Vec<Server>,
    /// The deadline of a connection attempt; shorter than the ones of requests and of the run.
    pub connect_timeout: Duration,
    /// The deadline of one request, when the user named one.
    pub request_timeout: Option<Duration>,
    /// The deadline of the whole run.
    pub timeout: Duration,
    /// How often a request that was certainly not processed is sent again.
    pub retries: u32,
}

impl Connection {
    /// How a server is reached that is not Vault: without a proxy, by the system's roots where it has TLS, and with one
    /// deadline for all. Nothing is repeated.
    #[must_use]
    pub(crate) fn to_service(address: Address, address_origin: String, timeout: Duration) -> Self {
        let roots = match &address {
            Address::Tcp(server) if server.tls => Roots::System,
            Address::Tcp(_) | Address::Unix(_) => Roots::None,
        };
        Self {
            address,
            address_setting: address_origin.clone(),
            address_origin,
            namespace: None,
            namespace_setting: String::new(),
            roots,
            identity: None,
            server_name: None,
            proxy: None,
            proxy_and_ca_from_variables: false,
            redirect_hosts: Vec::new(),
            connect_timeout: timeout,
            request_timeout: None,
            timeout,
            retries: 0,
        }
    }
}

/// A client certificate and its key, PEM.
#[derive(Debug)]
pub struct ClientCertificate {
    /// The certificate, and the intermediates behind it.
    pub chain: String,
    /// The key.
    pub key: Secret,
    /// Where the key came from.
    pub origin: Origin,
}

/// Which certificates are trusted.
#[derive(Debug)]
pub enum Roots {
    /// These alone; the text is PEM and came from there. The system's roots are one such bundle.
    Pem {
        /// One or more certificates.
        text: String,
        /// Where they came from.
        origin: String,
    },
    /// The system's, not read yet: see [`Connection::read_roots`].
    System,
    /// None is asked for: plain http.
    None,
    /// Not even the server's certificate is looked at: a flag said so, for this machine only.
    Unchecked,
}

/// A proxy, reached by CONNECT.
#[derive(Debug)]
pub struct Proxy {
    /// Its address, which may hold a password.
    pub url: Secret,
    /// The servers that are reached without it.
    pub except: Arc<NoProxy>,
    /// Where it came from.
    pub origin: Origin,
}
