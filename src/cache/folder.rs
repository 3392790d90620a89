//! A folder of the cache with the entries of every caller: to list them, revoke their leases and remove them.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::entry::{self, Label, Seal};
use super::name::{DRAFT, JOB, LOCK, lock_of, read};
use super::scope::Keys;
use crate::auth::Session;
use crate::credential::Life;
use crate::host::{Folder, Host, Lock, LockAttempt};
use crate::secret::Secret;

/// A folder with all its entries.
pub(crate) struct CacheFolder {
    folder: Folder,
}

/// What an entry holds, opened.
pub(crate) struct Contents {
    /// What takes it back; nothing of a login that has come to nothing.
    pub session: Option<Session>,
    /// The lease's id.
    pub lease: Option<String>,
    /// What ends it.
    pub life: Life,
}

impl CacheFolder {
    /// Opens every folder that a call may have used: with another `XDG_RUNTIME_DIR`, it was another one. What is wrong
    /// with one is a warning.
    #[must_use]
    pub(crate) fn open_all(folders: &[PathBuf], host: &Host) -> Vec<Self> {
        let open = |path: &PathBuf| {
            let found = host.find_private_folder(path);
            found.unwrap_or_else(|problem| {
                host.warn(format!("what may be cached in {} is not shown: it {problem}", path.display()));
                None
            })
        };
        folders.iter().filter_map(open).map(|folder| Self { folder }).collect()
    }

    /// The entries by name. What they say of themselves is not held to be true.
    #[must_use]
    pub(crate) fn labels(&self, host: &Host) -> Vec<(String, Label)> {
        labels(&self.folder, host)
    }

    /// The names of what is kept, also by another version, or was left by a call that was killed.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = self.folder.list();
        names.retain(|name| !name.starts_with(LOCK) && !is_of_a_state(name));
        names
    }

    /// What an entry says of itself; `None` when it is none.
    #[must_use]
    pub(crate) fn label(&self, name: &str, host: &Host) -> Option<Label> {
        label(&self.folder, name, host)
    }

    /// The name of the lock that [`CacheFolder::try_lock`] takes. Entries share them.
    #[must_use]
    pub(crate) fn lock_name(name: &str) -> String {
        lock_of(name.strip_prefix(DRAFT).unwrap_or(name))
    }

    /// The lock under which an entry may be removed; `None` while somebody else holds it.
    #[must_use]
    pub(crate) fn try_lock(&self, name: &str) -> Option<Lock> {
        try_lock(&self.folder, name)
    }

    /// Opens an entry. `caller` is his token, for a lease that was asked for with it.
    #[must_use]
    pub(crate) fn open_entry(&self, name: &str, keys: &Keys, caller: Option<Secret>, host: &Host) -> Option<Contents> {
        let bytes = read(&self.folder, name, host)?;
        let Some(target) = entry::label(&bytes)?.target else {
            let (_, token) = Seal::new(keys, None)?.open::<Option<entry::LoginEntry>>(&bytes)?;
            return Some(Contents {
                session: token.map(entry::LoginEntry::into_session),
                lease: None,
                life: Life::Leased,
            });
        };
        let (label, content) = Seal::new(keys, Some(&target))?.open::<entry::CredentialEntry>(&bytes)?;
        let life = content.life();
        let session = match (content.login, caller) {
            (Some(login), _) => login.into_session(),
            (None, Some(token)) => {
                Session { token, own: false, expires_at: Some(label.expires), batch: false, uses: 0 }
            }
            (None, None) => return None,
        };
        Some(Contents { session: Some(session), life, lease: content.lease })
    }

    /// Removes an entry, under its lock. Returns whether it is gone.
    pub(crate) fn remove(&self, _lock: &Lock, name: &str) -> bool {
        self.folder.remove(name)
    }
}

/// How long the login of a single-use secret stays when it has ended: its job learns by it why the secret is spent, and
/// does not take it for stolen.
const AFTERLIFE: SignedDuration = SignedDuration::from_hours(24);

/// Whether an entry is of no more use to anybody.
#[must_use]
pub(crate) fn is_stale(label: &Label, now: Timestamp) -> bool {
    let since = now.duration_since(label.expires);
    since.is_positive() && (label.target.is_some() || since > AFTERLIFE)
}

/// Removes what is stale, whoever's it was: a shell runner's folder would fill with an entry for every job. What
/// somebody is working on stays. `held`: the lock that the caller has already.
pub(super) fn sweep(folder: &Folder, held: &str, now: Timestamp, host: &Host) {
    let is_old = |label: &Label| is_stale(label, now);
    for (name, _) in labels(folder, host).into_iter().filter(|(_, label)| is_old(label)) {
        if lock_of(&name) == held {
            folder.remove(&name);
            continue;
        }
        let Some(_held) = try_lock(folder, &name) else { continue };
        // A call may have written it anew before we had the lock.
        if label(folder, &name, host).is_some_and(|label| is_old(&label)) {
            folder.remove(&name);
        }
    }
}

pub(super) fn labels(folder: &Folder, host: &Host) -> Vec<(String, Label)> {
    let is_entry = |name: &String| ![LOCK, DRAFT, JOB].iter().any(|start| name.starts_with(start));
    let entries = folder.list().into_iter().filter(is_entry);
    entries.filter_map(|name| label(folder, &name, host).map(|label| (name, label))).collect()
}

/// A job's state, or a draft of one.
fn is_of_a_state(name: &str) -> bool {
    name.strip_prefix(DRAFT).unwrap_or(name).starts_with(JOB)
}

fn label(folder: &Folder, name: &str, host: &Host) -> Option<Label> {
    entry::label(&read(folder, name, host)?)
}

/// The lock of the name; a draft has its writer's.
fn try_lock(folder: &Folder, name: &str) -> Option<Lock> {
    match folder.try_lock(&CacheFolder::lock_name(name)) {
        LockAttempt::Held(lock) => Some(lock),
        LockAttempt::Busy | LockAttempt::Impossible(_) => None,
    }
}
