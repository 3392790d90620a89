//! HTTP to a server that is not Vault: a cloud's API, the services of a machine, the CI system's endpoint for ID tokens,
//! GitLab's API. Nothing that is Vault's is sent: no token, no namespace, no header.
//!
//! TLS, proxy and size are as for Vault. A redirect is an answer like any other: no secret follows it. What an answer means
//! is not decided here.

use std::time::Duration;

use reqwest::header::{DATE, HeaderName, HeaderValue, RETRY_AFTER};
use zeroize::Zeroizing;

use super::setup::{build, builder};
use super::transport::Connection;
use super::{Peer, ServiceHints, TransportError, fault, read_body, tls};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// A client for one server.
pub(crate) struct ServiceClient {
    inner: reqwest::Client,
    base: String,
    /// Who is called, for messages.
    pub(crate) peer: Peer,
}

/// The verbs of such servers, as far as we need them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
}

impl Verb {
    /// As it stands in a request.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// One request.
pub(crate) struct ServiceRequest<'a> {
    pub(crate) verb: Verb,
    /// What is behind the server's own address: a path, or `?` and a query. It is encoded.
    pub(crate) path: &'a str,
    /// Parameters behind it, to be encoded.
    pub(crate) query: &'a [(&'static str, &'a str)],
    /// The header that proves who asks, by its name in lower case.
    pub(crate) proof: Option<(&'static str, &'a Secret)>,
    /// The other headers, likewise.
    pub(crate) headers: &'a [(&'static str, String)],
    pub(crate) body: Option<&'a str>,
    /// Its deadline.
    pub(crate) timeout: Duration,
}

/// A whole answer, whatever it says; a redirect too.
pub(crate) struct ServiceReply {
    pub(crate) status: u16,
    /// The server's clock, as it stands.
    pub(crate) date: Option<String>,
    /// `Retry-After`, as it stands.
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl ServiceClient {
    /// Builds the client; nothing is opened yet. `hints` are those of this server.
    ///
    /// # Errors
    /// [`Kind::Config`] when the roots or the proxy cannot be used.
    pub(crate) fn new(connection: &Connection, hints: ServiceHints) -> Result<Self> {
        // No connection is kept. One may be dead, and a write that is lost on it would leave us to guess; and behind a
        // cloud's name stand many servers, of which each question should meet another one.
        let inner = build(builder(connection, tls::client_config(connection)?)?.pool_max_idle_per_host(0))?;
        Ok(Self { inner, base: connection.address.base(), peer: Peer::service(connection, hints) })
    }

    /// Sends once, and reads the whole answer.
    ///
    /// # Errors
    /// [`TransportError`] when there is no whole answer to look at.
    pub(crate) async fn send(&self, request: &ServiceRequest<'_>) -> Result<ServiceReply, TransportError> {
        let url = format!("{}{}", self.base, request.path);
        let mut builder = match request.verb {
            Verb::Get => self.inner.get(url),
            Verb::Post => self.inner.post(url),
            Verb::Put => self.inner.put(url),
        };
        if !request.query.is_empty() {
            builder = builder.query(request.query);
        }
        if let Some(body) = request.body {
            builder = builder.body(body.to_owned());
        }
        let headers = request.headers.iter().map(|(name, text)| (*name, text.as_str()));
        let proof = request.proof.map(|(name, secret)| (name, secret.expose()));
        let headers = headers.chain(proof).map(header).collect::<Result<_>>().map_err(TransportError::last)?;
        let response = builder.headers(headers).timeout(request.timeout).send().await;
        let response = response.map_err(|error| fault::describe(&error, &self.peer, request.timeout))?;
        let text = |name| response.headers().get(name).and_then(|value| Some(value.to_str().ok()?.to_owned()));
        Ok(ServiceReply {
            status: response.status().as_u16(),
            date: text(DATE),
            retry_after: text(RETRY_AFTER),
            body: read_body(response, &self.peer, request.timeout).await?,
        })
    }
}

/// Whether a text can be the value of a header.
#[must_use]
pub(crate) fn is_header_text(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok()
}

/// Security: not marked sensitive, a token or a signature would stand in the `Debug` of a request.
fn header((name, text): (&'static str, &str)) -> Result<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::new(Kind::Internal, format!("the header {name} has a character that no header has")))?;
    value.set_sensitive(true);
    Ok((HeaderName::from_static(name), value))
}
