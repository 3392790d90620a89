//! The process: hardened, run, and its exit code returned.

use std::ffi::OsString;
use std::process::ExitCode;

use ci_creds::error::Kind;
use ci_creds::host::Host;

/// Security: copies of a secret that the HTTP stack leaves in freed memory are overwritten when they are freed.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the one place where the arguments enter")]
    let arguments: Vec<_> = std::env::args_os().collect();
    ci_creds::host::harden(ci_creds::is_exec(&arguments));
    if ci_creds::host::is_canary(&arguments) {
        ci_creds::host::wait_as_canary();
        return ExitCode::SUCCESS;
    }
    ExitCode::from(ci_creds::host::with_stack(|| run(&arguments)))
}

fn run(arguments: &[OsString]) -> u8 {
    ci_creds::host::on_panic(ci_creds::failure_text(arguments, Kind::Internal), Kind::Internal.code());
    ci_creds::run(arguments, &Host::real())
}
