//! The cache: one credential for many calls, kept where the user alone can read it and opened only by the secret that
//! the caller logs in with.
//!
//! Who finds nothing fresh takes the lock, looks again, and makes a new one for all that wait. It never fails a run:
//! where nothing can be kept, every call is on its own. Times and secrets are given to it; the files are
//! [`crate::host::Folder`]'s.

pub mod entry;
mod folder;
mod job;
mod login;
mod name;
mod record;
mod scope;
mod window;

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::auth::Session;
use crate::config::Plan;
use crate::credential::{Credential, Lease, Life};
use crate::error::{Error, Kind, Result};
use crate::host::{Folder, Host, Lock, LockAttempt};
use crate::provider::shape::{Field, Shape};
use crate::secret::Secret;

pub(crate) use entry::Label;
use entry::Seal;
pub(crate) use folder::{CacheFolder, Contents, is_stale};
pub(crate) use job::{JobContent, JobState, Noting, StateFolder};
pub(crate) use login::{LoginEnd, keeps_login};
use name::{DRAFT, lock_of, read, slot};
pub(crate) use record::{JobRecord, renewed, renewed_lease};
pub use scope::Keys;
pub(crate) use scope::{Door, Target};
pub(crate) use window::{State, state};

/// One caller's view of the cache: his door, one target behind it.
pub(crate) struct Cache {
    folder: Folder,
    keys: Keys,
    door: Door,
    target: Target,
    /// Made once, for who waits looks a hundred times a second: the names of the target's file and of its lock, and
    /// what opens the file.
    file: String,
    lock: String,
    seal: Seal,
    /// How long to wait for another caller.
    patience: Duration,
    /// Whether the cloud must have been seen to know a key before it is handed out.
    wants_known: bool,
}

/// A credential that was found in the cache.
pub(crate) struct Hit {
    /// What it is good for.
    pub state: State,
    /// Whether Vault gave no new one a moment ago.
    pub paused: bool,
    /// Whether a new one would live no longer: it would end with the same login.
    pub last: bool,
    /// Whether it can be handed out as it is: nobody asks whether the cloud knows its key, or it was seen to.
    pub ready: bool,
    label: Label,
    content: entry::CredentialEntry,
}

/// Whose turn it is to make a new credential.
pub(crate) enum Turn {
    /// Ours, as long as the lock is held.
    Ours(Lock),
    /// Another caller made one, or makes one while the old one still works.
    Hit(Box<Hit>),
    /// No new one is due, and this one waits to be tried: ours to do, and to note by [`Cache::note_known`].
    Untried(Lock, Box<Hit>),
    /// Nobody's: there are no locks here. Nothing can be kept.
    Nobody,
}

/// After Vault gave no new credential, the old one is handed out for so long before it is asked again: a call that
/// waits for Vault in vain takes seconds, and botocore makes one at every request.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// How long a caller waits for another one, at most: with what follows it stays below the 60 s after which Go's SDK
/// kills its helper.
const PATIENCE: Duration = Duration::from_secs(30);

impl Cache {
    /// The caller's cache; `None`, with a warning, when there is no folder for it.
    #[must_use]
    pub(crate) fn open(plan: &Plan, host: &Host) -> Option<Self> {
        let place = plan.cache.as_ref()?;
        let folder = open_folder(&place.folders, host)
            .map_err(|problem| host.warn(format!("nothing is cached between calls: {problem}")))
            .ok()?;
        let door = Door::new(&plan.connection, &plan.login, place.job.as_deref());
        let target = Target::new(&plan.shape, &plan.mint);
        let keys = Keys::new(&door, &plan.login.identity);
        Some(Self {
            folder,
            file: format!("{}-{}", keys.door_name(), keys.target_name(&target)),
            lock: lock_of(keys.door_name()),
            seal: Seal::new(&keys, Some(&target))?,
            keys,
            door,
            target,
            // The rest is for the caller's own login and read, should the other one have died.
            patience: PATIENCE.min(plan.connection.timeout * 2 / 3),
            wants_known: plan.readiness.is_some(),
        })
    }

    /// What is kept of the target. An entry that cannot be used is none.
    #[must_use]
    pub(crate) fn find(&self, plan: &Plan, host: &Host) -> Option<Hit> {
        let bytes = self.read(&self.file, host)?;
        let (label, content) = self.seal.open::<entry::CredentialEntry>(&bytes)?;
        let has = |name: &str| content.values.iter().any(|(kept, _)| kept == name);
        if plan.shape.fields.iter().any(|field| field.required && !has(&field.name)) {
            return None;
        }
        let now = host.now();
        let state = state(label.issued, label.expires, now);
        // Read only where it matters: most calls find a fresh one.
        let last = state == State::Old && content.revocable && self.login_end(host) == Some(label.expires);
        let paused = label.pause.is_some_and(|until| now < until);
        // What cannot be taken back works at once.
        let ready = !self.wants_known || content.known || !content.revocable;
        Some(Hit { state, last, paused, ready, label, content })
    }

    /// Waits for the lock, or for what another caller makes meanwhile; at most so long since the run began.
    ///
    /// # Errors
    /// [`Kind::Temporary`] when the other caller takes too long.
    pub(crate) async fn take_turn(&self, plan: &Plan, host: &Host) -> Result<Turn> {
        let turn = host.wait_for(self.patience, || Ok(self.try_turn(plan, host))).await?;
        turn.ok_or_else(|| self.waited_in_vain())
    }

