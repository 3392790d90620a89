//! What the refusals of the JWT method mean, and what to change.

use std::time::Duration;

use jiff::Timestamp;

use super::claim;
use crate::ci::CiSystem;
use crate::claims::{Claims, read_algorithm};
use crate::error::{Error, Kind};
use crate::identity::Login;
use crate::origin::Origin;
use crate::secret::Secret;
use crate::time::{render_duration, render_time};
use crate::variables::VAULT_ID_TOKEN;
use crate::vault::refusal::{CommonCause, Refusal, Row, Says, explain, find};

/// The error of a refused login.
pub(super) fn describe(refusal: &Refusal, login: &Login, claims: &Claims) -> Error {
    let error = explain(&REFUSALS, refusal, &|name| match name {
        "origin" => login.origin.to_string(),
        "variable" => match &login.origin {
            Origin::Variable(name) => name.clone(),
            _ => VAULT_ID_TOKEN.into(),
        },
        "mount" => login.mount.clone(),
        "role" => login.role.clone().unwrap_or_else(|| "NAME".into()),
        "aud" => claim::audiences(claims),
        "claims" => claim::mismatch(&refusal.reason, claims),
        "claim" => claim::named(&refusal.reason).into(),
        "mapped" => claim::mapped(&refusal.reason).into(),
        "alg" => algorithm(login.identity.facts().secret),
        "form" => claim::subject_form(claims).into(),
        name => claim::text(claims, name),
    });
    let system = CiSystem::of_token(&login.origin, claims);
    match (find(&REFUSALS, refusal).map(|row| row.id), system) {
        // The rows say what is so in GitLab.
        (_, Some(CiSystem::Gitlab)) | (None, _) => error,
        (Some("jwt-audience"), Some(system)) => error.hint(other_audience(system, login, claims)),
        (Some("jwt-expired"), Some(system)) => {
            let renewal = system.renewal(&login.origin);
            error.hint(format!("the ID token expired during the job, or the clocks differ: {renewal}"))
        }
        (Some("jwt-expired"), None) => {
            error.hint("the ID token expired during the job, or the clocks differ: call ci-creds earlier in the job")
        }
        (Some("jwt-clock"), _) => {
            let signer = system.map_or_else(|| claim::text(claims, "iss"), |system| system.facts().title.to_owned());
            error.hint(format!("the clocks of {signer} and Vault differ by more than a minute"))
        }
        (Some("jwt-keys-url"), Some(system)) => error.hint(other_keys(system, login, claims)),
        (Some(_), _) => error,
    }
}

/// The error of a refused login, and of a token of the future by how much.
pub(super) fn describe_at(now: Timestamp, refusal: &Refusal, login: &Login, claims: &Claims) -> Error {
    let error = describe(refusal, login, claims);
    let Says::Text(texts) = CLOCK else { return error };
    match claims.valid_from().filter(|_| texts.iter().any(|text| refusal.reason.contains(text))) {
        Some(from) => error.hint(token_of_the_future(from, now, claims)),
        None => error,
    }
}

/// Whose clock is wrong, by ours.
fn token_of_the_future(from: Timestamp, now: Timestamp, claims: &Claims) -> String {
    let times = format!("the token is valid from {}, and the clock here says {}", render_time(from), render_time(now));
    let ahead = Duration::try_from(from.duration_since(now)).unwrap_or_default();
    match ahead.is_zero() {
        true => format!("{times}: the clock of Vault is behind"),
        false => format!("{times}: the clock of {} is {} ahead", claim::text(claims, "iss"), render_duration(ahead)),
    }
}

/// Where another CI system than GitLab publishes its keys.
fn other_keys(system: CiSystem, login: &Login, claims: &Claims) -> String {
    let (title, mount, issuer) = (system.facts().title, &login.mount, claim::text(claims, "iss"));
    format!(
        "jwks_url of auth/{mount}/config does not return a list of keys: {title} tells where they are, so write \
         oidc_discovery_url in its place: vault write auth/{mount}/config oidc_discovery_url={issuer} bound_issuer={issuer}"
    )
}

