//! The processes above this one: whether stdout is the job's log, or a process of the job reads it.

use std::str::FromStr;

use rustix::fs::{FileType, Stat, lstat, readlink, stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// Whether our stdout, a pipe or a socket, is the job's log: the stdout or stderr of the job's outermost process.
///
/// A process above us belongs to the job when it writes into that stream too, is a shell, or was started with a variable
/// of the job (`marks`). The first one that does none of it is the runner. Process groups and sessions say nothing:
/// `timeout`, `setsid` and `set -m` make new ones.
///
/// `false` where that cannot be known: a refusal would break a job that may be right.
pub(super) fn is_log(out: &Stat, marks: &[&str]) -> bool {
    let pipe = FileType::from_raw_mode(out.st_mode) == FileType::Fifo;
    // A pipe with a name: somebody opened it on purpose. Some shells make it their own stdout while we run.
    if pipe && !readlink("/proc/self/fd/1", Vec::new()).is_ok_and(|link| link.to_bytes().starts_with(b"pipe:")) {
        return false;
    }
    let Some(own) = Status::read("self") else { return false };
    let search = Search { out, pipe, marks };
    match search.go_up(own.parent) {
        End::Log => true,
        End::Captured => false,
        // Our parent is gone, as that of a background job can be. Others may write into the same pipe.
        End::Unknown => processes()
            .any(|pid| pid != own.pid && search.shares(pid) == Ok(true) && matches!(search.go_up(pid), End::Log)),
    }
}

/// How a way up ends.
enum End {
    /// The job's outermost process writes into the stream.
    Log,
    /// It does not, or a process of the job holds the other end.
    Captured,
    Unknown,
}

/// What is looked for: the stream, and the variables that a job has.
struct Search<'a> {
    out: &'a Stat,
    pipe: bool,
    marks: &'a [&'a str],
}

