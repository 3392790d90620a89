//! Words and small calls of the system that the files of this folder share. It judges nothing.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

/// No token, key, bundle of roots or configuration is larger; `/dev/zero` and a wrong path are.
pub(super) const LARGEST: u64 = 1 << 20;

/// Without `O_NONBLOCK`, opening a FIFO would wait for a writer for ever.
pub(super) const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Opens a file; `None` when there is none.
#[expect(clippy::disallowed_methods, reason = "this is the file system's one door")]
pub(super) fn open_for_reading(path: &Path) -> Result<Option<File>, String> {
    match OpenOptions::new().read(true).custom_flags(READ.bits().cast_signed()).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(describe(&error)),
    }
}

/// The text of a regular file, and what the system says of it.
pub(super) fn read_to_end(file: File) -> Result<(Zeroizing<String>, Metadata), String> {
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
    Ok((text, metadata))
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
pub(super) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The extended attribute that holds a file's access list.
pub(super) const ACCESS_LIST: &str = "system.posix_acl_access";
