//! `ci-creds revoke` and `ci-creds cache clear`: everything that a login made in a job, or in all of them, is revoked.
//!
//! What was noted and what is cached are one thing here: each lease is revoked once, then each login. A line of stdout
//! says what became of a credential; what lives on is the error.

use futures_util::future::join_all;

use crate::auth::Session;
use crate::config::{Access, StatePlace};
use crate::error::{Error, Kind, Result, printable};
use crate::host::Host;
use crate::render::{command_line, quote};
use crate::revocation::{Fate, Holding, Revoker, SessionFate};
use crate::time::render_time;
use crate::vault::client::Vault;

use super::cache::who;
pub(crate) use super::inventory::Breadth;
use super::inventory::{Caller, Inventory, Item};
use super::{complete_login, finish, start_runtime};

/// How far the command goes, and what it says.
#[derive(Clone, Copy)]
pub(crate) struct RevocationScope {
    pub(crate) breadth: Breadth,
    /// Says nothing where there is nothing to do, unless at a terminal, and nothing of what other jobs cached.
    pub(crate) quiet: bool,
}

/// Revokes what was noted and what is cached, as far as `scope` says.
///
/// # Errors
/// [`Kind::Leak`] for what lives on and does not expire by itself, and for a state that is refused. [`Kind::Config`]
/// when something is there and nobody says who the caller is, which is `access`. When a lock cannot be waited for.
pub(crate) fn run(
    place: &StatePlace,
    access: Result<Access>,
    scope: RevocationScope,
    verbose: bool,
    host: &Host,
) -> Result<()> {
    let owner = access.and_then(|mut access| {
        access.connection.read_roots(host)?;
        complete_login(&mut access.login, host)?;
        let vault = Vault::new(&access.connection, host)?;
        if verbose {
            vault.tell_requests();
        }
        Ok((access, vault))
    });
    let owner = match owner {
        Err(error) if error.kind().is_signal() => return Err(error),
        owner => owner,
    };
    let Report { mut text, error } = start_runtime(host)?.block_on(revoke(place, owner, scope, host))?;
    if text.is_empty() && error.is_none() && (verbose || host.has_reader()) {
        text.push_str(NOTHING_NOTED);
    }
    finish(text, host)?;
    error.map_or(Ok(()), Err)
}

/// What was done, for stdout, and what could not be.
struct Report {
    text: String,
    error: Option<Error>,
}

async fn revoke(
    place: &StatePlace,
    owner: Result<(Access, Vault<'_>)>,
    RevocationScope { breadth, quiet }: RevocationScope,
    host: &Host,
) -> Result<Report> {
    let (access, vault) = match &owner {
        Ok((access, vault)) => (Some(access), Some(vault)),
        Err(_) => (None, None),
    };
    let revoker = vault.map(Revoker::new);
    let caller = Caller { access, place, breadth, of_this_job: quiet && breadth == Breadth::Job, host };
    let mut inventory = Inventory::find(&caller).await?;
    let groups = group(&inventory.items);
    let revocations = match &revoker {
        Some(revoker) => join_all(groups.iter().map(|group| revoker.revoke(group.session, &group.holdings))).await,
        None => Vec::new(),
    };
    let fates: Vec<_> = inventory.items.iter().map(|item| fate_of(item, &groups, &revocations)).collect();
    let (lines, mut lives) = tell(&inventory.items, &fates);
    lives.extend(groups.iter().zip(&revocations).filter_map(|(group, revocation)| render_token(group, revocation)));
    drop(groups);
    let lines: Vec<_> = std::mem::take(&mut inventory.lines).into_iter().chain(lines).collect();
    let refusals = std::mem::take(&mut inventory.refusals);
    let others = inventory.others.len();
    let foreign_states = inventory.foreign.iter().map(|(door, end)| {
        format!("this job has a state of another login, {}, which was not opened: by its label, what it names lives until {}", who(door), render_time(*end))
    });
    lives.extend(foreign_states);
    let foreign = !inventory.foreign.is_empty();
    let elsewhere = std::mem::take(&mut inventory.elsewhere).into_iter().next();
    let leaks = fates.iter().any(|fate| matches!(fate, Some(Fate::Lives(_))));
    inventory.settle(&fates, &caller);
    Ok(report(Findings { lines, lives, leaks, refusals, foreign, elsewhere, others, quiet }, owner.err()))
}

/// A session, and what it made.
struct Group<'a> {
    session: &'a Session,
    holdings: Vec<Holding>,
}

