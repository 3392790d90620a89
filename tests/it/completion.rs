//! The files in completions/: made here from the program's own clap definition, and compared.
//!
//! The generators are no part of the program. `CI_CREDS_REGENERATE=1 cargo test --test it completion` writes the
//! files anew; in CI that is refused.

/// The manual pages.
mod page;
/// Tab in real shells.
mod press;
/// docs/configuration.md.
mod reference;
/// The completion scripts.
mod script;
/// Flags with the variables and keys that say the same.
mod setting;

use std::path::{Path, PathBuf};

use ci_creds::cli::{self, Shell};
use clap::ValueEnum;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions")
}

/// The file's name, what it should hold, and what the program prints.
fn files() -> Vec<(String, String, String)> {
    let scripts = Shell::value_variants().iter().map(|shell| {
        let (name, text) = script::of(*shell);
        (name.to_owned(), text, cli::completions(*shell))
    });
    let pages = page::all().into_iter().map(|page| {
        let printed = cli::manual(page.command.as_deref()).unwrap_or_default();
        (page.file(), page.text, printed)
    });
    scripts.chain(pages).collect()
}

/// Whether files are to be written, in place of being compared.
fn regenerates() -> bool {
    let regenerate = std::env::var_os("CI_CREDS_REGENERATE").is_some();
    assert!(!(regenerate && std::env::var_os("CI").is_some()), "CI compares, and writes nothing");
    regenerate
}

#[test]
fn the_completions_and_the_manual_pages_are_those_of_the_command_line() {
    for (name, expected, printed) in files() {
        if regenerates() {
            std::fs::write(folder().join(name), &expected).unwrap();
            continue;
        }
        assert!(
            printed == expected,
            "completions/{name} is out of date: CI_CREDS_REGENERATE=1 cargo test --test it completion"
        );
    }
}

#[test]
fn completions_holds_nothing_else() {
    let files = files();
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let name = entry.expect("an entry").file_name();
        assert!(files.iter().any(|(known, ..)| name == **known), "completions/{} is not ours", name.display());
    }
}

#[test]
fn completions_without_a_shell_name_each_call_that_works() {
    let world = crate::support::World::start();
    let ran = world.command("completions").run().failed(64, "usage");
    let hint = ran.stderr.lines().find_map(|line| line.strip_prefix("  hint: ")).expect("a hint").to_owned();
    let calls: Vec<_> = hint.split(", ").collect();
    assert_eq!(calls.len(), 5, "{hint}");
    for call in calls {
        world.command(call.strip_prefix("ci-creds ").expect(call)).run().ok();
    }
}
