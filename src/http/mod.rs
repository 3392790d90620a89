//! HTTP to one Vault, and in `service` to every other server: the only user of reqwest. One connection, as long as it is
//! alive, and one request at a time.
//!
//! It follows no redirect but one 307 to a server that may see the secrets, repeats nothing, decompresses
//! nothing, reads at most 1 MiB, and has no proxy but the one it was given. What a failure means for the next
//! step is not decided here, only whether a byte of the request can have left: `Stage`.

pub mod address;
mod certificate;
mod fault;
mod index;
pub(crate) mod inspection;
mod keepalive;
pub(crate) mod no_proxy;
mod p521;
mod peer;
pub mod redirect;
mod resolver;
pub(crate) mod service;
mod setup;
mod tls;
pub(crate) mod transport;
mod validity;
mod verifier;

use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result, sanitized};
use crate::secret::Secret;
use address::{Address, Server};
use transport::Connection;

pub(crate) use fault::{Reach, Stage, TransportError};
use index::Index;
use keepalive::Connections;
pub(crate) use peer::{Peer, ServiceHints};
use setup::builder;

/// The largest answer that is read; Vault's are a few kilobytes.
const LARGEST_BODY: usize = 1 << 20;

/// A client for one Vault.
pub(crate) struct Client {
    connections: Connections,
    base: String,
    /// Who is called, for messages.
    pub(crate) peer: Peer,
    address: Address,
    redirect_hosts: Vec<Server>,
    index: Index,
}

/// A second: nobody opens such a token, and Vault forgets it.
const WRAP_TTL: (&str, &str) = ("X-Vault-Wrap-TTL", "1s");

/// One request.
pub(crate) struct Request<'a> {
    /// What it does on the server.
    pub(crate) method: Method,
    /// The path behind `/v1/`, checked segment by segment before it got here.
    pub(crate) path: &'a str,
    /// Parameters of a read.
    pub(crate) query: &'a [(&'static str, String)],
    /// The token that it is made with.
    pub(crate) token: Option<&'a Secret>,
    /// The JSON of a write.
    pub(crate) body: Option<Secret>,
    /// Whether a lost one costs something that is not had again.
    pub(crate) spends: bool,
    /// Whether the answer is asked for inside a wrapping token.
    pub(crate) wraps: bool,
    /// Whether its answer is a lease.
    pub(crate) lends: bool,
    /// Whether no redirect is followed.
    pub(crate) stays: bool,
    /// Its deadline.
    pub(crate) timeout: Duration,
}

