//! The token of a Kubernetes service account: `auth/<mount>/login` of Vault's Kubernetes method.
//!
//! Vault asks the cluster's API server about it (TokenReview), and has one text for whatever goes wrong there.

use std::path::Path;

use super::session::{Session, session, settle};
use super::trial::{Sign, Trial, is_nowhere};
use crate::claims::Claims;
use crate::error::{Error, Kind, Result, sanitized};
use crate::host::Host;
use crate::identity::Login;
use crate::secret::Secret;
use crate::vault::client::Vault;
use crate::vault::refusal::{CommonCause, Refusal, Row, Says, explain};
use crate::vault::step::Step;

/// Logs in. The file is read again: a run can outlive the token that it began with.
pub(super) async fn login(vault: &Vault<'_>, login: &Login, token: &Secret, file: Option<&Path>) -> Result<Session> {
    let read = file.map(|file| read_again(file, vault.host())).transpose()?;
    let token = read.as_ref().unwrap_or(token);
    let body = [("role", login.role.as_deref().unwrap_or_default()), ("jwt", token.expose())];
    let exchange = vault.login(Step::Login, &login.mount, &body).await;
    let path = format!("auth/{}/login", login.mount);
    session(settle(exchange, |refusal| describe(&refusal, login, token))?, &path)
}

/// The login without the token. Vault looks for the token before it looks for the role.
pub(super) fn trial(login: &Login) -> Trial<'_> {
    let body = login.role.as_deref().map(|role| ("role", role)).into_iter().collect();
    Trial { method: "Kubernetes", body, sign: read_sign, role: "only the login itself tells".into(), untried: None }
}

fn read_sign(refusal: &Refusal) -> Sign {
    if !is_nowhere(refusal) && refusal.reason.contains("missing jwt") { Sign::Mount } else { Sign::WrongMount }
}

/// Security: as when the run began, nobody else may choose who this job is.
fn read_again(file: &Path, host: &Host) -> Result<Secret> {
    let found = host.read_document(file).ok().flatten();
    let own = found.filter(|document| !document.trust.foreign && !document.trust.writable_by_others);
    let token = own.map(|document| Secret::new(document.text.trim().to_owned()));
    let is_token = |token: &Secret| !token.expose().is_empty() && token.expose().bytes().all(|b| b.is_ascii_graphic());
    token.filter(is_token).ok_or_else(|| {
        let text = format!("the service account token file {} holds no token any more", file.display());
        Error::new(Kind::Input, text).hint("this user must be able to read it, and no other user to write it")
    })
}

pub(super) fn describe(refusal: &Refusal, login: &Login, token: &Secret) -> Error {
    let claims = Claims::from_token(token);
    let says = |claim: &str| claims.as_ref().and_then(|claims| claims.text(claim)).map(|value| sanitized(&value));
    explain(&REFUSALS, refusal, &|name| match name {
        "origin" => login.origin.to_string(),
        "mount" => login.mount.clone(),
        "role" => login.role.clone().unwrap_or_else(|| "NAME".into()),
        "aud" => {
            let audiences = claims.as_ref().map(|claims| sanitized(&claims.audiences().join(", ")));
            audiences.filter(|aud| !aud.is_empty()).unwrap_or("nothing".into())
        }
        claim => says(claim).unwrap_or_else(|| "nothing".into()),
    })
}

