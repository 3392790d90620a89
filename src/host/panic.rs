//! How the process ends when we have a bug.

use super::Host;
use crate::secret::Secret;

/// What a bug prints: `failure` on stdout, so that the caller's eval fails, and one constant line on stderr. A
/// panic's own text could hold a secret.
pub fn on_panic(failure: String, code: u8) {
    std::panic::set_hook(Box::new(move |panic| {
        let host = Host::real();
        // No more than this: a second panic in here would abort with an empty stdout, and eval would return 0.
        if !super::terminal::stdout_is_terminal() {
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
