//! The ID token of a CI job: `auth/<mount>/login` of Vault's JWT method.

mod claim;
mod refusal;

use super::session::{Session, session, settle};
use crate::claims::Claims;
use crate::error::{Error, Result};
use crate::identity::Login;
use crate::secret::Secret;
use crate::vault::client::Vault;
use crate::vault::refusal::Refusal;
use crate::vault::step::Step;

pub(super) use refusal::REFUSALS;

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

/// What a refusal of this login means.
pub(super) fn describe(refusal: &Refusal, login: &Login, claims: &Claims) -> Error {
    refusal::describe(refusal, login, claims)
}
