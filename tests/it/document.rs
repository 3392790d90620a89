//! README, the pages of docs/ and CHANGELOG say what the program does.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use ci_creds::cli::{self, Stop};
use ci_creds::error::Kind;
use ci_creds::identity::AuthMethod;
use ci_creds::render::format::Format;
use ci_creds::{claims, variables};
use clap::ValueEnum;

use crate::example::{self, Site};
use crate::support::World;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The code blocks in this language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let opened = text.split(&fence).skip(1);
    opened.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// The pages whose text is for users: README and docs/, without the page on security, which names other programs' flags.
fn pages() -> Vec<String> {
    let folder = std::fs::read_dir(Path::new(ROOT).join("docs")).expect("docs/");
    let names = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let mut texts: Vec<_> = names
        .filter(|name| name.ends_with(".md") && name != "security.md")
        .map(|name| file(&format!("docs/{name}")))
        .collect();
    texts.push(file("README.md"));
    texts
}

/// The text without its quoted output, which a test of its own compares.
fn without_quotes(text: &str) -> String {
    let parts = text.split("\n```console").enumerate();
    let rest = |(number, part): (usize, &str)| match number {
        0 => part.to_owned(),
        _ => part.split_once("\n```\n").map(|(_, rest)| rest.to_owned()).unwrap_or_default(),
    };
    parts.map(rest).collect::<Vec<_>>().join("\n")
}

/// What stands between backticks in the text, code blocks left out.
fn quoted(text: &str) -> Vec<String> {
    let outside: String = text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n");
    outside.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let start = text.find(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section {title}")) + 4;
    &text[start..text[start..].find("\n## ").map_or(text.len(), |end| start + end)]
}

fn names<T: ValueEnum>() -> Vec<String> {
    T::value_variants().iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned())).collect()
}

