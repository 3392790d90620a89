//! Vault's address: scheme, host and port, or a socket. What a URL may say, and which hosts are this machine.

use std::net::IpAddr;
use std::path::PathBuf;

use url::{Host, Url};

/// How the address of a socket begins.
pub(crate) const SOCKET: &str = "unix://";

/// Where Vault listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `https://` or `http://`.
    Tcp(Server),
    /// `unix:///path`: HTTP over a socket of this machine.
    Unix(PathBuf),
}

/// Scheme, host, port, and the path before `/v1/`: who may see our secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whether it is https.
    pub tls: bool,
    /// The host, lower case, without the brackets of an IPv6 address.
    pub host: String,
    /// The port, also when it is the scheme's own.
    pub port: u16,
    /// The path before `/v1/`, without a slash at its end; usually empty.
    pub prefix: String,
}

impl Address {
    /// Reads Vault's address; blanks around it do not count.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind its name: everything that could mean another server to another reader.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        match trimmed.strip_prefix(SOCKET) {
            Some(path) if !path.starts_with('/') || path.contains('\0') => Err("has no absolute path".into()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => parse_server(trimmed).map(Self::Tcp),
        }
    }

    /// The start of every request's URL, without `/v1/`.
    #[must_use]
    pub fn base(&self) -> String {
        match self {
            Self::Tcp(origin) => format!("{}{}", origin.base(), origin.prefix),
            Self::Unix(_) => "http://localhost".into(),
        }
    }

    /// The host, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(origin) => origin.authority(),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

/// The whole address, as it could be given again.
impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(_) => formatter.write_str(&self.base()),
            Self::Unix(path) => write!(formatter, "{SOCKET}{}", path.display()),
        }
    }
}

impl Server {
    /// `scheme://host:port`.
    #[must_use]
    pub fn base(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// `host:port`, with the brackets that an IPv6 address needs.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// The `Host` header: as [`Server::authority`], without a port that is the scheme's own.
    #[must_use]
    pub fn host_header(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.bracketed(),
            _ => self.authority(),
        }
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// Whether the host is this machine: `localhost` or a loopback literal. (What `localhost` resolves to is
    /// checked when it is resolved.)
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether both are the same server: scheme, host and port, whatever the path.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }
}

/// Reads an absolute URL of a server; also the `Location` of a redirect.
///
/// # Errors
/// What is wrong with it, to be put behind its name.
pub fn parse_server(text: &str) -> Result<Server, String> {
    if text.contains(char::is_whitespace) {
        return Err("has a blank in it".into());
    }
    if !is_bare(text) {
        return Err("has a backslash or a character that is not printable ASCII".into());
    }
    // In a host some readers decode it, some refuse it; in a path Vault would decode it.
    if text.contains('%') {
        return Err("has a percent sign in it".into());
    }
    let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
    // The reader itself would find a host in `https:vault`, `https:/vault` and `https:///vault` too.
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err("does not begin with https://".into()),
    };
    if !scheme.eq_ignore_ascii_case(url.scheme()) || authority.is_empty() {
        return Err("does not begin with https:// and a host".into());
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err("has a user name in it".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment in it".into());
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.strip_suffix('.').unwrap_or(name).to_owned(),
        // `0177.0.0.1` is 127.0.0.1 to some readers, and 177.0.0.1 to others.
        Some(Host::Ipv4(address)) if authority.split(':').next() != Some(address.to_string().as_str()) => {
            return Err("has an IP address in an unusual notation".into());
        }
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err("has no host".into()),
    };
    let prefix = url.path().trim_end_matches('/').to_owned();
    // `0x7f.1..` is a name, and `0x7f.1` an address: another reader would see another host.
    if host.split('.').any(str::is_empty) {
        return Err("has no host, or one with two dots in a row".into());
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)) {
        return Err("has an invalid character in its host".into());
    }
    // The reader itself writes some characters with a percent sign, and takes `.` and `..` out.
    if url.path() != if path.is_empty() { "/" } else { path } {
        return Err("has an invalid path segment".into());
    }
    let port = url.port_or_known_default().ok_or_else(|| "has no port".to_owned())?;
    Ok(Server { tls, host, port, prefix })
}

/// Printable ASCII without blanks and backslashes.
pub(crate) fn is_bare(text: &str) -> bool {
    text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'\\')
}

/// Whether it is the name of a host, to every reader the same one: no address, no port, nothing beside it.
pub(crate) fn is_host_name(text: &str) -> bool {
    let in_a_url = parse_server(&format!("https://{text}"));
    in_a_url.is_ok_and(|origin| origin.host.eq_ignore_ascii_case(text) && origin.host.parse::<IpAddr>().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |text: &str| parse_server(text).unwrap().is_loopback();
        for text in ["http://127.0.0.1", "http://127.9.9.9", "http://[::1]", "http://localhost"] {
            assert!(loopback(text), "{text}");
        }
        for text in ["http://127.0.0.1.evil.tld", "http://localhost.evil", "http://0.0.0.0", "http://10.0.0.1"] {
            assert!(!loopback(text), "{text}");
        }
    }

    #[test]
    fn a_host_header_has_no_port_that_is_the_schemes_own() {
        for (text, header) in [
            ("https://sts.amazonaws.com", "sts.amazonaws.com"),
            ("https://sts.amazonaws.com:80", "sts.amazonaws.com:80"),
            ("http://127.0.0.1", "127.0.0.1"),
            ("http://127.0.0.1:443", "127.0.0.1:443"),
            ("https://[::1]", "[::1]"),
            ("http://[::1]:4566", "[::1]:4566"),
        ] {
            assert_eq!(parse_server(text).unwrap().host_header(), header);
        }
    }

    #[test]
    fn servers_are_the_same_by_scheme_host_and_port() {
        let one = parse_server("https://vault.corp/x").unwrap();
        assert!(one.is_same_server(&parse_server("https://VAULT.corp:443/y").unwrap()));
        for other in ["http://vault.corp:443", "https://vault.corp:8200", "https://vault.corp.evil"] {
            assert!(!one.is_same_server(&parse_server(other).unwrap()), "{other}");
        }
    }

    #[test]
    fn the_name_of_a_host_is_nothing_else() {
        for text in ["vault.corp", "VAULT.corp", "localhost", "vault_1-a", "xn--mller-kva.corp"] {
            assert!(is_host_name(text), "{text}");
        }
        for text in [
            "",
            "x@evil",
            "evil:8200",
            "evil/",
            "evil?",
            "evil#",
            "evil\\",
            "evil%2e",
            "evil.",
            "10.0.0.1",
            "2130706433",
            "0x7f.1",
            "::1",
            "[::1]",
            "vaült.corp",
            "e vil",
            "evil\t",
            "..",
        ] {
            assert!(!is_host_name(text), "{text}");
        }
    }
}
