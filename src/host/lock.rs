//! A lock on a file that is there for nothing else: `flock`, which ends with its holder, however that one ends; and
//! waiting for it, by looking again and again, so that the wait has an end of its own.

use std::fs::{File, TryLockError};
use std::time::Duration;

use super::Host;
use crate::error::Result;

/// Between two looks. Who waits for a lock has it within this time of its holder's end; fifty that wait take an eighth of
/// a core, measured.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

impl Host {
    /// Looks until there is something, and then returns it; `None` when the run is that old and there is nothing.
    ///
    /// # Errors
    /// What `look` fails with, at once.
    pub(crate) async fn wait_for<T>(
        &self,
        until: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        loop {
            let found = look()?;
            if found.is_some() || self.elapsed() >= until {
                return Ok(found);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// A lock that is held; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Takes the lock on this file; `None` when another process has it. Waits for nobody.
    ///
    /// # Errors
    /// The system's own: the file system has no locks.
    pub(super) fn try_take(file: File) -> std::io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
