//! What a call must come to, by what was kept before it and by who its caller is.

use std::time::{Duration, SystemTime};

use super::eye::{Entry, Moment};
use super::person::Person;
use super::plot::End;
use super::promise::{Ending, Held, Promises, SLACK, Seen, must};
use super::trouble::What;
use crate::support::expect::did_not_act;

pub fn all(known: &Promises, seen: &Seen<'_>) -> Held {
    a_single_use_secret_is_spent_once(seen)?;
    what_is_kept_is_used_until_a_new_one_is_due(known, seen)?;
    what_was_handed_out_is_kept(known, seen)?;
    who_can_log_in_succeeds_when_nothing_is_in_the_way(known, seen)?;
    an_old_one_is_better_than_none(known, seen)?;
    another_run_is_advised_only_where_it_can_help(known, seen)?;
    callers_of_one_moment_share(seen)
}

/// A wrapping token is sent to be unwrapped again only after Vault said that it did not act, or that the token is
/// unspent; a secret ID, by the same call, only after the former.
fn a_single_use_secret_is_spent_once(seen: &Seen<'_>) -> Held {
    let secret = &seen.person.secret;
    let requests = seen.ground.requests();
    let from = if seen.person.method == "wrapping-token" { 0 } else { seen.before.requests };
    if seen.person.method == "secret-id" && seen.endings.len() > 1 {
        return Ok(());
    }
    let mut sent = None;
    for request in &requests[from..] {
        let holds = |text: &str| text.contains(secret.as_str());
        let of_it =
            request.headers.get("X-Vault-Token").is_some_and(holds) || holds(&String::from_utf8_lossy(&request.body));
        if !of_it {
            continue;
        }
        if request.path.ends_with("/unwrap") || request.path.ends_with("approle/login") {
            must(sent.is_none_or(did_not_act), || format!("{} was sent twice", request.path))?;
            sent = Some(request.status);
        } else if request.path.ends_with("wrapping/lookup") && request.status == Some(200) {
            sent = None;
        }
    }
    Ok(())
}

/// What is to be done with a kept credential.
#[derive(Debug, PartialEq, Eq)]
enum Use {
    Again,
    NotAgain,
    OnlyForWantOfANewOne,
    /// Too close to call.
    Unknown,
}

/// docs/cache.md: due when less than 16 minutes are left, or less than a third of a shorter life.
fn how_to_use(entry: &Entry, login: Option<&Entry>, now: SystemTime) -> Use {
    let left = entry.expires.duration_since(now).unwrap_or_default();
    let life = entry.expires.duration_since(entry.issued).unwrap_or_default();
    let due = Duration::from_secs(16 * 60).min(life / 3);
    let ahead = entry.issued.duration_since(now).unwrap_or_default();
    if left < Duration::from_secs(15) || ahead > Duration::from_secs(60) + SLACK {
        return Use::NotAgain;
    }
    if left < Duration::from_secs(15) + SLACK || ahead > Duration::from_secs(55) {
        return Use::Unknown;
    }
    if left > due + SLACK || entry.pause.is_some_and(|pause| pause > now + SLACK) {
        return Use::Again;
    }
    // It ends with the login, as every successor would.
    let is_revocable = entry.path.as_ref().is_some_and(|path| !path.starts_with("aws/sts/"));
    if is_revocable && login.is_some_and(|login| login.expires == entry.expires) {
        return if left < due { Use::Again } else { Use::Unknown };
    }
    let is_paused = entry.pause.is_some_and(|pause| pause > now);
    if left < due && !is_paused { Use::OnlyForWantOfANewOne } else { Use::Unknown }
}

fn what_is_kept_is_used_until_a_new_one_is_due(known: &Promises, seen: &Seen<'_>) -> Held {
    let (Some(ending), true) = (seen.alone(), seen.call.keep) else { return Ok(()) };
    let door = known.door(seen.person.number);
    let Some((name, entry)) = seen.before.of_door(door, Some(ending.request.path)) else { return Ok(()) };
    let Some(kept) = known.content(name, &entry.bytes) else { return Ok(()) };
    let login = seen.before.of_door(door, None).map(|(_, login)| login);
    let usage = how_to_use(entry, login, seen.before.callers);
    let is_same = ending.key() == Some(kept.as_str());
    let holds = match usage {
        Use::Again => is_same && seen.after.requests == seen.before.requests,
        Use::NotAgain => !is_same,
        Use::OnlyForWantOfANewOne => !(is_same && seen.calm && can_get_one(known, seen.person, true, &seen.before)),
        Use::Unknown => true,
    };
    must(holds, || format!("{kept} was kept in {name}, for use {usage:?}: {entry:?}"))
}

