//! The proxy, if there is one: who named it, and which hosts are reached without it. Nothing is opened.

use hyper_util::client::proxy::matcher::Matcher;

use super::address::parse_proxy;
use super::source::Layers;
use crate::cli;
use crate::error::Result;
use crate::http::address::Address;
use crate::http::transport::Proxy;
use crate::origin::Sourced;
use crate::secret::Secret;
use crate::variables as var;

/// Security: a proxy is used for https to other machines only, by CONNECT; plain http and loopback never pass one.
fn is_proxied(address: &Address) -> bool {
    matches!(address, Address::Tcp(origin) if origin.tls && !origin.is_loopback())
}

/// The proxy that was named for Vault, and else everybody's. `NO_PROXY` speaks of `HTTPS_PROXY`, not of the former.
pub(super) fn resolve_proxy(address: &Address, flags: &cli::Connection, layers: &Layers<'_>) -> Result<Option<Proxy>> {
    if !is_proxied(address) {
        return Ok(None);
    }
    let named =
        layers.text(("--proxy", flags.proxy.as_deref()), &[var::VAULT_PROXY_ADDR], |file| file.proxy.as_deref())?;
    match named {
        Some(proxy) => check_proxy(&proxy, None).map(Some),
        None => resolve_general_proxy(address, layers),
    }
}

/// Everybody's proxy, for what is not Vault too.
pub(super) fn resolve_general_proxy(address: &Address, layers: &Layers<'_>) -> Result<Option<Proxy>> {
    if !is_proxied(address) {
        return Ok(None);
    }
    let general = |name: &'static str| layers.text(("", None), &[name, &name.to_lowercase()], |_| None);
    let except = general(var::NO_PROXY)?;
    if let (Address::Tcp(origin), Some(list)) = (address, &except)
        && is_excepted(&origin.authority(), &list.value)
    {
        return Ok(None);
    }
    general(var::HTTPS_PROXY)?.map(|proxy| check_proxy(&proxy, except)).transpose()
}

fn check_proxy(proxy: &Sourced<String>, except: Option<Sourced<String>>) -> Result<Proxy> {
    parse_proxy(proxy)?;
    let url = Secret::new(proxy.value.trim().to_owned());
    Ok(Proxy { url, except: except.map(|list| list.value), origin: proxy.origin.clone() })
}

/// Whether `NO_PROXY` names the host, read as the HTTP client reads it: a name or a domain above it, an address, a network
/// (`10.0.0.0/8`), or `*`. `authority` is `host:port`.
fn is_excepted(authority: &str, list: &str) -> bool {
    let matcher = Matcher::builder().https("http://any.proxy").no(list).build();
    format!("https://{authority}/").parse().is_ok_and(|uri| matcher.intercept(&uri).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_excepted_by_name_domain_address_or_network() {
        for (host, list) in [
            ("vault.corp:8200", "vault.corp"),
            ("vault.corp:8200", "other, VAULT.Corp"),
            ("vault.corp:8200", "corp"),
            ("vault.corp:8200", ".corp"),
            ("vault.corp:8200", "x,*"),
            ("10.1.2.3:8200", "10.1.2.3"),
            ("10.1.2.3:8200", "10.0.0.0/8"),
            ("10.1.2.3:8200", "0.0.0.0/0"),
            ("10.1.2.3:8200", "10.1.2.3/32"),
            ("[fd00::1]:8200", "fd00::/8"),
            ("[fd00::1]:8200", "::/0"),
        ] {
            assert!(is_excepted(host, list), "{host} {list}");
        }
        for (host, list) in [
            ("vault.corp:8200", ""),
            ("vault.corp:8200", " , ,"),
            ("vault.corp:8200", "."),
            ("vault.corp:8200", "ault.corp"),
            ("vault.corp:8200", "vault.corp.evil"),
            ("vault.corp:8200", "10.0.0.0/8"),
            ("evilvault.corp:8200", "vault.corp"),
            ("10.1.2.3:8200", "10.2.0.0/16"),
            ("10.1.2.3:8200", "10.0.0.0/33"),
            ("10.1.2.3:8200", "2.3"),
            ("10.1.2.3:8200", "::/0"),
            ("[fd00::1]:8200", "0.0.0.0/0"),
        ] {
            assert!(!is_excepted(host, list), "{host} {list}");
        }
    }
}
