use std::path::Path;
use std::process::Command;

use crate::support::{Ran, World, tool};

#[path = "../../build/version.rs"]
mod script;

/// What the build script says in this folder.
fn build(folder: &Path, profile: &str) -> String {
    script::render("1.2.3", "x86_64-unknown-linux-musl", profile, folder)
}

#[test]
fn a_release_names_its_commit_and_target_and_every_other_build_the_version_alone() {
    let world = World::start();
    let Some(git) = tool::find("git") else { return };
    let (checkout, archive) = (world.path("checkout"), world.path("archive"));
    for folder in [&checkout, &archive] {
        std::fs::create_dir(folder).expect("a folder");
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&git);
        command.arg("-C").arg(&checkout).args(["-c", "user.name=x", "-c", "user.email=x@example.com"]).args(arguments);
        Ran::of(command).ok()
    };
    run(&["init", "--quiet"]);
    run(&["commit", "--quiet", "--allow-empty", "--no-gpg-sign", "-m", "x"]);
    let commit = run(&["rev-parse", "--short=12", "HEAD"]).trim().to_owned();
    let release = build(&checkout, "release");
    assert_eq!(release, format!("1.2.3 ({commit}, x86_64-unknown-linux-musl)"));
    assert_eq!(build(&checkout, "debug"), "1.2.3");
    // This one lies in another repository: ours.
    assert_eq!(build(&archive, "release"), "1.2.3");
}

#[test]
fn version_is_a_flag_and_a_command() {
    let world = World::start();
    let text = world.command("--version").run().ok();
    assert!(text.starts_with(concat!("ci-creds ", env!("CARGO_PKG_VERSION"))), "{text}");
    assert_eq!(world.command("version").run().ok(), text);
    assert_eq!(world.command("-V").run().ok(), concat!("ci-creds ", env!("CARGO_PKG_VERSION"), "\n"));
}
