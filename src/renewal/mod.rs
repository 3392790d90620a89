//! What keeps a credential alive while a command runs: its lease is renewed, and so is the login that it hangs on.
//!
//! Nothing here makes a credential. What cannot be renewed expires, and the user is told in time.

mod fixed;
mod job;
mod successor;
mod term;

use std::time::Duration;

use jiff::Timestamp;

use crate::auth::Session;
use crate::config::Leash;
use crate::credential::{Credential, Life};
use crate::error::{Error, Kind, Result, printable};
use crate::host::Host;
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::time::{MARGIN, end_of, increment_until, left_until, render_time};
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::Outcome;
use crate::vault::wire::Envelope;

pub(crate) use fixed::FixedEnd;
pub(crate) use job::renew_until;
use term::{Goal, Term, TermLimit};

/// So long one renewal may take.
const REQUEST: Duration = Duration::from_secs(20);
/// So long the first ones may take together, which the command waits for.
const START: Duration = Duration::from_secs(10);
/// What limits a lease, and what to change.
const MAX_TTL: &str = "raise max_ttl of the engine's role, or of its mount";
/// A login that was to live for so long, and lives longer by more than this, has a period of its own.
const PERIOD_TOLERANCE: Duration = Duration::from_secs(5);

/// The leases of a run and its login.
pub(crate) struct Renewal<'a> {
    vault: &'a Vault<'a>,
    host: &'a Host,
    token: Secret,
    held: Vec<Held>,
    /// Whether the user himself says how long the credentials must last.
    demanded: bool,
    verbose: bool,
}

/// One of them.
struct Held {
    what: What,
    term: Term,
}

enum What {
    /// The token of the login.
    Login,
    /// A lease: its id and its path.
    Lease(String, String),
    /// A credential that no lease ends: its path.
    Unleased(String),
    /// The token that the caller supplied, with which all of that ends: what it is.
    Lender(String),
}

/// What one renewal came to.
enum RenewalAnswer {
    /// It lives until `end`, by a request that was sent at `sent`. `capped`: Vault says that it gives no more.
    Until { sent: Timestamp, end: Timestamp, capped: bool },
    /// Vault does not renew it.
    Refused(String),
    /// It may fare better later.
    Failed(Error),
}

impl<'a> Renewal<'a> {
    /// Nothing is asked yet. `want` is how long the credentials must last from now on, when that is known.
    pub(crate) fn new(
        vault: &'a Vault<'a>,
        session: &Session,
        credentials: &[Credential],
        want: Option<&WithOrigin<Duration>>,
        verbose: bool,
        host: &'a Host,
    ) -> Self {
        let now = host.now();
        let goal = want.and_then(|want| now.checked_add(want.value).ok());
        let demanded = want.is_some_and(|want| matches!(want.origin, Origin::Flag(_)));
        let mut held: Vec<_> = credentials.iter().filter_map(|one| hold_credential(one, session, goal, now)).collect();
        held.extend(hold_login(session, goal, now));
        Self { vault, host, token: session.token.duplicate(), held, demanded, verbose }
    }

    /// A token that the caller supplied expires then, and all that was made with it. Nobody here renews it.
    pub(crate) fn hold_lender(&mut self, what: String, end: Timestamp) {
        self.held.push(Held { what: What::Lender(what), term: Term::fixed(end, self.host.now()) });
    }

    /// Renews each lease, before the command starts, for as long as it must last, and puts the login on its leash.
    ///
    /// # Errors
    /// [`Kind::Config`] when a leash is demanded of a login that knows none.
    pub(crate) async fn begin(&mut self, session: &Session, leash: Option<Leash>) -> Result<()> {
        self.vault.extend(START);
        for index in 0..self.held.len() {
            // Also where that is shorter than what Vault granted: what the job does not need shall not live.
            let held = &self.held[index];
            if matches!((&held.what, held.term.goal), (What::Lease(..), Goal::Until(_))) {
                self.renew(index).await;
                self.tell_what_was_given(index);
            }
        }
        match leash {
            Some(leash) => self.put_on_leash(session, leash).await,
            None => Ok(()),
        }
    }

    /// Renews whatever needs it, and tells of what ends. Returns when nothing is left to do.
    pub(crate) async fn run(&mut self) {
        while self.step().await {}
    }

