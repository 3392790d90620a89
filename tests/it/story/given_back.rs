//! What must hold of `ci-creds cache` and `ci-creds cache clear`.

use super::eye::{Moment, door_of};
use super::ground::Ground;
use super::person::Person;
use super::promise::{Held, Promises, must};
use crate::support::{Ran, leak};

/// A clearing, and all that can be seen of it.
pub struct Cleared<'a> {
    pub person: &'a Person,
    pub ran: Ran,
    pub all: bool,
    /// Nothing went wrong on the way.
    pub calm: bool,
    pub before: Moment,
    pub after: Moment,
}

impl Promises {
    /// `ci-creds cache` shows what is kept, and nothing else.
    pub fn list_what_is_kept(&self, ran: &Ran, now: &Moment) -> Held {
        let kept = now.files.iter().filter(|(name, _)| !name.starts_with("draft-"));
        let kept: Vec<_> = kept.filter_map(|(_, entry)| entry.as_ref()).collect();
        let lines: Vec<_> = ran.stdout.lines().filter(|line| *line != "nothing is kept").collect();
        must(ran.code == 0 && lines.len() == kept.len(), || format!("{} are kept: {ran:?}", kept.len()))?;
        for entry in kept {
            let what = entry.path.as_deref().unwrap_or("the login");
            let end = jiff::Timestamp::try_from(entry.expires).map(|end| format!("{end:.0}")).unwrap_or_default();
            let found = lines.iter().any(|line| line.contains(&format!("  {what} ")) && line.contains(&end));
            must(found, || format!("{what} until {end} is not shown: {ran:?}"))?;
        }
        Ok(())
    }

    /// What was given back is dead and gone, and nobody else lost anything.
    pub fn give_back(&mut self, ground: &Ground, cleared: &Cleared<'_>) -> Held {
        let Cleared { person, ran, all, calm, before, after } = cleared;
        let secrets = ground.secrets();
        must(leak::find(secrets.iter().map(String::as_str), &ran.stderr).is_none(), || {
            format!("a secret is told: {ran:?}")
        })?;
        must([0, 80].contains(&ran.code), || format!("clear ended with {ran:?}"))?;
        must(ran.code == 0 || !*calm || person.method == "token", || format!("nothing was in the way: {ran:?}"))?;
        let door = self.door(person.number);
        let is_mine = |name: &str| door.is_some_and(|door| door_of(name) == door);
        for (name, entry) in before.files.iter().filter_map(|(name, entry)| Some((name, entry.as_ref()?))) {
            if name.starts_with("draft-") {
                continue;
            }
            let is_gone = !after.files.contains_key(name);
            let key = self.content(name, &entry.bytes).filter(|_| is_mine(name) && ran.code == 0);
            let alive = key.is_some_and(|key| {
                after.lease_of(key).is_some() && !key.starts_with("ASIA") && !key.starts_with("aws/sts/")
            });
            must(!alive, || format!("{key:?} lives although it was given back"))?;
            // An ended login tells its job for a day why its secret is spent.
            let is_over = entry.path.is_some() && entry.expires <= after.callers;
            let goes = *all || is_over || is_mine(name) && ran.code == 0;
            must(!goes || is_gone, || format!("{name} stays"))?;
            must(goes || !is_gone || is_mine(name), || format!("{name} is not his, and is gone"))?;
        }
        self.note_what_was_ended(before, after);
        Ok(())
    }
}
