//! The only door to the process: environment, clock, files, terminal, stdout, stderr.
//!
//! A [`Host`] is real or fake; nothing behind it decides anything. Clippy's `disallowed_methods` holds the door
//! shut for every other module, and the exceptions stand here.

mod account;
mod ancestor;
mod canary;
mod capture;
mod child;
mod ending;
#[cfg(test)]
mod fake;
mod file;
mod folder;
mod foreground;
mod helper;
mod lock;
mod panic;
mod process;
mod program;
mod relay;
mod replace;
mod restart;
mod signal;
mod stream;
mod system;
mod terminal;
mod trust;

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::variables::{LIBRARY_PATH, NAME_SERVICE, XDG_RUNTIME_DIR};

use child::ChildEnds;

pub use canary::{is_canary, wait_as_canary};
pub(crate) use ending::end_as;
#[cfg(test)]
pub(crate) use fake::Fake;
pub(crate) use file::Document;
pub(crate) use folder::{Folder, LockAttempt};
pub(crate) use foreground::{Ending, Foreground};
pub(crate) use lock::Lock;
pub use panic::on_panic;
pub use process::{harden, with_stack};
pub(crate) use program::{BEFORE_A_COMMAND, Environment, Program, StartFailure};
pub(crate) use replace::EditTarget;
pub(crate) use signal::{Interrupt, outlive_file_limit};
#[cfg(test)]
pub(crate) use trust::Trust;

/// What a run can see and touch.
pub struct Host {
    world: World,
    /// Said on stderr when the run ends, if the format allows it.
    warnings: RefCell<Vec<String>>,
    /// Said on stderr when the run ends, whatever the format.
    alarms: RefCell<Vec<String>>,
    /// Whether a step that takes long is shown on stderr.
    progress: Cell<bool>,
    /// Whether such a line stands there.
    drawn: Cell<bool>,
    child_ends: ChildEnds,
}

enum World {
    Real {
        started: Instant,
    },
    #[cfg(test)]
    Fake(Fake),
}

impl Host {
    /// The process's own world; the run's clock starts here.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock's one door")]
    pub fn real() -> Self {
        Self::of(World::Real { started: Instant::now() })
    }

    /// A world made of values.
    #[cfg(test)]
    pub(crate) fn fake(fake: Fake) -> Self {
        Self::of(World::Fake(fake))
    }

    fn of(world: World) -> Self {
        Self {
            world,
            warnings: RefCell::default(),
            alarms: RefCell::default(),
            progress: Cell::default(),
            drawn: Cell::default(),
            child_ends: ChildEnds::default(),
        }
    }

