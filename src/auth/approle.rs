//! AppRole: `auth/<mount>/login` with a role id and a secret id, which a generator token may have to make first.

use super::{Failed, Session, session, settle};
use crate::error::{Error, Kind, Result};
use crate::identity::Login;
use crate::secret::Secret;
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::{Outcome, Refusal, Step};

/// Logs in with both halves.
pub(super) async fn login(
    vault: &Vault<'_>,
    login: &Login,
    role_id: &Secret,
    secret_id: &Secret,
) -> Result<Session, Failed> {
    let exchange = send(vault, login, role_id, secret_id).await;
    if let Outcome::Ambiguous { error, .. } = exchange.outcome {
        return Err(Failed::after_spending(
            error
                .with_kind(Kind::Spent)
                .also("the secret id was sent and may be spent; it was not sent a second time")
                .hint("re-run with a new secret id; an idle token may live until its TTL ends"),
        ));
    }
    let spent = matches!(exchange.outcome, Outcome::Done(_));
    open(exchange, login).map_err(|error| Failed { error, spent })
}

async fn send(vault: &Vault<'_>, login: &Login, role_id: &Secret, secret_id: &Secret) -> Exchange {
    let body = [("role_id", role_id.expose()), ("secret_id", secret_id.expose())];
    vault.login(Step::LoginAppRole, &login.mount, &body).await
}

fn open(exchange: Exchange, login: &Login) -> Result<Session> {
    session(settle(exchange, |refusal| describe(&refusal, login))?, &format!("auth/{}/login", login.mount))
}

/// Makes a one-time secret id first: the token may do nothing else. When the login's answer is lost, another one is
/// made for a second login, and no third.
pub(super) async fn login_generated(
    vault: &Vault<'_>,
    plan: &Login,
    token: &Secret,
    role_id: &Secret,
) -> Result<Session> {
    let first = send(vault, plan, role_id, &generate(vault, plan, token).await?).await;
    let exchange = match first.outcome {
        Outcome::Ambiguous { transient: true, .. } => {
            send(vault, plan, role_id, &generate(vault, plan, token).await?).await
        }
        _ => first,
    };
    open(exchange, plan)
}

async fn generate(vault: &Vault<'_>, plan: &Login, token: &Secret) -> Result<Secret> {
    let role = plan.role.as_deref().unwrap_or_default();
    let path = format!("auth/{}/role/{role}/secret-id", plan.mount);
    let exchange = vault.create_secret_id(&plan.mount, role, token).await;
    let (_, envelope) = settle(exchange, |refusal| describe_generator(&refusal, &path, plan))?;
    let secret_id = envelope.data.unwrap_or_default().take_text("secret_id");
    secret_id.ok_or_else(|| Error::new(Kind::Data, format!("the answer of {path} has no secret_id")))
}

fn describe(refusal: &Refusal, login: &Login) -> Error {
    let path = format!("auth/{}/login", login.mount);
    let denied = |what: &str| Error::new(Kind::Denied, format!("the AppRole login at {path} was refused ({what})"));
    let text = refusal.reason.as_str();
    let error = denied(&refusal.because());
    if refusal.wants_a_token() || refusal.status == 404 {
        return error.hint(format!(
            "there is no AppRole at auth/{}: name its mount with --auth-mount or CI_CREDS_AUTH_MOUNT",
            login.mount
        ));
    }
    if refusal.is_denied() {
        return error.hint(format!(
            "is AppRole mounted at auth/{}? (--auth-mount) A role id that got five wrong secret ids is locked for 15 minutes",
            login.mount
        ));
    }
    if text.contains("CIDR") {
        return error.hint(
            "this runner's address is not in secret_id_bound_cidrs or token_bound_cidrs of the role; the secret id \
            is spent all the same",
        );
    }
    if text.contains("secret id") || text.contains("secret ID") || text.contains("secret_id") {
        return error.hint(format!(
            "the secret id (from {}) or VAULT_ROLE_ID is wrong, expired or used up: make a new one with vault write \
            -f auth/{}/role/{}/secret-id",
            login.origin,
            login.mount,
            login.role.as_deref().unwrap_or("NAME")
        ));
    }
    if text.contains("role ID") || text.contains("role_id") || text.contains("alias name") {
        return error.hint(format!(
            "VAULT_ROLE_ID is not a role id of auth/{}: vault read auth/{}/role/{}/role-id",
            login.mount,
            login.mount,
            login.role.as_deref().unwrap_or("NAME")
        ));
    }
    error.hint("check VAULT_ROLE_ID, the secret id and --auth-mount")
}

fn describe_generator(refusal: &Refusal, path: &str, login: &Login) -> Error {
    let because = refusal.because();
    let role = login.role.as_deref().unwrap_or_default();
    match refusal.status {
        403 => Error::new(
            Kind::Denied,
            format!("the token (from {}) may not make a secret id at {path} ({because})", login.origin),
        )
        .hint(format!("its policy needs: path \"{path}\" {{ capabilities = [\"update\"] }}; or the token has expired")),
        404 => Error::new(Kind::Config, format!("there is no AppRole {role} at auth/{} ({because})", login.mount))
            .hint("set VAULT_APPROLE_ROLE to its name, or --auth-mount to its mount"),
        _ => Error::new(Kind::Denied, format!("no secret id was made at {path} ({because})"))
            .hint("check the role's bind_secret_id, secret_id_num_uses and secret_id_bound_cidrs"),
    }
}
