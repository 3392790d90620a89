//! A command in the foreground: as if it had been called directly, while this process waits beside it.
//!
//! It shares our process group, terminal and streams. The kernel delivers to it what a terminal sends, and
//! [`Relay`] decides what else is handed on. Stopping and going on, too, is the kernel's: SIGTSTP, SIGTTIN, SIGTTOU and
//! SIGCONT keep their default actions here.

use std::fs::File;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait};
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
const SETTLE_TIME: Duration = Duration::from_millis(50);

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

    /// Asks the command to end.
    pub(crate) fn terminate(&self) {
        let _ = kill_process(self.command, Signal::TERM);
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
            } else if !status.stopped() {
                self.host.child_ends.note(pid.as_raw_nonzero().get().unsigned_abs(), status.exit_status() == Some(0));
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
        tokio::time::sleep(SETTLE_TIME).await;
        let (Some(terminal), Some(group)) = (terminal(), Stat::of(self.command).map(|stat| stat.group)) else { return };
        let ours = own_group();
        let foreground = tcgetpgrp(&terminal).ok();
        if !is_stopped(self.command) || foreground.is_none() || (foreground != group && foreground != ours) {
            return;
        }
        let _ = kill_process(getpid(), Signal::STOP);
        tokio::time::sleep(SETTLE_TIME).await;
        if is_stopped(self.command) {
            if let Some(group) = group.filter(|_| group != ours && tcgetpgrp(&terminal).ok() == ours) {
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
    let Some(ours) = own_group() else { return false };
    terminal().is_some_and(|terminal| tcgetpgrp(&terminal) == Ok(ours))
}

/// The terminal of this process, which no stream needs to be.
#[expect(clippy::disallowed_methods, reason = "/dev/tty is how the system tells of it")]
fn terminal() -> Option<File> {
    File::open("/dev/tty").ok()
}

/// Our process group; none where its leader is outside of our PID namespace.
fn own_group() -> Option<Pid> {
    Stat::of(getpid())?.group
}

fn is_stopped(pid: Pid) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state == b'T')
}

/// What `/proc/PID/stat` tells of a process.
///
/// The group is read here and not by `getpgid`: in a PID namespace that was entered without a session of its own, the
/// system answers 0, which rustix's `Pid` cannot hold.
struct Stat {
    state: u8,
    group: Option<Pid>,
}

impl Stat {
    #[expect(clippy::disallowed_methods, reason = "/proc is how the system tells of other processes")]
    fn of(pid: Pid) -> Option<Self> {
        Self::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `pid (name) state parent group …`; the name may hold anything.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let mut words = std::str::from_utf8(text.get(end + 1..)?).ok()?.split_whitespace();
        let state = *words.next()?.as_bytes().first()?;
        let group: u32 = words.nth(1)?.parse().ok()?;
        Some(Self { state, group: Pid::from_raw(group.cast_signed()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_tells_state_and_group_whatever_the_name_holds() {
        let parse = |text: &str| {
            Stat::parse(text.as_bytes()).map(|stat| (stat.state, stat.group.map(|pid| pid.as_raw_nonzero().get())))
        };
        assert_eq!(parse("12 (sleep) S 1 34 34 0 -1"), Some((b'S', Some(34))));
        assert_eq!(parse("12 (a) T 9) T 1 34 34"), Some((b'T', Some(34))));
        assert_eq!(parse("12 (sleep) S 0 0 0 0 -1"), Some((b'S', None)));
        assert_eq!(parse("12 (sleep"), None);
    }
}
