//! External programs that tests need. A missing one is said aloud, never taken for a success.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The program by its name, in the folders of `CI_CREDS_TEST_TOOLS` and then of `PATH`.
///
/// # Panics
/// When it is missing and `CI_CREDS_TEST_REQUIRE` (names, separated by commas) lists it: on a machine that is set up
/// to have it, a test that did not run is a failure.
pub fn find(name: &str) -> Option<PathBuf> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let folders = format!("{}:{}", variable("CI_CREDS_TEST_TOOLS"), variable("PATH"));
    let found = std::env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_program(path));
    if found.is_none() {
        miss(name, "is not installed");
    }
    found
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

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
