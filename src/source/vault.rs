//! Vault as a source: a login and the read that makes a credential, repeated once if that may help.
//!
//! It joins `auth` and `engine`. From the login on, custody holds what must be revoked.

use super::login::{self, PriorLogin};
use crate::auth::{self, Session};
use crate::config::Plan;
use crate::credential::Credential;
use crate::custody::{Custody, Debt, Writer, interruption, leaked};
use crate::engine::{self, Failure};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::identity::{Login, Spend};
use crate::lease::{self, Leftover};
use crate::renewal;
use crate::vault::client::Vault;

/// A Vault that is asked, and the process that asks.
pub(crate) struct VaultSource<'a> {
    pub(crate) vault: &'a Vault<'a>,
    pub(crate) host: &'a Host,
}

impl VaultSource<'_> {
    /// Logs in and asks the engine. After an unclear answer, what it may have made is revoked, and one more login
    /// and read follow where the identity is good for it. What is made is owed.
    ///
    /// # Errors
    /// As [`super::Source::obtain`].
    pub(crate) async fn obtain(&self, plan: &mut Plan, custody: &mut Custody<'_>) -> Result<(Credential, Session)> {
        let spent = plan.login.identity.facts().spends;
        let mut again = plan.login.identity.facts().repeatable;
        let mut cached = custody.writer().and_then(|writer| writer.cache.find_login(self.host));
        let mut lost = false;
        loop {
            let (session, of_before) = match cached.take() {
                Some(session) => (session, true),
                None => {
                    let prior = PriorLogin { cached: plan.cache.is_some(), lost };
                    (login::log_in(self.vault, &plan.login, prior, custody, self.host).await?, false)
                }
            };
            if !again && !of_before {
                plan.login.identity.forget();
            }
            let common = of_before || login::keep(spent, &session, custody, self.host);
            let failure = match self.read(session, plan, common, custody).await? {
                Read::Made(credential, session) => return Ok((*credential, session)),
                Read::Failed(failure) => failure,
            };
            again &= self.why_it_is_over(plan, custody).is_none();
            if of_before && failure.token_gone && custody.signal().is_none() {
                // It was revoked, or ended before its time: a secret ID may be good for another one.
                if let Some(Writer { cache, lock }) = custody.writer() {
                    cache.end_login(Some(lock), self.host);
                }
                custody.release();
                lost = true;
                continue;
            }
            Box::pin(recover(failure, spent, common, again, custody)).await?;
            again = false;
        }
    }

    /// Logs in, and makes nothing. The login is owed.
    ///
    /// # Errors
    /// As [`super::Source::obtain`].
    pub(crate) async fn log_in(&self, login: &Login, custody: &mut Custody<'_>) -> Result<Session> {
        let session = login::log_in(self.vault, login, PriorLogin::default(), custody, self.host).await?;
        custody.hold(Debt {
            session: session.duplicate(),
            leftover: Leftover::Nothing,
            path: String::new(),
            common: false,
            spends: login.identity.facts().spends,
        });
        // A token that the caller supplied is not ours to revoke.
        if session.own {
            custody.note(&session, "exec vault", None).await?;
        }
        Ok(session)
    }

    /// Reads another credential with the session of an earlier one. It is owed too. A read that fails is the failure of
    /// the run: what a new login could make better would end the other credentials.
    ///
    /// # Errors
    /// As [`super::Source::obtain`]. Nothing is left to revoke then, and the earlier credentials are revoked.
    pub(crate) async fn obtain_more(
        &self,
        session: Session,
        plan: &Plan,
        custody: &mut Custody<'_>,
    ) -> Result<(Credential, Session)> {
        custody.put_aside();
        let failure = match self.read(session, plan, false, custody).await? {
            Read::Made(credential, session) => return Ok((*credential, session)),
            Read::Failed(failure) => failure,
        };
        recover(failure, plan.login.identity.facts().spends, false, false, custody).await?;
        Err(Error::new(Kind::Internal, "a read that failed is not the failure of the run"))
    }

    /// Asks the engine with this session.
    ///
    /// # Errors
    /// What ends the run: a signal, or its time. Nothing is owed any more.
    async fn read(&self, mut session: Session, plan: &Plan, common: bool, custody: &mut Custody<'_>) -> Result<Read> {
        let path = &plan.mint.path;
        custody.hold(debt(plan, common, &session, Leftover::Nothing));
        custody.note(&session, path, None).await?;
        // What is only stored is not made by the read.
        let leftover = if plan.mint.stored { Leftover::Nothing } else { Leftover::Unknown };
        custody.hold(debt(plan, common, &session, leftover));
        let made = custody.race_read(engine::obtain(self.vault, &session, plan, self.host)).await?;
        let mut credential = match made {
            Ok(credential) => credential,
            Err(failure) => return Ok(Read::Failed(failure)),
        };
        custody.hold(debt(plan, common, &session, Leftover::of(&credential.lease)));
        if let Some(error) = self.why_it_is_over(plan, custody) {
            return Err(custody.clean_up(error).await);
        }
        if let Some(failure) = self.settle_life(&mut session, &mut credential, plan, custody).await? {
            return Ok(Read::Failed(failure));
        }
        custody.hold(debt(plan, common, &session, Leftover::of(&credential.lease)));
        self.note_use(&mut credential, &session, plan, common, custody).await?;
        custody.note(&session, path, Some(&credential.lease)).await?;
        Ok(Read::Made(Box::new(credential), session))
    }

    /// Has what was made live for as long as it shall: to the job's end, where nobody renews it later, and a child of a
    /// token for as long as the lease. Returns why it cannot be used.
    ///
    /// # Errors
    /// As [`VaultSource::read`].
    async fn settle_life(
        &self,
        session: &mut Session,
        credential: &mut Credential,
        plan: &Plan,
        custody: &mut Custody<'_>,
    ) -> Result<Option<Failure>> {
        let child = plan.login.identity.facts().child;
        if let Some(end) = plan.wanted_end() {
            let renewal = renewal::renew_until(self.vault, session, credential, (end, child), self.host);
            custody.race(renewal).await?;
        }
        if !child {
            return Ok(None);
        }
        let renewal = lease::renew_child(self.vault, session, &mut credential.lease, self.host);
        let renewed = custody.race(renewal).await?;
        let failure = |error| Failure { leftover: Leftover::of(&credential.lease), ..Failure::clean(error) };
        Ok(renewed.err().map(failure))
    }

    /// Notes, for the cache, what a new credential costs its login and when it ends with its token.
    async fn note_use(
        &self,
        credential: &mut Credential,
        session: &Session,
        plan: &Plan,
        common: bool,
        custody: &mut Custody<'_>,
    ) -> Result<()> {
        let Some(Writer { cache, lock }) = custody.writer() else { return Ok(()) };
        if common {
            cache.count_use(lock, session, self.host);
        }
        // Who keeps it must know its end: nobody hears of a token that ends before the lease.
        match auth::lender(&plan.login, session) {
            Some(token) => {
                let origin = plan.login.origin.to_string();
                custody.race(lease::end_with(self.vault, (token, &origin), &mut credential.lease, self.host)).await
            }
            None => Ok(()),
        }
    }

    /// Why what was just made is not delivered, and nothing made in its place: a signal during the read, or the end of the
    /// run's time.
    fn why_it_is_over(&self, plan: &Plan, custody: &Custody<'_>) -> Option<Error> {
        let deadline = plan.connection.timeout;
        let late = || {
            let text =
                format!("the answer to {} came after the run's deadline of {} s", plan.mint.path, deadline.as_secs());
            Error::new(Kind::Unavailable, text).hint("--timeout allows more")
        };
        match custody.signal() {
            Some(kind) => Some(interruption(kind)),
            None => (self.host.elapsed() > deadline).then(late),
        }
    }
}

