//! A lease and the token that it hangs on: how long they live, and how they are revoked.
//!
//! The tree is Vault's: a token that is revoked takes its leases with it, and so does one that expires. What life a
//! credential has is [`Life`]; what becomes of a failed run's is [`crate::custody`]'s to decide.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use tokio::time::timeout;

use crate::auth::{self, Session};
use crate::credential::{Lease, Life};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::Secret;
use crate::time::{MARGIN, earlier, end_of, expiry, increment_until, render_time};
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::Outcome;

/// What a read may have left behind.
#[derive(Debug)]
pub(crate) enum Leftover {
    /// Nothing: Vault refused, or never saw the request.
    Nothing,
    /// Perhaps a lease, whose id nobody told us.
    Unknown,
    /// A credential of this life, and the id of its lease where there is one.
    Lease { id: Option<String>, life: Life },
}

impl Leftover {
    /// What a credential leaves when it is not delivered.
    pub(crate) fn of(lease: &Lease) -> Self {
        Self::Lease { id: lease.id.clone(), life: lease.life }
    }

    /// Whether it can be ended, or need not be, without ending the token that asked for it.
    pub(crate) fn is_separate(&self) -> bool {
        matches!(self, Self::Lease { id: Some(_), .. } | Self::Lease { life: Life::Static, .. })
    }
}

/// Gives the child of a plain token the life of the lease that it asked for, and not more: the lease dies with it.
///
/// # Errors
/// When Vault does not renew the token: the credential would expire with it.
pub(crate) async fn renew_child(
    vault: &Vault<'_>,
    session: &mut Session,
    lease: &mut Lease,
    host: &Host,
) -> Result<()> {
    if lease.life != Life::Leased || lease.id.is_none() {
        return Ok(());
    }
    if let Some(end) = lease.expires_at {
        let exchange = vault.renew_self(&session.token, increment_until(end, host.now()) + MARGIN).await;
        session.expires_at = expiry(exchange.sent, renewed(exchange.outcome)?);
    }
    warn_of_a_short_token(lease.expires_at, session.expires_at, host);
    lease.expires_at = earlier(lease.expires_at, session.expires_at);
    Ok(())
}

/// How many seconds a token lives, by the answer of its renewal.
fn renewed(outcome: Outcome) -> Result<u64> {
    let path = "auth/token/renew-self";
    let what = "the child of the token was not renewed, and the credential would expire with it";
    match outcome {
        Outcome::Done(envelope) => {
            let life = envelope.auth.map(|auth| auth.lease_duration).filter(|life| *life > 0);
            life.ok_or_else(|| Error::new(Kind::Data, format!("the answer of {path} has no lease_duration; {what}")))
        }
        Outcome::Refused(refusal) if !refusal.is_without_renewal() => {
            Err(Error::new(Kind::Denied, format!("{what} ({})", refusal.because())).hint(format!(
                "the token's policy needs: path \"{path}\" {{ capabilities = [\"update\"] }}, which the default policy \
                has; or drop --child-token"
            )))
        }
        // The token is of a kind that has no renewal, and no policy makes it another one.
        Outcome::Refused(refusal) => Err(Error::new(Kind::Config, format!("{what} ({})", refusal.because()))
            .hint("drop --child-token: the tokens that this Vault makes cannot be renewed")),
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
            Err(error.also(what))
        }
    }
}

/// Ends a lease with the token that asked for it and is not ours, as Vault would. A token that may not be looked up
/// is taken for one that lives on.
pub(crate) async fn end_with(vault: &Vault<'_>, (token, origin): (&Secret, &str), lease: &mut Lease, host: &Host) {
    if lease.life != Life::Leased {
        return;
    }
    let exchange = vault.lookup_self(token).await;
    let Outcome::Done(envelope) = exchange.outcome else { return };
    let data = envelope.data.unwrap_or_default();
    auth::warn_of_its_end(vault, &data, origin, exchange.sent);
    let end = expiry(exchange.sent, data.number("ttl").unwrap_or_default());
    warn_of_a_short_token(lease.expires_at, end, host);
    lease.expires_at = earlier(lease.expires_at, end);
}

