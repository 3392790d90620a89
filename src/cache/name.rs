//! The names of files in the cache's folder, and how one is read.

use zeroize::Zeroizing;

use crate::host::{Folder, Host};

/// What the names of locks and of unfinished entries begin with.
pub(super) const LOCK: &str = "lock-";
pub(super) const DRAFT: &str = "draft-";
/// What the names of the states of jobs begin with, which are no entries of the cache.
pub(super) const JOB: &str = "job-";

/// The lock for an entry.
pub(super) fn lock_of(name: &str) -> String {
    format!("{LOCK}{}", slot(name))
}

/// Locks are never removed, so there must not be one for every job that ever ran: 256 of them, by the first digits
/// of the name. Two jobs that meet in one wait for each other's request.
pub(super) fn slot(name: &str) -> &str {
    name.get(..2).unwrap_or(name)
}

/// The bytes of a file. What cannot be read is none, with a warning.
pub(super) fn read(folder: &Folder, name: &str, host: &Host) -> Option<Zeroizing<Vec<u8>>> {
    folder.read(name).unwrap_or_else(|problem| {
        host.warn(format!("{} {problem}: it was not used", folder.path().join(name).display()));
        None
    })
}
