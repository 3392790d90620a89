//! What must hold after every step, whatever happened. Each promise is a function, and its name says it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::eye::{Moment, door_of, time};
use super::ground::Ground;
use super::outcome;
use super::person::Person;
use super::plot::{Call, End, REQUESTS, Request};

use crate::support::{Ran, leak};

pub type Held = Result<(), String>;

/// A caller's end.
pub struct Ending {
    pub request: &'static Request,
    /// Its key is known by its lease: the engine gives the same one to everybody.
    pub by_lease: bool,
    pub ran: Ran,
}

impl Ending {
    /// The access key that was handed out.
    pub fn key(&self) -> Option<&str> {
        if self.by_lease {
            let lease = self.ran.stdout.split_once("\"lease_id\":\"").and_then(|(_, rest)| rest.split_once('"'));
            return lease.map(|(lease, _)| lease).filter(|_| self.ran.code == 0);
        }
        let words = self.ran.stdout.split(|c: char| !c.is_ascii_alphanumeric());
        let is_key = |word: &&str| word.len() > 12 && ["EXO", "AKIA", "ASIA"].iter().any(|kind| word.starts_with(kind));
        words.into_iter().find(is_key).filter(|_| self.ran.code == 0)
    }

    fn announced(&self) -> Option<SystemTime> {
        self.ran.stdout.split(['"', '\'']).find_map(time)
    }

    fn tells_of_a_stray(&self) -> bool {
        self.ran.stderr.contains("may remain that no lease revokes")
    }

    fn was_killed(&self) -> bool {
        self.ran.code == 137
    }
}

/// A call, and all that can be seen of it.
pub struct Seen<'a> {
    pub ground: &'a Ground,
    pub person: &'a Person,
    pub call: &'a Call,
    /// Nothing went wrong on the way.
    pub calm: bool,
    pub endings: Vec<Ending>,
    pub before: Moment,
    pub after: Moment,
}

impl Seen<'_> {
    /// One caller, who was left alone: what he must come to can be told exactly.
    pub fn alone(&self) -> Option<&Ending> {
        (self.endings.len() == 1 && self.call.end == End::Whole).then(|| &self.endings[0])
    }

    /// Whether one call can have ended what another one of the same moment just got: they share a login.
    fn may_have_ended_each_other(&self) -> bool {
        self.endings.len() > 1 && (self.call.mishap.is_some() || self.call.end != End::Whole)
    }
}

/// What the story has shown so far.
#[derive(Default)]
pub struct Promises {
    /// Who got a key.
    owners: BTreeMap<String, usize>,
    /// When a key ends, by Vault.
    ends: BTreeMap<String, SystemTime>,
    /// Keys that an operator or a clearing ended.
    ended_elsewhere: BTreeSet<String>,
    /// Whose files begin with that.
    doors: BTreeMap<String, usize>,
    /// Which key a file holds.
    contents: BTreeMap<(String, Vec<u8>), String>,
    /// The token of the login that somebody keeps.
    logins: BTreeMap<usize, String>,
    /// Until when a secret is not sent again, and what the cache says of its login: Vault refused it after its job had used
    /// it.
    refused: BTreeMap<usize, (SystemTime, Vec<u8>)>,
    /// Who asked for what.
    asked: BTreeSet<(usize, &'static str)>,
    killed: bool,
}

/// As [`assert!`], for a promise that is told with its whole story.
pub fn must(holds: bool, broken: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(broken()) }
}

impl Promises {
    pub fn hold(&mut self, seen: &Seen<'_>) -> Held {
        self.killed |= seen.endings.iter().any(Ending::was_killed);
        self.asked.extend(seen.endings.iter().map(|ending| (seen.person.number, ending.request.path)));
        for ending in &seen.endings {
            every_end_is_a_documented_one(seen, ending)?;
            nothing_secret_is_told(seen, &ending.ran)?;
        }
        self.nobody_touches_what_another_one_keeps(seen)?;
        self.learn(seen);
        for ending in &seen.endings {
            self.a_key_is_alive_and_its_callers_alone_and_ends_no_later_than_announced(seen, ending)?;
        }
        self.every_lease_has_an_owner(seen)?;
        every_key_without_a_lease_is_told(seen)?;
        nobody_asks_with_a_login_that_is_given_back(seen)?;
        self.a_refused_secret_rests(seen)?;
        self.what_is_kept_is_alive(seen)?;
        self.the_folder_is_tidy(&seen.after)?;
        outcome::all(self, seen)
    }

