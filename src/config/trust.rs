//! Whether the address may have the job's secrets at all.
//!
//! Security: CI variables are set by many people. Who can set `VAULT_ADDR` could have an ID token sent to a server
//! of his own, and log in with it at the real one. Two things speak against that: the administrator's list of
//! origins, and the token's own audience.

use url::Url;

use super::file::{Files, SYSTEM};
use crate::claims::Claims;
use crate::error::{Error, Kind, Result};
use crate::http::address::{Address, Server, parse_server};
use crate::http::transport::{Connection, Roots};

/// Holds the address against `allowed-origins` of a file that only root can have written, and says whether it is on
/// that list. Without such a list every address is allowed; this machine always is.
///
/// # Errors
/// [`Kind::Config`].
pub(super) fn check_origin(connection: &Connection, files: &Files) -> Result<bool> {
    let Some(ours) = remote(connection) else { return Ok(false) };
    let Some(allowed) = allowed_origins(files)? else { return Ok(false) };
    if allowed.iter().any(|origin| origin.is_same_server(ours)) {
        return refuse_hearsay(connection).map(|()| true);
    }
    let list = allowed.iter().map(Server::base).collect::<Vec<_>>().join(", ");
    Err(Error::new(
        Kind::Config,
        format!("the address {} (from {}) is none of the allowed-origins", ours.base(), connection.address_origin),
    )
    .hint(format!("the administrator of this runner allows {list}: set {} to one of them", connection.address_origin)))
}

/// Security: a proxy is told where to lead, and leads where it wants; a CA of its own makes that look right. Either
/// alone is harmless, and usual.
fn refuse_hearsay(connection: &Connection) -> Result<()> {
    let Some(proxy) = connection.proxy.as_ref().filter(|_| connection.hearsay) else { return Ok(()) };
    let ca = match &connection.roots {
        Roots::Pem { origin, .. } => origin.as_str(),
        _ => "a variable",
    };
    Err(Error::new(
        Kind::Config,
        format!("there are allowed-origins, and both the proxy (from {}) and the CA ({ca}) are named by variables: together they could stand in for any server", proxy.origin),
    )
    .hint(format!("put `ca-file` or `proxy` into {SYSTEM} and unset the variable, or name one of them by --ca-file or --proxy")))
}

/// Holds the address against the audience of the ID token that would be sent there: an audience that is the URL of
/// another host says that the token is meant for another Vault.
///
/// An audience that is no URL says nothing, nor does one that is the issuer itself, nor does this machine, where an
/// agent or a proxy of the real Vault may listen.
///
/// # Errors
/// [`Kind::Config`], before the token is sent.
pub(super) fn check_audience(connection: &Connection, claims: &Claims) -> Result<()> {
    let Some(ours) = remote(connection) else { return Ok(()) };
    let issuer = claims.text("iss").and_then(|issuer| host_in(&issuer));
    let hosts = claims.audiences().into_iter().filter_map(|audience| host_in(&audience));
    let elsewhere: Vec<_> = hosts.filter(|host| issuer.as_ref() != Some(host)).collect();
    if elsewhere.is_empty() || elsewhere.contains(&ours.host) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        format!(
            "the ID token is meant for {} and the address (from {}) is {}: it was not sent",
            elsewhere.join(", "),
            connection.address_origin,
            ours.base()
        ),
    )
    .hint(format!(
        "set {} right, or `aud: {}` of the ID token; if both are the same Vault, say so with --any-audience",
        connection.address_origin,
        ours.base()
    )))
}

/// The host of a URL, whatever else is in it: an audience is never called.
fn host_in(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    Some(url.host_str()?.trim_matches(['[', ']', '.']).to_owned())
}

fn remote(connection: &Connection) -> Option<&Server> {
    match &connection.address {
        Address::Tcp(origin) if !origin.is_loopback() => Some(origin),
        _ => None,
    }
}