#[test]
fn the_table_of_exit_codes_is_the_programs() {
    let page = file("docs/errors.md");
    let cell = |row: &str, index: usize| row.split('|').nth(index).unwrap_or_default().trim().to_owned();
    let name = |row: &str| quoted(&cell(row, 2)).first().cloned().unwrap_or_default();
    let rows = section(&page, "Exit codes").lines().filter_map(|row| Some((cell(row, 1).parse().ok()?, name(row))));
    let mut expected: Vec<(u8, String)> = vec![(0, String::new())];
    expected.extend(Kind::ALL.map(|kind| (kind.code(), kind.name().to_owned())));
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn every_variable_is_on_its_page_and_no_other_one_is() {
    let text = &file("docs/variables.md");
    let known: Vec<_> = variables::ALL.iter().chain(&[variables::FISH_TRACE]).copied().collect();
    let cells = text.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let told: Vec<_> = cells.flat_map(quoted).collect();
    for name in &known {
        assert!(told.iter().any(|told| told == name), "{name} is in no table of docs/variables.md");
    }
    for name in &told {
        assert!(known.contains(&name.as_str()), "the program does not read {name}");
    }
    // AWS's own names end so too.
    let twins = quoted(text).into_iter().filter(|name| !known.contains(&name.as_str()));
    for name in twins.collect::<Vec<_>>().iter().filter_map(|name| name.strip_suffix("_FILE")) {
        assert!(known.contains(&name), "there is no {name} to have a twin");
    }
}

#[test]
fn every_method_format_and_placeholder_is_on_its_page_and_no_other_one_is() {
    let first_cells = |text: &str| -> Vec<String> {
        let rows = text.lines().filter(|line| line.starts_with("| `") && !line.contains("`--"));
        rows.filter_map(|row| quoted(row).first().cloned()).collect()
    };
    assert_eq!(first_cells(&file("docs/authentication.md")), names::<AuthMethod>());
    let mut formats = first_cells(section(&file("docs/formats-and-eval.md"), "Output formats"));
    formats.sort();
    let mut known = names::<Format>();
    known.sort();
    assert_eq!(formats, known);
    let text = file("docs/credentials.md");
    let list = text.split("There are: ").nth(1).and_then(|rest| rest.split('.').next()).expect("the placeholders");
    assert_eq!(quoted(list), claims::PLACEHOLDERS.map(|(name, _)| name));
}

/// Other programs have flags of their own, and our name for an argument.
const OTHERS: [&str; 10] = [
    "cargo ",
    "buildkite-agent ",
    "COPY ",
    "tar ",
    "podman ",
    "--build-arg ",
    "sha256sum ",
    "skopeo ",
    "install -m ",
    "--network",
];

/// The command lines of a text that call the program, each up to what the shell or the prose puts behind it.
fn command_lines(text: &str) -> Vec<String> {
    let end =
        |rest: &str| ["||", "|", ")", "`", ";", "#", "2>", ">", ","].iter().filter_map(|end| rest.find(end)).min();
    let ours = text.lines().filter(|line| !OTHERS.iter().any(|other| line.trim_start().starts_with(other)));
    let lines = ours.flat_map(|line| line.split("ci-creds ").skip(1));
    lines.map(|rest| rest[..end(rest).unwrap_or(rest.len())].trim().to_owned()).collect()
}

/// The code of a text: its blocks, and what stands between backticks, a line each.
fn code_of(text: &str) -> String {
    let inside = text.split("\n```").skip(1).step_by(2).map(str::to_owned);
    inside.chain(quoted(text)).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_command_line_in_the_pages_and_the_examples_is_one_that_the_program_takes() {
    let mut texts: Vec<_> = pages().iter().map(|text| code_of(&without_quotes(text))).collect();
    texts.extend([code_of(&file("CHANGELOG.md")), file("examples/aws/config")]);
    let pipelines = |folder| std::fs::read_dir(Path::new(ROOT).join(folder)).expect("the pipelines");
    for entry in pipelines("examples/gitlab").chain(pipelines("examples/github")) {
        texts.push(std::fs::read_to_string(entry.expect("an entry").path()).expect("a pipeline"));
    }
    let lines: Vec<_> = texts.iter().flat_map(|text| command_lines(text)).collect();
    // Fewer would mean that this test no longer finds them.
    assert!(lines.len() >= 60, "{} lines: {lines:?}", lines.len());
    // A sentence names `exec` without the command that it runs, `policy` without a provider, and others without what they need.
    let bare = ["explain", "policy", "token rotate"];
    let is_whole =
        |line: &&String| !bare.contains(&line.as_str()) && (!line.starts_with("exec") || line.contains(" -- "));
    // A loop of the shell fills the name in.
    let is_whole = |line: &&String| is_whole(line) && !line.starts_with("man $");
    for line in lines.iter().filter(is_whole) {
        let arguments: Vec<OsString> = std::iter::once("ci-creds").chain(line.split(' ')).map(OsString::from).collect();
        match cli::parse_arguments(&arguments) {
            Ok(_) | Err(Stop::Text(_)) => {}
            Err(Stop::Mistake(error)) => panic!("ci-creds {line}: {}", error.render(false)),
        }
    }
}

#[test]
fn every_flag_in_the_pages_exists() {
    let help = |command: &str| {
        let line: Vec<_> = format!("ci-creds {command} --help").split(' ').map(OsString::from).collect();
        match cli::parse_arguments(&line) {
            Err(Stop::Text(text)) => text,
            _ => panic!("{command} has no help"),
        }
    };
    let help = [
        "aws",
        "exoscale",
        "scaleway",
        "secret",
        "token",
        "exec",
        "revoke",
        "cache clear",
        "token renew",
        "token rotate",
        "policy",
        "doctor",
    ]
    .map(help)
    .concat();
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    let flags_of = |line: &str| -> Vec<String> {
        let starts = line.match_indices("--").filter(|(at, _)| !line[..*at].ends_with(['-', '|']));
        let word = |(at, _): (usize, &str)| line[at..].split(|c| !is_word(c)).next().unwrap_or_default().to_owned();
        starts.map(word).filter(|flag| flag.len() > 2).collect()
    };
    let known: Vec<_> = help.lines().flat_map(flags_of).collect();
    let texts: Vec<_> = pages().iter().map(|text| without_quotes(text)).collect();
    let ours =
        texts.iter().flat_map(|text| text.lines()).filter(|line| !OTHERS.iter().any(|other| line.contains(other)));
    let told: Vec<_> = ours.flat_map(flags_of).collect();
    assert!(told.contains(&"--role".to_owned()) && told.contains(&"--any-audience".to_owned()), "{told:?}");
    for flag in told {
        assert!(known.contains(&flag), "{flag} does not exist");
    }
}

#[test]
fn every_variable_that_no_lookup_sees_stands_in_the_security_pages_table() {
    let text = file("docs/security.md");
    let told = quoted(section(&text, "What other variables do"));
    for name in variables::NAME_SERVICE.iter().chain(&[variables::LIBRARY_PATH]) {
        assert!(told.iter().any(|told| told == name), "{name} is in no row");
    }
}

#[test]
fn the_pipeline_on_the_first_screen_runs() {
    let Some(site) = Site::set_up() else { return };
    for (name, block) in blocks(&file("README.md"), "yaml").iter().enumerate() {
        for job in example::parse_pipeline(block) {
            let ran = site.run("sh", &job, &job.script, &[]);
            assert_eq!(ran.code, 0, "{ran:?}");
            example::assert_tools_had_credentials(&site, &job.script, &format!("block {name}"));
        }
    }
    assert_eq!(site.vault.minted().into_values().sum::<usize>(), 1);
}

#[test]
fn the_configuration_file_on_its_page_is_one_and_names_every_key() {
    let world = World::start();
    let text = file("docs/configuration-file.md");
    let [settings, of_root] = blocks(&text, "toml").try_into().expect("two files");
    let run = |text: &str| {
        let path = world.file("config.toml", text).display().to_string();
        world.command("aws").arg("--config").arg(&path).run()
    };
    // Only the identity is missing, so everything before it was read.
    run(&settings).failed(66, "input");
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(world.path("config.toml")).expect("the file"));
    let ran = run(&of_root).failed(78, "config");
    assert_eq!(ran.stderr.contains("which only root may"), owner != 0, "{ran:?}");
    assert!(!ran.stderr.contains("is wrong in line"), "{ran:?}");
    for (table, key) in ci_creds::config::keys() {
        assert!(text.contains(key), "the key {key} of {table:?} is not on the page");
    }
}

#[test]
fn the_changelog_begins_with_what_is_not_released_and_its_newest_version_is_the_crates() {
    let text = file("CHANGELOG.md");
    let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## [")).collect();
    assert_eq!(headings.first().copied(), Some("Unreleased]"));
    if let Some(newest) = headings.get(1) {
        assert_eq!(newest.split(']').next(), Some(env!("CARGO_PKG_VERSION")));
    }
}

// check: 25
#[test]
fn the_fuzzers_lock_file_is_as_exact_as_ours() {
    let read = |name: &str| -> toml::Table {
        std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).expect(name).parse().expect(name)
    };
    let (manifest, lock) = (read("Cargo.toml"), read("fuzz/Cargo.lock"));
    let packages = lock["package"].as_array().expect("packages");
    let ours = packages.iter().find(|package| package["name"].as_str() == Some("ci-creds")).expect("ours");
    let locked = ours["dependencies"].as_array().expect("dependencies").iter();
    // A name that stands twice in the tree has its version behind it.
    let locked: BTreeSet<_> = locked.filter_map(|name| name.as_str()?.split(' ').next()).collect();
    let named: BTreeSet<_> = manifest["dependencies"].as_table().expect("a table").keys().map(String::as_str).collect();
    assert_eq!(locked, named, "cd fuzz && cargo check");
}

// check: 25
#[test]
fn what_deny_toml_bans_is_not_in_the_tree() {
    let rules: serde_json::Value = toml::from_str(&file("deny.toml")).expect("deny.toml is TOML");
    let banned = rules["bans"]["deny"].as_array().expect("a list");
    let lock = file("Cargo.lock");
    assert!(lock.contains("\nname = \"rustls\"\n") && banned.len() >= 5);
    for entry in banned {
        let name = entry["crate"].as_str().expect("a name");
        assert!(!lock.contains(&format!("\nname = \"{name}\"\n")), "{name} came into the tree");
    }
}

#[test]
fn ci_runs_the_test_command_of_the_readme() {
    let readme = file("README.md");
    let command = readme.lines().find(|line| line.starts_with("cargo test")).expect("the command");
    assert!(file(".ci/run").lines().any(|line| line == command), ".ci/run does not run {command}");
    assert!(file(".gitlab-ci.yml").lines().any(|line| line.trim() == "- .ci/run"), "no pipeline runs .ci/run");
}
