//! Who the job is: the methods to log in, what each of them takes, and the proof that comes of it.
//!
//! Plain data and three tables: [`Input::facts`], where a secret comes from; [`AuthMethod::needs`], what a method makes of them;
//! [`Identity::facts`], what every room has to know of the proof. [`crate::cli`] and [`crate::config`] read the first two,
//! which are in `method`; [`crate::auth`] logs in with the proof, which is here.

mod aws;
mod method;

use std::path::PathBuf;

use crate::claims::Claims;
use crate::origin::Origin;
use crate::secret::Secret;

pub use aws::{AwsKeys, AwsSigner, AwsSource};
pub use method::{AuthMethod, Companion, Input, InputFacts, Needs, ProofSource, SecretIdMaker, SetUp};

/// The login: how, where, and as what.
#[derive(Debug)]
pub struct Login {
    /// The proof.
    pub identity: Identity,
    /// Where the login is mounted: `approle`, `jwt`, `gitlab`. Empty where the proof itself is shown and nobody logs in.
    pub mount: String,
    /// `VAULT_AUTH_PATH` where it is set and does not count, and nothing else names the mount.
    pub ignored_path: Option<String>,
    /// The role of the login: the AppRole's name or the JWT role.
    pub role: Option<String>,
    /// Where that role came from.
    pub role_origin: Origin,
    /// Where the secret came from, for messages.
    pub origin: Origin,
    /// Whether the generator token is renewed before it is used.
    pub renew: bool,
    /// A plain token beside which a role ID is set: it may be a generator token without the name of its AppRole.
    pub perhaps_generator: bool,
}

/// What was said beside the secret.
#[derive(Debug, Default)]
pub struct Circumstances {
    /// The role ID.
    pub role_id: Option<Secret>,
    /// What the ID token says.
    pub claims: Option<Claims>,
    /// What the ID token was requested with.
    pub key: Option<Secret>,
    /// The creation path that a wrapping token must have.
    pub creation_path: Option<String>,
    /// Whether to work on a child of the token.
    pub child: bool,
    /// The file of the service account token, which is read again at each login.
    pub file: Option<PathBuf>,
    /// What signs the AWS login.
    pub signer: Option<AwsSigner>,
}

impl AuthMethod {
    /// The proof. `None` where something is missing that the method needs.
    #[must_use]
    pub fn identity(self, secret: Secret, beside: Circumstances) -> Option<Identity> {
        let Circumstances { role_id, claims, key, creation_path, child, file, signer } = beside;
        Some(match self {
            Self::WrappingToken => Identity::WrappingToken { token: secret, role_id, creation_path },
            Self::SecretId => match role_id {
                Some(role_id) => Identity::SecretId { role_id, secret_id: secret },
                // Of an AppRole without secret IDs, the role ID is all that there is.
                None => Identity::RoleId { role_id: secret },
            },
            Self::GeneratorToken => Identity::GeneratorToken { token: secret, role_id: role_id? },
            Self::IdToken => Identity::IdToken { token: secret, claims: claims?, key },
            Self::Token => Identity::Token { token: secret, child },
            Self::Kubernetes => Identity::Kubernetes { token: secret, file },
            Self::Certificate => Identity::Certificate { key: secret },
            Self::Aws => Identity::Aws(Box::new(signer?)),
        })
    }
}

