//! HTTP to GitLab's API: one request, with GitLab's token in its header, and nothing that is Vault's but a body.
//!
//! TLS, proxy and size are as for Vault. A redirect is an answer like any other: no secret follows it.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use zeroize::Zeroizing;

use super::setup::{build, builder};
use super::transport::Connection;
use super::{Peer, TransportError, fault, read_body, tls};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// A client for one GitLab.
pub(crate) struct GitlabClient {
    inner: reqwest::Client,
    base: String,
    /// Who is called, for messages.
    pub(crate) peer: Peer,
}

/// One request: a read, or a write of this JSON.
pub(crate) struct GitlabRequest<'a> {
    /// The path behind the API's own, checked and encoded before it got here.
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(&'static str, &'a str)],
    /// GitLab's token.
    pub(crate) token: &'a Secret,
    pub(crate) body: Option<&'a Secret>,
    /// Its deadline.
    pub(crate) timeout: Duration,
}

/// A whole answer, whatever it says; a redirect too.
pub(crate) struct GitlabReply {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl GitlabClient {
    /// Builds the client; nothing is opened yet.
    ///
    /// # Errors
    /// [`Kind::Config`] when the roots or the proxy cannot be used.
    pub(crate) fn new(connection: &Connection) -> Result<Self> {
        // A connection that was kept may be dead, and a write that is lost on it would leave us to guess.
        let inner = build(builder(connection, tls::client_config(connection)?)?.pool_max_idle_per_host(0))?;
        Ok(Self { inner, base: connection.address.base(), peer: Peer::of(connection) })
    }

    /// Sends once, and reads the whole answer.
    ///
    /// # Errors
    /// [`TransportError`] when there is no whole answer to look at.
    pub(crate) async fn send(&self, request: &GitlabRequest<'_>) -> Result<GitlabReply, TransportError> {
        let url = format!("{}/{}", self.base, request.path);
        let mut builder = match request.body {
            None => self.inner.get(url),
            Some(body) => self.inner.put(url).header(CONTENT_TYPE, "application/json").body(body.expose().to_owned()),
        };
        if !request.query.is_empty() {
            builder = builder.query(request.query);
        }
        let builder = builder.header("PRIVATE-TOKEN", token_value(request.token)?).timeout(request.timeout);
        let response = builder.send().await.map_err(|error| fault::describe(&error, &self.peer, request.timeout))?;
        let status = response.status().as_u16();
        Ok(GitlabReply { status, body: read_body(response, &self.peer, request.timeout).await? })
    }
}

/// Security: not marked sensitive, the token would stand in the `Debug` of a request.
fn token_value(token: &Secret) -> Result<HeaderValue, TransportError> {
    let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
        TransportError::last(Error::new(Kind::Input, "GitLab's token has a character that cannot be sent in a header"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}
