//! What `ci-creds --version` says.

use std::path::Path;
use std::process::Command;

/// The version, and of a release's build also the commit and the target.
pub(crate) fn render(version: &str, target: &str, profile: &str, folder: &Path) -> String {
    // A build for development would be stale, or be made anew, with every commit.
    match (profile == "release").then(|| commit(folder)).flatten() {
        Some(commit) => format!("{version} ({commit}, {target})"),
        None => version.to_owned(),
    }
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
