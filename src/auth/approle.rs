//! AppRole: `auth/<mount>/login` with a role ID and a secret ID, which a generator token may have to make first.

use super::session::{LoginFailure, Session, session, settle};
use super::trial::{Sign, Trial, is_nowhere};
use crate::error::{Error, Kind, Result};
use crate::identity::Login;
use crate::origin::Origin;
use crate::secret::Secret;
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::Outcome;
use crate::vault::refusal::{CommonCause, Refusal, Row, Says, explain};
use crate::vault::step::Step;

/// Logs in with both halves.
pub(super) async fn login(
    vault: &Vault<'_>,
    login: &Login,
    role_id: &Secret,
    secret_id: &Secret,
) -> Result<Session, LoginFailure> {
    let exchange = send(vault, login, role_id, Some(secret_id)).await;
    let doubted = exchange.doubted;
    let spent = |error: Error, how: &str| {
        let hint = "re-run with a new secret ID; an unused token may live until it expires";
        LoginFailure::after_spending(error.with_kind(Kind::Spent).also(how).hint(hint))
    };
    match exchange.outcome {
        Outcome::Ambiguous { error, .. } => {
            Err(spent(error, "the secret ID was sent and may be spent; it was not sent a second time"))
        }
        Outcome::Refused(refusal) if doubted && refusal.is_secret_id_invalid() => Err(spent(
            describe(&refusal, login),
            "this run sent it before, and Vault may have used it although it answered that it had not",
        )),
        _ => {
            let spent = matches!(exchange.outcome, Outcome::Done(_));
            open(exchange, login).map_err(|error| LoginFailure { error, spent })
        }
    }
}

async fn send(vault: &Vault<'_>, login: &Login, role_id: &Secret, secret_id: Option<&Secret>) -> Exchange {
    let both = [("role_id", role_id.expose()), ("secret_id", secret_id.map_or("", Secret::expose))];
    let body = if secret_id.is_some() { &both[..] } else { &both[..1] };
    vault.login(Step::LoginOnce, &login.mount, body).await
}

/// Logs in with the role ID alone, at an AppRole with `bind_secret_id=false`. Nothing is spent, so an answer that is lost
/// is asked for once more.
pub(super) async fn login_unbound(vault: &Vault<'_>, login: &Login, role_id: &Secret) -> Result<Session> {
    let first = send(vault, login, role_id, None).await;
    let exchange = match first.outcome {
        Outcome::Ambiguous { transient: true, .. } => send(vault, login, role_id, None).await,
        _ => first,
    };
    open(exchange, login)
}

fn open(exchange: Exchange, login: &Login) -> Result<Session> {
    session(settle(exchange, |refusal| describe(&refusal, login))?, &format!("auth/{}/login", login.mount))
}

/// Makes a one-time secret ID first: the token may do nothing else. When the login's answer is lost, or a refusal can be
/// our own doing, another one is made for a second login, and no third.
pub(super) async fn login_generated(
    vault: &Vault<'_>,
    plan: &Login,
    token: &Secret,
    role_id: &Secret,
) -> Result<Session> {
    let first = send(vault, plan, role_id, Some(&generate(vault, plan, token).await?)).await;
    let is_perhaps_spent = match &first.outcome {
        Outcome::Ambiguous { transient, .. } => *transient,
        Outcome::Refused(refusal) => first.doubted && refusal.is_secret_id_invalid(),
        _ => false,
    };
    let exchange = if is_perhaps_spent {
        send(vault, plan, role_id, Some(&generate(vault, plan, token).await?)).await
    } else {
        first
    };
    open(exchange, plan)
}

/// Where a generator token makes a secret ID.
pub(super) fn generator_path(plan: &Login) -> String {
    format!("auth/{}/role/{}/secret-id", plan.mount, plan.role.as_deref().unwrap_or_default())
}

async fn generate(vault: &Vault<'_>, plan: &Login, token: &Secret) -> Result<Secret> {
    let path = generator_path(plan);
    let exchange = vault.prepare(&path, token).await;
    let (_, envelope) = settle(exchange, |refusal| describe_generator(&refusal, plan))?;
    let secret_id = envelope.data.unwrap_or_default().take_text("secret_id");
    secret_id.ok_or_else(|| Error::new(Kind::Data, format!("the answer to {path} has no secret_id")))
}

/// The login without the secret ID: it does not count for the lockout of the role.
pub(super) fn trial<'a>(role_id: Option<&'a Secret>, untried: Option<&'static str>) -> Trial<'a> {
    let body = role_id.map(|id| ("role_id", id.expose())).into_iter().collect();
    Trial { method: "AppRole", body, sign: read_sign, role: "the role ID is that of a role".into(), untried }
}

/// Vault looks for the role before it looks for a secret ID.
fn read_sign(refusal: &Refusal) -> Sign {
    let says = |text: &str| refusal.reason.contains(text);
    match refusal.reason.as_str() {
        _ if is_nowhere(refusal) => Sign::WrongMount,
        _ if says("missing secret_id") => Sign::Both,
        "missing role_id" => Sign::Mount,
        // Vault up to 1.9, and what came after it.
        _ if says("invalid role ID") || says("role or secret ID") => Sign::WrongRole,
        _ if says("CIDR") || says("failed to determine alias name") => Sign::Mount,
        _ => Sign::WrongMount,
    }
}

pub(super) fn describe(refusal: &Refusal, login: &Login) -> Error {
    name_ignored_path(explain(&REFUSALS, refusal, &|name| value(name, login)), login)
}

