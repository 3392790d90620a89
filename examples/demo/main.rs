//! `cargo run --example demo`: the published pipelines, played against a Vault on this machine.
//!
//! Each job is a real `sh` that evaluates what the real binary prints. What the demo tells is checked as it is told:
//! where anything does not go as it says, it ends with 1 and says what. It needs no network.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a demo")]
#![allow(clippy::print_stderr, reason = "a demo")]

mod job;
mod page;
mod stage;
mod tool;

use std::process::ExitCode;

use job::{Job, Log};
use page::Page;
use stage::{ROLE, Stage};

/// The lines of the first article's pipeline, which every job of it begins with.
const PUBLISHED_EXOSCALE: &str = "\
export VAULT_SECRET_ID=$(vault write -field=secret_id -f auth/approle/role/gitlab-ci-runner/secret-id) &&
test -n \"${VAULT_SECRET_ID}\" || (echo \"ERROR: failed to retrieve Vault gitlab-ci-runner AppRole secret ID\" ; exit 1) &&
export VAULT_TOKEN=$(vault write -field=token auth/approle/login role_id=${VAULT_ROLE_ID} secret_id=${VAULT_SECRET_ID}) &&
credentials=$(vault read -format=JSON exoscale/apikey/gitlab-ci-runner) &&
export EXOSCALE_API_KEY=$(jq -r .data.api_key <<< \"${credentials}\") EXOSCALE_API_SECRET=$(jq -r .data.api_secret <<< \"${credentials}\")";

/// The second one's.
const PUBLISHED_AWS: &str = "\
export VAULT_TOKEN=$(vault write -field=token auth/gitlab/login jwt=${CI_JOB_JWT})
export CREDS=$(vault write -format=json aws/sts/${CI_PROJECT_ID}-${CI_ENVIRONMENT_NAME} ttl=1h)
export AWS_ACCESS_KEY_ID=$(echo ${CREDS} | jq -r .data.access_key)
export AWS_SECRET_ACCESS_KEY=$(echo ${CREDS} | jq -r .data.secret_key)
export AWS_SESSION_TOKEN=$(echo ${CREDS} | jq -r .data.security_token)";

/// What a scene ends in: nothing, or what did not go as told.
type Told = Result<(), String>;

/// A scene.
type Scene = fn(&mut Stage, &Page) -> Told;

fn main() -> ExitCode {
    let page = Page::new();
    let tool = match tool::find() {
        Ok(tool) => tool,
        Err(problem) => {
            eprintln!("demo: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let mut stage = Stage::set(&tool);
    page.opening(&stage.vault.address());
    let scenes: [(&str, Scene); 5] = [
        ("AppRole with a generator token, to Exoscale", generator_token),
        ("AppRole with a wrapping token, to Exoscale", wrapping_token),
        ("A GitLab ID token, to AWS", id_token),
        ("A stolen wrapping token", stolen_wrapping_token),
        ("A failure stops the job", failure),
    ];
    for (number, (title, scene)) in scenes.into_iter().enumerate() {
        page.title(number + 1, title);
        if let Err(problem) = scene(&mut stage, &page) {
            eprintln!("demo: scene {} did not go as told: {problem}", number + 1);
            return ExitCode::FAILURE;
        }
    }
    page.closing(stage.requests_in_all, stage.vault.live_leases().len());
    ExitCode::SUCCESS
}

fn generator_token(stage: &mut Stage, page: &Page) -> Told {
    page.say("The runner holds the role id; a CI variable holds a token that may only create one-time secret ids.");
    page.published(PUBLISHED_EXOSCALE);
    let job = Job::new()
        .variable("VAULT_ROLE_ID", &stage.role_id)
        .variable("VAULT_TOKEN", &stage.generator_token())
        .variable("VAULT_APPROLE_ROLE", ROLE)
        .line("eval $(ci-creds exoscale)")
        .line("echo \"now we are $EXOSCALE_API_KEY\"");
    let log = stage.play(&job, page)?;
    expect_variables(&log, &["EXOSCALE_API_KEY", "EXOSCALE_API_SECRET"])?;
    stage.end(page, 3, 1)
}

fn wrapping_token(stage: &mut Stage, page: &Page) -> Told {
    page.say("The job gets a wrapping token: it can be used once, for a minute, and who uses it first is found out.");
    let job = Job::new()
        .variable("VAULT_ROLE_ID", &stage.role_id)
        .variable("VAULT_WRAPPING_TOKEN", &stage.wrapping_token())
        .variable("VAULT_APPROLE_ROLE", ROLE)
        .line("eval $(ci-creds exoscale)");
    let log = stage.play(&job, page)?;
    expect_variables(&log, &["EXOSCALE_API_KEY", "EXOSCALE_API_SECRET"])?;
    stage.end(page, 4, 1)
}

fn id_token(stage: &mut Stage, page: &Page) -> Told {
    page.say("No secret is stored anywhere: GitLab signs who the job is, and the role follows from that.");
    page.published(PUBLISHED_AWS);
    let job = Job::new()
        .variable("VAULT_ID_TOKEN", &stage.id_token())
        .variable("VAULT_AUTH_PATH", "gitlab")
        .line("eval $(ci-creds aws --role '{project_id}-{environment}' --ttl 1h)");
    let log = stage.play(&job, page)?;
    expect_variables(&log, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])?;
    stage.end(page, 2, 1)
}

fn stolen_wrapping_token(stage: &mut Stage, page: &Page) -> Told {
    page.say("Somebody has read the wrapping token and unwrapped it before the job did. He lacks the role id;");
    page.say("but the job must not go on as if nothing had happened.");
    let token = stage.wrapping_token();
    stage.steal(&token);
    let job = Job::new()
        .variable("VAULT_ROLE_ID", &stage.role_id)
        .variable("VAULT_WRAPPING_TOKEN", &token)
        .variable("VAULT_APPROLE_ROLE", ROLE)
        .line("eval $(ci-creds exoscale)")
        .line("echo \"deploying\"");
    let log = stage.play(&job, page)?;
    expect_failure(&log, 79, &["error[spent]", "already used", "audit log"])?;
    // The lookup spends nothing, and nothing follows it.
    stage.end(page, 1, 0)
}

fn failure(stage: &mut Stage, page: &Page) -> Told {
    page.say("The policy does not allow this role. With `set -e`, as GitLab runs its scripts, the eval ends the job:");
    let job = Job::new()
        .variable("VAULT_ROLE_ID", &stage.role_id)
        .variable("VAULT_WRAPPING_TOKEN", &stage.wrapping_token())
        .variable("VAULT_APPROLE_ROLE", ROLE)
        .line("eval $(ci-creds exoscale --role production)")
        .line("echo \"deploying\"");
    let log = stage.play(&job, page)?;
    expect_failure(&log, 77, &["error[denied]", "exoscale/apikey/production"])?;
    // The fifth takes the login back, which nobody needs any more.
    stage.end(page, 5, 0)?;
    println!();
    page.say("For contrast, a command that fails and prints nothing. The shell evaluates the nothing, and goes on:");
    let log = stage.play(&Job::new().line("eval $(false)").line("echo \"deploying without a credential\""), page)?;
    if log.code != 0 || !log.text.contains("\ndeploying without") {
        return Err(format!("an empty eval did not go on (code {})", log.code));
    }
    Ok(())
}

fn expect_variables(log: &Log, names: &[&str]) -> Told {
    match names.iter().find(|name| log.variable(name).is_none_or(str::is_empty)) {
        None if log.code == 0 => Ok(()),
        None => Err(format!("the job ended with {}", log.code)),
        Some(name) => Err(format!("the job has no {name}")),
    }
}

fn expect_failure(log: &Log, code: i32, words: &[&str]) -> Told {
    if log.code != code {
        return Err(format!("the job ended with {} and not with {code}", log.code));
    }
    if log.text.contains("\ndeploying") {
        return Err("the job went on".into());
    }
    match words.iter().find(|word| !log.text.contains(*word)) {
        None => Ok(()),
        Some(word) => Err(format!("the log does not say `{word}`")),
    }
}
