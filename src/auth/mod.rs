//! Logging in: one file per way, from an identity to a [`Session`].
//!
//! Each file knows its requests, what their refusals mean, and what to change then. Nothing here repeats a request;
//! that is decided in [`crate::vault`].

mod approle;
mod aws;
mod certificate;
mod id_token;
mod kubernetes;
mod replacement;
mod session;
mod setup;
mod standing;
mod token;
mod trial;
mod wrapping;

use futures_util::{FutureExt, TryFutureExt};

use crate::error::{Error, Result};
use crate::identity::{Identity, Login, Spend};
use crate::secret::Secret;
use crate::vault::client::Vault;
use crate::vault::refusal::{Refusal, RefusalTable};

pub(crate) use id_token::describe_claim;
pub(crate) use replacement::Replacement;
pub(crate) use session::{LoginFailure, Session, after_spending, lender};
pub(crate) use standing::{Period, Standing, look_up, renew, set_life, warn_of_its_end};
pub(crate) use token::{revoke_supplied, unnamed_approle};
pub(crate) use trial::{Sign, Trial, is_nowhere};
pub(crate) use wrapping::look_up as look_up_wrapping;

/// Every table of a login, for the page of an error.
pub(crate) const TABLES: &[RefusalTable] = &[
    RefusalTable { of: "The login with an ID token", rows: &id_token::REFUSALS, docs: "docs/authentication.md" },
    RefusalTable { of: "The login with an AppRole", rows: &approle::REFUSALS, docs: "docs/authentication.md" },
    RefusalTable { of: "A generator token", rows: &approle::GENERATOR_REFUSALS, docs: "docs/authentication.md" },
    RefusalTable {
        of: "The lookup of a wrapping token",
        rows: &wrapping::LOOKUP_REFUSALS,
        docs: "docs/authentication.md",
    },
    RefusalTable {
        of: "The unwrapping of a wrapping token",
        rows: &wrapping::UNWRAP_REFUSALS,
        docs: "docs/authentication.md",
    },
    RefusalTable { of: "The child of a Vault token", rows: &token::REFUSALS, docs: "docs/authentication.md" },
    RefusalTable { of: "The lookup of a stored token", rows: &standing::LOOKUP_REFUSALS, docs: "docs/token.md" },
    RefusalTable { of: "The renewal of a stored token", rows: &standing::RENEWAL_REFUSALS, docs: "docs/token.md" },
    RefusalTable { of: "The successor of a stored token", rows: &replacement::REFUSALS, docs: "docs/token.md" },
    RefusalTable {
        of: "The login with a Kubernetes service account",
        rows: &kubernetes::REFUSALS,
        docs: "docs/authentication.md",
    },
    RefusalTable {
        of: "The login with a client certificate",
        rows: &certificate::REFUSALS,
        docs: "docs/authentication.md",
    },
    RefusalTable { of: "The login with AWS credentials", rows: &aws::REFUSALS, docs: "docs/authentication.md" },
    RefusalTable { of: "The set-up of a login, by an operator", rows: &setup::REFUSALS, docs: "docs/vault-setup.md" },
];

/// Logs in. A plain token needs no request.
///
/// # Errors
/// [`crate::error::Kind::Denied`] and its like with the line to change; [`crate::error::Kind::Spent`] when a single-use secret is gone.
pub(crate) async fn login(vault: &Vault<'_>, login: &Login) -> Result<Session, LoginFailure> {
    if login.identity.facts().spends != Spend::Nothing {
        vault.note_single_use();
    }
    // One of them runs: in a box each, the others cost a run neither stack nor memory.
    let session = match &login.identity {
        Identity::WrappingToken { token, role_id, creation_path } => {
            wrapping::login(vault, login, token, role_id.as_ref(), creation_path.as_deref()).boxed_local()
        }
        Identity::SecretId { role_id, secret_id } => approle::login(vault, login, role_id, secret_id).boxed_local(),
        Identity::RoleId { role_id } => approle::login_unbound(vault, login, role_id).err_into().boxed_local(),
        Identity::GeneratorToken { token, role_id } => async move {
            // First, while nothing is owed yet that a signal would leave behind.
            if login.renew {
                standing::keep(vault, &login.origin.to_string(), token).await;
            }
            approle::login_generated(vault, login, token, role_id).await
        }
        .err_into()
        .boxed_local(),
        Identity::IdToken { token, claims, .. } => {
            id_token::login(vault, login, token, claims).err_into().boxed_local()
        }
        Identity::Token { token, child: true } => token::child(vault, login, token).err_into().boxed_local(),
        Identity::Token { token, child: false } => return Ok(token::plain(token)),
        Identity::Kubernetes { token, file } => {
            kubernetes::login(vault, login, token, file.as_deref()).err_into().boxed_local()
        }
        Identity::Certificate { .. } => certificate::login(vault, login).err_into().boxed_local(),
        Identity::Aws(signer) => aws::login(vault, login, signer).err_into().boxed_local(),
    };
    session.await
}

