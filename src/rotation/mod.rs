//! Rotation: a new AWS credential before the one that is served expires, for as long as a command runs. Here are those of a
//! Vault, in `session` those of STS.
//!
//! The endpoint answers from memory, and nothing that it is asked makes a credential. Reads happen by the schedule alone,
//! one at a time.

mod current;
mod schedule;
mod session;
mod succession;

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::{self, Session};
use crate::cache::JobRecord;
use crate::chain;
use crate::config::{Leash, Plan};
use crate::credential::{Credential, Life};
use crate::engine;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::job_token;
use crate::lease;
use crate::renewal::Renewal;
use crate::time::MARGIN;
use crate::vault::client::Vault;

pub(crate) use current::Current;
pub(crate) use session::{OnlyToken, replace_sessions};
use succession::Succession;

/// So long one login, or one read, may take.
const REQUEST: Duration = Duration::from_secs(20);

/// What the run holds of Vault's: a session, and what it read, without the values.
pub(crate) struct Holdings<'a> {
    /// The login.
    pub(crate) session: &'a mut Session,
    /// The credentials, the one that is served last.
    pub(crate) credentials: &'a mut Vec<Credential>,
    /// Where they are noted for `ci-creds revoke`.
    pub(crate) record: Option<&'a JobRecord<'a>>,
}

/// The schedule of one credential, and how its successors are read.
pub(crate) struct Rotation<'a> {
    vault: &'a Vault<'a>,
    plan: &'a Plan,
    leash: Option<Leash>,
    host: &'a Host,
    current: &'a Current<'a>,
    succession: Succession<'a>,
    /// The lease of the credential that is served now, while renewals may keep it.
    lease: Option<String>,
}

impl<'a> Rotation<'a> {
    /// The successors of what `current` serves, which was made by this plan a moment ago.
    pub(crate) fn new(
        vault: &'a Vault<'a>,
        plan: &'a Plan,
        leash: Option<Leash>,
        current: &'a Current<'a>,
        host: &'a Host,
    ) -> Self {
        let mut rotation =
            Self { vault, plan, leash, host, current, succession: Succession::new(plan, current, host), lease: None };
        rotation.begin(host.now());
        rotation
    }

