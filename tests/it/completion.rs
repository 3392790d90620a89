//! The files in completions/: made here from the program's own clap definition, and compared.
//!
//! The generators are no part of the program. `CI_CREDS_REGENERATE=1 cargo test --test it completion` writes the
//! files anew; in CI that is refused.

/// Tab in real shells.
mod press;
/// The completion scripts.
mod script;

use std::path::{Path, PathBuf};

use ci_creds::cli::{self, Cli, Shell};
use ci_creds::error::Kind;
use clap::{CommandFactory, ValueEnum};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions")
}

/// The file's name, what it should hold, and what the program prints.
fn files() -> Vec<(String, String, String)> {
    let scripts = Shell::value_variants().iter().map(|shell| {
        let (name, text) = script::of(*shell);
        (name.to_owned(), text, cli::completions(*shell).to_owned())
    });
    let page = ("ci-creds.1".to_owned(), String::from_utf8(manual()).unwrap(), cli::MANUAL.to_owned());
    scripts.chain([page]).collect()
}

/// The manual page: the program's, with a section for every command and the exit codes.
fn manual() -> Vec<u8> {
    // The build's date has no place in a page that is compared.
    let mut command = Cli::command().disable_help_flag(true);
    command.build();
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(&mut text).unwrap();
    page.render_name_section(&mut text).unwrap();
    page.render_synopsis_section(&mut text).unwrap();
    page.render_extra_section(&mut text).unwrap();
    for subcommand in command.get_subcommands() {
        let name = format!("ci-creds {}", subcommand.get_name());
        let page = clap_mangen::Man::new(subcommand.clone().name(name.clone()));
        let mut part = Vec::new();
        page.render_synopsis_section(&mut part).unwrap();
        page.render_description_section(&mut part).unwrap();
        page.render_options_section(&mut part).unwrap();
        // clap_mangen makes pages; here each is a section of one, and its sections become subsections.
        let part = String::from_utf8(part).unwrap().lines().map(below_a_section).collect::<String>();
        text.extend(format!(".SH \"{}\"\n{part}", name.to_uppercase()).bytes());
    }
    text.extend_from_slice(b".SH \"EXIT STATUS\"\n.TP\n0\nThe credential was delivered.\n");
    for kind in Kind::ALL {
        text.extend(format!(".TP\n{}\n{}\n", kind.code(), kind.name()).bytes());
    }
    text
}

/// A line of a page as it stands inside a section. The preamble that roff defines its quotes with is needed once.
fn below_a_section(line: &str) -> String {
    match line.strip_prefix(".SH") {
        _ if line.starts_with(".ie ") || line.starts_with(".el ") => String::new(),
        Some(title) => format!(".SS{title}\n"),
        None => format!("{line}\n"),
    }
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
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let name = entry.expect("an entry").file_name();
        assert!(files().iter().any(|(known, ..)| name == **known), "completions/{} is not ours", name.display());
    }
}