/// The login without its proof. `None` where there is no login, or none without its proof.
#[must_use]
pub(crate) fn trial(login: &Login) -> Option<Trial<'_>> {
    match &login.identity {
        Identity::IdToken { .. } => Some(id_token::trial(login)),
        Identity::WrappingToken { role_id, .. } => {
            Some(approle::trial(role_id.as_ref(), Some("it would use up the wrapping token")))
        }
        Identity::SecretId { role_id, .. } => {
            Some(approle::trial(Some(role_id), Some("the secret ID may be single-use")))
        }
        Identity::GeneratorToken { role_id, .. } => {
            Some(approle::trial(Some(role_id), Some("it would make a secret ID")))
        }
        Identity::RoleId { role_id } => Some(approle::trial(Some(role_id), None)),
        Identity::Kubernetes { .. } => Some(kubernetes::trial(login)),
        Identity::Aws(_) => Some(aws::trial()),
        // The proof is the connection.
        Identity::Certificate { .. } => None,
        Identity::Token { .. } => None,
    }
}

/// The session of a token that somebody else got, without a request; a child's is that of its parent.
#[must_use]
pub(crate) fn supplied(login: &Login) -> Option<Session> {
    match &login.identity {
        Identity::Token { token, .. } => Some(token::plain(token)),
        _ => None,
    }
}

/// What a refused login means, and what to change: the tables of the methods, for a diagnosis. `None` for a token, which
/// needs no login.
#[must_use]
pub(crate) fn describe_refusal(login: &Login, refusal: &Refusal) -> Option<Error> {
    match &login.identity {
        Identity::IdToken { claims, .. } => Some(id_token::describe(refusal, login, claims)),
        Identity::WrappingToken { .. }
        | Identity::SecretId { .. }
        | Identity::RoleId { .. }
        | Identity::GeneratorToken { .. } => Some(approle::describe(refusal, login)),
        Identity::Kubernetes { token, .. } => Some(kubernetes::describe(refusal, login, token)),
        Identity::Certificate { .. } => Some(certificate::describe(refusal, login)),
        Identity::Aws(signer) => Some(aws::describe(refusal, login, signer)),
        Identity::Token { .. } => None,
    }
}

/// The request by which a login makes its own proof, and the token that it is made with. `None` where no other one does.
#[must_use]
pub(crate) fn generation(login: &Login) -> Option<(String, &Secret)> {
    match &login.identity {
        Identity::GeneratorToken { token, .. } => Some((approle::generator_path(login), token)),
        _ => None,
    }
}

/// What its refusal means.
#[must_use]
pub(crate) fn describe_generation(login: &Login, refusal: &Refusal) -> Error {
    approle::describe_generator(refusal, login)
}

/// What to change where a login is refused although its mount and its role are known to be right. `None`: what the error
/// says.
#[must_use]
pub(crate) fn change_behind_a_right_role(login: &Login, error: &Error) -> Option<String> {
    let is_of_a_network =
        matches!(login.identity, Identity::IdToken { .. }) && error.message().ends_with("(403: permission denied)");
    let path = format!("auth/{}/role/{}", login.mount, login.role.as_deref().unwrap_or("NAME"));
    is_of_a_network.then(|| {
        format!("token_bound_cidrs of the role must allow the address of this runner: vault read {path} shows them")
    })
}

/// The same of a wrapping token that was looked up.
#[must_use]
pub(crate) fn describe_wrapping(login: &Login, refusal: &Refusal) -> Error {
    wrapping::describe_lookup(refusal, login)
}

/// Whether a run would unwrap a token that this path made.
///
/// # Errors
/// Why it would not.
pub(crate) fn check_wrapping(vault: &Vault<'_>, creation_path: &str, login: &Login) -> Result<()> {
    wrapping::check_origin(vault, login, creation_path)
}
