//! The ID token of a CI job: `auth/<mount>/login` of Vault's JWT method.
//!
//! Vault names the claim that does not fit and never its value; the job holds its own token, so the value can be
//! told from here. Claims say who the job is, not a secret.

use super::session::{Session, session, settle};
use crate::ci::CiSystem;
use crate::claims::{Claims, PLACEHOLDERS};
use crate::error::{Error, Kind, Result, sanitized};
use crate::identity::Login;
use crate::secret::Secret;
use crate::vault::client::Vault;
use crate::vault::refusal::{Refusal, Row, Says, explain};
use crate::vault::step::Step;

/// Logs in; without a role, as the mount's default role.
pub(super) async fn login(vault: &Vault<'_>, login: &Login, token: &Secret, claims: &Claims) -> Result<Session> {
    let mut body = vec![("jwt", token.expose())];
    if let Some(role) = &login.role {
        body.push(("role", role));
    }
    let exchange = vault.login(Step::Login, &login.mount, &body).await;
    let path = format!("auth/{}/login", login.mount);
    session(settle(exchange, |refusal| describe(&refusal, login, claims))?, &path)
}

fn describe(refusal: &Refusal, login: &Login, claims: &Claims) -> Error {
    let says = |claim: &str| claims.text(claim).map_or_else(|| "nothing".into(), |value| sanitized(&value));
    explain(&REFUSALS, refusal, &|name| match name {
        "origin" => login.origin.to_string(),
        "mount" => login.mount.clone(),
        "role" => login.role.clone().unwrap_or_else(|| "NAME".into()),
        "aud" => {
            Some(sanitized(&claims.audiences().join(", "))).filter(|aud| !aud.is_empty()).unwrap_or("nothing".into())
        }
        "where" => {
            let (system, role) = (CiSystem::of_origin(&login.origin), login.role.as_deref().unwrap_or("NAME"));
            match system.unwrap_or(CiSystem::Gitlab).facts().audience {
                Some(change) => format!("{change} to the bound_audiences of the role {role}, exactly"),
                None => format!("its CI system signs no other one: set bound_audiences of the role {role} to it"),
            }
        }
        "claims" => told(&refusal.reason, &says),
        claim => says(claim),
    })
}

/// The claims that Vault's text names, with the job's own values.
fn told(reason: &str, says: &dyn Fn(&str) -> String) -> String {
    let known = PLACEHOLDERS.iter().map(|(name, _)| *name).chain(["environment_protected", "sub"]);
    let is_named =
        |name: &&str| reason.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == *name);
    let told: Vec<_> = known.filter(is_named).map(|name| format!("{name} is {}", says(name))).collect();
    if told.is_empty() { "compare them with the job's".into() } else { format!("in this job {}", told.join(", ")) }
}

