//! The code blocks that are run: in a job of GitLab's, or as an operator of Vault.
//!
//! ```` ```sh ```` runs in a job with an ID token; `job=METHOD` gives the job another identity; `operator` runs the block
//! as an operator, in front of an empty Vault; `skip=REASON` says why a block is not run. Reasons and blocks are counted.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use super::page::{self, Page};
use crate::example::{self, Job, Site};
use crate::support::tool;

/// Why a block is not run, and how many there are.
const SKIPPED: [(&str, usize); 8] = [
    // It asks AWS itself: the tests of `web_identity` and `web_token` have a stand-in for it.
    ("aws", 5),
    // It builds the program, or runs all tests.
    ("cargo", 3),
    // It changes the machine: packages, completions, a plugin of Vault's.
    ("machine", 8),
    // It runs the program around a command: the tests of `exec` do.
    ("command", 11),
    // It includes a component of the group's, which the tests of the components do.
    ("component", 4),
    // It needs an engine, and sections of a configuration file: the tests of `section` and `scaleway` have them.
    ("engine", 6),
    // It changes a variable of GitLab's: the tests of `token` do.
    ("gitlab", 1),
    // It is what README's first line replaces.
    ("replaced", 1),
];

/// What GitLab gives to a job of the pages: an ID token for project 365 in the environment dev.
const PIPELINE: &str = "
variables:
  VAULT_AUTH_PATH: gitlab
  VAULT_AUTH_ROLE: deploy
job:
  environment: dev
  id_tokens:
    VAULT_ID_TOKEN:
      aud: https://vault.example.com
  script:
    - 'true'
";

