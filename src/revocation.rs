//! Revoking what a login made, when its job or its command has ended; and what may truly be said of each credential.
//!
//! A lease that the engine has revoked is gone. One whose token was revoked is queued: Vault answers at once, and its
//! engine acts later. Each lease comes first and the token last, and a step that fails keeps no other one from happening.
//! All of it fits into ten seconds, because runners kill after that: the clean-up's seconds of [`Vault`] are that limit.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::auth::Session;
use crate::credential::{Credential, Life};
use crate::lease::{self, Acceptance, RevocationObstacle};
use crate::time::{earlier, render_time};
use crate::vault::client::Vault;

/// What one lease may take, while its engine works. Then Vault is asked to revoke it by itself.
const LEASE: Duration = Duration::from_secs(4);
/// What it may take to ask for that.
const QUEUE: Duration = Duration::from_secs(2);

/// How many requests are sent at the same time: each has an open file.
const WIDTH: usize = 6;

/// A credential that was made with a session.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    /// The lease's id.
    pub lease: Option<String>,
    /// What ends it.
    pub life: Life,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// What became of a session and of all that it made.
#[derive(Debug)]
pub(crate) struct SessionFate {
    /// What became of each credential, in the order in which they were given.
    pub fates: Vec<Fate>,
    /// Whether the token is gone. `None` when it is not ours: its owner revokes it.
    pub token: Option<bool>,
    /// Why something lives on that could be revoked.
    pub obstacle: Option<RevocationObstacle>,
}

/// What may be said of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its engine has revoked it.
    Revoked,
    /// Vault has accepted the revocation, and goes on by itself.
    Queued,
    /// It lives until then. It could be revoked, and was not.
    Lives(Option<Timestamp>),
    /// It lives until then, and nobody can revoke it.
    Irrevocable(Option<Timestamp>),
}

impl Fate {
    /// A line for the user. `what` is what lives or has ended: `the credential of aws/creds/deploy`.
    #[must_use]
    pub(crate) fn render(self, what: &str) -> String {
        let until = |end: Option<Timestamp>| end.map_or("it expires".into(), render_time);
        match self {
            Self::Revoked => format!("revoked: {what}"),
            Self::Queued => format!("queued: {what}, which Vault revokes by itself"),
            Self::Lives(end) => format!("not revoked: {what} lives until {}", until(end)),
            Self::Irrevocable(end) => format!("cannot be revoked: {what} lives until {}", until(end)),
        }
    }

    /// Whether it lives on, whoever's fault that is.
    #[must_use]
    pub(crate) fn lives(self) -> bool {
        matches!(self, Self::Lives(_) | Self::Irrevocable(_))
    }
}

/// Revokes by one Vault, many things at the same time.
pub(crate) struct Revoker<'a> {
    vault: &'a Vault<'a>,
    width: Semaphore,
}

impl<'a> Revoker<'a> {
    /// From here on, all that is revoked has the ten seconds of a clean-up together.
    #[must_use]
    pub(crate) fn new(vault: &'a Vault<'a>) -> Self {
        vault.begin_clean_up();
        Self { vault, width: Semaphore::new(WIDTH) }
    }

    /// Revokes each lease, and then the token if it is ours.
    pub(crate) async fn revoke(&self, session: &Session, holdings: &[Holding]) -> SessionFate {
        let leases = holdings.iter().map(|holding| async {
            match (&holding.lease, holding.life) {
                // A token whose requests are counted has one left for itself, if it is ours.
                (Some(lease), Life::Leased) if session.uses == 0 || !session.own => {
                    self.revoke_lease(lease, session).await
                }
                (_, Life::Leased) => Err(None),
                (_, Life::Expiring) => Ok(Fate::Irrevocable(holding.expires)),
                (_, Life::Static) => Ok(Fate::Irrevocable(None)),
            }
        });
        let (leases, obstacles): (Vec<_>, Vec<_>) = join_all(leases)
            .await
            .into_iter()
            .map(|end| match end {
                Ok(fate) => (Some(fate), None),
                Err(obstacle) => (None, obstacle),
            })
            .unzip();
        let token = self.revoke_token(session).await;
        // A token that is revoked takes its leases with it.
        let obstacle = match &token {
            Some(Ok(())) => None,
            Some(Err(of_the_token @ Some(_))) => of_the_token.clone(),
            Some(Err(None)) | None => obstacles.into_iter().flatten().next(),
        };
        let token = token.map(|end| end.is_ok());
        let settle = |(holding, fate): (&Holding, Option<Fate>)| {
            fate.unwrap_or(match token {
                Some(true) => Fate::Queued,
                _ if session.batch && holding.lease.is_none() => Fate::Irrevocable(holding.expires),
                _ => Fate::Lives(holding.expires),
            })
        };
        SessionFate { fates: holdings.iter().zip(leases).map(settle).collect(), token, obstacle }
    }

