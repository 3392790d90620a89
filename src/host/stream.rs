//! stdout and stderr: what they are connected to, and the one write that delivers a credential.

use std::io::Read;
use std::time::Duration;

use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, Stat, fstat};

use super::capture::same_file;
use super::terminal::{stderr_is_terminal, stdout_is_terminal};
use super::{Host, World};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// What stdout is, as far as it decides what may be written there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stdout {
    /// Somebody looks at it.
    pub terminal: bool,
    /// `/dev/null`, or closed before we started (the runtime then opens `/dev/null` in its place).
    pub null: bool,
    /// stderr goes to the very same pipe or file.
    pub shared_with_stderr: bool,
    /// A regular file.
    pub file: bool,
}

impl Host {
    /// Looks at stdout.
    #[must_use]
    pub(crate) fn stdout(&self) -> Stdout {
        match &self.world {
            World::Real { .. } => look_at_stdout(),
            #[cfg(test)]
            World::Fake(_) => Stdout::default(),
        }
    }

    /// Whether stdout is the job's log, so that nobody captures what we print: the pipe or socket that is stdout or stderr
    /// of the job's outermost process; or the same file as stderr, for a shell may lend its own stdout to a `>`. Not a
    /// file without a name, in which ksh93 keeps what `$(…)` prints.
    ///
    /// Looks at other processes; `marks` are the variables that a job has. `false` where it cannot be known.
    #[must_use]
    pub(crate) fn is_uncaptured(&self, marks: &[&str]) -> bool {
        #[cfg(test)]
        if let World::Fake(_) = &self.world {
            return false;
        }
        fstat(rustix::stdio::stdout()).is_ok_and(|out| match FileType::from_raw_mode(out.st_mode) {
            FileType::Fifo | FileType::Socket => super::capture::is_log(&out, marks),
            FileType::RegularFile => out.st_nlink > 0 && self.stdout().shared_with_stderr,
            _ => false,
        })
    }

    /// Whether stderr leads to somebody who reads along: a pipe, a socket, a terminal. Not a file, not `/dev/null`.
    #[must_use]
    pub(crate) fn is_stderr_read(&self) -> bool {
        let kind = || fstat(rustix::stdio::stderr()).map(|err| FileType::from_raw_mode(err.st_mode));
        match &self.world {
            World::Real { .. } => matches!(kind(), Ok(FileType::Fifo | FileType::Socket)) || stderr_is_terminal(),
            #[cfg(test)]
            World::Fake(_) => true,
        }
    }

    /// Whether stdout takes anything within that time: not when it is a pipe that is full, and that nobody reads.
    #[must_use]
    pub(crate) fn has_room(&self, patience: Duration) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = rustix::stdio::stdout();
        let patience = Timespec::try_from(patience).unwrap_or_default();
        match &self.world {
            // Whatever else comes, an error too, is for the write to find out.
            World::Real { .. } => poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], Some(&patience)) != Ok(0),
            #[cfg(test)]
            World::Fake(_) => true,
        }
    }

    /// Writes the text with one `write`, and goes on only where the system took a part of it.
    ///
    /// # Errors
    /// [`Kind::Output`] when not all of it was taken: a closed pipe, a full disk.
    pub(crate) fn write_stdout(&self, text: &Secret) -> Result<()> {
        deliver(rustix::stdio::stdout(), "cannot write to stdout", text)
    }

    /// Reads stdin to its end, and no more than so many bytes of it. What is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// [`Kind::Input`].
    pub(crate) fn read_stdin(&self, limit: usize) -> Result<String> {
        let mut bytes = Vec::new();
        let mut stdin = std::io::stdin().take(limit as u64);
        stdin.read_to_end(&mut bytes).map_err(|cause| {
            Error::new(Kind::Input, "cannot read stdin").hint("pass the text as an argument").cause(cause)
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes to stderr what somebody must have read before stdout is written.
    ///
    /// # Errors
    /// As [`Host::write_stdout`].
    pub(crate) fn write_masks(&self, text: &Secret) -> Result<()> {
        deliver(rustix::stdio::stderr(), "cannot write the masks to stderr", text)
    }

    /// Writes to stderr; when that fails there is nobody left to tell.
    pub(crate) fn write_stderr(&self, text: &str) {
        self.erase_progress();
        let _ = write_all(rustix::stdio::stderr(), text.as_bytes());
    }
}

fn deliver(fd: BorrowedFd<'_>, failure: &str, text: &Secret) -> Result<()> {
    write_all(fd, text.expose().as_bytes())
        .map_err(|error| Error::new(Kind::Output, format!("{failure}: {}", super::system::words(error))))
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), rustix::io::Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(rustix::io::Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn look_at_stdout() -> Stdout {
    let terminal = stdout_is_terminal();
    let Ok(out) = fstat(rustix::stdio::stdout()) else {
        return Stdout { terminal, null: true, ..Stdout::default() };
    };
    let kind = FileType::from_raw_mode(out.st_mode);
    let shared_with_stderr = !terminal
        && kind != FileType::CharacterDevice
        && fstat(rustix::stdio::stderr()).is_ok_and(|err| same_file(&out, &err));
    Stdout { terminal, null: is_null_device(&out), shared_with_stderr, file: kind == FileType::RegularFile }
}

fn is_null_device(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && rustix::fs::stat("/dev/null").is_ok_and(|null| null.st_rdev == stat.st_rdev)
}
