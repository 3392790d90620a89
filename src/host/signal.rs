//! The signals that end a process, so that a run can take back what it made before it ends.

use std::future::poll_fn;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Kind, Result};

/// Each, and how the run ends by it. One that the caller ignores stays ignored, but for the first two.
///
/// The others of POSIX that end a process tell of a crash, cannot be caught (KILL), are ignored by every Rust program
/// (PIPE), or are an error of the write (XFSZ).
const ENDING: [(Signal, Kind); 9] = [
    (Signal::INT, Kind::Interrupted),
    (Signal::TERM, Kind::Terminated),
    (Signal::HUP, Kind::Ended(1)),
    (Signal::QUIT, Kind::Ended(3)),
    (Signal::USR1, Kind::Ended(10)),
    (Signal::USR2, Kind::Ended(12)),
    (Signal::ALARM, Kind::Ended(14)),
    (Signal::XCPU, Kind::Ended(24)),
    (Signal::VTALARM, Kind::Ended(26)),
];

/// Resolves to the kind of the first of them that comes.
///
/// # Errors
/// [`Kind::Os`] when no handler can be installed.
pub fn wait_for_ending_signal() -> Result<impl Future<Output = Kind>> {
    let ignored = ignored();
    let mut listeners = Vec::with_capacity(ENDING.len());
    for (ending, kind) in ENDING {
        let number = ending.as_raw();
        if matches!(kind, Kind::Ended(_)) && ignored & (1 << (number - 1)) != 0 {
            continue;
        }
        let listener = signal(SignalKind::from_raw(number))
            .map_err(|cause| Error::new(Kind::Os, "cannot install a signal handler").cause(cause))?;
        listeners.push((listener, kind));
    }
    Ok(poll_fn(move |context| {
        let came =
            listeners.iter_mut().find_map(|(listener, kind)| listener.poll_recv(context).is_ready().then_some(*kind));
        came.map_or(Poll::Pending, Poll::Ready)
    }))
}

/// The signals that the caller ignores, a bit each, as `nohup` and a shell's background jobs do. None where `/proc` does
/// not say.
#[expect(clippy::disallowed_methods, reason = "the process's own state is read where its signals are")]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
