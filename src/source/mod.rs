//! Where a new credential comes from.

mod login;
mod vault;

use crate::auth::Session;
use crate::config::Plan;
use crate::credential::Credential;
use crate::custody::Custody;
use crate::error::Result;
use crate::identity::Login;

pub(crate) use vault::VaultSource;

/// A source of credentials.
pub(crate) enum Source<'a> {
    /// An engine of a Vault, by a login there.
    Vault(VaultSource<'a>),
}

impl Source<'_> {
    /// Makes a credential. It is owed until the run ends or hands it to the cache.
    ///
    /// # Errors
    /// As the login and the engine have them; what ends the run after a signal. Nothing is owed any more.
    pub(crate) async fn obtain(&self, plan: &mut Plan, custody: &mut Custody<'_>) -> Result<(Credential, Session)> {
        match self {
            Self::Vault(server) => server.obtain(plan, custody).await,
        }
    }

    /// Logs in, and makes nothing. The login is owed.
    ///
    /// # Errors
    /// As [`Source::obtain`].
    pub(crate) async fn log_in(&self, login: &Login, custody: &mut Custody<'_>) -> Result<Session> {
        match self {
            Self::Vault(server) => server.log_in(login, custody).await,
        }
    }

    /// Makes another credential with the session of an earlier one. It is owed too.
    ///
    /// # Errors
    /// As [`Source::obtain`]. Nothing is owed any more then, and the earlier credentials are given back.
    pub(crate) async fn obtain_more(
        &self,
        session: Session,
        plan: &Plan,
        custody: &mut Custody<'_>,
    ) -> Result<(Credential, Session)> {
        match self {
            Self::Vault(server) => server.obtain_more(session, plan, custody).await,
        }
    }
}
