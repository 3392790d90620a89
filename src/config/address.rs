//! Vault's address, and a proxy's: what a URL may say, and which hosts are this machine.

use std::net::IpAddr;
use std::path::PathBuf;

use url::{Host, Url};

use super::source::Sourced;
use crate::error::{Error, Kind, Result};

/// How the address of a socket begins.
const SOCKET: &str = "unix://";

/// Where Vault listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `https://` or `http://`.
    Tcp(Origin),
    /// `unix:///path`: HTTP over a socket of this machine.
    Unix(PathBuf),
}

/// Scheme, host, port, and the path before `/v1/`: who may see our secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
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
            Some(path) if !path.starts_with('/') || path.contains('\0') => Err("names no absolute path".into()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => parse_origin(trimmed).map(Self::Tcp),
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

impl Origin {
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

    /// The `Host` header: as [`Origin::authority`], without a port that is the scheme's own.
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

/// Reads Vault's address.
///
/// # Errors
/// [`Kind::Config`] for anything that could mean another server to another reader: userinfo, query, fragment,
/// backslashes, blanks, control characters. The text itself is repeated only when nothing secret can be in it.
pub(super) fn parse_address(text: &Sourced<String>) -> Result<Address> {
    let is_socket = text.value.trim_start().starts_with(SOCKET);
    let example = if is_socket { "unix:///run/vault/agent.sock" } else { "https://vault.example.com:8200" };
    Address::parse(&text.value).map_err(|problem| {
        Error::new(Kind::Config, format!("the address (from {}) {problem}", text.origin)).hint(example)
    })
}

/// Reads a proxy's address. Its userinfo, which may hold a password, is never part of a message.
///
/// # Errors
/// [`Kind::Config`].
pub(super) fn parse_proxy(text: &Sourced<String>) -> Result<()> {
    let wrong = |problem: &str| Error::new(Kind::Config, format!("the proxy (from {}) {problem}", text.origin));
    let trimmed = text.value.trim();
    // The URL's reader drops tabs and line ends without a word, and takes a backslash for a slash.
    if !is_bare(trimmed) {
        return Err(wrong("has a blank, a backslash or a character that is not printable ASCII")
            .hint("http://proxy.example.com:3128; what else a password needs is written with percent signs"));
    }
    let url = Url::parse(trimmed).map_err(|_| wrong("is not a URL").hint("http://proxy.example.com:3128"))?;
    match (url.scheme(), url.host()) {
        ("http" | "https", Some(_)) => Ok(()),
        _ => {
            Err(wrong("is not an http:// or https:// address")
                .hint("http://proxy.example.com:3128; SOCKS is not spoken"))
        }
    }
}

/// Printable ASCII without blanks and backslashes.
fn is_bare(text: &str) -> bool {
    text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'\\')
}

/// Whether it is the name of a host, to every reader the same one: no address, no port, nothing beside it.
pub(super) fn is_host_name(text: &str) -> bool {
    let in_a_url = parse_origin(&format!("https://{text}"));
    in_a_url.is_ok_and(|origin| origin.host.eq_ignore_ascii_case(text) && origin.host.parse::<IpAddr>().is_err())
}

/// Reads `host:port`, as `--redirect-host` takes it: https.
///
/// # Errors
/// [`Kind::Usage`].
pub(super) fn parse_redirect_host(text: &str, place: &str) -> Result<Origin> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let origin = parse_origin(&whole).ok().filter(|origin| origin.prefix.is_empty());
    origin.ok_or_else(|| {
        Error::new(Kind::Usage, format!("{place} takes a host and a port")).hint("node2.example.com:8200")
    })
}

