//! What there is to revoke: the notes in the states of jobs, and the entries of the cache, each with the lock under which
//! it may be removed.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::Session;
use crate::cache::{CacheFolder, Contents, Door, JobContent, Keys, Label, StateFolder, is_stale};
use crate::config::{Access, StatePlace};
use crate::credential::Life;
use crate::error::Result;
use crate::host::{Host, Lock};
use crate::identity::Identity;
use crate::revocation::{Fate, Holding};
use crate::secret::Secret;
use crate::time::render_time;

/// How far `ci-creds revoke` or `ci-creds cache clear` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breadth {
    /// What this login made in this job.
    Job,
    /// What this login made, in whichever job.
    Login,
    /// The same; and what other logins made is removed without being revoked.
    Everybody,
}

/// How long to wait for a call that makes something for the cache.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait for who has the lock of a state: calls have it for milliseconds, another `ci-creds revoke` until it has
/// done what we would do.
const STATE_PATIENCE: Duration = Duration::from_secs(9);

/// A session or a credential that is to be revoked.
pub(super) struct Item {
    /// What it is, for messages.
    pub what: String,
    /// What revokes it. Nothing of a login that is noted as ended.
    pub session: Option<Session>,
    /// The credential. Nothing when it is the login alone.
    pub holding: Option<Holding>,
    /// Whether it has expired by the local clock.
    pub is_past: bool,
    origin: ItemOrigin,
}

impl Item {
    /// Whether it is a credential that expires by itself, and that nobody can revoke.
    pub(super) fn is_expiring(&self) -> bool {
        self.holding.as_ref().is_some_and(|holding| holding.life == Life::Expiring)
    }
}

/// Where an item was found.
enum ItemOrigin {
    /// The note of this id in the state of this number.
    State(usize, String),
    /// The entry of this name in the cache folder of this number, and the number of its lock.
    Cache(usize, String, usize),
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Inventory {
    pub items: Vec<Item>,
    /// Lines for stdout.
    pub lines: Vec<String>,
    /// What is refused: nobody can say what it holds.
    pub refusals: Vec<String>,
    /// Where else the caller's calls made something: address and namespace.
    pub elsewhere: Vec<(String, Option<String>)>,
    /// The other logins to whom something belongs.
    pub others: Vec<Door>,
    /// The states of this job that another login sealed, and when they say that the last of it expires.
    pub foreign: Vec<(Door, Timestamp)>,
    states: Vec<StateFile>,
    folders: Vec<CacheFolder>,
    locks: Vec<(String, Option<Lock>)>,
}

/// A job's state that is ours.
struct StateFile {
    folder: Rc<StateFolder>,
    name: String,
    lock: Lock,
    keys: Keys,
    door: Door,
    content: JobContent,
}

/// Who revokes, and how far.
pub(super) struct Caller<'a> {
    pub access: Option<&'a Access>,
    pub place: &'a StatePlace,
    pub breadth: Breadth,
    /// Whether only what is of this job counts as another login's.
    pub of_this_job: bool,
    pub host: &'a Host,
}

impl Caller<'_> {
    fn identity(&self) -> Option<&Identity> {
        self.access.map(|access| &access.login.identity)
    }

    fn job(&self) -> Option<&str> {
        self.place.cache.job.as_deref()
    }

    fn door(&self) -> Option<Door> {
        self.access.map(|access| Door::new(&access.connection, &access.login, self.job()))
    }

    /// A token that was not ours to revoke: its leases are revoked one by one.
    fn token(&self) -> Option<Secret> {
        self.identity()?.plain_token().map(Secret::duplicate)
    }

    /// Whether a state is of this job, and sealed with another secret than the caller's.
    fn is_of_another_login(&self, door: &Door) -> bool {
        self.of_this_job && self.access.is_some() && self.job().is_some() && door.job.as_deref() == self.job()
    }

    fn is_here(&self, (address, namespace): (&str, Option<&str>)) -> bool {
        let here = |access: &Access| {
            access.connection.address.to_string() == address && access.connection.namespace.as_deref() == namespace
        };
        self.access.is_some_and(here)
    }
}