/// What a read comes to.
enum Read {
    /// A credential, and the session that ends it.
    Made(Box<Credential>, Session),
    /// The read's own failure: what it may have left is owed until [`recover`].
    Failed(Failure),
}

fn debt(plan: &Plan, common: bool, session: &Session, leftover: Leftover) -> Debt {
    Debt {
        session: session.duplicate(),
        leftover,
        path: plan.mint.path.clone(),
        common,
        spends: plan.login.identity.facts().spends,
    }
}

/// Revokes what a failed read left; then another login and read may succeed.
///
/// # Errors
/// That read's own where it is the last one; that something may be left.
async fn recover(failure: Failure, spent: Spend, common: bool, again: bool, custody: &mut Custody<'_>) -> Result<()> {
    let Failure { error, leftover, transient, stray, .. } = failure;
    custody.note_stray(stray);
    // Nothing was made, and the next call may fare better: the secret that bought the login is gone.
    if common && matches!(leftover, Leftover::Nothing) {
        custody.release();
        let error = auth::after_spending(custody.or_signal(error), spent);
        return Err(custody.tell_of_the_login(error));
    }
    custody.note_leftover(leftover);
    let end = custody.revoke().await;
    let error = custody.or_signal(error);
    match end {
        Ok(()) if transient && again && custody.signal().is_none() => Ok(()),
        Ok(()) => Err(auth::after_spending(error, spent)),
        Err(leak) => Err(leaked(&error, leak)),
    }
}
