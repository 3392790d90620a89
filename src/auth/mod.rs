//! Logging in: one file per way, from an identity to a [`Session`].
//!
//! Each file knows its requests, what their refusals mean, and what to change then. Nothing here repeats a request;
//! that is decided in [`crate::vault`].

mod approle;
mod id_token;
mod wrapping;

use jiff::Timestamp;

use crate::config::{Identity, Login};
use crate::credential::{expiry, render_time};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::{Outcome, Refusal};
use crate::vault::wire::{Auth, Envelope};

/// A Vault token and what is known of it.
#[derive(Debug)]
pub struct Session {
    /// The token.
    pub token: Secret,
    /// Whether this run logged in for it. Only such a token may be revoked; it takes its leases with it.
    pub own: bool,
    /// When it ends, as far as the login said.
    pub expires_at: Option<Timestamp>,
    /// A batch token can be neither renewed nor revoked.
    pub batch: bool,
    /// How many requests it is good for; zero is no limit.
    pub uses: u64,
}

/// Why there is no session.
#[derive(Debug)]
pub struct Failed {
    /// What to tell.
    pub error: Error,
    /// Whether it was this login that used up a secret for one use, or may have.
    pub spent: bool,
}

impl Failed {
    fn after_spending(error: Error) -> Self {
        Self { error, spent: true }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, spent: false }
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

impl Session {
    /// A second holder of the same session: what a signal's clean-up works with.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { token: self.token.duplicate(), ..*self }
    }
}

impl Login {
    /// The login in words: `id token at auth/gitlab`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.identity {
            Identity::Token { .. } => format!("token (from {})", self.origin),
            identity => format!("{} at auth/{} (from {})", identity.name(), self.mount, self.origin),
        }
    }

    /// Whether the same inputs are good for another login: an ID token is, and a generator token makes new secret
    /// ids. A secret id may be for one use, and a wrapping token is.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        matches!(
            self.identity,
            Identity::IdToken { .. } | Identity::GeneratorToken { .. } | Identity::Token { child: true, .. }
        )
    }

    /// Whether the session is a child of a token: it lives as long as a run can, until it is renewed.
    #[must_use]
    pub fn makes_child(&self) -> bool {
        matches!(self.identity, Identity::Token { child: true, .. })
    }

    /// The token that is not ours and that the session ends with.
    #[must_use]
    pub fn lender<'a>(&'a self, session: &'a Session) -> Option<&'a Secret> {
        match &self.identity {
            Identity::Token { child: false, .. } => Some(&session.token),
            Identity::Token { child: true, token } => Some(token).filter(|token| !token.expose().is_empty()),
            _ => None,
        }
    }

    /// What is used up when the login is done.
    #[must_use]
    pub fn spends(&self) -> Spent {
        match self.identity {
            Identity::WrappingToken { .. } => Spent::WrappingToken,
            Identity::SecretId { .. } => Spent::PerhapsSecretId,
            Identity::GeneratorToken { .. } | Identity::IdToken { .. } | Identity::Token { .. } => Spent::Nothing,
        }
    }

    /// Overwrites what the login was made with, once no other one will be: the read can take a minute.
    pub fn forget(&mut self) {
        match &mut self.identity {
            Identity::WrappingToken { token: secret, .. }
            | Identity::SecretId { secret_id: secret, .. }
            | Identity::GeneratorToken { token: secret, .. }
            | Identity::IdToken { token: secret, .. }
            | Identity::Token { token: secret, .. } => *secret = Secret::new(String::new()),
        }
    }
}

/// Logs in. A plain token needs no request.
///
/// # Errors
/// [`Kind::Denied`] and its like with the line to change; [`Kind::Spent`] when a single-use secret is gone.
pub async fn login(vault: &Vault<'_>, login: &Login) -> Result<Session, Failed> {
    if login.spends() != Spent::Nothing {
        vault.note_single_use();
    }
    let session = match &login.identity {
        Identity::WrappingToken { token, role_id, creation_path } => {
            wrapping::login(vault, login, token, role_id.as_ref(), creation_path.as_deref()).await?
        }
        Identity::SecretId { role_id, secret_id } => approle::login(vault, login, role_id, secret_id).await?,
        Identity::GeneratorToken { token, role_id } => approle::login_generated(vault, login, token, role_id).await?,
        Identity::IdToken { token, claims } => id_token::login(vault, login, token, claims).await?,
        Identity::Token { token, child: true } => child(vault, login, token).await?,
        Identity::Token { token, child: false } => {
            Session { token: token.duplicate(), own: false, expires_at: None, batch: false, uses: 0 }
        }
    };
    Ok(session)
}

const CREATE: &str = "auth/token/create";

