//! What must hold of the commands beside the calls: who only looks changes nothing, and what a command has for itself ends
//! with it.

use dev_vault::{AWS_SESSION, LiveToken};

use super::eye::Moment;
use super::ground::{Ground, STORED_SECRET};
use super::outcome::can_get_one;
use super::person::Person;
use super::plot::Errand;
use super::promise::{Held, Promises, must};
use crate::support::{Ran, leak};

/// A command that was run, and all that can be seen of it.
pub struct Done<'a> {
    pub person: &'a Person,
    pub what: Errand,
    /// What each of its calls did; the last one is its end.
    pub rans: Vec<Ran>,
    /// Nothing went wrong on the way.
    pub calm: bool,
    pub before: Moment,
    pub after: Moment,
}

impl Promises {
    pub fn hold_command(&mut self, ground: &Ground, done: &Done<'_>) -> Held {
        let secrets = ground.secrets();
        let of_aws = AWS_SESSION.session.into_iter().chain([AWS_SESSION.secret, STORED_SECRET]);
        let all = || secrets.iter().map(String::as_str).chain([done.person.secret.as_str()]).chain(of_aws.clone());
        for ran in &done.rans {
            must(leak::find(all(), &ran.stderr).is_none(), || format!("a secret is told: {ran:?}"))?;
            must(DOCUMENTED.contains(&ran.code), || format!("no such end is documented: {ran:?}"))?;
        }
        let Some(end) = done.rans.last() else { return Ok(()) };
        let is_for_others = matches!(done.what, Errand::Token | Errand::Stored | Errand::Session);
        must(is_for_others && end.code == 0 || leak::find(all(), &end.stdout).is_none(), || {
            format!("a secret is printed: {end:?}")
        })?;
        what_is_left_is_told(ground, done, end)?;
        match done.what {
            Errand::Whoami | Errand::Doctor => everything_is_equal(done, end)?,
            Errand::Sections => must(end.code != 0, || format!("there is no such role: {end:?}"))?,
            Errand::Revoke => self.note_what_was_ended(&done.before, &done.after),
            Errand::Exec | Errand::Token => {}
            Errand::Stored => {
                let has = end.stdout.contains(STORED_SECRET);
                must(has == (end.code == 0), || format!("it is what KV has, or nothing: {end:?}"))?;
            }
            Errand::Session => return hold_session(done, end),
        }
        let able = can_get_one(self, done.person, false, &done.before) && done.calm && is_repeatable(done.person);
        let fails = done.what == Errand::Sections || done.what == Errand::Token && done.person.method == "token";
        let cannot = done.person.method == "token" && end.code == 80;
        must(!able || fails || cannot || end.code == 0, || format!("nothing was in the way of {end:?}"))
    }
}

/// Vault does not hear of it, whatever becomes of Vault meanwhile.
fn hold_session(done: &Done<'_>, end: &Ran) -> Held {
    everything_is_equal(done, end)?;
    must(done.before.requests == done.after.requests, || format!("Vault was asked: {end:?}"))?;
    must(!done.calm || end.code == 0, || format!("nothing was in the way of {end:?}"))?;
    must(end.stdout.contains(AWS_SESSION.secret) == (end.code == 0), || format!("a session, or nothing: {end:?}"))
}

/// 125 is an end of `exec`, and 75 one of what waits for others.
const DOCUMENTED: [i32; 11] = [0, 65, 69, 75, 76, 77, 78, 79, 80, 74, 125];

fn is_repeatable(person: &Person) -> bool {
    !["wrapping-token", "secret-id"].contains(&person.method)
}

/// Leases that a token of ours or `sys/leases/revoke` ends, and tokens that a login made.
fn what_is_left_is_told(ground: &Ground, done: &Done<'_>, end: &Ran) -> Held {
    let Done { before, after, what, .. } = done;
    let requests = ground.requests().split_off(before.requests);
    let unheard = requests.iter().filter(|request| {
        let makes = request.path.ends_with("/login") || request.path.ends_with("/token/create");
        makes && request.processed && request.fault.is_some()
    });
    // A login lives on after a run that succeeded.
    let lent = usize::from(matches!(what, Errand::Token | Errand::Stored) && end.code == 0);
    let is_new = |id: &String| !before.tokens.iter().any(|token| token.id == *id);
    let tokens: Vec<_> = after.tokens.iter().filter(|token| !token.wrapping && is_new(&token.id)).collect();
    let leases: Vec<_> = after.leases_since(before).filter(|lease| !lease.path.starts_with("aws/sts/")).collect();
    // The exit code of `exec` is that of its command.
    let says = |ran: &Ran| {
        let by_exec = ["error[leak]", "not revoked: "].iter().any(|words| ran.stderr.contains(words));
        ran.code == 80 || done.what == Errand::Exec && by_exec
    };
    let is_told = done.rans.iter().any(says);
    // On which nothing hangs, and which Vault would not revoke: it expires by itself.
    let is_refused = |token: &&LiveToken| {
        requests.iter().any(|request| {
            let by_it = request.headers.get("X-Vault-Token").is_none_or(|by| by == token.id);
            request.path.ends_with("/revoke-self") && by_it && request.status != Some(204)
        })
    };
    let tokens: Vec<_> = tokens.into_iter().filter(|token| !is_refused(token)).collect();
    must(is_told || tokens.len() <= unheard.count() + lent, || format!("nobody has or tells of {tokens:?}"))?;
    must(is_told || leases.is_empty(), || format!("nobody has or tells of {leases:?}"))
}

/// Who only looks makes nothing, spends nothing and takes nothing from anybody.
fn everything_is_equal(done: &Done<'_>, end: &Ran) -> Held {
    let Done { before, after, .. } = done;
    let has = |moment: &Moment| (moment.made, moment.unspent.clone(), moment.strays.clone());
    must(has(before) == has(after), || format!("something was made or spent: {end:?}"))?;
    must(before.files == after.files, || format!("the cache has changed: {end:?}"))?;
    let gone =
        before.leases.iter().find(|lease| lease.expires > after.vault && after.lease_of(&lease.access_key).is_none());
    must(gone.is_none(), || format!("{gone:?} is gone"))?;
    let lives = |id: &str| after.tokens.iter().any(|token| token.id == id);
    let gone =
        before.tokens.iter().find(|token| token.expires.is_none_or(|end| end > after.vault) && !lives(&token.id));
    must(gone.is_none(), || format!("{gone:?} is gone"))
}
