//! stdout and stderr as terminals: whether somebody looks at them, in colour or not, and the line that shows progress.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::Host;
#[cfg(test)]
use super::World;
use crate::variables::{CLICOLOR, CLICOLOR_FORCE, LANG, LC_ALL, LC_CTYPE, NO_COLOR, TERM};

/// A step that takes longer is shown.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long each picture stands.
const FRAME: Duration = Duration::from_millis(120);
const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
/// Back to the first column, and whatever stands there is removed.
const ERASE: &str = "\r\x1b[K";

pub(super) fn stdout_is_terminal() -> bool {
    rustix::termios::isatty(rustix::stdio::stdout())
}

pub(super) fn stderr_is_terminal() -> bool {
    rustix::termios::isatty(rustix::stdio::stderr())
}

impl Host {
    /// Whether to write messages in colour: to a terminal that has it, or where `CLICOLOR_FORCE` says so. `NO_COLOR` wins.
    /// See <https://no-color.org> and <https://bixense.com/clicolors/>.
    #[must_use]
    pub fn has_colour(&self) -> bool {
        #[cfg(test)]
        if let World::Fake(_) = &self.world {
            return false;
        }
        self.wants_colour(stderr_is_terminal()) && !self.stdout().shared_with_stderr
    }

    /// The same for a text on stdout that people read.
    #[must_use]
    pub(crate) fn has_colour_on_stdout(&self) -> bool {
        self.wants_colour(stdout_is_terminal())
    }

    /// Whether stdout is a terminal, where somebody waits for a word.
    #[must_use]
    pub(crate) fn has_reader(&self) -> bool {
        stdout_is_terminal()
    }

    /// Whether the locale's characters are UTF-8 (POSIX: the first of these variables that is set decides).
    #[must_use]
    pub(crate) fn reads_unicode(&self) -> bool {
        let value = |name| self.variable(name).ok().flatten().filter(|text| !text.is_empty());
        let locale = [LC_ALL, LC_CTYPE, LANG].into_iter().find_map(value).unwrap_or_default().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    }

    fn wants_colour(&self, is_terminal: bool) -> bool {
        // A value that is not UTF-8 says nothing.
        let value = |name| self.variable(name).ok().flatten().filter(|text| !text.is_empty());
        if value(NO_COLOR).is_some() {
            return false;
        }
        if value(CLICOLOR_FORCE).is_some_and(|text| text != "0") {
            return true;
        }
        is_terminal && value(CLICOLOR).as_deref() != Some("0") && value(TERM).is_some_and(|term| term != "dumb")
    }

    /// From here on, a step that takes long is shown, where stderr is a terminal that can erase a line.
    pub fn show_progress(&self) {
        #[cfg(test)]
        if let World::Fake(_) = &self.world {
            return;
        }
        let can_erase = matches!(self.variable(TERM), Ok(Some(term)) if !term.is_empty() && term != "dumb");
        self.progress.set(stderr_is_terminal() && can_erase);
    }

    /// What the work comes to; meanwhile, its name is shown if it takes long.
    pub async fn watch<T>(&self, name: &str, work: impl Future<Output = T>) -> T {
        if !self.progress.get() {
            return work.await;
        }
        let mut work = pin!(work);
        if let Ok(done) = timeout(PATIENCE, &mut work).await {
            return done;
        }
        let _line = ProgressLine(self);
        let mut frames = FRAMES.into_iter().cycle();
        loop {
            let frame = frames.next().unwrap_or_default();
            self.erase_progress();
            self.write_stderr(&format!("{frame} {name}"));
            self.drawn.set(true);
            if let Ok(done) = timeout(FRAME, &mut work).await {
                return done;
            }
        }
    }

    /// Removes the line that shows progress, so that another text can stand there.
    pub(super) fn erase_progress(&self) {
        if self.drawn.replace(false) {
            self.write_stderr(ERASE);
        }
    }
}

/// The line that shows progress, which goes with the work: also when that is dropped, for a signal came.
struct ProgressLine<'a>(&'a Host);

impl Drop for ProgressLine<'_> {
    fn drop(&mut self) {
        self.0.erase_progress();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;

    #[test]
    fn colour_is_for_a_terminal_that_has_it_and_as_variables_say() {
        for (variables, at_terminal, elsewhere) in [
            (&[("TERM", "xterm")][..], true, false),
            (&[], false, false),
            (&[("TERM", "dumb")], false, false),
            (&[("TERM", "xterm"), ("NO_COLOR", "1")], false, false),
            (&[("TERM", "xterm"), ("NO_COLOR", "")], true, false),
            (&[("TERM", "xterm"), ("CLICOLOR", "0")], false, false),
            (&[("TERM", "xterm"), ("CLICOLOR", "1")], true, false),
            (&[("CLICOLOR_FORCE", "1")], true, true),
            (&[("TERM", "xterm"), ("CLICOLOR_FORCE", "0")], true, false),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, false),
        ] {
            let host = Host::fake(Fake::default().with_variables(variables.iter().copied()));
            let wanted = (host.wants_colour(true), host.wants_colour(false));
            assert_eq!(wanted, (at_terminal, elsewhere), "{variables:?}");
        }
    }
}
