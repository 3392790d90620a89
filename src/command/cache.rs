//! `ci-creds cache`: what is kept, and giving it back.
//!
//! Everybody may see what is kept and until when; only who logs in with the same secret can open it, and so take the
//! lease back.

use std::time::Duration;

use crate::cache::{CacheFolder, Contents, Door, Keys, Label, is_stale};
use crate::config::{Access, CachePlace};
use crate::credential::Life;
use crate::error::{Error, Kind, Result, printable};
use crate::host::Host;
use crate::identity::Identity;
use crate::lease::{self, Leftover};
use crate::secret::Secret;
use crate::time::render_time;
use crate::vault::client::Vault;

use super::{start_runtime, take_warnings, write_stderr};

/// `ci-creds cache`: prints a line for each entry, the values left out.
///
/// # Errors
/// [`Kind::Output`].
pub(crate) fn show(place: &CachePlace, host: &Host) -> Result<()> {
    finish(list(place, host), host)
}

/// `ci-creds cache clear`: revokes what the caller's own secret opens, and removes it; removes what is stale; with
/// `all`, removes the rest too, whatever becomes of its leases.
///
/// # Errors
/// [`Kind::Leak`] for leases that could not be revoked: without `all` their entries stay. [`Kind::Config`] when nothing
/// could be opened because nobody says who the caller is, which is `access`. When a lock cannot be waited for.
pub(crate) fn clear(place: &CachePlace, access: Result<Access>, all: bool, verbose: bool, host: &Host) -> Result<()> {
    let owner = access.and_then(|mut access| {
        access.connection.read_roots(host)?;
        let vault = Vault::new(&access.connection, host)?;
        if verbose {
            vault.tell_requests();
        }
        Ok(Owner { access, vault })
    });
    let Report { text, error } = start_runtime(host)?.block_on(clear_all(place, owner, all, host))?;
    finish(text, host)?;
    error.map_or(Ok(()), Err)
}

fn finish(text: String, host: &Host) -> Result<()> {
    host.write_stdout(&Secret::new(text))?;
    write_stderr(take_warnings(host), host);
    Ok(())
}

fn list(place: &CachePlace, host: &Host) -> String {
    let folders = CacheFolder::open_all(&place.folders, host);
    let now = host.now();
    let rows: Vec<_> = folders
        .iter()
        .flat_map(|folder| folder.labels(host))
        .map(|(_, label)| {
            let left = label.expires.duration_since(now);
            let left = if left.is_positive() { format!("{} min left", left.as_mins()) } else { "ended".into() };
            [who(&label.door), what(&label), render_time(label.expires), left]
        })
        .collect();
    if rows.is_empty() {
        return NOTHING.into();
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    let line =
        |[who, what, end, left]: &[String; 4]| printable(&format!("{who:first$}  {what:second$}  {end}  {left}"));
    rows.iter().map(|row| format!("{}\n", line(row))).collect()
}

fn who(door: &Door) -> String {
    let role = door.role.as_deref().map_or(String::new(), |role| format!(" as {role}"));
    let job = door.job.as_deref().map_or(String::new(), |job| format!(", {job}"));
    let place = if door.method == "token" { String::new() } else { format!(" at auth/{}", door.mount) };
    format!("{}{place}{role}{job}", door.method)
}

fn what(label: &Label) -> String {
    match &label.target {
        Some(target) => {
            let parameters: String = target.parameters.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{}{parameters}", target.path)
        }
        None => "the login".into(),
    }
}

/// How long to wait for a caller that makes a new one: it is a person who waits here.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of the entries.
#[derive(Default)]
struct Tally {
    lines: Vec<String>,
    /// Entries of other logins, which stay.
    others: usize,
    leak: Option<Error>,
}

impl Tally {
    /// Every lease that may be left is told, in one line.
    fn add(&mut self, leak: Error) {
        self.leak = Some(match self.leak.take() {
            Some(first) => first.also(leak.message()),
            None => leak,
        });
    }
}

/// What was done, for stdout, and what could not be.
struct Report {
    text: String,
    error: Option<Error>,
}

/// Who revokes: what the caller logs in with, and the Vault where.
struct Owner<'a> {
    access: Access,
    vault: Vault<'a>,
}

