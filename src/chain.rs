//! One credential for this call: kept by an earlier one, or from Vault by login and read.
//!
//! It joins `auth`, `engine` and `store`, and decides what is kept and what is given back when something fails. What
//! becomes of the credential is not known here.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::auth::{self, Session};
use crate::aws::ready;
use crate::cache::{Cache, Ended, Kept, State, Turn};
use crate::config::Plan;
use crate::credential::Credential;
use crate::engine::{self, Failure, assemble};
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Lock};
use crate::identity::Spent;
use crate::lease::{self, Leftover};
use crate::stray::Stray;
use crate::time::render_time;
use crate::vault::client::Vault;

/// What one run asks, where it keeps, and what it owes until the credential is delivered.
pub(crate) struct Chain<'a> {
    vault: &'a Vault<'a>,
    cache: Option<&'a Cache>,
    host: &'a Host,
    /// Behind an `Rc`, because it is owed still while it is being given back.
    owed: RefCell<Option<Rc<Owed>>>,
    /// Ours to write into, while it is our turn. Held here, for a signal ends the work and not what follows it: until the
    /// job's login is given back, nobody else shall make anything with it.
    shelf: RefCell<Option<Shelf<'a>>>,
    /// The signal that came during the read.
    interrupted: Cell<Option<Kind>>,
    /// What a read whose answer was lost may have made, and nobody can take back.
    stray: RefCell<Option<Box<Stray>>>,
}

/// A cache, and the lock that lets this caller write into it.
#[derive(Clone)]
struct Shelf<'a> {
    cache: &'a Cache,
    lock: Rc<Lock>,
}

/// What a failure or a signal must take back: the session, from its login to the delivery, and what it has made.
struct Owed {
    session: Session,
    leftover: Leftover,
    /// The engine's path that was asked.
    path: String,
    /// The login is the job's: what it made before lives on it.
    common: bool,
    /// What the login used up.
    spends: Spent,
}

/// A credential, and whether anybody else may use it too.
pub(crate) struct Obtained {
    pub(crate) credential: Credential,
    /// It is in the cache: taking it back would take it from others.
    pub(crate) shared: bool,
}

/// A kept credential that is good enough without asking anybody. Touches no network.
pub(crate) fn find(cache: &Cache, plan: &Plan, host: &Host) -> Option<Credential> {
    cache.find(plan, host).filter(Kept::is_enough).map(|kept| unpack(kept, plan))
}

fn unpack(kept: Kept, plan: &Plan) -> Credential {
    let (values, lease) = kept.into_parts(&plan.shape);
    assemble(plan, values, lease)
}

impl<'a> Chain<'a> {
    pub(crate) fn new(vault: &'a Vault<'a>, cache: Option<&'a Cache>, host: &'a Host) -> Self {
        Self {
            vault,
            cache,
            host,
            owed: RefCell::default(),
            shelf: RefCell::default(),
            interrupted: Cell::default(),
            stray: RefCell::default(),
        }
    }

    /// Takes note of a signal, if the read that makes a credential is under way: that one must not be dropped, and the work
    /// then ends by itself, soon and with nothing delivered. Returns whether it does.
    pub(crate) fn interrupt(&self, kind: Kind) -> bool {
        let minting = self.vault.interrupt();
        self.interrupted.set(Some(kind).filter(|_| minting));
        minting
    }

    /// Tells with the run's end, whatever it is, what may live on that no lease ends.
    pub(crate) fn tell_of_strays(&self, end: Result<()>) -> Result<()> {
        match self.stray.take() {
            Some(stray) => stray.tell(end, self.host),
            None => end,
        }
    }

    /// Gets a credential, for this caller alone or for all that share the cache.
    ///
    /// # Errors
    /// As the login and the engine have them; [`Kind::Temporary`] when another caller takes too long.
    pub(crate) async fn obtain(&self, plan: &mut Plan) -> Result<Obtained> {
        if let Some(credential) = self.take_turn(plan).await? {
            return Ok(Obtained { credential, shared: true });
        }
        let issued = self.host.now();
        let obtained = match self.make(plan).await {
            Ok((credential, session)) => {
                let keep = |shelf: Shelf<'_>| shelf.cache.keep(&shelf.lock, &credential, &session, issued, self.host);
                let shared = self.shelf().is_some_and(keep);
                if shared {
                    self.release();
                }
                Ok(Obtained { credential, shared })
            }
            Err(error) => self.fall_back(plan, error),
        };
        self.shelf.replace(None);
        obtained
    }

    /// Waits for our turn, or for what another call makes for us. Without a cache there is nobody to wait for.
    async fn take_turn(&self, plan: &Plan) -> Result<Option<Credential>> {
        let Some(cache) = self.cache else { return Ok(None) };
        match cache.take_turn(plan, self.host).await? {
            Turn::Kept(kept) => Ok(Some(unpack(*kept, plan))),
            Turn::Untried(lock, kept) => {
                let credential = unpack(*kept, plan);
                self.wait_until_known(&credential, plan).await.map_err(|error| {
                    error.also("it is kept, of an earlier call: ci-creds cache clear gives it back")
                })?;
                cache.note_known(&lock, plan, self.host);
                Ok(Some(credential))
            }
            Turn::Ours(lock) => {
                self.shelf.replace(Some(Shelf { cache, lock: Rc::new(lock) }));
                Ok(None)
            }
            Turn::Nobody => Ok(None),
        }
    }