fn what_was_handed_out_is_kept(known: &Promises, seen: &Seen<'_>) -> Held {
    let (Some(ending), true) = (seen.alone(), seen.call.keep) else { return Ok(()) };
    let Some(key) = ending.key() else { return Ok(()) };
    let door = known.door(seen.person.number);
    let kept = seen.after.of_door(door, Some(ending.request.path));
    let content = kept.and_then(|(name, entry)| known.content(name, &entry.bytes));
    must(content.is_some_and(|kept| kept == key), || format!("{key} was not kept: {kept:?}"))?;
    let has_login = seen.after.of_door(door, None).is_some() || !is_single_use(seen.person);
    let is_new = seen.after.made > seen.before.made;
    must(has_login || !is_new, || "the login that bought it was not kept".into())
}

fn is_single_use(person: &Person) -> bool {
    ["wrapping-token", "secret-id"].contains(&person.method)
}

/// Whether Vault would give this person a credential now, without a doubt.
pub fn can_get_one(known: &Promises, person: &Person, keeps: bool, now: &Moment) -> bool {
    match person.method {
        "id-token" => person.ends > now.vault + SLACK,
        "wrapping-token" | "secret-id" => {
            let login = now.of_door(known.door(person.number), None).filter(|_| keeps);
            let token = known.login(person.number).is_some_and(|token| now.is_alive(token, SLACK));
            // What only notes that a login has ended ends when it begins.
            let is_kept =
                login.is_some_and(|(_, login)| login.expires > now.callers + 2 * SLACK && login.expires > login.issued);
            token && is_kept || now.unspent.contains(&person.secret)
        }
        // What vouches for them outlives every story.
        "kubernetes" | "github" => true,
        _ => now.is_alive(&person.token, SLACK),
    }
}

fn who_can_log_in_succeeds_when_nothing_is_in_the_way(known: &Promises, seen: &Seen<'_>) -> Held {
    let able = can_get_one(known, seen.person, seen.call.keep, &seen.before);
    let left_alone = matches!(seen.call.end, End::Whole | End::Full);
    for Ending { ran, .. } in seen.endings.iter().filter(|_| able && seen.calm && left_alone) {
        // What is not delivered cannot always be given back.
        let is_undelivered = ran.code == 80 && seen.call.end == End::Full && seen.person.method == "token";
        must([0, 74].contains(&ran.code) || is_undelivered, || format!("nothing was in the way of {ran:?}"))?;
    }
    Ok(())
}

fn an_old_one_is_better_than_none(known: &Promises, seen: &Seen<'_>) -> Held {
    let (Some(ending), true) = (seen.alone(), seen.call.keep) else { return Ok(()) };
    let door = known.door(seen.person.number);
    let Some((_, entry)) = seen.after.of_door(door, Some(ending.request.path)) else { return Ok(()) };
    let is_good = entry.expires > seen.after.callers + SLACK && entry.issued <= seen.before.callers;
    must([0, 80].contains(&ending.ran.code) || !is_good, || format!("one is kept all the same: {entry:?}"))
}

/// 69 and 75 are what a pipeline retries by.
fn another_run_is_advised_only_where_it_can_help(known: &Promises, seen: &Seen<'_>) -> Held {
    for Ending { ran, .. } in seen.endings.iter().filter(|ending| [69, 75].contains(&ending.ran.code)) {
        // Nobody but Vault knows whether a secret ID is for one use: there it is said in words.
        let is_told = seen.person.method == "secret-id" && ran.stderr.contains("is spent by now");
        let is_over = seen.person.method == "id-token" && seen.person.ends <= seen.after.vault + SLACK;
        // Vault said that the token of the login is none.
        let is_lied_to = seen.call.mishap.as_ref().is_some_and(|mishap| mishap.what == What::Unknown);
        let can = |now| can_get_one(known, seen.person, seen.call.keep, now);
        let helps = can(&seen.after) || !can(&seen.before);
        let is_excused = is_told || is_over || is_lied_to || seen.endings.len() > 1;
        must(helps || is_excused, || format!("another run cannot help: {ran:?}"))?;
    }
    Ok(())
}

fn callers_of_one_moment_share(seen: &Seen<'_>) -> Held {
    if !seen.calm || !seen.call.keep || seen.call.end != End::Whole {
        return Ok(());
    }
    let paths: std::collections::BTreeSet<_> = seen.endings.iter().map(|ending| ending.request.path).collect();
    let made = seen.after.made - seen.before.made;
    must(made <= paths.len(), || format!("{made} were made for {paths:?}"))
}