/// A child of the token: with its policies, ended with it, and ours to revoke with all its leases. It lives as long as
/// this run can; what asks for a lease with it renews it.
async fn child(vault: &Vault<'_>, login: &Login, token: &Secret) -> Result<Session> {
    let answer = settle(vault.create_child(token).await, |refusal| describe_child(&refusal, login))?;
    let root = answer.1.auth.as_ref().is_some_and(|auth| auth.policies.iter().any(|policy| policy == "root"));
    let session = session(answer, CREATE)?;
    if !root {
        return Ok(session);
    }
    let error = Error::new(
        Kind::Config,
        format!("the token (from {}) is a root token, and --child-token would make another one", login.origin),
    )
    .hint("give the job a token of its own: vault token create -policy=NAME; or drop --child-token");
    if revoke(vault, &session).await {
        return Err(error.also("the child was revoked"));
    }
    let until = session.expires_at.map(|end| format!(", until {}", render_time(end))).unwrap_or_default();
    Err(error.with_kind(Kind::Leak).also(format!("the child may be left{until}")))
}

fn describe_child(refusal: &Refusal, login: &Login) -> Error {
    let origin = &login.origin;
    let because = refusal.because();
    let text = refusal.reason.as_str();
    let of_a_kind = |what: &str| {
        Error::new(Kind::Config, format!("the token (from {origin}) is {what}, and can have no child ({because})"))
    };
    if text.contains("batch tokens cannot create") {
        return of_a_kind("a batch token")
            .hint("drop --child-token, or give the job a service token: vault token create -type=service");
    }
    if text.contains("restricted use token") {
        return of_a_kind("good for a counted number of requests")
            .hint("drop --child-token, or give the job a token without a limit: vault token create -use-limit=0");
    }
    if refusal.is_token_gone() {
        return Error::new(Kind::Denied, format!("the token (from {origin}) is not valid for {CREATE} ({because})"))
            .hint("the token has expired, was revoked, or is of another namespace");
    }
    Error::new(Kind::Denied, format!("the token (from {origin}) may not make a child of its own ({because})"))
        .hint(format!("its policy needs: path \"{CREATE}\" {{ capabilities = [\"update\"] }}; or drop --child-token"))
}

/// Revokes a token of ours that is of no use. Returns whether it is gone; a batch token cannot be revoked.
async fn revoke(vault: &Vault<'_>, session: &Session) -> bool {
    !session.batch && matches!(vault.revoke_self(&session.token).await.outcome, Outcome::Done(_))
}

/// A failure after something single-use was spent: "try again" would only help with a new one.
#[must_use]
pub fn after_spending(error: Error, spent: Spent) -> Error {
    match (spent, error.kind()) {
        (Spent::WrappingToken, Kind::Unavailable | Kind::Temporary | Kind::Os) => {
            error.with_kind(Kind::Spent).also("the wrapping token was spent on the way: a new run needs a new one")
        }
        (Spent::PerhapsSecretId, _) => error.also("a secret id for one use is spent by now"),
        (Spent::Nothing | Spent::WrappingToken, _) => error,
    }
}

/// The answer of an exchange, or its failure; a refusal goes through `describe`.
fn settle(exchange: Exchange, describe: impl FnOnce(Refusal) -> Error) -> Result<(Timestamp, Envelope)> {
    match exchange.outcome {
        Outcome::Done(envelope) => Ok((exchange.sent, *envelope)),
        Outcome::Refused(refusal) => Err(describe(refusal)),
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => Err(error),
    }
}

/// The session of a login's answer.
fn session((sent, envelope): (Timestamp, Envelope), path: &str) -> Result<Session> {
    let incomplete =
        || Error::new(Kind::Data, format!("the answer of {path} has no token")).hint("is that the path of a login?");
    let auth: Auth = envelope.auth.ok_or_else(incomplete)?;
    if auth.mfa_requirement.is_some() {
        return Err(Error::new(
            Kind::Denied,
            format!("the login at {path} asks for a second factor, which a job does not have"),
        )
        .hint("exempt this login from the MFA enforcement: vault list identity/mfa/login-enforcement"));
    }
    let token = auth.client_token.filter(|token| !token.expose().is_empty()).ok_or_else(incomplete)?;
    if !token.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte)) || token.expose().len() > 8192 {
        return Err(Error::new(
            Kind::Data,
            format!("the token in the answer of {path} has a character that no token has"),
        ));
    }
    Ok(Session {
        token,
        own: true,
        expires_at: expiry(sent, auth.lease_duration),
        batch: auth.token_type == "batch",
        uses: auth.num_uses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_run_could_mend_needs_a_new_wrapping_token() {
        for kind in Kind::ALL {
            let after = |spent| after_spending(Error::new(kind, "x"), spent);
            let mendable = matches!(kind, Kind::Unavailable | Kind::Temporary | Kind::Os);
            let expected = if mendable { Kind::Spent } else { kind };
            assert_eq!(after(Spent::WrappingToken).kind(), expected, "{kind:?}");
            assert_eq!(after(Spent::WrappingToken).message().contains("needs a new one"), mendable, "{kind:?}");
            // Nobody but Vault knows whether it was for one login.
            assert_eq!((after(Spent::PerhapsSecretId).kind(), after(Spent::Nothing).message()), (kind, "x"));
            assert!(after(Spent::PerhapsSecretId).message().contains("is spent by now"), "{kind:?}");
        }
    }
}
