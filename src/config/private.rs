//! The names of hosts that a run knows of: what a report of `ci-creds doctor` withholds wherever they stand. A value counts
//! as it was written, also one that the run refuses.

use super::source::Layers;
use crate::claims::Claims;
use crate::cli;
use crate::variables as var;

/// Variables with the URL or the name of a host.
const VARIABLES: [&str; 11] = [
    var::VAULT_ADDR,
    var::VAULT_SERVER_URL,
    var::VAULT_PROXY_ADDR,
    var::HTTPS_PROXY,
    "https_proxy",
    var::VAULT_TLS_SERVER_NAME,
    var::ACTIONS_ID_TOKEN_REQUEST_URL,
    var::SYSTEM_OIDCREQUESTURI,
    var::CF_OIDC_REQUEST_URL,
    var::AWS_ENDPOINT_URL_STS,
    var::AWS_ENDPOINT_URL,
];

/// The names in flags, variables, files and the claims of the ID token, each with its port and without.
pub(super) fn find_private_names(
    flags: &cli::ConnectionFlags,
    claims: Option<&Claims>,
    layers: &Layers<'_>,
) -> Vec<String> {
    let given = [&flags.address, &flags.proxy, &flags.tls_server_name].into_iter().flatten().cloned();
    let variables = VARIABLES.iter().filter_map(|name| layers.variable(name).ok()?).map(|found| found.value);
    let in_files = layers.files.all(|file| {
        let one = [&file.address, &file.proxy, &file.tls_server_name].into_iter().flatten();
        one.chain(file.allowed_origins.iter().flatten()).cloned().collect::<Vec<_>>()
    });
    let claimed = claims.into_iter().flat_map(|claims| {
        claims.text("iss").into_iter().chain(claims.audiences()).filter(|text| text.contains("://"))
    });
    given.chain(variables).chain(in_files.flatten()).chain(claimed).flat_map(|text| hosts_in(&text)).collect()
}

/// What stands in the place of the host in a URL or alone, with the port and without. No parser refuses it.
fn hosts_in(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.starts_with("unix:") {
        return Vec::new();
    }
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let host = match place.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    };
    let names = [authority, place, host, host.trim_end_matches('.')];
    names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_in_whatever_was_written() {
        for (text, host, authority) in [
            ("https://vault.corp:8200/v1", "vault.corp", "vault.corp:8200"),
            (" http://vault.corp ", "vault.corp", "vault.corp"),
            ("vault.corp:8200", "vault.corp", "vault.corp:8200"),
            ("ftp://user:word@vault.corp:21", "vault.corp", "vault.corp:21"),
            ("https://[2001:db8::1]:8200", "2001:db8::1", "[2001:db8::1]:8200"),
            ("https://vault.corp.?x", "vault.corp", "vault.corp."),
            ("vault.corp", "vault.corp", "vault.corp"),
        ] {
            let found = hosts_in(text);
            assert!([host, authority].iter().all(|name| found.iter().any(|one| one == name)), "{text}: {found:?}");
        }
        assert!(hosts_in("unix:///run/vault.sock").is_empty() && hosts_in("").is_empty());
    }
}
