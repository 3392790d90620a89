//! The ID token of a CI job: `auth/<mount>/login` of Vault's JWT method.

mod claim;
mod refusal;

use super::session::{Session, session, settle};
use super::trial::{Sign, Trial, is_nowhere};
use crate::claims::Claims;
use crate::error::{Error, Result};
use crate::identity::Login;
use crate::secret::Secret;
use crate::vault::client::Vault;
use crate::vault::refusal::Refusal;
use crate::vault::step::Step;

pub(crate) use claim::describe as describe_claim;
pub(super) use refusal::REFUSALS;

/// Logs in; without a role, as the mount's default role.
pub(super) async fn login(vault: &Vault<'_>, login: &Login, token: &Secret, claims: &Claims) -> Result<Session> {
    let mut body = vec![("jwt", token.expose())];
    if let Some(role) = &login.role {
        body.push(("role", role));
    }
    let exchange = vault.login(Step::Login, &login.mount, &body).await;
    let path = format!("auth/{}/login", login.mount);
    session(settle(exchange, |refusal| refusal::describe_at(vault.now(), &refusal, login, claims))?, &path)
}

/// The login without the token.
pub(super) fn trial(login: &Login) -> Trial<'_> {
    let role = match &login.role {
        Some(role) => format!("there is a role {role} (from {})", login.role_origin),
        None => "there is a default role".to_owned(),
    };
    let body = login.role.as_deref().map(|role| ("role", role)).into_iter().collect();
    Trial { method: "JWT", body, sign: read_sign, role, untried: None }
}

/// Vault looks for the role before it looks for a token.
fn read_sign(refusal: &Refusal) -> Sign {
    let says = |text: &str| refusal.reason.contains(text);
    match refusal.reason.as_str() {
        _ if is_nowhere(refusal) => Sign::WrongMount,
        "missing token" => Sign::Both,
        "missing role" => Sign::WrongRole,
        _ if says("could not be found") || says("oidc role_type") => Sign::WrongRole,
        _ => Sign::WrongMount,
    }
}

/// What a refusal of this login means.
pub(super) fn describe(refusal: &Refusal, login: &Login, claims: &Claims) -> Error {
    refusal::describe(refusal, login, claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_without_its_token_tells() {
        for (status, reason, sign) in [
            (400, "missing token", Sign::Both),
            (400, "role x could not be found", Sign::WrongRole),
            (400, "missing role", Sign::WrongRole),
            (400, "role with oidc role_type is not allowed", Sign::WrongRole),
            (400, "could not load configuration", Sign::WrongMount),
            (500, "missing role_id", Sign::WrongMount),
            (403, "permission denied", Sign::WrongMount),
            (400, "missing client token", Sign::WrongMount),
        ] {
            assert_eq!(read_sign(&Refusal { status, reason: reason.into() }), sign, "{status} {reason}");
        }
    }
}