    /// Renews until something is about to expire that no renewal makes longer. Returns what it is, and when it expires. Where
    /// nothing is, it never returns.
    pub(crate) async fn run_until_expiry(&mut self) -> String {
        let mut idle = false;
        loop {
            let now = self.host.now();
            let near = |held: &&Held| held.term.stop_at().is_some_and(|when| when <= now);
            if let Some(Held { what, term }) = self.held.iter().find(near) {
                return format!("{} expires at {}", what.name(), render_time(term.end));
            }
            let pause = self.held.iter().filter_map(|held| held.term.stop_at()).min().map(|when| left_until(when, now));
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                more = self.step(), if !idle => idle = !more,
                else => std::future::pending().await,
            }
        }
    }

    /// Waits until something is to be done, and does it. Returns whether there was anything. Dropping the future loses
    /// nothing: what was asked is asked again.
    pub(crate) async fn step(&mut self) -> bool {
        let Some(next) = self.held.iter().filter_map(Held::next).min() else { return false };
        tokio::time::sleep(left_until(next, self.host.now())).await;
        let now = self.host.now();
        for index in 0..self.held.len() {
            if self.held[index].term.due.is_some_and(|due| due <= now) {
                self.vault.extend(REQUEST);
                self.renew(index).await;
            }
            self.tell_of_the_end(index);
        }
        true
    }

    /// Writes down until when each of them lives by now.
    pub(crate) fn note_ends(&self, session: &mut Session, credentials: &mut [Credential]) {
        for Held { what, term } in &self.held {
            match what {
                What::Login => session.expires_at = Some(term.end),
                What::Lease(id, _) => {
                    let own = |one: &&mut Credential| one.lease.id.as_ref() == Some(id);
                    credentials.iter_mut().filter(own).for_each(|one| one.lease.granted_until = Some(term.end));
                }
                What::Unleased(_) | What::Lender(_) => {}
            }
        }
    }

    async fn renew(&mut self, index: usize) {
        let increment = self.held[index].term.increment(self.host.now());
        let renewed = match &self.held[index].what {
            What::Lease(id, _) => read_answer(self.vault.renew_lease(id, &self.token, increment).await, |envelope| {
                envelope.lease_duration
            }),
            What::Login => {
                let login = |envelope: &Envelope| envelope.auth.as_ref().map_or(0, |auth| auth.lease_duration);
                read_answer(self.vault.keep_login(&self.token, increment).await, login)
            }
            What::Unleased(_) | What::Lender(_) => return,
        };
        let (now, jitter) = (self.host.now(), fastrand::f64());
        let term = &mut self.held[index].term;
        match renewed {
            RenewalAnswer::Until { sent, end, capped } => term.renew(sent, end, capped, jitter),
            RenewalAnswer::Refused(because) => term.refuse(because),
            RenewalAnswer::Failed(error) => {
                term.fail(now, jitter);
                if self.verbose {
                    let name = self.held[index].what.name();
                    self.say(&format!("not renewed: {name}: {}", error.message()));
                }
            }
        }
    }

    async fn put_on_leash(&mut self, session: &Session, leash: Leash) -> Result<()> {
        let because = match self.held.iter().position(|held| matches!(held.what, What::Login)) {
            None => why_none(session).to_owned(),
            Some(index) => {
                let now = self.host.now();
                let end = self.held[index].term.end;
                self.held[index].term = Term::new(Goal::Leash(leash.length), end, now, 0.0);
                self.renew(index).await;
                let term = &mut self.held[index].term;
                let left = left_until(term.end, now);
                match &term.fate {
                    Some(TermLimit::Refused(because)) => format!("Vault does not renew its token ({because})"),
                    None if term.due.is_some() && left > leash.length + PERIOD_TOLERANCE && term.end != end => {
                        *term = Term::new(Goal::For(left), term.end, now, fastrand::f64());
                        "its token is periodic, and Vault renews it for its period alone".to_owned()
                    }
                    _ => return Ok(()),
                }
            }
        };
        if leash.demanded {
            let text = format!("--leash cannot hold this login: {because}");
            return Err(Error::new(Kind::Config, text).hint("drop --leash, or pass --leash off"));
        }
        if self.verbose {
            self.say(&format!("no leash: {because}"));
        }
        Ok(())
    }

    /// Says that Vault gave less than the user asked for. What a job merely may need is told when its end is near.
    fn tell_what_was_given(&mut self, index: usize) {
        let Held { what, term } = &mut self.held[index];
        let (name, end) = (what.name(), render_time(term.end));
        if self.demanded && term.fate == Some(TermLimit::Capped) {
            term.told = true;
            self.say(&format!("warning: {name} expires at {end}, before --ttl is over; {MAX_TTL}"));
        } else if self.verbose && matches!(term.fate, Some(TermLimit::Capped | TermLimit::Reached)) {
            self.say(&format!("renewed: {name}, until {end}"));
        }
    }

    fn tell_of_the_end(&mut self, index: usize) {
        let now = self.host.now();
        let Held { what, term } = &mut self.held[index];
        if term.warn_at().is_none_or(|when| when > now) {
            return;
        }
        term.told = true;
        let why = match (&term.fate, &*what) {
            (Some(TermLimit::Reached), _) => "that is as long as it was asked to last: --ttl asks for more".to_owned(),
            (Some(TermLimit::Fixed), What::Login) => "nobody can renew that token".to_owned(),
            (_, What::Lender(_)) => {
                "what was made with it ends with it, and ci-creds does not renew a token that you supply".to_owned()
            }
            (Some(TermLimit::Fixed), _) => "nobody can renew it: --ttl asks for a longer one".to_owned(),
            (Some(TermLimit::Capped), What::Login) => {
                "raise token_max_ttl or token_explicit_max_ttl of the login's role".to_owned()
            }
            (Some(TermLimit::Capped), _) => MAX_TTL.to_owned(),
            // The engine's text when a request comes a moment after the last one that it grants.
            (Some(TermLimit::Refused(because)), What::Lease(..)) if because.contains("max TTL") => MAX_TTL.to_owned(),
            (Some(TermLimit::Refused(because)), _) => format!("Vault does not renew it ({because})"),
            (None, _) => "Vault does not answer its renewal, which is sent again".to_owned(),
        };
        let text = format!("{} expires at {}, and the command still runs; {why}", what.name(), render_time(term.end));
        self.say(&format!("warning: {text}"));
    }

    fn say(&self, text: &str) {
        self.host.write_stderr(&format!("ci-creds: {}\n", printable(text)));
    }
}

