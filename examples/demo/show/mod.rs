//! The scenes, in order. Each shows what a job sets, what it ran before, what it runs now, and what came of that.

mod job;
mod page;
mod stage;

use std::path::Path;

use job::{Job, Log};
use page::Page;
use stage::{ROLE, Stage};

/// The lines that the first article puts before every job. Only the line breaks are ours.
const PUBLISHED_EXOSCALE: &str = "\
export VAULT_SECRET_ID=$(vault write -field=secret_id -f \\
  auth/approle/role/gitlab-ci-runner/secret-id) &&
test -n \"${VAULT_SECRET_ID}\" || (
  echo \"ERROR: failed to retrieve Vault AppRole secret ID\"; exit 1) &&
export VAULT_TOKEN=$(vault write -field=token auth/approle/login \\
  role_id=${VAULT_ROLE_ID} secret_id=${VAULT_SECRET_ID}) &&
credentials=$(vault read -format=json \\
  exoscale/apikey/gitlab-ci-runner) &&
export EXOSCALE_API_KEY=$(
  jq -r .data.api_key <<< \"${credentials}\") &&
export EXOSCALE_API_SECRET=$(
  jq -r .data.api_secret <<< \"${credentials}\")";

/// Those of the second one.
const PUBLISHED_AWS: &str = "\
export VAULT_TOKEN=$(vault write -field=token auth/gitlab/login \\
  jwt=${CI_JOB_JWT})
export CREDS=$(vault write -format=json \\
  aws/sts/${CI_PROJECT_ID}-${CI_ENVIRONMENT_NAME} ttl=1h)
export AWS_ACCESS_KEY_ID=$(echo ${CREDS} | jq -r .data.access_key)
export AWS_SECRET_ACCESS_KEY=$(echo ${CREDS} | jq -r .data.secret_key)
export AWS_SESSION_TOKEN=$(echo ${CREDS} | jq -r .data.security_token)";

/// The end of a scene: nothing, or what went otherwise.
type End = Result<(), String>;

/// A scene.
type Scene = fn(&mut Stage, &mut Page) -> End;

/// Plays all scenes with this binary and passes the text of each to `tell`.
///
/// # Errors
/// The number of the scene that went otherwise, and the difference.
pub(crate) fn play(tool: &Path, colour: bool, tell: &mut dyn FnMut(&str)) -> End {
    let mut page = Page::new(colour);
    let mut stage = Stage::set(tool);
    page.opening(&stage.vault.address());
    let scenes: [(&str, Scene); 5] = [
        ("Exoscale, with a generator token", generator_token),
        ("Exoscale, with a wrapping token", wrapping_token),
        ("AWS, with a GitLab ID token", id_token),
        ("A stolen wrapping token", stolen_wrapping_token),
        ("A failure stops the job", failure),
    ];
    for (number, (title, scene)) in (1..).zip(scenes) {
        page.title(number, title);
        let end = scene(&mut stage, &mut page);
        tell(&page.take());
        end.map_err(|problem| format!("scene {number} went otherwise: {problem}"))?;
    }
    page.closing(stage.requests_in_all, stage.vault.live_leases().len());
    tell(&page.take());
    Ok(())
}

fn generator_token(stage: &mut Stage, page: &mut Page) -> End {
    page.say(
        "GitLab holds a Vault token that can only create one-time secret IDs. The runner holds the role ID. A job needs \
         both.",
    );
    let job = Job::new()
        .variable("VAULT_ROLE_ID", &stage.role_id, "the role ID, in the runner's configuration")
        .variable("VAULT_TOKEN", &stage.generator_token(), "the generator token, a masked CI variable")
        .variable("VAULT_APPROLE_ROLE", ROLE, ROLE)
        .line("eval $(ci-creds exoscale || echo false)")
        .line("echo \"deploying with $EXOSCALE_API_KEY\"");
    page.inputs(&stage.variables(), &job);
    page.published(PUBLISHED_EXOSCALE);
    page.ours(&job);
    let log = stage.play(&job, page)?;
    expect_variables(&log, &["EXOSCALE_API_KEY", "EXOSCALE_API_SECRET"])?;
    stage.end(page, 3, 1)
}

fn wrapping_token(stage: &mut Stage, page: &mut Page) -> End {
    page.say(
        "Whoever starts the pipeline wraps a fresh secret ID. The wrapping token can be used once, within a minute. \
         GitLab holds no Vault token.",
    );
    let job = Job::new()
        .variable("VAULT_ROLE_ID", &stage.role_id, "the role ID, in the runner's configuration")
        .variable("VAULT_WRAPPING_TOKEN", &stage.wrapping_token(), "the wrapping token, a pipeline variable")
        .variable("VAULT_APPROLE_ROLE", ROLE, ROLE)
        .line("eval $(ci-creds exoscale || echo false)")
        .line("echo \"deploying with $EXOSCALE_API_KEY\"");
    page.inputs(&stage.variables(), &job);
    page.ours(&job);
    let log = stage.play(&job, page)?;
    expect_variables(&log, &["EXOSCALE_API_KEY", "EXOSCALE_API_SECRET"])?;
    stage.end(page, 4, 1)
}

fn id_token(stage: &mut Stage, page: &mut Page) -> End {
    page.say("No secret is stored anywhere. GitLab signs a token that says which project and environment the job has.");
    let job = Job::new()
        .variable("VAULT_ID_TOKEN", &stage.id_token(), "from `id_tokens:` in .gitlab-ci.yml")
        .variable("VAULT_AUTH_PATH", "gitlab", "gitlab")
        .variable("CI_CREDS_AWS_ROLE", "{project_id}-{environment}", "{project_id}-{environment}")
        .line("eval $(ci-creds aws --ttl 1h || echo false)")
        .line("echo \"deploying with $AWS_ACCESS_KEY_ID\"");
    page.inputs(&stage.variables(), &job);
    page.published(PUBLISHED_AWS);
    page.ours(&job);
    let log = stage.play(&job, page)?;
    expect_variables(&log, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])?;
    stage.end(page, 2, 1)
}

