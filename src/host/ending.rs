//! The end of this process by a signal, for a command that ended by one.

use rustix::process::getpid;

use super::foreground::Ending;

/// Ends this process as a command ended, or returns the exit code to end with.
///
/// A shell that runs us in a script goes on after an exit code of 130, and stops after a SIGINT. Process 1 has no default
/// actions, so nothing would end it.
#[must_use]
pub(crate) fn end_as(ended: Ending) -> u8 {
    match ended {
        Ending::Code(code) => code,
        Ending::Signal(signal) => {
            if getpid() != rustix::process::Pid::INIT {
                // Returns for what the crate does not know: a real-time signal, and those of old machines.
                let _ = signal_hook::low_level::emulate_default_handler(signal.into());
            }
            signal.saturating_add(128)
        }
    }
}
