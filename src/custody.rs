//! What a run owes from its login to the delivery: the session and what it made, the lock under which it was made, and
//! what Vault does not know of.
//!
//! One value from the first wait to the last. It ends in [`Custody::finish`], where nothing is owed, or in
//! [`Custody::abandon`], which revokes what is. A signal is seen only where the run waits by [`Custody::race`] or
//! [`Custody::race_read`], so whatever was owed then is still here.

use std::pin::pin;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use crate::auth::{self, Session};
use crate::cache::{Cache, JobRecord, JobState, Noting, renewed, renewed_lease};
use crate::credential::Lease;
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Interrupt, Lock};
use crate::identity::Spend;
use crate::lease::{self, Leftover};
use crate::stray::Stray;
use crate::time::render_time;
use crate::vault::client::Vault;

/// What a run owes, and the signal that ends it.
pub(crate) struct Custody<'a> {
    /// Who revokes what is owed; `None` where nothing that the run makes can be revoked.
    vault: Option<&'a Vault<'a>>,
    cache: Option<&'a Cache>,
    host: &'a Host,
    interrupt: Interrupt,
    /// Held while we write into the cache, and until the job's login is revoked: nobody else shall make anything with it.
    lock: Option<Lock>,
    debt: Option<Debt>,
    /// Where what is made is noted for `ci-creds revoke`.
    state: Option<StateLink<'a>>,
    /// The note of what is owed.
    note: Option<String>,
    /// The notes of what the same session made before.
    earlier_notes: Vec<String>,
    /// What the same session made before, and the paths that were asked.
    earlier: Vec<(Leftover, String)>,
    /// What a read whose answer was lost may have made, and nobody can take back.
    stray: Option<Box<Stray>>,
}

/// What a failure or a signal must take back: a session, and what it has made.
pub(crate) struct Debt {
    pub(crate) session: Session,
    pub(crate) leftover: Leftover,
    /// The engine's path that was asked.
    pub(crate) path: String,
    /// The login is the job's: what it made before lives on it.
    pub(crate) common: bool,
    /// What the login used up.
    pub(crate) spends: Spend,
}

/// The state of the job, and whether a run fails that cannot note what it makes.
#[derive(Clone, Copy)]
struct StateLink<'a> {
    state: &'a JobState,
    required: bool,
    /// Since when the run lasts that renews what it makes; `None` for one that hands it over.
    renewed_since: Option<Timestamp>,
}

/// A cache, and the lock that lets this run write into it.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) lock: &'a Lock,
}

impl<'a> Custody<'a> {
    /// Nothing is owed yet.
    pub(crate) fn new(
        vault: Option<&'a Vault<'a>>,
        cache: Option<&'a Cache>,
        host: &'a Host,
        interrupt: Interrupt,
    ) -> Self {
        Self {
            vault,
            cache,
            host,
            interrupt,
            lock: None,
            debt: None,
            earlier: Vec::new(),
            state: None,
            note: None,
            earlier_notes: Vec::new(),
            stray: None,
        }
    }

    /// From now on, what is made is noted there. `required`: a run fails that cannot.
    #[must_use]
    pub(crate) fn with_state(mut self, state: Option<&'a JobState>, required: bool) -> Self {
        self.state = state.map(|state| StateLink { state, required, renewed_since: None });
        self
    }

    /// What is noted is renewed for as long as the run lasts.
    #[must_use]
    pub(crate) fn while_renewed(mut self) -> Self {
        self.state = self.state.map(|link| StateLink { renewed_since: Some(self.host.now()), ..link });
        self
    }

    /// Takes the lock of the cache, until [`Custody::unlock`].
    pub(crate) fn lock(&mut self, lock: Lock) {
        self.lock = Some(lock);
    }

