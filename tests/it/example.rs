//! Every file in examples/: Vault is set up as they say, and the pipelines run on it.
//!
//! The scripts run in real shells, in the shape that gitlab-runner gives them. `vault` is a script that sends what
//! Vault's own CLI would send; the clouds' tools are one that writes down what it was called with.

mod action;
mod elsewhere;
mod pipeline;
mod runner;
mod site;
mod sts;
mod terraform;

pub(crate) use terraform::writes as terraform_writes;
mod workflow;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dev_vault::{DevVault, GitlabToken, Sink, Tls};
pub(crate) use pipeline::{Job, runner_script};
pub(crate) use runner::Project;
use serde_json::{Value, json};
use site::{ROOT_KEY, ROOT_SECRET};
pub(crate) use site::{Site, program_sum};

use crate::support::{Run, World, moto, tool};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
const AUDIENCE: &str = "https://vault.example.com";

/// Each pipeline, and what its comments say comes from outside: a variable, and what `hand-out.sh` makes for it.
const PIPELINES: [(&str, &[(&str, &str)]); 9] = [
    ("id-token-exoscale", &[]),
    ("id-token-aws", &[]),
    ("credentials-file", &[]),
    ("exec", &[]),
    ("terraform", &[]),
    ("wrapping-token", &[("VAULT_ROLE_ID", "role-id"), ("VAULT_WRAPPING_TOKEN", "wrapping-token")]),
    ("secret-id", &[("VAULT_ROLE_ID", "role-id"), ("VAULT_SECRET_ID", "secret-id")]),
    ("generator-token", &[("VAULT_ROLE_ID", "role-id"), ("VAULT_TOKEN", "generator-token")]),
    ("token", &[("VAULT_TOKEN", "token")]),
];

/// The files beside the pipelines, each with its test below.
const OTHERS: [&str; 23] = [
    "aws/buildspec.yml",
    "aws/config",
    "azure/azure-pipelines.yml",
    "bitbucket/bitbucket-pipelines.yml",
    "buildkite/pipeline.yml",
    "ci-creds.toml",
    "circleci/config.yml",
    "forgejo/aws.yml",
    "github/aws-web-identity.yml",
    "github/aws.yml",
    "gitlab/aws-web-identity.gitlab-ci.yml",
    "gitlab/component.gitlab-ci.yml",
    "gitlab/scaleway.gitlab-ci.yml",
    "gitlab/terraform-vault.gitlab-ci.yml",
    "image/Containerfile",
    "jenkins/Jenkinsfile",
    "terraform/main.tf",
    "vault/hand-out.sh",
    "vault/main.tf",
    "vault/policies/aws-365.hcl",
    "vault/policies/exoscale-deploy.hcl",
    "vault/policies/secret-id-deploy.hcl",
    "vault/setup.sh",
];

fn example(name: &str) -> String {
    let path = format!("{EXAMPLES}/{name}");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The jobs of a pipeline that stands elsewhere.
pub(crate) fn parse_pipeline(text: &str) -> Vec<Job> {
    pipeline::parse(text)
}

fn jobs_of(name: &str) -> Vec<Job> {
    pipeline::parse(&example(&format!("gitlab/{name}.gitlab-ci.yml")))
}

/// Fails unless each tool that these lines name was called, with a credential that works now.
pub(crate) fn assert_tools_had_credentials(site: &Site, lines: &[String], context: &str) {
    let tools = ["exo", "aws", "terraform"];
    let is_call = |line: &&str| tools.contains(&line.split(' ').next().unwrap_or_default());
    let expected: Vec<_> = lines.iter().map(|line| command_in(line)).filter(is_call).map(str::to_owned).collect();
    let calls = site.take_calls();
    assert_eq!(calls.iter().map(|(line, _)| line.clone()).collect::<Vec<_>>(), expected, "{context}");
    let alive = site.vault.live_keys();
    // What revokes the keys stands behind the tools.
    let given_back = lines.iter().any(|line| line == "ci-creds revoke" || line.starts_with(EXEC));
    assert!(!expected.is_empty() || given_back, "{context}: no tool is called");
    for (line, variables) in calls {
        let needed: &[&str] = match line.split(' ').next() {
            Some("exo") => &["EXOSCALE_API_KEY"],
            Some("aws") => &["AWS_ACCESS_KEY_ID"],
            _ => &["EXOSCALE_API_KEY", "AWS_ACCESS_KEY_ID"],
        };
        for name in needed {
            let key = key_of(&variables, name).unwrap_or_else(|| panic!("{context}: {line} has no {name}"));
            // Nobody can revoke an STS session.
            let lives = !given_back || key.starts_with("ASIA");
            assert_eq!(alive.contains(key), lives, "{context}: {line} has a key that does not work, or still does");
        }
    }
}

/// How a line begins that runs a command with a credential of its own.
const EXEC: &str = "ci-creds exec ";

/// The command that a line runs, also by way of exec.
fn command_in(line: &str) -> &str {
    let behind = line.strip_prefix(EXEC).and_then(|rest| rest.split_once(" -- "));
    behind.map_or(line, |(_, command)| command)
}

/// The key as its tool finds it: in the variable, or in the file that another variable points to.
fn key_of<'a>(variables: &'a BTreeMap<String, String>, name: &str) -> Option<&'a String> {
    let in_file = if name == "AWS_ACCESS_KEY_ID" { "aws_access_key_id" } else { "key" };
    variables.get(name).or_else(|| variables.get(in_file))
}

