//! The folders above a file or a folder: whether another user can put something else in its place.
//!
//! A path is walked from the root, one name at a time. A folder is opened before it is judged, and the next name is
//! looked up in the open folder, so that what was judged is what is used. A link is read, and what it leads to is
//! walked in the same way: the folders above the link count, and those above its target.
//!
//! A folder is guarded when it belongs to root or to us and nobody else can write it. In a sticky one, like `/tmp`,
//! others can make files and cannot replace ours. Write permission of a group counts as that of others, with two
//! exceptions: root's own group, and a group that has no other member than us. An access list ends both exceptions.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::account;
use super::system::{me, words};

/// A folder that was reached through guarded folders only, and is guarded itself.
pub(super) struct GuardedFolder {
    /// For lookups of names. Where a folder may be searched and not read, nothing else can be opened.
    pub descriptor: OwnedFd,
    /// Its path, without links.
    pub path: PathBuf,
    /// Whether nobody but root has a hand on it or on anything above it.
    pub of_root: bool,
}

/// Where a path leads: a guarded folder, and a name in it.
pub(super) struct Place {
    pub folder: GuardedFolder,
    /// What it is called there. It is no link, unless somebody swaps one in: to be opened with `O_NOFOLLOW`.
    pub name: OsString,
    /// Whether something is there.
    pub exists: bool,
}

/// Why a path could not be walked to its end.
#[derive(Debug)]
pub(super) enum Problem {
    /// Another user can put something else in its place.
    Exposed(Exposure),
    /// The system's own.
    System(Errno),
}

/// Where another user has a hand on a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// The folder or the link.
    pub path: PathBuf,
    /// In which way.
    pub by: Hand,
}

/// How another user has a hand on a folder or a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hand {
    /// It is this user's folder.
    Owner(u32),
    /// It is this user's link.
    Link(u32),
    /// It can be written by a group that has other members.
    Group,
    /// Everybody can write it.
    Everybody,
}

impl fmt::Display for Exposure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.by {
            Hand::Owner(user) => write!(formatter, "{path} belongs to another user, uid {user}"),
            Hand::Link(user) => write!(formatter, "{path} is a link of another user's, uid {user}"),
            Hand::Group => write!(formatter, "a group with other members can write {path}"),
            Hand::Everybody => write!(formatter, "every user can write {path}"),
        }
    }
}