/// What sets the audience in another CI system than GitLab.
fn other_audience(system: CiSystem, login: &Login, claims: &Claims) -> String {
    let (aud, mount, role) = (claim::audiences(claims), &login.mount, login.role.as_deref().unwrap_or("NAME"));
    let change = match system.facts().audience {
        Some(change) => format!(
            "{change} to the value that vault read -field=bound_audiences auth/{mount}/role/{role} shows, to the letter"
        ),
        None => format!("{} signs no other one: set bound_audiences to it", system.facts().title),
    };
    format!("the token's aud is {aud}, and bound_audiences of the role {role} has another value: {change}")
}

/// What the token says that it is signed with.
fn algorithm(token: &Secret) -> String {
    read_algorithm(token).unwrap_or_else(|| "NAME".into())
}

/// What Vault says (plugin vault-plugin-auth-jwt, stable from Vault 1.8 to OpenBao 2.7), and what to change.
pub(crate) const REFUSALS: [Row; 33] = [
    LOGIN.refused("jwt-no-mount", Says::NoSuchLogin, IS_IT_MOUNTED),
    LOGIN.refused("jwt-forbidden", Says::Status(&[403]), IS_IT_MOUNTED),
    LOGIN.config(
        "jwt-at-approle",
        Says::Text(&["missing role_id", "failed to determine alias name"]),
        "auth/{mount} is an AppRole mount: --auth-mount or VAULT_AUTH_PATH must name the mount of the JWT method",
    ),
    LOGIN.config(
        "jwt-at-kubernetes",
        Says::Text(&["invalid role name", "missing jwt"]),
        "auth/{mount} is a mount of the Kubernetes method: --auth-mount or VAULT_AUTH_PATH must name that of the JWT method",
    ),
    LOGIN.config(
        "jwt-at-cert",
        Says::Text(&["no client certificate", "client certificate must be supplied"]),
        "auth/{mount} is a mount of the TLS certificate method: --auth-mount or VAULT_AUTH_PATH must name that of the JWT method",
    ),
    LOGIN.config(
        "jwt-no-configuration",
        Says::Text(&["could not load configuration"]),
        "an operator must configure it: vault write auth/{mount}/config oidc_discovery_url={iss} bound_issuer={iss}",
    ),
    LOGIN.config("jwt-empty-user", Says::Text(&["missing name in alias"]), USER_CLAIM),
    LOGIN.refused(
        "jwt-no-role-given",
        Says::Whole("missing role"),
        "auth/{mount} has no default_role: --auth-role NAME, or VAULT_AUTH_ROLE",
    ),
    LOGIN.refused(
        "jwt-no-role",
        Says::Text(&["could not be found"]),
        "there is no role {role} at auth/{mount}: --auth-role or VAULT_AUTH_ROLE; vault list auth/{mount}/role",
    ),
    LOGIN.refused(
        "jwt-oidc-role",
        Says::Text(&["oidc role_type is not allowed"]),
        "the role {role} is for logins in a browser: vault write auth/{mount}/role/{role} role_type=jwt",
    ),
    LOGIN.refused(
        "jwt-no-bound-audience",
        Says::Text(&["no audiences bound"]),
        "the role {role} has no bound_audiences: vault write auth/{mount}/role/{role} role_type=jwt bound_audiences={aud}; add \
        bound_claims_type=glob if the role has it, or Vault resets it",
    ),
    LOGIN.refused(
        "jwt-audience",
        Says::Text(&["audience"]),
        "the token's aud is {aud}, and bound_audiences of the role {role} has another value: in GitLab, write `id_tokens: \
        {{variable}: {aud: AUDIENCE}}`, with the value that vault read -field=bound_audiences auth/{mount}/role/{role} \
        shows, to the letter",
    ),
    LOGIN.refused(
        "jwt-issuer",
        Says::Text(&["issuer"]),
        "the token's iss is {iss}: auth/{mount}/config must have bound_issuer={iss}, exactly, also at its end",
    ),
    LOGIN.config(
        "jwt-keys-url",
        Says::Text(&["failed to decode keys", "get keys failed: 4"]),
        "jwks_url of auth/{mount}/config does not return a list of keys: if {iss} is a GitLab, write \
        jwks_url={iss}/oauth/discovery/keys",
    ),
    Row {
        id: "jwt-keys-unreachable",
        says: Says::Text(&["fetching keys"]),
        kind: Kind::Unavailable,
        cause: LOGIN.0,
        change: "Vault could not fetch the keys of the token's issuer, {iss}: re-run the job later; if it happens again, Vault must \
            reach jwks_url or oidc_discovery_url of auth/{mount}/config through its own network",
    },
    LOGIN.refused(
        "jwt-unsigned",
        Says::Text(&["signature algorithm none"]),
        "the token has no signature: {origin} must hold the ID token of this job, unchanged",
    ),
    LOGIN.refused(
        "jwt-algorithm",
        Says::Text(&["unexpected algorithm", "unexpected signature algorithm"]),
        "auth/{mount}/config must have the algorithm that the token is signed with: jwt_supported_algs={alg}",
    ),
    Row {
        id: "jwt-malformed",
        says: Says::Text(&["malformed jwt", "compact JWS format", "illegal base64 data"]),
        kind: Kind::Input,
        cause: LOGIN.0,
        change: "the token is not a JWT: {origin} must hold the ID token of this job, unchanged",
    },
    LOGIN.refused(
        "jwt-numeric-date",
        Says::Text(&["NumericDate"]),
        "iat, nbf and exp must be numbers: the issuer of the token writes one of them as a string",
    ),
    LOGIN.refused(
        "jwt-static-keys",
        Says::Text(&["no known key"]),
        "the token is from {iss}: jwt_validation_pubkeys of auth/{mount}/config must have the key of that issuer, or \
        jwks_url or oidc_discovery_url must name it",
    ),
    LOGIN.refused(
        "jwt-signature",
        Says::Text(&["signature"]),
        "the token is from {iss}: auth/{mount}/config must name its keys (jwks_url or oidc_discovery_url); if the issuer has \
        just changed its keys, re-run the job",
    ),
    LOGIN.refused(
        "jwt-expired",
        Says::Text(&["expired"]),
        "the ID token expired during the job, or the clocks differ: GitLab's tokens expire at the job's timeout, or after 5 minutes \
        without one",
    ),
    LOGIN.refused(
        "jwt-clock",
        CLOCK,
        "the clocks of GitLab and Vault differ by more than a minute",
    ),
    LOGIN.refused(
        "jwt-subject",
        Says::Text(&["subject"]),
        "the token's sub is {sub}: bound_subject of the role {role} differs, and takes no pattern; to allow this job, write \
        bound_subject={sub}; for a pattern, bind sub in bound_claims with bound_claims_type=glob{form}",
    ),
    LOGIN.refused(
        "jwt-no-time",
        Says::Text(&["claims in token"]),
        "the token has none of iat, nbf and exp: its issuer must set one of them",
    ),
    LOGIN.refused(
        "jwt-groups-claim",
        Says::Text(&["claim not found in token", "converted to string list"]),
        "groups_claim of the role {role} must name a claim of this token that is a list, or be removed: vault write \
        auth/{mount}/role/{role} role_type=jwt groups_claim=",
    ),
    LOGIN.refused("jwt-user-claim", Says::Text(&["not found in token", "could not be converted to string"]), USER_CLAIM),
    LOGIN.refused(
        "jwt-claim-mappings",
        Says::Text(&["error converting claim"]),
        "take {mapped} out of claim_mappings of the role {role}: they map only claims that are a string or a boolean",
    ),
    LOGIN.refused(
        "jwt-claim-object",
        Says::Text(&["claim is not a string, bool, int or list"]),
        "bound_claims of the role {role} bind an object: bind a value in it by a JSON pointer, such as /user/id",
    ),
    LOGIN.refused(
        "jwt-claim-type",
        Says::Text(&["claim is not a string or list"]),
        "bound_claims of the role {role} bind a number or a boolean, and this version of Vault compares only strings and \
        lists: bind another claim",
    ),
    LOGIN.refused(
        "jwt-claim-missing",
        Says::Text(&["is missing"]),
        "bound_claims of the role {role} require a claim that this token does not have: {claims}; or take {claim} out of bound_claims",
    ),
    LOGIN.refused(
        "jwt-bound-claim",
        Says::Text(&["claim"]),
        "bound_claims of the role {role} do not fit: {claims}; patterns need bound_claims_type=glob",
    ),
    LOGIN.refused("jwt-other", Says::Anything, "vault read auth/{mount}/role/{role} shows what the role requires"),
];