/// One group a token, and one holding a lease: the state and the cache may both know it.
fn group(items: &[Item]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for item in items {
        let Some(session) = &item.session else { continue };
        let place = groups.iter().position(|group| is_same(group.session, session)).unwrap_or_else(|| {
            groups.push(Group { session, holdings: Vec::new() });
            groups.len() - 1
        });
        let holdings = &mut groups[place].holdings;
        if let Some(holding) = &item.holding
            && position(holdings, holding).is_none()
        {
            holdings.push(holding.clone());
        }
    }
    groups
}

fn is_same(one: &Session, other: &Session) -> bool {
    one.own == other.own && one.token.expose() == other.token.expose()
}

fn position(holdings: &[Holding], wanted: &Holding) -> Option<usize> {
    let key = |holding: &Holding| (holding.lease.clone(), holding.life, holding.expires);
    let same = |holding: &Holding| match (&holding.lease, &wanted.lease) {
        (Some(one), Some(other)) => one == other,
        _ => key(holding) == key(wanted),
    };
    holdings.iter().position(same)
}

/// What became of an item. `None` when there was nothing to revoke.
fn fate_of(item: &Item, groups: &[Group<'_>], revocations: &[SessionFate]) -> Option<Fate> {
    let session = item.session.as_ref();
    let found =
        groups.iter().zip(revocations).find(|(group, _)| session.is_some_and(|one| is_same(group.session, one)));
    let Some((group, revocation)) = found else {
        // A token that the caller does not give any more.
        return item.holding.as_ref().map(|holding| Fate::Lives(holding.expires));
    };
    match (&item.holding, revocation.token) {
        (Some(holding), _) => position(&group.holdings, holding).map(|place| revocation.fates[place]),
        (None, Some(true)) => Some(Fate::Revoked),
        (None, Some(false)) if group.session.batch => Some(Fate::Irrevocable(group.session.expires_at)),
        (None, _) => Some(Fate::Lives(group.session.expires_at)),
    }
}

/// The token of a login that lives on although all that it made is revoked. Where that lives too, it tells as much.
fn render_token(group: &Group<'_>, revocation: &SessionFate) -> Option<String> {
    let Session { batch, expires_at, .. } = group.session;
    let fate = if *batch { Fate::Irrevocable(*expires_at) } else { Fate::Lives(*expires_at) };
    let tells = revocation.token == Some(false)
        && !revocation.fates.is_empty()
        && !revocation.fates.iter().any(|fate| fate.lives());
    tells.then(|| fate.render("the token of the login"))
}

/// A line for each item, and a text for each that lives on. What is known from two places is told once.
fn tell(items: &[Item], fates: &[Option<Fate>]) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut lives): (Vec<String>, Vec<String>) = Default::default();
    for (item, fate) in items.iter().zip(fates) {
        let what = &item.what;
        let (list, text) = match fate {
            None => (&mut lines, format!("removed: {what}; it had expired")),
            Some(fate) if fate.lives() && item.is_past => (&mut lines, format!("removed: {what}; it had expired")),
            Some(fate @ Fate::Lives(_)) => {
                let lease = item.holding.as_ref().and_then(|holding| holding.lease.as_ref());
                let lease = lease.map_or(String::new(), |lease| format!(", the lease {lease},"));
                (&mut lives, fate.render(&format!("{what}{lease}")))
            }
            // An STS session expires by itself and nobody can revoke it: in every job with one, an error would be noise.
            Some(fate) if fate.lives() && !item.is_expiring() => (&mut lives, fate.render(what)),
            Some(fate) => (&mut lines, fate.render(what)),
        };
        if !list.contains(&text) {
            list.push(text);
        }
    }
    (lines, lives)
}