/// A life that is shorter by less is not called short: Vault and the clouds count in seconds of their own, and no
/// credential lives for so little.
pub(crate) const CLEARLY_SHORTER: Duration = Duration::from_secs(60);

/// GitLab's own tutorial suggests `token_explicit_max_ttl=60`: the key is gone after a minute, whatever its lease says.
pub(crate) fn warn_of_a_short_token(lease: Option<Timestamp>, token: Option<Timestamp>, host: &Host) {
    let (Some(lease), Some(token)) = (lease, token) else { return };
    if lease.duration_since(token) > SignedDuration::try_from(CLEARLY_SHORTER).unwrap_or_default() {
        host.warn(format!(
            "the credential expires with this login's token at {}, before its lease at {}: raise token_ttl or \
            token_explicit_max_ttl of the login's role",
            render_time(token),
            render_time(lease)
        ));
    }
}

/// A lease that lives for longer is a key for whoever finds it later.
const LONG: SignedDuration = SignedDuration::from_hours(24);

/// Many engines grant a month where nobody set a TTL: Vault's own default is 32 days.
pub(crate) fn warn_of_a_long_life(path: &str, end: Option<Timestamp>, host: &Host) {
    let Some(end) = end.filter(|end| end.duration_since(host.now()) > LONG) else { return };
    host.warn(format!(
        "the credential of {path} lives for more than a day, until {}, unless it is revoked: lower ttl of the engine's role",
        render_time(end)
    ));
}

/// What Vault says of a token that the caller supplied.
pub(crate) struct TokenLife {
    /// When it expires; `None` when it does not.
    pub(crate) expires_at: Option<Timestamp>,
    /// How many requests it is good for after this one; zero is no limit.
    pub(crate) uses: u64,
}

/// Looks up a token that the caller supplied. `None` when it may not be looked up.
pub(crate) async fn look_up(vault: &Vault<'_>, token: &Secret) -> Option<TokenLife> {
    let exchange = vault.lookup_self(token).await;
    let Outcome::Done(envelope) = exchange.outcome else { return None };
    let data = envelope.data?;
    let seconds = data.number("ttl").unwrap_or_default();
    Some(TokenLife { expires_at: end_of(exchange.sent, seconds), uses: data.number("num_uses").unwrap_or_default() })
}

/// Takes back what a failed run may have left: by the token if it is ours, which ends all its leases, or by the
/// lease.
///
/// # Errors
/// [`Kind::Leak`] saying what may be left and until when.
pub(crate) async fn revoke(vault: &Vault<'_>, session: &Session, leftover: &Leftover, path: &str) -> Result<()> {
    if session.own && !session.batch && is_gone(&vault.revoke_self(&session.token).await.outcome) {
        return Ok(());
    }
    match leftover {
        Leftover::Nothing | Leftover::Lease { life: Life::Expiring | Life::Static, .. } => Ok(()),
        Leftover::Lease { id: Some(id), .. } if revoke_lease(vault, id, session, NO_LIMITS).await.is_ok() => Ok(()),
        Leftover::Lease { id: Some(id), .. } => Err(leak(&format!("the lease {id}"), session).hint(format!(
            "vault lease revoke {id}, whose policy needs: path \"sys/leases/revoke/*\" {{ capabilities = [\"update\"] }}; \
             ci-creds needs: path \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
        ))),
        Leftover::Lease { id: None, .. } | Leftover::Unknown => Err(leak(&format!("a lease under {path}"), session)
            .hint(format!(
                "vault list sys/leases/lookup/{path} shows it; vault lease revoke -prefix {path} ends it, and every \
                other one there"
            ))),
    }
}

/// What Vault did with a lease that was to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// Its engine has revoked it.
    Revoked,
    /// Vault revokes it by itself, as soon as the engine can.
    Queued,
}

/// Why Vault did not revoke something.
#[derive(Clone, Debug)]
pub(crate) struct RevocationObstacle {
    /// The path that was asked.
    pub(crate) path: &'static str,
    /// Whether the token's policy does not grant it.
    pub(crate) missing: bool,
    /// What Vault said, or what happened to its answer.
    pub(crate) because: String,
    denied: bool,
}

