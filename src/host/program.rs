//! A program of the user's: where it is, and how it is started with an environment of its own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::Pid;

use super::process::with_callers_limits;
use super::restart::removed_by_restart;
use super::system::describe;
use super::{Host, World};
use crate::error::{Error, Kind, printable};
use crate::secret::Secret;

/// A program that was found, and its arguments.
#[derive(Debug)]
pub struct Program {
    /// As it was typed.
    name: OsString,
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// What a program's environment has that ours has not, and the other way round.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// Variables that it does not get.
    pub removed: Vec<String>,
    /// Variables that it does not get, by how their names begin.
    pub removed_prefixes: Vec<&'static str>,
    /// Variables that it gets.
    pub set: Vec<(String, Secret)>,
}

/// Why a program was not started, in the exit codes of `env`, `nice` and `timeout`.
#[derive(Debug)]
pub struct StartFailure {
    /// What to tell.
    pub error: Error,
    /// 127: it was not found. 126: it was found, and cannot be run. [`BEFORE_A_COMMAND`]: it was not tried.
    pub code: u8,
}

/// The exit code of what goes wrong before a command starts.
pub(crate) const BEFORE_A_COMMAND: u8 = 125;

impl StartFailure {
    /// What went wrong before the program was tried.
    pub(crate) fn before(error: Error) -> Self {
        Self { error, code: BEFORE_A_COMMAND }
    }
}

impl Host {
    /// Looks for a program, as a shell does: along `PATH`, or where its name says when that has a `/`.
    ///
    /// # Errors
    /// When there is none, or none that this user may run.
    pub fn find_program(&self, words: &[OsString]) -> Result<Program, StartFailure> {
        let (name, arguments) = words.split_first().map_or((OsStr::new(""), &[][..]), |(name, rest)| (name, rest));
        let path = match &self.world {
            World::Real { .. } => find(name)?,
            #[cfg(test)]
            World::Fake(_) => PathBuf::from(name),
        };
        Ok(Program { name: name.to_owned(), path, arguments: arguments.to_vec() })
    }
}

#[expect(clippy::disallowed_methods, reason = "PATH is how a program is found")]
fn find(name: &OsStr) -> Result<PathBuf, StartFailure> {
    let shown = printable(&name.to_string_lossy());
    if name.as_bytes().contains(&b'/') {
        return check(Path::new(name)).map(|()| PathBuf::from(name)).map_err(|cause| refused(&shown, cause));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut closest = Errno::NOENT;
    // An empty name is a file that nobody can have.
    for folder in std::env::split_paths(&path).filter(|_| !name.is_empty()) {
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let candidate = folder.join(name);
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(cause) => closest = cause,
        }
    }
    Err(refused(&shown, closest))
}

/// The first program of that name in a folder of `PATH` that does not depend on the working directory.
#[expect(clippy::disallowed_methods, reason = "PATH is how a program is found")]
pub(super) fn find_absolute(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|candidate| check(candidate).is_ok())
}

/// Whether the file can be run.
fn check(path: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory {
        return Err(Errno::ACCESS);
    }
    rustix::fs::access(path, Access::EXEC_OK)
}

fn refused(name: &str, cause: Errno) -> StartFailure {
    let (code, why) = match cause {
        Errno::NOENT | Errno::NOTDIR => (127, "was not found".to_owned()),
        cause => (126, format!("cannot be run: {}", describe(&cause.into()))),
    };
    StartFailure { error: Error::new(Kind::Usage, format!("the command {name} {why}")), code }
}

impl Program {
    /// Starts it with our stdin, stdout, stderr, process group, terminal and limits.
    ///
    /// Signals that our caller ignores stay ignored, and every other one has its default action again.
    pub(super) fn start(&self, environment: &Environment) -> Result<Pid, StartFailure> {
        let variables = environment.variables();
        let started = spawn(command(&self.path).arg0(&self.name).args(&self.arguments), &variables);
        let started = match started {
            // As `execvp` does: a script without a first line that names its interpreter.
            Err(cause) if cause.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
                spawn(command(Path::new("/bin/sh")).arg(&self.path).args(&self.arguments), &variables)
            }
            started => started,
        };
        started.map_err(|cause| {
            let errno = Errno::from_io_error(&cause).unwrap_or(Errno::IO);
            refused(&printable(&self.name.to_string_lossy()), errno)
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one command that the user asked for")]
fn command(path: &Path) -> Command {
    Command::new(path)
}

/// Starts a child that can be stopped at any time, and we with it.
///
/// The standard library would take `posix_spawn`, in which the parent sleeps as after `vfork`: a child that Ctrl+Z stops
/// before it is another program would leave us asleep, and the shell without a word of either. Whoever sets a group, here
/// our own, gets `fork`.
pub(super) fn start_stoppable(command: &mut Command) -> std::io::Result<std::process::Child> {
    command.gid(rustix::process::getgid().as_raw()).spawn()
}

/// Starts a child with these variables and no others, under the limits that we were called with.
pub(super) fn spawn(command: &mut Command, variables: &[(OsString, OsString)]) -> std::io::Result<Pid> {
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    let child = with_callers_limits(|| start_stoppable(command))?;
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| Errno::SRCH.into())
}

impl Environment {
    /// Every variable of the program. Of two entries with one name the first one counts, as it does for `getenv`.
    fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut variables = self.inherited();
        variables.extend(self.set.iter().map(|(name, value)| (name.into(), value.expose().into())));
        variables
    }

    /// What is left of ours.
    #[expect(clippy::disallowed_methods, reason = "the environment is handed on")]
    pub(super) fn inherited(&self) -> Vec<(OsString, OsString)> {
        let set = |name: &OsStr| self.set.iter().any(|(own, _)| name == own.as_str());
        let mut kept: Vec<(OsString, OsString)> = Vec::new();
        for (name, value) in std::env::vars_os().chain(removed_by_restart()) {
            if !self.is_removed(&name) && !set(&name) && !kept.iter().any(|(known, _)| *known == name) {
                kept.push((name, value));
            }
        }
        kept
    }

    fn is_removed(&self, name: &OsStr) -> bool {
        let begins = |prefix: &str| name.as_bytes().starts_with(prefix.as_bytes());
        self.removed.iter().any(|removed| name == removed.as_str())
            || self.removed_prefixes.iter().any(|prefix| begins(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_removed_by_its_name_or_by_how_that_begins() {
        let environment = Environment {
            removed: vec!["VAULT_TOKEN".into()],
            removed_prefixes: vec!["CI_CREDS_"],
            ..Environment::default()
        };
        for name in ["VAULT_TOKEN", "CI_CREDS_ROLE", "CI_CREDS_"] {
            assert!(environment.is_removed(OsStr::new(name)), "{name}");
        }
        for name in ["VAULT_TOKENS", "VAULT_ADDR", "CI_CREDS", "XCI_CREDS_ROLE"] {
            assert!(!environment.is_removed(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_127_and_one_that_cannot_be_run_is_126() {
        let host = Host::real();
        let code = |name: &str| host.find_program(&[name.into()]).map_or_else(|error| error.code, |_| 0);
        assert_eq!(code("sh"), 0);
        assert_eq!(code("/bin/sh"), 0);
        for name in ["", "no-such-program-here", "/no/such/file", "/etc/passwd/x"] {
            assert_eq!(code(name), 127, "{name:?}");
        }
        for name in ["/etc/passwd", "/etc"] {
            assert_eq!(code(name), 126, "{name:?}");
        }
    }
}
