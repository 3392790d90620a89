//! What `.ci/release` makes, from a program that is there already: the same bytes each time, and nothing missing.
//!
//! What is packed is a script of a few bytes: compressing the test's own program would take a minute.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value;

use crate::support::{ROLE, Run, World, exports, tool};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");
const ARCHITECTURES: [(&str, &str); 2] =
    [("amd64", "x86_64-unknown-linux-gnu"), ("arm64", "aarch64-unknown-linux-gnu")];

/// A folder with what one run has made.
struct Release {
    folder: tempfile::TempDir,
}

/// `None` where a program that makes it is missing.
fn release(environment: &[(&str, &str)]) -> Option<Release> {
    for name in ["dpkg-deb", "git", "jq"] {
        tool::find(name)?;
    }
    let folder = tempfile::Builder::new().prefix("release.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let program = folder.path().join("program");
    std::fs::write(&program, "#!/bin/sh\necho packed\n").expect("a program");
    let mut run = cargo_script("release").env("DIST", &folder.path().join("dist").display().to_string());
    run.arguments = ARCHITECTURES.map(|(name, _)| format!("{name}={}", program.display())).to_vec();
    environment.iter().fold(run, |run, (name, value)| run.env(name, value)).run().ok();
    Some(Release { folder })
}

/// One for the tests that only look at it, and are under way at the same time.
fn shared() -> Option<Arc<Release>> {
    static LAST: Mutex<Weak<Release>> = Mutex::new(Weak::new());
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(release) = last.upgrade() {
        return Some(release);
    }
    let release = Arc::new(release(&[])?);
    *last = Arc::downgrade(&release);
    Some(release)
}

/// A script of .ci/ that asks Cargo, which asks nobody else.
fn cargo_script(name: &str) -> Run {
    let home = std::env::var("HOME").unwrap_or_default();
    let run = Run::new(&Path::new(ROOT).join(".ci").join(name), Path::new(ROOT));
    let kept = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].into_iter();
    let kept = kept.filter_map(|name| Some((name, std::env::var(name).ok()?)));
    kept.fold(run, |run, (name, value)| run.env(name, &value))
        .env("HOME", &home)
        .env("CARGO_NET_OFFLINE", "true")
        .env("SOURCE_DATE_EPOCH", "1700000000")
}

impl Release {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("dist").join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The output of a command in its folder.
    fn run(&self, line: &str) -> String {
        let words: Vec<_> = line.split(' ').collect();
        let program = tool::find(words[0]).unwrap_or_else(|| panic!("{} is missing", words[0]));
        let mut run = Run::new(&program, &self.path("")).env("LC_ALL", "C").env("TZ", "UTC");
        run.arguments = words[1..].iter().map(|word| (*word).to_owned()).collect();
        run.run().ok()
    }
}

/// The files that people get beside the program: the last part of each name.
fn companions() -> BTreeSet<String> {
    let folders = ["completions", "man"].map(|name| Path::new(ROOT).join(name));
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// Where a companion lies below /usr. zsh looks in another folder for what is no package.
fn place_of(companion: &str, zsh: &str) -> String {
    match companion.rsplit('.').next() {
        Some("1") => format!("share/man/man1/{companion}"),
        Some("bash") => "share/bash-completion/completions/ci-creds".to_owned(),
        Some("fish") => "share/fish/vendor_completions.d/ci-creds.fish".to_owned(),
        Some("elv") => "share/elvish/lib/ci-creds.elv".to_owned(),
        Some("ps1") => "share/powershell/ci-creds.ps1".to_owned(),
        _ => format!("share/zsh/{zsh}/{companion}"),
    }
}

/// Fails unless the listing (mode, owner, size, date, time, name) has exactly these files, root's, of that time.
fn assert_listed(listing: &str, expected: &BTreeSet<String>) {
    let mut found = BTreeSet::new();
    for line in listing.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [mode, owner, _, date, time, name] = words[..] else { panic!("not six words: {line}") };
        let expected_mode = match name {
            _ if mode.starts_with('d') => "drwxr-xr-x",
            _ if name.ends_with("bin/ci-creds") => "-rwxr-xr-x",
            _ => "-rw-r--r--",
        };
        assert!(["0/0", "root/root"].contains(&owner), "{line}");
        assert_eq!((mode, date), (expected_mode, "2023-11-14"), "{line}");
        assert!(time.starts_with("22:13"), "{line}");
        if !mode.starts_with('d') {
            found.insert(name.to_owned());
        }
    }
    assert_eq!(&found, expected);
}

