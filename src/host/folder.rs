//! A private folder and the files in it: mode 0700, ours, and every name opened from its descriptor.
//!
//! It reads, replaces, locks, lists and removes; what the files mean is the caller's business. Whoever else runs on
//! the machine may have planted anything at our names: what is not a regular file of ours, of mode 0600 and with one
//! name, is not read, and never written through.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::ancestor::{self, GuardedFolder, Problem};
use super::lock::Lock;
use super::system::{PRIVATE, describe, me, words};
use super::{Host, World};

/// A folder that nobody but its owner, who we are, can enter.
#[derive(Debug)]
pub(crate) struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

/// What became of an attempt to lock.
#[derive(Debug)]
pub(crate) enum LockAttempt {
    /// It is ours.
    Held(Lock),
    /// Somebody else holds it.
    Busy,
    /// There is no locking here: a network folder, a read-only one, something else at the lock's name.
    Impossible(String),
}

/// No file of ours is larger.
const LARGEST: u64 = 64 << 10;

impl Host {
    /// Opens a private folder, and makes it, and the one above it, where they are missing.
    ///
    /// # Errors
    /// A text, to be put behind the path: it cannot be made or opened, is a link, belongs to somebody else, lets
    /// others in, or they can put another one in its place. Such a folder is refused, not mended: who knows what lies in it.
    pub(crate) fn open_private_folder(&self, path: &Path) -> Result<Folder, String> {
        match &self.world {
            World::Real { .. } => open(path),
            #[cfg(test)]
            World::Fake(_) => Err("does not exist".into()),
        }
    }

    /// Opens a private folder that is there; `None` when there is none.
    ///
    /// # Errors
    /// As [`Host::open_private_folder`].
    pub(crate) fn find_private_folder(&self, path: &Path) -> Result<Option<Folder>, String> {
        match &self.world {
            World::Real { .. } => find(path),
            #[cfg(test)]
            World::Fake(_) => Ok(None),
        }
    }
}

fn open(path: &Path) -> Result<Folder, String> {
    let (parent, name) = split(path)?;
    let above = match ancestor::open_folder(parent) {
        Err(Problem::System(Errno::NOENT)) => make_above(parent),
        opened => opened,
    };
    let above = above.map_err(|problem| problem.to_string())?;
    if let Some(folder) = open_in(&above, name, path)? {
        return Ok(folder);
    }
    make(&above, name).map_err(words)?;
    open_in(&above, name, path)?.ok_or_else(|| words(Errno::NOENT))
}

fn find(path: &Path) -> Result<Option<Folder>, String> {
    let (parent, name) = split(path)?;
    match ancestor::open_folder(parent) {
        Ok(above) => open_in(&above, name, path),
        Err(Problem::System(Errno::NOENT)) => Ok(None),
        Err(problem) => Err(problem.to_string()),
    }
}

fn split(path: &Path) -> Result<(&Path, &OsStr), String> {
    path.parent().zip(path.file_name()).ok_or_else(|| "has no name".into())
}

fn open_in(above: &GuardedFolder, name: &OsStr, path: &Path) -> Result<Option<Folder>, String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let descriptor = match rustix::fs::openat(&above.descriptor, name, flags, Mode::empty()) {
        Ok(descriptor) => descriptor,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(words(error)),
    };
    let stat = rustix::fs::fstat(&descriptor).map_err(words)?;
    if !is_mine(&stat) {
        return Err("belongs to another user".into());
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(format!("lets other users in: chmod 700 {}", path.display()));
    }
    Ok(Some(Folder { descriptor, path: path.to_owned() }))
}

/// Makes the folder above ours; the one above that must be there.
fn make_above(path: &Path) -> Result<GuardedFolder, Problem> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::NOENT)?;
    make(&ancestor::open_folder(parent)?, name)?;
    ancestor::open_folder(path)
}

