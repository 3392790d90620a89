//! One credential for this run: from the cache, or from Vault by login and read.
//!
//! It joins `auth`, `engine` and `cache`, and decides what is cached, and what is read again after a failure. What a
//! failure gives back is `custody`'s; what becomes of the credential is not known here.

use crate::auth::{self, Session};
use crate::aws::ready;
use crate::cache::{Cache, Ended, Kept, State, Turn};
use crate::config::Plan;
use crate::credential::Credential;
use crate::custody::{Custody, Debt, Writer, interruption, leaked};
use crate::engine::{self, Failure, assemble};
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Interrupt};
use crate::identity::Spent;
use crate::lease::{self, Leftover};
use crate::time::render_time;
use crate::vault::client::Vault;

/// What one run asks, where it caches, and what it owes.
pub(crate) struct Chain<'a> {
    vault: &'a Vault<'a>,
    cache: Option<&'a Cache>,
    host: &'a Host,
    custody: Custody<'a>,
}

/// A cached credential that is good enough without asking anybody. Touches no network.
pub(crate) fn find(cache: &Cache, plan: &Plan, host: &Host) -> Option<Credential> {
    cache.find(plan, host).filter(Kept::is_enough).map(|kept| unpack(kept, plan))
}

fn unpack(kept: Kept, plan: &Plan) -> Credential {
    let (values, lease) = kept.into_parts(&plan.shape);
    assemble(plan, values, lease)
}

impl<'a> Chain<'a> {
    pub(crate) fn new(vault: &'a Vault<'a>, cache: Option<&'a Cache>, host: &'a Host, interrupt: Interrupt) -> Self {
        Self { vault, cache, host, custody: Custody::new(vault, cache, host, interrupt) }
    }

    /// Gets a credential, for this run alone or for all that share the cache; in the cache, it is not owed.
    ///
    /// # Errors
    /// As the login and the engine have them; [`Kind::Temporary`] when another caller takes too long; what ends the run
    /// after a signal. Nothing is owed any more.
    pub(crate) async fn obtain(mut self, plan: &mut Plan) -> Result<(Credential, Custody<'a>)> {
        let obtained = self.find_or_make(plan).await;
        self.custody.unlock();
        match obtained {
            Ok(credential) => Ok((credential, self.custody)),
            Err(error) => Err(self.custody.fail(error)),
        }
    }

    async fn find_or_make(&mut self, plan: &mut Plan) -> Result<Credential> {
        if let Some(credential) = self.take_turn(plan).await? {
            return Ok(credential);
        }
        let issued = self.host.now();
        let (credential, session) = match self.make(plan).await {
            Ok(made) => made,
            Err(error) => return self.fall_back(plan, error),
        };
        let keep = |Writer { cache, lock }: Writer<'_>| cache.keep(lock, &credential, &session, issued, self.host);
        if self.custody.writer().is_some_and(keep) {
            self.custody.release();
        }
        Ok(credential)
    }

    /// Waits for our turn, or for what another call makes for us. Without a cache there is nobody to wait for.
    async fn take_turn(&mut self, plan: &Plan) -> Result<Option<Credential>> {
        let Some(cache) = self.cache else { return Ok(None) };
        match self.custody.race(cache.take_turn(plan, self.host)).await?? {
            Turn::Kept(kept) => Ok(Some(unpack(*kept, plan))),
            Turn::Untried(lock, kept) => {
                let credential = unpack(*kept, plan);
                let known = wait_until_known(&credential, plan, self.host);
                self.custody.race(known).await?.map_err(|error| {
                    error.also("it is kept, of an earlier call: ci-creds cache clear gives it back")
                })?;
                cache.note_known(&lock, plan, self.host);
                Ok(Some(credential))
            }
            Turn::Ours(lock) => {
                self.custody.lock(lock);
                Ok(None)
            }
            Turn::Nobody => Ok(None),
        }
    }

    /// The cached credential, as long as it lives, where no new one is to be had; also where nothing can be written any
    /// more. What may be left behind must be told.
    fn fall_back(&self, plan: &Plan, error: Error) -> Result<Credential> {
        let kept = self.cache.and_then(|cache| cache.find(plan, self.host)).filter(|kept| kept.state != State::Ended);
        let Some(old) = kept.filter(|_| error.kind() != Kind::Leak && self.custody.signal().is_none()) else {
            return Err(error);
        };
        self.host.warn(format!("the kept credential is used, for there is no new one: {}", error.message()));
        if let Some(Writer { cache, lock }) = self.custody.writer() {
            cache.pause(lock, &old, self.host);
        }
        Ok(unpack(old, plan))
    }

