//! One run of one program, and what it cost.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

/// What a run cost, its children included.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// From before it was started until it was gone.
    pub(crate) wall: Duration,
    /// User and system time.
    pub(crate) cpu: Duration,
    /// The largest resident set, in bytes.
    pub(crate) peak: u64,
}

/// Runs the command, which must succeed, and gives its stdout.
pub(crate) fn measure(command: &mut Command) -> (Sample, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut stdout = Vec::new();
    let started = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program(command)));
    child.stdout.take().expect("its stdout").read_to_end(&mut stdout).expect("its stdout");
    let used = child.wait4().expect("its end");
    let wall = started.elapsed();
    assert!(used.status.success(), "{} ended with {}", program(command), used.status);
    (
        Sample { wall, cpu: used.rusage.utime + used.rusage.stime, peak: used.rusage.maxrss },
        String::from_utf8_lossy(&stdout).into_owned(),
    )
}

/// valgrind. Debian's is a script that sets `LD_LIBRARY_PATH`, without which ci-creds would start itself again.
pub(crate) fn valgrind() -> Option<&'static str> {
    ["valgrind.bin", "valgrind"].into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
}

/// The instructions of one run, or how it ended.
pub(crate) fn instructions(valgrind: &str, command: &Command) -> Result<u64, String> {
    let mut counted = Command::new(valgrind);
    counted.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(command.get_program());
    counted.args(command.get_args()).env_clear();
    counted.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    counted.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let output = counted.output().expect("valgrind");
    if !output.status.success() {
        return Err(format!("failed under valgrind: {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = text.lines().find_map(|line| line.split("Collected : ").nth(1)).expect("a count");
    Ok(count.trim().parse().expect("a count"))
}

/// The name only: the environment of a command holds secrets.
fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The benchmark's own largest resident set. What is started from it counts it as its own, until it has replaced it.
pub(crate) fn own_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
