//! The state of a job: what its calls made, noted for `ci-creds revoke`, which runs in another shell and often in another
//! container.
//!
//! One file a job and login, sealed with what the caller logs in with. Each call notes its login before it asks for a
//! credential, and the lease before it hands the credential over, so that a call that is killed in between leaves nothing
//! that is not noted. Who revokes holds the lock until he has done it; a call that made something meanwhile finds its note
//! gone, and hands nothing over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::entry::{self, LoginEntry, Seal};
use super::folder::is_stale;
use super::name::{DRAFT, JOB, LOCK, slot};
use super::scope::{Door, Keys};
use super::{Label, open_folder};
use crate::auth::Session;
use crate::credential::{Lease, Life};
use crate::error::Result;
use crate::host::{Folder, Host, Lock, LockAttempt};
use crate::identity::Identity;
use crate::secret::Secret;

/// What is sealed.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct JobContent {
    /// When `ci-creds revoke` ran last.
    pub revoked: Option<Timestamp>,
    /// One for each call that made something.
    pub notes: Vec<JobNote>,
}

/// What one call made, or is about to make.
#[derive(Serialize, Deserialize)]
pub(crate) struct JobNote {
    /// The call's own word.
    pub id: String,
    /// Vault's address and namespace.
    pub place: (String, Option<String>),
    /// The engine's path.
    pub path: String,
    /// The credential; nothing as long as nobody knows of one.
    pub made: Option<NoteEnd>,
    /// The login, when it is ours.
    pub login: Option<LoginEntry>,
}

/// How a noted credential ends.
#[derive(Serialize, Deserialize)]
pub(crate) struct NoteEnd {
    /// The lease's id.
    pub lease: Option<String>,
    /// What ends it.
    pub life: Life,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

impl JobNote {
    /// Whether nothing of it can live any more.
    fn is_over(&self, now: Timestamp) -> bool {
        let is_past = |end: Option<Timestamp>| end.is_some_and(|end| end < now);
        self.made.as_ref().is_none_or(|made| is_past(made.expires))
            && self.login.as_ref().map_or(self.made.is_some(), |login| is_past(login.expires))
    }

    fn expires(&self) -> Option<Timestamp> {
        let made = self.made.as_ref().and_then(|made| made.expires);
        made.max(self.login.as_ref().and_then(|login| login.expires))
    }

    /// What revokes it: its own login, or the token that the caller was given.
    #[must_use]
    pub(crate) fn session(&self, caller: Option<&Secret>) -> Option<Session> {
        match (&self.login, caller) {
            (Some(login), _) => Some(login.session()),
            (None, Some(token)) => {
                Some(Session { token: token.duplicate(), own: false, expires_at: None, batch: false, uses: 0 })
            }
            (None, None) => None,
        }
    }
}

/// A folder where the states of jobs lie.
pub(crate) struct StateFolder {
    folder: Folder,
}

impl StateFolder {
    pub(crate) fn new(folder: Folder) -> Self {
        Self { folder }
    }

    /// The name of the state of a job and login.
    #[must_use]
    pub(crate) fn file_of(keys: &Keys) -> String {
        format!("{JOB}{}", keys.door_name())
    }

    /// The path of a file, for messages.
    #[must_use]
    pub(crate) fn path_of(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The names of all states.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = self.folder.list();
        names.retain(|name| name.starts_with(JOB));
        names
    }

    /// What a state says of itself; nothing holds it to be true. `None` when it is none.
    #[must_use]
    pub(crate) fn label(&self, name: &str) -> Option<Label> {
        entry::label(&self.folder.read(name).ok()??)
    }