/// What there is to tell.
struct Findings {
    lines: Vec<String>,
    /// What lives on, a text each.
    lives: Vec<String>,
    /// Whether some of it could be revoked.
    leaks: bool,
    /// States that are refused.
    refusals: Vec<String>,
    /// Whether another login of the job left something.
    foreign: bool,
    /// Where a state says that something was made, and this run did not ask.
    elsewhere: Option<(String, Option<String>)>,
    others: usize,
    quiet: bool,
}

const NOTHING: &str = "the cache is empty\n";
const NOTHING_NOTED: &str = "nothing to revoke: no call with this login noted anything (--keep-state, --cache)\n";

/// The call that revokes what was made at another address.
fn render_call(address: &str, namespace: Option<&str>) -> String {
    let namespace = namespace.map_or(String::new(), |name| format!("VAULT_NAMESPACE={} ", quote(name)));
    format!("VAULT_ADDR={} {namespace}{}", quote(address), command_line(&["revoke".to_owned()], &[]))
}

fn report(findings: Findings, access_error: Option<Error>) -> Report {
    let Findings { lines, lives, leaks, refusals, foreign, elsewhere, others, quiet } = findings;
    let mut text: String = lines.iter().map(|line| format!("{}\n", printable(line))).collect();
    let refusals = refusals
        .into_iter()
        .map(|refusal| format!("the state of the job is refused: {refusal}; what it names lives until it expires"));
    let texts: Vec<_> = lives.into_iter().chain(refusals).collect();
    let mut error = (!texts.is_empty()).then(|| {
        let error = Error::new(Kind::Leak, texts.join("; "));
        match (leaks, elsewhere, foreign) {
            (true, ..) => error.hint(
                "run it again when Vault can be reached; if the policy refuses, it needs: path \"sys/leases/revoke\" \
                 { capabilities = [\"update\"] }, or by hand: vault lease revoke",
            ),
            (_, Some((address, namespace)), _) => error.hint(render_call(&address, namespace.as_deref())),
            (_, _, true) => error.hint("ci-creds revoke, with the variables and flags of that login's calls"),
            _ => error,
        }
    });
    if others > 0 {
        let rest = format!("{others} of other logins");
        match access_error {
            Some(access_error) if text.is_empty() => {
                let why = access_error.message();
                error = error.or_else(|| {
                    Some(Error::new(Kind::Config, format!("nothing was revoked, {rest} remain: {why}")).hint(
                        "pass the flags and variables of the calls that made them; ci-creds cache clear --all removes \
                         them without revoking their leases",
                    ))
                });
            }
            _ if quiet => text.push_str(&format!("left: {rest}: run it with their variables and flags\n")),
            _ => text.push_str(&format!("left: {rest}; --all removes them, and their leases expire on their own\n")),
        }
    }
    if text.is_empty() && error.is_none() && !quiet {
        text.push_str(NOTHING);
    }
    Report { text, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Life;

    #[test]
    fn a_lease_is_known_by_its_id_and_what_has_none_by_its_end() {
        let holding = |lease: Option<&str>, second| Holding {
            lease: lease.map(str::to_owned),
            life: Life::Leased,
            expires: jiff::Timestamp::from_second(second).ok(),
        };
        let known = [holding(Some("a"), 1), holding(None, 2)];
        for (wanted, place) in [
            (holding(Some("a"), 9), Some(0)),
            (holding(Some("b"), 1), None),
            (holding(None, 2), Some(1)),
            (holding(None, 3), None),
        ] {
            assert_eq!(position(&known, &wanted), place, "{wanted:?}");
        }
    }
}
