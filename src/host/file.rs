//! Files: reading secrets and configuration with care, making private ones.

use std::fs::{File, Metadata};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::ancestor::{self, Exposure, Place, Problem};
use super::system::{PRIVATE, READ, describe, me, open_for_reading, read_to_end, words};
use super::trust::Trust;
use super::{Host, World, account};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// What a file holds, and how far it can be believed.
pub(crate) struct Document {
    /// The whole text.
    pub text: Zeroizing<String>,
    /// Who else can read or write it.
    pub trust: Trust,
    /// Where another user can put another file in its place; looked at by [`Host::read_believed`] only.
    pub exposed: Option<Exposure>,
}

impl Host {
    /// Reads a regular file whole; `None` when there is none.
    ///
    /// # Errors
    /// A text, to be put behind the path and its origin: not a regular file, too large, not UTF-8, unreadable.
    pub(crate) fn read_document(&self, path: &Path) -> Result<Option<Document>, String> {
        match &self.world {
            World::Real { .. } => read_document(path),
            #[cfg(test)]
            World::Fake(fake) => Ok(fake.files.get(path).map(|(text, trust)| Document {
                text: Zeroizing::new(text.clone()),
                trust: *trust,
                exposed: None,
            })),
        }
    }

    /// As [`Host::read_document`], for what is obeyed: also looks at the folders above the file, and at those above
    /// each link that leads to it.
    ///
    /// # Errors
    /// As [`Host::read_document`].
    pub(crate) fn read_believed(&self, path: &Path) -> Result<Option<Document>, String> {
        match &self.world {
            World::Real { .. } => read_believed(path),
            #[cfg(test)]
            World::Fake(_) => self.read_document(path),
        }
    }

    /// The names in a folder, sorted: for a folder of certificates.
    ///
    /// # Errors
    /// The system's words when the folder cannot be read.
    #[expect(clippy::disallowed_methods, reason = "this is the file system's one door")]
    pub(crate) fn list_folder(&self, path: &Path) -> Result<Vec<PathBuf>, String> {
        match &self.world {
            World::Real { .. } => {
                let entries = std::fs::read_dir(path).map_err(|error| describe(&error))?;
                let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
                names.sort();
                Ok(names)
            }
            #[cfg(test)]
            World::Fake(fake) => Ok(fake.files.keys().filter(|name| name.parent() == Some(path)).cloned().collect()),
        }
    }

    /// The path of a folder without links. `None` when there is none, or when another user can put another folder in
    /// its place, or something else in the place of what lies in it.
    ///
    /// # Errors
    /// [`Kind::Os`] when the system has no room to look.
    pub(crate) fn find_guarded_folder(&self, path: &Path) -> Result<Option<PathBuf>> {
        #[cfg(test)]
        if let World::Fake(_) = &self.world {
            return Ok(Some(path.to_owned()));
        }
        match ancestor::open_folder(path) {
            Ok(folder) => Ok(Some(folder.path)),
            Err(Problem::System(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM))) => {
                Err(Error::new(Kind::Os, format!("{} cannot be opened: {}", path.display(), words(error))))
            }
            Err(_) => Ok(None),
        }
    }

    /// Makes a folder of mode 0700 with a random name below `base`, and in it one file of mode 0600 whose text
    /// `compose` writes, given the file's path. Returns that path.
    ///
    /// Security: both are made with `O_EXCL` under names that nobody can guess, and both modes are set without
    /// regard to the umask, which is 000 in GitLab's containers. No other user can put anything in the place of the
    /// folder, the file, or what is above them: whoever opens the path later gets this file.
    ///
    /// # Errors
    /// [`Kind::Create`] when either cannot be made or written; nothing is left behind then.
    pub(crate) fn create_private_file(
        &self,
        base: &Path,
        name: &str,
        compose: impl FnOnce(&Path) -> Secret,
    ) -> Result<PathBuf> {
        let base = ancestor::open_folder(base).map_err(|problem| no_private_file(base, &problem))?;
        let folder = format!("ci-creds.{}", self.draw_word()?);
        let path = base.path.join(&folder).join(name);
        let written = make_private_folder(&base.descriptor, &folder).and_then(|opened| {
            write_new_private(&opened, name, &compose(&path)).inspect_err(|_| {
                let _ = rustix::fs::unlinkat(&opened, name, AtFlags::empty());
                let _ = rustix::fs::unlinkat(&base.descriptor, &folder, AtFlags::REMOVEDIR);
            })
        });
        written.map(|()| path).map_err(|error| no_private_file(&base.path, &error.into()))
    }

    /// Whether there is hope for [`Host::create_private_file`] below `base`: a container's root is often read-only.
    ///
    /// # Errors
    /// [`Kind::Create`].
    pub(crate) fn expect_private_file(&self, base: &Path) -> Result<()> {
        use rustix::fs::{Access, access};
        #[cfg(test)]
        if let World::Fake(_) = &self.world {
            return Ok(());
        }
        let found = ancestor::open_folder(base).and_then(|folder| {
            access(&folder.path, Access::WRITE_OK | Access::EXEC_OK)?;
            Ok(())
        });
        found.map_err(|problem| no_private_file(base, &problem))
    }

    /// Removes what [`Host::create_private_file`] made, when it could not be handed over.
    #[expect(clippy::disallowed_methods, reason = "this is the file system's one door")]
    pub(crate) fn remove_private_file(&self, path: &Path) {
        let _ = std::fs::remove_file(path);
        if let Some(folder) = path.parent() {
            let _ = std::fs::remove_dir(folder);
        }
    }

    /// Whether something stands at the path, as far as we may look: a home that is none, or another user's, has nothing.
    #[must_use]
    pub(crate) fn is_there(&self, path: &Path) -> bool {
        match &self.world {
            World::Real { .. } => path.symlink_metadata().is_ok(),
            #[cfg(test)]
            World::Fake(fake) => fake.files.contains_key(path),
        }
    }

    /// The path without links and `..`; as it stands where it leads nowhere.
    #[must_use]
    pub(crate) fn real_path(&self, path: &Path) -> PathBuf {
        match &self.world {
            World::Real { .. } => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
            #[cfg(test)]
            World::Fake(_) => path.to_owned(),
        }
    }

    /// Whether the path is a folder that exists.
    #[must_use]
    pub(crate) fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