    /// Waits for the lock of a state.
    ///
    /// # Errors
    /// A text, to be put behind the path of the state: there are no locks here, or another process holds it until then.
    pub(crate) async fn lock(&self, name: &str, until: Duration, host: &Host) -> Result<Lock, String> {
        let lock = lock_of_state(name);
        let attempt = || {
            Ok(match self.folder.try_lock(&lock) {
                LockAttempt::Held(lock) => Some(Ok(lock)),
                LockAttempt::Impossible(problem) => Some(Err(format!("cannot be locked: its lock {problem}"))),
                LockAttempt::Busy => None,
            })
        };
        let lock = host.wait_for(until, attempt).await.map_err(|error| error.message().to_owned())?;
        lock.unwrap_or_else(|| Err("is locked by another process".into()))
    }

    /// Opens a state; `None` when there is none.
    ///
    /// # Errors
    /// A text, to be put behind the path: it is not a private file of ours, or was not sealed with these keys.
    pub(crate) fn read(&self, name: &str, keys: &Keys) -> Result<Option<JobContent>, String> {
        let Some(bytes) = self.folder.read(name)? else { return Ok(None) };
        let opened = Seal::new(keys, None).and_then(|seal| seal.open::<JobContent>(&bytes));
        opened.map(|(_, content)| Some(content)).ok_or_else(|| "was changed: its seal is broken".into())
    }

    /// Writes a state, without what is over.
    ///
    /// # Errors
    /// A text, to be put behind the path.
    pub(crate) fn write(
        &self,
        _lock: &Lock,
        name: &str,
        (keys, door): (&Keys, &Door),
        mut content: JobContent,
        host: &Host,
    ) -> Result<(), String> {
        let now = host.now();
        content.notes.retain(|note| !note.is_over(now));
        let ends = content.notes.iter().map(|note| note.expires().unwrap_or(now.saturating_add(A_DAY).unwrap_or(now)));
        let expires = ends.max().unwrap_or(now);
        let label =
            Label { version: entry::VERSION, door: door.clone(), target: None, issued: now, expires, pause: None };
        let sealed = Seal::new(keys, None).and_then(|seal| seal.seal(&label, &content));
        let sealed = sealed.ok_or("cannot be written: it is too large")?;
        let draft = format!("{DRAFT}{JOB}{}", slot(keys.door_name()));
        self.folder.replace(name, &draft, &sealed).map_err(|problem| format!("cannot be written: {problem}"))
    }

    /// Removes a state. Returns whether it is gone.
    pub(crate) fn remove(&self, _lock: &Lock, name: &str) -> bool {
        self.folder.remove(name)
    }

    /// Removes the states of jobs that ended long ago. What somebody is working on stays.
    fn sweep(&self, own: &str, now: Timestamp) {
        let is_old = |name: &String| name != own && self.label(name).is_some_and(|label| is_stale(&label, now));
        for name in self.names().into_iter().filter(is_old) {
            let lock = lock_of_state(&name);
            if lock == lock_of_state(own) {
                self.folder.remove(&name);
                continue;
            }
            let LockAttempt::Held(_held) = self.folder.try_lock(&lock) else { continue };
            // A call of that job may have written it anew before we had the lock.
            if is_old(&name) {
                self.folder.remove(&name);
            }
        }
    }
}

const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// How long to wait for the lock where a run has ended: who has it for longer revokes what the notes tell of.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Not that of an entry of the cache: a call holds that one while it takes this one.
fn lock_of_state(name: &str) -> String {
    format!("{LOCK}{JOB}{}", slot(name.strip_prefix(JOB).unwrap_or(name)))
}

/// Where one run notes what it makes.
pub(crate) struct JobState {
    folder: StateFolder,
    keys: Keys,
    door: Door,
    name: String,
    /// How long to wait for the lock; who revokes has it for ten seconds.
    patience: Duration,
}

/// Opens the folder of ours beside the checkout. `None` where there is none and none can be made: with
/// `FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR`, the runner's folder is root's alone.
fn open_beside(path: &Path, host: &Host) -> Result<Option<Folder>, String> {
    host.open_job_folder(path).or_else(|problem| match host.find_job_folder(path) {
        Ok(None) => Ok(None),
        _ => Err(format!("{} {problem}", path.display())),
    })
}

/// What noting came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Noting {
    /// It is noted.
    Done,
    /// It is noted, and the job was over then: `ci-creds revoke` had run.
    Late(Timestamp),
    /// It is not: `ci-creds revoke` has run since the call began, and what it makes must not be handed over.
    Over,
}