impl Inventory {
    /// Finds all that the caller can revoke.
    ///
    /// # Errors
    /// When a lock cannot be waited for.
    pub(super) async fn find(caller: &Caller<'_>) -> Result<Self> {
        let mut inventory = Self::default();
        let begun = caller.host.elapsed();
        inventory.find_states(caller, begun + STATE_PATIENCE).await;
        if inventory.states.is_empty() && inventory.refusals.is_empty() {
            inventory.add_empty_state(caller, begun + STATE_PATIENCE).await;
        }
        inventory.find_entries(caller, begun + PATIENCE).await?;
        Ok(inventory)
    }

    async fn find_states(&mut self, caller: &Caller<'_>, until: Duration) {
        let host = caller.host;
        let own = caller.identity().map(|identity| Keys::of_job(caller.job(), identity));
        let own = own.as_ref().map(StateFolder::file_of);
        let beside = caller.place.beside.as_deref().and_then(|path| match host.find_job_folder(path) {
            Ok(folder) => folder,
            Err(problem) => {
                self.refusals.push(format!("{} {problem}", path.display()));
                None
            }
        });
        // What is wrong with a folder of the cache is told with its entries.
        let find = |path: &PathBuf| host.find_private_folder(path).ok().flatten();
        for folder in beside.into_iter().chain(caller.place.cache.folders.iter().filter_map(find)) {
            let folder = Rc::new(StateFolder::new(folder));
            for name in folder.names() {
                let label = folder.label(&name);
                let job = label.as_ref().map_or(caller.job(), |label| label.door.job.as_deref());
                let keys = caller.identity().map(|identity| Keys::of_job(job, identity));
                let is_own = own.as_ref() == Some(&name);
                let keys = keys.filter(|keys| is_own || StateFolder::file_of(keys) == name);
                match (keys, &label) {
                    (Some(keys), _) if is_own || caller.breadth != Breadth::Job => {
                        self.add_state(&folder, name, keys, caller, until).await;
                    }
                    (None, label) if caller.breadth == Breadth::Everybody => {
                        let lock = folder.lock(&name, until, host).await;
                        let what = label.as_ref().and_then(|label| label.door.job.clone()).unwrap_or(name.clone());
                        let done = lock.is_ok_and(|lock| folder.remove(&lock, &name));
                        self.lines.push(format!("{}: the state of {what}", removal(done)));
                    }
                    // Everything that it named is revoked.
                    (_, Some(label)) if label.expires <= host.now() => {}
                    (None, Some(Label { door, expires, .. })) if caller.is_of_another_login(door) => {
                        self.foreign.push((door.clone(), *expires));
                    }
                    (_, Some(label)) => self.note_other(label, caller),
                    _ => {}
                }
            }
        }
    }

    /// A state that says that the job is over, where its script may still run: a call that it makes now is told.
    async fn add_empty_state(&mut self, caller: &Caller<'_>, until: Duration) {
        let Some((door, identity)) = caller.door().zip(caller.identity()) else { return };
        let Some(beside) = caller.place.beside.as_deref().filter(|_| caller.breadth == Breadth::Job) else { return };
        let Ok(Some(folder)) = caller.host.open_job_folder(beside) else { return };
        let (folder, keys) = (StateFolder::new(folder), Keys::of_job(caller.job(), identity));
        let name = StateFolder::file_of(&keys);
        if let Ok(lock) = folder.lock(&name, until, caller.host).await {
            let content = JobContent::default();
            self.states.push(StateFile { folder: Rc::new(folder), name, lock, keys, door, content });
        }
    }

