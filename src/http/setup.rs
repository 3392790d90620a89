//! The settings that every HTTP client of `ci-creds` has.

use std::sync::Arc;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use super::address::Address;
use super::resolver::Resolver;
use super::transport::{Connection, Proxy};
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
        builder = builder.proxy(through(proxy).map_err(unusable)?);
    }
    Ok(builder)
}

/// Without a word, a server may compress what it likes; we undo nothing (RFC 9110, 12.5.3).
fn uncompressed() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))])
}

/// This proxy for https, but for the servers that are not to be reached by it: one of them may be where a redirect leads.
fn through(proxy: &Proxy) -> reqwest::Result<reqwest::Proxy> {
    // Read once here, for what is wrong with it; a proxy that is asked for each server cannot say so.
    reqwest::Proxy::https(proxy.url.expose())?;
    let (url, except) = (proxy.url.duplicate(), Arc::clone(&proxy.except));
    Ok(reqwest::Proxy::custom(move |server| {
        let host = server.host_str()?.trim_matches(['[', ']']);
        let is_led = server.scheme() == "https" && !except.covers(host, server.port_or_known_default()?);
        is_led.then(|| url.expose().to_owned())
    }))
}

/// The client.
pub(super) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|_| {
        Error::new(Kind::Internal, "the HTTP client cannot be set up")
            .cause(anyhow::anyhow!("reqwest refused its settings"))
    })
}
