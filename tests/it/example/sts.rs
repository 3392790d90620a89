//! The examples that need no Vault: AWS's STS takes the ID token of GitLab's or GitHub's job itself.

use std::collections::BTreeMap;

use dev_vault::{AWS_SESSION, FIRST_ROLE, GitlabToken, Sts};

use super::workflow::{self, ISSUER, PROOF};
use super::{Site, example, pipeline};
use crate::support::{leak, tool};

const AWS: &str = "sts.amazonaws.com";
const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";

/// A tool's call, with the variables that it saw.
type Call = (String, BTreeMap<String, String>);

/// Fails unless the tool finds the session where this variable says.
fn assert_has(call: &Call, line: &str, variable: &str) {
    let (called, variables) = call;
    assert_eq!(called, line);
    let value = variables.get(variable).unwrap_or_else(|| panic!("{line} has no {variable}: {variables:?}"));
    match variable {
        "AWS_ACCESS_KEY_ID" => assert_eq!(value, AWS_SESSION.id),
        _ => assert!(!variables.contains_key("AWS_ACCESS_KEY_ID"), "{variables:?}"),
    }
    assert_eq!(variables["AWS_REGION"], "eu-central-1");
}

fn assert_silent(text: &str) {
    let secrets = [AWS_SESSION.secret, AWS_SESSION.session.expect("a session")];
    assert_eq!(leak::find(secrets, text), None, "{text}");
}

#[test]
fn the_jobs_of_gitlab_get_sessions_of_aws_in_three_ways_and_none_with_a_token_of_another_issuer() {
    let site = Site::empty();
    let sts = Sts::start(&site.issuer_url(), AWS, Vec::new());
    let jobs = pipeline::parse(&example("gitlab/aws-web-identity.gitlab-ci.yml"));
    for (job, line, variable, shown) in [
        ("upload", "aws s3 sync build s3://example-production", "AWS_ACCESS_KEY_ID", 1),
        ("apply", "terraform apply -auto-approve", "AWS_CONTAINER_CREDENTIALS_FULL_URI", 1),
        ("sync", "aws s3 sync s3://example-production s3://example-backup", "AWS_WEB_IDENTITY_TOKEN_FILE", 0),
    ] {
        let job = jobs.iter().find(|one| one.name == job).expect("the job");
        let before = sts.requests().len();
        let ran = site.run("sh", job, &job.script, &[(ENDPOINT, sts.address())]);
        assert_eq!(ran.code, 0, "{}: {ran:?}", job.name);
        assert_silent(&format!("{}{}", ran.stdout, ran.stderr));
        let calls = site.take_calls();
        let [call] = calls.as_slice() else { panic!("one call: {calls:?}") };
        assert_has(call, line, variable);
        assert_eq!(sts.requests().len() - before, shown, "{}", job.name);
        if shown == 0 {
            continue;
        }
        let other = GitlabToken::new().issuer("https://gitlab.other.example").audience(AWS).sign();
        let ran = site.run("sh", job, &job.script, &[(ENDPOINT, sts.address()), ("AWS_ID_TOKEN", other)]);
        let code = if job.name == "apply" { 125 } else { 77 };
        assert!(ran.code == code && ran.stderr.contains("needs an IAM identity provider"), "{}: {ran:?}", job.name);
        assert!(site.take_calls().is_empty(), "{}: a tool ran without a credential", job.name);
    }
    assert_eq!(site.vault.connections(), 0);
}

#[test]
fn the_workflow_of_github_gets_sessions_of_aws_for_the_later_steps_and_for_one_that_lasts() {
    if tool::find("bash").is_none() {
        return;
    }
    let site = Site::empty();
    let sts = Sts::start(ISSUER, AWS, Vec::new());
    let mut workflow = workflow::parse(&example("github/aws-web-identity.yml"));
    assert_eq!(workflow.variables["AWS_ROLE_ARN"], FIRST_ROLE);
    workflow.variables.insert(ENDPOINT.into(), sts.address());
    let token = GitlabToken::new().issuer(ISSUER).claim("sub", "repo:example/app:ref:refs/heads/main");
    let ended = workflow::play(&site, &workflow, &token.at(site.vault.now()), PROOF);
    assert_eq!(ended.iter().map(|ran| ran.code).collect::<Vec<_>>(), [0, 0, 0], "{ended:?}");
    ended.iter().for_each(|ran| assert_silent(&format!("{}{}", ran.stdout, ran.stderr)));
    let calls = site.take_calls();
    let [upload, apply] = calls.as_slice() else { panic!("two calls: {calls:?}") };
    assert_has(upload, "aws s3 sync build s3://example-production", "AWS_ACCESS_KEY_ID");
    assert_has(apply, "terraform apply -auto-approve", "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let lives: Vec<_> = sts.forms().iter().map(|form| form.get("DurationSeconds").cloned()).collect();
    assert_eq!((lives, site.vault.connections()), (vec![None, Some("900".to_owned())], 0));
}
