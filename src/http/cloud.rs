//! HTTP to a cloud's own API and to the services that a cloud has on a machine, and nothing that is Vault's: no token, no
//! namespace, no header.
//!
//! TLS, proxy, size and silence about redirects are as for Vault. What an answer means is not decided here.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::setup::{build, builder};
use super::transport::Connection;
use super::{Peer, TransportError, fault, read_body, tls};
use crate::error::{Error, Kind, Result};

/// A client for one endpoint.
pub(crate) struct CloudClient {
    inner: reqwest::Client,
    url: String,
    /// Who is called, for messages.
    pub(crate) peer: Peer,
}

/// How a service of a machine is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Get,
    Put,
}

/// A whole answer, whatever it says; a redirect too.
pub(crate) struct CloudReply {
    pub(crate) status: u16,
    /// The server's clock, as it stands.
    pub(crate) date: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl CloudClient {
    /// Builds the client; nothing is opened yet.
    ///
    /// # Errors
    /// [`Kind::Config`] when the roots or the proxy cannot be used.
    pub(crate) fn new(connection: &Connection) -> Result<Self> {
        // No connection is kept: behind a cloud's name stand many servers, and each question should meet another one.
        let inner = build(builder(connection, tls::client_config(connection)?)?.pool_max_idle_per_host(0))?;
        Ok(Self { inner, url: format!("{}/", connection.address.base()), peer: Peer::of(connection) })
    }

    /// Posts once, and reads the whole answer.
    ///
    /// # Errors
    /// [`TransportError`] when there is no whole answer to look at.
    pub(crate) async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: &str,
        timeout: Duration,
    ) -> Result<CloudReply, TransportError> {
        self.finish(self.inner.post(&self.url).body(body.to_owned()), headers, timeout).await
    }

    /// Asks for what is at this path, which begins with a slash. Without a body.
    ///
    /// # Errors
    /// As [`CloudClient::post`].
    pub(crate) async fn ask(
        &self,
        verb: Verb,
        path: &str,
        headers: &[(&'static str, String)],
        timeout: Duration,
    ) -> Result<CloudReply, TransportError> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let request = match verb {
            Verb::Get => self.inner.get(url),
            Verb::Put => self.inner.put(url),
        };
        self.finish(request, headers, timeout).await
    }

    async fn finish(
        &self,
        request: reqwest::RequestBuilder,
        headers: &[(&'static str, String)],
        timeout: Duration,
    ) -> Result<CloudReply, TransportError> {
        let headers = header_map(headers).map_err(TransportError::last)?;
        let response = request.headers(headers).timeout(timeout).send().await;
        let response = response.map_err(|error| fault::describe(&error, &self.peer, timeout))?;
        Ok(CloudReply {
            status: response.status().as_u16(),
            date: response.headers().get(DATE).and_then(|value| Some(value.to_str().ok()?.to_owned())),
            body: read_body(response, &self.peer, timeout).await?,
        })
    }
}

/// Security: a signature is not shown by the `Debug` of a request.
fn header_map(headers: &[(&'static str, String)]) -> Result<HeaderMap> {
    let pair = |(name, text): &(&'static str, String)| {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| Error::new(Kind::Internal, format!("the header {name} has a character that no header has")))?;
        value.set_sensitive(true);
        Ok((HeaderName::from_static(name), value))
    };
    headers.iter().map(pair).collect()
}