    /// Makes a credential, and waits until it works where somebody asked for that.
    async fn make(&mut self, plan: &mut Plan) -> Result<(Credential, Session)> {
        let made = self.log_in_and_read(plan).await?;
        match self.custody.race(wait_until_known(&made.0, plan, self.host)).await? {
            Ok(()) => Ok(made),
            Err(error) => Err(self.custody.clean_up(error).await),
        }
    }

    /// Logs in and asks the engine. After an unclear answer, what it may have made is taken back, and one more login
    /// and read follow where the identity is good for it.
    async fn log_in_and_read(&mut self, plan: &mut Plan) -> Result<(Credential, Session)> {
        let spent = plan.login.identity.facts().spends;
        let mut again = plan.login.identity.facts().repeatable;
        let mut cached = self.custody.writer().and_then(|writer| writer.cache.find_login(self.host));
        let mut lost = false;
        loop {
            let (session, of_before) = match cached.take() {
                Some(session) => (session, true),
                None => (self.log_in(plan, lost).await?, false),
            };
            if !again && !of_before {
                plan.login.identity.forget();
            }
            let common = of_before || self.keep_login(spent, &session);
            let failure = match self.read(session, plan, common).await? {
                Ok(made) => return Ok(made),
                Err(failure) => failure,
            };
            again &= self.why_it_is_over(plan).is_none();
            if of_before && failure.token_gone && self.custody.signal().is_none() {
                // It was revoked, or ended before its time: a secret id may be good for another one.
                if let Some(Writer { cache, lock }) = self.custody.writer() {
                    cache.end_login(Some(lock), self.host);
                }
                self.custody.release();
                lost = true;
                continue;
            }
            self.recover(failure, spent, common, again).await?;
            again = false;
        }
    }

    /// Asks the engine with this session. What a failure may have left is owed until [`Chain::recover`].
    async fn read(
        &mut self,
        mut session: Session,
        plan: &Plan,
        common: bool,
    ) -> Result<Result<(Credential, Session), Failure>> {
        let debt = |session: &Session, leftover| Debt {
            session: session.duplicate(),
            leftover,
            path: plan.mint.path.clone(),
            common,
            spends: plan.login.identity.facts().spends,
        };
        self.custody.hold(debt(&session, Leftover::Unknown));
        let read = engine::obtain(self.vault, &session, plan, self.host);
        let mut credential = match self.custody.race_read(read).await? {
            Ok(credential) => credential,
            Err(failure) => return Ok(Err(failure)),
        };
        let over = self.why_it_is_over(plan);
        if over.is_none() && plan.login.identity.facts().child {
            let renewal = lease::renew_child(self.vault, &mut session, &mut credential.lease, self.host);
            if let Err(error) = self.custody.race(renewal).await? {
                let leftover = Leftover::of(&credential.lease);
                return Ok(Err(Failure { leftover, ..Failure::clean(error) }));
            }
        }
        self.custody.hold(debt(&session, Leftover::of(&credential.lease)));
        match over {
            None => {
                self.note_use(&mut credential, &session, plan, common).await?;
                Ok(Ok((credential, session)))
            }
            Some(error) => Err(self.custody.clean_up(error).await),
        }
    }

    /// Gives back what a failed read left; then another login and read may fare better.
    ///
    /// # Errors
    /// That read's own where it is the last one; that something may be left.
    async fn recover(&mut self, failure: Failure, spent: Spent, common: bool, again: bool) -> Result<()> {
        let Failure { error, leftover, transient, stray, .. } = failure;
        self.custody.note_stray(stray);
        // Nothing was made, and the next call may fare better: the secret that bought the login is gone.
        if common && matches!(leftover, Leftover::Nothing) {
            self.custody.release();
            let error = self.custody.signal().map_or(error, interruption);
            return Err(self.custody.tell_of_the_login(auth::after_spending(error, spent)));
        }
        self.custody.note_leftover(leftover);
        let end = self.custody.give_back().await;
        let signal = self.custody.signal();
        let error = signal.map_or(error, interruption);
        match end {
            Ok(()) if transient && again && signal.is_none() => Ok(()),
            Ok(()) => Err(auth::after_spending(error, spent)),
            Err(leak) => Err(leaked(&error, leak)),
        }
    }