/// Vault's two verbs, as far as we need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// A whole answer, whatever it says.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Whether it calls itself JSON.
    pub(crate) json: bool,
    /// What it calls itself, for messages.
    pub(crate) content_type: String,
    /// `Retry-After`, as it stands.
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Client {
    /// Builds the client; nothing is opened yet.
    ///
    /// # Errors
    /// [`Kind::Config`] when a certificate, a key or the proxy cannot be used.
    pub(crate) fn new(connection: &Connection) -> Result<Self> {
        let (tls, headers) = (tls::client_config(connection)?, default_headers(connection)?);
        let client = || Ok(builder(connection, tls.clone())?.default_headers(headers.clone()));
        Ok(Self {
            connections: Connections::new(client)?,
            base: url_base(connection),
            peer: Peer::vault(connection),
            address: connection.address.clone(),
            redirect_hosts: connection.redirect_hosts.clone(),
            index: Index::default(),
        })
    }

    /// Sends one request and reads the whole answer; follows at most one 307. One deadline is for both.
    ///
    /// # Errors
    /// [`TransportError`] when there is no whole answer to look at.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Reply, TransportError> {
        let answer = tokio::time::timeout(request.timeout, self.follow(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(self.too_late(request.timeout)));
        if answer.as_ref().is_err_and(|broken| broken.stage == Stage::Sent) {
            self.connections.note_loss();
        }
        answer
    }

    /// What a request comes to that was given up after so long.
    pub(crate) fn too_late(&self, waited: Duration) -> TransportError {
        fault::too_late(&self.peer, waited)
    }

    async fn follow(&self, request: &Request<'_>) -> Result<Reply, TransportError> {
        let (reply, location) = self.send_to(&self.base, &self.peer, request).await?;
        let Some(location) = location else { return Ok(reply) };
        if request.stays {
            let text = format!("{} redirects the login, and a signed request goes to no other server", self.peer.host);
            let error = Error::new(Kind::Protocol, text);
            return Err(TransportError::astray(error.hint(format!("point {} to the active node", self.peer.address))));
        }
        let (base, peer) =
            self.redirect_target(reply.status, &location, request.path).map_err(TransportError::astray)?;
        let (reply, again) = self.send_to(&base, &peer, request).await.map_err(TransportError::behind_a_redirect)?;
        match again {
            None => Ok(reply),
            Some(_) => {
                let text = format!("{} redirects a second time", peer.host);
                Err(TransportError::astray(redirect::refusal(text, &peer.address)))
            }
        }
    }

    async fn send_to(
        &self,
        base: &str,
        peer: &Peer,
        request: &Request<'_>,
    ) -> Result<(Reply, Option<String>), TransportError> {
        let mut answer = self.prepare(self.connections.next(request.spends).await, base, request)?.send().await;
        if answer.as_ref().is_err_and(fault::is_unsent)
            && let Some(client) = self.connections.note_loss()
        {
            answer = self.prepare(client, base, request)?.send().await;
        }
        let response = answer.map_err(|error| fault::describe(&error, peer, request.timeout))?;
        self.connections.note_answer(base, &response);
        self.index.note(response.headers());
        let status = response.status().as_u16();
        let text =
            |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let location = text(LOCATION).filter(|_| (300..400).contains(&status));
        if (300..400).contains(&status) && location.is_none() {
            let text = format!("{} answers {status} without a new address", peer.host);
            return Err(TransportError::astray(redirect::refusal(text, &peer.address)));
        }
        if text(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            let error = Error::new(
                Kind::Protocol,
                format!("the answer from {} is compressed, which ci-creds did not ask for", peer.host),
            );
            return Err(TransportError { stage: Stage::Sent, error });
        }
        let content_type = text(CONTENT_TYPE).unwrap_or_default();
        let reply = Reply {
            status,
            json: content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json"),
            content_type: sanitized(&content_type),
            retry_after: text(RETRY_AFTER),
            body: read_body(response, peer, request.timeout).await?,
        };
        Ok((reply, location))
    }

    fn prepare(
        &self,
        client: &reqwest::Client,
        base: &str,
        request: &Request<'_>,
    ) -> Result<reqwest::RequestBuilder, TransportError> {
        let url = format!("{base}/v1/{}", request.path);
        let mut builder = match request.method {
            Method::Get => client.get(url),
            Method::Post => client.post(url),
        };
        if !request.query.is_empty() {
            builder = builder.query(request.query);
        }
        if let Some(token) = request.token {
            builder = builder.header("X-Vault-Token", token_header(token)?);
        }
        if request.wraps {
            builder = builder.header(WRAP_TTL.0, WRAP_TTL.1);
        }
        builder = self.index.demand(request.lends, builder);
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.expose().to_owned());
        }
        Ok(builder.timeout(request.timeout))
    }

    /// The start of the URL that a redirect leads to, and who answers there.
    fn redirect_target(&self, status: u16, location: &str, path: &str) -> Result<(String, Peer)> {
        let ours = (&self.address, self.peer.address.as_str());
        let target = redirect::resolve(ours, &self.redirect_hosts, status, location, path)?;
        let same = matches!(&self.address, Address::Tcp(ours) if ours.is_same_server(&target));
        let server = if same { self.server_base().to_owned() } else { target.base() };
        let peer = Peer {
            host: target.authority(),
            address: self.peer.address.clone(),
            proxy: self.peer.proxy.clone(),
            hints: None,
        };
        Ok((server + &target.prefix, peer))
    }

    /// Scheme, host and port as our own requests spell them.
    fn server_base(&self) -> &str {
        let prefix = match &self.address {
            Address::Tcp(origin) => origin.prefix.as_str(),
            Address::Unix(_) => "",
        };
        self.base.strip_suffix(prefix).unwrap_or(&self.base)
    }

    /// Waits between two attempts.
    pub(crate) async fn pause(&self, duration: Duration) {
        self.connections.note_pause(duration);
        tokio::time::sleep(duration).await;
    }
}