    /// Has the engine revoke a lease, or Vault as soon as its engine can. The error is why Vault did neither.
    async fn revoke_lease(&self, lease: &str, session: &Session) -> Result<Fate, Option<RevocationObstacle>> {
        let _turn = self.width.acquire().await;
        match lease::revoke_lease(self.vault, lease, session, (LEASE, QUEUE)).await {
            Ok(Acceptance::Revoked) => Ok(Fate::Revoked),
            Ok(Acceptance::Queued) => Ok(Fate::Queued),
            Err(obstacle) => Err(Some(obstacle)),
        }
    }

    /// Revokes the token. `None` when it is not ours; an error without a reason when nobody can.
    async fn revoke_token(&self, session: &Session) -> Option<Result<(), Option<RevocationObstacle>>> {
        match session {
            Session { own: false, .. } => None,
            Session { batch: true, .. } => Some(Err(None)),
            _ => {
                let _turn = self.width.acquire().await;
                let outcome = self.vault.revoke_self(&session.token).await.outcome;
                let gone = lease::is_gone(&outcome);
                Some(if gone { Ok(()) } else { Err(Some(RevocationObstacle::of(lease::REVOKE_SELF, &outcome))) })
            }
        }
    }
}

/// What became of one credential of a command, or of its login.
pub(crate) struct Revocation {
    /// What it is.
    pub(crate) what: String,
    /// What became of it.
    pub(crate) fate: Fate,
}

impl Revocation {
    /// A line for the user.
    pub(crate) fn render(&self) -> String {
        self.fate.render(&self.what)
    }

    /// Whether it lives on although it could have been revoked.
    pub(crate) fn is_leak(&self) -> bool {
        matches!(self.fate, Fate::Lives(_))
    }
}

/// What revoking may take in all.
const ALL: Duration = Duration::from_secs(10);

/// Revokes what a command ran with: each lease, and then the login, if that is ours. Returns what became of each, and why
/// something lives on.
pub(crate) async fn revoke_all(
    vault: &Vault<'_>,
    session: &Session,
    credentials: &[Credential],
) -> (Vec<Revocation>, Option<RevocationObstacle>) {
    vault.extend(ALL);
    let holding = |one: &Credential| {
        // What cannot be revoked does not end with its token either.
        let of_the_token = session.expires_at.filter(|_| one.lease.life == Life::Leased);
        let expires = earlier(one.lease.granted_until, of_the_token);
        Holding { lease: one.lease.id.clone(), life: one.lease.life, expires }
    };
    let holdings: Vec<_> = credentials.iter().map(holding).collect();
    let SessionFate { fates, token, obstacle } = Revoker::new(vault).revoke(session, &holdings).await;
    let of_a_credential =
        |(one, fate): (&Credential, Fate)| Revocation { what: format!("the credential of {}", one.path), fate };
    let mut revocations: Vec<_> = credentials.iter().zip(fates).map(of_a_credential).collect();
    if token == Some(false) {
        let end = session.expires_at;
        let fate = if session.batch { Fate::Irrevocable(end) } else { Fate::Lives(end) };
        revocations.push(Revocation { what: "the token of this login".into(), fate });
    }
    (revocations, obstacle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fate_has_its_word_and_says_until_when() {
        let end = Timestamp::from_second(1_800_000_000).ok();
        for (fate, text, lives) in [
            (Fate::Revoked, "revoked: X", false),
            (Fate::Queued, "queued: X, which Vault revokes by itself", false),
            (Fate::Lives(end), "not revoked: X lives until 2027-01-15T08:00:00Z", true),
            (Fate::Lives(None), "not revoked: X lives until it expires", true),
            (Fate::Irrevocable(end), "cannot be revoked: X lives until 2027-01-15T08:00:00Z", true),
        ] {
            assert_eq!((fate.render("X").as_str(), fate.lives()), (text, lives));
        }
    }
}
