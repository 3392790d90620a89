//! The signals that end a process, noted where the run waits for something, so that it can take back what it made.

use std::future::poll_fn;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

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

/// The first of them. From [`Interrupt::listen`] on, none of them ends the process by itself; the ones that follow the
/// first change nothing.
#[derive(Debug)]
pub(crate) struct Interrupt {
    listeners: Vec<(unix::Signal, Kind)>,
    kind: Option<Kind>,
}

impl Interrupt {
    /// Listens from now on. Inside a runtime.
    ///
    /// # Errors
    /// [`Kind::Os`] when the system has no more of what that takes.
    pub(crate) fn listen() -> Result<Self> {
        Self::listen_to(|kind| matches!(kind, Kind::Ended(_)))
    }

    /// As [`Interrupt::listen`], but every signal that the caller ignores stays ignored, here and in each child of ours.
    ///
    /// # Errors
    /// As [`Interrupt::listen`].
    pub(crate) fn listen_unless_ignored() -> Result<Self> {
        Self::listen_to(|_| true)
    }

    fn listen_to(stays_ignored: impl Fn(Kind) -> bool) -> Result<Self> {
        let ignored = ignored();
        let mut listeners = Vec::with_capacity(ENDING.len());
        for (signal, kind) in ENDING {
            if stays_ignored(kind) && ignored & (1 << (signal.as_raw() - 1)) != 0 {
                continue;
            }
            listeners.push((listen(signal)?, kind));
        }
        Ok(Self { listeners, kind: None })
    }

    /// What the signal was, once it was noted.
    #[must_use]
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Resolves to the kind of the first signal; after it, never.
    pub(crate) async fn wait(&mut self) -> Kind {
        if self.kind.is_some() {
            return std::future::pending().await;
        }
        let kind = self.next_kind().await;
        self.kind = Some(kind);
        kind
    }

    /// Notes a signal that has come by now.
    pub(crate) async fn look(&mut self) {
        tokio::select! {
            biased;
            _ = self.wait() => {}
            // Lets the event queue deliver what the handler has seen.
            () = tokio::task::yield_now() => {}
        }
    }

    /// Resolves to the next signal, whichever came before.
    pub(super) async fn next(&mut self) -> Signal {
        let kind = self.next_kind().await;
        ENDING.iter().find(|(_, known)| *known == kind).map_or(Signal::TERM, |(signal, _)| *signal)
    }

    async fn next_kind(&mut self) -> Kind {
        let listeners = &mut self.listeners;
        poll_fn(|context| {
            let came = listeners
                .iter_mut()
                .find_map(|(listener, kind)| listener.poll_recv(context).is_ready().then_some(*kind));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// What the work comes to. The first signal drops it.
    ///
    /// # Errors
    /// The kind of that signal.
    pub(crate) async fn race<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Kind> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            kind = self.wait() => Err(kind),
        }
    }
}

/// Whether the signal is one of those that [`Interrupt`] hears.
pub(super) fn is_ending(signal: Signal) -> bool {
    ENDING.iter().any(|(known, _)| *known == signal)
}

/// Lets a limit on the size of files be an error of the write, and not the end of the process. Inside a runtime.
///
/// # Errors
/// As [`Interrupt::listen`].
pub(crate) fn outlive_file_limit() -> Result<()> {
    // Who listened once is not ended by the signal any more, for as long as the process lives.
    listen(Signal::XFSZ).map(drop)
}

pub(super) fn listen(signal: Signal) -> Result<unix::Signal> {
    unix::signal(SignalKind::from_raw(signal.as_raw()))
        .map_err(|cause| Error::new(Kind::Os, "cannot install a signal handler").cause(cause))
}

/// The signals that the caller ignores, a bit each, as `nohup` and a shell's background jobs do. None where `/proc` does
/// not say.
#[expect(clippy::disallowed_methods, reason = "the process's own state is read where its signals are")]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rustix::process::{getpid, kill_process};

    use super::*;

    #[test]
    fn the_first_signal_drops_the_work_and_a_second_one_changes_nothing() {
        let raise = |signal| kill_process(getpid(), signal).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut interrupt = Interrupt::listen().unwrap();
            let mut second = listen(Signal::INT).unwrap();
            assert_eq!((interrupt.race(async { 1 }).await, interrupt.kind()), (Ok(1), None));
            raise(Signal::HUP);
            assert_eq!(interrupt.race(std::future::pending::<()>()).await, Err(Kind::Ended(1)));
            let work = async {
                raise(Signal::INT);
                second.recv().await;
                // By now it would have been noted.
                tokio::task::yield_now().await;
            };
            assert_eq!((interrupt.race(work).await, interrupt.kind()), (Ok(()), Some(Kind::Ended(1))));
        });
    }
}
