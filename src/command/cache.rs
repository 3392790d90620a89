//! `ci-creds cache`: lists the cache.
//!
//! Every caller can list the entries and when they expire. Only a caller with the same login secret can decrypt an
//! entry, and so revoke its lease.

use crate::cache::{CacheFolder, Door};
use crate::config::CachePlace;
use crate::error::{Result, printable};
use crate::host::Host;
use crate::time::render_time;

use super::finish;
use super::inventory::render_label;

/// `ci-creds cache`: prints a line for each entry, the values left out.
///
/// # Errors
/// [`Kind::Output`].
pub(crate) fn show(place: &CachePlace, host: &Host) -> Result<()> {
    finish(list(place, host), host)
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
            [who(&label.door), render_label(&label), render_time(label.expires), left]
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

/// Who logged in, for people.
pub(super) fn who(door: &Door) -> String {
    let role = door.role.as_deref().map_or(String::new(), |role| format!(" as {role}"));
    let job = door.job.as_deref().map_or(String::new(), |job| format!(", {job}"));
    let place = match door {
        door if door.is_of_sts() => " at AWS STS".to_owned(),
        Door { method, .. } if method == "token" => String::new(),
        Door { mount, .. } => format!(" at auth/{mount}"),
    };
    format!("{}{place}{role}{job}", door.method)
}

const NOTHING: &str = "the cache is empty\n";
