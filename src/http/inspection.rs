//! One look at a server, for a diagnosis: which address its name has, how far a connection gets, with which certificate it
//! answers, and what its clock says. It asks `sys/health`, without a token and outside every namespace.
//!
//! The settings are those of the client that a run has, so what fails here fails there.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use reqwest::dns::{Name, Resolve};
use reqwest::header::DATE;
use reqwest::tls::TlsInfo;

use super::address::Address;
use super::fault::{self, Reach, ResolveError};
use super::peer::Peer;
use super::resolver::Resolver;
use super::setup::{build, builder};
use super::transport::Connection;
use super::validity::read;
use super::{Reply, default_headers, read_body, tls, url_base};
use crate::error::{Error, Result, sanitized};

pub(crate) use super::validity::CertificateFacts;

/// What was seen of a server.
pub(crate) struct Sight {
    /// Where it answered from: the proxy's address where there is one.
    pub(crate) remote: Option<SocketAddr>,
    /// Its certificate, if it has one.
    pub(crate) certificate: Option<CertificateFacts>,
    /// The `Date` of its answer, as it stands.
    pub(crate) date: Option<String>,
    /// The answer.
    pub(crate) reply: Reply,
}

/// Why nothing was seen.
pub(crate) struct Obstacle {
    /// How far it came.
    pub(crate) reach: Reach,
    /// What to tell.
    pub(crate) error: Error,
}

/// The addresses of the server's host. `None` where nobody is asked for one: a socket, an address, a host that a proxy
/// looks up.
///
/// # Errors
/// As a request that finds no address.
pub(crate) async fn find_addresses(connection: &Connection, timeout: Duration) -> Result<Option<Vec<IpAddr>>> {
    let Address::Tcp(server) = &connection.address else { return Ok(None) };
    if connection.proxy.is_some() || server.host.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let peer = Peer::vault(connection);
    let unresolved = || fault::describe_unresolved(&ResolveError::NoAddress(server.host.clone()), &peer);
    let Ok(name) = Name::from_str(&server.host) else { return Err(unresolved()) };
    match tokio::time::timeout(timeout, Resolver::new(connection).resolve(name)).await {
        Ok(Ok(addresses)) => Ok(Some(addresses.map(|address| address.ip()).collect())),
        Ok(Err(error)) => Err(match error.downcast_ref::<ResolveError>() {
            Some(problem) => fault::describe_unresolved(problem, &peer),
            None => unresolved(),
        }),
        Err(_) => Err(unresolved().also(format!("DNS gave no answer in {} s", timeout.as_secs()))),
    }
}

/// Asks for `sys/health`.
///
/// # Errors
/// What was in the way.
pub(crate) async fn look(connection: &Connection, timeout: Duration) -> Result<Sight, Obstacle> {
    let settings = |error| Obstacle { reach: Reach::Connection, error };
    let mut headers = default_headers(connection).map_err(settings)?;
    headers.remove("X-Vault-Namespace");
    let tls = tls::client_config(connection).map_err(|error| Obstacle { reach: Reach::Tls, error })?;
    let client = builder(connection, tls).and_then(|builder| build(builder.default_headers(headers).tls_info(true)));
    let client = client.map_err(settings)?;
    let peer = Peer::vault(connection);
    let obstacle = |error: &reqwest::Error| Obstacle {
        reach: fault::reach(error),
        error: fault::describe(error, &peer, timeout).error,
    };
    let url = format!("{}/v1/sys/health", url_base(connection));
    let response = client.get(url).timeout(timeout).send().await.map_err(|error| obstacle(&error))?;
    let text =
        |name: &str| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let certificate = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate).map(read);
    let (remote, date) = (response.remote_addr(), text(DATE.as_str()));
    let content_type = text("content-type").unwrap_or_default();
    let reply = Reply {
        status: response.status().as_u16(),
        json: content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json"),
        content_type: sanitized(&content_type),
        retry_after: None,
        body: read_body(response, &peer, timeout)
            .await
            .map_err(|broken| Obstacle { reach: Reach::Answer, error: broken.error })?,
    };
    Ok(Sight { remote, certificate, date, reply })
}
