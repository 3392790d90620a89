//! The process itself: what others may see of it, and its limits.

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