    /// The door of somebody's files, once there are any.
    pub fn door(&self, number: usize) -> Option<&String> {
        self.doors.iter().find(|(_, owner)| **owner == number).map(|(door, _)| door)
    }

    /// What is known to lie in a file.
    pub fn content(&self, name: &str, bytes: &[u8]) -> Option<&String> {
        self.contents.get(&(name.to_owned(), bytes.to_owned()))
    }

    pub fn login(&self, number: usize) -> Option<&String> {
        self.logins.get(&number)
    }

    fn nobody_touches_what_another_one_keeps(&mut self, seen: &Seen<'_>) -> Held {
        let number = seen.person.number;
        for (name, entry) in &seen.after.files {
            let is_new = seen.before.files.get(name) != Some(entry);
            if !is_new || name.starts_with("draft-") {
                continue;
            }
            let door = door_of(name);
            let known = self.door(number).is_some_and(|mine| mine != door);
            let owner = *self.doors.entry(door.to_owned()).or_insert(number);
            must(owner == number && !known, || format!("{name} is written by {number}, and is not his"))?;
        }
        for (name, entry) in &seen.before.files {
            let is_stale = entry.as_ref().is_none_or(|entry| entry.expires <= seen.after.callers);
            let is_mine = self.doors.get(door_of(name)) == Some(&number);
            let is_there = seen.after.files.get(name) == Some(entry);
            must(is_mine || is_stale || is_there || name.starts_with("draft-"), || {
                format!("{name} of another one is gone")
            })?;
        }
        Ok(())
    }

    fn learn(&mut self, seen: &Seen<'_>) {
        let Seen { before, after, person, .. } = seen;
        for lease in after.leases_since(before) {
            let token = after.tokens.iter().find(|token| token.accessor == lease.accessor);
            // STS outlives it; a token that nobody logged in for is looked up where its key is kept, if that goes well.
            let looked_up = seen.call.keep && seen.call.mishap.is_none() && seen.call.end == End::Whole;
            let counts = !lease.path.starts_with("aws/sts/") && (person.method != "token" || looked_up);
            let of_token = token.and_then(|token| token.expires).filter(|_| counts);
            let end = of_token.map_or(lease.expires, |end| end.min(lease.expires));
            self.ends.insert(lease.access_key.clone(), end);
        }
        let door = self.door(person.number).cloned();
        for Ending { request, .. } in &seen.endings {
            let same = seen.endings.iter().filter(|other| other.request.path == request.path && other.ran.code == 0);
            let keys: BTreeSet<_> = same.filter_map(Ending::key).collect();
            if let (1, true, Some((name, entry))) =
                (keys.len(), seen.call.keep, after.of_door(door.as_ref(), Some(request.path)))
            {
                let key = keys.into_iter().map(str::to_owned).collect();
                self.contents.entry((name.clone(), entry.bytes.clone())).or_insert(key);
            }
        }
        let old: BTreeSet<_> = before.tokens.iter().map(|token| &token.id).collect();
        let mut new =
            after.tokens.iter().filter(|token| token.path.ends_with("approle/login") && !old.contains(&token.id));
        if let (true, Some(token)) = (seen.call.keep, new.next_back()) {
            self.logins.insert(person.number, token.id.clone());
        }
    }

    fn a_key_is_alive_and_its_callers_alone_and_ends_no_later_than_announced(
        &mut self,
        seen: &Seen<'_>,
        ending: &Ending,
    ) -> Held {
        let Some(key) = ending.key() else { return Ok(()) };
        let number = seen.person.number;
        let owner = *self.owners.entry(key.to_owned()).or_insert(number);
        must(owner == number, || format!("{key} of {owner} was given to {number}"))?;
        let end = self.ends.get(key);
        let is_over = end.is_some_and(|end| *end <= seen.after.vault);
        let is_alive = !ending.request.revocable || seen.after.lease_of(key).is_some();
        let excused = is_over || self.ended_elsewhere.contains(key) || seen.may_have_ended_each_other();
        must(is_alive || excused, || format!("{key} was handed out dead"))?;
        let Some(announced) = ending.announced() else { return Ok(()) };
        must(announced > seen.before.callers, || format!("{key} was handed out when it had expired"))?;
        must(end.is_none_or(|end| announced <= *end), || format!("{key} ends at {end:?}, before it is said to"))
    }

