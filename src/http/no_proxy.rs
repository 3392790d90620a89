//! `NO_PROXY`: which servers are reached without the proxy, read as Go's `golang.org/x/net/http/httpproxy` does, and with
//! it Vault's own command line. Nothing here asks a name service: a name is never held against an address.

use std::net::IpAddr;

use ipnet::IpNet;

/// The list.
#[derive(Debug, Default)]
pub struct NoProxy(Vec<Exception>);

#[derive(Debug)]
struct Exception {
    host: HostPattern,
    /// With a port, it speaks of that port only.
    port: Option<String>,
}

#[derive(Debug)]
enum HostPattern {
    /// `*`.
    Every,
    Address(IpAddr),
    Network(IpNet),
    /// A name with what is below it. Begins with a dot.
    Domain(String),
    /// What is below a name, and not itself. Begins with a dot.
    Below(String),
}

impl NoProxy {
    /// Reads a list: entries between commas, blanks around them. What is none of the following covers nothing.
    ///
    /// * `*`: every server.
    /// * `10.0.0.1`, `fd00::1` or `[fd00::1]`: this address. `10.0.0.0/8`, `fd00::/8`: this network.
    /// * `corp.example`: this name and every one below it. `.corp.example`, `*.corp.example`: those below it only.
    ///
    /// Behind all but `*` and a network, `:8200` says that only this port is meant; an IPv6 address needs brackets then.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        Self(list.split(',').filter_map(|entry| parse_entry(entry.trim())).collect())
    }

    /// Whether the server is on the list. The host of an IPv6 address has no brackets.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let port = port.to_string();
        let name = host.to_ascii_lowercase();
        let address = name.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        self.0.iter().filter(|entry| entry.port.as_ref().is_none_or(|wanted| *wanted == port)).any(|entry| {
            match (&entry.host, &address) {
                (HostPattern::Every, _) => true,
                (HostPattern::Address(wanted), Some(address)) => wanted == address,
                (HostPattern::Network(network), Some(address)) => network.contains(address),
                (HostPattern::Domain(domain), None) => name.ends_with(domain) || name == domain[1..],
                (HostPattern::Below(domain), None) => name.ends_with(domain),
                _ => false,
            }
        })
    }
}

fn parse_entry(entry: &str) -> Option<Exception> {
    if entry == "*" {
        return Some(Exception { host: HostPattern::Every, port: None });
    }
    if let Ok(network) = entry.parse() {
        return Some(Exception { host: HostPattern::Network(network), port: None });
    }
    let (host, port) = split_port(entry);
    let host = if let Ok(address) = host.parse::<IpAddr>() {
        HostPattern::Address(address.to_canonical())
    } else {
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host).to_ascii_lowercase();
        match name.strip_prefix('.') {
            _ if name.is_empty() => return None,
            Some(_) => HostPattern::Below(name),
            None => HostPattern::Domain(format!(".{name}")),
        }
    };
    Some(Exception { host, port: port.map(str::to_owned) })
}

/// `host:port`, `[v6]:port`, `[v6]`, `v6` or `host`.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, \
        10.0.0.0/30, 2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, [2001:db8::52:0:4], \
        2002:db8:a::45/64, ported.org:80, elsewhere.org:81, .below.org:80, *.star.org:81, UPPER.corp, ::ffff:10.9.9.9";

    #[test]
    fn a_server_is_covered_as_gos_rules_say() {
        let list = NoProxy::parse(LIST);
        for (host, covered) in [
            ("192.168.1.1", true),
            ("192.168.1.2", false), // another port
            ("192.168.1.3", true),
            ("192.168.1.4", false),
            ("10.0.0.2", true),
            ("10.0.0.4", false),
            ("2001:db8::52:0:1", true),
            ("2001:db8::52:0:2", false), // another port
            ("2001:db8::52:0:3", true),
            ("2001:db8::52:0:4", true),
            ("2002:db8:a::123", true),
            ("2002:db8:b::123", false),
            ("::2", false),
            ("10.9.9.9", true), // one address in two spellings
            ("foobar.com", true),
            ("www.foobar.com", true),
            ("foofoobar.com", false),
            ("foobar.com.evil", false),
            ("barbaz.net", false), // only what is below it
            ("www.barbaz.net", true),
            ("barbarbaz.net", false),
            ("wildcard.io", false),
            ("nested.wildcard.io", true),
            ("awildcard.io", false),
            ("ported.org", true),
            ("www.ported.org", true),
            ("elsewhere.org", false),
            ("www.below.org", true),
            ("below.org", false),
            ("www.star.org", false),
            ("upper.corp", true),
            ("FooBar.com", true),
        ] {
            assert_eq!(list.covers(host, 80), covered, "{host}");
        }
    }

    #[test]
    fn a_star_covers_names_and_addresses() {
        for list in ["*", "x, *", "*,x:1"] {
            for host in ["vault.corp", "10.1.2.3", "fd00::1", "2130706433"] {
                assert!(NoProxy::parse(list).covers(host, 8200), "{host} {list}");
            }
        }
    }

    #[test]
    fn what_is_no_entry_covers_nothing() {
        for list in [
            "",
            " , ,",
            ".",
            ":1",
            "[",
            "[]",
            "[]:8200",
            "[fd00::1",
            "10.0.0.0/33",
            "2.3",
            "vault.corp:",
            "**",
            "*corp",
        ] {
            for host in ["vault.corp", "10.1.2.3", "fd00::1"] {
                assert!(!NoProxy::parse(list).covers(host, 8200), "{host} {list}");
            }
        }
        assert!(!NoProxy::parse("0.0.0.0/0").covers("fd00::1", 8200));
        assert!(!NoProxy::parse("::/0").covers("10.1.2.3", 8200));
        assert!(!NoProxy::parse("10.0.0.0/8").covers("vault.corp", 8200));
    }
}
