//! Where a new credential comes from.

mod login;
mod sts;
mod vault;

use crate::auth::Session;
use crate::config::{Maker, Plan};
use crate::credential::Credential;
use crate::custody::Custody;
use crate::error::{Error, Kind, Result};

pub(crate) use sts::StsSource;
pub(crate) use vault::VaultSource;

/// A source of credentials.
pub(crate) enum Source<'a> {
    /// An engine of a Vault, by a login there.
    Vault(VaultSource<'a>),
    /// STS of AWS, by the job's ID token itself.
    Sts(StsSource<'a>),
}

impl Source<'_> {
    /// Makes a credential, and says by which session if there was one. It is owed until the run ends or hands it to the
    /// cache.
    ///
    /// # Errors
    /// As the login and the engine have them; what ends the run after a signal. Nothing is owed any more.
    pub(crate) async fn obtain(
        &self,
        plan: &mut Plan,
        custody: &mut Custody<'_>,
    ) -> Result<(Credential, Option<Session>)> {
        match self {
            Self::Vault(server) => {
                server.obtain(plan, custody).await.map(|(credential, session)| (credential, Some(session)))
            }
            Self::Sts(server) => match &plan.maker {
                Maker::Sts(sts) => Ok((server.obtain(plan, sts, custody).await?, None)),
                Maker::Vault => Err(Error::new(Kind::Internal, "a credential of Vault is not made by STS")),
            },
        }
    }

    /// There is an old credential that still works: nobody waits for long for a new one.
    pub(crate) fn hurry(&self) {
        if let Self::Vault(server) = self {
            server.vault.hurry();
        }
    }

    /// Makes another credential with the session of an earlier one. It is owed too.
    ///
    /// # Errors
    /// As [`Source::obtain`]. Nothing is left to revoke then, and the earlier credentials are revoked.
    pub(crate) async fn obtain_more(
        &self,
        session: Option<Session>,
        plan: &Plan,
        custody: &mut Custody<'_>,
    ) -> Result<(Credential, Session)> {
        match (self, session) {
            (Self::Vault(server), Some(session)) => server.obtain_more(session, plan, custody).await,
            _ => Err(Error::new(Kind::Internal, "there is no session for another credential")),
        }
    }
}
