//! A Vault token and what is known of it, read off the answer of a login.

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::identity::{Identity, Login, Spend};
use crate::secret::Secret;
use crate::time::expiry;
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::Outcome;
use crate::vault::refusal::Refusal;
use crate::vault::wire::{Auth, Envelope};

/// A Vault token and what is known of it.
#[derive(Debug)]
pub(crate) struct Session {
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
pub(crate) struct LoginFailure {
    /// What to tell.
    pub error: Error,
    /// Whether it was this login that used up a secret for one use, or may have.
    pub spent: bool,
}

impl LoginFailure {
    pub(super) fn after_spending(error: Error) -> Self {
        Self { error, spent: true }
    }
}

impl From<Error> for LoginFailure {
    fn from(error: Error) -> Self {
        Self { error, spent: false }
    }
}

impl Session {
    /// A second holder of the same session: what a signal's clean-up works with.
    #[must_use]
    pub(crate) fn duplicate(&self) -> Self {
        Self { token: self.token.duplicate(), ..*self }
    }
}

/// The token that is not ours and that the session ends with.
#[must_use]
pub(crate) fn lender<'a>(login: &'a Login, session: &'a Session) -> Option<&'a Secret> {
    match &login.identity {
        Identity::Token { child: false, .. } => Some(&session.token),
        Identity::Token { child: true, token } => Some(token).filter(|token| !token.expose().is_empty()),
        _ => None,
    }
}

/// Revokes a token of ours that is of no use. Returns whether it is gone; a batch token cannot be revoked.
pub(super) async fn revoke(vault: &Vault<'_>, session: &Session) -> bool {
    !session.batch && matches!(vault.revoke_self(&session.token).await.outcome, Outcome::Done(_))
}

/// A failure after something single-use was spent: "try again" would only help with a new one.
#[must_use]
pub(crate) fn after_spending(error: Error, spent: Spend) -> Error {
    match (spent, error.kind()) {
        (Spend::WrappingToken, Kind::Unavailable | Kind::Temporary | Kind::Os) => {
            error.with_kind(Kind::Spent).also("the wrapping token was spent on the way: a new run needs a new one")
        }
        (Spend::PerhapsSecretId, _) => error.also("a secret id for one use is spent by now"),
        (Spend::Nothing | Spend::WrappingToken, _) => error,
    }
}

/// The answer of an exchange, or its failure; a refusal goes through `describe`.
pub(super) fn settle(exchange: Exchange, describe: impl FnOnce(Refusal) -> Error) -> Result<(Timestamp, Envelope)> {
    match exchange.outcome {
        Outcome::Done(envelope) => Ok((exchange.sent, *envelope)),
        Outcome::Refused(refusal) => Err(describe(refusal)),
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => Err(error),
    }
}

/// The session of a login's answer.
pub(super) fn session((sent, envelope): (Timestamp, Envelope), path: &str) -> Result<Session> {
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
            assert_eq!(after(Spend::WrappingToken).kind(), expected, "{kind:?}");
            assert_eq!(after(Spend::WrappingToken).message().contains("needs a new one"), mendable, "{kind:?}");
            // Nobody but Vault knows whether it was for one login.
            assert_eq!((after(Spend::PerhapsSecretId).kind(), after(Spend::Nothing).message()), (kind, "x"));
            assert!(after(Spend::PerhapsSecretId).message().contains("is spent by now"), "{kind:?}");
        }
    }
}