async fn read_body(
    mut response: reqwest::Response,
    peer: &Peer,
    timeout: Duration,
) -> Result<Zeroizing<Vec<u8>>, TransportError> {
    // Overwriting the buffer costs by its size; a growing one is overwritten by the allocator as it moves.
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(expected.unwrap_or(4096).min(LARGEST_BODY)));
    while let Some(chunk) = response.chunk().await.map_err(|error| fault::describe(&error, peer, timeout))? {
        if body.len() + chunk.len() > LARGEST_BODY {
            let error = Error::new(
                Kind::Protocol,
                format!("the answer from {} is larger than 1 MiB: it was not read to its end", peer.host),
            );
            return Err(TransportError { stage: Stage::Sent, error });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The start of every URL. With a server name of its own, the URL has that name, so that TLS asks for it, and the
/// resolver leads it to the address's host.
fn url_base(connection: &Connection) -> String {
    match (&connection.address, &connection.server_name) {
        (Address::Tcp(origin), Some(name)) if origin.tls => {
            Server { host: name.clone(), ..origin.clone() }.base() + &origin.prefix
        }
        (address, _) => address.base(),
    }
}

fn default_headers(connection: &Connection) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    // A Vault Agent with `require_request_header` answers 412 without it.
    headers.insert("X-Vault-Request", HeaderValue::from_static("true"));
    let value = |text: &str, what: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| Error::new(Kind::Config, format!("the {what} cannot be sent in a header")))
    };
    if let Some(namespace) = &connection.namespace {
        headers.insert("X-Vault-Namespace", value(namespace, "namespace")?);
    }
    if let (Address::Tcp(origin), Some(_)) = (&connection.address, &connection.server_name) {
        headers.insert(HOST, value(&origin.authority(), "address")?);
    }
    Ok(headers)
}

/// Security: not marked sensitive, the header would stand in the `Debug` of a request.
fn token_header(token: &Secret) -> Result<HeaderValue, TransportError> {
    let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
        TransportError::last(Error::new(Kind::Input, "the token has a character that cannot be sent in a header"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::transport::Roots;
    use super::*;
    use crate::http::address::parse_server;

    fn client(address: &str, server_name: Option<&str>) -> Client {
        let connection = Connection {
            address: Address::Tcp(parse_server(address).unwrap()),
            address_origin: "VAULT_ADDR".into(),
            address_setting: "VAULT_ADDR".into(),
            namespace: None,
            namespace_setting: "VAULT_NAMESPACE".into(),
            roots: Roots::Unchecked,
            identity: None,
            server_name: server_name.map(str::to_owned),
            proxy: None,
            proxy_and_ca_from_variables: false,
            redirect_hosts: vec![parse_server("https://node2.corp:8200").unwrap()],
            connect_timeout: Duration::from_secs(1),
            request_timeout: None,
            timeout: Duration::from_secs(1),
            retries: 0,
        };
        Client::new(&connection).unwrap()
    }

    #[test]
    fn a_redirect_keeps_our_spelling_of_the_server_and_its_own_prefix() {
        let own = client("https://vault.corp:8200/proxy", None);
        let named = client("https://10.0.0.1:8200/proxy", Some("vault.corp"));
        let target = |client: &Client, status, location: &str| {
            client.redirect_target(status, location, "sys/x").map(|(base, _)| base).map_err(|error| error.render(false))
        };
        for (location, base) in [
            ("https://vault.corp:8200/proxy/v1/sys/x", "https://vault.corp:8200/proxy"),
            ("https://vault.corp:8200/v1/sys/x?y=1", "https://vault.corp:8200"),
            ("/other/v1/sys/x", "https://vault.corp:8200/other"),
            ("https://node2.corp:8200/v1/sys/x", "https://node2.corp:8200"),
            ("https://node2.corp:8200/p/v1/sys/x", "https://node2.corp:8200/p"),
        ] {
            assert_eq!(target(&own, 307, location).as_deref(), Ok(base), "{location}");
            assert!(target(&own, 308, location).is_err() && target(&own, 302, location).is_err(), "{location}");
        }
        // TLS goes on asking for the server's own name.
        assert_eq!(target(&named, 307, "/v1/sys/x").as_deref(), Ok("https://vault.corp:8200"));
        assert_eq!(target(&named, 307, "https://10.0.0.1:8200/p/v1/sys/x").as_deref(), Ok("https://vault.corp:8200/p"));
        for location in [
            "//vault.corp:8200/v1/sys/x",
            "https://vault.corp:8200/xv1/sys/x",
            "https://vault.corp:8200/v1/sys/xx",
            "https://vault.corp:8200/v1/sys",
            "https://vault.corp/v1/sys/x",
            "http://vault.corp:8200/v1/sys/x",
            "http://node2.corp:8200/v1/sys/x",
            "https://node3.corp:8200/v1/sys/x",
            "https://user@vault.corp:8200/v1/sys/x",
        ] {
            assert!(target(&own, 307, location).is_err(), "{location}");
        }
    }

    #[test]
    fn a_token_does_not_stand_in_the_debug_text_of_its_header() {
        let Ok(value) = token_header(&Secret::new("hvs.CAESIJ".into())) else { panic!("no header") };
        assert!(!format!("{value:?}").contains("CAESIJ"), "{value:?}");
    }
}