impl Held {
    /// When something is to be done about it.
    fn next(&self) -> Option<Timestamp> {
        let ends = [self.term.due, self.term.warn_at()];
        ends.into_iter().flatten().min()
    }
}

impl What {
    fn name(&self) -> String {
        match self {
            Self::Login => "the token of this login".into(),
            Self::Lease(_, path) | Self::Unleased(path) => format!("the credential of {path}"),
            Self::Lender(what) => what.clone(),
        }
    }
}

fn hold_credential(one: &Credential, session: &Session, goal: Option<Timestamp>, now: Timestamp) -> Option<Held> {
    let end = one.lease.granted_until?;
    let path = one.path.clone();
    let (what, term) = match (&one.lease.id, one.lease.life) {
        (Some(id), Life::Leased) if one.lease.renewable && session.uses == 0 => {
            (What::Lease(id.clone(), path), term_until(end, goal, now))
        }
        _ => (What::Unleased(path), Term::fixed(end, now)),
    };
    Some(Held { what, term })
}

/// The login, where it is ours to renew.
fn hold_login(session: &Session, goal: Option<Timestamp>, now: Timestamp) -> Option<Held> {
    let end = session.expires_at?.checked_add(MARGIN).ok()?;
    if !session.own || session.batch || session.uses != 0 {
        return None;
    }
    Some(Held { what: What::Login, term: term_until(end, goal, now) })
}

/// The term of what was granted until `end` a moment ago: for as long again, unless there is a goal.
fn term_until(end: Timestamp, goal: Option<Timestamp>, now: Timestamp) -> Term {
    let goal = goal.map_or_else(|| Goal::For(increment_until(end, now)), Goal::Until);
    Term::new(goal, end, now, fastrand::f64())
}

/// Why a login that is not held cannot be put on a leash.
fn why_none(session: &Session) -> &'static str {
    match session {
        Session { own: false, .. } => {
            "ci-creds never shortens a token that you supply (--child-token uses a child of it)"
        }
        Session { batch: true, .. } => "its token is a batch token, which nobody can renew or shorten",
        Session { uses: 1.., .. } => "its token is good for a counted number of requests, and each renewal is one",
        _ => "its token has no TTL",
    }
}

fn read_answer(exchange: Exchange, seconds: impl Fn(&Envelope) -> u64) -> RenewalAnswer {
    match exchange.outcome {
        Outcome::Done(envelope) => {
            let capped = envelope.cap_warnings().next().is_some();
            // Zero is less than a second: it has all but ended.
            let end = end_of(exchange.sent, seconds(&envelope)).unwrap_or(exchange.sent);
            RenewalAnswer::Until { sent: exchange.sent, end, capped }
        }
        Outcome::Refused(refusal) => RenewalAnswer::Refused(refusal.because()),
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
            RenewalAnswer::Failed(error)
        }
    }
}