#[test]
fn every_file_in_the_folder_is_looked_at_by_a_test() {
    let mut known: Vec<_> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    known.extend(PIPELINES.iter().map(|(name, _)| format!("gitlab/{name}.gitlab-ci.yml")));
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(EXAMPLES)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    for path in found {
        let name = path.strip_prefix(EXAMPLES).expect("a path below it").display().to_string();
        // Cargo's own example, which it compiles with the tests.
        if name == "demo.rs" || name.starts_with("demo/") {
            continue;
        }
        assert!(known.contains(&name), "examples/{name} is in no test: add it to PIPELINES or OTHERS");
    }
    for name in &known {
        assert!(Path::new(EXAMPLES).join(name).is_file(), "examples/{name} is gone");
    }
}

#[test]
fn every_job_says_which_image_it_runs_in_and_every_step_has_its_comment() {
    for (name, _) in PIPELINES {
        for job in jobs_of(name) {
            assert!(job.image.is_some(), "{name}, {}: no image", job.name);
        }
    }
    let folder = std::fs::read_dir(format!("{EXAMPLES}/gitlab")).expect("the pipelines");
    for entry in folder {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a pipeline");
        let mut commented = false;
        for line in text.lines().map(str::trim) {
            // A step is a line of a script. Two of one step stand below one comment.
            let is_step = line.starts_with("- ") && !line.starts_with("- component:");
            assert!(!is_step || commented, "{}: no comment above `{line}`", path.display());
            commented = line.starts_with('#') || (commented && is_step);
        }
    }
}

#[test]
fn every_pipeline_gets_its_credentials_from_a_vault_that_the_script_set_up() {
    let Some(site) = Site::set_up() else { return };
    for shell in ["sh", "bash"] {
        if tool::find(shell).is_none() {
            continue;
        }
        for (name, needs) in PIPELINES {
            for job in jobs_of(name) {
                let outside = site.outside(needs);
                for lines in [&job.script, &job.after_script].into_iter().filter(|lines| !lines.is_empty()) {
                    let context = format!("{name}, {}, {shell}", job.name);
                    let ran = site.run(shell, &job, lines, &outside);
                    assert_eq!(ran.code, 0, "{context}: {ran:?}");
                    site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
                    assert_tools_had_credentials(&site, lines, &context);
                }
            }
        }
    }
}

#[test]
fn the_private_files_of_a_job_go_with_it_also_when_its_script_fails() {
    let Some(site) = Site::set_up() else { return };
    for shell in ["sh", "bash"] {
        for job in jobs_of("credentials-file") {
            for (last, code) in [("ls -d \"$AWS_SHARED_CREDENTIALS_FILE\" \"$EXOSCALE_CONFIG\"", 0), ("false", 1)] {
                let lines = [job.script.clone(), vec![last.to_owned()]].concat();
                let ran = site.run(shell, &job, &lines, &[]);
                assert_eq!(ran.code, code, "{shell}: {ran:?}");
                let left = std::fs::read_dir(site.path("tmp")).expect("a folder").count();
                assert_eq!(left, 0, "{shell}, {last}: {ran:?}");
            }
        }
    }
}

#[test]
fn a_pipeline_whose_login_is_refused_ends_before_its_first_tool() {
    let Some(site) = Site::set_up() else { return };
    for (name, needs) in PIPELINES {
        for job in jobs_of(name) {
            let nonsense = |variable: &&str| *variable != "VAULT_ROLE_ID";
            let mut wrong: Vec<_> = needs.iter().map(|(variable, _)| *variable).filter(nonsense).collect();
            wrong.extend(job.id_tokens.iter().map(|(variable, _)| variable.as_str()));
            let forged = GitlabToken::new().issuer(&site.gitlab.issuer_url()).audience(AUDIENCE).at(site.vault.now());
            let mut outside = site.outside(needs);
            for variable in &wrong {
                outside.retain(|(known, _)| known != variable);
            }
            let mut outside: Vec<(&str, String)> = outside.into_iter().collect();
            for variable in wrong {
                let value = if job.id_tokens.is_empty() { "nonsense".to_owned() } else { forged.sign_with_other_key() };
                outside.push((variable, value));
            }
            let ran = site.run("sh", &job, &job.script, &outside);
            let code = match name {
                "wrapping-token" => 79,
                "exec" => 125,
                _ => 77,
            };
            assert_eq!(ran.code, code, "{name}, {}: {ran:?}", job.name);
            assert_eq!(ran.stderr.lines().filter(|line| line.contains("error[")).count(), 1, "{name}: {ran:?}");
            assert!(site.take_calls().is_empty(), "{name}: a tool ran without a credential");
        }
    }
    assert!(site.vault.minted().is_empty(), "{:?}", site.vault.minted());
}

