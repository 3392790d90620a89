//! The addresses that a user names: Vault's, a proxy's, a standby's; and what is wrong with one.

use url::Url;

use super::job::trimmed;
use crate::error::{Error, Kind, Result};
use crate::http::address::{Address, SOCKET, Server, is_bare, parse_server};
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::typo::looks_like_a_token;

/// Reads Vault's address.
///
/// # Errors
/// [`Kind::Config`] for anything that could mean another server to another reader: userinfo, query, fragment,
/// backslashes, blanks, control characters; and for what is more than the address. The text itself is repeated only when
/// nothing secret can be in it: as the address that it was probably meant to be.
pub(super) fn parse_address(text: &WithOrigin<String>) -> Result<Address> {
    let quoted = text.value.contains(QUOTES);
    let problem = match Address::parse(&text.value) {
        Ok(Address::Tcp(server)) if !own_path(&server.prefix).is_empty() => {
            format!("ends in {}, which is an API path and not part of the address", own_path(&server.prefix))
        }
        Ok(address) => return Ok(address),
        Err(_) if quoted => "has quotes in it".to_owned(),
        Err(_) if !text.value.contains("://") => "does not begin with https://".to_owned(),
        Err(problem) => problem,
    };
    let is_socket = text.value.trim_start().starts_with(SOCKET);
    let example = if is_socket { "unix:///run/vault/agent.sock" } else { "https://vault.example.com:8200" };
    let proposed = propose(&text.value);
    let development = match proposed.as_deref().filter(|_| !text.value.contains("://")) {
        _ if is_localhost(&text.value) => ", or http://127.0.0.1:8200 for a server in dev mode".to_owned(),
        Some(address) => parse_server(address).ok().filter(Server::is_loopback).map_or_else(String::new, |server| {
            format!(", or http://{} for a server in dev mode", server.host_header())
        }),
        None => String::new(),
    };
    let meant = proposed.map_or_else(
        || example.to_owned(),
        |address| match &text.origin {
            Origin::Variable(name) => format!("set {name}={address}"),
            Origin::Flag(name) => format!("{name} {address}"),
            Origin::File(_) | Origin::Service(_) | Origin::Default => format!("address = \"{address}\""),
        },
    );
    Err(Error::new(Kind::Config, format!("the address (from {}) {problem}", text.origin)).hint(meant + &development))
}

/// The one name without a dot that no secret is. Vault listens at a port of its own there.
fn is_localhost(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("localhost")
}

const QUOTES: [char; 2] = ['"', '\''];

/// What of a path is Vault's own, at its end: the API's, or the web interface's with the page that a browser showed.
fn own_path(prefix: &str) -> &str {
    let is_own = |from: &(usize, &str)| {
        let pages = ["/v1", "/ui", "/ui/vault"];
        pages.contains(&&prefix[from.0..]) || prefix[from.0..].starts_with("/ui/vault/")
    };
    prefix.match_indices('/').find(is_own).map_or("", |(at, _)| &prefix[at..])
}

/// The address that was meant, when there is one that cannot be another server's: without quotes, blanks and Vault's own
/// paths, and with a scheme.
fn propose(text: &str) -> Option<String> {
    if is_localhost(text) {
        return Some("https://localhost:8200".to_owned());
    }
    let bare: String = text.chars().filter(|letter| !letter.is_whitespace() && !QUOTES.contains(letter)).collect();
    let has_scheme = bare.contains("://");
    // Security: what is no address at all may be a token, set in the wrong place.
    let is_a_host = bare.contains(['.', ':']) && !looks_like_a_token(&bare);
    if bare.matches("://").count() > 1 || !(has_scheme || is_a_host) {
        return None;
    }
    match Address::parse(&if has_scheme { bare } else { format!("https://{bare}") }).ok()? {
        Address::Tcp(server) => {
            let scheme = if server.tls { "https" } else { "http" };
            let path = server.prefix.strip_suffix(own_path(&server.prefix)).unwrap_or_default();
            Some(format!("{scheme}://{}{path}", server.host_header()))
        }
        socket @ Address::Unix(_) => Some(socket.to_string()),
    }
}

/// Reads a proxy's address; without a scheme it is http, as curl and Go take it. Its userinfo, which may hold a password,
/// is never part of a message.
///
/// # Errors
/// [`Kind::Config`].
pub(super) fn parse_proxy(text: &WithOrigin<String>) -> Result<Secret> {
    let wrong = |problem: &str| Error::new(Kind::Config, format!("the proxy (from {}) {problem}", text.origin));
    let trimmed = text.value.trim();
    // The URL's reader drops tabs and line ends without a word, and takes a backslash for a slash.
    if !is_bare(trimmed) {
        return Err(wrong("has a blank, a backslash or a character that is not printable ASCII").hint(
            "write it like http://proxy.example.com:3128, with special characters of a password percent-encoded",
        ));
    }
    let has_scheme = trimmed.contains("://");
    let whole = Secret::new(if has_scheme { trimmed.to_owned() } else { format!("http://{trimmed}") });
    let url = Url::parse(whole.expose()).map_err(|_| wrong("is not a URL").hint("http://proxy.example.com:3128"))?;
    match (url.scheme(), url.host()) {
        // `http:/proxy` has no scheme that counts, and would be a host of that name.
        ("http" | "https", Some(_)) if has_scheme || (url.path() == "/" && !trimmed.starts_with('/')) => Ok(whole),
        _ => Err(wrong("is not an http:// or https:// address")
            .hint("write it like http://proxy.example.com:3128; SOCKS proxies are not supported")),
    }
}

