//! A program that prints a token, Vault's helper or the CI system's own: one child, asked once, with nothing secret in its
//! arguments and none of our secrets in its environment.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::ancestor::{self, Problem};
use super::child::ChildEnds;
use super::program::find_absolute;
use super::system::words;
use super::{Host, World};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::variables::{BAO, RESTARTED, SECRETS, VAULT};

/// Vault's CLI gives its helpers no limit; a job that hangs at 2 a.m. is worse than one that fails.
const HELPER_PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at a program: nothing beside what it takes itself.
const PAUSE: Duration = Duration::from_millis(5);

impl Host {
    /// Asks a token helper for the user's token: `<path> get`, the token on its stdout.
    ///
    /// The path comes from `place`, `~/.vault` or `~/.bao`, and must be absolute, as Vault's own CLI demands. Nothing
    /// secret is among the helper's arguments, nor in its environment, from where the variable `secret` is taken too. An
    /// empty answer means that there is no token.
    ///
    /// # Errors
    /// [`Kind::Input`] when the helper cannot be run, fails, or takes longer than ten seconds.
    pub(crate) fn run_token_helper(&self, path: &str, place: &str, secret: Option<&str>) -> Result<Option<Secret>> {
        match &self.world {
            World::Real { .. } => run_token_helper(path, place, secret, &self.child_ends),
            #[cfg(test)]
            World::Fake(_) => Ok(None),
        }
    }

    /// Looks for a program of the CI system along `PATH`: its absolute path. Folders that are named from the working
    /// directory do not count.
    pub(crate) fn find_tool(&self, name: &str) -> Option<PathBuf> {
        match &self.world {
            World::Real { .. } => find_absolute(name),
            #[cfg(test)]
            World::Fake(_) => None,
        }
    }