/// What Vault says (vault-plugin-auth-kubernetes, from Vault 1.8 to OpenBao 2.7), and what to change.
pub(super) const REFUSALS: [Row; 14] = [
    LOGIN.refused(
        "kubernetes-mount-missing",
        Says::NoSuchLogin,
        "auth/{mount} must be a mount of the Kubernetes method: set it with --auth-mount",
    ),
    LOGIN.config(
        "kubernetes-at-jwt",
        Says::Text(&["could not be found", "error validating token", "missing token"]),
        "auth/{mount} is a mount of the JWT method: pass --auth id-token --id-token-file PATH, or set --auth-mount",
    ),
    LOGIN.config(
        "kubernetes-at-approle",
        Says::Text(&["missing role_id", "failed to determine alias name"]),
        "auth/{mount} is an AppRole mount: --auth-mount must name the mount of the Kubernetes method",
    ),
    LOGIN.config(
        "kubernetes-at-cert",
        Says::Text(&["no client certificate", "client certificate must be supplied"]),
        "auth/{mount} is a mount of the TLS certificate method: --auth-mount must name that of the Kubernetes method",
    ),
    LOGIN.config(
        "kubernetes-unconfigured",
        Says::Text(&["could not load backend configuration"]),
        "an operator must configure it: vault write auth/{mount}/config kubernetes_host=https://HOST:PORT",
    ),
    LOGIN.refused(
        "kubernetes-role-missing",
        Says::Text(&["invalid role name"]),
        "there is no role {role} at auth/{mount}: --auth-role or CI_CREDS_AUTH_ROLE; vault list auth/{mount}/role",
    ),
    LOGIN.refused(
        "kubernetes-audience",
        Says::Text(&["audience", "claim aud is invalid"]),
        "the token's aud is {aud}, and audience of the role {role} is another one: mount a token with that audience (a \
        projected volume with serviceAccountToken) and pass --service-account-token-file PATH",
    ),
    LOGIN.refused(
        "kubernetes-expired",
        Says::Text(&["expired"]),
        "the token has expired: name the file that the kubelet writes, not a copy of it, or correct the clocks",
    ),
    LOGIN.refused(
        "kubernetes-account",
        Says::Text(&["service account name not authorized"]),
        "the token's sub is {sub}: bound_service_account_names of the role {role} must have that name",
    ),
    LOGIN.refused(
        "kubernetes-namespace",
        Says::Text(&["namespace not authorized"]),
        "the token's sub is {sub}: bound_service_account_namespaces of the role {role} must have that namespace",
    ),
    LOGIN.refused(
        "kubernetes-issuer",
        Says::Text(&["claim iss is invalid"]),
        "the token's iss is {iss}: set issuer of auth/{mount}/config to it, or disable_iss_validation=true",
    ),
    Row {
        id: "kubernetes-not-a-service-account",
        says: Says::Text(&["decoding", "compact JWS"]),
        kind: Kind::Input,
        cause: LOGIN.0,
        change: "this is not the token of a service account: for the ID token of a CI system, pass --auth id-token",
    },
    LOGIN.refused(
        "kubernetes-denied",
        Says::Status(&[403]),
        "Vault has this answer for four causes: auth/{mount} is not a mount of the Kubernetes method; Vault cannot reach the \
        API server (kubernetes_host); its reviewer, or without one this service account, lacks system:auth-delegator; the \
        service account or its pod was deleted or created again",
    ),
    LOGIN.refused("kubernetes-other", Says::Anything, "vault read auth/{mount}/role/{role} shows what the role requires"),
];

const LOGIN: CommonCause = CommonCause(
    "the login with the service account token (from {origin}) at auth/{mount}/login was refused ({because})",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Fake, Trust};

    #[test]
    fn a_later_login_takes_the_token_that_the_kubelet_wrote_meanwhile() {
        let path = Path::new("/var/run/secrets/token");
        let read = |text: &str, trust: Trust| {
            let mut fake = Fake::default();
            fake.files.insert(path.to_owned(), (text.to_owned(), trust));
            read_again(path, &Host::fake(fake)).map(|token| token.expose().to_owned()).map_err(|error| error.kind())
        };
        let kubelets = Trust { readable_by_others: true, ..Trust::default() };
        assert_eq!(read("new.token.x\n", kubelets), Ok("new.token.x".to_owned()));
        for (text, trust) in [
            ("", kubelets),
            ("two\nlines", kubelets),
            ("x", Trust { foreign: true, ..kubelets }),
            ("x", Trust { writable_by_others: true, ..kubelets }),
        ] {
            assert_eq!(read(text, trust), Err(Kind::Input), "{text:?} {trust:?}");
        }
        let gone = read_again(path, &Host::fake(Fake::default())).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(gone, Err(Kind::Input));
    }
}