fn stolen_wrapping_token(stage: &mut Stage, page: &mut Page) -> End {
    page.say(
        "The next job is set up as in scene 2, but somebody read its wrapping token and unwrapped it first. The job \
         notices and stops.",
    );
    let token = stage.wrapping_token();
    stage.steal(&token);
    let job = Job::new()
        .variable("VAULT_ROLE_ID", &stage.role_id, "")
        .variable("VAULT_WRAPPING_TOKEN", &token, "")
        .variable("VAULT_APPROLE_ROLE", ROLE, "")
        .line("eval $(ci-creds exoscale || echo false)")
        .line("echo \"deploying with $EXOSCALE_API_KEY\"");
    let log = stage.play(&job, page)?;
    expect_failure(&log, 79, &["error[spent]", "audit log"])?;
    // The lookup spends nothing, and nothing follows it.
    stage.end(page, 1, 0)
}

fn failure(stage: &mut Stage, page: &mut Page) -> End {
    page.say(
        "This job is set up as in scene 3 and asks for a role that its policy does not allow. The eval fails, and the \
         shell's `set -e`, which GitLab sets, ends the job.",
    );
    let job = Job::new()
        .variable("VAULT_ID_TOKEN", &stage.id_token(), "")
        .variable("VAULT_AUTH_PATH", "gitlab", "")
        .line("eval $(ci-creds aws --role 365-production --ttl 1h || echo false)")
        .line("echo \"deploying with $AWS_ACCESS_KEY_ID\"");
    let log = stage.play(&job, page)?;
    expect_failure(&log, 77, &["error[denied]", "aws/sts/365-production"])?;
    // A write that is refused is tried as a read. The fourth takes the login back, which nobody needs any more.
    stage.end(page, 4, 0)?;
    page.blank();
    page.say("A helper that fails and prints nothing does not stop the job: `eval` of nothing succeeds.");
    let job = Job::new().line("eval $(false)").line("echo \"deploying with ${AWS_ACCESS_KEY_ID:-no credential}\"");
    let log = stage.play(&job, page)?;
    if log.code != 0 || !log.text.contains("\ndeploying with no credential") {
        return Err(format!("an empty eval did not go on (code {})", log.code));
    }
    Ok(())
}

fn expect_variables(log: &Log, names: &[&str]) -> End {
    match names.iter().find(|name| log.variable(name).is_none_or(str::is_empty)) {
        None if log.code == 0 => Ok(()),
        None => Err(format!("the job ended with {}", log.code)),
        Some(name) => Err(format!("the job has no {name}")),
    }
}

fn expect_failure(log: &Log, code: i32, words: &[&str]) -> End {
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
