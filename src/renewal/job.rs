//! The one renewal of a credential that this run hands over: nobody is there later to renew it.

use std::time::Duration;

use jiff::Timestamp;

use super::{RenewalAnswer, read_answer};
use crate::auth::Session;
use crate::credential::{Credential, Life};
use crate::host::Host;
use crate::lease::{CLEARLY_SHORTER, warn_of_a_short_token};
use crate::time::{MARGIN, earlier, increment_until, render_time};
use crate::vault::client::Vault;
use crate::vault::wire::Envelope;

/// So long it may take, both requests together: the job waits for it.
const MOST: Duration = Duration::from_secs(10);

/// Renews the lease, and the login that it ends with, until `end`, when the job ends at the latest. Neither is made
/// shorter, and what does not succeed is a warning. `child`: the login is one that is renewed after this.
pub(crate) async fn renew_until(
    vault: &Vault<'_>,
    session: &mut Session,
    one: &mut Credential,
    (end, child): (Timestamp, bool),
    host: &Host,
) {
    if one.lease.life != Life::Leased {
        return;
    }
    let renewal = async {
        renew_lease(vault, session, one, end, host).await?;
        if child { Ok(()) } else { renew_login(vault, session, one, end, host).await }
    };
    let failure = match tokio::time::timeout(MOST, renewal).await {
        Ok(Ok(())) => None,
        Ok(Err(because)) => Some(because),
        Err(_) => Some(format!("no answer within {} s", MOST.as_secs())),
    };
    let of_the_lease = one.lease.granted_until.and_then(|end| end.checked_sub(MARGIN).ok());
    let of_the_token = session.expires_at.filter(|_| !child);
    warn_of_a_short_token(of_the_lease, of_the_token, host);
    one.lease.expires_at = earlier(of_the_lease, of_the_token);
    if let Some(because) = failure {
        let expires = one.lease.expires_at.map(render_time).unwrap_or_default();
        host.warn(format!(
            "the credential of {} expires at {expires}, and the job may run until {}: Vault does not renew it ({because})",
            one.path,
            render_time(end)
        ));
    }
}

async fn renew_lease(
    vault: &Vault<'_>,
    session: &Session,
    one: &mut Credential,
    end: Timestamp,
    host: &Host,
) -> Result<(), String> {
    let lease = &mut one.lease;
    let (Some(id), Some(granted)) = (&lease.id, lease.granted_until) else { return Ok(()) };
    // The last use of a counted token would revoke what it renews.
    if !lease.renewable || session.uses != 0 || granted >= end {
        return Ok(());
    }
    let exchange = vault.renew_lease(id, &session.token, increment_until(end, host.now())).await;
    lease.granted_until = Some(until(read_answer(exchange, |envelope| envelope.lease_duration))?);
    Ok(())
}

/// A login whose token ends before the lease takes the lease with it.
async fn renew_login(
    vault: &Vault<'_>,
    session: &mut Session,
    one: &Credential,
    end: Timestamp,
    host: &Host,
) -> Result<(), String> {
    let (Some(token), Some(lease)) = (session.expires_at, one.lease.granted_until) else { return Ok(()) };
    let end = lease.min(end);
    let is_short = token.checked_add(CLEARLY_SHORTER).is_ok_and(|token| token < end);
    if !session.own || session.batch || session.uses != 0 || !is_short {
        return Ok(());
    }
    let exchange = vault.keep_login(&session.token, increment_until(end, host.now()) + MARGIN).await;
    let seconds = |envelope: &Envelope| envelope.auth.as_ref().map_or(0, |auth| auth.lease_duration);
    session.expires_at = until(read_answer(exchange, seconds))?.checked_sub(MARGIN).ok();
    Ok(())
}

fn until(answer: RenewalAnswer) -> Result<Timestamp, String> {
    match answer {
        RenewalAnswer::Until { end, .. } => Ok(end),
        RenewalAnswer::Refused(because) => Err(because),
        RenewalAnswer::Failed(error) => Err(error.message().to_owned()),
    }
}