async fn clear_all(place: &CachePlace, owner: Result<Owner<'_>>, all: bool, host: &Host) -> Result<Report> {
    let own = owner.as_ref().ok().map(|owner| {
        let door = Door::new(&owner.access.connection, &owner.access.login, place.job.as_deref());
        (Keys::new(&door, &owner.access.login.identity), owner)
    });
    let own = own.as_ref().map(|(keys, owner)| (keys, *owner));
    let mut tally = Tally::default();
    for folder in CacheFolder::open_all(&place.folders, host) {
        for name in folder.names() {
            clear_entry(&folder, &name, own, all, host, &mut tally).await?;
        }
    }
    Ok(settle(tally, owner.err()))
}

async fn clear_entry(
    folder: &CacheFolder,
    name: &str,
    own: Option<(&Keys, &Owner<'_>)>,
    all: bool,
    host: &Host,
    tally: &mut Tally,
) -> Result<()> {
    let until = host.elapsed() + PATIENCE;
    let lock = host.wait_for(until, || Ok(folder.try_lock(name))).await?;
    let label = folder.label(name, host);
    let what = label.as_ref().map_or_else(|| name.to_owned(), what);
    let Some(lock) = lock else {
        tally.lines.push(format!("in use: {what}"));
        return Ok(());
    };
    let opened = own.and_then(|(keys, owner)| {
        let caller = caller(&owner.access.login.identity);
        Some((folder.open_entry(name, keys, caller, host)?, label.as_ref()?, &owner.vault))
    });
    match opened {
        Some((entry, label, vault)) => {
            let revoked = match revoke(vault, label, entry).await {
                // Vault was asked all the same: our clock may be wrong.
                Err(_) if label.expires <= host.now() => Ok(format!("removed: {what}; it had ended")),
                done => done,
            };
            if all || revoked.is_ok() {
                folder.remove(&lock, name);
            }
            match revoked {
                Ok(line) => tally.lines.push(line),
                Err(leak) => tally.add(leak),
            }
        }
        None if all || label.as_ref().is_some_and(|label| is_stale(label, host.now())) => {
            let done = if folder.remove(&lock, name) { "removed" } else { "cannot be removed" };
            tally.lines.push(format!("{done}: {what}"));
        }
        None => tally.others += usize::from(label.is_some()),
    }
    Ok(())
}

async fn revoke(vault: &Vault<'_>, label: &Label, entry: Contents) -> Result<String> {
    vault.begin_clean_up();
    let what = what(label);
    let Some(session) = &entry.session else { return Ok(format!("removed: {what}; it had ended")) };
    let gone = match &label.target {
        None => lease::end_login(vault, session).await?,
        Some(_) => {
            let leftover = Leftover::Lease { id: entry.lease, life: entry.life };
            lease::revoke(vault, session, &leftover, &what).await?;
            entry.life == Life::Leased
        }
    };
    Ok(if gone {
        format!("given back: {what}")
    } else {
        format!("removed: {what}; it cannot be taken back, and lives until {}", render_time(label.expires))
    })
}

const NOTHING: &str = "nothing is kept\n";

fn settle(tally: Tally, stranger: Option<Error>) -> Report {
    let mut text: String = tally.lines.iter().map(|line| format!("{}\n", printable(line))).collect();
    let mut error = tally.leak;
    if tally.others > 0 {
        let rest = format!("{} of other logins", tally.others);
        match stranger {
            Some(stranger) if text.is_empty() => {
                error = Some(
                    Error::new(Kind::Config, format!("nothing was given back, {rest} stay: {}", stranger.message()))
                        .hint(
                            "give the flags and variables of the calls that are kept; --all removes the entries, and \
                            leaves their leases to end",
                        ),
                );
            }
            _ => text.push_str(&format!("kept: {rest}; --all removes them, and leaves their leases to end\n")),
        }
    }
    if text.is_empty() && error.is_none() {
        text.push_str(NOTHING);
    }
    Report { text, error }
}

/// A token that was not ours to revoke: its leases are revoked one by one.
fn caller(identity: &Identity) -> Option<Secret> {
    match identity {
        Identity::Token { token, .. } => Some(token.duplicate()),
        _ => None,
    }
}