pub(super) fn describe_generator(refusal: &Refusal, login: &Login) -> Error {
    name_ignored_path(explain(&GENERATOR_REFUSALS, refusal, &|name| value(name, login)), login)
}

/// The mount that may have been meant, behind what the error proposes.
fn name_ignored_path(error: Error, login: &Login) -> Error {
    let Some(path) = &login.ignored_path else { return error };
    let change = error.change().map(|change| format!("{change}; ")).unwrap_or_default();
    error.hint(format!(
        "{change}VAULT_AUTH_PATH={path} counts only for an ID token: if the AppRole is there, set CI_CREDS_AUTH_MOUNT={path}"
    ))
}

fn value(name: &str, login: &Login) -> String {
    match name {
        "origin" => login.origin.to_string(),
        "mount" => login.mount.clone(),
        "named" => match (&login.role_origin, &login.role) {
            (Origin::Variable(name), Some(role)) => format!("{name}={role}"),
            (origin, Some(role)) => format!("{role} (from {origin})"),
            (_, None) => "the name of the AppRole".into(),
        },
        _ => login.role.clone().unwrap_or_else(|| "NAME".into()),
    }
}

/// Of `auth/<mount>/login`.
pub(super) const REFUSALS: [Row; 11] = [
    LOGIN.refused(
        "approle-no-mount",
        Says::NoSuchLogin,
        "AppRole is not mounted at auth/{mount}: set its mount with --auth-mount or CI_CREDS_AUTH_MOUNT",
    ),
    LOGIN.refused(
        "approle-forbidden",
        Says::Status(&[403]),
        "check that AppRole is mounted at auth/{mount} (--auth-mount); Vault also locks a role ID after five wrong secret IDs, for 15 \
        minutes",
    ),
    LOGIN.refused(
        "approle-address",
        Says::Text(&["CIDR"]),
        "this runner's address is not in secret_id_bound_cidrs or token_bound_cidrs of the role; HashiCorp Vault has spent the \
        secret ID anyway, OpenBao has not",
    ),
    other_method("approle-at-jwt", Says::Whole("missing role")),
    // A default role that is not there.
    other_method("approle-at-jwt-role", Says::Text(&["could not be found"])),
    other_method("approle-at-jwt-default", Says::Whole("missing token")),
    other_method(
        "approle-at-other",
        Says::Text(&["missing jwt", "no client certificate", "client certificate must be supplied"]),
    ),
    LOGIN.refused(
        "approle-no-secret-id",
        Says::Text(&["missing secret_id"]),
        "set VAULT_SECRET_ID or VAULT_SECRET_ID_FILE: the role ID alone logs in only where the role has bind_secret_id=false",
    ),
    LOGIN.refused(
        "approle-secret-id",
        Says::Text(&["secret id", "secret ID", "secret_id"]),
        "the secret ID (from {origin}) or VAULT_ROLE_ID is wrong, expired or used up: make a new one with vault write -f \
        auth/{mount}/role/{role}/secret-id",
    ),
    LOGIN.refused(
        "approle-role-id",
        Says::Text(&["role ID", "role_id", "alias name"]),
        "VAULT_ROLE_ID is not a role ID of auth/{mount}: vault read auth/{mount}/role/{role}/role-id",
    ),
    LOGIN.refused("approle-other", Says::Anything, "check VAULT_ROLE_ID, the secret ID and --auth-mount"),
];

const LOGIN: CommonCause = CommonCause("the AppRole login at auth/{mount}/login was refused ({because})");

const fn other_method(id: &'static str, says: Says) -> Row {
    let change = "auth/{mount} is not an AppRole mount: set the right one with --auth-mount or CI_CREDS_AUTH_MOUNT";
    LOGIN.config(id, says, change)
}

/// Of `auth/<mount>/role/<role>/secret-id`, asked with a generator token.
pub(super) const GENERATOR_REFUSALS: [Row; 3] = [
    Row {
        id: "generator-policy",
        says: Says::Status(&[403]),
        kind: Kind::Denied,
        cause: "the token (from {origin}) may not make a secret ID at auth/{mount}/role/{role}/secret-id ({because})",
        change: "{named} may be misspelt: vault list auth/{mount}/role; if it is right, its policy needs: path \
            \"auth/{mount}/role/{role}/secret-id\" { capabilities = [\"update\"] }; or the token has expired",
    },
    Row {
        id: "generator-no-role",
        says: Says::Status(&[404]),
        kind: Kind::Config,
        cause: "there is no AppRole {role} at auth/{mount} ({because})",
        change: "set VAULT_APPROLE_ROLE to its name, or --auth-mount to its mount",
    },
    Row {
        id: "generator-other",
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "no secret ID was made at auth/{mount}/role/{role}/secret-id ({because})",
        change: "check the role's bind_secret_id, secret_id_num_uses and secret_id_bound_cidrs",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_without_its_secret_id_tells() {
        for (status, reason, sign) in [
            (400, "missing secret_id", Sign::Both),
            (400, "missing role_id", Sign::Mount),
            (500, "missing role_id", Sign::Mount),
            (400, "invalid role or secret ID", Sign::WrongRole),
            (400, "invalid role ID", Sign::WrongRole),
            (400, "missing role", Sign::WrongMount),
            (400, "missing token", Sign::WrongMount),
            (403, "permission denied", Sign::WrongMount),
        ] {
            assert_eq!(read_sign(&Refusal { status, reason: reason.into() }), sign, "{status} {reason}");
        }
    }
}