/// Why no private file can be made below this folder.
fn no_private_file(base: &Path, problem: &Problem) -> Error {
    Error::new(Kind::Create, format!("no private file can be made in {}: {problem}", base.display()))
        .hint("point TMPDIR to a folder that this job can write, and other users cannot, outside the checkout")
}

/// Makes a new folder of mode 0700, and opens it.
fn make_private_folder(base: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::mkdirat(base, name, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // The umask may have taken our own bits away. It is ours, so nobody else can have put a link there.
    rustix::fs::chmodat(base, name, Mode::RWXU, AtFlags::empty())
        .and_then(|()| rustix::fs::openat(base, name, flags, Mode::empty()))
        .inspect_err(|_| {
            let _ = rustix::fs::unlinkat(base, name, AtFlags::REMOVEDIR);
        })
}

fn write_new_private(folder: &OwnedFd, name: &str, text: &Secret) -> Result<(), Errno> {
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let mut file = create_new_private(folder, name)?;
    rustix::fs::fchmod(&file, PRIVATE)?;
    file.write_all(text.expose().as_bytes()).map_err(errno)?;
    file.sync_all().map_err(errno)
}

/// Makes a new file of mode 0600, or of less, where the umask takes it.
fn create_new_private(folder: &OwnedFd, name: &str) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, PRIVATE).map(File::from)
}

fn read_believed(path: &Path) -> Result<Option<Document>, String> {
    match ancestor::find(path) {
        Ok(place) if !place.exists => Ok(None),
        Ok(Place { folder, name, .. }) => {
            let file = rustix::fs::openat(&folder.descriptor, name, READ | OFlags::NOFOLLOW, Mode::empty());
            let mut document = read_whole(file.map_err(words)?.into(), |metadata| trust(metadata, None))?;
            document.trust.root_only &= folder.of_root;
            Ok(Some(document))
        }
        Err(Problem::Exposed(exposed)) => {
            Ok(read_document(path)?.map(|document| Document { exposed: Some(exposed), ..document }))
        }
        Err(Problem::System(Errno::NOENT)) => Ok(None),
        Err(Problem::System(Errno::ISDIR)) => Err("is not a regular file".into()),
        Err(Problem::System(error)) => Err(words(error)),
    }
}

fn read_document(path: &Path) -> Result<Option<Document>, String> {
    let Some(file) = open_for_reading(path)? else { return Ok(None) };
    read_whole(file, |metadata| trust(metadata, std::fs::symlink_metadata(path).ok())).map(Some)
}

fn read_whole(file: File, trust: impl FnOnce(&Metadata) -> Trust) -> Result<Document, String> {
    let (text, metadata) = read_to_end(file)?;
    Ok(Document { text, trust: trust(&metadata), exposed: None })
}

/// A link that somebody else can turn is as good as a file that somebody else can write.
fn trust(file: &Metadata, link: Option<Metadata>) -> Trust {
    let foreign = |owner: u32| owner != me() && !account::is_root(owner);
    let (owner, mode) = (file.uid(), file.mode());
    let foreign = foreign(owner) || link.is_some_and(|link| foreign(link.uid()));
    Trust {
        root_only: account::is_root(owner) && mode & 0o022 == 0 && !foreign,
        foreign,
        writable_by_others: mode & 0o022 != 0,
        readable_by_others: mode & 0o044 != 0,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a test makes its files, and says what it skips")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
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
        let opened = OwnedFd::from(File::open(folder.path()).unwrap());
        drop(create_new_private(&opened, "x").unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(create_new_private(&opened, "x").is_err());
        symlink(folder.path().join("y"), &link).unwrap();
        assert!(create_new_private(&opened, "link").is_err() && !folder.path().join("y").exists());
    }
}