    async fn add_state(
        &mut self,
        folder: &Rc<StateFolder>,
        name: String,
        keys: Keys,
        caller: &Caller<'_>,
        until: Duration,
    ) {
        let path = folder.path_of(&name);
        let found = match folder.lock(&name, until, caller.host).await {
            Ok(lock) => folder.read(&name, &keys).map(|content| (lock, content)),
            Err(problem) => Err(problem),
        };
        let (lock, content) = match found {
            Ok((lock, Some(content))) => (lock, content),
            Ok((_, None)) => return,
            Err(problem) => return self.refusals.push(format!("{path} {problem}")),
        };
        let Some(door) = folder.label(&name).map(|label| label.door).or_else(|| caller.door()) else { return };
        let number = self.states.len();
        for note in &content.notes {
            let (address, namespace) = &note.place;
            if !caller.is_here((address, namespace.as_deref())) {
                self.elsewhere.push(note.place.clone());
                let namespace = namespace.as_deref().map_or(String::new(), |name| format!(" in namespace {name}"));
                self.refusals.push(format!("{path} names a credential of {}, made at {address}{namespace}", note.path));
                continue;
            }
            let session = note.session(caller.token().as_ref());
            let holding = note.made.as_ref().map(|made| Holding {
                lease: made.lease.clone(),
                life: made.life,
                expires: made.expires,
            });
            let expires =
                holding.as_ref().map_or(note.login.as_ref().and_then(|login| login.expires), |made| made.expires);
            let what = match (&holding, &note.login) {
                (Some(_), _) => format!("the credential of {}", note.path),
                (None, Some(_)) => format!("the login for {}", note.path),
                (None, None) => format!("a credential that {} may have made", note.path),
            };
            let is_past = expires.is_some_and(|end| end <= caller.host.now());
            let origin = ItemOrigin::State(number, note.id.clone());
            self.items.push(Item { what, session, holding, is_past, origin });
        }
        let folder = Rc::clone(folder);
        self.states.push(StateFile { folder, name, lock, keys, door, content });
    }

    async fn find_entries(&mut self, caller: &Caller<'_>, until: Duration) -> Result<()> {
        self.folders = CacheFolder::open_all(&caller.place.cache.folders, caller.host);
        for number in 0..self.folders.len() {
            for name in self.folders[number].names() {
                self.add_entry(number, name, caller, until).await?;
            }
        }
        Ok(())
    }

    async fn add_entry(&mut self, number: usize, name: String, caller: &Caller<'_>, until: Duration) -> Result<()> {
        let host = caller.host;
        let lock = self.lock(number, &name, until, host).await?;
        let folder = &self.folders[number];
        let label = folder.label(&name, host);
        let what = label.as_ref().map_or_else(|| name.clone(), render_label);
        let Some(lock) = lock else {
            self.lines.push(format!("in use: {what}"));
            return Ok(());
        };
        if let Some(label) = label.as_ref().filter(|label| label.target.is_some() && label.door.is_of_sts()) {
            let is_own = label.door.job.as_deref() == caller.job();
            if caller.breadth == Breadth::Everybody || is_own || is_stale(label, host.now()) {
                let held = self.locks[lock].1.as_ref();
                let done = held.is_some_and(|lock| folder.remove(lock, &name));
                self.lines.push(if done {
                    render_session(label, host.now())
                } else {
                    format!("cannot be removed: {what}")
                });
            }
            return Ok(());
        }
        let opened = label.as_ref().and_then(|label| Some((label, open(folder, &name, label, caller)?)));
        match opened {
            Some((label, Contents { session, lease, life })) => {
                let is_past = label.expires <= host.now();
                let holding = Holding { lease, life, expires: Some(label.expires) };
                let (what, holding) = match &label.target {
                    Some(_) => (format!("the credential of {what}"), Some(holding)),
                    None => (what, None),
                };
                let origin = ItemOrigin::Cache(number, name, lock);
                self.items.push(Item { what, session, holding, is_past, origin });
            }
            None if caller.breadth == Breadth::Everybody
                || label.as_ref().is_some_and(|label| is_stale(label, host.now())) =>
            {
                let held = self.locks[lock].1.as_ref();
                let done = held.is_some_and(|lock| folder.remove(lock, &name));
                self.lines.push(format!("{}: {what}", removal(done)));
            }
            None => label.iter().for_each(|label| self.note_other(label, caller)),
        }
        Ok(())
    }

