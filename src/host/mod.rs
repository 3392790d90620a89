//! The only door to the process: environment, clock, files, terminal, stdout, stderr.
//!
//! A [`Host`] is real or fake; nothing behind it decides anything. Clippy's `disallowed_methods` holds the door
//! shut for every other module, and the exceptions stand here.

mod fake;
mod file;
mod process;
mod stream;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::variables::SECRETS;

pub use fake::Fake;
pub use file::{Document, Trust};
pub use process::{harden, on_panic};
pub use stream::Stdout;

/// What a run can see and touch.
pub struct Host {
    world: World,
    /// Said on stderr when the run ends, if the format allows it.
    warnings: RefCell<Vec<String>>,
}

enum World {
    Real { started: Instant },
    Fake(Fake),
}

impl Host {
    /// The process's own world; the run's clock starts here.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock's one door")]
    pub fn real() -> Self {
        Self { world: World::Real { started: Instant::now() }, warnings: RefCell::default() }
    }

    /// A world made of values, for tests.
    #[must_use]
    pub fn fake(fake: Fake) -> Self {
        Self { world: World::Fake(fake), warnings: RefCell::default() }
    }

    /// The variable's text as it stands; `None` when it is not set. What blank means is the caller's business.
    ///
    /// # Errors
    /// [`Kind::Config`] when the value is not UTF-8.
    #[expect(clippy::disallowed_methods, reason = "this is the environment's one door")]
    pub fn variable(&self, name: &str) -> Result<Option<String>> {
        match &self.world {
            World::Real { .. } => match std::env::var(name) {
                Ok(text) => Ok(Some(text)),
                Err(std::env::VarError::NotPresent) => Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(Error::new(Kind::Config, format!("{name} is not valid UTF-8")))
                }
            },
            World::Fake(fake) => Ok(fake.variables.get(name).cloned()),
        }
    }

    /// The wall clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock's one door")]
    pub fn now(&self) -> Timestamp {
        match &self.world {
            World::Real { .. } => Timestamp::now(),
            World::Fake(fake) => fake.now,
        }
    }

    /// Time since the run began, by the monotonic clock: what deadlines are counted in.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &self.world {
            World::Real { started } => started.elapsed(),
            World::Fake(_) => Duration::ZERO,
        }
    }

    /// The user's folder for our configuration file (`~/.config/ci-creds` on Linux), when there is one.
    #[must_use]
    pub fn config_folder(&self) -> Option<PathBuf> {
        match &self.world {
            World::Real { .. } => {
                directories::ProjectDirs::from("", "", "ci-creds").map(|folders| folders.config_dir().to_owned())
            }
            World::Fake(fake) => fake.config_folder.clone(),
        }
    }

    /// Keeps something for the user to know that did not stop the run. One line, no secret.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// What was kept by [`Host::warn`], oldest first; the list is empty afterwards.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.borrow_mut())
    }

    /// Asks a token helper for the user's token: `<path> get`, the token on its stdout.
    ///
    /// The path comes from `~/.vault` and must be absolute, as Vault's own CLI demands. Nothing secret is among
    /// the helper's arguments. An empty answer means that there is no token.
    ///
    /// # Errors
    /// [`Kind::Input`] when the helper cannot be run, fails, or takes longer than ten seconds.
    pub fn run_token_helper(&self, path: &str) -> Result<Option<Secret>> {
        match &self.world {
            World::Real { .. } => run_token_helper(path),
            World::Fake(_) => Ok(None),
        }
    }
}

/// Vault's CLI gives its helpers no limit; a job that hangs at 2 a.m. is worse than one that fails.
const HELPER_PATIENCE: Duration = Duration::from_secs(10);

fn run_token_helper(path: &str) -> Result<Option<Secret>> {
    use std::process::{Command, Stdio};

    let failed = |what: &str| {
        Error::new(Kind::Input, format!("the token helper {path} (named in ~/.vault) {what}"))
            .hint("run it with the argument `get` to see why, or set VAULT_TOKEN")
    };
    let mut command = Command::new(path);
    // Security: the helper has its own way to its token, and no business with the job's secrets.
    for name in SECRETS {
        command.env_remove(name);
    }
    let mut child = command
        .arg("get")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|cause| failed("cannot be run").cause(cause))?;
    let mut waited = Duration::ZERO;
    let pause = Duration::from_millis(5);
    while child.try_wait().map_err(|cause| failed("cannot be waited for").cause(cause))?.is_none() {
        if waited >= HELPER_PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed("did not answer in 10 s"));
        }
        std::thread::sleep(pause);
        waited += pause;
    }
    let output = child.wait_with_output().map_err(|cause| failed("cannot be read").cause(cause))?;
    if !output.status.success() {
        return Err(failed("failed"));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| failed("printed something that is not text"))?;
    let token = Secret::new(text.trim().to_owned());
    let _ = zeroize::Zeroizing::new(text);
    Ok((!token.expose().is_empty()).then_some(token))
}
