//! Files: reading secrets and configuration with care, making private ones.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Host, World};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// What a file holds, and how far it can be believed.
pub struct Document {
    /// The whole text.
    pub text: Zeroizing<String>,
    /// Who else can read or write it.
    pub trust: Trust,
}

/// Who else has a hand on a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Owned by root and writable by nobody else.
    pub root_only: bool,
    /// Owned by somebody who is neither us nor root.
    pub foreign: bool,
    /// Group or others can write it.
    pub writable_by_others: bool,
    /// Group or others can read it.
    pub readable_by_others: bool,
}

/// No token, key, bundle of roots or configuration is larger; `/dev/zero` and a wrong path are.
pub(super) const LARGEST: u64 = 1 << 20;

impl Host {
    /// Reads a regular file whole; `None` when there is none.
    ///
    /// # Errors
    /// A text, to be put behind the path and its origin: not a regular file, too large, not UTF-8, unreadable.
    pub fn read_document(&self, path: &Path) -> Result<Option<Document>, String> {
        match &self.world {
            World::Real { .. } => read_document(path),
            World::Fake(fake) => Ok(fake
                .files
                .get(path)
                .map(|(text, trust)| Document { text: Zeroizing::new(text.clone()), trust: *trust })),
        }
    }

    /// The names in a folder, sorted: for a folder of certificates.
    ///
    /// # Errors
    /// The system's words when the folder cannot be read.
    pub fn list_folder(&self, path: &Path) -> Result<Vec<PathBuf>, String> {
        match &self.world {
            World::Real { .. } => {
                let entries = std::fs::read_dir(path).map_err(|error| describe(&error))?;
                let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
                names.sort();
                Ok(names)
            }
            World::Fake(fake) => Ok(fake.files.keys().filter(|name| name.parent() == Some(path)).cloned().collect()),
        }
    }

    /// Makes a folder of mode 0700 with a random name below `base`, and in it one file of mode 0600 whose text
    /// `compose` writes, given the file's path. Returns that path.
    ///
    /// Security: both are made with `O_EXCL` under names that nobody can guess, and both modes are set without
    /// regard to the umask, which is 000 in GitLab's containers.
    ///
    /// # Errors
    /// [`Kind::Create`] when either cannot be made or written; nothing is left behind then.
    pub fn create_private_file(
        &self,
        base: &Path,
        name: &str,
        compose: impl FnOnce(&Path) -> Secret,
    ) -> Result<PathBuf> {
        let failed = |cause: std::io::Error| no_private_file(base, &describe(&cause));
        let mode = |bits| std::fs::Permissions::from_mode(bits);
        let folder =
            tempfile::Builder::new().prefix("ci-creds.").permissions(mode(0o700)).tempdir_in(base).map_err(failed)?;
        std::fs::set_permissions(folder.path(), mode(0o700)).map_err(failed)?;
        let path = folder.path().join(name);
        let mut file = open_new_private(&path).map_err(failed)?;
        file.set_permissions(mode(0o600)).map_err(failed)?;
        file.write_all(compose(&path).expose().as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let _ = folder.keep();
        Ok(path)
    }

    /// Whether there is hope for [`Host::create_private_file`] below `base`: a container's root is often read-only.
    ///
    /// # Errors
    /// [`Kind::Create`].
    pub fn expect_private_file(&self, base: &Path) -> Result<()> {
        use rustix::fs::{Access, access};
        match &self.world {
            World::Real { .. } => {
                access(base, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| no_private_file(base, &words(error)))
            }
            World::Fake(_) => Ok(()),
        }
    }

    /// Removes what [`Host::create_private_file`] made, when it could not be handed over.
    pub fn remove_private_file(&self, path: &Path) {
        let _ = std::fs::remove_file(path);
        if let Some(folder) = path.parent() {
            let _ = std::fs::remove_dir(folder);
        }
    }

    /// Whether something stands at the path, as far as we may look: a home that is none, or another user's, has nothing.
    #[must_use]
    pub fn is_there(&self, path: &Path) -> bool {
        match &self.world {
            World::Real { .. } => path.symlink_metadata().is_ok(),
            World::Fake(fake) => fake.files.contains_key(path),
        }
    }

    /// The path without links and `..`; as it stands where it leads nowhere.
    #[must_use]
    pub fn real_path(&self, path: &Path) -> PathBuf {
        match &self.world {
            World::Real { .. } => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
            World::Fake(_) => path.to_owned(),
        }
    }

    /// Whether the path is a folder that exists.
    #[must_use]
    pub fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    /// Whether the path is a folder in which nobody but root and us can replace what we make.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file system's one door")]
    pub fn is_guarded_folder(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|found| found.is_dir() && is_guarded(found.uid(), found.mode()))
    }
}

fn no_private_file(base: &Path, problem: &str) -> Error {
    Error::new(Kind::Create, format!("no private file can be made in {}: {problem}", base.display()))
        .hint("point TMPDIR to a folder that this job can write, outside the checkout")
}

/// Whether nobody but root and us can put something else in the place of what lies in this folder. In one like `/tmp`
/// everybody can make files, and nobody can replace another's.
pub(super) fn is_guarded(owner: u32, mode: u32) -> bool {
    (owner == me() || owner == 0) && (mode & 0o022 == 0 || mode & 0o1000 != 0)
}

#[expect(clippy::disallowed_methods, reason = "this is the file system's one door")]
fn open_new_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(no_follow().bits().cast_signed())
        .open(path)
}

fn no_follow() -> rustix::fs::OFlags {
    rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC
}