/// What Vault says (plugin vault-plugin-auth-jwt, stable from Vault 1.8 to OpenBao 2.6), and what to change.
const REFUSALS: [Row; 26] = [
    refused(Says::NoSuchLogin, IS_IT_MOUNTED),
    refused(Says::Status(&[403]), IS_IT_MOUNTED),
    config(
        Says::Text(&["missing role_id", "failed to determine alias name"]),
        "auth/{mount} is an AppRole mount: --auth-mount or VAULT_AUTH_PATH must name the mount of the JWT method",
    ),
    config(
        Says::Text(&["invalid role name", "missing jwt"]),
        "auth/{mount} is a mount of the Kubernetes method: --auth-mount or VAULT_AUTH_PATH must name that of the JWT method",
    ),
    config(
        Says::Text(&["no client certificate", "client certificate must be supplied"]),
        "auth/{mount} is a mount of the TLS certificate method: --auth-mount or VAULT_AUTH_PATH must name that of the JWT method",
    ),
    config(
        Says::Text(&["could not load configuration"]),
        "an operator must configure it: vault write auth/{mount}/config",
    ),
    config(Says::Text(&["missing name in alias"]), USER_CLAIM),
    refused(Says::Whole("missing role"), "auth/{mount} has no default_role: --auth-role NAME, or VAULT_AUTH_ROLE"),
    refused(
        Says::Text(&["could not be found"]),
        "there is no role {role} at auth/{mount}: --auth-role or VAULT_AUTH_ROLE; vault list auth/{mount}/role",
    ),
    refused(
        Says::Text(&["no audiences bound"]),
        "set bound_audiences of the role {role} to the token's aud, which is {aud}",
    ),
    refused(Says::Text(&["audience"]), "the token's aud is {aud}: {where}"),
    refused(
        Says::Text(&["issuer"]),
        "the token's iss is {iss}: bound_issuer of auth/{mount}/config must be the same, exactly",
    ),
    config(
        Says::Text(&["failed to decode keys", "get keys failed: 4"]),
        "jwks_url of auth/{mount}/config does not return a list of keys: for GitLab it is \
        https://HOST/oauth/discovery/keys",
    ),
    Row {
        says: Says::Text(&["fetching keys"]),
        kind: Kind::Unavailable,
        cause: CAUSE,
        change: "Vault could not fetch the keys of the token's issuer, {iss}: re-run the job later; if it happens again, Vault must \
            reach jwks_url or oidc_discovery_url of auth/{mount}/config through its own network",
    },
    refused(
        Says::Text(&["unexpected algorithm", "unexpected signature algorithm"]),
        "jwt_supported_algs of auth/{mount}/config must name the algorithm that the token is signed with",
    ),
    Row {
        says: Says::Text(&["malformed jwt", "compact JWS format"]),
        kind: Kind::Input,
        cause: CAUSE,
        change: "the token is not a JWT: {origin} must hold the ID token of this job, unchanged",
    },
    refused(
        Says::Text(&["signature"]),
        "the token is from {iss}: auth/{mount}/config must name its keys (jwks_url or oidc_discovery_url)",
    ),
    refused(
        Says::Text(&["expired"]),
        "the ID token expired during the job, or the clocks differ: GitLab's tokens expire at the job's timeout, or after 5 minutes \
        without one",
    ),
    refused(
        Says::Text(&["not yet valid", "in the future"]),
        "the clocks of GitLab and Vault differ by more than a minute",
    ),
    refused(Says::Text(&["subject"]), "the token's sub is {sub}: bound_subject of the role {role} differs"),
    refused(
        Says::Text(&["claims in token"]),
        "the token has none of iat, nbf and exp: its issuer must set one of them",
    ),
    refused(
        Says::Text(&["claim not found in token", "converted to string list"]),
        "groups_claim of the role {role} must name a claim of this token that is a list, or be removed",
    ),
    refused(Says::Text(&["not found in token", "could not be converted to string"]), USER_CLAIM),
    refused(
        Says::Text(&["error converting claim"]),
        "claim_mappings of the role {role} must not map a claim that is neither a string nor a boolean",
    ),
    refused(
        Says::Text(&["claim"]),
        "bound_claims of the role {role} do not fit: {claims}; patterns need bound_claims_type=glob",
    ),
    refused(Says::Anything, "vault read auth/{mount}/role/{role} shows what the role requires"),
];

const IS_IT_MOUNTED: &str = "check that the JWT method is mounted at auth/{mount} (--auth-mount or VAULT_AUTH_PATH), and that \
    bound_cidrs of the role allow this runner";

const USER_CLAIM: &str = "user_claim of the role {role} must name a claim of this token that is a string and not empty, \
    such as sub or project_path";

const CAUSE: &str = "the login with the ID token (from {origin}) at auth/{mount}/login was refused ({because})";

const fn refused(says: Says, change: &'static str) -> Row {
    Row { says, kind: Kind::Denied, cause: CAUSE, change }
}

