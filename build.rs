//! What `ci-creds --version` says: the version, and of a release's build also the commit and the target. And completions/,
//! packed: 600 kB of scripts and manual pages that repeat each other, a tenth of that in the program.

#![expect(clippy::disallowed_methods, reason = "src/host is the door of the program, and this is none of it")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
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
    pack(Path::new("completions"), Path::new(&variable("OUT_DIR")))
}

/// The best that the packer can do. It takes a moment of the build.
const BEST: u8 = 10;

/// Writes the texts of the folder, packed in one piece, and the place of each.
fn pack(folder: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name().into_string().map_err(|_| "a name that is no text")?);
    }
    names.sort();
    let (mut all, mut index) = (String::new(), String::new());
    for name in names {
        let start = all.len();
        all.push_str(&std::fs::read_to_string(folder.join(&name))?);
        writeln!(index, "    ({name:?}, {start}, {}),", all.len())?;
    }
    std::fs::write(out.join("pages.bin"), miniz_oxide::deflate::compress_to_vec(all.as_bytes(), BEST))?;
    std::fs::write(out.join("pages.rs"), format!("[\n{index}]\n"))?;
    Ok(())
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
