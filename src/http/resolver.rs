//! Names to addresses.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::address::Address;
use super::fault;
use super::transport::{Connection, Roots};

/// `localhost` leads to this machine only, and a server name of one's own to the address's host.
pub(super) struct Resolver {
    /// The name in our URLs, and what to resolve in its place.
    renamed: Option<(String, String)>,
    /// Whether answers beside this machine are refused: plain http to `localhost`.
    loopback_only: bool,
}

impl Resolver {
    pub(super) fn new(connection: &Connection) -> Self {
        let Address::Tcp(origin) = &connection.address else { return Self { renamed: None, loopback_only: false } };
        Self {
            renamed: connection.server_name.as_ref().map(|name| (name.clone(), origin.host.clone())),
            loopback_only: origin.host == "localhost" && matches!(connection.roots, Roots::None | Roots::Unchecked),
        }
    }
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = match &self.renamed {
            Some((renamed, host)) if renamed.eq_ignore_ascii_case(name.as_str()) => host.clone(),
            _ => name.as_str().to_owned(),
        };
        let loopback_only = self.loopback_only;
        Box::pin(async move {
            if let Ok(address) = host.parse::<IpAddr>() {
                return Ok(Box::new(std::iter::once(SocketAddr::new(address, 0))) as reqwest::dns::Addrs);
            }
            let mut addresses = look_up(host.clone()).await?;
            addresses.retain(|address| !loopback_only || address.ip().is_loopback());
            if addresses.is_empty() {
                return Err(fault::ResolveError::NoAddress(host).into());
            }
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// The stack of a lookup, as large as Rust makes every other one. Named here because `RUST_MIN_STACK` counts otherwise, and on one
/// that is too small the C library's lookup would end the process, with an empty stdout, which an eval takes for success.
const LOOKUP_STACK: usize = 2 << 20;

/// Asks the system, on a thread of its own, for it may take longer than any deadline of ours. Nobody waits for the thread
/// then; it ends with the process. (tokio's own would panic where the system has no thread to give.)
async fn look_up(host: String) -> Result<Vec<SocketAddr>, fault::ResolveError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let ask = move || {
        let found = (host.as_str(), 0).to_socket_addrs().map(Iterator::collect);
        let _ = sender.send(found.map_err(|_| fault::ResolveError::NoAddress(host)));
    };
    std::thread::Builder::new().stack_size(LOOKUP_STACK).spawn(ask).map_err(|_| fault::ResolveError::NoThread)?;
    receiver.await.unwrap_or(Err(fault::ResolveError::NoThread))
}
