//! Giving back what a run holds when its command has ended, and what may truly be said of it.
//!
//! A lease that was revoked with an answer is gone. One whose token was revoked is queued: Vault answers at once, and its
//! engine acts later. The procedure fits into ten seconds, because runners kill after that.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::auth::Session;
use crate::credential::{Credential, Life};
use crate::host::Host;
use crate::time::{earlier, render_time};
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;

/// What giving back may take in all.
const ALL: Duration = Duration::from_secs(10);
/// What one lease may take of it, while its engine works.
const LEASE: Duration = Duration::from_secs(4);
/// What is kept back for the revocation of the token.
const TOKEN: Duration = Duration::from_secs(2);

/// What became of one credential, or of the login.
pub(crate) struct Revocation {
    /// What it is.
    pub(crate) what: String,
    /// What became of it.
    pub(crate) fate: Fate,
}

/// What may be said of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its engine has revoked it.
    Revoked,
    /// Vault has taken it on, and revokes it by itself.
    Queued,
    /// It lives until then: it could be revoked, and was not.
    Lives(Option<Timestamp>),
    /// It lives until then, and nobody can revoke it.
    Irrevocable(Option<Timestamp>),
}

impl Revocation {
    /// A line for the user.
    pub(crate) fn render(&self) -> String {
        let until = |end: &Option<Timestamp>| end.map_or("it expires".into(), render_time);
        match &self.fate {
            Fate::Revoked => format!("revoked: {}", self.what),
            Fate::Queued => format!("queued: {}, which Vault revokes by itself", self.what),
            Fate::Lives(end) => format!("not revoked: {} lives until {}", self.what, until(end)),
            Fate::Irrevocable(end) => format!("cannot be revoked: {} lives until {}", self.what, until(end)),
        }
    }

    /// Whether it lives on although it could have been revoked.
    pub(crate) fn is_leak(&self) -> bool {
        matches!(self.fate, Fate::Lives(_))
    }
}

/// Gives back each lease, and then the login, if that is ours. What one step fails at keeps no other one from happening.
pub(crate) async fn give_back(
    vault: &Vault<'_>,
    session: &Session,
    credentials: &[Credential],
    host: &Host,
) -> Vec<Revocation> {
    vault.extend(ALL);
    vault.begin_clean_up();
    let until = host.elapsed() + ALL;
    let revocable = |one: &&Credential| one.lease.life == Life::Leased && one.lease.id.is_some();
    let mut open = credentials.iter().filter(revocable).count();
    let mut done = Vec::new();
    for one in credentials {
        // What cannot be revoked does not end with its token either.
        let of_the_token = session.expires_at.filter(|_| one.lease.life == Life::Leased);
        let end = earlier(one.lease.granted_until, of_the_token);
        let fate = match (&one.lease.id, one.lease.life) {
            (Some(id), Life::Leased) => {
                // A token whose requests are counted has one left for itself.
                let left = until.saturating_sub(host.elapsed()).saturating_sub(TOKEN);
                let most = LEASE.min(left / u32::try_from(open).unwrap_or(1).max(1));
                open -= 1;
                if session.uses == 0 { revoke_lease(vault, id, session, most).await } else { None }
            }
            (_, Life::Expiring) => Some(Fate::Irrevocable(end)),
            (_, Life::Static) => Some(Fate::Irrevocable(None)),
            (None, Life::Leased) => None,
        };
        done.push((format!("the credential of {}", one.path), end, fate));
    }
    let token = revoke_token(vault, session).await;
    let settle = |(what, end, fate): (String, Option<Timestamp>, Option<Fate>)| {
        let fate = fate.unwrap_or(if token == Some(true) { Fate::Queued } else { Fate::Lives(end) });
        Revocation { what, fate }
    };
    let mut returned: Vec<_> = done.into_iter().map(settle).collect();
    if token == Some(false) {
        let fate = match session.batch {
            true => Fate::Irrevocable(session.expires_at),
            false => Fate::Lives(session.expires_at),
        };
        returned.push(Revocation { what: "the token of this login".into(), fate });
    }
    returned
}

/// Has the engine revoke a lease, or Vault as soon as its engine can. `None` when neither was to be had.
async fn revoke_lease(vault: &Vault<'_>, id: &str, session: &Session, most: Duration) -> Option<Fate> {
    match timeout(most, vault.revoke_lease(id, &session.token)).await.map(|exchange| exchange.outcome) {
        Ok(Outcome::Done(_)) => return Some(Fate::Revoked),
        // No policy for it: the token's end is left.
        Ok(Outcome::Refused(refusal)) if refusal.is_denied() => return None,
        _ => {}
    }
    let queued = timeout(TOKEN, vault.queue_revocation(id, &session.token)).await.map(|exchange| exchange.outcome);
    matches!(queued, Ok(Outcome::Done(_))).then_some(Fate::Queued)
}

/// Revokes the token, if it is ours. `None` when it is not: its owner ends it.
async fn revoke_token(vault: &Vault<'_>, session: &Session) -> Option<bool> {
    match session {
        Session { own: false, .. } => None,
        Session { batch: true, .. } => Some(false),
        _ => match vault.revoke_self(&session.token).await.outcome {
            Outcome::Done(_) => Some(true),
            // It expired before, and Vault ended its leases with it.
            Outcome::Refused(refusal) => Some(refusal.is_token_gone()),
            _ => Some(false),
        },
    }
}