// check: 25
#[test]
fn the_same_program_gives_the_same_files() {
    let Some(one) = shared() else { return };
    let Some(other) = release(&[("TZ", "Asia/Tokyo"), ("LANG", "C.UTF-8"), ("TMPDIR", "/var/tmp")]) else { return };
    assert_eq!(one.text("SHA256SUMS"), other.text("SHA256SUMS"));
    assert_eq!(one.run("sha256sum --check --strict --quiet SHA256SUMS"), "");
    let mut listed: Vec<_> = one.text("SHA256SUMS").lines().map(|line| line[66..].to_owned()).collect();
    listed.push("SHA256SUMS".to_owned());
    listed.sort();
    let mut expected = vec!["SHA256SUMS".to_owned(), format!("ci-creds-{VERSION}.oci.tar")];
    for (name, _) in ARCHITECTURES {
        expected.push(format!("ci-creds_{VERSION}-1_{name}.deb"));
        expected.extend(["", ".cdx.json", ".tar.gz"].map(|end| format!("ci-creds-{VERSION}-linux-{name}{end}")));
    }
    expected.sort();
    assert_eq!(listed, expected);
}

#[test]
fn the_tarball_and_the_package_hold_all_that_belongs_to_the_program() {
    let Some(release) = shared() else { return };
    let companions = companions();
    assert!(companions.contains("ci-creds.1") && companions.len() >= 6, "{companions:?}");
    for (architecture, _) in ARCHITECTURES {
        let name = format!("ci-creds-{VERSION}-linux-{architecture}");
        let mut expected: BTreeSet<_> =
            companions.iter().map(|file| format!("{name}/{}", place_of(file, "site-functions"))).collect();
        expected.insert(format!("{name}/bin/ci-creds"));
        for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
            expected.insert(format!("{name}/share/doc/ci-creds/{file}"));
        }
        assert_listed(&release.run(&format!("tar --list --verbose --file {name}.tar.gz")), &expected);

        let package = format!("ci-creds_{VERSION}-1_{architecture}.deb");
        let mut expected: BTreeSet<_> =
            companions.iter().map(|file| format!("./usr/{}", place_of(file, "vendor-completions"))).collect();
        // Debian's policy: pages are compressed.
        expected = expected.into_iter().map(|file| if file.ends_with(".1") { file + ".gz" } else { file }).collect();
        expected.insert("./usr/bin/ci-creds".to_owned());
        for file in ["README.md", "changelog.Debian.gz", "changelog.gz", "copyright"] {
            expected.insert(format!("./usr/share/doc/ci-creds/{file}"));
        }
        assert_listed(&release.run(&format!("dpkg-deb --contents {package}")), &expected);
        let version = format!("{VERSION}-1");
        let field = |field: &str| release.run(&format!("dpkg-deb --field {package} {field}")).trim().to_owned();
        assert_eq!((field("Version").as_str(), field("Architecture").as_str()), (version.as_str(), architecture));
        // It is static: it needs no other package.
        assert_eq!(field("Depends"), "");
        assert!(field("Maintainer").contains('@') && field("Description").lines().all(|line| line.len() <= 80));
    }
}

#[test]
fn the_package_is_installed_and_removed_by_dpkg() {
    let Some(release) = shared() else { return };
    if !tool::is_root("dpkg installs nothing for others") {
        return;
    }
    let root = release.folder.path().join("root");
    std::fs::create_dir_all(root.join("var/lib/dpkg/updates")).expect("a folder");
    std::fs::create_dir_all(root.join("var/lib/dpkg/info")).expect("a folder");
    std::fs::write(root.join("var/lib/dpkg/status"), "").expect("a file");
    let dpkg = format!("dpkg --log=/dev/null --force-not-root --force-architecture --root={}", root.display());
    release.run(&format!("{dpkg} --install ci-creds_{VERSION}-1_amd64.deb"));
    let installed = root.join("usr/bin/ci-creds");
    assert_eq!(Run::new(&installed, &root).run().ok(), "packed\n");
    release.run(&format!("{dpkg} --purge ci-creds"));
    assert!(!installed.exists() && !root.join("usr/share/doc/ci-creds").exists());
}