const CLOCK: Says = Says::Text(&["not yet valid", "in the future"]);

const IS_IT_MOUNTED: &str = "check that the JWT method is mounted at auth/{mount} (--auth-mount or VAULT_AUTH_PATH), and that \
    token_bound_cidrs of the role allow this runner";

const USER_CLAIM: &str = "user_claim of the role {role} must name a claim of this token that is a string and not empty, \
    such as sub: vault write auth/{mount}/role/{role} role_type=jwt user_claim=sub";

const LOGIN: CommonCause =
    CommonCause("the login with the ID token (from {origin}) at auth/{mount}/login was refused ({because})");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::origin::Origin;
    use crate::secret::Secret;

    #[test]
    fn every_refusal_names_what_to_change() {
        let claims = || {
            Claims::from_json(r#"{"aud":"https://vault","iss":"https://gitlab","environment":"dev","sub":"s"}"#)
                .unwrap()
        };
        let login = Login {
            identity: Identity::IdToken { token: Secret::new("x".into()), claims: claims(), key: None },
            mount: "gitlab".into(),
            ignored_path: None,
            role: Some("deploy".into()),
            role_origin: Origin::Default,
            origin: Origin::Variable("VAULT_ID_TOKEN".into()),
            renew: false,
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
                "vault write auth/gitlab/role/deploy role_type=jwt bound_audiences=https://vault",
            ),
            (
                400,
                "error validating token: invalid audience aud claim: audience claim does not match any expected audience",
                "the token's aud is https://vault, and bound_audiences of the role deploy has another value: in GitLab, write \
                `id_tokens: {VAULT_ID_TOKEN: {aud: AUDIENCE}}`",
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
            (400, "error validating claims: claim other is missing", "bound_claims of the role deploy require a claim"),
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
                "jwks_url=https://gitlab/oauth/discovery/keys",
            ),
            (
                400,
                "error validating token: error verifying token signature: fetching keys oidc: failed to decode keys: \
                invalid character",
                "jwks_url=https://gitlab/oauth/discovery/keys",
            ),
            (
                400,
                "error validating token: error verifying token signature: oidc: malformed jwt: unexpected signature \
                algorithm HS256 expected RS256 ES256",
                "jwt_supported_algs",
            ),
            (
                400,
                "error validating token: error verifying token signature: oidc: malformed jwt: unexpected signature \
                algorithm none expected RS256",
                "the token has no signature: VAULT_ID_TOKEN must hold the ID token of this job",
            ),
            (
                400,
                "error validating token: error verifying token signature: failed to verify id token signature",
                "if the issuer has just changed its keys, re-run the job",
            ),
            (400, "error validating token: illegal base64 data at input byte 4", "is not a JWT"),
            (400, "error validating token: invalid subject sub claim", "bind sub in bound_claims with"),
            (400, "role with oidc role_type is not allowed", "vault write auth/gitlab/role/deploy role_type=jwt"),
            (
                400,
                "error validating token: error verifying token signature: go-jose/go-jose/jwt: expected number value to \
                unmarshal NumericDate",
                "must be numbers",
            ),
            (
                400,
                "error validating claims: received claim is not a string, bool, int or list: map id:7",
                "by a JSON pointer, such as /user/id",
            ),
            (400, "error validating claims: received claim is not a string or list: 12", "bind another claim"),
            (400, "error validating claims: bound claim is not a string or list: 365", "bind another claim"),
            (400, "missing jwt", "auth/gitlab is a mount of the Kubernetes method"),
            (400, "no client certificate found", "auth/gitlab is a mount of the TLS certificate method"),
            (500, "missing role_id", "auth/gitlab is an AppRole mount"),
            (400, "missing role_id", "auth/gitlab is an AppRole mount"),
            (
                400,
                "could not load configuration",
                "auth/gitlab/config oidc_discovery_url=https://gitlab bound_issuer=https://gitlab",
            ),
            (500, "missing name in alias", "user_claim of the role deploy"),
            (
                400,
                "claim user_email not found in token",
                "vault write auth/gitlab/role/deploy role_type=jwt user_claim=sub",
            ),
            (400, "claim runner_id could not be converted to string", "user_claim of the role deploy"),
            (
                400,
                "failed to fetch groups: x claim not found in token",
                "auth/gitlab/role/deploy role_type=jwt groups_claim=",
            ),
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

    #[test]
    fn a_hint_names_the_ci_system_that_signed_the_token_and_its_line() {
        let id_token = |name: &str| Origin::Variable(name.to_owned());
        let describe = |origin: &Origin, claims: &Claims, reason: &str| {
            let login = Login {
                identity: Identity::IdToken { token: Secret::new("x".into()), claims: claims.clone(), key: None },
                mount: "jwt".into(),
                ignored_path: None,
                role: Some("deploy".into()),
                role_origin: Origin::Default,
                origin: origin.clone(),
                renew: false,
                perhaps_generator: false,
            };
            describe(&Refusal { status: 400, reason: reason.into() }, &login, claims).render(false)
        };
        let rows = [
            (
                "namespace_path",
                "https://gitlab",
                "VAULT_ID_TOKEN",
                "GitLab",
                "GitLab's tokens expire at the job's timeout",
            ),
            (
                "repository_owner",
                "https://forge/api/actions",
                "VAULT_ID_TOKEN",
                "Forgejo Actions",
                "`enable-openid-connect: true`",
            ),
            (
                "repository_owner",
                "https://token.actions",
                "VAULT_ID_TOKEN",
                "GitHub Actions",
                "`permissions: id-token: write`",
            ),
            (
                "other",
                "https://token.actions",
                "GitHub Actions",
                "GitHub Actions",
                "requested it in this call, so a clock is",
            ),
            (
                "repositoryUuid",
                "https://api",
                "BITBUCKET_STEP_OIDC_TOKEN",
                "Bitbucket Pipelines",
                "`oidc: true` in its step",
            ),
            (
                "pipeline_slug",
                "https://agent",
                "MY_TOKEN",
                "Buildkite",
                "buildkite-agent on its PATH, and unset MY_TOKEN",
            ),
            (
                "oidc.circleci.com/project-id",
                "https://oidc",
                "CIRCLE_OIDC_TOKEN_V2",
                "CircleCI",
                "with --id-token-audience",
            ),
            (
                "rpo_id",
                "https://vstoken",
                "VAULT_ID_TOKEN",
                "Azure DevOps",
                "SYSTEM_ACCESSTOKEN: $(System.AccessToken)}`",
            ),
            ("prj_id", "https://org", "SEMAPHORE_OIDC_TOKEN", "Semaphore", "Semaphore makes one for every job"),
            (
                "pipeline_name",
                "https://oidc",
                "VAULT_ID_TOKEN",
                "Codefresh",
                "CF_OIDC_REQUEST_URL and CF_OIDC_REQUEST_TOKEN",
            ),
            ("spaceId", "https://me", "SPACELIFT_OIDC_TOKEN", "Spacelift", "which sets SPACELIFT_OIDC_TOKEN"),
            (
                "terraform_workspace_id",
                "https://app",
                "VAULT_ID_TOKEN",
                "HCP Terraform",
                "TFC_WORKLOAD_IDENTITY_AUDIENCE",
            ),
        ];
        for (claim, issuer, origin, title, line) in rows {
            let json = format!(r#"{{"aud":"a","iss":"{issuer}","prj_id_of":1,"{claim}":"x"}}"#);
            let (claims, origin) = (Claims::from_json(&json).unwrap(), id_token(origin));
            let told = |reason: &str| describe(&origin, &claims, reason);
            let expired = told("error validating token: token is expired");
            assert!(expired.contains(title) && expired.contains(line), "{title}: {expired}");
            let clock = told("error validating token: token not yet valid");
            assert!(clock.contains(&format!("the clocks of {title} and Vault differ")), "{title}: {clock}");
            let keys = told("fetching keys oidc: failed to decode keys");
            let audience = told("invalid audience aud claim: audience claim does not match any expected audience");
            let is_gitlab = title == "GitLab";
            let place = if is_gitlab {
                format!("{issuer}/oauth/discovery/keys")
            } else {
                format!("oidc_discovery_url={issuer}")
            };
            assert!(keys.contains(&place), "{title}: {keys}");
            for text in [expired, clock, keys, audience] {
                assert_eq!(text.contains("GitLab"), is_gitlab, "{title}: {text}");
            }
        }
        // An issuer without a row.
        let claims = Claims::from_json(r#"{"aud":"a","iss":"https://jenkins/oidc"}"#).unwrap();
        for (reason, words) in [
            ("error validating token: token is expired", "call ci-creds earlier in the job"),
            ("error validating token: token not yet valid", "the clocks of https://jenkins/oidc and Vault differ"),
        ] {
            let text = describe(&id_token("VAULT_ID_TOKEN"), &claims, reason);
            assert!(text.contains(words) && !text.contains("GitLab"), "{text}");
        }
    }
}
