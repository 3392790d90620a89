//! What can be seen at a moment: the files of the cache, by what they say of themselves, and what lives in Vault.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dev_vault::{LiveLease, LiveToken};
use jiff::Timestamp;

use super::person::Person;
use crate::support::World;
use crate::support::expect::did_not_act;

/// An entry as a stranger reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub bytes: Vec<u8>,
    /// Nothing for a login.
    pub path: Option<String>,
    pub issued: SystemTime,
    pub expires: SystemTime,
    pub pause: Option<SystemTime>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = self.path.as_deref().unwrap_or("the login");
        let shown = |time: SystemTime| Timestamp::try_from(time).map(|time| format!("{time:.0}")).unwrap_or_default();
        let pause = self.pause.map(shown);
        write!(f, "{what} from {} to {}, pause {pause:?}", shown(self.issued), shown(self.expires))
    }
}

impl Entry {
    fn read(bytes: Vec<u8>) -> Option<Self> {
        let line = bytes.split(|byte| *byte == b'\n').next()?;
        let label: serde_json::Value = serde_json::from_slice(line).ok()?;
        let time = |name: &str| label[name].as_str().and_then(time);
        let path = label["target"]["path"].as_str().map(str::to_owned);
        let (issued, expires, pause) = (time("issued")?, time("expires")?, time("pause"));
        Some(Self { path, issued, expires, pause, bytes })
    }
}

/// A time as it is printed.
pub fn time(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

#[derive(Clone)]
pub struct Moment {
    /// By name; what is no entry has none.
    pub files: BTreeMap<String, Option<Entry>>,
    /// Names whose mode lets others in.
    pub open: Vec<String>,
    pub leases: Vec<LiveLease>,
    pub tokens: Vec<LiveToken>,
    /// The secrets for one use that are good.
    pub unspent: BTreeSet<String>,
    /// The keys that no lease revokes.
    pub strays: BTreeSet<String>,
    pub requests: usize,
    pub made: usize,
    /// By Vault's clock.
    pub vault: SystemTime,
    /// By the callers' clock.
    pub callers: SystemTime,
}

impl Moment {
    /// By the double, which tells everything.
    pub fn of(world: &World, people: &[Person], lag: Duration) -> Self {
        let (files, open) = read_cache(&world.home());
        let vault = world.vault.now();
        Self {
            files,
            open,
            leases: world.vault.live_leases().into_iter().filter(|lease| !lease.queued).map(named).collect(),
            tokens: world.vault.live_tokens(),
            unspent: people.iter().filter(|person| is_unspent(person, world)).map(|p| p.secret.clone()).collect(),
            strays: world.vault.keys_without_a_lease(),
            requests: world.vault.requests().len(),
            made: world.vault.minted().into_values().sum(),
            vault,
            callers: vault - lag,
        }
    }
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.files.get(name)?.as_ref()
    }

    /// The entry of a door for one path, or of its login, with its name.
    pub fn of_door(&self, door: Option<&String>, path: Option<&str>) -> Option<(&String, &Entry)> {
        let mine = self.files.iter().filter(|(name, _)| door.is_some_and(|door| door_of(name) == door));
        mine.filter_map(|(name, entry)| Some((name, entry.as_ref()?))).find(|(_, entry)| entry.path.as_deref() == path)
    }

    pub fn lease_of(&self, key: &str) -> Option<&LiveLease> {
        self.leases.iter().find(|lease| lease.access_key == key)
    }

    /// The leases that were not there before.
    pub fn leases_since<'a>(&'a self, before: &Self) -> impl Iterator<Item = &'a LiveLease> {
        let old: BTreeSet<_> = before.leases.iter().map(|lease| lease.id.clone()).collect();
        self.leases.iter().filter(move |lease| !old.contains(&lease.id))
    }

    /// A token by its id: on a real server, its accessor.
    pub fn is_alive(&self, token: &str, for_more_than: Duration) -> bool {
        let found = self.tokens.iter().find(|known| known.id == token);
        found.is_some_and(|token| token.expires.is_none_or(|end| end > self.vault + for_more_than))
    }
}

/// What a database lends has no access key: it is known by its lease.
fn named(lease: LiveLease) -> LiveLease {
    let is_named = !lease.path.starts_with("database/");
    LiveLease { access_key: if is_named { lease.access_key } else { lease.id.clone() }, ..lease }
}

/// The files of a cache, and the names of those that others can open.
pub fn read_cache(home: &Path) -> (BTreeMap<String, Option<Entry>>, Vec<String>) {
    let (mut files, mut open) = (BTreeMap::new(), Vec::new());
    let listing = std::fs::read_dir(home.join(".cache/ci-creds")).into_iter().flatten();
    for file in listing.map(|file| file.expect("a file")) {
        let name = file.file_name().into_string().expect("a name");
        if file.metadata().is_ok_and(|metadata| metadata.mode() & 0o7777 != 0o600) {
            open.push(name.clone());
        }
        // The state of a job is no entry.
        if !name.starts_with("lock-") && !name.starts_with("job-") {
            files.insert(name, std::fs::read(file.path()).ok().and_then(Entry::read));
        }
    }
    (files, open)
}

/// Whether no request has used up a person's secret for one use.
fn is_unspent(person: &Person, world: &World) -> bool {
    let path = if person.method == "secret-id" { "approle/login" } else { "/unwrap" };
    !world.vault.requests().iter().any(|request| {
        let holds = |text: &str| text.contains(person.secret.as_str());
        let token = request.headers.get("X-Vault-Token").is_some_and(holds);
        let acted = request.processed && !did_not_act(request.status);
        request.path.ends_with(path) && acted && (token || holds(&String::from_utf8_lossy(&request.body)))
    })
}

/// What the names of everything behind one login begin with.
pub fn door_of(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}
