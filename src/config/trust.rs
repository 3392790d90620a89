//! Whether the address may have the job's secrets at all.
//!
//! Security: CI variables are set by many people. Who can set `VAULT_ADDR` could have an ID token sent to a server
//! of his own, and log in with it at the real one. Two things prevent that: the administrator's list of
//! origins, and the token's own audience.

use url::Url;

use super::file::{Files, SYSTEM};
use super::job::trimmed;
use crate::claims::Claims;
use crate::error::{Error, Kind, Result};
use crate::http::address::{Address, Server, parse_server};
use crate::http::transport::{Connection, Roots};
use crate::origin::{Origin as Source, WithOrigin};

/// Holds the address against `allowed-origins` of a file that only root can have written, and says whether it is on
/// that list. Without such a list every address is allowed; this machine always is.
///
/// # Errors
/// [`Kind::Config`].
pub(super) fn check_origin(connection: &Connection, files: &Files) -> Result<bool> {
    let Some(ours) = remote(connection) else { return Ok(false) };
    let Some(allowed) = allowed_origins(files)? else { return Ok(false) };
    if allowed.iter().any(|origin| origin.is_same_server(ours)) {
        return refuse_proxy_and_ca_from_variables(connection).map(|()| true);
    }
    let list = allowed.iter().map(Server::base).collect::<Vec<_>>().join(", ");
    Err(Error::new(
        Kind::Config,
        format!("the address {} (from {}) is not one of the allowed-origins", ours.base(), connection.address_origin),
    )
    .hint(format!("the administrator of this runner allows {list}: set {} to one of them", connection.address_origin)))
}

/// The file with `allowed-origins` that speaks of this address. Where there is one, root says who Vault is, and what a
/// variable says of that counts less: root's CA comes before a variable's, and the server's name is not a variable's to
/// choose. A file that a variable chose says no more than the variable.
pub(super) fn find_list(address: &Address, files: &Files) -> Option<Source> {
    remote_origin(address)?;
    files.find(|settings| settings.allowed_origins.as_ref().map(|_| ())).map(|list| list.origin)
}

/// Holds a TLS server name that is not the address's own against the list in this file. Security: with another name, the
/// certificate that anybody can have for a host of his own would do for every allowed server.
///
/// # Errors
/// [`Kind::Config`] when neither a flag nor root has named it.
pub(super) fn check_server_name(
    name: &WithOrigin<String>,
    address: &Address,
    list: &Source,
    files: &Files,
) -> Result<()> {
    let of_root = files.find_of_root(|settings| settings.tls_server_name.clone());
    if files.vouch_for(&name.origin) || of_root.is_some_and(|root| root.value.trim().eq_ignore_ascii_case(&name.value))
    {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        format!(
            "there are allowed-origins in {list}, and the TLS server name {} (from {}) is not the name of {}",
            name.value,
            name.origin,
            address.host()
        ),
    )
    .hint(format!("unset {}, or put `tls-server-name` into {SYSTEM}, or name it by --tls-server-name", name.origin)))
}

/// Security: a proxy is told where to lead, and leads where it wants; a CA of its own makes that look right. Either
/// alone is harmless, and usual.
fn refuse_proxy_and_ca_from_variables(connection: &Connection) -> Result<()> {
    let Some(proxy) = connection.proxy.as_ref().filter(|_| connection.proxy_and_ca_from_variables) else {
        return Ok(());
    };
    let ca = match &connection.roots {
        Roots::Pem { origin, .. } => origin.as_str(),
        _ => "a variable",
    };
    Err(Error::new(
        Kind::Config,
        format!("there are allowed-origins, and both the proxy (from {}) and the CA ({ca}) are named by variables: together they could impersonate any server", proxy.origin),
    )
    .hint(format!("put `ca-file` or `proxy` into {SYSTEM} and unset the variable, or name one of them by --ca-file or --proxy")))
}

/// Holds the address against the audience of the ID token that would be sent there: an audience that is the URL of
/// another host says that the token is meant for another Vault.
///
/// An audience that is no URL says nothing, nor does one that is the issuer itself or what the issuer writes where nobody
/// asks for an audience, nor does this machine, where an
/// agent or a proxy of the real Vault may listen.
///
/// # Errors
/// [`Kind::Config`], before the token is sent.
pub(super) fn check_audience(connection: &Connection, claims: &Claims) -> Result<()> {
    let Some(ours) = remote(connection) else { return Ok(()) };
    let issuer = claims.text("iss").and_then(|issuer| host_in(&issuer));
    let default = default_audience(issuer.as_deref(), claims);
    let named = claims.audiences().into_iter().filter(|audience| default.as_ref() != Some(audience));
    let hosts = named.filter_map(|audience| host_in(&audience));
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
        "correct {}, or set `aud: {}` for the ID token; if both are the same Vault, pass --any-audience",
        connection.address_origin,
        ours.base()
    )))
}