/// What proves who the job is.
#[derive(Debug)]
pub enum Identity {
    /// A single-use token that holds a secret ID or a login.
    WrappingToken {
        /// The token.
        token: Secret,
        /// Needed for a secret ID, not for a login.
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
    /// The role ID of an AppRole that asks for no secret ID (`bind_secret_id=false`).
    RoleId {
        /// The proof: it alone logs in, from an address that the role allows.
        role_id: Secret,
    },
    /// A token that may only create one-time secret IDs of one AppRole; the role is in [`Login::role`].
    GeneratorToken {
        /// The token.
        token: Secret,
        /// The role ID, which the runner knows.
        role_id: Secret,
    },
    /// An ID token of the CI system.
    IdToken {
        /// The token.
        token: Secret,
        /// What it says, for hints.
        claims: Claims,
        /// What a token of this run alone was requested with. The other calls of the job have it too, so it encrypts what
        /// they share.
        key: Option<Secret>,
    },
    /// A Vault token that somebody else got.
    Token {
        /// The token.
        token: Secret,
        /// Whether to work on a child of it.
        child: bool,
    },
    /// The token of a Kubernetes service account.
    Kubernetes {
        /// The token, as it was when the run began.
        token: Secret,
        /// Its file: the kubelet writes a new token into it before the old one expires.
        file: Option<PathBuf>,
    },
    /// The client certificate of the connection.
    Certificate {
        /// Its key. TLS proves it; it is never sent.
        key: Secret,
    },
    /// The runner's own AWS credentials.
    Aws(Box<AwsSigner>),
}

/// What distinguishes one kind of identity from another: the row of a new one.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The name, for messages and for the cache.
    pub name: &'static str,
    /// The secret that proves it, in every call of the job.
    pub secret: &'a Secret,
    /// What belongs to the secret and is only known to the job: the role ID.
    pub companion: Option<&'a Secret>,
    /// What is used up when the login is done.
    pub spends: Spend,
    /// Whether the same inputs are good for another login: an ID token is, and a generator token makes new secret IDs. A
    /// secret ID may be for one use, and a wrapping token is.
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
                facts("wrapping token", token, role_id.as_ref(), Spend::WrappingToken, false)
            }
            Self::SecretId { role_id, secret_id } => {
                facts("secret ID", secret_id, Some(role_id), Spend::PerhapsSecretId, false)
            }
            Self::RoleId { role_id } => facts("role ID", role_id, None, Spend::Nothing, true),
            Self::GeneratorToken { token, role_id } => {
                facts("generator token", token, Some(role_id), Spend::Nothing, true)
            }
            Self::IdToken { token, key, .. } => {
                facts("ID token", key.as_ref().unwrap_or(token), None, Spend::Nothing, true)
            }
            Self::Token { token, child } => facts("token", token, None, Spend::Nothing, *child),
            Self::Kubernetes { token, .. } => facts("service account token", token, None, Spend::Nothing, true),
            Self::Certificate { key } => facts("client certificate", key, None, Spend::Nothing, true),
            Self::Aws(signer) => facts("AWS credentials", &signer.keys.secret, None, Spend::Nothing, true),
        }
    }

    /// What the ID token says, where one is the proof.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        match self {
            Self::IdToken { claims, .. } => Some(claims),
            _ => None,
        }
    }

    /// The ID token, where one is the proof.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        match self {
            Self::IdToken { token, .. } => Some(token),
            _ => None,
        }
    }

    /// The ID token, where it was requested for this run alone.
    #[must_use]
    pub fn requested_token(&self) -> Option<&Secret> {
        match self {
            Self::IdToken { token, key: Some(_), .. } => Some(token),
            _ => None,
        }
    }

    /// The Vault token that somebody else made for the job, where one is the proof: to be renewed, or replaced.
    #[must_use]
    pub fn supplied_token(&self) -> Option<&Secret> {
        match self {
            Self::GeneratorToken { token, .. } | Self::Token { token, .. } => Some(token),
            _ => None,
        }
    }

    /// The Vault token that is the session itself, or its parent, where nobody logs in.
    #[must_use]
    pub fn plain_token(&self) -> Option<&Secret> {
        match self {
            Self::Token { token, .. } => Some(token),
            _ => None,
        }
    }

    /// The creation path that the user demands of a wrapping token.
    #[must_use]
    pub fn creation_path(&self) -> Option<&str> {
        match self {
            Self::WrappingToken { creation_path, .. } => creation_path.as_deref(),
            _ => None,
        }
    }

    /// What signs the login with AWS credentials.
    pub fn aws_signer_mut(&mut self) -> Option<&mut AwsSigner> {
        match self {
            Self::Aws(signer) => Some(signer),
            _ => None,
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
            | Self::Token { token: secret, .. }
            | Self::Kubernetes { token: secret, .. }
            | Self::Certificate { key: secret } => *secret = Secret::new(String::new()),
            Self::Aws(signer) => signer.keys = AwsKeys::blank(),
        }
    }
}

impl Login {
    /// The same login with another ID token.
    #[must_use]
    pub fn with_id_token(&self, token: Secret, claims: Claims) -> Self {
        Self {
            identity: Identity::IdToken { token, claims, key: None },
            mount: self.mount.clone(),
            ignored_path: self.ignored_path.clone(),
            role: self.role.clone(),
            role_origin: self.role_origin.clone(),
            origin: self.origin.clone(),
            renew: self.renew,
            perhaps_generator: self.perhaps_generator,
        }
    }

    /// The login in words: `ID token at auth/gitlab`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.identity {
            Identity::Token { .. } => format!("token (from {})", self.origin),
            identity if self.mount.is_empty() => format!("{} (from {})", identity.facts().name, self.origin),
            identity => format!("{} at auth/{} (from {})", identity.facts().name, self.mount, self.origin),
        }
    }
}

/// What a login uses up that a new run would need anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// Nothing: the same inputs log in again.
    Nothing,
    /// A secret ID, if it is single-use; only Vault knows.
    PerhapsSecretId,
    /// A wrapping token.
    WrappingToken,
}
