//! The process itself: what others may see of it, and how it ends when we have a bug.

use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// Keeps other processes of the same user out of our memory, and our memory out of core files.
///
/// Security: first in `main`, before a secret is read. It protects this process only; a process that may trace
/// the job's shell sees everything anyway.
pub fn harden() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let _ = rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
    );
}

/// Whether files may grow to a limit only (`ulimit -f`). Who writes beyond it gets a signal, which ends him unless he
/// listens.
pub(super) fn limits_files() -> bool {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current.is_some()
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
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit.filter(|_| cause == Errno::MFILE) {
        Some(limit) => Error::new(
            Kind::Os,
            format!("this process may have {limit} files open, {free} of them are free, and ci-creds needs {needed}"),
        )
        .hint(format!("ulimit -n {}", limit.saturating_add(needed as u64).max(64))),
        None => Error::new(Kind::Os, format!("the system lets us open {free} more files, and ci-creds needs {needed}"))
            .cause(std::io::Error::from(cause)),
    }
}

/// What the deepest call needs, several times over; the size that Rust gives to its threads.
const STACK: usize = 2 << 20;

/// Runs it with enough stack: where the limit of the first thread (`ulimit -s`) is smaller, on a thread of its own. An
/// overflow would end the process with an empty stdout, which an eval takes for success.
pub fn with_stack<T: Send>(run: impl Fn() -> T + Sync) -> T {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Stack).current;
    if limit.is_none_or(|limit| limit >= STACK as u64) {
        return run();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &run);
        // Without a thread, the stack that there is may still be enough. A panic ends the process before it gets here.
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(&run)
    })
}

/// What a bug prints: `failure` on stdout, so that the caller's eval fails, and one constant line on stderr. A
/// panic's own text could hold a secret.
pub fn on_panic(failure: String, code: u8) {
    std::panic::set_hook(Box::new(move |panic| {
        let host = super::Host::real();
        // No more than this: a second panic in here would abort with an empty stdout, and eval would return 0.
        if !rustix::termios::isatty(rustix::stdio::stdout()) {
            let _ = host.write_stdout(&Secret::new(failure.clone()));
        }
        let place = panic
            .location()
            .map(|place| format!(" at {}:{}", without_registry(place.file()), place.line()))
            .unwrap_or_default();
        host.write_stderr(&format!(
            "ci-creds: error[internal]: this is a bug in ci-creds{place}\n  hint: please report it with this line \
            and the version\n"
        ));
        #[expect(clippy::exit, reason = "a panic would abort with a code of its own, and leave a core")]
        std::process::exit(i32::from(code));
    }));
}

/// A dependency's file without the folder that the builder keeps it in.
fn without_registry(file: &str) -> &str {
    file.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).map_or(file, |(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builders_folders_are_not_told() {
        let dependency = "/home/me/.cargo/registry/src/index-1949cf8c6b5b557f/tokio-1.54.1/src/runtime/io/driver.rs";
        assert_eq!(without_registry(dependency), "tokio-1.54.1/src/runtime/io/driver.rs");
        assert_eq!(without_registry("src/app.rs"), "src/app.rs");
    }
}
