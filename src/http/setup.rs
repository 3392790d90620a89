//! What every client of ours is, whoever it speaks to.

use std::sync::Arc;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use super::address::Address;
use super::resolver::Resolver;
use super::transport::Connection;
use crate::error::{Error, Kind, Result};

/// This peer's TLS, this proxy or none, and nothing followed or repeated.
pub(super) fn builder(connection: &Connection, tls: rustls::ClientConfig) -> Result<reqwest::ClientBuilder> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("ci-creds/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .default_headers(uncompressed())
        .http1_only()
        .connect_timeout(connection.connect_timeout)
        .tcp_nodelay(true)
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(Resolver::new(connection)))
        .no_proxy();
    if let Address::Unix(path) = &connection.address {
        builder = builder.unix_socket(path.as_path());
    }
    if let Some(proxy) = &connection.proxy {
        let unusable = |_| Error::new(Kind::Config, format!("the proxy (from {}) cannot be used", proxy.origin));
        let except = proxy.except.as_deref().and_then(reqwest::NoProxy::from_string);
        builder = builder.proxy(reqwest::Proxy::https(proxy.url.expose()).map_err(unusable)?.no_proxy(except));
    }
    Ok(builder)
}

/// Without a word, a server may compress what it likes; we undo nothing (RFC 9110, 12.5.3).
fn uncompressed() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))])
}

/// The client.
pub(super) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|_| {
        Error::new(Kind::Internal, "the HTTP client cannot be set up")
            .cause(anyhow::anyhow!("reqwest refused its settings"))
    })
}
