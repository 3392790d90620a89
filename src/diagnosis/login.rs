//! The mount and the role of the login, asked without the proof; and the login itself, where it spends nothing.

use std::collections::BTreeSet;

use super::identity::table;
use super::{Check, Mark, Note, Topic};
use crate::auth::{self, Session, describe_refusal};
use crate::error::Error;
use crate::host::Host;
use crate::identity::{Identity, Login};
use crate::secret::Secret;
use crate::time::render_time;
use crate::vault::client::Vault;
use crate::vault::client::reading::Reading;
use crate::vault::refusal::Refusal;

/// What was found of mount and role.
pub(crate) struct LoginProbe {
    /// The two steps.
    pub(crate) checks: [Check; 2],
    /// A token that the question brought, where a role wants no proof: it must be revoked.
    pub(crate) token: Option<Secret>,
}

/// What the question says of mount and role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// The mount is of this method, and has the role.
    Both,
    /// The mount is of this method, and nothing is known of the role.
    Mount,
    /// The role is wrong.
    WrongRole,
    /// The mount is wrong.
    WrongMount,
}

/// How the methods answer who sends no proof: texts that Vault 1.8 to OpenBao 2.7 share.
fn read_sign(login: &Login, refusal: &Refusal) -> Sign {
    let says = |text: &str| refusal.reason.contains(text);
    let is_jwt = matches!(login.identity, Identity::IdToken { .. });
    if refusal.is_denied() || refusal.wants_a_token() || refusal.status == 404 {
        return Sign::WrongMount;
    }
    match (is_jwt, refusal.reason.as_str()) {
        (true, "missing token") => Sign::Both,
        (true, _) if says("could not be found") || says("oidc role_type") => Sign::WrongRole,
        (true, "missing role") => Sign::WrongRole,
        (true, _) => Sign::WrongMount,
        (false, _) if says("missing secret_id") => Sign::Both,
        (false, "missing role_id") => Sign::Mount,
        (false, "missing role" | "missing token") => Sign::WrongMount,
        // Vault 1.8 to 1.16 and OpenBao, in this order.
        (false, _) if says("invalid role ID") || says("role or secret ID") => Sign::WrongRole,
        (false, _) if says("CIDR") || says("failed to determine alias name") => Sign::Mount,
        (false, _) => Sign::WrongMount,
    }
}

/// Asks mount and role without the proof.
pub(crate) async fn probe(vault: &Vault<'_>, login: &Login) -> LoginProbe {
    let body = match &login.identity {
        Identity::Token { .. } => {
            let skip = |topic| Check::skip(topic, "a Vault token needs no login");
            return LoginProbe { checks: [skip(Topic::AuthMount), skip(Topic::AuthRole)], token: None };
        }
        Identity::IdToken { .. } => login.role.as_deref().map(|role| ("role", role)),
        Identity::SecretId { role_id, .. }
        | Identity::GeneratorToken { role_id, .. }
        | Identity::RoleId { role_id } => Some(("role_id", role_id.expose())),
        Identity::WrappingToken { role_id, .. } => role_id.as_ref().map(|id| ("role_id", id.expose())),
    };
    let body: Vec<_> = body.into_iter().collect();
    let refusal = match vault.probe_login(&login.mount, &body).await {
        Reading::Refusal(refusal) => refusal,
        Reading::Answer(envelope) => {
            let token = envelope.auth.and_then(|auth| auth.client_token);
            return LoginProbe { checks: [mount_is_right(login), role_is_right(login)], token };
        }
        Reading::Error(error) => {
            let checks = [Check::failure(Topic::AuthMount, &error), Check::blocked(Topic::AuthRole, Topic::AuthMount)];
            return LoginProbe { checks, token: None };
        }
    };
    let fails = |topic| match describe_refusal(login, &refusal) {
        Some(error) => Check::failure(topic, &error),
        None => Check::skip(topic, refusal.because()),
    };
    let checks = match read_sign(login, &refusal) {
        Sign::Both => [mount_is_right(login), role_is_right(login)],
        Sign::Mount => {
            [mount_is_right(login), Check::skip(Topic::AuthRole, "only the proof tells whether the role is right")]
        }
        Sign::WrongRole => [mount_is_right(login), fails(Topic::AuthRole)],
        Sign::WrongMount => [fails(Topic::AuthMount), Check::blocked(Topic::AuthRole, Topic::AuthMount)],
    };
    LoginProbe { checks, token: None }
}

fn mount_is_right(login: &Login) -> Check {
    let method = if matches!(login.identity, Identity::IdToken { .. }) { "JWT" } else { "AppRole" };
    Check::good(Topic::AuthMount, format!("auth/{} is a mount of the method {method}", login.mount))
}

fn role_is_right(login: &Login) -> Check {
    let text = match (&login.identity, &login.role) {
        (Identity::IdToken { .. }, Some(role)) => format!("there is a role {role} (from {})", login.role_origin),
        (Identity::IdToken { .. }, None) => "there is a default role".to_owned(),
        _ => "the role ID is that of a role".to_owned(),
    };
    Check::good(Topic::AuthRole, text)
}

/// A login that was tried.
pub(crate) struct LogIn {
    /// The step.
    pub(crate) check: Check,
    /// What it brought.
    pub(crate) session: Option<Session>,
}

