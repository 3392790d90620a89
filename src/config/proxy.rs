//! The proxy, if there is one: who named it, and which hosts are reached without it. Nothing is opened.

use super::address::parse_proxy;
use super::source::Layers;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::http::address::Address;
use crate::http::no_proxy::NoProxy;
use crate::http::transport::Proxy;
use crate::origin::{Origin, WithOrigin};
use crate::variables as var;

/// Security: a proxy is used for https to other machines only, by CONNECT; plain http and loopback never pass one.
fn is_proxied(address: &Address) -> bool {
    matches!(address, Address::Tcp(origin) if origin.tls && !origin.is_loopback())
}

/// The proxy that was named for Vault, and else everybody's. `NO_PROXY` speaks of `HTTPS_PROXY`, not of the former.
pub(super) fn resolve_proxy(
    address: &Address,
    flags: &cli::ConnectionFlags,
    layers: &Layers<'_>,
) -> Result<Option<Proxy>> {
    if !is_proxied(address) {
        return Ok(None);
    }
    let named =
        layers.text(("--proxy", flags.proxy.as_deref()), var::of_flag("--proxy"), |file| file.proxy.as_deref())?;
    match named {
        Some(proxy) => check_proxy(&proxy, NoProxy::default(), address).map(Some),
        None => resolve_general_proxy(address, layers),
    }
}

/// Everybody's proxy, for what is not Vault too.
pub(super) fn resolve_general_proxy(address: &Address, layers: &Layers<'_>) -> Result<Option<Proxy>> {
    if !is_proxied(address) {
        return Ok(None);
    }
    let general = |name: &'static str| layers.first_variable(&[name, &name.to_lowercase()]);
    let except = NoProxy::parse(&general(var::NO_PROXY)?.map(|list| list.value).unwrap_or_default());
    if matches!(address, Address::Tcp(server) if except.covers(&server.host, server.port)) {
        return Ok(None);
    }
    general(var::HTTPS_PROXY)?.map(|proxy| check_proxy(&proxy, except, address)).transpose()
}

fn check_proxy(text: &WithOrigin<String>, except: NoProxy, address: &Address) -> Result<Proxy> {
    let url = parse_proxy(text)?;
    // The HTTP client asks TLS for the name of the server behind a proxy in brackets, and there is no such name.
    if let Address::Tcp(server) = address
        && server.host.contains(':')
    {
        return Err(Error::new(
            Kind::Config,
            format!("the address is an IPv6 address, which the proxy (from {}) cannot reach", text.origin),
        )
        .hint(match &text.origin {
            Origin::Variable(name) if name.eq_ignore_ascii_case(var::HTTPS_PROXY) => {
                format!("use a host name in Vault's address, or reach it without the proxy: NO_PROXY=[{}]", server.host)
            }
            _ => "use a host name in Vault's address".to_owned(),
        }));
    }
    Ok(Proxy { url, except: except.into(), origin: text.origin.clone() })
}
