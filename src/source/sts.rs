//! STS of AWS as a source: the job's ID token becomes the session of a role, with no Vault in between.
//!
//! Nothing is owed: what STS makes lives until it expires, and nobody can revoke it.

use crate::aws::assume::{RoleSession, describe_rest};
use crate::aws::exchange::Sts;
use crate::config::{Plan, StsPlan};
use crate::credential::{Credential, Lease, Life};
use crate::custody::Custody;
use crate::engine::assemble;
use crate::error::Result;
use crate::host::Host;
use crate::mint::Datum;
use crate::time::{earlier, expiry, render_duration};

/// The STS of a run, and the process that asks.
pub(crate) struct StsSource<'a> {
    pub(crate) host: &'a Host,
}

impl StsSource<'_> {
    /// Asks STS. A signal ends that at once.
    pub(super) async fn obtain(&self, plan: &Plan, sts: &StsPlan, custody: &mut Custody<'_>) -> Result<Credential> {
        let server = Sts::new(&plan.connection, sts, plan.output.verbose, self.host)?;
        let (sent, session) = custody.race(server.obtain(&plan.login)).await??;
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
            .map_err(|error| error.also(describe_rest(sts.last())))?;
        // Whichever clock is wrong, it is not used for longer than it lives.
        let expires_at = earlier(Some(expiration), expiry(sent, sts.seconds()));
        let lease = Lease { id: None, renewable: false, expires_at, granted_until: expires_at, life: Life::Expiring };
        if plan.output.verbose {
            let life = render_duration(std::time::Duration::from_secs(sts.seconds()));
            self.host.write_stderr(&format!("ci-creds: session: AWS ends it within {life}; nothing can revoke it\n"));
        }
        Ok(assemble(plan, parsed.values, lease))
    }
}
