//! The process itself: what others may see of it, and its limits.

use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, Kind, Result};

/// What the caller's limit of core files was, where it can be had back.
static CORES: OnceLock<Rlimit> = OnceLock::new();

/// Keeps other processes of the same user out of our memory, and our memory out of core files. With `for_a_command`, the
/// limit of core files can be put back, for a command that we start.
///
/// Security: first in `main`, before a secret is read. It protects this process only; a process that may trace
/// the job's shell sees everything anyway.
pub fn harden(for_a_command: bool) {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let mut limit = Rlimit { current: Some(0), maximum: Some(0) };
    if for_a_command {
        let callers = getrlimit(Resource::Core);
        limit.maximum = callers.maximum;
        let _ = CORES.set(callers);
    }
    let _ = setrlimit(Resource::Core, limit);
}

/// Runs it under the limits that our caller set, for a child inherits ours.
pub(super) fn with_callers_limits<T>(start: impl FnOnce() -> T) -> T {
    let Some(callers) = CORES.get() else { return start() };
    let ours = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, *callers);
    let done = start();
    let _ = setrlimit(Resource::Core, ours);
    done
}

/// Whether files may grow to a limit only (`ulimit -f`). Who writes beyond it gets a signal, which ends him unless he
/// listens.
pub(super) fn limits_files() -> bool {
    getrlimit(Resource::Fsize).current.is_some()
}

/// Proves by opening them that so many descriptors are free: the limit (`ulimit -n`) does not tell how many were
/// inherited, nor what the whole system has left.
pub(super) fn expect_descriptors(needed: usize) -> Result<()> {
    let mut free = Vec::with_capacity(needed);
    while free.len() < needed {
        match rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 0) {
            Ok(descriptor) => free.push(descriptor),
            Err(cause) => return Err(too_few_descriptors(needed, free.len(), cause)),
        }
    }
    Ok(())
}

fn too_few_descriptors(needed: usize, free: usize, cause: Errno) -> Error {
    let limit = getrlimit(Resource::Nofile).current;
    match limit.filter(|_| cause == Errno::MFILE) {
        Some(limit) => Error::new(
            Kind::Os,
            format!("this process may have {limit} files open, {free} of them are free, and ci-creds needs {needed}"),
        )
        .hint(format!("ulimit -n {}", limit.saturating_add(needed as u64).max(64))),
        None => Error::new(Kind::Os, format!("the system allows {free} more open files, and ci-creds needs {needed}"))
            .cause(std::io::Error::from(cause)),
    }
}

/// What the deepest call needs, several times over; the size that Rust gives to its threads.
const STACK: usize = 2 << 20;

/// Runs it with enough stack: where the limit of the first thread (`ulimit -s`) is smaller, on a thread of its own. An
/// overflow would end the process with an empty stdout, which an eval takes for success.
pub fn with_stack<T: Send>(run: impl Fn() -> T + Sync) -> T {
    let limit = getrlimit(Resource::Stack).current;
    if limit.is_none_or(|limit| limit >= STACK as u64) {
        return run();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &run);
        // Without a thread, the stack that there is may still be enough. A panic ends the process before it gets here.
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(&run)
    })
}