    fn note_other(&mut self, label: &Label, caller: &Caller<'_>) {
        let counts = !caller.of_this_job || label.door.job.as_deref() == caller.job();
        if counts && !self.others.contains(&label.door) {
            self.others.push(label.door.clone());
        }
    }

    /// The number of the lock of an entry, which serves many; `None` while another process holds it.
    async fn lock(&mut self, number: usize, name: &str, until: Duration, host: &Host) -> Result<Option<usize>> {
        let folder = &self.folders[number];
        let key = format!("{number} {}", CacheFolder::lock_name(name));
        let place = match self.locks.iter().position(|(known, _)| *known == key) {
            Some(place) => place,
            None => {
                let lock = host.wait_for(until, || Ok(folder.try_lock(name))).await?;
                self.locks.push((key, lock));
                self.locks.len() - 1
            }
        };
        Ok(self.locks[place].1.is_some().then_some(place))
    }

    /// Removes what is revoked or has expired. `fates` are those of the items; what lives stays in the states, and what
    /// could still be revoked stays in the cache unless everything goes.
    pub(super) fn settle(mut self, fates: &[Option<Fate>], caller: &Caller<'_>) {
        for (item, fate) in self.items.iter().zip(fates) {
            let lives = fate.is_some_and(Fate::lives) && !item.is_past && !item.is_expiring();
            match &item.origin {
                ItemOrigin::State(number, id) if !lives => {
                    if let Some(state) = self.states.get_mut(*number) {
                        state.content.notes.retain(|note| note.id != *id);
                    }
                }
                ItemOrigin::State(..) => {}
                ItemOrigin::Cache(folder, name, lock) => {
                    let leaks = lives && matches!(fate, Some(Fate::Lives(_)));
                    if let Some(lock) =
                        self.locks[*lock].1.as_ref().filter(|_| !leaks || caller.breadth == Breadth::Everybody)
                    {
                        self.folders[*folder].remove(lock, name);
                    }
                }
            }
        }
        for state in self.states {
            state.close(caller.host);
        }
    }
}

impl StateFile {
    /// Removes the state, or writes what is left of it. Of a job, the time stays for a day: a call that comes later tells
    /// it.
    fn close(self, host: &Host) {
        let Self { folder, name, lock, keys, door, mut content } = self;
        if content.notes.is_empty() && door.job.is_none() {
            folder.remove(&lock, &name);
            return;
        }
        content.revoked = Some(host.now());
        if let Err(problem) = folder.write(&lock, &name, (&keys, &door), content, host) {
            host.warn(format!("{} {problem}", folder.path_of(&name)));
        }
    }
}

/// Opens an entry of the cache with the caller's secret; outside of his own job, as whoever the entry says.
fn open(folder: &CacheFolder, name: &str, label: &Label, caller: &Caller<'_>) -> Option<Contents> {
    let (identity, own) = (caller.identity()?, caller.door()?);
    let door = match caller.breadth {
        Breadth::Job => &own,
        _ if caller.is_here((&label.door.address, label.door.namespace.as_deref())) => &label.door,
        _ => return None,
    };
    folder.open_entry(name, &Keys::new(door, identity), caller.token(), caller.host)
}

fn removal(done: bool) -> &'static str {
    if done { "removed" } else { "cannot be removed" }
}

/// What becomes of a session of AWS that no Vault made: its entry is gone, and it expires by itself.
fn render_session(label: &Label, now: Timestamp) -> String {
    let parameters = label.target.iter().flat_map(|target| target.parameters.iter().rev());
    let role = parameters.into_iter().find(|(name, _)| name == "RoleArn").map_or("AWS", |(_, role)| role.as_str());
    match label.expires > now {
        true => {
            format!("cannot be revoked: the STS session of {role}, which expires at {}", render_time(label.expires))
        }
        false => format!("removed: the STS session of {role}; it had expired"),
    }
}

/// What an entry is, for people.
pub(super) fn render_label(label: &Label) -> String {
    match &label.target {
        Some(target) => {
            let parameters: String = target.parameters.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{}{parameters}", target.path)
        }
        None => "the login".into(),
    }
}