#[test]
fn a_pipeline_on_a_machine_without_the_program_ends_before_its_first_tool() {
    let Some(site) = Site::set_up() else { return };
    std::fs::remove_file(site.path("bin/ci-creds")).expect("the program was there");
    for (name, _) in PIPELINES {
        for job in jobs_of(name) {
            let ran = site.run("sh", &job, &job.script, &[]);
            // The status of `false`, or the shell's own: nothing of ours is there that could choose one.
            assert_eq!(ran.code, if name == "exec" { 127 } else { 1 }, "{name}, {}: {ran:?}", job.name);
            assert!(site.take_calls().is_empty(), "{name}: a tool ran without a credential");
        }
    }
}

/// What Vault keeps for these paths, without what it makes up itself.
fn kept(vault: &DevVault, paths: &[String]) -> BTreeMap<String, Value> {
    let read = |path: &String| {
        let data = vault.read(path)["data"].clone();
        let is_mount = path.starts_with("sys/mounts/") || path.starts_with("sys/auth/");
        (path.clone(), if is_mount { data["type"].clone() } else { data })
    };
    paths.iter().map(read).collect()
}

/// Applies this Terraform to the site's Vault, whose jobs come from this GitLab, and gives the paths that were written.
pub(crate) fn apply_terraform(site: &Site, text: &str, gitlab: &str) -> Vec<String> {
    let variables = [("gitlab_url", gitlab), ("exoscale_api_key", ROOT_KEY), ("exoscale_api_secret", ROOT_SECRET)];
    terraform::apply(&site.vault, text, &variables)
}

/// What the site's Vault keeps of what another one was told so far.
pub(crate) fn kept_of(site: &Site, told: &Site) -> BTreeMap<String, Value> {
    let paths: Vec<_> = told.vault.requests().iter().map(|request| request.path.replacen("/v1/", "", 1)).collect();
    kept(&site.vault, &paths)
}

#[test]
fn terraform_sets_vault_up_as_the_script_does() {
    let Some(by_script) = Site::set_up() else { return };
    let written = by_script.vault.requests();
    let mut paths: Vec<_> = written.iter().map(|request| request.path.replacen("/v1/", "", 1)).collect();
    let by_terraform = Site::empty();
    let mut applied = apply_terraform(&by_terraform, &example("vault/main.tf"), &by_script.issuer_url());
    paths.sort();
    applied.sort();
    assert_eq!(applied, paths, "main.tf and setup.sh write to different paths");
    assert_eq!(kept(&by_terraform.vault, &paths), kept(&by_script.vault, &paths));
}

#[test]
fn the_policies_of_the_set_up_allow_a_job_nothing_else() {
    let Some(site) = Site::set_up() else { return };
    let token = site.hand_out("generator-token");
    let ask = |token: &str, method: &str, path: &str| {
        site.vault.request(method, path, Some(token), &[], Some(&json!({}))).status
    };
    assert_eq!(ask(&token, "POST", "auth/approle/role/deploy/secret-id"), 200);
    assert_eq!(ask(&token, "GET", "auth/approle/role/deploy/role-id"), 403);
    assert_eq!(ask(&token, "GET", "exoscale/apikey/deploy"), 403);
    let job = site.hand_out("token");
    assert_eq!(ask(&job, "GET", "exoscale/apikey/deploy"), 200);
    assert_eq!(ask(&job, "GET", "exoscale/config/root"), 403);
    assert_eq!(ask(&job, "GET", "aws/sts/365-dev"), 403);
    let login = |token: &GitlabToken| {
        let body = json!({ "role": "deploy", "jwt": token.sign() });
        site.vault.request("POST", "auth/gitlab/login", None, &[], Some(&body)).status
    };
    let fits = || GitlabToken::new().issuer(&site.gitlab.issuer_url()).audience(AUDIENCE).at(site.vault.now());
    assert_eq!(login(&fits()), 200);
    assert_eq!(login(&fits().project_id("366")), 400);
    assert_eq!(login(&fits().ref_protected(false)), 400);
    assert_eq!(login(&fits().audience("https://other.example.com")), 400);
}