impl Exposure {
    /// What would change it.
    #[must_use]
    pub(crate) fn hint(&self) -> String {
        let path = self.path.display();
        match self.by {
            Hand::Owner(_) | Hand::Link(_) => "use a path on which every folder belongs to this user or to root".into(),
            Hand::Group => format!("chmod go-w {path}, or use another folder"),
            Hand::Everybody => format!("chmod go-w {path}, or chmod +t {path} if other users need it"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exposed(exposed) => write!(formatter, "other users can replace it: {exposed}"),
            Self::System(error) => formatter.write_str(&words(*error)),
        }
    }
}

impl From<Errno> for Problem {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// As many links as the kernel follows.
const MOST_LINKS: u8 = 40;

/// Opens a folder for lookups only: `/home` may be one that others can pass and not read.
#[cfg(target_os = "linux")]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const SEARCH: OFlags = OFlags::RDONLY;

/// Walks to a folder.
///
/// # Errors
/// [`Problem`]; `ENOENT` when there is none.
pub(super) fn open_folder(path: &Path) -> Result<GuardedFolder, Problem> {
    let (walk, last) = Walk::to(path)?;
    match last {
        None => walk.end(),
        Some((_, true)) => Err(Errno::NOTDIR.into()),
        Some((_, false)) => Err(Errno::NOENT.into()),
    }
}

/// Walks to the place of a file, which need not be there. A link as the last name is followed.
///
/// # Errors
/// [`Problem`]; `ENOENT` when the folder does not exist, `EISDIR` when a folder is at that place.
pub(super) fn find(path: &Path) -> Result<Place, Problem> {
    let (walk, last) = Walk::to(path)?;
    let (name, exists) = last.ok_or(Errno::ISDIR)?;
    Ok(Place { folder: walk.end()?, name, exists })
}

/// Somewhere on a path. Everything above is judged; the folder itself is, before a name is looked up in it.
struct Walk {
    descriptor: OwnedFd,
    path: PathBuf,
    stat: Stat,
    of_root: bool,
}

/// The last name of a path, where it leads to no folder, and whether something is there.
type Last = Option<(OsString, bool)>;

impl Walk {
    fn to(path: &Path) -> Result<(Self, Last), Problem> {
        let path = std::path::absolute(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))?;
        let mut ahead = names(&path);
        let mut walk = Self::start(true)?;
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            walk.judge()?;
            let opened = rustix::fs::openat(
                &walk.descriptor,
                &name,
                SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            );
            match opened {
                Ok(folder) => walk.enter(folder, &name)?,
                Err(Errno::NOENT) if ahead.is_empty() => return Ok((walk, Some((name, false)))),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let Some(target) = walk.read_link(&name)? else {
                        return if ahead.is_empty() {
                            Ok((walk, Some((name, true))))
                        } else {
                            Err(Errno::NOTDIR.into())
                        };
                    };
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if target.is_absolute() {
                        walk = Self::start(walk.of_root)?;
                    }
                    for name in names(&target).into_iter().rev() {
                        ahead.push_front(name);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((walk, None))
    }

    fn start(of_root: bool) -> Result<Self, Errno> {
        let flags = SEARCH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open("/", flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&descriptor)?;
        Ok(Self { descriptor, path: PathBuf::from("/"), stat, of_root })
    }

    fn enter(&mut self, folder: OwnedFd, name: &OsStr) -> Result<(), Errno> {
        self.stat = rustix::fs::fstat(&folder)?;
        self.descriptor = folder;
        if name == ".." {
            self.path.pop();
        } else {
            self.path.push(name);
        }
        Ok(())
    }

    /// Where the link leads; `None` when it is something else. In a guarded folder nobody can change either between
    /// two looks; in a sticky one its owner can, and is looked at first.
    fn read_link(&mut self, name: &OsStr) -> Result<Option<PathBuf>, Problem> {
        let stat = rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(None);
        }
        if !is_ours_or_roots(stat.st_uid) {
            return Err(Problem::Exposed(Exposure { path: self.path.join(name), by: Hand::Link(stat.st_uid) }));
        }
        self.of_root &= account::is_root(stat.st_uid);
        let target = rustix::fs::readlinkat(&self.descriptor, name, Vec::new())?;
        Ok(Some(OsString::from_vec(target.into_bytes()).into()))
    }

    /// Fails when another user could put something else in the place of what lies here.
    fn judge(&mut self) -> Result<(), Problem> {
        let Stat { st_uid: owner, st_gid: group, st_mode: mode, .. } = self.stat;
        let exposed = |by| Err(Problem::Exposed(Exposure { path: self.path.clone(), by }));
        if !is_ours_or_roots(owner) {
            return exposed(Hand::Owner(owner));
        }
        let sticky = mode & 0o1000 != 0;
        if mode & 0o002 != 0 && !sticky {
            return exposed(Hand::Everybody);
        }
        let by_group = mode & 0o020 != 0 && !sticky;
        if by_group && !(account::is_alone_in(group) && self.has_no_access_list()) {
            return exposed(Hand::Group);
        }
        self.of_root &= account::is_root(owner) && (!by_group || group == 0);
        Ok(())
    }

    /// With an access list, the group's bits are what any user or group named in it can have.
    fn has_no_access_list(&self) -> bool {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.descriptor, ".", flags, Mode::empty()).is_ok_and(|folder| {
            let mut none = [0_u8; 0];
            matches!(
                rustix::fs::fgetxattr(&folder, super::system::ACCESS_LIST, &mut none),
                Err(Errno::NODATA | Errno::OPNOTSUPP)
            )
        })
    }

    fn end(mut self) -> Result<GuardedFolder, Problem> {
        self.judge()?;
        Ok(GuardedFolder { descriptor: self.descriptor, path: self.path, of_root: self.of_root })
    }
}

/// The names of a path, in their order. `..` is one: it leads to the folder above, and not to the name before it.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().filter_map(name).collect()
}

/// Whether nobody but root and us owns it.
pub(super) fn is_ours_or_roots(owner: u32) -> bool {
    owner == me() || account::is_root(owner)
}