impl Search<'_> {
    /// Goes up from this process, itself included, to the job's outermost one.
    fn go_up(&self, mut pid: u32) -> End {
        let mut outermost = End::Unknown;
        // A container's first process has no parent that we could see.
        while pid != 0 {
            let Some(status) = Status::read(&pid.to_string()) else { return End::Unknown };
            if status.name == GITHUBS_RUNNER {
                return outermost;
            }
            outermost = match self.shares(pid) {
                shares if shares != Ok(true) && self.adopts(&status) => return End::Unknown,
                Ok(shares) if shares || is_shell_running(pid) || self.has_mark(pid) => {
                    if self.is_read_by(pid) {
                        return End::Captured;
                    }
                    if shares { End::Log } else { End::Captured }
                }
                Ok(_) => return outermost,
                // The runner, `su` and `sshd` are root's. So is `sudo`, but there a shell of the job is above it.
                Err(_) if is_shell_above(status) => return End::Unknown,
                Err(_) => return outermost,
            };
            pid = status.parent;
        }
        outermost
    }

    /// Whether the stream is the process's stdout or stderr. An error for another user's process, or one that shows
    /// itself to nobody.
    fn shares(&self, pid: u32) -> Result<bool, Errno> {
        let mut shares = false;
        for stream in [1, 2] {
            match stat(format!("/proc/{pid}/fd/{stream}")) {
                Ok(theirs) => shares |= same_file(self.out, &theirs),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(shares)
    }

    /// Whether the process holds the reading end of the pipe.
    ///
    /// mksh makes the pipe of `$(…)` its own stdout until it has forked, and older ksh93 until the command has ended:
    /// then they hold both ends.
    #[expect(clippy::disallowed_methods, reason = "/proc is how the system tells of other processes")]
    fn is_read_by(&self, pid: u32) -> bool {
        if !self.pipe {
            return false;
        }
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        descriptors.flatten().map(|entry| entry.path()).any(|path| {
            // The link's own mode says how the descriptor was opened.
            lstat(&path).is_ok_and(|link| link.st_mode & 0o400 != 0)
                && stat(&path).is_ok_and(|theirs| same_file(self.out, &theirs))
        })
    }

    /// Whether it is a process that takes over those whose parent is gone, and not the reader of the pipe.
    fn adopts(&self, status: &Status) -> bool {
        self.pipe && (status.pid == 1 || status.name == "systemd") && !self.is_read_by(status.pid)
    }

    /// Whether the process was started with a variable of the job, or may have been.
    ///
    /// Security: this reads somebody's environment. It looks for names alone, and keeps nothing of it.
    #[expect(clippy::disallowed_methods, reason = "/proc is how the system tells of other processes")]
    fn has_mark(&self, pid: u32) -> bool {
        let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")).map(Zeroizing::new) else { return true };
        let is_mark = |entry: &[u8]| {
            self.marks.iter().any(|mark| {
                let value = entry.strip_prefix(mark.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
                value.is_some_and(|value| !value.trim_ascii().is_empty() && value != b"false")
            })
        };
        // A program that shows a title of its own may have written it over its environment.
        !environment.contains(&b'=') || environment.split(|byte| *byte == 0).any(is_mark)
    }
}

/// The process that reads what a step writes. It is known by name: an image may give it a job's variables.
const GITHUBS_RUNNER: &str = "Runner.Worker";

/// Whether a process is a shell, by its program and not by its name, which for a script is the script's.
fn is_shell_running(pid: u32) -> bool {
    let program = readlink(format!("/proc/{pid}/exe"), Vec::new()).unwrap_or_default();
    is_shell(program.to_string_lossy().rsplit('/').next().unwrap_or_default())
}

/// Whether the process or one above it is called like a shell, as far as all users may know.
fn is_shell_above(status: Status) -> bool {
    let above = |status: &Status| Status::read(&status.parent.to_string());
    std::iter::successors(Some(status), above).any(|status| is_shell(&status.name))
}

/// Knows a shell by its file's name, with a version or without: `zsh`, `zsh5`, `busybox-static`.
fn is_shell(name: &str) -> bool {
    let name = name.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    matches!(
        name,
        "sh" | "ash"
            | "bash"
            | "busybox"
            | "csh"
            | "dash"
            | "elvish"
            | "fish"
            | "ksh"
            | "lksh"
            | "mksh"
            | "nu"
            | "oksh"
            | "pwsh"
            | "rbash"
            | "tcsh"
            | "toybox"
            | "yash"
            | "zsh"
    )
}

/// Every process that we can see.
#[expect(clippy::disallowed_methods, reason = "/proc is how the system tells of other processes")]
fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| u32::from_str(name).ok()))
}

/// A process among its relatives. A parent of 0 is outside our namespace.
struct Status {
    pid: u32,
    name: String,
    parent: u32,
}

impl Status {
    /// From `/proc/<pid>/stat`: `pid (name) state parent …`, where the name may hold anything, half a letter too.
    #[expect(clippy::disallowed_methods, reason = "/proc is how the system tells of other processes")]
    fn read(pid: &str) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        let (head, tail) = stat.rsplit_once(')')?;
        let (pid, name) = head.split_once(" (")?;
        let parent = tail.split_whitespace().nth(1)?.parse().ok()?;
        Some(Self { pid: pid.parse().ok()?, name: name.to_owned(), parent })
    }
}

pub(super) fn same_file(one: &Stat, other: &Stat) -> bool {
    one.st_dev == other.st_dev && one.st_ino == other.st_ino
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_known_by_its_files_name_with_a_version_or_without() {
        for name in ["sh", "dash", "bash", "bash-5.2", "zsh5", "ksh93", "mksh-static", "busybox", "pwsh"] {
            assert!(is_shell(name), "{name}");
        }
        for name in ["", "sshd", "gitlab-runner", "Runner.Worker", "timeout", "python3", "bashful", "93"] {
            assert!(!is_shell(name), "{name}");
        }
    }

    #[test]
    fn a_process_tells_its_number_and_its_parent() {
        let own = Status::read("self").unwrap();
        assert_eq!(own.pid, std::process::id());
        assert!(Status::read(&own.parent.to_string()).is_some());
        assert!(Status::read("0").is_none());
    }
}