    /// Reads each successor in its time, and renews beside that.
    pub(crate) async fn run(&mut self, renewal: &mut Renewal<'_>, mut holdings: Holdings<'_>) -> Infallible {
        renewal.expect_successor(&self.plan.mint.path, self.can_log_in_again());
        let mut idle = false;
        loop {
            self.follow(renewal);
            let pause = self.succession.schedule.pause(self.host.now());
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                    self.rotate(renewal, &mut holdings).await;
                    idle = false;
                }
                // After a suspension of the machine, the clock is ahead of the sleep.
                () = self.current.is_missed() => {}
                more = renewal.step(), if !idle => idle = !more,
            }
        }
    }

    fn can_log_in_again(&self) -> bool {
        self.plan.login.identity.facts().repeatable
    }

    fn begin(&mut self, begun: Timestamp) {
        let (id, life, _) = self.current.lease();
        self.succession.begin(begun);
        self.lease = id.filter(|_| life == Life::Leased);
    }

    /// Takes the end of a lease from its renewals.
    fn follow(&mut self, renewal: &Renewal<'_>) {
        let Some(span) = self.lease.as_ref().and_then(|id| renewal.span(id)) else { return };
        let end = span.end.checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
        self.current.extend(end);
        match span.settled {
            true => self.succession.schedule.begin(span.begun, Some(end)),
            false => self.succession.schedule.suspend(),
        }
    }

    async fn rotate(&mut self, renewal: &mut Renewal<'_>, holdings: &mut Holdings<'_>) {
        let begun = self.host.now();
        self.current.begin_read();
        let read = self.read(renewal, holdings).await;
        self.current.end_read();
        // What the engine warns of was told before the command started.
        let _ = self.host.take_warnings();
        match read {
            Ok(mut credential) => {
                let now = self.host.now();
                holdings.credentials.retain(|one| one.lease.granted_until.is_none_or(|end| end > now));
                renewal.hold_successor(holdings.session, &credential);
                let served = credential.take();
                holdings.credentials.push(credential);
                self.succession.serve(served);
                self.begin(begun);
            }
            Err(error) => self.succession.fail(&error),
        }
    }

    async fn read(&self, renewal: &mut Renewal<'_>, holdings: &mut Holdings<'_>) -> Result<Credential> {
        self.note(holdings).await?;
        self.vault.extend(REQUEST);
        let mut made = engine::obtain(self.vault, holdings.session, self.plan, self.host).await;
        if made.as_ref().is_err_and(|failure| failure.token_gone) && self.can_log_in_again() {
            // What the old login may have made has ended with it.
            self.abandon(holdings).await;
            self.log_in_again(renewal, holdings).await?;
            self.note(holdings).await?;
            made = engine::obtain(self.vault, holdings.session, self.plan, self.host).await;
        }
        let failure = match made {
            Ok(credential) => {
                let credential = self.note_made(credential, holdings).await?;
                return self.wait_until_known(credential, holdings).await;
            }
            Err(failure) => failure,
        };
        // Whatever else it left ends with our own token, at the end.
        if !holdings.session.own {
            lease::revoke(self.vault, holdings.session, &failure.leftover, &self.plan.mint.path).await?;
            self.abandon(holdings).await;
        }
        Err(failure.error)
    }

    /// Drops the note of a read that left nothing.
    async fn abandon(&self, holdings: &Holdings<'_>) {
        if let Some(record) = holdings.record {
            record.abandon().await;
        }
    }

    /// Notes that the session is about to make a credential.
    async fn note(&self, holdings: &Holdings<'_>) -> Result<()> {
        let Some(record) = holdings.record else {
            return Ok(());
        };
        if let Some(problem) = record.begin(&self.plan.mint.path, holdings.session).await? {
            self.succession.say(&format!("warning: {problem}"));
        }
        Ok(())
    }

    /// Notes what was made. Of a job that is over it is not served, and is revoked with all else.
    async fn note_made(&self, made: Credential, holdings: &mut Holdings<'_>) -> Result<Credential> {
        let Some(record) = holdings.record else { return Ok(made) };
        match record.complete(&made.path, holdings.session, &made.lease).await {
            Ok(()) => Ok(made),
            Err(error) => {
                set_aside(made, holdings);
                Err(error)
            }
        }
    }

    async fn log_in_again(&self, renewal: &mut Renewal<'_>, holdings: &mut Holdings<'_>) -> Result<()> {
        let fresh = job_token::request_again(self.plan, REQUEST, self.host).await?;
        self.vault.extend(REQUEST);
        let login = fresh.as_ref().unwrap_or(&self.plan.login);
        let session = auth::login(self.vault, login).await.map_err(|failed| failed.error)?;
        renewal.change_login(&session, self.leash).await;
        // Leases ended with the login that is gone.
        holdings.credentials.retain(|one| one.lease.life != Life::Leased);
        *holdings.session = session;
        self.vault.extend(REQUEST);
        Ok(())
    }

    /// Where somebody asked for it, the old one is served until AWS knows the new one.
    async fn wait_until_known(&self, made: Credential, holdings: &mut Holdings<'_>) -> Result<Credential, Error> {
        let deadline = self.host.elapsed() + self.plan.connection.timeout;
        match chain::wait_until_known(&made, self.plan, deadline, self.host).await {
            Ok(()) => Ok(made),
            Err(error) => {
                set_aside(made, holdings);
                Err(error)
            }
        }
    }
}

/// Keeps what is not served, to revoke it at the end.
fn set_aside(mut made: Credential, holdings: &mut Holdings<'_>) {
    made.values.clear();
    holdings.credentials.push(made);
}