    /// Asks such a program for an ID token, which it prints on stdout. Nothing secret is among its arguments, and none of
    /// Vault's secrets in its environment. What it prints on stderr is not shown. Dropping the future ends the program.
    ///
    /// # Errors
    /// [`Kind::Input`] when it cannot be run, fails, prints nothing, or takes longer than `patience` or ten seconds;
    /// [`Kind::Config`] when others can put another program in its place.
    pub(crate) async fn ask_tool(&self, path: &Path, arguments: &[String], patience: Duration) -> Result<Secret> {
        #[cfg(test)]
        if let World::Fake(_) = &self.world {
            return Err(Error::new(Kind::Input, "a fake world runs nothing"));
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let shown = path.display();
        let failed = |what: &str| Error::new(Kind::Input, format!("{shown}, which signs the ID token, {what}"));
        match self.ask(path, &arguments, patience.min(HELPER_PATIENCE)).await {
            Ok(Some(token)) => Ok(token),
            Ok(None) => Err(failed("printed nothing")),
            Err(AskProblem::Exposed(problem)) => {
                Err(Error::new(Kind::Config, format!("{shown}, which signs the ID token, was not run: {problem}"))
                    .hint("use a program that root or this user alone can write, in folders that they alone can write"))
            }
            Err(AskProblem::Failed(what, Some(cause))) => Err(failed(&what).cause(cause)),
            Err(AskProblem::Failed(what, None)) => Err(failed(&what)),
        }
    }

    async fn ask(&self, path: &Path, arguments: &[&str], patience: Duration) -> Result<Option<Secret>, AskProblem> {
        let mut run = HelperRun::start(path, arguments, None, &self.child_ends)?;
        let end = self.elapsed() + patience;
        loop {
            if let Some(success) = run.look()? {
                return run.token(success);
            }
            if self.elapsed() >= end {
                return Err(AskProblem::late(patience));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// `place` is the file that names it, `secret` a variable that this job's own flags call one.
fn run_token_helper(path: &str, place: &str, secret: Option<&str>, ends: &ChildEnds) -> Result<Option<Secret>> {
    wait_for_token(Path::new(path), secret, ends).map_err(|problem| match problem {
        AskProblem::Exposed(problem) => {
            Error::new(Kind::Config, format!("the token helper {path} (named in {place}) was not run: {problem}"))
                .hint("use a helper that root or this user alone can write, in folders that they alone can write")
        }
        AskProblem::Failed(what, cause) => {
            let error = Error::new(Kind::Input, format!("the token helper {path} (named in {place}) {what}"))
                .hint("run it with the argument `get` to see why, or set VAULT_TOKEN");
            match cause {
                Some(cause) => error.cause(cause),
                None => error,
            }
        }
    })
}

/// Asks while the settings are read.
#[expect(clippy::disallowed_methods, reason = "no runtime has started, and a signal ends this process")]
fn wait_for_token(path: &Path, secret: Option<&str>, ends: &ChildEnds) -> Result<Option<Secret>, AskProblem> {
    let mut run = HelperRun::start(path, &["get"], secret, ends)?;
    let mut waited = Duration::ZERO;
    loop {
        if let Some(success) = run.look()? {
            return run.token(success);
        }
        if waited >= HELPER_PATIENCE {
            return Err(AskProblem::late(HELPER_PATIENCE));
        }
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
}

/// Why a program gave no answer.
enum AskProblem {
    /// It was not run: others could have put it there.
    Exposed(String),
    /// Completes "the program …". Nothing of what it printed is in it.
    Failed(Cow<'static, str>, Option<std::io::Error>),
}

impl AskProblem {
    fn failed(what: &'static str) -> Self {
        Self::Failed(what.into(), None)
    }

    fn late(patience: Duration) -> Self {
        Self::Failed(format!("did not answer in {:.0} s", patience.as_secs_f64().ceil()).into(), None)
    }
}

/// A program that was asked. It does not outlive this.
struct HelperRun<'a> {
    child: Child,
    answer: Answer,
    /// Who else is told of its end: the wait for the command of `exec` takes what the system tells of any child.
    ends: &'a ChildEnds,
    ended: bool,
}

impl<'a> HelperRun<'a> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where a program is asked for a token")]
    fn start(path: &Path, arguments: &[&str], secret: Option<&str>, ends: &'a ChildEnds) -> Result<Self, AskProblem> {
        check_program(path).map_err(AskProblem::Exposed)?;
        let mut command = Command::new(path);
        // Security: it has its own way to its token, and no business with the job's secrets.
        command.env_remove(RESTARTED);
        for name in SECRETS.into_iter().chain(secret) {
            command.env_remove(name);
            if let Some(rest) = name.strip_prefix(VAULT) {
                command.env_remove(format!("{BAO}{rest}"));
            }
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let failed = |what: &'static str| move |cause| AskProblem::Failed(what.into(), Some(cause));
        let mut child = command.spawn().map_err(failed("cannot be run"))?;
        ends.expect(child.id());
        let answer = Answer::of(child.stdout.take());
        let run = Self { child, answer, ends, ended: false };
        run.answer.open().map_err(failed("cannot be read"))?;
        Ok(run)
    }

    /// Whether it succeeded, if it has ended; what it has printed by now is taken.
    fn look(&mut self) -> Result<Option<bool>, AskProblem> {
        let success = match self.child.try_wait() {
            Ok(status) => status.map(|status| status.success()),
            Err(cause) if Errno::from_io_error(&cause) == Some(Errno::CHILD) => self.ends.success(self.child.id()),
            Err(cause) => return Err(AskProblem::Failed("cannot be waited for".into(), Some(cause))),
        };
        self.ended = success.is_some();
        // What it has started may hold its stdout open for as long as it wants: what is there when it ends is all.
        self.answer.take().map_err(AskProblem::failed)?;
        Ok(success)
    }

    /// The one line that it printed. `None`: it printed nothing.
    fn token(&self, success: bool) -> Result<Option<Secret>, AskProblem> {
        if !success {
            return Err(AskProblem::failed("failed"));
        }
        let text = std::str::from_utf8(&self.answer.bytes)
            .map_err(|_| AskProblem::failed("printed something that is not text"))?;
        let token = Secret::new(text.trim().to_owned());
        Ok((!token.expose().is_empty()).then_some(token))
    }
}

impl Drop for HelperRun<'_> {
    fn drop(&mut self) {
        self.ends.forget(self.child.id());
        // The number of one that has ended may be another process's by now.
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Security: whoever can put another program there runs it as this user. What does not exist is told by the call itself.
fn check_program(path: &Path) -> Result<(), String> {
    let place = match ancestor::find(path) {
        Ok(place) if place.exists => place,
        Ok(_) | Err(Problem::System(_)) => return Ok(()),
        Err(problem) => return Err(problem.to_string()),
    };
    let real = place.folder.path.join(&place.name);
    let real = real.display();
    let stat = rustix::fs::statat(&place.folder.descriptor, &place.name, AtFlags::SYMLINK_NOFOLLOW).map_err(words)?;
    if !ancestor::is_ours_or_roots(stat.st_uid) {
        return Err(format!("{real} belongs to another user, uid {}", stat.st_uid));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(format!("other users can write {real}"));
    }
    Ok(())
}

/// What a helper prints, as far as it has come.
struct Answer {
    pipe: Option<ChildStdout>,
    /// In one buffer that does not grow: a growing one would leave copies behind.
    bytes: Zeroizing<Vec<u8>>,
}

/// Longer than any token.
const LONGEST_ANSWER: usize = 64 << 10;

impl Answer {
    fn of(pipe: Option<ChildStdout>) -> Self {
        Self { pipe, bytes: Zeroizing::new(Vec::with_capacity(LONGEST_ANSWER)) }
    }

    /// From now on no read waits.
    fn open(&self) -> std::io::Result<()> {
        self.pipe.as_ref().map_or(Ok(()), |pipe| Ok(rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK)?))
    }

    /// Takes what is there, and waits for nothing.
    fn take(&mut self) -> Result<(), &'static str> {
        let mut piece = Zeroizing::new([0_u8; 4096]);
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut *piece) {
                Ok(0) => return Ok(()),
                Ok(read) if self.bytes.len() + read > LONGEST_ANSWER => return Err("printed more than 64 KiB"),
                Ok(read) => self.bytes.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err("cannot be read"),
            }
        }
        Ok(())
    }
}
