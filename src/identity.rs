//! Who the job is: the proof that it logs in with, and what every room has to know of each kind of proof.
//!
//! Plain data and one table, [`Identity::facts`]. [`crate::config`] fills it, [`crate::auth`] logs in with it.

use crate::claims::Claims;
use crate::origin::Origin;
use crate::secret::Secret;

/// The login: how, where, and as what.
#[derive(Debug)]
pub struct Login {
    /// The proof.
    pub identity: Identity,
    /// Where the login is mounted: `approle`, `jwt`, `gitlab`.
    pub mount: String,
    /// The role of the login: the AppRole's name or the JWT role.
    pub role: Option<String>,
    /// Where that role came from.
    pub role_origin: Origin,
    /// Where the secret came from, for messages.
    pub origin: Origin,
    /// A plain token beside which a role id is set: it may be a generator token whose AppRole nobody named.
    pub perhaps_generator: bool,
}

/// What proves who the job is.
#[derive(Debug)]
pub enum Identity {
    /// A single-use token that holds a secret id or a login.
    WrappingToken {
        /// The token.
        token: Secret,
        /// Needed for a secret id, not for a login.
        role_id: Option<Secret>,
        /// The creation path that the user demands in place of the AppRole's own.
        creation_path: Option<String>,
    },
    /// The two halves of an AppRole.
    SecretId {
        /// The public half.
        role_id: Secret,
        /// The secret half.
        secret_id: Secret,
    },
    /// The role id of an AppRole that asks for no secret id (`bind_secret_id=false`).
    RoleId {
        /// What proves it: whoever knows it is in, from an address that the role allows.
        role_id: Secret,
    },
    /// A token that may only create one-time secret ids of one AppRole; the role is in [`Login::role`].
    GeneratorToken {
        /// The token.
        token: Secret,
        /// The role id, which the runner knows.
        role_id: Secret,
    },
    /// A GitLab ID token.
    IdToken {
        /// The token.
        token: Secret,
        /// What it says, for hints.
        claims: Claims,
    },
    /// A Vault token that somebody else got.
    Token {
        /// The token.
        token: Secret,
        /// Whether to work on a child of it.
        child: bool,
    },
}

/// What distinguishes one kind of identity from another: the row of a new one.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The name, for messages and for the cache.
    pub name: &'static str,
    /// The secret that proves it.
    pub secret: &'a Secret,
    /// What belongs to the secret and is only known to the job: the role id.
    pub companion: Option<&'a Secret>,
    /// What is used up when the login is done.
    pub spends: Spent,
    /// Whether the same inputs are good for another login: an ID token is, and a generator token makes new secret ids. A
    /// secret id may be for one use, and a wrapping token is.
    pub repeatable: bool,
    /// Whether the session is a child of a token: it lives as long as a run can, until it is renewed.
    pub child: bool,
}

impl Identity {
    /// The table.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let child = matches!(self, Self::Token { child: true, .. });
        let facts =
            |name, secret, companion, spends, repeatable| Facts { name, secret, companion, spends, repeatable, child };
        match self {
            Self::WrappingToken { token, role_id, .. } => {
                facts("wrapping token", token, role_id.as_ref(), Spent::WrappingToken, false)
            }
            Self::SecretId { role_id, secret_id } => {
                facts("secret id", secret_id, Some(role_id), Spent::PerhapsSecretId, false)
            }
            Self::RoleId { role_id } => facts("role id", role_id, None, Spent::Nothing, true),
            Self::GeneratorToken { token, role_id } => {
                facts("generator token", token, Some(role_id), Spent::Nothing, true)
            }
            Self::IdToken { token, .. } => facts("id token", token, None, Spent::Nothing, true),
            Self::Token { token, child } => facts("token", token, None, Spent::Nothing, *child),
        }
    }

    /// Overwrites what the login was made with, once no other one will be: the read can take a minute.
    pub fn forget(&mut self) {
        match self {
            Self::WrappingToken { token: secret, .. }
            | Self::SecretId { secret_id: secret, .. }
            | Self::RoleId { role_id: secret }
            | Self::GeneratorToken { token: secret, .. }
            | Self::IdToken { token: secret, .. }
            | Self::Token { token: secret, .. } => *secret = Secret::new(String::new()),
        }
    }
}

impl Login {
    /// The login in words: `id token at auth/gitlab`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.identity {
            Identity::Token { .. } => format!("token (from {})", self.origin),
            identity => format!("{} at auth/{} (from {})", identity.facts().name, self.mount, self.origin),
        }
    }
}

/// What a login uses up that a new run would need anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Nothing: the same inputs log in again.
    Nothing,
    /// A secret id, if it was for one use; nobody but Vault knows.
    PerhapsSecretId,
    /// A wrapping token.
    WrappingToken,
}
