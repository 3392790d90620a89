//! External programs that tests need. A missing one is said aloud, never taken for a success.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The program by its name, in the folders of `CI_CREDS_TEST_TOOLS` and then of `PATH`.
///
/// # Panics
/// When it is missing and `CI_CREDS_TEST_REQUIRE` (names, separated by commas) lists it: on a machine that is set up
/// to have it, a test that did not run is a failure.
pub fn find(name: &str) -> Option<PathBuf> {
    let found = find_all(name).next();
    if found.is_none() {
        miss(name, "is not installed");
    }
    found
}

/// Every program of this name, in the order of their folders.
pub fn find_all(name: &str) -> impl Iterator<Item = PathBuf> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let folders = format!("{}:{}", variable("CI_CREDS_TEST_TOOLS"), variable("PATH"));
    let folders: Vec<_> = std::env::split_paths(&folders).filter(|folder| folder.is_absolute()).collect();
    folders.into_iter().map(move |folder| folder.join(name)).filter(|path| is_program(path))
}

/// Says that a test is skipped because of a program.
///
/// # Panics
/// When `CI_CREDS_TEST_REQUIRE` lists it.
pub fn miss(name: &str, why: &str) {
    let required = std::env::var("CI_CREDS_TEST_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|required| required.trim() == name), "{name} is required and {why}");
    eprintln!("skipped: {name} {why}");
}

/// Whether root runs the tests; when not, it is told what cannot be done.
pub fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        miss("root", &format!("is not who runs the tests: {what}"));
    }
    root
}

/// Whether what takes long is to run too: `CI_CREDS_TEST_SLOW` says so. If not, it is told what was left out.
pub fn slow(what: &str) -> bool {
    let wanted = std::env::var_os("CI_CREDS_TEST_SLOW").is_some_and(|value| !value.is_empty());
    if !wanted {
        eprintln!("skipped: {what}, which CI_CREDS_TEST_SLOW=1 adds");
    }
    wanted
}

/// Puts a copy of a program there, in a process of its own. A file that we had open for writing ourselves could not be run
/// for a moment (ETXTBSY): what another thread starts inherits all that is open, until its own program is loaded.
pub fn install(source: &Path, target: &Path, mode: &str) {
    let status = std::process::Command::new("install").args(["-m", mode, "--"]).args([source, target]).status();
    assert!(status.expect("install").success(), "no copy of {}", source.display());
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
