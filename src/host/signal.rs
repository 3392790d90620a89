//! The signals that end a run, noted where the run waits for something.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Kind, Result};

/// The first SIGINT, SIGTERM or SIGHUP. From [`Interrupt::listen`] on, none of them ends the process by itself; the ones
/// that follow the first change nothing.
#[derive(Debug)]
pub struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    kind: Option<Kind>,
}

impl Interrupt {
    /// Listens from now on. Inside a runtime.
    ///
    /// # Errors
    /// [`Kind::Os`] when the system has no more of what that takes.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            kind: None,
        })
    }

    /// What the signal was, once it was noted.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Resolves to the kind of the first signal; after it, never.
    pub async fn wait(&mut self) -> Kind {
        if self.kind.is_some() {
            return std::future::pending().await;
        }
        let kind = tokio::select! {
            _ = self.interrupt.recv() => Kind::Interrupted,
            _ = self.terminate.recv() => Kind::Terminated,
            _ = self.hang_up.recv() => Kind::Terminated,
        };
        self.kind = Some(kind);
        kind
    }

    /// What the work comes to. The first signal drops it.
    ///
    /// # Errors
    /// The kind of that signal.
    pub async fn race<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Kind> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            kind = self.wait() => Err(kind),
        }
    }
}

/// Lets a limit on the size of files be an error of the write, and not the end of the process. Inside a runtime.
///
/// # Errors
/// As [`Interrupt::listen`].
pub fn outlive_file_limit() -> Result<()> {
    // Who listened once is not ended by the signal any more, for as long as the process lives.
    listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|cause| Error::new(Kind::Os, "the system lets us listen to no signal").cause(cause))
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[test]
    fn the_first_signal_drops_the_work_and_a_second_one_changes_nothing() {
        let raise = |signal| kill_process(getpid(), signal).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut interrupt = Interrupt::listen().unwrap();
            let mut second = listen(SignalKind::interrupt()).unwrap();
            assert_eq!((interrupt.race(async { 1 }).await, interrupt.kind()), (Ok(1), None));
            raise(Signal::HUP);
            assert_eq!(interrupt.race(std::future::pending::<()>()).await, Err(Kind::Terminated));
            let work = async {
                raise(Signal::INT);
                second.recv().await;
                // By now it would have been noted.
                tokio::task::yield_now().await;
            };
            assert_eq!((interrupt.race(work).await, interrupt.kind()), (Ok(()), Some(Kind::Terminated)));
        });
    }
}