    /// The variable's text as it stands; `None` when it is not set. What blank means is the caller's business.
    ///
    /// # Errors
    /// [`Kind::Config`] when the value is not UTF-8.
    #[expect(clippy::disallowed_methods, reason = "this is the environment's one door")]
    pub(crate) fn variable(&self, name: &str) -> Result<Option<String>> {
        match &self.world {
            World::Real { .. } => match std::env::var(name) {
                Ok(text) => Ok(Some(text)),
                Err(std::env::VarError::NotPresent) => Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(Error::new(Kind::Config, format!("{name} is not valid UTF-8")))
                }
            },
            #[cfg(test)]
            World::Fake(fake) => Ok(fake.variables.get(name).cloned()),
        }
    }

    /// Puts this program in its own place, without the variables that steer the name service, when one of them is set.
    /// `arguments` are the whole command line. With `for_a_command`, a command that we start has them again.
    ///
    /// Arguments, other variables, open files, ignored and blocked signals, limits and process id stay. The process's short
    /// name, which the kernel makes of the path, becomes `exe`. Security: before the first thread, and before any secret is
    /// read; the new program is as open to its peers as any other until it hides again.
    ///
    /// # Errors
    /// [`Kind::Os`] when the program cannot be started again: a lookup would see the variable.
    pub(crate) fn restart_without_name_service_variables(
        &self,
        arguments: &[OsString],
        for_a_command: bool,
    ) -> Result<()> {
        let library_path = cfg!(target_feature = "crt-static").then_some(LIBRARY_PATH);
        let names: Vec<_> = NAME_SERVICE.into_iter().chain(library_path).collect();
        match &self.world {
            World::Real { .. } => restart::restart_without(&names, arguments, for_a_command),
            #[cfg(test)]
            World::Fake(_) => Ok(()),
        }
    }

    /// The wall clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock's one door")]
    pub(crate) fn now(&self) -> Timestamp {
        match &self.world {
            World::Real { .. } => Timestamp::now(),
            #[cfg(test)]
            World::Fake(fake) => fake.now,
        }
    }

    /// Whether the system limits how large a file of ours may become.
    #[must_use]
    pub(crate) fn limits_files(&self) -> bool {
        match &self.world {
            World::Real { .. } => process::limits_files(),
            #[cfg(test)]
            World::Fake(_) => false,
        }
    }

    /// Proves that so many more files can be opened at once.
    ///
    /// # Errors
    /// [`Kind::Os`], which names the limit that there is.
    pub(crate) fn expect_descriptors(&self, needed: usize) -> Result<()> {
        match &self.world {
            World::Real { .. } => process::expect_descriptors(needed),
            #[cfg(test)]
            World::Fake(_) => Ok(()),
        }
    }

    /// A word of 128 bits from the system's own source, for what nobody may guess.
    ///
    /// # Errors
    /// [`Kind::Os`] when the system has none.
    pub(crate) fn draw_word(&self) -> Result<String> {
        Ok(self.draw_bytes::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// So many bytes from the system's own source, for keys and tokens.
    ///
    /// # Errors
    /// [`Kind::Os`] when the system has none.
    pub(crate) fn draw_bytes<const COUNT: usize>(&self) -> Result<Zeroizing<[u8; COUNT]>> {
        let mut bytes = Zeroizing::new([0_u8; COUNT]);
        getrandom::fill(bytes.as_mut_slice())
            .map_err(|cause| Error::new(Kind::Os, "the system returned no random bytes").cause(cause))?;
        Ok(bytes)
    }

    /// Time since the run began, by the monotonic clock: what deadlines are counted in.
    #[must_use]
    pub(crate) fn elapsed(&self) -> Duration {
        match &self.world {
            World::Real { started } => started.elapsed(),
            #[cfg(test)]
            World::Fake(_) => Duration::ZERO,
        }
    }

    /// The user's folder for our configuration file (`~/.config/ci-creds` on Linux), when there is one.
    #[must_use]
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        match &self.world {
            World::Real { .. } => {
                directories::ProjectDirs::from("", "", "ci-creds").map(|folders| folders.config_dir().to_owned())
            }
            #[cfg(test)]
            World::Fake(fake) => fake.config_folder.clone(),
        }
    }

    /// The folders where a cache may lie, the best first: the one that the session's end empties, and the user's cache
    /// folder. Absolute paths; they need not exist.
    ///
    /// # Errors
    /// [`Kind::Config`] when a variable that names one is not UTF-8.
    pub(crate) fn cache_folders(&self) -> Result<Vec<PathBuf>> {
        #[cfg(test)]
        if let World::Fake(_) = &self.world {
            return Ok(Vec::new());
        }
        let runtime = self.variable(XDG_RUNTIME_DIR)?.map(PathBuf::from).filter(|folder| folder.is_dir());
        let cache = directories::ProjectDirs::from("", "", "ci-creds").map(|folders| folders.cache_dir().to_owned());
        let folders = runtime.map(|folder| folder.join("ci-creds")).into_iter().chain(cache);
        Ok(folders.filter(|folder| folder.is_absolute()).collect())
    }

    /// Keeps something for the user to know that did not stop the run. One line, no secret.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// What was kept by [`Host::warn`], oldest first; the list is empty afterwards.
    #[must_use]
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.borrow_mut())
    }

    /// Keeps what somebody must look after although the run succeeded. One line, no secret.
    pub(crate) fn alarm(&self, text: impl Into<String>) {
        self.alarms.borrow_mut().push(text.into());
    }

    /// What was kept by [`Host::alarm`], oldest first; the list is empty afterwards.
    #[must_use]
    pub(crate) fn take_alarms(&self) -> Vec<String> {
        std::mem::take(&mut self.alarms.borrow_mut())
    }
}
