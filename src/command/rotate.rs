//! `ci-creds token rotate`: the Vault token in a variable of GitLab is replaced by a new one.
//!
//! The order decides: at no moment does the variable hold a token that does not work. The new token is made and checked
//! while the old one is stored, and the old one is revoked last. Once the write is sent, the new one is never revoked
//! unless it is certain that GitLab did not store it.

use std::time::Duration;

use crate::auth::{self, Period, Replacement, Standing};
use crate::config::Rotate;
use crate::error::{Error, Kind, Result};
use crate::gitlab::{CiVariable, VariableStore, WriteOutcome};
use crate::host::{Host, Interrupt};
use crate::secret::Secret;
use crate::time::{left_until, render_duration};
use crate::vault::client::Vault;

use super::token::supplied;
use super::{finish, start_runtime};

/// Replaces the token.
///
/// # Errors
/// As the requests have them. [`Kind::Leak`] when a token may be left, or when it is not known which one is stored.
pub(crate) fn run(mut plan: Rotate, verbose: bool, host: &Host) -> Result<()> {
    plan.access.connection.read_roots(host)?;
    plan.variable.read_roots(host)?;
    let vault = Vault::new(&plan.access.connection, host)?;
    if verbose {
        vault.tell_requests();
    }
    let store = VariableStore::new(&plan.variable, verbose, host)?;
    let token = supplied(&plan.access)?;
    let text = start_runtime(host)?.block_on(async {
        let interrupt = Interrupt::listen()?;
        Handover { vault: &vault, store, plan: &plan, token, interrupt, host }.run().await
    })?;
    finish(text, host)
}

/// Who takes part.
struct Handover<'a> {
    vault: &'a Vault<'a>,
    store: VariableStore<'a>,
    plan: &'a Rotate,
    /// The old token.
    token: &'a Secret,
    interrupt: Interrupt,
    host: &'a Host,
}

/// Which token the variable holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    New,
    Old,
    /// A third one.
    Other,
    /// It is hidden.
    Nobody,
    /// It cannot be read.
    Unknown,
}

/// How often the variable is read before an old value behind a write that succeeded is believed: a replica of GitLab's
/// database may be behind.
const READ_BACKS: u32 = 3;
const READ_PAUSE: Duration = Duration::from_millis(500);
/// What is left for revoking a token, however long GitLab or a wait took.
const LAST: Duration = Duration::from_secs(30);

