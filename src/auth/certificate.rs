//! The client certificate of the connection: `auth/<mount>/login` of Vault's TLS certificate method.
//!
//! TLS has proved the certificate before the request is sent. The body only names the role: without a name, Vault takes
//! the first role in its list that fits.

use super::session::{Session, session, settle};
use crate::error::{Error, Result};
use crate::identity::Login;
use crate::vault::client::Vault;
use crate::vault::refusal::{CommonCause, Refusal, Row, Says, explain};
use crate::vault::step::Step;

/// Logs in as the role.
pub(super) async fn login(vault: &Vault<'_>, login: &Login) -> Result<Session> {
    let body = [("name", login.role.as_deref().unwrap_or_default())];
    let exchange = vault.login(Step::Login, &login.mount, &body).await;
    let path = format!("auth/{}/login", login.mount);
    session(settle(exchange, |refusal| describe(&refusal, login))?, &path)
}

pub(super) fn describe(refusal: &Refusal, login: &Login) -> Error {
    explain(&REFUSALS, refusal, &|name| match name {
        "origin" => login.origin.to_string(),
        "mount" => login.mount.clone(),
        _ => login.role.clone().unwrap_or_else(|| "NAME".into()),
    })
}

/// What Vault says, from 1.8 to OpenBao 2.7, and what to change.
pub(super) const REFUSALS: [Row; 10] = [
    LOGIN.refused("cert-mount-missing", Says::NoSuchLogin, IS_IT_MOUNTED),
    LOGIN.refused("cert-denied", Says::Status(&[403]), IS_IT_MOUNTED),
    LOGIN.config(
        "cert-not-sent",
        Says::Text(&["no client certificate found", "client certificate must be supplied", "tls connection required"]),
        "Vault got no client certificate: whatever ends TLS in front of Vault, such as a load balancer, must pass TLS \
        through to it",
    ),
    LOGIN.config(
        "cert-at-another-method",
        Says::Text(&[
            "missing role_id",
            "failed to determine alias name",
            "missing role",
            "missing token",
            "missing jwt",
        ]),
        "auth/{mount} is the mount of another method: --auth-mount must name the mount of the TLS certificate method",
    ),
    LOGIN.refused(
        "cert-role-or-ca",
        Says::Text(&["invalid certificate or no client certificate"]),
        "there is no role {role} at auth/{mount}, or another CA than that of the role signed the certificate: vault read \
        auth/{mount}/certs/{role}; VAULT_CLIENT_CERT must hold the certificate first, and then its intermediates",
    ),
    LOGIN.refused(
        "cert-constraints",
        Says::Text(&["no chain matching all constraints"]),
        "the names of the certificate do not fit the role {role} (allowed_common_names, allowed_dns_sans, \
        allowed_organizational_units and similar): vault read auth/{mount}/certs/{role}",
    ),
    LOGIN.refused(
        "cert-expired",
        Says::Text(&["expired or is not yet valid"]),
        "renew the client certificate, or correct the clock of Vault",
    ),
    LOGIN.refused(
        "cert-key-usage",
        Says::Text(&["incompatible key usage"]),
        "have the client certificate issued with extendedKeyUsage=clientAuth",
    ),
    LOGIN.refused("cert-invalid", Says::Text(&["failed to verify client"]), "have the client certificate issued again"),
    LOGIN.refused("cert-other", Says::Anything, "vault read auth/{mount}/certs/{role} shows what the role requires"),
];

const IS_IT_MOUNTED: &str = "check that the TLS certificate method is mounted at auth/{mount} (--auth-mount), and that \
    token_bound_cidrs of the role {role} allow this runner";

const LOGIN: CommonCause = CommonCause(
    "the login with the client certificate (key from {origin}) at auth/{mount}/login was refused ({because})",
);
