//! A file of the user's, edited by replacing it whole: the old one or the new one, never a part, and one writer at a
//! time.
//!
//! Security: all that is done is done below one open folder, by names that are not followed when they are links. A
//! file that somebody else can write, or put another one in the place of, is not touched.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::Host;
use super::ancestor::{self, Hand, Place, Problem};
use super::lock::Lock;
use super::system::{ACCESS_LIST, LARGEST, PRIVATE, describe, me, words};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// A file that can be replaced, or made.
pub(crate) struct EditTarget {
    /// Its real path: no link in it.
    pub path: PathBuf,
    folder: File,
    name: OsString,
}

/// What stands in an [`EditTarget`]; nothing of it when there is no file yet.
pub(crate) struct TargetText {
    /// The whole text.
    pub text: Zeroizing<String>,
    /// Whether group or others can read it.
    pub readable_by_others: bool,
    /// What it keeps.
    kept: Option<AccessRights>,
}

/// Who may open a file.
struct AccessRights {
    mode: u32,
    group: u32,
    /// The access list, as the kernel writes it. With one, the group's bits in `mode` are its mask, and not the group's.
    list: Option<Vec<u8>>,
}

impl Host {
    /// Finds the file's real place: a link as its last part is followed, and stays.
    ///
    /// # Errors
    /// [`Kind::Create`]: the folder does not exist, or somebody else could put another file, or another folder, there.
    pub(crate) fn find_target(&self, path: &Path) -> Result<EditTarget> {
        let Place { folder, name, exists } = ancestor::find(path).map_err(|problem| no_place(path, problem))?;
        let real = folder.path.join(&name);
        if !exists && is_link(path) {
            return Err(refused(path, "is a link that leads nowhere"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&folder.descriptor, ".", flags, Mode::empty())
            .map_err(|error| refused(&real, &format!("is in a folder that cannot be opened: {}", words(error))))?;
        Ok(EditTarget { path: real, folder: File::from(folder), name })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Kind::Create`]: not a regular file, with a second name, another user's, or such that others can write it.
    pub(crate) fn read_target(&self, place: &EditTarget) -> Result<TargetText> {
        let refused = |problem: &str| refused(&place.path, problem);
        let Some(file) = place.open(&place.name, OFlags::RDONLY).map_err(|problem| refused(&problem))? else {
            return Ok(TargetText { text: Zeroizing::default(), readable_by_others: false, kept: None });
        };
        let metadata = file.metadata().map_err(|error| refused(&describe(&error)))?;
        if metadata.nlink() != 1 {
            return Err(refused("has a second name, a hard link, that would keep the old text"));
        }
        if is_mount_point(&file) {
            return Err(refused("is a mount point, so no new file can take its place").hint(
                "mount its folder in place of the file, name another file, or leave --file out: --format file makes a \
                private one",
            ));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(refused("can be written by other users")
                .hint(format!("look at what is in it, then chmod 600 {}", place.path.display())));
        }
        if metadata.len() > LARGEST {
            return Err(refused("is larger than 1 MiB"));
        }
        let list = access_list(&file).map_err(|_| refused("has an access list that is too long to be kept"))?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| refused(&describe(&error)))?;
        if bytes.len() as u64 > LARGEST {
            return Err(refused("is larger than 1 MiB"));
        }
        let text = String::from_utf8(std::mem::take(&mut bytes)).map_err(|error| {
            let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            refused(&format!("is not UTF-8 in line {}", 1 + sound.iter().filter(|byte| **byte == b'\n').count()))
        })?;
        let text = Zeroizing::new(text);
        let readable_by_others = metadata.mode() & 0o044 != 0;
        Ok(TargetText {
            text,
            readable_by_others,
            kept: Some(AccessRights { mode: metadata.mode() & 0o7777, group: metadata.gid(), list }),
        })
    }

    /// Takes the lock beside the file, made when it is not there and never removed; `None` when another process has
    /// it. It is kept until the lock is dropped or the process ends, however it ends.
    ///
    /// # Errors
    /// [`Kind::Create`] when something else stands in the lock's place, [`Kind::Os`] when the file system has no locks.
    pub(crate) fn try_lock(&self, place: &EditTarget) -> Result<Option<Lock>> {
        let path = place.lock_path();
        let name = path.file_name().unwrap_or_default();
        let refused = |problem: &str| refused(&path, problem);
        let file = match place.create(name) {
            // The next one must be able to open it, whatever our umask is.
            Ok(file) => {
                rustix::fs::fchmod(&file, PRIVATE).map_err(|error| refused(&words(error)))?;
                file
            }
            Err(Errno::EXIST) => place
                .open(name, OFlags::RDWR)
                .map_err(|problem| refused(&problem))?
                .ok_or_else(|| refused("was removed in between"))?,
            Err(error) => return Err(refused(&format!("cannot be made: {}", words(error)))),
        };
        Lock::try_take(file).map_err(|error| {
            refused(&describe(&error))
                .with_kind(Kind::Os)
                .hint("--file needs a file system with locks; without --file a private file is made")
        })
    }

    /// Replaces the file by this text. The new one lies there, whole and on the disk, before `announce` is called,
    /// and takes the old one's place after it succeeded. Otherwise the old file is as it was, and nothing is left.
    ///
    /// # Errors
    /// [`Kind::Create`], or what `announce` failed with.
    pub(crate) fn replace(
        &self,
        place: &EditTarget,
        _lock: &Lock,
        standing: &TargetText,
        text: &Secret,
        announce: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let refused = |error: Errno| refused(&place.path, &format!("cannot be replaced: {}", words(error)));
        let mut new = Temporary::create(place).map_err(refused)?;
        new.fill(text, standing.kept.as_ref()).map_err(refused)?;
        announce()?;
        new.rename().map_err(refused)?;
        // The file is whole either way; whether the disk already knows its name is not worth a credential.
        let _ = rustix::fs::fsync(&place.folder);
        Ok(())
    }
}

impl EditTarget {
    /// Where the lock is.
    #[must_use]
    pub(crate) fn lock_path(&self) -> PathBuf {
        let mut name = self.name.clone();
        name.push(".lock");
        self.path.with_file_name(name)
    }

    /// Opens a regular file of ours; `None` when there is none. Nothing is waited for.
    fn open(&self, name: &OsStr, access: OFlags) -> Result<Option<File>, String> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err("is a link".into()),
            Err(Errno::ISDIR) => return Err("is not a regular file".into()),
            Err(error) => return Err(words(error)),
        };
        let metadata = file.metadata().map_err(|error| describe(&error))?;
        if !metadata.is_file() {
            return Err("is not a regular file".into());
        }
        if metadata.uid() != me() {
            return Err("belongs to another user".into());
        }
        Ok(Some(file))
    }

    /// Makes a file of mode 0600, or of less, where the umask takes it.
    fn create(&self, name: &OsStr) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, name, flags, PRIVATE).map(File::from)
    }

    /// What the names of new files begin with, a dot and ours, so that no tool takes one for its own.
    fn temporary_prefix(&self) -> OsString {
        let mut prefix = OsString::from(".");
        prefix.push(&self.name);
        prefix.push(".ci-creds.");
        prefix
    }

    /// Removes what a run that was killed left. Whoever has the lock is the only one who can have such a file.
    fn sweep(&self) {
        let prefix = self.temporary_prefix();
        let Ok(names) = rustix::fs::Dir::read_from(&self.folder) else { return };
        for entry in names.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name.as_bytes().starts_with(prefix.as_bytes()) {
                let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
            }
        }
    }
}

/// The new file beside the old one, removed when it did not take its place.
struct Temporary<'a> {
    place: &'a EditTarget,
    name: OsString,
    file: File,
    renamed: bool,
}

impl<'a> Temporary<'a> {
    fn create(place: &'a EditTarget) -> Result<Self, Errno> {
        place.sweep();
        let mut name = place.temporary_prefix();
        name.push(std::iter::repeat_with(fastrand::alphanumeric).take(16).collect::<String>());
        let file = place.create(&name)?;
        Ok(Self { place, name, file, renamed: false })
    }

    /// The old file's mode comes last: until the text is whole, nobody else reads any of it.
    fn fill(&mut self, text: &Secret, kept: Option<&AccessRights>) -> Result<(), Errno> {
        let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        rustix::fs::fchmod(&self.file, PRIVATE)?;
        self.file.write_all(text.expose().as_bytes()).map_err(errno)?;
        if let Some(AccessRights { mode, group, list }) = kept {
            let metadata = self.file.metadata().map_err(errno)?;
            if metadata.gid() != *group {
                rustix::fs::fchown(&self.file, None, Some(rustix::fs::Gid::from_raw(*group)))?;
            }
            match list {
                Some(list) => rustix::fs::fsetxattr(&self.file, ACCESS_LIST, list, XattrFlags::empty())?,
                // The folder may give one to every new file; closed by the mode of now, it would be open by the old one.
                None if access_list(&self.file)?.is_some() => rustix::fs::fremovexattr(&self.file, ACCESS_LIST)?,
                None => {}
            }
            self.file.set_permissions(PermissionsExt::from_mode(*mode)).map_err(errno)?;
        }
        self.file.sync_all().map_err(errno)
    }

    fn rename(mut self) -> Result<(), Errno> {
        rustix::fs::renameat(&self.place.folder, &self.name, &self.place.folder, &self.place.name)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = rustix::fs::unlinkat(&self.place.folder, &self.name, AtFlags::empty());
        }
    }
}

/// The access list; `None` when there is none.
///
/// # Errors
/// It is longer than any that a person has written.
fn access_list(file: &File) -> Result<Option<Vec<u8>>, Errno> {
    let mut list = [0; 4096];
    match rustix::fs::fgetxattr(file, ACCESS_LIST, &mut list) {
        Ok(length) => Ok(Some(list[..length].to_vec())),
        Err(Errno::RANGE) => Err(Errno::RANGE),
        Err(_) => Ok(None),
    }
}

/// Why the file has no place where it could be edited.
fn no_place(path: &Path, problem: Problem) -> Error {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match problem {
        Problem::Exposed(exposed) => {
            let what = match exposed.by {
                Hand::Link(_) => "is reached by a link of another user's",
                Hand::Owner(_) => "is in a folder of another user's",
                Hand::Group | Hand::Everybody => "is in a folder where other users can replace it",
            };
            refused(path, &format!("{what}: {exposed}")).hint(exposed.hint())
        }
        Problem::System(Errno::ISDIR) if path.file_name().is_none() => refused(path, "has no name"),
        Problem::System(Errno::ISDIR) => refused(path, "is not a regular file"),
        Problem::System(_) if is_link(path) => refused(path, "is a link that leads nowhere"),
        Problem::System(error) => {
            let hint = if parent.starts_with("~") {
                "the shell expands ~ only at the beginning of a word: --file ~/.aws/credentials".to_owned()
            } else {
                format!("mkdir -p -m 700 {}", parent.display())
            };
            refused(path, &format!("is in a folder that cannot be found: {}", words(error))).hint(hint)
        }
    }
}

/// Whether the file itself is mounted there, as Docker and Kubernetes do (`-v file:file`, `subPath`): `rename` ends with
/// EBUSY then. Known from Linux 5.8; elsewhere the replacing fails, and the lease is revoked.
#[cfg(target_os = "linux")]
fn is_mount_point(file: &File) -> bool {
    use rustix::fs::{StatxAttributes, StatxFlags, statx};
    statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount_point(_file: &File) -> bool {
    false
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_symlink())
}

fn refused(path: &Path, problem: &str) -> Error {
    Error::new(Kind::Create, format!("{} (from --file) {problem}", path.display()))
}