    fn try_turn(&self, plan: &Plan, host: &Host) -> Option<Turn> {
        match self.folder.try_lock(&self.lock) {
            // Whoever held it before may have made what we want.
            LockAttempt::Held(lock) => Some(match self.find(plan, host).filter(|kept| !kept.is_due()) {
                Some(kept) if kept.ready => Turn::Hit(Box::new(kept)),
                Some(kept) => Turn::Untried(lock, Box::new(kept)),
                None => Turn::Ours(lock),
            }),
            LockAttempt::Impossible(problem) => {
                host.warn(format!("nothing is cached in {}: its lock {problem}", self.folder.path().display()));
                Some(Turn::Nobody)
            }
            LockAttempt::Busy => {
                let kept = self.find(plan, host).filter(|kept| kept.state != State::Ended && kept.ready)?;
                Some(Turn::Hit(Box::new(kept)))
            }
        }
    }

    fn waited_in_vain(&self) -> Error {
        let lock = self.folder.path().join(&self.lock);
        let lock = lock.display();
        Error::new(
            Kind::Temporary,
            format!(
                "another ci-creds is making this credential for {} s now; it holds {lock}",
                self.patience.as_secs()
            ),
        )
        .hint(format!("is it stopped? fuser -v {lock} names it; --no-cache does not wait"))
    }

    /// Keeps a credential for the next callers, and with it the login that can take it back, if there was one.
    ///
    /// The lock is held by the caller; that is what makes the draft's name his. Returns whether it is kept: one without
    /// an end is not, for nobody would know when to stop using it.
    pub(crate) fn keep(
        &self,
        _turn: &Lock,
        credential: &Credential,
        session: Option<&Session>,
        issued: Timestamp,
        host: &Host,
    ) -> bool {
        let Some(expires) = credential.lease.expires_at else { return false };
        let values = credential.values.iter();
        let content = entry::CredentialEntry {
            values: values
                .map(|(field, value)| (field.name.clone().into_owned(), entry::PlainSecret(value.duplicate())))
                .collect(),
            lease: credential.lease.id.clone(),
            renewable: credential.lease.renewable,
            revocable: credential.lease.life == Life::Leased,
            // Who asks for it has it tried before it is kept.
            known: self.wants_known,
            login: session.filter(|session| session.own).map(entry::LoginEntry::of),
        };
        let label = self.label(Some(self.target.clone()), issued, expires);
        folder::sweep(&self.folder, &self.lock, host.now(), host);
        self.write(&self.file, &self.seal, &label, &content, host)
    }

    /// Notes that Vault gave no new credential in place of this one.
    pub(crate) fn pause(&self, _turn: &Lock, kept: &Hit, host: &Host) {
        let pause = host.now().checked_add(PAUSE).ok();
        self.write(&self.file, &self.seal, &Label { pause, ..kept.label.clone() }, &kept.content, host);
    }

    /// Notes that the cloud was seen to know the key of what is kept.
    pub(crate) fn note_known(&self, _turn: &Lock, plan: &Plan, host: &Host) {
        if let Some(Hit { label, content, .. }) = self.find(plan, host) {
            self.write(&self.file, &self.seal, &label, &entry::CredentialEntry { known: true, ..content }, host);
        }
    }

    fn label(&self, target: Option<Target>, issued: Timestamp, expires: Timestamp) -> Label {
        Label { version: entry::VERSION, door: self.door.clone(), target, issued, expires, pause: None }
    }

    fn read(&self, name: &str, host: &Host) -> Option<Zeroizing<Vec<u8>>> {
        read(&self.folder, name, host)
    }

    fn write(&self, name: &str, seal: &Seal, label: &Label, content: &impl serde::Serialize, host: &Host) -> bool {
        let Some(bytes) = seal.seal(label, content) else { return false };
        let draft = format!("{DRAFT}{}", slot(self.keys.door_name()));
        let written = self.folder.replace(name, &draft, &bytes);
        if let Err(problem) = &written {
            host.warn(format!("nothing was cached in {}: {problem}", self.folder.path().display()));
        }
        written.is_ok()
    }
}

/// The first folder that can be used.
///
/// # Errors
/// What is wrong with each of them.
fn open_folder(folders: &[PathBuf], host: &Host) -> Result<Folder, String> {
    let mut problems = Vec::new();
    for path in folders {
        match host.open_private_folder(path) {
            Ok(folder) => return Ok(folder),
            Err(problem) => problems.push(format!("{} {problem}", path.display())),
        }
    }
    Err(if problems.is_empty() { "there is no folder for it".into() } else { problems.join("; ") })
}

impl Hit {
    /// Whether it can be handed out, and no new one is to be made now.
    #[must_use]
    pub(crate) fn is_enough(&self) -> bool {
        !self.is_due() && self.ready
    }

    /// Whether a new one is to be made now.
    fn is_due(&self) -> bool {
        match self.state {
            State::Fresh => false,
            State::Old => !self.paused && !self.last,
            State::Ended => true,
        }
    }

    /// The values, in the order of the provider's fields, and what Vault said of their life.
    #[must_use]
    pub(crate) fn into_parts(self, shape: &Shape) -> (Vec<(Field, Secret)>, Lease) {
        let Self { label, mut content, .. } = self;
        let mut take = |field: &Field| {
            let place = content.values.iter().position(|(name, _)| *name == field.name)?;
            Some((field.clone(), content.values.swap_remove(place).1.0))
        };
        let values = shape.fields.iter().filter_map(&mut take).collect();
        let life = content.life();
        let expires_at = Some(label.expires);
        let lease = Lease { id: content.lease, renewable: content.renewable, expires_at, granted_until: None, life };
        (values, lease)
    }
}
