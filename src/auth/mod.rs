//! Logging in: one file per way, from an identity to a [`Session`].
//!
//! Each file knows its requests, what their refusals mean, and what to change then. Nothing here repeats a request;
//! that is decided in [`crate::vault`].

mod approle;
mod id_token;
mod session;
mod token;
mod wrapping;

use crate::error::Result;
use crate::identity::{Identity, Login, Spend};
use crate::vault::client::Vault;

pub(crate) use session::{LoginFailure, Session, after_spending, lender};
pub(crate) use token::unnamed_approle;

/// Logs in. A plain token needs no request.
///
/// # Errors
/// [`crate::error::Kind::Denied`] and its like with the line to change; [`crate::error::Kind::Spent`] when a single-use secret is gone.
pub(crate) async fn login(vault: &Vault<'_>, login: &Login) -> Result<Session, LoginFailure> {
    if login.identity.facts().spends != Spend::Nothing {
        vault.note_single_use();
    }
    let session = match &login.identity {
        Identity::WrappingToken { token, role_id, creation_path } => {
            wrapping::login(vault, login, token, role_id.as_ref(), creation_path.as_deref()).await?
        }
        Identity::SecretId { role_id, secret_id } => approle::login(vault, login, role_id, secret_id).await?,
        Identity::RoleId { role_id } => approle::login_unbound(vault, login, role_id).await?,
        Identity::GeneratorToken { token, role_id } => approle::login_generated(vault, login, token, role_id).await?,
        Identity::IdToken { token, claims, .. } => id_token::login(vault, login, token, claims).await?,
        Identity::Token { token, child: true } => token::child(vault, login, token).await?,
        Identity::Token { token, child: false } => token::plain(token),
    };
    Ok(session)
}
