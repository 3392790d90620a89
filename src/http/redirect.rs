//! Where a redirect may lead, decided from texts alone: nothing is opened or sent here.

use super::address::{Address, Server, parse_server};
use crate::error::{Error, Kind, Result};

/// Where a 307 may lead: to the same server, or to one that the user allowed; to the same path; never from
/// https to http. A standby that cannot forward names the active node so. What comes back is that server, with the
/// path before `/v1/`.
///
/// Security: reqwest and Vault's own Go client would send token and body to any host that `Location` names.
///
/// # Errors
/// [`Kind::Protocol`] for every other status and every other place; its hint names `setting`, where the address is set.
pub fn resolve(
    (address, setting): (&Address, &str),
    allowed: &[Server],
    status: u16,
    location: &str,
    path: &str,
) -> Result<Server> {
    let host = address.host();
    let refusal = |text| refusal(text, setting);
    if status != 307 {
        return Err(refusal(format!("{host} answers {status}, which is a redirect; Vault itself answers only 307")));
    }
    // A query repeats our own parameters, which are sent anew.
    let absolute = match (location.strip_prefix('/'), address) {
        (Some(rest), Address::Tcp(ours)) if !rest.starts_with('/') => format!("{}{location}", ours.base()),
        _ => location.to_owned(),
    };
    let target = parse_server(absolute.split('?').next().unwrap_or_default())
        .map_err(|problem| refusal(format!("{host} redirects to an address that {problem}")))?;
    let Address::Tcp(ours) = address else {
        return Err(refusal(format!("the socket {host} redirects to {}", target.authority())));
    };
    if ours.tls && !target.tls {
        return Err(refusal(format!("{host} redirects from https to http; nothing was sent there")));
    }
    if !ours.is_same_server(&target) && !allowed.iter().any(|allowed| allowed.is_same_server(&target)) {
        let there = target.authority();
        let error = Error::new(Kind::Protocol, format!("{host} redirects to {there}; no secret was sent there"));
        return Err(
            error.hint(format!("if {there} is a node of the same cluster, allow it with --redirect-host {there}"))
        );
    }
    match target.prefix.strip_suffix(&format!("/v1/{path}")) {
        Some(prefix) => Ok(Server { prefix: prefix.to_owned(), ..target }),
        None => Err(refusal(format!("{host} redirects to another path"))),
    }
}

/// A redirect that is not followed.
pub(super) fn refusal(text: String, setting: &str) -> Error {
    Error::new(Kind::Protocol, text)
        .hint(format!("set {setting} to Vault's own address, not to a proxy that redirects"))
}
