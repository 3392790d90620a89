//! A token that the user supplies: used as it is, or to create a child token.

use super::session::{Session, revoke, session, settle};
use crate::error::{Error, Kind, Result};
use crate::identity::Login;
use crate::secret::Secret;
use crate::time::render_time;
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;
use crate::vault::refusal::{Refusal, Row, Says, explain};

/// The token itself, which is not ours to revoke. No request.
pub(super) fn plain(token: &Secret) -> Session {
    Session { token: token.duplicate(), own: false, expires_at: None, batch: false, uses: 0 }
}

/// A token whose policy does not allow `path`, and beside it a role ID without the name of an AppRole.
///
/// Security: of a generator token nobody must be told to let its policy read credentials: whoever has it would need no
/// role ID any more.
pub(crate) fn unnamed_approle(login: &Login, path: &str, because: &str) -> Error {
    Error::new(
        Kind::Denied,
        format!(
            "the token (from {}) may not use {path} ({because}), and VAULT_ROLE_ID is set without VAULT_APPROLE_ROLE",
            login.origin
        ),
    )
    .hint(
        "if the token makes secret IDs, set VAULT_APPROLE_ROLE to the AppRole's name; if it is a plain token, unset \
        VAULT_ROLE_ID or pass --auth token",
    )
}

/// Revokes a token that the user supplied, because the user asked for it.
///
/// # Errors
/// Why it may live on, for the brackets of a message.
pub(crate) async fn revoke_supplied(vault: &Vault<'_>, token: &Secret) -> Result<(), String> {
    match vault.revoke_self(token).await.outcome {
        Outcome::Done(_) => Ok(()),
        Outcome::Refused(refusal) if refusal.is_token_gone() => Ok(()),
        Outcome::Refused(refusal) => Err(refusal.because()),
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
            Err(error.message().to_owned())
        }
    }
}

const CREATE: &str = "auth/token/create";

/// A child of the token: with its policies, ended with it, and ours to revoke with all its leases. It lives as long as
/// this run can; what asks for a lease with it renews it.
pub(super) async fn child(vault: &Vault<'_>, login: &Login, token: &Secret) -> Result<Session> {
    let answer = settle(vault.create_child(token).await, |refusal| describe(&refusal, login))?;
    let root = answer.1.auth.as_ref().is_some_and(|auth| auth.policies.iter().any(|policy| policy == "root"));
    let session = session(answer, CREATE)?;
    if !root {
        return Ok(session);
    }
    let error = Error::new(
        Kind::Config,
        format!("the token (from {}) is a root token, and a child of it would be another one", login.origin),
    )
    .hint("give the job a token of its own: vault token create -policy=NAME; or drop --child-token");
    if revoke(vault, &session).await {
        return Err(error.also("the child was revoked"));
    }
    let until = session.expires_at.map(|end| format!(", until {}", render_time(end))).unwrap_or_default();
    Err(error.with_kind(Kind::Leak).also(format!("the child may be left{until}")))
}

/// Of `auth/token/create`.
pub(super) const REFUSALS: [Row; 4] = [
    Row {
        id: "child-of-batch",
        says: Says::Text(&["batch tokens cannot create"]),
        kind: Kind::Config,
        cause: "the token (from {origin}) is a batch token, which cannot have a child ({because})",
        change: "drop --child-token, or give the job a service token: vault token create -type=service",
    },
    Row {
        id: "child-of-limited",
        says: Says::Text(&["restricted use token"]),
        kind: Kind::Config,
        cause: "the token (from {origin}) has a limited number of uses, and cannot have a child ({because})",
        change: "drop --child-token, or give the job a token without a limit: vault token create -use-limit=0",
    },
    Row {
        id: "child-token-gone",
        says: Says::TokenGone,
        kind: Kind::Denied,
        cause: "the token (from {origin}) is not valid for auth/token/create ({because})",
        change: "the token has expired, was revoked, or is of another namespace",
    },
    Row {
        id: "child-policy",
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "the token (from {origin}) may not create a child token ({because})",
        change: "its policy needs: path \"auth/token/create\" { capabilities = [\"update\"] }; or drop --child-token",
    },
];

fn describe(refusal: &Refusal, login: &Login) -> Error {
    if login.perhaps_generator && refusal.is_denied_by_policy() {
        return unnamed_approle(login, CREATE, &refusal.because());
    }
    explain(&REFUSALS, refusal, &|_| login.origin.to_string())
}