impl RevocationObstacle {
    /// Of a request at this path. An answer that Vault did it is none.
    pub(crate) fn of(path: &'static str, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Refused(refusal) => Self {
                path,
                missing: refusal.is_denied_by_policy(),
                because: format!("Vault refused {path} ({})", refusal.because()),
                denied: refusal.is_denied(),
            },
            Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
                Self { path, missing: false, because: error.message().to_owned(), denied: false }
            }
            Outcome::Done(_) => Self { path, missing: false, because: String::new(), denied: false },
        }
    }
}

/// The paths of the two requests.
pub(crate) const REVOKE_LEASE: &str = "sys/leases/revoke";
pub(crate) const REVOKE_SELF: &str = "auth/token/revoke-self";

/// Has the engine revoke a lease, or Vault as soon as its engine can. Each has so long.
///
/// # Errors
/// Why Vault did neither.
pub(crate) async fn revoke_lease(
    vault: &Vault<'_>,
    id: &str,
    session: &Session,
    (revoke, queue): (Duration, Duration),
) -> Result<Acceptance, RevocationObstacle> {
    let obstacle = match timeout(revoke, vault.revoke_lease(id, &session.token)).await {
        Ok(Exchange { outcome: Outcome::Done(_), .. }) => return Ok(Acceptance::Revoked),
        Ok(exchange) => RevocationObstacle::of(REVOKE_LEASE, &exchange.outcome),
        Err(_) => {
            let because = format!("{REVOKE_LEASE} did not answer within {} s", revoke.as_secs());
            RevocationObstacle { path: REVOKE_LEASE, missing: false, because, denied: false }
        }
    };
    // The policy does not grant it: only the token's end is left.
    if obstacle.denied {
        return Err(obstacle);
    }
    let queued = timeout(queue, vault.queue_revocation(id, &session.token)).await;
    match queued {
        Ok(Exchange { outcome: Outcome::Done(_), .. }) => Ok(Acceptance::Queued),
        _ => Err(obstacle),
    }
}

/// Nothing but the deadlines of the run.
const NO_LIMITS: (Duration, Duration) = (Duration::MAX, Duration::MAX);

fn leak(what: &str, session: &Session) -> Error {
    let until = match session.expires_at {
        Some(end) => format!("until its TTL ends or the token expires, at {}", render_time(end)),
        None => "until its TTL ends".into(),
    };
    Error::new(Kind::Leak, format!("{what} may be left, {until}"))
}

/// Whether the token is gone: revoked now, or not known any more. A policy without `revoke-self` leaves it.
pub(crate) fn is_gone(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done(_) => true,
        Outcome::Refused(refusal) => refusal.is_token_gone(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;
    use crate::vault::outcome::Patience;
    use crate::vault::refusal::Refusal;

    #[test]
    fn a_token_is_gone_when_it_was_revoked_or_is_not_known_any_more() {
        let refused = |status, reason: &str| is_gone(&Outcome::Refused(Refusal { status, reason: reason.into() }));
        assert!(is_gone(&Outcome::Done(Box::default())));
        assert!(refused(403, "permission denied"));
        assert!(!refused(403, "1 error occurred: permission denied"));
        assert!(!refused(400, "permission denied") && !refused(404, ""));
        let error = || Error::new(Kind::Unavailable, "x");
        assert!(!is_gone(&Outcome::Ambiguous { error: error(), transient: true, cut_off: false }));
        assert!(!is_gone(&Outcome::NotProcessed { error: error(), retry_after: None, patience: Patience::Counted }));
        assert!(!is_gone(&Outcome::Final(error())));
    }

    #[test]
    fn a_token_is_called_short_when_it_ends_more_than_a_minute_before_the_lease() {
        let warned = |lease: Option<i64>, token: Option<i64>| {
            let host = Host::fake(Fake::default());
            let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
            warn_of_a_short_token(lease.map(at), token.map(at), &host);
            host.take_warnings().len()
        };
        assert_eq!(warned(Some(1061), Some(1000)), 1);
        for (lease, token) in [(Some(1060), Some(1000)), (Some(1000), Some(5000)), (None, Some(1)), (Some(9999), None)]
        {
            assert_eq!(warned(lease, token), 0, "{lease:?} {token:?}");
        }
    }
}