const fn config(says: Says, change: &'static str) -> Row {
    Row { says, kind: Kind::Config, cause: CAUSE, change }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::origin::Origin;

    #[test]
    fn every_refusal_names_what_to_change() {
        let claims = || {
            Claims::from_json(r#"{"aud":"https://vault","iss":"https://gitlab","environment":"dev","sub":"s"}"#)
                .unwrap()
        };
        let login = Login {
            identity: Identity::IdToken { token: Secret::new("x".into()), claims: claims(), key: None },
            mount: "gitlab".into(),
            role: Some("deploy".into()),
            role_origin: Origin::Default,
            origin: Origin::Variable("VAULT_ID_TOKEN".into()),
            perhaps_generator: false,
        };
        let cases = [
            (400, "missing role", "VAULT_AUTH_ROLE"),
            (400, "role deploy could not be found", "vault list auth/gitlab/role"),
            (400, "missing client token", "VAULT_AUTH_PATH"),
            (403, "permission denied", "VAULT_AUTH_PATH"),
            (
                400,
                "audience claim found in JWT but no audiences bound to the role",
                "bound_audiences of the role deploy to the token's aud, which is https://vault",
            ),
            (
                400,
                "error validating token: invalid audience aud claim: audience claim does not match any expected audience",
                "the token's aud is https://vault",
            ),
            (400, "error validating token: invalid issuer iss claim", "iss is https://gitlab"),
            (
                400,
                "error validating token: error verifying token signature: no known key successfully validated the \
                token signature",
                "jwks_url",
            ),
            (
                400,
                "error validating token: invalid expiration time exp claim: token is expired",
                "expired during the job",
            ),
            (400, "error validating token: invalid not before nbf claim: token not yet valid", "clocks"),
            (
                400,
                "error validating claims: claim environment does not match any associated bound claim values",
                "in this job environment is dev",
            ),
            (
                400,
                "error validating claims: claim namespace_path does not match any associated bound claim values",
                "in this job namespace_path is nothing; patterns",
            ),
            (400, "error validating claims: claim other is missing", "bound_claims"),
            (
                400,
                "error validating token: error verifying token signature: fetching keys oidc: get keys failed: 500 \
                Internal Server Error",
                "re-run the job later",
            ),
            (
                400,
                "error validating token: error verifying token signature: fetching keys oidc: get keys failed: 404 Not \
                Found",
                "https://HOST/oauth/discovery/keys",
            ),
            (
                400,
                "error validating token: error verifying token signature: fetching keys oidc: failed to decode keys: \
                invalid character",
                "https://HOST/oauth/discovery/keys",
            ),
            (
                400,
                "error validating token: error verifying token signature: oidc: malformed jwt: unexpected signature \
                algorithm none",
                "jwt_supported_algs",
            ),
            (400, "missing jwt", "auth/gitlab is a mount of the Kubernetes method"),
            (400, "no client certificate found", "auth/gitlab is a mount of the TLS certificate method"),
            (500, "missing role_id", "auth/gitlab is an AppRole mount"),
            (400, "missing role_id", "auth/gitlab is an AppRole mount"),
            (400, "could not load configuration", "vault write auth/gitlab/config"),
            (500, "missing name in alias", "user_claim of the role deploy"),
            (400, "claim user_email not found in token", "user_claim of the role deploy"),
            (400, "claim runner_id could not be converted to string", "user_claim of the role deploy"),
            (400, "failed to fetch groups: x claim not found in token", "groups_claim of the role deploy"),
            (400, "failed to fetch groups: x claim could not be converted to string list", "groups_claim of the role"),
            (400, "error converting claim runner_id to string", "claim_mappings of the role deploy"),
            (
                400,
                "error validating token: no issued at iat , not before nbf , or expiration time exp claims in token",
                "none of iat, nbf and exp",
            ),
            (400, "something new", "vault read auth/gitlab/role/deploy"),
        ];
        for (status, reason, expected) in cases {
            let refusal = Refusal { status, reason: reason.into() };
            let text = describe(&refusal, &login, &claims()).render(false);
            assert!(text.contains(expected), "{reason}: {text}");
        }
    }
}
