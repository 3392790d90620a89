//! The process itself: what others may see of it, and how it ends when we have a bug.

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

/// `ulimit -n`, soft.
pub(super) fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
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
