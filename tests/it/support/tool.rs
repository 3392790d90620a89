//! Programs that a test needs beside ours: found on PATH, or said to be missing. It must not pretend to have run.

use std::path::PathBuf;

/// The program, or `None` after saying that the test is skipped.
///
/// # Panics
/// When it is missing and `CI_CREDS_TEST_REQUIRE` (names, joined by commas) lists it.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| is_executable(path));
    if found.is_none() {
        let required = std::env::var("CI_CREDS_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|wanted| wanted.trim() == name), "{name} is required and not installed");
        println!("skipped: {name} is not installed");
    }
    found
}

fn is_executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
