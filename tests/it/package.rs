//! What `cargo package` would publish, and what `cargo install` makes of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{Run, tool};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn cargo(line: &str) -> Run {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let kept = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].into_iter();
    let kept = kept.filter_map(|name| Some((name, std::env::var(name).ok()?)));
    let mut run = kept.fold(Run::new(&cargo, Path::new(ROOT)), |run, (name, value)| run.env(name, &value));
    run.arguments = line.split(' ').map(str::to_owned).collect();
    run.env("CARGO_NET_OFFLINE", "true")
}

fn files_below(folder: &str) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(ROOT).expect("below it").display().to_string());
            }
        }
    }
    files
}

#[test]
fn the_package_holds_the_program_and_its_pages_and_nothing_else() {
    let listed: BTreeSet<_> =
        cargo("package --list --allow-dirty --locked").run().ok().lines().map(str::to_owned).collect();
    let mut expected: BTreeSet<_> = ["src", "completions", "docs"].into_iter().flat_map(files_below).collect();
    // The demo needs the double of Vault, which is not published.
    expected.extend(files_below("examples").into_iter().filter(|file| !file.starts_with("examples/demo/")));
    let alone = [
        ".cargo/config.toml",
        ".cargo/arm64-linker",
        ".cargo/static.ld",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "build/main.rs",
        "build/version.rs",
    ];
    expected.extend(alone.map(str::to_owned));
    // Cargo's own: the manifest as it was written, and the commit.
    let made = ["Cargo.toml.orig", ".cargo_vcs_info.json"];
    let listed: BTreeSet<_> = listed.into_iter().filter(|file| !made.contains(&file.as_str())).collect();
    let stray: Vec<_> = listed.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&listed).collect();
    assert!(stray.is_empty() && missing.is_empty(), "stray: {stray:?}; missing: {missing:?}");
}

/// From the package, as somebody has it who has nothing else. Two minutes.
#[test]
fn the_package_builds_and_installs_the_program() {
    if !tool::slow("`cargo package` and `cargo install`, each a build of its own") {
        return;
    }
    let folder = tempfile::Builder::new().prefix("package.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let target = folder.path().join("target").display().to_string();
    let package = |line: &str| cargo(line).env("CARGO_TARGET_DIR", &target).run().ok();
    // It builds what it has packed, outside the checkout.
    package("package --locked --allow-dirty --quiet");
    let name = format!("{}-{}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let unpacked = folder.path().join("target/package").join(&name).display().to_string();
    let root = folder.path().join("root");
    package(&format!("install --debug --locked --quiet --path {unpacked} --root {}", root.display()));
    let installed: Vec<_> =
        std::fs::read_dir(root.join("bin")).expect("bin").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(installed, ["ci-creds"]);
    let version = Run::new(&root.join("bin/ci-creds"), folder.path()).arg("--version").run().ok();
    assert!(version.starts_with(concat!("ci-creds ", env!("CARGO_PKG_VERSION"))), "{version}");
}