fn allowed_origins(files: &Files) -> Result<Option<Vec<Server>>> {
    let Some(list) = files.find(|settings| settings.allowed_origins.clone()) else { return Ok(None) };
    let parse = |text: &String| {
        parse_server(text).map_err(|problem| {
            Error::new(Kind::Config, format!("one of the allowed-origins in {} {problem}", list.origin))
                .hint("scheme, host and port: https://vault.example.com:8200")
        })
    };
    list.value.iter().map(parse).collect::<Result<_>>().map(Some)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::connection::resolve_connection;
    use super::super::file::read_files;
    use super::super::source::Layers;
    use super::*;
    use crate::host::{Fake, Host};

    fn check(address: &str, allowed: Option<&str>, claims: &str) -> Result<()> {
        let mut fake = Fake::default().with_variables([("VAULT_ADDR", address), ("VAULT_CACERT_BYTES", "x")]);
        if let Some(allowed) = allowed {
            fake = fake.with_root_file(SYSTEM, &format!("allowed-origins = [{allowed}]\n"));
        }
        let host = Host::fake(fake);
        let files = read_files(&host, None::<&Path>)?;
        let connection =
            resolve_connection(&crate::cli::Connection::default(), false, &Layers { host: &host, files: &files })?;
        if check_origin(&connection, &files)? {
            return Ok(());
        }
        check_audience(&connection, &Claims::from_json(claims).unwrap())
    }

    fn check_with(variables: &[(&str, &str)], flags: &crate::cli::Connection, system: &str) -> Result<bool> {
        let list = format!("allowed-origins = ['https://vault.corp']\n{system}");
        let fake = Fake::default().with_root_file(SYSTEM, &list).with_root_file("/ca.pem", "x");
        let fake = fake.with_file("/c.toml", "proxy = 'http://evil:3128'\nca-file = '/ca.pem'\n");
        let variables = variables.iter().copied().chain([("VAULT_ADDR", "https://vault.corp")]);
        let host = Host::fake(fake.with_variables(variables));
        let files = read_files(&host, None::<&Path>)?;
        check_origin(&resolve_connection(flags, false, &Layers { host: &host, files: &files })?, &files)
    }

    #[test]
    fn where_there_is_a_list_variables_do_not_name_both_proxy_and_ca() {
        let none = crate::cli::Connection::default;
        for proxy in ["VAULT_PROXY_ADDR", "HTTPS_PROXY", "https_proxy"] {
            for ca in ["VAULT_CACERT", "VAULT_CAPATH", "VAULT_CACERT_BYTES"] {
                let both = [(proxy, "http://evil:3128"), (ca, "/ca.pem")];
                let error = check_with(&both, &none(), "").unwrap_err();
                assert_eq!(error.kind(), Kind::Config, "{proxy} {ca}");
                assert!(error.render(false).contains(proxy) && error.render(false).contains(SYSTEM), "{error:?}");
                assert!(check_with(&both[..1], &none(), "").unwrap() && check_with(&both[1..], &none(), "").unwrap());
            }
        }
        // A file that a variable chose says no more than the variable.
        assert!(check_with(&[("CI_CREDS_CONFIG", "/c.toml")], &none(), "").is_err());
        let both = [("HTTPS_PROXY", "http://proxy:3128"), ("VAULT_CACERT", "/ca.pem")];
        assert!(check_with(&both[..1], &none(), "ca-file = '/ca.pem'\n").unwrap());
        assert!(check_with(&both[1..], &none(), "proxy = 'http://proxy:3128'\n").unwrap());
        let by_flag = crate::cli::Connection { ca_file: Some("/ca.pem".into()), ..none() };
        assert!(check_with(&both, &by_flag, "").unwrap());
        let by_flag = crate::cli::Connection { proxy: Some("http://proxy:3128".into()), ..none() };
        assert!(check_with(&both, &by_flag, "").unwrap());
        let excepted = [both[0], both[1], ("NO_PROXY", "corp")];
        assert!(check_with(&excepted, &none(), "").unwrap());
    }

    const OURS: &str = r#"{"aud":"https://vault.corp","iss":"https://gitlab.corp"}"#;

    #[test]
    fn a_token_goes_only_to_the_host_that_it_is_meant_for() {
        for address in
            ["https://vault.corp", "https://VAULT.corp:8200", "http://127.0.0.1:8200", "unix:///run/agent.sock"]
        {
            assert!(check(address, None, OURS).is_ok(), "{address}");
        }
        for address in
            ["https://vault.corp.evil.tld", "https://evilvault.corp", "https://evil", "https://xn--mller-kva.corp"]
        {
            let error = check(address, None, OURS).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{address}");
            assert!(error.render(false).contains("it was not sent"), "{}", error.render(false));
        }
    }

    #[test]
    fn an_audience_names_its_host_whatever_else_is_in_it() {
        for audience in [
            "https://vault.corp/v1?x=1#y",
            "https://vault.corp:8200/a%20b/../c",
            "https://ci@vault.corp",
            "HTTPS://VAULT.corp.",
            "http://vault.corp",
        ] {
            let claims = format!(r#"{{"aud":"{audience}","iss":"https://gitlab.corp"}}"#);
            assert!(check("https://vault.corp", None, &claims).is_ok(), "{audience}");
            assert!(check("https://evil.corp", None, &claims).is_err(), "{audience}");
        }
        let claims = r#"{"aud":"https://[fd00::1]:8200","iss":"https://gitlab.corp"}"#;
        assert!(
            check("https://[fd00:0::1]", None, claims).is_ok() && check("https://[fd00::2]", None, claims).is_err()
        );
    }

    #[test]
    fn an_audience_that_names_no_vault_says_nothing() {
        for claims in [
            r#"{"iss":"https://gitlab.corp"}"#,
            r#"{"aud":"vault","iss":"https://gitlab.corp"}"#,
            r#"{"aud":"https://gitlab.corp","iss":"https://gitlab.corp"}"#,
            r#"{"aud":["https://other","https://vault.corp"],"iss":"https://gitlab.corp"}"#,
        ] {
            assert!(check("https://vault.corp", None, claims).is_ok(), "{claims}");
        }
    }

    #[test]
    fn the_administrators_list_decides_where_there_is_one() {
        let list = Some("'https://vault.corp:8200', 'https://vault2.corp'");
        assert!(check("https://vault.corp:8200", list, OURS).is_ok());
        assert!(check("https://vault2.corp", list, OURS).is_ok());
        assert!(check("http://127.0.0.1:1", list, OURS).is_ok());
        for address in ["https://vault.corp", "https://vault2.corp:8200", "https://vault.corp.evil.tld:8200"] {
            assert_eq!(check(address, list, OURS).unwrap_err().kind(), Kind::Config, "{address}");
        }
        assert_eq!(check("https://vault.corp", Some("'vault.corp'"), OURS).unwrap_err().kind(), Kind::Config);
    }
}