#[expect(clippy::disallowed_methods, reason = "this is the file system's one door")]
fn read_document(path: &Path) -> Result<Option<Document>, String> {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(describe(&error)),
    };
    let metadata = file.metadata().map_err(|error| describe(&error))?;
    if !metadata.is_file() {
        return Err("is not a regular file".into());
    }
    if metadata.len() > LARGEST {
        return Err("is larger than 1 MiB".into());
    }
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| describe(&error))?;
    if text.len() as u64 > LARGEST {
        return Err("is larger than 1 MiB".into());
    }
    Ok(Some(Document { text, trust: trust(path, &metadata) }))
}

fn trust(path: &Path, metadata: &std::fs::Metadata) -> Trust {
    let me = me();
    let mut foreign = metadata.uid() != me && metadata.uid() != 0;
    // A link that somebody else can turn is as good as a file that somebody else can write.
    if let Ok(link) = std::fs::symlink_metadata(path) {
        foreign |= link.uid() != me && link.uid() != 0;
    }
    let mode = metadata.mode();
    Trust {
        root_only: metadata.uid() == 0 && mode & 0o022 == 0 && !foreign,
        foreign,
        writable_by_others: mode & 0o022 != 0,
        readable_by_others: mode & 0o044 != 0,
    }
}

/// The system's own words, without Rust's "(os error 2)".
pub(super) fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// As [`describe`], of a call of ours.
pub(super) fn words(error: rustix::io::Errno) -> String {
    describe(&error.into())
}

/// Who we are.
pub(super) fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The mode of every file that we make.
pub(super) const PRIVATE: rustix::fs::Mode = rustix::fs::Mode::RUSR.union(rustix::fs::Mode::WUSR);

#[cfg(test)]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a test makes its files, and says what it skips")]
mod tests {
    use std::os::unix::fs::{chown, lchown, symlink};
    use std::time::Duration;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn written(path: &Path, text: &str, mode: u32) -> Trust {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        read_document(path).unwrap().unwrap().trust
    }

    #[test]
    fn a_file_of_one_mib_is_read_and_a_larger_one_is_not() {
        let folder = folder();
        let path = folder.path().join("x");
        std::fs::write(&path, "x".repeat(1 << 20)).unwrap();
        assert_eq!(read_document(&path).unwrap().unwrap().text.len(), 1 << 20);
        std::fs::write(&path, "x".repeat((1 << 20) + 1)).unwrap();
        assert_eq!(read_document(&path).err().as_deref(), Some("is larger than 1 MiB"));
        assert!(read_document(&folder.path().join("y")).unwrap().is_none());
        assert_eq!(read_document(folder.path()).err().as_deref(), Some("is not a regular file"));
        assert!(read_document(&path.join("z")).is_err());
    }

    #[test]
    fn a_pipe_without_a_writer_is_refused_and_not_waited_for() {
        let folder = folder();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(read_document(&path).err()));
        let problem = receiver.recv_timeout(Duration::from_secs(20)).expect("an answer, without a writer");
        assert_eq!(problem.as_deref(), Some("is not a regular file"));
    }

    #[test]
    fn each_bit_of_group_and_others_is_seen() {
        let folder = folder();
        let path = folder.path().join("x");
        let root = rustix::process::geteuid().is_root();
        for (mode, writable, readable) in [
            (0o600, false, false),
            (0o711, false, false),
            (0o620, true, false),
            (0o602, true, false),
            (0o640, false, true),
            (0o604, false, true),
            (0o666, true, true),
        ] {
            let trust = written(&path, "x", mode);
            assert_eq!((trust.writable_by_others, trust.readable_by_others), (writable, readable), "{mode:o}");
            assert_eq!((trust.foreign, trust.root_only), (false, root && !writable), "{mode:o}");
        }
    }

    #[test]
    fn a_file_of_another_user_is_foreign_and_so_is_a_link_that_he_can_turn() {
        if !rustix::process::geteuid().is_root() {
            // What root owns is nobody's foreign file. Only root can give a file away, for the rest of this.
            let passwd = Path::new("/etc/passwd");
            if std::fs::metadata(passwd).is_ok_and(|metadata| metadata.uid() == 0) {
                let trust = read_document(passwd).unwrap().unwrap().trust;
                assert_eq!((trust.foreign, trust.root_only), (false, true));
            }
            println!("skipped: a file can be given to another user by root only");
            return;
        }
        const NOBODY: u32 = 65_534;
        let folder = folder();
        let (path, link) = (folder.path().join("x"), folder.path().join("link"));
        written(&path, "x", 0o600);
        symlink(&path, &link).unwrap();
        let trust = |path: &Path| read_document(path).unwrap().unwrap().trust;
        assert!(!trust(&link).foreign && trust(&link).root_only);
        lchown(&link, Some(NOBODY), None).unwrap();
        assert!(trust(&link).foreign && !trust(&link).root_only && !trust(&path).foreign);
        lchown(&link, Some(0), None).unwrap();
        chown(&path, Some(NOBODY), None).unwrap();
        assert!(trust(&path).foreign && trust(&link).foreign && !trust(&path).root_only);
    }

    #[test]
    fn a_private_file_is_new_and_of_its_mode_whatever_lies_there() {
        let folder = folder();
        let (path, link) = (folder.path().join("x"), folder.path().join("link"));
        drop(open_new_private(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(open_new_private(&path).is_err());
        symlink(folder.path().join("y"), &link).unwrap();
        assert!(open_new_private(&link).is_err() && !folder.path().join("y").exists());
    }
}