    fn shelf(&self) -> Option<Shelf<'a>> {
        self.shelf.borrow().clone()
    }

    /// The kept credential, as long as it lives, where no new one is to be had; also where nothing can be written any
    /// more. What may be left behind must be told.
    fn fall_back(&self, plan: &Plan, error: Error) -> Result<Obtained> {
        let kept = self.cache.and_then(|cache| cache.find(plan, self.host)).filter(|kept| kept.state != State::Ended);
        let Some(old) = kept.filter(|_| error.kind() != Kind::Leak && self.interrupted.get().is_none()) else {
            return Err(error);
        };
        self.host.warn(format!("the kept credential is used, for there is no new one: {}", error.message()));
        if let Some(shelf) = self.shelf() {
            shelf.cache.pause(&shelf.lock, &old, self.host);
        }
        Ok(Obtained { credential: unpack(old, plan), shared: true })
    }

    /// Makes a credential, and waits until it works where somebody asked for that.
    async fn make(&self, plan: &mut Plan) -> Result<(Credential, Session)> {
        let made = self.fetch(plan).await?;
        match self.wait_until_known(&made.0, plan).await {
            Ok(()) => Ok(made),
            Err(error) => Err(self.clean_up(error).await),
        }
    }

    /// Where somebody asked for that. What becomes of a credential that is not known in time is the caller's business.
    async fn wait_until_known(&self, credential: &Credential, plan: &Plan) -> Result<()> {
        let Some(readiness) = &plan.readiness else { return Ok(()) };
        let done = ready::wait(readiness, credential, plan.connection.timeout, self.host).await?;
        if plan.output.verbose {
            self.host.write_stderr(&format!("ci-creds: ready: {done}\n"));
        }
        Ok(())
    }

    /// Logs in and asks the engine. After an unclear answer, what it may have made is taken back, and one more login
    /// and read follow where the identity is good for it.
    async fn fetch(&self, plan: &mut Plan) -> Result<(Credential, Session)> {
        let shelf = self.shelf();
        let spent = plan.login.identity.facts().spends;
        let mut again = plan.login.identity.facts().repeatable;
        let mut kept = shelf.as_ref().and_then(|shelf| shelf.cache.find_login(self.host));
        let mut lost = false;
        loop {
            let (mut session, of_before) = match kept.take() {
                Some(session) => (session, true),
                None => (self.log_in(plan, lost).await?, false),
            };
            if !again && !of_before {
                plan.login.identity.forget();
            }
            let common = of_before || self.keep_login(spent, &session);
            self.hold(session.duplicate(), Leftover::Unknown, plan, common);
            let obtained = engine::obtain(self.vault, &session, plan, self.host).await;
            let over = self.why_it_is_over(plan);
            again &= over.is_none();
            let made = match obtained {
                Ok(mut credential) if over.is_none() && plan.login.identity.facts().child => {
                    let renewal = lease::renew_child(self.vault, &mut session, &mut credential.lease, self.host);
                    match renewal.await {
                        Ok(()) => Ok(credential),
                        Err(error) => {
                            let leftover = Leftover::of(&credential.lease);
                            Err(Failure { leftover, ..Failure::clean(error) })
                        }
                    }
                }
                obtained => obtained,
            };
            let Failure { error, leftover, transient, token_gone, stray } = match made {
                Ok(credential) => {
                    self.hold(session.duplicate(), Leftover::of(&credential.lease), plan, common);
                    return match over {
                        None => Ok(self.take_in(credential, session, plan, common).await),
                        Some(error) => {
                            let error = self.clean_up(error).await;
                            self.release();
                            Err(error)
                        }
                    };
                }
                Err(failed) => failed,
            };
            let error = self.interrupted.get().map_or(error, interruption);
            if stray.is_some() {
                self.stray.replace(stray);
            }
            match shelf.as_ref().filter(|_| common) {
                // It was revoked, or ended before its time: a secret id may be good for another one.
                Some(shelf) if of_before && token_gone && self.interrupted.get().is_none() => {
                    shelf.cache.end_login(Some(&shelf.lock), self.host);
                    self.release();
                    lost = true;
                    continue;
                }
                // Nothing was made, and the next call may fare better: the secret that bought the login is gone.
                Some(_) if matches!(leftover, Leftover::Nothing) => {
                    self.release();
                    return Err(self.tell_of_the_login(auth::after_spending(error, spent)));
                }
                _ => {}
            }
            self.hold(session, leftover, plan, common);
            let cleaned = self.give_back().await;
            self.release();
            match cleaned {
                Ok(()) if transient && again => again = false,
                Ok(()) => return Err(auth::after_spending(error, spent)),
                Err(leak) => return Err(leaked(&error, leak)),
            }
        }
    }

    /// Notes, for the cache, what a new credential costs its login and when it ends with its token.
    async fn take_in(
        &self,
        mut credential: Credential,
        session: Session,
        plan: &Plan,
        common: bool,
    ) -> (Credential, Session) {
        let Some(shelf) = self.shelf() else { return (credential, session) };
        if common {
            shelf.cache.count_use(&shelf.lock, &session, self.host);
        }
        // Who keeps it must know its end: nobody hears of a token that ends before the lease.
        if let Some(token) = auth::lender(&plan.login, &session) {
            lease::end_with(self.vault, token, &mut credential.lease, self.host).await;
        }
        (credential, session)
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
        match self.interrupted.get() {
            Some(kind) => Some(interruption(kind)),
            None => (self.host.elapsed() > deadline).then(late),
        }
    }

    /// Logs in, and notes for the job's other calls what became of a secret for one use.
    async fn log_in(&self, plan: &Plan, lost: bool) -> Result<Session> {
        let shelf = self.shelf();
        if let Some(until) = shelf.as_ref().and_then(|shelf| shelf.cache.login_paused(self.host)) {
            let text = format!(
                "Vault refused the {} before; it is not sent again until {}",
                plan.login.describe(),
                render_time(until)
            );
            return Err(self.explain(Error::new(Kind::Denied, text), plan, lost));
        }
        let auth::Failed { error, spent } = match auth::login(self.vault, &plan.login).await {
            Ok(session) => return Ok(session),
            Err(failed) => failed,
        };
        let refused = error.kind() == Kind::Denied;
        let error = self.explain(error, plan, lost);
        match shelf {
            Some(shelf) if spent => shelf.cache.end_login(Some(&shelf.lock), self.host),
            Some(shelf) if refused => shelf.cache.pause_login(&shelf.lock, self.host),
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
        let Some(shelf) = self.shelf() else {
            let in_vain = plan.cache.is_some() && !plan.login.identity.facts().repeatable;
            return if in_vain { kept_in_vain(error) } else { error };
        };
        match shelf.cache.login_ended(self.host) {
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

    /// Takes back what is owed, and returns what to tell: `error`, that a new run needs a new secret, or that something
    /// stays.
    pub(crate) async fn clean_up(&self, error: Error) -> Error {
        let spent = self.owed.borrow().as_ref().map_or(Spent::Nothing, |owed| owed.spends);
        match self.give_back().await {
            Ok(()) => self.tell_of_the_login(auth::after_spending(error, spent)),
            Err(leak) => leaked(&error, leak),
        }
    }

    /// That the job's next call needs no secret, where that is so.
    fn tell_of_the_login(&self, error: Error) -> Error {
        match self.cache.and_then(|cache| cache.find_login(self.host)) {
            Some(_) => error.also("the login is kept for the job's next call"),
            None => error,
        }
    }

    async fn give_back(&self) -> Result<()> {
        let (owed, shelf) = (self.owed.borrow().clone(), self.shelf());
        let Some(owed) = owed else { return Ok(()) };
        self.vault.begin_clean_up();
        let Owed { session, leftover, path, common, .. } = &*owed;
        if *common {
            // The lease alone, if Vault lets us: other credentials of this job live on the same login.
            let lent = Session { own: false, ..session.duplicate() };
            if leftover.is_separate() && lease::give_back(self.vault, &lent, leftover, path).await.is_ok() {
                return Ok(());
            }
            if let Some(cache) = self.cache {
                cache.end_login(shelf.as_ref().map(|shelf| &*shelf.lock), self.host);
            }
        }
        lease::give_back(self.vault, session, leftover, path).await
    }

    /// Keeps what a single-use secret bought. Any other login is made anew: its token would be older than the
    /// credential, and end it early.
    fn keep_login(&self, spent: Spent, session: &Session) -> bool {
        let keep = |shelf: Shelf<'_>| shelf.cache.keep_login(&shelf.lock, session, self.host);
        spent != Spent::Nothing && self.shelf().is_some_and(keep)
    }

    fn hold(&self, session: Session, leftover: Leftover, plan: &Plan, common: bool) {
        let (path, spends) = (plan.mint.path.clone(), plan.login.identity.facts().spends);
        self.owed.replace(Some(Rc::new(Owed { session, leftover, path, common, spends })));
    }

    fn release(&self) {
        self.owed.replace(None);
    }
}

/// How a run ends that got a signal.
pub(crate) fn interruption(kind: Kind) -> Error {
    Error::new(kind, "the run was ended by a signal; nothing was delivered")
}

fn kept_in_vain(error: Error) -> Error {
    error.also("nothing can be kept here, so an earlier call of this job may have spent it").hint(
        "-v says why; XDG_RUNTIME_DIR can name a private folder for it. If no earlier call used it, somebody else did: \
        read Vault's audit log",
    )
}

/// A failure that could not be cleaned up: what may be left is what the user must act on.
fn leaked(error: &Error, leak: Error) -> Error {
    leak.also(format!("what failed: {}", error.message()))
}