// check: 25
#[test]
fn the_sbom_names_every_crate_that_is_linked_and_no_tool_of_the_build() {
    let Some(release) = shared() else { return };
    for (architecture, _) in ARCHITECTURES {
        let text = release.text(&format!("ci-creds-{VERSION}-linux-{architecture}.cdx.json"));
        let sbom: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((sbom["bomFormat"].as_str(), sbom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
        assert_eq!(sbom["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
        assert_eq!(sbom["metadata"]["component"]["version"], VERSION);
        let components = sbom["components"].as_array().expect("components");
        let names: BTreeSet<_> = components.iter().filter_map(|component| component["name"].as_str()).collect();
        for linked in ["clap", "reqwest", "ring", "rustls", "zeroizing-alloc"] {
            assert!(names.contains(linked), "{linked} is missing: {names:?}");
        }
        // A macro's crate, a crate of the tests, the compiler of ring's C, and Windows' own.
        for absent in ["ci-creds", "serde_derive", "dev-vault", "tempfile", "cc", "windows-sys"] {
            assert!(!names.contains(absent), "{absent} is not linked: {names:?}");
        }
        let mut known = BTreeSet::from([sbom["metadata"]["component"]["bom-ref"].as_str().expect("its reference")]);
        for component in components {
            let hash = component["hashes"][0]["content"].as_str().unwrap_or_default();
            assert!(hash.len() == 64, "no checksum: {component}");
            assert!(
                component["licenses"][0]["expression"].as_str().is_some_and(|text| !text.is_empty()),
                "{component}"
            );
            assert!(known.insert(component["bom-ref"].as_str().expect("a reference")), "twice: {component}");
        }
        let edges = sbom["dependencies"].as_array().expect("dependencies");
        let parents: BTreeSet<_> = edges.iter().filter_map(|edge| edge["ref"].as_str()).collect();
        assert_eq!(parents, known);
        let children = edges.iter().flat_map(|edge| edge["dependsOn"].as_array().expect("a list"));
        let children: BTreeSet<_> = children.filter_map(Value::as_str).collect();
        // Everything but the program itself is there for somebody.
        assert_eq!(children.len() + 1, known.len());
        assert!(children.is_subset(&known));
    }
}

/// The folder's own `dist/` is what people have built; only another one may be emptied by a test.
#[test]
fn an_architecture_that_is_not_built_is_refused_by_name() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let dist = folder.path().join("dist").display().to_string();
    let ran = cargo_script("release").env("DIST", &dist).arg("riscv64").run();
    assert_eq!((ran.code, ran.stderr.as_str()), (64, "release: riscv64 is not amd64 or arm64\n"));
}

/// `CI_CREDS_TEST_ARM64` names the program: nothing else says that it was built from this source.
#[test]
fn the_arm64_program_fetches_a_credential() {
    let Some(program) = std::env::var_os("CI_CREDS_TEST_ARM64").map(|path| Path::new(ROOT).join(path)) else {
        eprintln!("skipped: the arm64 program, which CI_CREDS_TEST_ARM64 names");
        return;
    };
    let emulators = ["qemu-aarch64", "qemu-aarch64-static"];
    let Some(emulator) = emulators.into_iter().find_map(|name| tool::find_all(name).next()) else {
        return tool::miss("qemu-aarch64", "is not installed");
    };
    let world = World::start();
    let line = format!("exoscale --role {ROLE}");
    let mut run = world.command_as("wrapping-token", &line).of(&emulator);
    run.arguments.insert(0, program.display().to_string());
    let set = exports(&run.run().ok());
    assert!(world.vault.live_keys().contains(&set["EXOSCALE_API_KEY"]), "{set:?}");
    let mut run = world.command_as("wrapping-token", &line).env("VAULT_WRAPPING_TOKEN", "nonsense").of(&emulator);
    run.arguments.insert(0, program.display().to_string());
    run.run().failed(79, "spent").assert_marker(79);
}