    fn every_lease_has_an_owner(&self, seen: &Seen<'_>) -> Held {
        let told = seen.endings.iter().filter(|ending| ending.was_killed() || ending.ran.code == 80).count();
        let door = self.door(seen.person.number);
        // Nobody can take it back, and no token of ours ends its lease: there is none, or it is cached for the job's next call.
        let lives_on = seen.person.method == "token" || seen.after.of_door(door, None).is_some();
        let is_lost = lives_on && seen.endings.iter().any(|ending| ending.ran.code != 0);
        let left: Vec<_> = seen
            .after
            .leases_since(&seen.before)
            .filter(|lease| {
                let is_kept = seen.after.of_door(door, Some(&lease.path)).is_some_and(|(name, entry)| {
                    let known = self.content(name, &entry.bytes);
                    seen.before.entry(name) != Some(entry) && known.is_none_or(|key| *key == lease.access_key)
                });
                let is_excused = is_lost && lease.path.starts_with("aws/sts/");
                !self.owners.contains_key(&lease.access_key) && !is_kept && !is_excused
            })
            .collect();
        must(left.len() <= told, || format!("nobody has, keeps or tells of {left:?}"))
    }

    /// docs/cache.md: once Vault has refused a secret that its job had used, it is not sent again for 15 minutes. What remembers
    /// that is the entry of its login.
    fn a_refused_secret_rests(&mut self, seen: &Seen<'_>) -> Held {
        let number = seen.person.number;
        let door = self.door(number);
        let login = |moment: &Moment| moment.of_door(door, None).map(|(_, entry)| entry.bytes.clone());
        let requests = seen.ground.requests().split_off(seen.before.requests);
        let mut sent = requests.iter().filter(|request| {
            String::from_utf8_lossy(&request.body).contains(&seen.person.secret)
                && request.path.ends_with("approle/login")
        });
        if let (Some((until, noted)), Some(known)) = (self.refused.get(&number), login(&seen.before)) {
            let rests = seen.call.keep && *noted == known && seen.after.callers < *until;
            must(!rests || sent.next().is_none(), || "a refused secret was sent again".into())?;
        }
        let refused = sent.any(|request| request.status == Some(400));
        if let (true, Some(_), Some(_), Some(noted)) =
            (seen.call.keep && refused, seen.alone(), login(&seen.before), login(&seen.after))
        {
            self.refused.insert(number, (seen.before.callers + Duration::from_secs(15 * 60) - SLACK, noted));
        }
        Ok(())
    }

    /// A key that Vault has ended at our own wish is in nobody's cache.
    fn what_is_kept_is_alive(&self, seen: &Seen<'_>) -> Held {
        for (name, entry) in seen.after.files.iter().filter_map(|(name, entry)| Some((name, entry.as_ref()?))) {
            let revocable = entry.path.as_ref().is_some_and(|path| !path.starts_with("aws/sts/"));
            let (true, Some(key)) = (revocable, self.content(name, &entry.bytes)) else { continue };
            let is_over = self.ends.get(key).is_some_and(|end| *end <= seen.after.vault);
            let excused = is_over || self.ended_elsewhere.contains(key);
            must(excused || seen.after.lease_of(key).is_some(), || format!("{key} is kept in {name}, and is dead"))?;
        }
        Ok(())
    }

    fn the_folder_is_tidy(&self, after: &Moment) -> Held {
        must(after.open.is_empty(), || format!("others can open {:?}", after.open))?;
        let draft = after.files.keys().find(|name| name.starts_with("draft-"));
        must(draft.is_none() || self.killed, || format!("{draft:?} is left"))
    }

    /// By an operator, or by a clearing: no cache knows of the one, and the other tells it.
    pub fn note_what_was_ended(&mut self, before: &Moment, after: &Moment) {
        let ended = before.leases.iter().filter(|lease| after.lease_of(&lease.access_key).is_none());
        self.ended_elsewhere.extend(ended.map(|lease| lease.access_key.clone()));
    }

