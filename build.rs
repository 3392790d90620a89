//! What `ci-creds --version` says: the version, and of a release's build also the commit and the target.

#![expect(clippy::disallowed_methods, reason = "src/host is the door of the program, and this is none of it")]

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let (version, target) = (variable("CARGO_PKG_VERSION"), variable("TARGET"));
    // A build for development would be stale, or be made anew, with every commit.
    let commit =
        (variable("PROFILE") == "release").then(|| commit(Path::new(&variable("CARGO_MANIFEST_DIR")))).flatten();
    let text = match commit {
        Some(commit) => format!("{version} ({commit}, {target})"),
        None => version,
    };
    println!("cargo::rustc-env=CI_CREDS_VERSION={text}");
}

/// The commit of this checkout; `None` in an unpacked archive, also in one that lies in somebody else's repository.
fn commit(folder: &Path) -> Option<String> {
    folder.join(".git").exists().then_some(())?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    // It grows with every commit and every checkout.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={}", folder.join(path).display());
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}