    /// Lets other callers have their turn.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
    }

    /// What lets this run write into the cache, while the lock is held.
    pub(crate) fn writer(&self) -> Option<Writer<'_>> {
        Some(Writer { cache: self.cache?, lock: self.lock.as_ref()? })
    }

    /// From now on this is owed, and nothing else.
    pub(crate) fn hold(&mut self, debt: Debt) {
        self.debt = Some(debt);
    }

    /// Notes in the job's state that this session is about to make a credential, or that it made this one.
    ///
    /// # Errors
    /// That it cannot be noted, where it must; that the job is over, because `ci-creds revoke` has run meanwhile; what
    /// ends the run after a signal. Nothing is owed any more then.
    pub(crate) async fn note(&mut self, session: &Session, path: &str, made: Option<&Lease>) -> Result<()> {
        let Some(StateLink { state, required, renewed_since }) = self.state else { return Ok(()) };
        let (id, host) = match self.note.take().filter(|_| made.is_some()) {
            Some(id) => (id, self.host),
            None if made.is_some() => return Ok(()),
            None => (self.host.draw_word()?, self.host),
        };
        self.note = Some(id.clone());
        let (session, made) = match renewed_since {
            Some(_) => (renewed(session), made.map(renewed_lease)),
            None => (session.duplicate(), made.cloned()),
        };
        let problem = match self.race(state.note(&id, path, &session, made.as_ref(), host)).await? {
            Ok(Noting::Done) => return Ok(()),
            Ok(Noting::Late(when)) => {
                host.alarm(format!(
                    "ci-creds revoke ran in this job at {}: run it again to revoke this credential",
                    render_time(when)
                ));
                return Ok(());
            }
            Ok(Noting::Over) => {
                self.note = None;
                Error::new(Kind::Output, "ci-creds revoke has revoked this job's logins since this call began")
                    .hint("run it at the end of the job, in after_script")
            }
            Err(problem) if !required => {
                host.warn(format!("ci-creds revoke will not know this credential: {problem}"));
                return Ok(());
            }
            Err(problem) => Error::new(Kind::Create, format!("the state of the job {problem}"))
                .hint("--no-keep-state goes on without it"),
        };
        Err(self.clean_up(problem).await)
    }

    /// What is owed stays owed beside what the same session makes next.
    pub(crate) fn put_aside(&mut self) {
        if let Some(debt) = &mut self.debt {
            let leftover = std::mem::replace(&mut debt.leftover, Leftover::Nothing);
            self.earlier.push((leftover, debt.path.clone()));
        }
        self.earlier_notes.extend(self.note.take());
    }

    /// What is owed has left this.
    pub(crate) fn note_leftover(&mut self, leftover: Leftover) {
        if let Some(debt) = &mut self.debt {
            debt.leftover = leftover;
        }
    }

    /// Nothing is owed any more: it was handed to the cache, or Vault does not know it.
    pub(crate) fn release(&mut self) {
        self.debt = None;
    }

    /// Whether nothing is owed.
    pub(crate) fn is_empty(&self) -> bool {
        self.debt.is_none()
    }

    /// Notes what may live on that no lease ends; it is told with the run's end.
    pub(crate) fn note_stray(&mut self, stray: Option<Box<Stray>>) {
        self.stray = stray.or(self.stray.take());
    }

    /// The error of the run: the signal's, if one came.
    pub(crate) fn or_signal(&self, error: Error) -> Error {
        self.signal().map_or(error, interruption)
    }

    /// The signal that ends this run, if one came.
    pub(crate) fn signal(&self) -> Option<Kind> {
        self.interrupt.kind()
    }

    /// What the work comes to. A signal drops the work.
    ///
    /// # Errors
    /// What ends the run after a signal; nothing is owed any more.
    pub(crate) async fn race<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        match self.interrupt.race(work).await {
            Ok(done) => Ok(done),
            Err(kind) => Err(self.clean_up(interruption(kind)).await),
        }
    }

    /// As [`Custody::race`], but the request that makes a credential is not dropped: Vault's client soon ends it.
    ///
    /// # Errors
    /// As [`Custody::race`], when the signal did not come during that request.
    pub(crate) async fn race_read<T>(&mut self, read: impl Future<Output = T>) -> Result<T> {
        let kind = {
            let mut read = pin!(read);
            tokio::select! {
                biased;
                done = &mut read => return Ok(done),
                kind = self.interrupt.wait() => match self.vault.is_some_and(Vault::interrupt) {
                    true => return Ok(read.await),
                    false => kind,
                },
            }
        };
        Err(self.clean_up(interruption(kind)).await)
    }

    /// Gives back what is owed. A signal meanwhile begins that anew, with its own seconds.
    ///
    /// # Errors
    /// [`Kind::Leak`] saying what may be left. Nothing is owed any more all the same.
    pub(crate) async fn revoke(&mut self) -> Result<()> {
        let (Some(debt), Some(vault)) = (self.debt.take(), self.vault) else { return Ok(()) };
        let earlier = std::mem::take(&mut self.earlier);
        let lock = self.lock.as_ref();
        let revoked = self.interrupt.race(debt.revoke(vault, self.cache, lock, self.host)).await;
        let mut end = match revoked {
            Ok(end) => end,
            Err(_) => debt.revoke(vault, self.cache, lock, self.host).await,
        };
        // A token that was ours is gone by now, and these with it: Vault says so at once.
        for (leftover, path) in earlier {
            if let Err(leak) = lease::revoke(vault, &debt.session, &leftover, &path).await {
                end = Err(match end {
                    Ok(()) => leak,
                    Err(first) => first.also(leak.message()),
                });
            }
        }
        if let (Ok(()), Some(StateLink { state, .. })) = (&end, self.state) {
            let notes = self.take_notes();
            if !notes.is_empty() {
                state.forget(&notes, !debt.common, self.host).await;
            }
        }
        end
    }

    fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.earlier_notes).into_iter().chain(self.note.take()).collect()
    }

    /// Gives back what is owed, and returns what to tell: `error`, or the signal that came meanwhile; that a new run needs
    /// a new secret; or that something stays.
    ///
    /// In a box: each wait that a signal can end would hold all of it, and ten kilobytes of stack with it.
    pub(crate) fn clean_up(&mut self, error: Error) -> LocalBoxFuture<'_, Error> {
        Box::pin(async move {
            let spent = self.debt.as_ref().map_or(Spend::Nothing, |debt| debt.spends);
            let end = self.revoke().await;
            let error = self.or_signal(error);
            match end {
                Ok(()) => self.tell_of_the_login(auth::after_spending(error, spent)),
                Err(leak) => leaked(&error, leak),
            }
        })
    }

    /// That the job's next call needs no secret, where that is so.
    pub(crate) fn tell_of_the_login(&self, error: Error) -> Error {
        match self.cache.and_then(|cache| cache.find_login(self.host)) {
            Some(_) => error.also("the login is cached for the job's next call"),
            None => error,
        }
    }

    /// Ends a run that delivered, and warns of what may live on that no lease ends.
    pub(crate) fn finish(self) {
        if let Some(stray) = self.stray {
            stray.warn(self.host);
        }
    }

    /// Ends the making, not the run: what is owed is given back by somebody else, who listens to the signals from here on.
    ///
    /// # Errors
    /// What ends the run after a signal that came until now; nothing is owed any more.
    pub(crate) async fn hand_on(mut self) -> Result<(Interrupt, Option<JobRecord<'a>>)> {
        self.interrupt.look().await;
        if let Some(kind) = self.signal() {
            return Err(self.abandon(interruption(kind)).await);
        }
        if let Some(stray) = self.stray.take() {
            stray.warn(self.host);
        }
        let notes = self.take_notes();
        let record = |link: StateLink<'a>| {
            Some(JobRecord::new(link.state, link.required, (notes, link.renewed_since?), self.host))
        };
        let record = self.state.and_then(record);
        Ok((self.interrupt, record))
    }

    /// Ends a run that failed with nothing owed. Returns the error, with what may live on that no lease ends.
    pub(crate) fn fail(self, error: Error) -> Error {
        match self.stray {
            Some(stray) => stray.join(error),
            None => error,
        }
    }

    /// Ends a run that could not deliver: revokes what is owed. Returns what to tell, as [`Custody::clean_up`] and
    /// [`Custody::fail`] do.
    pub(crate) async fn abandon(mut self, error: Error) -> Error {
        let error = self.clean_up(error).await;
        self.fail(error)
    }
}

