//! This program in its own place, in an environment without some variables.
//!
//! A variable cannot be taken out of a running process by safe code, and the C library reads its variables itself.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::error::{Error, Kind, Result};
use crate::variables::{LIBRARY_PATH, NAME_SERVICE, RESTARTED};

use super::process::with_callers_limits;

/// The running program, also when its file was moved or deleted.
pub(super) const OURSELVES: &str = "/proc/self/exe";

/// With `for_a_command`, the variables are put away for a command that the new process starts.
///
/// Returns when none of the variables is set, which costs a look at each, or when the program cannot be started again.
pub(super) fn restart_without(names: &[&str], arguments: &[OsString], for_a_command: bool) -> Result<()> {
    let Some(name) = names.iter().find(|name| is_set(name)) else { return Ok(()) };
    let failed = |problem: &str| {
        Error::new(Kind::Os, format!("{name} is set, which changes how host names are looked up, and {problem}"))
    };
    // Security: whoever sets this one too gets no lookup at all.
    if is_set(RESTARTED) {
        return Err(failed(&format!("{RESTARTED} says that this process was started again without it already"))
            .hint(format!("unset {name} {RESTARTED}")));
    }
    let failed = |problem: &str| {
        failed(&format!("this process cannot start itself again without it: {problem}")).hint(format!("unset {name}"))
    };
    if !is_ourselves() {
        return Err(failed(&format!("{OURSELVES} is not this program, or cannot be read")));
    }
    let cause = with_callers_limits(|| command(names, arguments, for_a_command).exec());
    Err(failed(&format!("{OURSELVES} was not started")).cause(cause))
}

#[expect(clippy::disallowed_methods, reason = "asked before there is anything else")]
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// The same command line, with what is left of the environment.
#[expect(clippy::disallowed_methods, reason = "the whole environment is handed on")]
fn command(names: &[&str], arguments: &[OsString], for_a_command: bool) -> Command {
    let mut command = Command::new(OURSELVES);
    if let Some((program, arguments)) = arguments.split_first() {
        command.arg0(program).args(arguments);
    }
    // Of two entries with one name the first one counts, and in a `Command` the last one.
    let mut kept: Vec<_> = std::env::vars_os().filter(|(name, _)| !names.iter().any(|other| name == other)).collect();
    kept.reverse();
    // A command that we run gets them back, under their own names.
    let put_away =
        names.iter().filter(|_| for_a_command).filter_map(|name| Some((put_away(name), std::env::var_os(name)?)));
    command.env_clear().envs(kept).envs(put_away).env(RESTARTED, "1");
    command
}

/// The name under which a variable's value is out of the name service's sight.
fn put_away(name: &str) -> String {
    format!("{RESTARTED}_{name}")
}

/// What this process was started again without.
#[expect(clippy::disallowed_methods, reason = "the environment is handed on")]
pub(super) fn removed_by_restart() -> impl Iterator<Item = (OsString, OsString)> {
    let names = NAME_SERVICE.into_iter().chain([LIBRARY_PATH]);
    names.filter_map(|name| Some((name.into(), std::env::var_os(put_away(name))?)))
}

/// Whether [`OURSELVES`] is the file that this code was loaded from. A program that was started by way of its loader
/// (`ld-linux-x86-64.so.2 ci-creds`) would start the loader again, with our arguments for its own.
#[expect(clippy::disallowed_methods, reason = "/proc is how the system tells what is loaded from where")]
fn is_ourselves() -> bool {
    let here = is_ourselves as fn() -> bool as usize;
    let (Ok(maps), Ok(path)) = (std::fs::read("/proc/self/maps"), std::fs::read_link(OURSELVES)) else { return false };
    maps.split(|byte| *byte == b'\n').any(|line| is_mapping_of(line, here, path.as_os_str().as_bytes()))
}

/// Whether the line of `/proc/PID/maps` (`start-end perms offset device inode path`) tells of this address and this file.
fn is_mapping_of(line: &[u8], address: usize, path: &[u8]) -> bool {
    let number = |text: Option<&str>| usize::from_str_radix(text?, 16).ok();
    let range = line.split(|byte| *byte == b' ').next().and_then(|range| std::str::from_utf8(range).ok());
    let mut ends = range.unwrap_or_default().split('-');
    let (Some(start), Some(end)) = (number(ends.next()), number(ends.next())) else { return false };
    (start..end).contains(&address)
        && line.strip_suffix(path).is_some_and(|rest| rest.ends_with(b" ") && !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_told_by_its_addresses_and_its_file() {
        let line = b"5560-5580 r-xp 00002000 fe:00 1234                       /usr/bin/ci-creds (deleted)";
        let path = b"/usr/bin/ci-creds (deleted)";
        assert!(is_mapping_of(line, 0x5560, path) && is_mapping_of(line, 0x557f, path));
        for (address, path) in [
            (0x555f, &path[..]),
            (0x5580, path),
            (0x5560, b"/bin/ci-creds (deleted)"),
            (0x5560, b"/usr/bin/ci-creds"),
            (0x5560, b"ld.so"),
            (0x5560, b""),
        ] {
            assert!(!is_mapping_of(line, address, path), "{address:x} {path:?}");
        }
        for line in [&b""[..], b"5560", b"5560-", b"x-y r-xp 0 0 0 /a", b"5560-5580 r-xp 00002000 fe:00 0 "] {
            assert!(!is_mapping_of(line, 0x5560, b"/a"), "{line:?}");
        }
    }

    #[test]
    fn these_tests_are_loaded_from_their_own_program() {
        assert!(is_ourselves());
    }
}