    /// Notes, for the cache, what a new credential costs its login and when it ends with its token.
    async fn note_use(
        &mut self,
        credential: &mut Credential,
        session: &Session,
        plan: &Plan,
        common: bool,
    ) -> Result<()> {
        let Some(Writer { cache, lock }) = self.custody.writer() else { return Ok(()) };
        if common {
            cache.count_use(lock, session, self.host);
        }
        // Who keeps it must know its end: nobody hears of a token that ends before the lease.
        match auth::lender(&plan.login, session) {
            Some(token) => {
                self.custody.race(lease::end_with(self.vault, token, &mut credential.lease, self.host)).await
            }
            None => Ok(()),
        }
    }

    /// Why what was just made is not delivered, and nothing made in its place: a signal during the read, or the end of the
    /// run's time.
    fn why_it_is_over(&self, plan: &Plan) -> Option<Error> {
        let deadline = plan.connection.timeout;
        let late = || {
            let text =
                format!("the answer to {} came after the run's deadline of {} s", plan.mint.path, deadline.as_secs());
            Error::new(Kind::Unavailable, text).hint("--timeout allows more")
        };
        match self.custody.signal() {
            Some(kind) => Some(interruption(kind)),
            None => (self.host.elapsed() > deadline).then(late),
        }
    }

    /// Logs in, and notes for the job's other calls what became of a secret for one use.
    async fn log_in(&mut self, plan: &Plan, lost: bool) -> Result<Session> {
        let paused = self.custody.writer().and_then(|writer| writer.cache.login_paused(self.host));
        if let Some(until) = paused {
            let text = format!(
                "Vault refused the {} before; it is not sent again until {}",
                plan.login.describe(),
                render_time(until)
            );
            return Err(self.explain(Error::new(Kind::Denied, text), plan, lost));
        }
        let auth::Failed { error, spent } = match self.custody.race(auth::login(self.vault, &plan.login)).await? {
            Ok(session) => return Ok(session),
            Err(failed) => failed,
        };
        let refused = error.kind() == Kind::Denied;
        let error = self.explain(error, plan, lost);
        match self.custody.writer() {
            Some(Writer { cache, lock }) if spent => cache.end_login(Some(lock), self.host),
            Some(Writer { cache, lock }) if refused => cache.pause_login(lock, self.host),
            _ => {}
        }
        Err(error)
    }

    /// The login failed. If that is because the secret was for one use, what this job did with it says more than Vault.
    /// `lost`: Vault did not know the login that was kept.
    fn explain(&self, error: Error, plan: &Plan, lost: bool) -> Error {
        if !matches!(error.kind(), Kind::Spent | Kind::Denied) {
            return error;
        }
        if lost {
            return error.also("the login that this job had for it is not known to Vault any more").hint(
                "was it revoked, or Vault restored? Vault's audit log says; the job needs a new secret, or an ID token",
            );
        }
        let Some(Writer { cache, .. }) = self.custody.writer() else {
            let in_vain = plan.cache.is_some() && !plan.login.identity.facts().repeatable;
            return if in_vain { kept_in_vain(error) } else { error };
        };
        match cache.login_ended(self.host) {
            Some(Ended::OfAge(end)) => {
                error.also(format!("the login that this job had for it ended at {}", render_time(end))).hint(
                    "raise token_ttl and token_max_ttl of the AppRole above the length of the job, or use an ID token",
                )
            }
            Some(Ended::Gone(when)) => error
                .also(format!("an earlier call of this job used it at {}, and its login is gone", render_time(when)))
                .hint("give the job a new secret; if that call failed, mend first what it told"),
            None => error,
        }
    }

    /// Keeps what a single-use secret bought. Any other login is made anew: its token would be older than the
    /// credential, and end it early.
    fn keep_login(&self, spent: Spent, session: &Session) -> bool {
        let keep = |Writer { cache, lock }: Writer<'_>| cache.keep_login(lock, session, self.host);
        spent != Spent::Nothing && self.custody.writer().is_some_and(keep)
    }
}

/// Where somebody asked for that. What becomes of a credential that is not known in time is the caller's business.
async fn wait_until_known(credential: &Credential, plan: &Plan, host: &Host) -> Result<()> {
    let Some(readiness) = &plan.readiness else { return Ok(()) };
    let done = ready::wait(readiness, credential, plan.connection.timeout, host).await?;
    if plan.output.verbose {
        host.write_stderr(&format!("ci-creds: ready: {done}\n"));
    }
    Ok(())
}

fn kept_in_vain(error: Error) -> Error {
    error.also("nothing can be kept here, so an earlier call of this job may have spent it").hint(
        "-v says why; XDG_RUNTIME_DIR can name a private folder for it. If no earlier call used it, somebody else did: \
        read Vault's audit log",
    )
}