impl Debt {
    async fn revoke(&self, vault: &Vault<'_>, cache: Option<&Cache>, lock: Option<&Lock>, host: &Host) -> Result<()> {
        vault.begin_clean_up();
        let Self { session, leftover, path, common, .. } = self;
        if *common {
            // The lease alone, if Vault lets us: other credentials of this job live on the same login.
            let lent = Session { own: false, ..session.duplicate() };
            if leftover.is_separate() && lease::revoke(vault, &lent, leftover, path).await.is_ok() {
                return Ok(());
            }
            if let Some(cache) = cache {
                cache.end_login(lock, host);
            }
        }
        lease::revoke(vault, session, leftover, path).await
    }
}

/// How a run ends that got a signal.
pub(crate) fn interruption(kind: Kind) -> Error {
    Error::new(kind, "the run was ended by a signal; nothing was delivered")
}

/// A failure that could not be cleaned up: what may be left is what the user must act on.
pub(crate) fn leaked(error: &Error, leak: Error) -> Error {
    let leak = leak.also(format!("what failed: {}", error.message()));
    // Who is no Vault has most likely made nothing: what to change about that comes first.
    match (error.change().filter(|_| error.kind() == Kind::Protocol), leak.change().map(str::to_owned)) {
        (Some(change), Some(end)) => leak.hint(format!("{change}. If Vault got the request, {end}")),
        _ => leak,
    }
}