/// What an issuer signs for a job that names no audience, where that is a URL of another host than the issuer's. Security:
/// only as that issuer spells it, and for the job's own account.
fn default_audience(issuer: Option<&str>, claims: &Claims) -> Option<String> {
    let of = |start: &str, claim| claims.text(claim).map(|owner| format!("{start}{owner}"));
    match issuer? {
        "token.actions.githubusercontent.com" => of("https://github.com/", "repository_owner"),
        "agent.buildkite.com" => of("https://buildkite.com/", "organization_slug"),
        "oidc.codefresh.io" => Some("https://g.codefresh.io".to_owned()),
        _ => None,
    }
}

/// The host of a URL, whatever else is in it: an audience is never called.
fn host_in(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    Some(url.host_str()?.trim_matches(['[', ']', '.']).to_owned())
}

fn remote(connection: &Connection) -> Option<&Server> {
    remote_origin(&connection.address)
}

fn remote_origin(address: &Address) -> Option<&Server> {
    match address {
        Address::Tcp(origin) if !origin.is_loopback() => Some(origin),
        _ => None,
    }
}

fn allowed_origins(files: &Files) -> Result<Option<Vec<Server>>> {
    let Some(list) = files.find(|settings| settings.allowed_origins.clone()) else { return Ok(None) };
    let parse = |text: &String| {
        parse_server(trimmed(text)).map_err(|problem| {
            Error::new(Kind::Config, format!("one of the allowed-origins in {} {problem}", list.origin))
                .hint("write scheme, host and port: https://vault.example.com:8200")
        })
    };
    list.value.iter().map(parse).collect::<Result<_>>().map(Some)
}

#[cfg(test)]
mod tests {

    use super::super::connection::resolve_connection;
    use super::super::source::Layers;
    use super::*;
    use crate::host::{Fake, Host};

    fn check(address: &str, allowed: Option<&str>, claims: &str) -> Result<()> {
        let mut fake = Fake::default().with_variables([("VAULT_ADDR", address), ("VAULT_CACERT_BYTES", "x")]);
        if let Some(allowed) = allowed {
            fake = fake.with_root_file(SYSTEM, &format!("allowed-origins = [{allowed}]\n"));
        }
        let host = Host::fake(fake);
        let flags = crate::cli::ConnectionFlags::default();
        let layers = Layers::read(&flags, &host)?;
        let connection = resolve_connection(&flags, false, &layers)?;
        if check_origin(&connection, &layers.files)? {
            return Ok(());
        }
        check_audience(&connection, &Claims::from_json(claims).unwrap())
    }

    fn check_with(variables: &[(&str, &str)], flags: &crate::cli::ConnectionFlags, system: &str) -> Result<bool> {
        let list = format!("allowed-origins = ['https://vault.corp']\n{system}");
        let fake = Fake::default().with_root_file(SYSTEM, &list).with_root_file("/ca.pem", "x");
        let fake = fake.with_file("/c.toml", "proxy = 'http://evil:3128'\nca-file = '/ca.pem'\n");
        let fake = fake.with_file("/name.toml", "tls-server-name = 'evil.example'\n");
        let variables = variables.iter().copied().chain([("VAULT_ADDR", "https://vault.corp")]);
        let host = Host::fake(fake.with_variables(variables));
        let layers = Layers::read(flags, &host)?;
        check_origin(&resolve_connection(flags, false, &layers)?, &layers.files)
    }

    #[test]
    fn where_there_is_a_list_variables_do_not_name_both_proxy_and_ca() {
        let none = crate::cli::ConnectionFlags::default;
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
        let by_flag = crate::cli::ConnectionFlags { ca_file: Some("/ca.pem".into()), ..none() };
        assert!(check_with(&both, &by_flag, "").unwrap());
        let by_flag = crate::cli::ConnectionFlags { proxy: Some("http://proxy:3128".into()), ..none() };
        assert!(check_with(&both, &by_flag, "").unwrap());
        let excepted = [both[0], both[1], ("NO_PROXY", "corp")];
        assert!(check_with(&excepted, &none(), "").unwrap());
    }

    #[test]
    fn where_there_is_a_list_a_server_name_is_the_addresss_own_or_roots_or_a_flags() {
        let none = crate::cli::ConnectionFlags::default;
        for name in ["VAULT_TLS_SERVER_NAME", "BAO_TLS_SERVER_NAME"] {
            let error = check_with(&[(name, "evil.example")], &none(), "").unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            let text = error.render(false);
            assert!([name, SYSTEM, "evil.example", "vault.corp"].iter().all(|word| text.contains(word)), "{text}");
            // The name of another server on the list, or of one below, is not its own either.
            assert!(check_with(&[(name, "a.vault.corp")], &none(), "").is_err());
            assert!(check_with(&[(name, "Vault.corp")], &none(), "").unwrap());
            assert!(check_with(&[(name, "vault.internal")], &none(), "tls-server-name = 'VAULT.internal'\n").unwrap());
            assert!(check_with(&[(name, "evil.example")], &none(), "tls-server-name = 'vault.internal'\n").is_err());
        }
        assert!(check_with(&[], &none(), "tls-server-name = 'vault.internal'\n").unwrap());
        let by_flag = crate::cli::ConnectionFlags { tls_server_name: Some("vault.internal".into()), ..none() };
        assert!(check_with(&[("VAULT_TLS_SERVER_NAME", "evil.example")], &by_flag, "").unwrap());
        // A file that a variable chose says no more than the variable.
        assert!(check_with(&[("CI_CREDS_CONFIG", "/name.toml")], &none(), "").is_err());
    }