/// Of several bound claims that do not fit, Vault names one at random: so often the login is tried to hear of all.
const TRIES: usize = 8;

/// Logs in, where that spends nothing.
pub(crate) async fn log_in(vault: &Vault<'_>, login: &Login, host: &Host) -> LogIn {
    let skip = |why: &str| LogIn { check: Check::skip(Topic::Login, why), session: None };
    match &login.identity {
        Identity::WrappingToken { .. } => return skip("not tried: it would use up the wrapping token"),
        Identity::SecretId { .. } => return skip("not tried: the secret ID may be single-use"),
        Identity::GeneratorToken { .. } => return skip("not tried: it would make a secret ID"),
        Identity::Token { child: true, .. } => return skip("not tried: the run makes a child token"),
        Identity::Token { .. } => return skip("a Vault token needs no login"),
        Identity::IdToken { .. } | Identity::RoleId { .. } => {}
    }
    let error = match auth::login(vault, login).await {
        Ok(session) => {
            let until = session.expires_at.map(|end| format!(", until {}", render_time(end))).unwrap_or_default();
            let text = format!("the {} was accepted{until}", login.describe());
            return LogIn { check: Check::good(Topic::Login, text), session: Some(session) };
        }
        Err(failure) => failure.error,
    };
    let mut check = Check::failure(Topic::Login, &error);
    if let Identity::IdToken { claims, .. } = &login.identity
        && let Some(first) = find_claim(&error)
    {
        let others = find_other_claims(vault, login, &first).await;
        for claim in &others {
            let value =
                claims.text(claim).map_or_else(|| "not set".to_owned(), |value| crate::error::sanitized(&value));
            check = check.noting(Note {
                mark: Mark::Failure,
                text: format!("the claim {claim} does not fit either: in this job it is {value}"),
                change: None,
            });
        }
        check = check.with(table(claims, host.now()));
    }
    LogIn { check, session: None }
}

/// The session of a token that is used as it is.
pub(crate) fn supplied(login: &Login) -> Option<Session> {
    let Identity::Token { token, .. } = &login.identity else { return None };
    let token = token.duplicate();
    Some(Session { token, own: false, expires_at: None, batch: false, uses: 0 })
}

/// The bound claim that a refusal names.
fn find_claim(error: &Error) -> Option<String> {
    let text = error.message();
    if !text.contains("error validating claims") {
        return None;
    }
    let (_, rest) = text.split_once("claim ")?;
    let rest = rest.trim_start_matches('"');
    let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-/.".contains(*c)).collect();
    (!name.is_empty()).then_some(name)
}

async fn find_other_claims(vault: &Vault<'_>, login: &Login, first: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for _ in 1..TRIES {
        match auth::login(vault, login).await {
            Err(failure) => found.extend(find_claim(&failure.error).filter(|claim| claim != first)),
            // Somebody has mended the role meanwhile.
            Ok(session) => {
                vault.revoke_self(&session.token).await;
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;
    use crate::error::Kind;
    use crate::origin::Origin;

    fn login(jwt: bool) -> Login {
        let secret = || Secret::new("x".into());
        let identity = if jwt {
            Identity::IdToken { token: secret(), claims: Claims::default(), key: None }
        } else {
            Identity::SecretId { role_id: secret(), secret_id: secret() }
        };
        Login {
            identity,
            mount: "m".into(),
            role: None,
            role_origin: Origin::Default,
            origin: Origin::Variable("X".into()),
            renew: false,
            perhaps_generator: false,
        }
    }

    #[test]
    fn what_a_login_without_its_proof_tells() {
        for (jwt, status, reason, sign) in [
            (true, 400, "missing token", Sign::Both),
            (true, 400, "role x could not be found", Sign::WrongRole),
            (true, 400, "missing role", Sign::WrongRole),
            (true, 400, "role with oidc role_type is not allowed", Sign::WrongRole),
            (true, 400, "could not load configuration", Sign::WrongMount),
            (true, 500, "missing role_id", Sign::WrongMount),
            (true, 403, "permission denied", Sign::WrongMount),
            (true, 400, "missing client token", Sign::WrongMount),
            (false, 400, "missing secret_id", Sign::Both),
            (false, 400, "missing role_id", Sign::Mount),
            (false, 500, "missing role_id", Sign::Mount),
            (false, 400, "invalid role or secret ID", Sign::WrongRole),
            (false, 400, "invalid role ID", Sign::WrongRole),
            (false, 400, "missing role", Sign::WrongMount),
            (false, 400, "missing token", Sign::WrongMount),
            (false, 403, "permission denied", Sign::WrongMount),
        ] {
            let refusal = Refusal { status, reason: reason.into() };
            assert_eq!(read_sign(&login(jwt), &refusal), sign, "{jwt} {status} {reason}");
        }
    }

    #[test]
    fn the_claim_that_a_refusal_names_is_found() {
        let found = |reason: &str| find_claim(&Error::new(Kind::Denied, reason));
        let mismatch = "error validating claims: claim project_id does not match any associated bound claim values";
        assert_eq!(found(mismatch).as_deref(), Some("project_id"));
        assert_eq!(found("error validating claims: claim /user/id is missing").as_deref(), Some("/user/id"));
        assert_eq!(found("claim user_email not found in token"), None);
    }
}