impl JobState {
    /// Opens the state of this job and login. `beside` is the runner's folder beside the checkout.
    ///
    /// # Errors
    /// A text: there is no folder for it, or what lies there is refused.
    pub(crate) fn open(
        (beside, folders): (Option<&Path>, &[PathBuf]),
        door: Door,
        identity: &Identity,
        host: &Host,
    ) -> Result<Self, String> {
        let folder = match beside.map(|path| open_beside(path, host)).transpose()?.flatten() {
            Some(folder) => folder,
            None => open_folder(folders, host)?,
        };
        let keys = Keys::of_job(door.job.as_deref(), identity);
        let (folder, name) = (StateFolder::new(folder), StateFolder::file_of(&keys));
        folder.read(&name, &keys).map_err(|problem| format!("{} {problem}", folder.path_of(&name)))?;
        Ok(Self { folder, keys, door, name, patience: Duration::from_secs(15) })
    }

    /// Notes what a call is about to make: `made` is nothing then. Or what it has made.
    ///
    /// # Errors
    /// A text: nothing is noted.
    pub(crate) async fn note(
        &self,
        id: &str,
        path: &str,
        session: &Session,
        made: Option<&Lease>,
        host: &Host,
    ) -> Result<Noting, String> {
        let is_first = made.is_none();
        let end = |lease: &Lease| NoteEnd { lease: lease.id.clone(), life: lease.life, expires: lease.expires_at };
        let note = JobNote {
            id: id.to_owned(),
            place: (self.door.address.clone(), self.door.namespace.clone()),
            path: path.to_owned(),
            made: made.map(end),
            login: session.own.then(|| LoginEntry::of(session)),
        };
        let mut noting = Noting::Done;
        self.change(self.patience, host, |content| {
            let place = content.notes.iter_mut().find(|known| known.id == note.id);
            match (place, content.revoked) {
                (Some(known), revoked) => {
                    *known = note;
                    noting = revoked.filter(|_| is_first).map_or(Noting::Done, Noting::Late);
                }
                (None, _) if !is_first => noting = Noting::Over,
                (None, revoked) => {
                    content.notes.push(note);
                    noting = revoked.map_or(Noting::Done, Noting::Late);
                }
            }
        })
        .await?;
        Ok(noting)
    }

    /// Drops notes: what they told of is revoked, or was never made. `with_login` is off where the login serves other calls
    /// of the job. Those stay which cannot be dropped soon: they cost `ci-creds revoke` a request.
    pub(crate) async fn forget(&self, ids: &[String], with_login: bool, host: &Host) {
        let dropped = self.change(LOCK_PATIENCE, host, |content| {
            if with_login {
                content.notes.retain(|note| !ids.contains(&note.id));
            }
            content.notes.iter_mut().filter(|note| ids.contains(&note.id)).for_each(|note| note.made = None);
        });
        let _ = dropped.await;
    }

    async fn change(
        &self,
        patience: Duration,
        host: &Host,
        change: impl FnOnce(&mut JobContent),
    ) -> Result<(), String> {
        let told = |problem: String| format!("{} {problem}", self.folder.path_of(&self.name));
        let until = host.elapsed() + patience;
        let lock = self.folder.lock(&self.name, until, host).await.map_err(told)?;
        let mut content = self.folder.read(&self.name, &self.keys).map_err(told)?.unwrap_or_default();
        change(&mut content);
        self.folder.sweep(&self.name, host.now());
        self.folder.write(&lock, &self.name, (&self.keys, &self.door), content, host).map_err(told)
    }
}