/// Reads an absolute URL of a server; also the `Location` of a redirect.
///
/// # Errors
/// What is wrong with it, to be put behind its name.
pub fn parse_origin(text: &str) -> Result<Origin, String> {
    if !is_bare(text) {
        return Err("has a blank, a backslash or a character that is not printable ASCII".into());
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
            return Err("spells the numbers of its host in an unusual way".into());
        }
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err("names no host".into()),
    };
    let prefix = url.path().trim_end_matches('/').to_owned();
    // `0x7f.1..` is a name, and `0x7f.1` an address: another reader would see another host.
    if host.split('.').any(str::is_empty) {
        return Err("names no host, or one with two dots in a row".into());
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)) {
        return Err("names a host with a character that no host has".into());
    }
    // The reader itself writes some characters with a percent sign, and takes `.` and `..` out.
    if url.path() != if path.is_empty() { "/" } else { path } {
        return Err("has a character or a step in its path that no URL has".into());
    }
    let port = url.port_or_known_default().ok_or_else(|| "names no port".to_owned())?;
    Ok(Origin { tls, host, port, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin as Place;

    fn parse(text: &str) -> Result<Address> {
        parse_address(&Sourced { value: text.into(), origin: Place::Variable("VAULT_ADDR".into()) })
    }

    #[test]
    fn an_address_becomes_scheme_host_port_and_prefix() {
        for (text, base) in [
            ("https://vault.corp", "https://vault.corp:443"),
            ("https://VAULT.corp.:8200/", "https://vault.corp:8200"),
            ("https://vault.corp:8200/proxy/vault/", "https://vault.corp:8200/proxy/vault"),
            ("http://127.0.0.1:8200", "http://127.0.0.1:8200"),
            ("https://[::1]:8200", "https://[::1]:8200"),
            ("https://[0:0::1]:8200", "https://[::1]:8200"),
            ("HTTPS://10.1.2.3:8200/a.b/", "https://10.1.2.3:8200/a.b"),
            ("https://vault_1-a.corp", "https://vault_1-a.corp:443"),
            (" https://vault.corp\n", "https://vault.corp:443"),
        ] {
            assert_eq!(parse(text).unwrap().base(), base);
        }
        assert_eq!(parse("unix:///run/agent.sock").unwrap(), Address::Unix("/run/agent.sock".into()));
    }

    #[test]
    fn what_could_name_another_server_is_refused() {
        for text in [
            "vault.corp:8200",
            "ftp://vault.corp",
            "https://",
            "https://vault.corp@evil",
            "https://user:secret@vault.corp",
            "https://@vault.corp",
            "https://user@vault.corp",
            "https://:secret@vault.corp",
            "https://vault.corp/a@b",
            "https://.",
            "unix:///run/x\0",
            "https://vault.corp\\@evil",
            "https://vault.corp?x=1",
            "https://vault.corp#x",
            "https://vault.corp/a%2fb",
            "https://vault.corp/a\"b",
            "https://vault%2ecorp",
            "https://%ecX",
            "https://vault .corp",
            "https://vault\t.corp",
            "https://vault.corp:99999",
            "https://vaült.corp",
            "https://vault..corp",
            "https://0x7f.1..",
            "https://..",
            "https:vault.corp",
            "https:/vault.corp",
            "https:///vault.corp",
            "https:x://vault.corp",
            "https://vault.corp/a/../b",
            "https://vault.corp/.",
            "https://0177.0.0.1",
            "https://0x7f.1",
            "https://2130706433",
            "https://127.1:8200",
            "https://vault.corp;x",
            "https://vault.corp,evil",
            "https://vault*",
            "https://$(x)",
            "unix://relative",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{text}");
            assert!(!error.render(true).contains("secret"), "{}", error.render(true));
        }
    }

    #[test]
    fn a_proxy_is_http_or_https_in_bare_characters_and_its_password_is_never_told() {
        let check = |text: &str| parse_proxy(&Sourced { value: text.into(), origin: Place::Flag("--proxy") });
        for text in
            ["http://proxy:3128", "https://proxy:3129", "https://user:p%20w@proxy", " http://user:secret@proxy:3128\n"]
        {
            assert!(check(text).is_ok(), "{text}");
        }
        for text in [
            "proxy:3128",
            "proxy",
            "",
            "file:///x",
            "socks5://proxy",
            "socks5://user:secret@proxy:1080",
            "http://secret@pro xy",
            "http://secret@\u{fc}X",
            "http:\\\\secret",
            "http://a\tb",
        ] {
            let error = check(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{text}");
            assert!(!error.render(true).contains("secret"), "{}", error.render(true));
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |text: &str| matches!(parse(text).unwrap(), Address::Tcp(origin) if origin.is_loopback());
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
            assert_eq!(parse_origin(text).unwrap().host_header(), header);
        }
    }

    #[test]
    fn servers_are_the_same_by_scheme_host_and_port() {
        let one = parse_origin("https://vault.corp/x").unwrap();
        assert!(one.is_same_server(&parse_origin("https://VAULT.corp:443/y").unwrap()));
        for other in ["http://vault.corp:443", "https://vault.corp:8200", "https://vault.corp.evil"] {
            assert!(!one.is_same_server(&parse_origin(other).unwrap()), "{other}");
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

    #[test]
    fn a_redirect_host_is_a_server_and_no_path() {
        let base = |text: &str| parse_redirect_host(text, "--redirect-host").map(|origin| origin.base());
        assert_eq!(base("node2.corp:8200").unwrap(), "https://node2.corp:8200");
        assert_eq!(base("node2.corp").unwrap(), "https://node2.corp:443");
        assert_eq!(base("http://node2.corp:8200").unwrap(), "http://node2.corp:8200");
        for text in ["", "node2.corp/x", "https://node2.corp/x", "a b", "user@node2.corp"] {
            assert_eq!(base(text).unwrap_err().kind(), Kind::Usage, "{text}");
        }
    }
}
