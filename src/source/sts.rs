//! STS of AWS as a source: the job's ID token becomes the session of a role, with no Vault in between.
//!
//! Nothing is owed: what STS makes lives until it expires, and nobody can revoke it.

use std::time::Duration;

use jiff::Timestamp;

use crate::aws::assume::{RoleSession, describe_rest};
use crate::aws::exchange::Sts;
use crate::config::{Maker, Plan, StsPlan};
use crate::credential::{Credential, Lease, Life};
use crate::custody::Custody;
use crate::engine::assemble;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::job_token;
use crate::mint::Datum;
use crate::time::{earlier, expiry, render_duration};

/// So long one ID token, or one session, may take while a command runs.
const REQUEST: Duration = Duration::from_secs(20);

/// The STS of a run, and the process that asks.
pub(crate) struct StsSource<'a> {
    pub(crate) host: &'a Host,
}

impl StsSource<'_> {
    /// Asks STS. A signal ends that at once.
    pub(super) async fn obtain(&self, plan: &Plan, sts: &StsPlan, custody: &mut Custody<'_>) -> Result<Credential> {
        let verbose = plan.output.verbose;
        let server = Sts::new(&plan.connection, sts, plan.connection.timeout, verbose, self.host)?;
        let made = custody.race(server.obtain(&plan.login)).await.map_err(|signal| server.interrupted(signal))??;
        let credential = read_session(plan, sts, made)?;
        if verbose {
            let life = render_duration(Duration::from_secs(sts.seconds()));
            self.host.write_stderr(&format!("ci-creds: session: AWS ends it within {life}; nothing can revoke it\n"));
        }
        Ok(credential)
    }

    /// Asks for the session that follows while a command runs: with a new ID token where the CI system signs one by
    /// request, and with the first one elsewhere.
    ///
    /// # Errors
    /// As [`job_token::request`] and [`Sts::obtain`].
    pub(crate) async fn obtain_next(&self, plan: &Plan) -> Result<Credential> {
        let Maker::Sts(sts) = &plan.maker else {
            return Err(Error::new(Kind::Internal, "a credential of Vault is not made by STS"));
        };
        let fresh = job_token::request_again(plan, REQUEST, self.host).await?;
        let login = fresh.as_ref().unwrap_or(&plan.login);
        let server = Sts::new(&plan.connection, sts, self.host.elapsed() + REQUEST, false, self.host)?;
        read_session(plan, sts, server.obtain(login).await?)
    }
}

/// The credential in an answer to a request that was sent at that time.
fn read_session(plan: &Plan, sts: &StsPlan, (sent, session): (Timestamp, RoleSession)) -> Result<Credential> {
    let RoleSession { key, secret, session, expiration, arn } = session;
    let mut data = vec![
        ("access_key".to_owned(), Datum::Text(key)),
        ("secret_key".to_owned(), Datum::Text(secret)),
        ("session_token".to_owned(), Datum::Text(session)),
    ];
    data.extend(arn.map(|arn| ("arn".to_owned(), Datum::Text(arn))));
    let parsed = plan
        .shape
        .parse_data(&plan.mint.path, &mut data)
        .map_err(|error| error.hint("that is no credential of AWS: is the endpoint STS?"))
        .map_err(|error| {
            sts.second.iter().chain([&sts.first]).fold(error, |error, one| error.also(describe_rest(one)))
        })?;
    // Whichever clock is wrong, it is not used for longer than it lives.
    let expires_at = earlier(Some(expiration), expiry(sent, sts.seconds()));
    let lease = Lease { id: None, renewable: false, expires_at, granted_until: expires_at, life: Life::Expiring };
    Ok(assemble(plan, parsed.values, lease))
}
