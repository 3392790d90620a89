//! docs/install.md against what it tells of: the files of a release, the inputs, the images, the lines of its scripts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use ci_creds::cli::{self, Stop};
use yaml_rust2::{Yaml, YamlLoader};

use crate::support::{Run, tool};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The text below a heading, up to the next one of whatever level.
fn section(title: &str) -> String {
    let page = file("docs/install.md");
    let (_, rest) = page.split_once(&format!(" {title}\n")).unwrap_or_else(|| panic!("no section {title}"));
    rest.split("\n#").next().unwrap_or_default().to_owned()
}

/// The code blocks in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let opened = text.split(&fence).skip(1);
    opened.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// The rows of a section's table, without its head.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    text.lines().filter(|line| line.starts_with('|')).skip(2).map(cells).collect()
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The inputs of a template or of the action, each with its default.
fn inputs_in(yaml: &Yaml) -> BTreeMap<String, String> {
    let input = |(name, body): (&Yaml, &Yaml)| {
        assert!(body["description"].as_str().is_some(), "{name:?} is not described");
        (name.as_str().expect("a name").to_owned(), body["default"].as_str().unwrap_or_default().to_owned())
    };
    yaml.as_hash().expect("inputs").iter().map(input).collect()
}

fn template(cloud: &str) -> BTreeMap<String, String> {
    let documents = YamlLoader::load_from_str(&file(&format!("templates/{cloud}.yml"))).expect("YAML");
    // GitLab reads a header and a body.
    assert_eq!(documents.len(), 2);
    inputs_in(&documents[0]["spec"]["inputs"])
}

#[test]
fn the_table_of_inputs_is_the_components() {
    let (exoscale, aws) = (template("exoscale"), template("aws"));
    let table = rows(&section("GitLab CI/CD component"));
    let told: Vec<_> = table.iter().flat_map(|row| quoted(&row[0])).collect();
    let mut names: Vec<_> = aws.keys().cloned().collect();
    let mut sorted = told.clone();
    names.sort();
    sorted.sort();
    assert_eq!(sorted, names);
    // The one that Exoscale has no use for.
    names.retain(|name| name != "region");
    assert_eq!(exoscale.keys().cloned().collect::<Vec<_>>(), names);
    for row in &table {
        for name in
            quoted(&row[0]).iter().filter(|name| !["name", "auth-role", "url", "sha256"].contains(&name.as_str()))
        {
            assert_eq!(quoted(&row[1]).first().cloned().unwrap_or_default(), aws[name], "{name}");
        }
    }
    assert_eq!((exoscale["name"].as_str(), aws["name"].as_str()), (".exoscale", ".aws"));
}

#[test]
fn the_step_of_the_page_gives_the_action_inputs_that_it_has() {
    let action = YamlLoader::load_from_str(&file("action.yml")).expect("YAML").remove(0);
    let inputs = inputs_in(&action["inputs"]);
    let step = YamlLoader::load_from_str(&blocks(&section("GitHub action"), "yaml")[0]).expect("YAML").remove(0);
    let given = step["steps"][0]["with"].as_hash().expect("inputs");
    let names: Vec<_> = given.keys().filter_map(Yaml::as_str).collect();
    assert!(names.iter().all(|name| inputs.contains_key(*name)), "{names:?}");
    let required = |name: &&str| action["inputs"][*name]["required"].as_bool() == Some(true);
    let known: Vec<_> = inputs.keys().map(String::as_str).filter(required).collect();
    assert!(known.iter().all(|name| names.contains(name)), "{known:?}");
}

#[test]
fn the_bundles_of_the_page_are_those_that_the_program_reads() {
    let source = file("src/config/connection.rs");
    let list = source.split("const BUNDLES: [&str; 4] = [").nth(1).and_then(|rest| rest.split("];").next());
    let known: Vec<_> = list.expect("the bundles").split('"').skip(1).step_by(2).collect();
    let text = section("CA roots in an image");
    let listed = text.lines().filter_map(|line| line.strip_prefix("* `/")).map(|line| format!("/{line}"));
    let told: Vec<_> = listed.map(|line| line.split('`').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(told, known);
}

#[test]
fn the_lines_of_the_page_that_download_the_program_take_the_right_file_only() {
    let Some(bash) = tool::find("bash") else { return };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (released, target) = (folder.path().join("released"), folder.path().join("bin/ci-creds"));
    std::fs::write(&released, "#!/bin/sh\necho installed\n").expect("a file");
    std::fs::create_dir(folder.path().join("bin")).expect("a folder");
    let sum = Run::new(Path::new("sha256sum"), folder.path()).arg(&released.display().to_string()).run().ok();
    let lines = blocks(&section("Static file"), "sh").remove(0);
    let lines = lines.replace("/usr/local/bin/ci-creds", &target.display().to_string());
    let play = |sum: &str| {
        let run = Run::new(&bash, folder.path()).arg("-e").arg("-c").arg(&lines);
        run.env("CI_CREDS_URL", &format!("file://{}", released.display())).env("CI_CREDS_SHA256", sum).run()
    };
    assert_ne!(play(&"0".repeat(64)).code, 0);
    assert!(!target.exists());
    play(&sum[..64]).ok();
    assert_eq!(Run::new(&target, folder.path()).run().ok(), "installed\n");
}

#[test]
fn every_command_line_and_every_link_of_the_page_is_right() {
    let page = file("docs/install.md");
    let called = blocks(&page, "sh").concat();
    let called: Vec<_> = called.lines().filter_map(|line| line.strip_prefix("ci-creds ")).collect();
    assert!(called.len() >= 2, "{called:?}");
    for line in called {
        let line = line.split(" >").next().unwrap_or_default();
        let arguments: Vec<_> = std::iter::once("ci-creds").chain(line.split(' ')).map(OsString::from).collect();
        if let Err(Stop::Mistake(error)) = cli::parse_arguments(&arguments) {
            panic!("ci-creds {line}: {}", error.render(false));
        }
    }
    let headings: Vec<_> = page.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        match link.strip_prefix('#') {
            Some(heading) => assert!(headings.contains(&heading.to_owned()), "no heading {link}: {headings:?}"),
            None => assert!(Path::new(ROOT).join("docs").join(link).exists(), "{link} leads nowhere"),
        }
    }
}

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

#[test]
fn the_page_names_every_file_of_a_release() {
    let text = section("Files of a release");
    let mut told: Vec<_> = rows(&text).iter().flat_map(|row| quoted(&row[0])).collect();
    // The second file of a row is told by what differs: `…-arm64.deb`.
    told.retain(|name| !name.starts_with('…'));
    let script = file(".ci/release");
    for name in &told {
        let end = name.trim_start_matches("ci-creds-VERSION-linux-amd64").trim_start_matches("ci-creds-VERSION");
        let end = end.trim_start_matches("ci-creds_VERSION-1_amd64");
        assert!(end.is_empty() || script.contains(end), "{name}: .ci/release makes no {end}");
    }
    assert_eq!(told.len(), 6, "{told:?}");
}
