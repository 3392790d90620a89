//! The programs that are measured, built as they are released: static, stripped, `[profile.release]`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a finished binary to measure in place of the one that is built here.
const BINARY: &str = "CI_CREDS_BENCH_BINARY";
/// Names an older build, which is measured beside it, in the same turns.
const OLDER: &str = "CI_CREDS_BENCH_OLDER";

/// What is measured.
pub(crate) struct Programs {
    pub(crate) tool: PathBuf,
    pub(crate) older: Option<PathBuf>,
    pub(crate) floor: PathBuf,
    pub(crate) empty: PathBuf,
}

pub(crate) fn build(folder: &Path) -> Programs {
    let host = host_triple();
    let tool =
        std::env::var_os(BINARY).map_or_else(|| cargo(&host, &["--bin", "ci-creds"]).join("ci-creds"), PathBuf::from);
    // Two calls: one for both packages would give each of them the other's features.
    let floor = cargo(&host, &["--package", "floor"]).join("floor");
    let older = std::env::var_os(OLDER).map(PathBuf::from);
    let empty = empty(&host, folder);
    let place = |program: &Path, name: &str| install(program, &folder.join("installed").join(name));
    std::fs::create_dir(folder.join("installed")).expect("a folder");
    Programs {
        tool: place(&tool, "ci-creds"),
        older: older.map(|older| place(&older, "older")),
        floor: place(&floor, "floor"),
        empty: place(&empty, "empty"),
    }
}

/// Copies a program, as an installation does. What a linker wrote lies in the page cache in smaller pieces, and starts
/// with a tenth more page faults.
fn install(program: &Path, place: &Path) -> PathBuf {
    std::fs::copy(program, place).expect("a copy");
    place.to_owned()
}

/// Runs `cargo build` and gives the folder of its output.
fn cargo(host: &str, what: &[&str]) -> PathBuf {
    // target/release/deps/chain-…: the static builds of this very target directory are used where they are fresh.
    let ourselves = std::env::current_exe().expect("our own path");
    let target = ourselves.ancestors().nth(3).expect("a target directory");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--release", "--quiet", "--target", host, "--target-dir"])
        .arg(target)
        .args(what)
        .args(["--config", &static_flags()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS");
    assert!(command.status().expect("cargo").success(), "{command:?} failed");
    target.join(host).join("release")
}

/// The flags of `cargo static`, from where they stand.
fn static_flags() -> String {
    let text = include_str!("../../.cargo/config.toml");
    let config: toml::Table = text.parse().expect("TOML");
    let words = config["alias"]["static"].as_array().expect("a list");
    let place = words.iter().position(|word| word.as_str() == Some("--config")).expect("the flags");
    words[place + 1].as_str().expect("a text").to_owned()
}

/// `fn main() {}` with the flags of `[profile.release]`.
fn empty(host: &str, folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("empty.rs"), folder.join("empty"));
    std::fs::write(&source, "fn main() {}").expect("a source file");
    let mut command = Command::new("rustc");
    for flag in
        ["opt-level=s", "lto=fat", "codegen-units=1", "panic=abort", "strip=symbols", "target-feature=+crt-static"]
    {
        command.args(["-C", flag]);
    }
    command.args(["--edition", "2024", "--target", host]).arg("-o").arg(&program).arg(&source);
    assert!(command.status().expect("rustc").success(), "{command:?} failed");
    program
}

fn host_triple() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("the host's name").to_owned()
}