impl Handover<'_> {
    async fn run(mut self) -> Result<String> {
        let old = self.check_old().await?;
        let scope = self.check_variable().await?;
        self.stop_on_a_signal().await?;
        // From here on a signal waits until it is settled which token is stored.
        let login = &self.plan.access.login;
        let new = Replacement::make(self.vault, login, (self.token, &old), &self.plan.token_role).await?;
        let standing = match new.check(self.vault, login, &old).await {
            Ok(standing) => standing,
            Err(error) => return Err(new.discard(self.vault, error).await),
        };
        if let Err(error) = self.stop_on_a_signal().await {
            return Err(new.discard(self.vault, error).await);
        }
        self.put(&new, &old, scope.as_deref()).await?;
        self.vault.extend(LAST);
        let done = format!(
            "{} has the new token: accessor {}, which {}\n",
            self.store.name(),
            standing.accessor,
            standing.render_end()
        );
        let rest = self.end_old(old).await.map_err(|error| error.also(done.trim_end()))?;
        Ok(done + &rest)
    }

    /// The old token must be one that a role's token can replace.
    async fn check_old(&mut self) -> Result<Standing> {
        let origin = self.plan.access.login.origin.to_string();
        let found = self.interrupt.race(auth::look_up(self.vault, &origin, self.token)).await.map_err(interruption)?;
        let old = found?;
        if !old.orphan {
            return Err(Error::new(
                Kind::Config,
                format!("the token (from {origin}) is a child of another token and ends with it: it is not replaced"),
            )
            .hint(format!(
                "replace it by hand once, with an orphan: vault token create -role={}",
                self.plan.token_role
            )));
        }
        let left = self.plan.job_left.filter(|_| old.period != Period::Absent || !old.is_renewable());
        if let (Some(grace), Some(left)) = (self.plan.grace, left)
            && grace >= left
        {
            return Err(Error::new(
                Kind::Config,
                format!("the job ends in {}, before --grace {}", render_duration(left), render_duration(grace)),
            )
            .hint("shorten --grace, raise the job's timeout, or drop --grace: the old token then expires by itself"));
        }
        Ok(old)
    }

    /// GitLab's token must be able to read the variable, and it must hold the token that is replaced. Returns its scope.
    async fn check_variable(&mut self) -> Result<Option<String>> {
        let wanted = self.plan.variable.scope.as_deref();
        let variable = self.interrupt.race(self.store.read(wanted)).await.map_err(interruption)??;
        let name = self.store.name();
        match holder(&variable, self.token, None) {
            Holder::Old | Holder::Nobody => {}
            _ => {
                return Err(Error::new(
                    Kind::Config,
                    format!(
                        "{name} holds another token than this job has (from {}): nothing was made",
                        self.plan.access.login.origin
                    ),
                )
                .hint("another job may have replaced it since this one started: run it in a new job; resource_group lets one run at a time"));
            }
        }
        if !variable.masked && !variable.hidden {
            self.host.warn(format!("{name} is not masked: a job that prints it shows the token"));
        }
        // A scope that was not asked for is the only one, and is named in the write. A filter for groups has a price.
        let is_project = matches!(self.plan.variable.owner, crate::config::Owner::Project(_));
        let found = Some(variable.environment_scope).filter(|scope| is_project && !scope.is_empty());
        Ok(self.plan.variable.scope.clone().or(found))
    }

    /// Stores the new token. It is sent a second time where the first was lost: the value is the same.
    async fn put(&self, new: &Replacement, old: &Standing, scope: Option<&str>) -> Result<()> {
        let (mut lost, mut is_pending) = (None, false);
        loop {
            let outcome = self.store.write(&new.token, scope).await;
            let found = self.read_back(new, scope, matches!(outcome, WriteOutcome::Written)).await;
            let (error, is_certain) = match outcome {
                _ if found == Holder::New => return Ok(()),
                WriteOutcome::Written if found == Holder::Nobody => return Ok(()),
                WriteOutcome::Written => {
                    let error =
                        Error::new(Kind::Leak, "GitLab accepted the new token, but the variable does not show it");
                    return Err(self.unknown(error, new, old));
                }
                // Whatever was lost before may still arrive.
                WriteOutcome::Refused(error) => (error, !is_pending && found != Holder::Other),
                WriteOutcome::Unclear { error, pending } => {
                    is_pending |= pending;
                    if lost.replace(()).is_none() && found != Holder::Other {
                        continue;
                    }
                    (error, !is_pending && found == Holder::Old)
                }
            };
            self.vault.extend(LAST);
            return Err(match is_certain && (lost.is_none() || found == Holder::Old) {
                true => new.discard(self.vault, error).await,
                false => self.unknown(error, new, old),
            });
        }
    }

    /// Whose token is stored now.
    async fn read_back(&self, new: &Replacement, scope: Option<&str>, written: bool) -> Holder {
        let mut reads = if written { READ_BACKS } else { 1 };
        loop {
            let found = match self.store.read(scope).await {
                Ok(variable) => holder(&variable, self.token, Some(&new.token)),
                Err(_) => Holder::Unknown,
            };
            reads -= 1;
            if found != Holder::Old || reads == 0 {
                return found;
            }
            tokio::time::sleep(READ_PAUSE).await;
        }
    }

    /// Neither token is revoked: one of them is what the pipeline has.
    fn unknown(&self, error: Error, new: &Replacement, old: &Standing) -> Error {
        let name = self.store.name();
        error
            .with_kind(Kind::Leak)
            .also(format!(
                "it is not known whether {name} holds the old token (accessor {}) or the new one ({}): neither was revoked",
                old.accessor,
                new.name()
            ))
            .hint("compare the variable in GitLab with vault token lookup -accessor, and revoke the token that is not stored")
    }

    /// The end of the old token: by itself, sooner, or now.
    async fn end_old(&mut self, old: Standing) -> Result<String> {
        let origin = self.plan.access.login.origin.to_string();
        let name = format!("the old token (accessor {})", old.accessor);
        let Some(grace) = self.plan.grace else {
            return Ok(format!("{name} was not revoked: it {}\n", old.render_end()));
        };
        let mut old = old;
        if !grace.is_zero() && old.is_renewable() && !matches!(old.period, Period::Of(_)) {
            let left = old.expires_at.map(|end| left_until(end, self.host.now()));
            if left.is_some_and(|left| left <= grace) {
                return Ok(format!("{name} {}\n", old.render_end()));
            }
            let (end, accessor) = (old.render_end(), old.accessor.clone());
            // GitLab has the new token by now: whatever failed, the old one lives, and another rotation would not help.
            old = auth::set_life(self.vault, &origin, self.token, old, grace).await.map_err(|error| {
                error
                    .with_kind(Kind::Leak)
                    .also(format!("{name} was not shortened: it {end}"))
                    .hint(format!("vault token revoke -accessor {accessor}"))
            })?;
            if old.period == Period::Absent {
                return Ok(format!("{name} was shortened: it {}\n", old.render_end()));
            }
        }
        let end = old.render_end();
        if !grace.is_zero() {
            self.host.write_stderr(&format!("ci-creds: waiting {} before {name} is revoked\n", render_duration(grace)));
            let waited = self.interrupt.race(tokio::time::sleep(grace)).await;
            waited.map_err(|signal| interruption(signal).also(format!("{name} was not revoked: it {end}")))?;
            self.vault.extend(LAST);
        }
        match auth::revoke_supplied(self.vault, self.token).await {
            Ok(()) => Ok(format!("{name} was revoked\n")),
            Err(why) => Err(Error::new(Kind::Leak, format!("{name} was not revoked ({why}): it {end}"))
                .hint(format!("vault token revoke -accessor {}", old.accessor))),
        }
    }

    async fn stop_on_a_signal(&mut self) -> Result<()> {
        self.interrupt.look().await;
        self.interrupt.kind().map_or(Ok(()), |signal| Err(interruption(signal)))
    }
}

fn interruption(signal: Kind) -> Error {
    Error::new(signal, "a signal ended the run")
}

/// Whose token the variable holds. A variable that is a file may end in a line end.
fn holder(variable: &CiVariable, old: &Secret, new: Option<&Secret>) -> Holder {
    let Some(value) = &variable.value else {
        return if variable.hidden { Holder::Nobody } else { Holder::Unknown };
    };
    match value.expose().trim() {
        value if value == old.expose() => Holder::Old,
        value if new.is_some_and(|new| value == new.expose()) => Holder::New,
        _ => Holder::Other,
    }
}