/// Two callers may make it at the same time: the second one finds it there. The umask may have taken our own bits
/// away, and gives none that we did not ask for.
fn make(above: &GuardedFolder, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::mkdirat(&above.descriptor, name, Mode::RWXU) {
        Ok(()) => rustix::fs::chmodat(&above.descriptor, name, Mode::RWXU, AtFlags::empty()),
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Folder {
    /// Where it lies, for messages.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a file; `None` when there is none.
    ///
    /// # Errors
    /// A text: it is not a regular file of ours and of one name, others can open it, it is larger than 64 KiB.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        // Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = match rustix::fs::openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(words(error)),
        };
        let stat = rustix::fs::fstat(&descriptor).map_err(words)?;
        check(&stat)?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > LARGEST {
            return Err("is larger than 64 KiB".into());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
        File::from(descriptor).take(LARGEST).read_to_end(&mut bytes).map_err(|error| describe(&error))?;
        Ok(Some(bytes))
    }

    /// Puts these bytes at that name, in place of whatever is there: written beside it, under the name `draft`, and
    /// renamed. The caller holds a lock that makes the draft's name his; what a killed holder left there goes.
    ///
    /// # Errors
    /// The system's words. What stood at the name is as it was, and no draft is left.
    pub(crate) fn replace(&self, name: &str, draft: &str, bytes: &[u8]) -> Result<(), String> {
        match rustix::fs::unlinkat(&self.descriptor, draft, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(words(error)),
        }
        self.write_new(draft, bytes)
            .and_then(|()| rustix::fs::renameat(&self.descriptor, draft, &self.descriptor, name).map_err(words))
            .inspect_err(|_| {
                self.remove(draft);
            })?;
        // The entry is there; only a crash of the machine could still lose its name.
        let _ = rustix::fs::fsync(&self.descriptor);
        Ok(())
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(&self.descriptor, name, flags, PRIVATE).map_err(words)?;
        rustix::fs::fchmod(&descriptor, PRIVATE).map_err(words)?;
        let mut file = File::from(descriptor);
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| describe(&error))
    }

    /// Removes a file; that there is none is as good. Returns whether it is gone.
    pub(crate) fn remove(&self, name: &str) -> bool {
        matches!(rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()), Ok(()) | Err(Errno::NOENT))
    }

    /// The names in the folder, sorted; none when it cannot be read.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<String> {
        let Ok(entries) = Dir::read_from(&self.descriptor) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Tries to lock, by `flock` on a file of its own, which is never removed: who had removed it would hold one lock,
    /// and the next one another.
    #[must_use]
    pub(crate) fn try_lock(&self, name: &str) -> LockAttempt {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let lock = rustix::fs::openat(&self.descriptor, name, flags, PRIVATE).map_err(words).and_then(|descriptor| {
            // The umask may have kept it from us; whose mode was wrong from the start is refused below.
            let stat = rustix::fs::fstat(&descriptor).map_err(words)?;
            if is_mine(&stat) && stat.st_size == 0 && stat.st_mode & 0o777 == 0 {
                rustix::fs::fchmod(&descriptor, PRIVATE).map_err(words)?;
            }
            check(&stat).map(|()| descriptor)
        });
        let descriptor = match lock {
            Ok(descriptor) => descriptor,
            Err(problem) => return LockAttempt::Impossible(problem),
        };
        match Lock::try_take(File::from(descriptor)) {
            Ok(Some(lock)) => LockAttempt::Held(lock),
            Ok(None) => LockAttempt::Busy,
            Err(error) => LockAttempt::Impossible(describe(&error)),
        }
    }
}

fn is_mine(stat: &Stat) -> bool {
    stat.st_uid == me()
}

/// Security: a link, a second name or an open mode means that somebody else has a hand on it.
fn check(stat: &Stat) -> Result<(), String> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("is not a regular file".into());
    }
    if !is_mine(stat) {
        return Err("belongs to another user".into());
    }
    if stat.st_mode & 0o077 != 0 {
        return Err("is accessible to other users".into());
    }
    if stat.st_nlink != 1 {
        return Err("has a second name".into());
    }
    Ok(())
}