/// Reads `host:port`, as `--redirect-host` takes it: https.
///
/// # Errors
/// [`Kind::Usage`].
pub(super) fn parse_redirect_host(text: &str, place: &str) -> Result<Server> {
    let text = trimmed(text);
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let origin = parse_server(&whole).ok().filter(|origin| origin.prefix.is_empty());
    origin.ok_or_else(|| {
        Error::new(Kind::Usage, format!("{place} takes a host and a port")).hint("node2.example.com:8200")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin as Place;

    fn parse(text: &str) -> Result<Address> {
        parse_address(&WithOrigin { value: text.into(), origin: Place::Variable("VAULT_ADDR".into()) })
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
    fn a_mistyped_address_is_answered_with_the_right_one() {
        let hint = |text: &str, origin: Place| {
            let error = parse_address(&WithOrigin { value: text.into(), origin }).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{text}");
            error.render(false).lines().find_map(|line| line.strip_prefix("  hint: ")).unwrap_or_default().to_owned()
        };
        for (text, meant) in [
            ("https://vault.corp:8200/v1", "https://vault.corp:8200"),
            ("https://vault.corp:8200/v1/", "https://vault.corp:8200"),
            ("https://vault.corp/ui", "https://vault.corp"),
            ("https://vault.corp/ui/", "https://vault.corp"),
            ("https://vault.corp/ui/vault/secrets/list", "https://vault.corp"),
            ("https://gw.corp/vault/v1/", "https://gw.corp/vault"),
            ("https://gw.corp/vault/ui/vault", "https://gw.corp/vault"),
            ("\"https://vault.corp:8200\"", "https://vault.corp:8200"),
            ("'https://vault.corp:8200/v1'\n", "https://vault.corp:8200"),
            ("\"https://vault.corp:8200", "https://vault.corp:8200"),
            ("vault.corp:8200", "https://vault.corp:8200"),
            ("vault.corp", "https://vault.corp"),
            ("10.1.2.3:8200", "https://10.1.2.3:8200"),
            ("[fd00::1]:8200", "https://[fd00::1]:8200"),
            ("localhost:8200/v1", "https://localhost:8200, or http://localhost:8200 for a server in dev mode"),
            ("https://vault.corp :8200", "https://vault.corp:8200"),
            ("https:// vault.corp", "https://vault.corp"),
            ("http://vault.corp:8200/ v1", "http://vault.corp:8200"),
            ("\"unix:///run/agent.sock\"", "unix:///run/agent.sock"),
        ] {
            assert_eq!(hint(text, Place::Variable("VAULT_ADDR".into())), format!("set VAULT_ADDR={meant}"), "{text}");
            assert_eq!(hint(text, Place::Flag("--address")), format!("--address {meant}"), "{text}");
        }
        for text in [
            "hvs.CAESIJlWh7dRz3kQ9xTn2bVpS3cret",
            "'hvs.CAESIJlWh7dRz3kQ9xTn2bVpS3cret'",
            "S3cret",
            "https://ci:S3cret@vault.corp/v1",
            "https://vault.corp/v1?token=S3cret",
            "https://vault.corp https://S3cret.corp",
            "vault.corp/S3cret%2f",
        ] {
            let hint = hint(text, Place::Variable("VAULT_ADDR".into()));
            assert_eq!(hint, "https://vault.example.com:8200", "{text}");
        }
        for address in
            ["https://gw.corp/v1/vault", "https://gw.corp/ui/x", "https://gw.corp/v10", "https://gw.corp/xui"]
        {
            assert!(parse(address).is_ok(), "{address}");
        }
    }

    #[test]
    fn a_proxy_is_http_or_https_in_bare_characters_and_its_password_is_never_told() {
        let check = |text: &str| parse_proxy(&WithOrigin { value: text.into(), origin: Place::Flag("--proxy") });
        for (text, url) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("https://proxy:3129", "https://proxy:3129"),
            ("https://user:p%20w@proxy", "https://user:p%20w@proxy"),
            (" http://user:secret@proxy:3128\n", "http://user:secret@proxy:3128"),
            ("proxy:3128", "http://proxy:3128"),
            ("proxy", "http://proxy"),
            ("localhost:3128/", "http://localhost:3128/"),
            ("10.0.0.1:3128", "http://10.0.0.1:3128"),
            ("[fd00::1]:3128", "http://[fd00::1]:3128"),
            ("user:p%20w@proxy:3128", "http://user:p%20w@proxy:3128"),
        ] {
            assert_eq!(check(text).unwrap().expose(), url);
        }
        for text in [
            "",
            "http:/proxy",
            "http:proxy:3128",
            "proxy:secret",
            "//proxy",
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