#[test]
fn the_aws_tools_take_the_credential_process_line_as_it_stands() {
    let Some(aws) = tool::find("aws") else { return };
    let Some(site) = Site::set_up() else { return };
    let text = example("aws/config");
    let config = site.path("home/config");
    std::fs::write(&config, &text).expect("a configuration");
    let job = jobs_of("id-token-aws").remove(0);
    // No AWS answers here: what counts is the key that the request was signed with.
    let cloud = Sink::start(Tls::Off);
    let mut run = Run::new(&aws, &site.path("work"));
    run.arguments = format!("sts get-caller-identity --profile deploy --endpoint-url {}", cloud.address())
        .split(' ')
        .map(str::to_owned)
        .collect();
    let run = site.environment(&job, run).env("AWS_CONFIG_FILE", &config.display().to_string());
    let ran = run.env("AWS_MAX_ATTEMPTS", "1").run();
    let requests = cloud.requests();
    let signature = requests.first().and_then(|request| request.headers.get("authorization"));
    let signature = signature.unwrap_or_else(|| panic!("no signed request: {ran:?}"));
    let keys = site.vault.live_keys();
    assert!(keys.iter().any(|key| signature.contains(&format!("Credential={key}/"))), "{signature}: {keys:?}");
    assert_eq!(site.vault.minted().into_iter().collect::<Vec<_>>(), [("aws/sts/365-dev".to_owned(), 1)]);
}

#[test]
fn the_aws_tools_find_the_object_storage_by_the_profile_as_it_stands() {
    let (Some(aws), Some(python)) = (tool::find("aws"), moto::python()) else { return };
    let Some(site) = Site::set_up() else { return };
    let config = site.path("home/config");
    std::fs::write(&config, example("aws/config")).expect("a configuration");
    let job = jobs_of("id-token-exoscale").remove(0);
    let play = |program: &Path, arguments: &[&str]| {
        let mut run = Run::new(program, &site.path("work"));
        run.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let run = site.environment(&job, run).env("AWS_CONFIG_FILE", &config.display().to_string());
        run.env("AWS_PROFILE", "storage").env("AWS_MAX_ATTEMPTS", "1").run()
    };
    let found = "import boto3\nm = boto3.client('s3').meta\nprint(m.endpoint_url, m.region_name, \
                 m.config.request_checksum_calculation, m.config.response_checksum_validation)";
    let ran = play(&python, &["-c", found]);
    assert_eq!(ran.stdout, "https://sos-ch-gva-2.exo.io ch-gva-2 when_required when_required\n", "{ran:?}");
    let cloud = Sink::start(Tls::Off);
    let ran = play(&aws, &["s3", "ls", "--endpoint-url", &cloud.address()]);
    let requests = cloud.requests();
    let signature = requests.first().and_then(|request| request.headers.get("authorization"));
    let signature = signature.unwrap_or_else(|| panic!("no signed request: {ran:?}"));
    let keys = site.vault.live_keys();
    assert!(keys.iter().any(|key| signature.contains(&format!("Credential={key}/"))), "{signature}: {keys:?}");
    assert!(signature.contains("/ch-gva-2/s3/aws4_request"), "{signature}");
}

#[test]
fn the_configuration_file_says_all_that_a_job_needs_but_its_identity() {
    let Some(site) = Site::set_up() else { return };
    let world = World::start();
    // A checkout may be writable by its group; the program wants a file that is not.
    let path = world.file("ci-creds.toml", &example("ci-creds.toml"));
    let token = GitlabToken::new().issuer(&site.gitlab.issuer_url()).audience(AUDIENCE).at(site.vault.now()).sign();
    let run = |line: &str| {
        let run = world.command(line).arg("--config").arg(&path.display().to_string());
        run.env("VAULT_ADDR", &site.vault.address()).env("VAULT_ID_TOKEN", &token).run().ok()
    };
    let exoscale = run("exoscale");
    assert!(exoscale.contains("export EXOSCALE_ZONE='ch-gva-2'"), "{exoscale}");
    let aws = run("aws");
    assert!(aws.contains("export AWS_REGION='eu-central-1'"), "{aws}");
    let minted: Vec<_> = site.vault.minted().into_keys().collect();
    assert_eq!(minted, ["aws/sts/365-dev", "exoscale/apikey/deploy"]);
    // Without VAULT_ADDR its own address counts, and the CA that only a real machine has is asked for by name.
    let failed = world.command("aws").without("VAULT_ADDR").arg("--config").arg(&path.display().to_string());
    let failed = failed.env("VAULT_ID_TOKEN", &token).run().failed(78, "config");
    assert!(failed.stderr.contains("/etc/ssl/private-ca.pem"), "{failed:?}");
}
