//! The examples for other CI systems than GitLab and GitHub: their script lines run with the variables of such a job and a
//! stand-in for what signs its ID token.

use std::collections::BTreeMap;
use std::path::Path;

use dev_vault::{GitlabToken, TokenIssuer, TokenWire};
use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use super::{AUDIENCE, Site, example, site::program_sum};
use crate::support::{Ran, Run, leak, tool};

const PROOF: &str = "proof-of-this-one-job-0123456789";
const AZURES: &str = "api://AzureADTokenExchange";

/// What a job has of its pipeline, and the lines that its shell gets.
struct Script {
    variables: BTreeMap<String, String>,
    lines: Vec<String>,
}

fn word(yaml: &Yaml) -> String {
    yaml.as_str().unwrap_or_else(|| panic!("no text: {yaml:?}")).to_owned()
}

fn words(yaml: &Yaml) -> BTreeMap<String, String> {
    yaml.as_hash().map(|map| map.iter().map(|(name, value)| (word(name), word(value))).collect()).unwrap_or_default()
}

/// Reads the one job of a file, where its system has it. What gives the job a token must be there.
fn parse(file: &str, text: &str) -> Script {
    if file == "jenkins/Jenkinsfile" {
        assert!(text.contains("string(credentialsId: 'vault-id-token', variable: 'VAULT_ID_TOKEN')"));
        let unquoted = |word: &str| Some(word.strip_prefix('\'')?.strip_suffix('\'')?.to_owned());
        let lines = || text.lines().map(str::trim);
        let variable =
            |line: &str| line.split_once(" = ").and_then(|(name, value)| Some((name.into(), unquoted(value)?)));
        let scripts = lines().filter_map(|line| unquoted(line.strip_prefix("sh ")?)).collect();
        return Script { variables: lines().filter_map(variable).collect(), lines: scripts };
    }
    let document = YamlLoader::load_from_str(text).expect("YAML").remove(0);
    match file {
        "forgejo/aws.yml" => {
            let job = &document["jobs"]["deploy"];
            assert_eq!(job["enable-openid-connect"].as_bool(), Some(true));
            Script { variables: words(&job["env"]), lines: vec![word(&job["steps"][0]["run"])] }
        }
        "buildkite/pipeline.yml" => {
            let lines = document["steps"][0]["commands"].as_vec().expect("commands").iter().map(word).collect();
            Script { variables: words(&document["env"]), lines }
        }
        "circleci/config.yml" => {
            let job = &document["jobs"]["deploy"];
            Script { variables: words(&job["environment"]), lines: vec![word(&job["steps"][1]["run"]["command"])] }
        }
        "bitbucket/bitbucket-pipelines.yml" => {
            let step = &document["pipelines"]["branches"]["main"][0]["step"];
            assert_eq!(step["oidc"]["audiences"][0].as_str(), Some(AUDIENCE));
            let lines = step["script"].as_vec().expect("a script").iter().map(word).collect();
            Script { variables: BTreeMap::new(), lines }
        }
        "azure/azure-pipelines.yml" => {
            let [install, step] = document["steps"].as_vec().expect("steps").as_slice() else { panic!("two steps") };
            assert_eq!(step["env"]["SYSTEM_ACCESSTOKEN"].as_str(), Some("$(System.AccessToken)"));
            Script {
                variables: words(&document["variables"]),
                lines: vec![word(&install["bash"]), word(&step["bash"])],
            }
        }
        other => panic!("{other} is read by nobody"),
    }
}

/// The claims of the job that the file's comment lets in, and the audience.
fn claims(file: &str) -> (Value, &'static str) {
    let claims = match file {
        "forgejo/aws.yml" => {
            json!({ "repository": "example/app", "repository_owner": "example", "ref": "refs/heads/main" })
        }
        "buildkite/pipeline.yml" => {
            json!({ "organization_slug": "example", "pipeline_slug": "app", "build_branch": "main" })
        }
        "circleci/config.yml" => {
            json!({ "oidc.circleci.com/project-id": "PROJECT_ID", "oidc.circleci.com/ssh-rerun": false })
        }
        "bitbucket/bitbucket-pipelines.yml" => json!({ "repositoryUuid": "{REPOSITORY_UUID}", "branchName": "main" }),
        _ => json!({ "org_id": "o", "prj_id": "p" }),
    };
    (claims, if file.starts_with("azure/") { AZURES } else { AUDIENCE })
}

/// What an operator does by the file's comment: the JWT role as it stands there, and its mount.
fn set_up(site: &Site, text: &str, issuer: &str) {
    let comment: String = text
        .lines()
        .filter_map(|line| line.strip_prefix('#').or(line.strip_prefix("//")))
        .map(|line| format!("{line}\n"))
        .collect();
    let mount = comment.split("-path=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a mount").to_owned();
    let role = comment.split("<<'JSON'").nth(1).and_then(|rest| rest.split("JSON").next()).expect("a role");
    site.vault.write(&format!("sys/auth/{mount}"), json!({ "type": "jwt" }));
    let key = GitlabToken::public_key_pem();
    site.vault
        .write(&format!("auth/{mount}/config"), json!({ "jwt_validation_pubkeys": [key], "bound_issuer": issuer }));
    site.vault.write(&format!("auth/{mount}/role/deploy"), serde_json::from_str(role).expect("JSON"));
}

