//! The canary: a process of ours beside the command, in the same process group, that does nothing.
//!
//! Every signal that ends a process ends it. One that ended the canary was sent to the whole group or to every process,
//! so the command has its own. One that reached us and left the canary alive was meant for us alone.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::program::{Environment, start_stoppable};
use super::restart::OURSELVES;

/// Its only argument. Whoever types it gets a process that waits for the end of its stdin.
const CANARY: &str = "--canary";

/// Whether this process was started as one.
#[must_use]
pub fn is_canary(arguments: &[OsString]) -> bool {
    matches!(arguments, [_, word] if word == CANARY)
}

/// Waits, as a canary, until the process that started it has ended. A signal ends it before.
pub fn wait_as_canary() {
    let mut byte = [0];
    while std::io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
}

/// A running canary.
#[derive(Debug)]
pub(super) struct Canary {
    pub(super) pid: Pid,
    /// The kernel closes it when we end, in whatever way, and that ends the canary.
    _pipe: Option<ChildStdin>,
}

impl Canary {
    /// Starts one. It has the variables by which a runner finds the processes of a job, and no secret of ours.
    #[expect(clippy::disallowed_methods, reason = "it is this program")]
    pub(super) fn start(environment: &Environment) -> Option<Self> {
        let mut command = Command::new(OURSELVES);
        command.arg0("ci-creds").arg(CANARY).env_clear().envs(environment.inherited());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = start_stoppable(&mut command).ok()?;
        let pid = Pid::from_raw(child.id().cast_signed())?;
        Some(Self { pid, _pipe: child.stdin.take() })
    }

    /// Whether a signal is on its way to the canary and has not ended it yet, on a busy machine.
    #[expect(clippy::disallowed_methods, reason = "/proc is how the system tells of other processes")]
    pub(super) fn is_ending(&self, signal: Signal) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        has_pending(&status, signal)
    }

    /// Ends it. Nobody shall see it live longer than the command.
    pub(super) fn end(&self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

/// Whether the lines of `/proc/PID/status` tell of the signal, or of the SIGKILL that the kernel makes of one that ends a
/// process.
fn has_pending(status: &str, signal: Signal) -> bool {
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
    };
    let wanted = [signal, Signal::KILL].iter().fold(0, |bits, signal| bits | 1_u64 << (signal.as_raw() - 1));
    (mask("SigPnd:") | mask("ShdPnd:")) & wanted != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_signal_is_read_off_both_masks() {
        let status =
            |thread: &str, process: &str| format!("Name:\tx\nSigPnd:\t{thread}\nShdPnd:\t{process}\nSigBlk:\t0\n");
        assert!(has_pending(&status("0000000000000000", "0000000000004000"), Signal::TERM));
        assert!(has_pending(&status("0000000000000100", "0000000000000000"), Signal::TERM));
        assert!(!has_pending(&status("0000000000000000", "0000000000000002"), Signal::TERM));
        assert!(!has_pending("", Signal::TERM));
    }
}