    #[test]
    fn where_there_is_a_list_roots_ca_counts_before_a_variables_and_that_is_told() {
        let resolve = |variables: &[(&str, &str)], flags: &crate::cli::ConnectionFlags, system: &str| {
            let host = Host::fake(world(variables, system));
            let connection = resolve_connection(flags, false, &Layers::read(flags, &host).unwrap()).unwrap();
            let Roots::Pem { text, .. } = connection.roots else { panic!("no roots: {variables:?}") };
            (text, host.take_warnings().join("\n"))
        };
        let none = crate::cli::ConnectionFlags::default;
        let listed = "allowed-origins = ['https://vault.corp']\n";
        for (name, value) in [
            ("VAULT_CACERT", "/evil.pem"),
            ("VAULT_CACERT_BYTES", "evil"),
            ("BAO_CACERT_BYTES", "evil"),
            ("VAULT_CAPATH", "/evil"),
            ("CI_CREDS_CONFIG", "/name.toml"),
        ] {
            let (text, warnings) = resolve(&[(name, value)], &none(), &format!("{listed}ca-file = '/ca.pem'\n"));
            assert_eq!(text, "root's", "{name}");
            let told = if name == "CI_CREDS_CONFIG" { value } else { name };
            assert!(warnings.contains(&format!("the CA from {told} is ignored")), "{warnings}");
            assert!(warnings.contains(SYSTEM), "{warnings}");
            // Root names none, or has no list: a variable's CA is what it was.
            for system in [listed, "ca-file = '/ca.pem'\n"].iter().filter(|_| name != "VAULT_CAPATH") {
                assert_eq!(resolve(&[(name, value)], &none(), system), ("evil".to_owned(), String::new()), "{name}");
            }
        }
        let (text, warnings) = resolve(&[], &none(), &format!("{listed}ca-file = '/ca.pem'\n"));
        assert_eq!((text.as_str(), warnings.as_str()), ("root's", ""));
        let by_flag = crate::cli::ConnectionFlags { ca_file: Some("/evil.pem".into()), ..none() };
        let (text, _) = resolve(&[("VAULT_CACERT_BYTES", "x")], &by_flag, &format!("{listed}ca-file = '/ca.pem'\n"));
        assert_eq!(text, "evil");
        // The list does not speak of this machine.
        let here = [("VAULT_CACERT_BYTES", "evil"), ("VAULT_ADDR", "https://localhost:8200")];
        assert_eq!(resolve(&here, &none(), &format!("{listed}ca-file = '/ca.pem'\n")).0, "evil");
    }

    fn world(variables: &[(&str, &str)], system: &str) -> Fake {
        let fake = Fake::default().with_root_file(SYSTEM, system).with_root_file("/ca.pem", "root's");
        let fake = fake.with_file("/evil.pem", "evil").with_file("/name.toml", "ca-file = '/evil.pem'\n");
        fake.with_variables([("VAULT_ADDR", "https://vault.corp")]).with_variables(variables.iter().copied())
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
    fn what_an_issuer_signs_by_default_says_nothing_and_only_as_it_spells_it() {
        let github = "https://token.actions.githubusercontent.com";
        let cases = [
            ("https://github.com/octo", github, true),
            ("https://github.com/octo", "https://token.actions.githubusercontent.com/enterprise", true),
            ("https://github.com/other", github, false),
            ("https://github.com/octo/", github, false),
            ("https://github.com", github, false),
            ("https://github.com/octo", "https://gitlab.corp", false),
            ("https://github.com/octo", "https://token.actions.githubusercontent.com.evil.tld", false),
            ("https://g.codefresh.io", "https://oidc.codefresh.io", true),
            ("https://g.codefresh.io", github, false),
            ("https://buildkite.com/kite", "https://agent.buildkite.com", true),
            ("https://buildkite.com/other", "https://agent.buildkite.com", false),
        ];
        for (audience, issuer, fits) in cases {
            let claims = format!(
                r#"{{"aud":"{audience}","iss":"{issuer}","repository_owner":"octo","organization_slug":"kite"}}"#
            );
            assert_eq!(check("https://vault.corp", None, &claims).is_ok(), fits, "{audience} by {issuer}");
        }
        // Beside another Vault's it is no excuse.
        let both = format!(
            r#"{{"aud":["https://github.com/octo","https://other"],"iss":"{github}","repository_owner":"octo"}}"#
        );
        assert!(check("https://vault.corp", None, &both).is_err());
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