/// Runs the lines as a job of that system, with this token from what signs it.
fn play(site: &Site, file: &str, script: &Script, token: &GitlabToken) -> Ran {
    std::fs::write(site.path("script.sh"), script.lines.join("\n")).expect("a script");
    let run = Run::new(&tool::find("bash").expect("bash"), &site.path("work")).arg("-e");
    let run = script.variables.iter().fold(run, |run, (name, value)| run.env(name, value));
    let run = site.on_path(run.arg(&site.path("script.sh").display().to_string())).env("CI", "true");
    let run = run.env("CALLS", &site.path("calls").display().to_string());
    let signer = token.clone();
    let issuer = |wire| TokenIssuer::start(wire, PROOF, Vec::new(), move |_| signer.sign());
    let prints = |name: &str| {
        std::fs::write(site.path("token"), token.sign()).expect("a token");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *{AUDIENCE}*) cat {};; *) exit 9;; esac\n",
            site.path("token").display()
        );
        std::fs::write(site.path("program"), text).expect("a program");
        tool::install(&site.path("program"), &site.path("bin").join(name), "0755");
    };
    // No variable of the runner that names the checkout: the folder with the tools lies in this one.
    let run = run.env("WORKSPACE", &site.path("work").display().to_string());
    match file {
        "forgejo/aws.yml" => {
            let issuer = issuer(TokenWire::Forgejo);
            let run = run.env("FORGEJO_ACTIONS", "true").env("GITHUB_ACTIONS", "true").env("GITEA_ACTIONS", "true");
            run.env("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.url()).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", PROOF).run()
        }
        "buildkite/pipeline.yml" => {
            prints("buildkite-agent");
            run.env("BUILDKITE", "true").env("BUILDKITE_AGENT_ACCESS_TOKEN", PROOF).run()
        }
        "circleci/config.yml" => {
            prints("circleci");
            run.env("CIRCLECI", "true")
                .env("CIRCLE_OIDC_TOKEN_V2", &token.clone().audience("organisation").sign())
                .run()
        }
        "jenkins/Jenkinsfile" => {
            run.env("JENKINS_URL", "https://jenkins.example.com/").env("VAULT_ID_TOKEN", &token.sign()).run()
        }
        "bitbucket/bitbucket-pipelines.yml" => {
            run.env("BITBUCKET_COMMIT", "f00").env("BITBUCKET_STEP_OIDC_TOKEN", &token.sign()).run()
        }
        _ => {
            let issuer = issuer(TokenWire::Azure);
            let run = run
                .env("CI_CREDS_URL", &format!("file://{}", env!("CARGO_BIN_EXE_ci-creds")))
                .env("CI_CREDS_SHA256", program_sum())
                .env("AGENT_TEMPDIRECTORY", &site.path("tmp").display().to_string());
            let run = run.env("TF_BUILD", "True").env("SYSTEM_OIDCREQUESTURI", &issuer.url());
            run.env("SYSTEM_ACCESSTOKEN", PROOF).run()
        }
    }
}

#[test]
fn the_example_of_every_other_system_deploys_with_a_credential_and_leaves_none() {
    const FILES: [&str; 6] = [
        "azure/azure-pipelines.yml",
        "bitbucket/bitbucket-pipelines.yml",
        "buildkite/pipeline.yml",
        "circleci/config.yml",
        "forgejo/aws.yml",
        "jenkins/Jenkinsfile",
    ];
    if tool::find("bash").is_none() {
        return;
    }
    let Some(site) = Site::set_up() else { return };
    for file in FILES {
        let text = example(file);
        let issuer = format!("https://{}.example.com", file.split('/').next().unwrap_or_default());
        set_up(&site, &text, &issuer);
        let script = parse(file, &text.replace("https://vault.example.com:8200", &site.vault.address()));
        let (claims, audience) = claims(file);
        // The subject is what Azure and Jenkins are bound by.
        let subject =
            if file.starts_with("jenkins/") { "https://jenkins.example.com/job/app/" } else { "p://example/web/app" };
        let token = GitlabToken::of(&claims).issuer(&issuer).audience(audience).subject(subject);
        let token = token.at(site.vault.now());
        let ran = play(&site, file, &script, &token);
        assert_eq!(ran.code, 0, "{file}: {ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        site.assert_no_secret_in(&said);
        assert_eq!(leak::find([PROOF], &said), None, "{file}: {said}");
        if file.starts_with("azure/") {
            let folder = ran.stdout.split("##vso[task.prependpath]").nth(1).and_then(|rest| rest.lines().next());
            assert!(Path::new(folder.expect("a folder")).join("ci-creds").is_file(), "{ran:?}");
        }
        let calls = site.take_calls();
        let [(line, variables)] = calls.as_slice() else { panic!("{file}: {calls:?}") };
        assert_eq!(line, "aws s3 sync build s3://example-production", "{file}");
        assert!(
            variables.contains_key("AWS_ACCESS_KEY_ID") && variables["AWS_REGION"] == "eu-central-1",
            "{variables:?}"
        );
        assert!(site.vault.live_leases().is_empty(), "{file}: a lease is left");
        // Another project's job.
        let others = |claims: &Value| {
            claims.as_object().into_iter().flatten().fold(token.clone(), |token, (name, _)| token.claim(name, "other"))
        };
        let ran = play(&site, file, &script, &others(&claims).subject("p://example/web/other"));
        assert_ne!(ran.code, 0, "{file}: {ran:?}");
        assert!(site.take_calls().is_empty(), "{file}: the tool ran without a credential");
    }
}