    /// Of a story in which nothing goes wrong.
    pub fn count_what_was_made(&self, made: usize) -> Held {
        must(made == self.asked.len(), || format!("{made} were made for {:?}", self.asked))
    }
}

/// Only a kill comes before the word.
fn every_key_without_a_lease_is_told(seen: &Seen<'_>) -> Held {
    let tells = |ending: &&Ending| ending.was_killed() || ending.tells_of_a_stray();
    let told = seen.endings.iter().filter(tells).count();
    let new: Vec<_> = seen.after.strays.difference(&seen.before.strays).collect();
    must(new.len() <= told, || format!("no lease revokes {new:?}, and {told} tell of it"))
}

/// Whoever takes back what was made with a shared login holds the lock until that is done. So after a read whose answer was
/// lost, and after a lease that was not revoked, the login's next request is not a read: what that makes would end with
/// the login.
fn nobody_asks_with_a_login_that_is_given_back(seen: &Seen<'_>) -> Held {
    let is_kill = matches!(seen.call.end, End::AtRequest { kill: true, .. } | End::After { kill: true, .. });
    // A plain token is not given back, and who is killed gives nothing back.
    if is_kill || seen.person.method == "token" {
        return Ok(());
    }
    let mut owed = BTreeSet::new();
    for request in &seen.ground.requests()[seen.before.requests..] {
        let Some(token) = request.headers.get("X-Vault-Token") else { continue };
        let is_read = REQUESTS.iter().any(|known| request.path.ends_with(known.path));
        must(!is_read || !owed.contains(token), || {
            format!("{} was asked with a login that is given back", request.path)
        })?;
        let is_lost = is_read && request.fault.is_some_and(|fault| LOSING.contains(&fault));
        let is_left = request.path.ends_with("leases/revoke") && request.status != Some(204);
        if is_lost || is_left {
            owed.insert(token.to_owned());
        } else {
            owed.remove(token);
        }
    }
    Ok(())
}

/// Faults behind which Vault has acted, and nobody gets its answer.
const LOSING: [&str; 3] = ["reset_answer", "answer_after", "hang_after"];

fn every_end_is_a_documented_one(seen: &Seen<'_>, ending: &Ending) -> Held {
    let Ending { ran, request, .. } = ending;
    let (killed, asked_to) = match seen.call.end {
        End::AtRequest { kill, .. } | End::After { kill, .. } => (kill, !kill),
        End::Whole | End::Full => (false, false),
    };
    let documented = match ran.code {
        0 => seen.call.end != End::Full,
        74 => seen.call.end == End::Full,
        137 => killed,
        143 => asked_to,
        code => [65, 69, 75, 76, 77, 78, 79, 80].contains(&code),
    };
    must(documented, || format!("no such end is documented: {ran:?}"))?;
    let errors = ran.stderr.lines().filter(|line| line.starts_with("ci-creds: error[")).count();
    // A signal may come before anybody listens to it, and a kill when all is said.
    let is_cut = ran.code == 143 && ran.stderr.is_empty() || ran.code == 137 && errors < 2;
    must(errors == usize::from(ran.code != 0) || is_cut, || format!("{errors} errors: {ran:?}"))?;
    let is_quiet = ran.stderr.is_empty() || ending.tells_of_a_stray() && ran.stderr.lines().count() == 1;
    must(ran.code != 0 || !request.process || is_quiet, || format!("a success says: {ran:?}"))?;
    must(ran.code != 0 || ending.key().is_some(), || format!("a success without a key: {ran:?}"))
}

fn nothing_secret_is_told(seen: &Seen<'_>, ran: &Ran) -> Held {
    let secrets = if ran.stderr.is_empty() { BTreeSet::new() } else { seen.ground.secrets() };
    let all = secrets.iter().map(String::as_str).chain([seen.person.secret.as_str()]);
    must(leak::find(all, &ran.stderr).is_none(), || format!("a secret is told: {ran:?}"))
}

/// Long enough that a busy machine does not decide a question of time.
pub const SLACK: Duration = Duration::from_secs(25);
