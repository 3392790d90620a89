//! HTTP to the CI system's own endpoint for ID tokens: one request, and nothing that is Vault's: no token, no namespace, no
//! header.
//!
//! TLS, size and silence about redirects are as for Vault. What an answer means is not decided here.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use zeroize::Zeroizing;

use super::setup::{build, builder};
use super::transport::Connection;
use super::{Method, Peer, TransportError, fault, read_body, tls};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// A client for one endpoint.
pub(crate) struct IssuerClient {
    inner: reqwest::Client,
    /// Who is called, for messages.
    pub(crate) peer: Peer,
}

/// A whole answer, whatever it says; a redirect too.
pub(crate) struct IssuerReply {
    pub(crate) status: u16,
    /// `Retry-After`, as it stands.
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl IssuerClient {
    /// Builds the client; nothing is opened yet.
    ///
    /// # Errors
    /// [`Kind::Config`] when the roots or the proxy cannot be used.
    pub(crate) fn new(connection: &Connection) -> Result<Self> {
        let inner = build(builder(connection, tls::client_config(connection)?)?)?;
        Ok(Self { inner, peer: Peer::of(connection) })
    }

    /// Sends once, and reads the whole answer. `authorization` is the whole header.
    ///
    /// # Errors
    /// [`TransportError`] when there is no whole answer to look at.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        authorization: &Secret,
        timeout: Duration,
    ) -> Result<IssuerReply, TransportError> {
        let mut proof = HeaderValue::from_str(authorization.expose()).map_err(|_| {
            TransportError::last(Error::new(
                Kind::Input,
                "what the CI system gave the job to request an ID token with cannot be sent in a header",
            ))
        })?;
        // Security: not marked sensitive, the header would stand in the `Debug` of a request.
        proof.set_sensitive(true);
        let builder = match method {
            Method::Get => self.inner.get(url),
            // Azure's own clients send an empty JSON body, and a redirect to its login page is suppressed.
            Method::Post => self
                .inner
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_LENGTH, "0")
                .header("X-TFS-FedAuthRedirect", "Suppress"),
        };
        let builder = builder.header(AUTHORIZATION, proof).header(ACCEPT, "application/json");
        let response = builder.timeout(timeout).send().await;
        let response = response.map_err(|error| fault::describe(&error, &self.peer, timeout))?;
        let retry_after = response.headers().get(RETRY_AFTER);
        Ok(IssuerReply {
            status: response.status().as_u16(),
            retry_after: retry_after.and_then(|value| Some(value.to_str().ok()?.to_owned())),
            body: read_body(response, &self.peer, timeout).await?,
        })
    }
}