/// The job and the variables that come from outside of the pipeline, for each way to log in.
pub(super) fn job_of(site: &Site, method: &str) -> (Job, Vec<(&'static str, String)>) {
    let mut job = example::parse_pipeline(PIPELINE).remove(0);
    if method != "id-token" {
        job.id_tokens.clear();
    }
    let needs: &[(&'static str, &str)] = match method {
        "id-token" | "none" => &[],
        "wrapping-token" => &[("VAULT_ROLE_ID", "role-id"), ("VAULT_WRAPPING_TOKEN", "wrapping-token")],
        "secret-id" => &[("VAULT_ROLE_ID", "role-id"), ("VAULT_SECRET_ID", "secret-id")],
        "generator-token" => &[("VAULT_ROLE_ID", "role-id"), ("VAULT_TOKEN", "generator-token")],
        "token" => &[("VAULT_TOKEN", "token")],
        other => panic!("no way to log in is called {other}"),
    };
    let mut outside = site.outside(needs);
    if ["wrapping-token", "generator-token"].contains(&method) {
        outside.push(("VAULT_APPROLE_ROLE", "deploy".to_owned()));
    }
    (job, outside)
}

/// Fails for a block that a test must not run: the machine would not be the same behind it.
fn assert_leaves_the_machine_alone(text: &str, place: &str) {
    for word in ["sudo", "apt", "apt-get", "install", "podman", "docker", "skopeo"] {
        let is_named = text.lines().any(|line| line.split_whitespace().next() == Some(word));
        assert!(!is_named && !text.contains("/usr/") && !text.contains("/etc/"), "{place}: mark it `skip=machine`");
    }
}

#[test]
fn every_shell_block_runs_in_a_job_or_says_why_it_does_not() {
    let Some(site) = Site::set_up() else { return };
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    let mut ran_in_all = 0;
    for name in page::names() {
        let empty = LazyCell::new(Site::empty);
        for block in Page::read(&name).blocks() {
            let place = format!("{name}, line {}", block.line);
            if let Some(reason) = block.value("skip") {
                *skipped.entry(reason.to_owned()).or_default() += 1;
                continue;
            }
            if !["sh", "fish"].contains(&block.language.as_str()) || block.has("server") || block.has("desk") {
                continue;
            }
            assert_leaves_the_machine_alone(&block.text, &place);
            if block.has("operator") {
                let ran = empty.run_as_operator(&block.text, &empty.issuer_url());
                assert_eq!(ran.code, 0, "{place}: {ran:?}");
                continue;
            }
            if tool::find(&block.language).is_none() {
                continue;
            }
            let method = block.value("job").unwrap_or("id-token");
            let (job, outside) = job_of(&site, method);
            let ran = if block.language == "fish" {
                site.run_text("fish", &job, &block.text, &outside)
            } else {
                site.run("sh", &job, &[block.text.trim_end().to_owned()], &outside)
            };
            assert_eq!(ran.code, 0, "{place}: {ran:?}");
            site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
            ran_in_all += 1;
        }
    }
    assert_eq!(skipped, SKIPPED.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect());
    // Fewer would mean that this test no longer finds them.
    assert!(ran_in_all >= 20, "{ran_in_all} blocks ran");
}

#[test]
fn every_pipeline_of_the_pages_runs_and_its_tools_have_a_credential() {
    let Some(site) = Site::set_up() else { return };
    let mut jobs = 0;
    for name in page::names() {
        for block in Page::read(&name).blocks().iter().filter(|block| block.language == "yaml") {
            if block.has("github") || block.has("part") || block.value("skip").is_some() {
                continue;
            }
            let place = format!("{name}, line {}", block.line);
            let (_, outside) = job_of(&site, block.value("job").unwrap_or("none"));
            for job in example::parse_pipeline(&block.text) {
                for lines in [&job.script, &job.after_script].into_iter().filter(|lines| !lines.is_empty()) {
                    let ran = site.run("sh", &job, lines, &outside);
                    assert_eq!(ran.code, 0, "{place}, {}: {ran:?}", job.name);
                    site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
                    example::assert_tools_had_credentials(&site, lines, &place);
                }
                jobs += 1;
            }
        }
    }
    assert!(jobs >= 5, "{jobs} jobs ran");
}

#[test]
fn the_set_up_page_makes_what_setup_sh_makes_by_commands_and_by_terraform() {
    let Some(by_script) = Site::set_up() else { return };
    let page = Page::read("docs/vault-setup.md");
    let by_page = Site::empty();
    for block in page.blocks().iter().filter(|block| block.has("operator")) {
        let ran = by_page.run_as_operator(&block.text, &by_script.issuer_url());
        assert_eq!(ran.code, 0, "line {}: {ran:?}", block.line);
    }
    let hcl: String =
        page.blocks().into_iter().filter(|block| block.language == "hcl").map(|block| block.text).collect();
    let by_terraform = Site::empty();
    example::apply_terraform(&by_terraform, &hcl, &by_script.issuer_url());
    let expected = example::kept_of(&by_script, &by_script);
    assert!(expected.len() >= 12, "{expected:?}");
    assert_eq!(example::kept_of(&by_page, &by_script), expected, "the commands");
    assert_eq!(example::kept_of(&by_terraform, &by_script), expected, "Terraform");
}

#[test]
fn every_part_of_a_pipeline_or_workflow_stands_in_an_example() {
    let mut examples = String::new();
    for folder in ["gitlab", "github", "aws", "azure", "bitbucket", "buildkite", "circleci", "forgejo"] {
        let folder = std::fs::read_dir(format!("{}/examples/{folder}", super::ROOT)).expect("the examples");
        for entry in folder {
            examples += &std::fs::read_to_string(entry.expect("an entry").path()).expect("an example");
        }
    }
    let mut found = 0;
    for name in page::names() {
        for block in Page::read(&name).blocks().iter().filter(|block| block.has("part") || block.has("github")) {
            for line in block.text.lines().map(str::trim) {
                let is_there = examples.lines().any(|known| known.trim() == line);
                assert!(is_there, "{name}, line {}: no example has `{line}`", block.line);
            }
            found += 1;
        }
    }
    assert_eq!(found, 8);
}

#[test]
fn every_profile_of_the_pages_stands_in_the_example() {
    let file = std::fs::read_to_string(format!("{}/examples/aws/config", super::ROOT)).expect("the example");
    let mut found = 0;
    for name in page::names() {
        for block in Page::read(&name).blocks().iter().filter(|block| block.language == "ini") {
            for line in block.text.lines().filter(|line| !line.is_empty()) {
                assert!(file.lines().any(|known| known == line), "{name}: examples/aws/config has no line `{line}`");
            }
            found += 1;
        }
    }
    assert!(found >= 1);
}
