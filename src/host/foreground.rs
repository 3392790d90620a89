//! A command in the foreground: as if it had been called directly, while this process waits beside it.
//!
//! It shares our process group, terminal and streams. The kernel delivers to it what a terminal sends, and
//! [`Relay`] decides what else is handed on. Stopping and going on, too, is the kernel's: SIGTSTP, SIGTTIN, SIGTTOU and
//! SIGCONT keep their default actions here.

use std::fs::File;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpgid, getpgrp, getpid, kill_process, wait};
use rustix::termios::{tcgetpgrp, tcsetpgrp};
use tokio::signal::unix;

use super::Host;
use super::canary::Canary;
use super::program::{Environment, Program, StartFailure};
use super::relay::Relay;
use super::signal::{Interrupt, is_ending, listen};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with this code.
    Code(u8),
    /// By the signal of this number.
    Signal(u8),
}

/// A command that runs.
pub(crate) struct Foreground<'a> {
    host: &'a Host,
    command: Pid,
    /// What a new canary gets. The values for the command are not in it.
    environment: Environment,
    canary: Option<Canary>,
    children: unix::Signal,
    signals: Interrupt,
    relay: Relay,
}

/// Stopped processes and their terminal need this long to be seen in their new state.
const A_MOMENT: Duration = Duration::from_millis(50);

impl<'a> Foreground<'a> {
    /// Starts it. `signals` are listened to already; one that came before the start must have ended the run.
    ///
    /// # Errors
    /// When the program cannot be run, or the system has no more of what that takes.
    pub(crate) fn start(
        program: &Program,
        mut environment: Environment,
        signals: Interrupt,
        host: &'a Host,
    ) -> Result<Self, StartFailure> {
        let children = listen(Signal::CHILD).map_err(StartFailure::before)?;
        let command = program.start(&environment)?;
        environment.removed.extend(std::mem::take(&mut environment.set).into_iter().map(|(name, _)| name));
        let canary = Canary::start(&environment);
        Ok(Self { host, command, environment, canary, children, signals, relay: Relay::default() })
    }

    /// Waits for its end, hands signals on to it, and stops with it. Dropping the future loses nothing.
    pub(crate) async fn wait(&mut self) -> Ending {
        loop {
            if let Some(ended) = self.reap().await {
                if let Some(canary) = &self.canary {
                    canary.end();
                }
                return ended;
            }
            self.hand_on();
            let pause = self.relay.pause(self.host.elapsed());
            tokio::select! {
                biased;
                _ = self.children.recv() => {}
                signal = self.signals.next() => self.relay.hear(signal, self.host.elapsed()),
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    /// Takes what the system has to tell of our children. As process 1 we have other people's too, and nobody else ends
    /// them for good.
    async fn reap(&mut self) -> Option<Ending> {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some(told)) => told,
                Err(Errno::INTR) => continue,
                Ok(None) | Err(_) => return None,
            };
            if pid == self.command {
                if status.stopped() {
                    self.stop_too().await;
                    continue;
                }
                return Some(ended(status));
            }
            if self.canary.as_ref().is_some_and(|canary| canary.pid == pid) && !status.stopped() {
                self.canary = self.succeed_canary(status);
            }
        }
    }

    /// A new canary for one that a signal ended. What ends by anything else, or by a crash, would end so again.
    fn succeed_canary(&mut self, status: WaitStatus) -> Option<Canary> {
        let signal = status.terminating_signal().and_then(Signal::from_named_raw)?;
        self.relay.note(signal, self.host.elapsed());
        (is_ending(signal) || signal == Signal::KILL).then(|| Canary::start(&self.environment)).flatten()
    }

    fn hand_on(&mut self) {
        let canary = &self.canary;
        let is_on_its_way = |signal| canary.as_ref().is_some_and(|canary| canary.is_ending(signal));
        for signal in self.relay.take_due(self.host.elapsed(), is_on_its_way) {
            // Without a canary, what a terminal sends has reached the command as well.
            if self.canary.is_some() || !is_of_the_terminal(signal) {
                let _ = kill_process(self.command, signal);
            }
        }
    }

    /// The command stopped by itself, as a shell does at `suspend`: at a terminal, its shell must see us stop. When it
    /// lets us go on, a command in a process group of its own gets the terminal back.
    async fn stop_too(&self) {
        // After `fg` all of the group go on at once, and we may be first.
        tokio::time::sleep(A_MOMENT).await;
        let (Some(terminal), Ok(group)) = (terminal(), getpgid(Some(self.command))) else { return };
        let foreground = tcgetpgrp(&terminal);
        if !is_stopped(self.command) || !foreground.is_ok_and(|one| one == group || one == getpgrp()) {
            return;
        }
        let _ = kill_process(getpid(), Signal::STOP);
        tokio::time::sleep(A_MOMENT).await;
        if is_stopped(self.command) {
            if group != getpgrp() && tcgetpgrp(&terminal).is_ok_and(|one| one == getpgrp()) {
                let _ = tcsetpgrp(&terminal, group);
            }
            let _ = kill_process(self.command, Signal::CONT);
        }
    }
}

fn ended(status: WaitStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, signal) => Ending::Signal(signal.and_then(|signal| u8::try_from(signal).ok()).unwrap_or_default()),
    }
}

/// Whether a terminal could have sent the signal to our group.
fn is_of_the_terminal(signal: Signal) -> bool {
    matches!(signal, Signal::INT | Signal::QUIT) && is_in_foreground()
}

/// Whether our process group is the one that the terminal's signals go to. Not where there is no terminal.
fn is_in_foreground() -> bool {
    terminal().is_some_and(|terminal| tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp()))
}

/// The terminal of this process, which no stream needs to be.
#[expect(clippy::disallowed_methods, reason = "/dev/tty is how the system tells of it")]
fn terminal() -> Option<File> {
    File::open("/dev/tty").ok()
}

/// Whether the process is stopped, by `/proc/PID/stat`: `pid (name) state …`.
#[expect(clippy::disallowed_methods, reason = "/proc is how the system tells of other processes")]
fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
    state == Some(&b'T')
}
