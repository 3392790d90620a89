//! A workflow of GitHub Actions, as far as the example uses it: one job's steps, run one after the other as the runner
//! does, each in a new shell, with what the steps before it put into `$GITHUB_ENV`.

use std::collections::BTreeMap;

use dev_vault::{GitlabToken, TokenIssuer, TokenWire};
use serde_json::json;
use yaml_rust2::{Yaml, YamlLoader};

use super::{AUDIENCE, Site, assert_tools_had_credentials, example};
use crate::github::{in_a_step, parse_variables, take_masks};
use crate::support::expect::without_receipt;
use crate::support::{Ran, Run, tool};

pub(super) struct Workflow {
    pub(super) variables: BTreeMap<String, String>,
    /// Name and lines.
    pub(super) steps: Vec<(String, String)>,
}

pub(super) fn parse(text: &str) -> Workflow {
    let document = YamlLoader::load_from_str(text).expect("YAML").remove(0);
    let job = &document["jobs"]["deploy"];
    let word = |yaml: &Yaml| yaml.as_str().unwrap_or_else(|| panic!("no text: {yaml:?}")).to_owned();
    let known = |yaml: &Yaml, keys: &[&str]| {
        let found: Vec<_> = yaml.as_hash().expect("a map").keys().map(&word).collect();
        assert_eq!(found, keys, "a keyword that this test does not look at");
    };
    known(job, &["runs-on", "permissions", "env", "steps"]);
    // Without it GitHub gives the job no token.
    assert_eq!(job["permissions"]["id-token"].as_str(), Some("write"));
    let variables = job["env"].as_hash().expect("variables").iter();
    let steps = job["steps"].as_vec().expect("steps").iter().inspect(|step| known(step, &["name", "run"]));
    Workflow {
        variables: variables.map(|(name, value)| (word(name), word(value))).collect(),
        steps: steps.map(|step| (word(&step["name"]), word(&step["run"]))).collect(),
    }
}

/// What a job of this workflow shows to have a token signed.
pub(super) const PROOF: &str = "proof-of-this-one-job-0123456789";

/// GitHub's issuer for this job: gives the ID token to whoever shows the job's own, as often as it is asked.
pub(super) fn issuer(token: &GitlabToken) -> TokenIssuer {
    let token = token.clone();
    TokenIssuer::start(TokenWire::Github, PROOF, Vec::new(), move |audience| token.clone().audience(audience).sign())
}

/// Runs the steps until one fails; each one's end, and what the runner would have logged of it.
pub(super) fn play(site: &Site, workflow: &Workflow, token: &GitlabToken, job_token: &str) -> Vec<Ran> {
    let issuer = issuer(token);
    let mut later = Vec::new();
    let mut ended = Vec::new();
    for (number, (_, lines)) in workflow.steps.iter().enumerate() {
        let (script, file) = (site.path(&format!("step-{number}.sh")), site.path(&format!("env-{number}")));
        std::fs::write(&script, lines).expect("a script");
        std::fs::write(&file, "").expect("a file");
        // What a `run:` without `shell:` is given to.
        let run = Run::new(&tool::find("bash").expect("bash"), &site.path("work")).arg("-e");
        let run = workflow.variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        let run = later.iter().fold(run, |run, (name, value): &(String, String)| run.env(name, value));
        let run = in_a_step(site.on_path(run.arg(&script.display().to_string())))
            .env("CALLS", &site.path("calls").display().to_string())
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.url())
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", job_token)
            .env("GITHUB_ENV", &file.display().to_string());
        let mut ran = run.run();
        let masks = take_masks(&mut ran);
        later.extend(parse_variables(&std::fs::read_to_string(&file).expect("the file")));
        // What the runner now knows is what it blanks out.
        assert_eq!(masks.len(), expected_masks(number, job_token, ran.code), "{ran:?}");
        site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
        let code = ran.code;
        ended.push(ran);
        if code != 0 {
            break;
        }
    }
    ended
}

/// The token of a run that got one, and what it delivers.
fn expected_masks(number: usize, job_token: &str, code: i32) -> usize {
    match (number, code) {
        (0, 0) => 3,
        (0, _) if job_token == PROOF => 1,
        _ => 0,
    }
}

/// Who signs the tokens of GitHub.
pub(super) const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// A Vault that believes GitHub's tokens, here signed by the double's own key.
pub(super) fn site_that_believes_github() -> Option<(Site, GitlabToken)> {
    tool::find("bash")?;
    let site = Site::set_up()?;
    site.vault.write("sys/auth/github", json!({ "type": "jwt" }));
    let key = GitlabToken::public_key_pem();
    site.vault.write("auth/github/config", json!({ "jwt_validation_pubkeys": [key], "bound_issuer": ISSUER }));
    let role = json!({
        "role_type": "jwt", "user_claim": "repository", "bound_audiences": [AUDIENCE],
        "bound_claims": { "repository": "example/app" }, "token_policies": ["aws-365"], "token_ttl": "1h",
    });
    site.vault.write("auth/github/role/deploy", role);
    let token = GitlabToken::new().issuer(ISSUER).audience(AUDIENCE).claim("repository", "example/app");
    let token = token.at(site.vault.now());
    Some((site, token))
}

#[test]
fn the_workflow_of_github_gets_its_credential_for_the_later_steps() {
    let Some((site, token)) = site_that_believes_github() else { return };
    let workflow = parse(&example("github/aws.yml"));
    let ended = play(&site, &workflow, &token, PROOF);
    assert_eq!(ended.len(), 2);
    for (ran, (name, _)) in ended.iter().zip(&workflow.steps) {
        // The first step gets the credential, the second one uses it.
        let is_first = *name == workflow.steps[0].0;
        let log = if is_first { without_receipt(&ran.stderr) } else { ran.stderr.clone() };
        assert_eq!((ran.code, ran.stdout.as_str(), log.as_str()), (0, "", ""), "{name}: {ran:?}");
    }
    assert_tools_had_credentials(&site, &[workflow.steps[1].1.clone()], "github/aws.yml");
    assert_eq!(site.vault.minted().into_iter().collect::<Vec<_>>(), [("aws/sts/365-production".to_owned(), 1)]);
}

#[test]
fn the_workflow_of_github_ends_at_the_step_whose_login_is_refused() {
    let Some((site, token)) = site_that_believes_github() else { return };
    let workflow = parse(&example("github/aws.yml"));
    // Another repository's token; and GitHub's issuer refusing, after which there is none.
    for (token, job_token, code) in
        [(token.claim("repository", "example/fork"), PROOF, 77), (GitlabToken::new(), "of-another", 77)]
    {
        let ended = play(&site, &workflow, &token, job_token);
        assert_eq!((ended.len(), ended[0].code), (1, code), "{ended:?}");
        assert_eq!(ended[0].stderr.lines().filter(|line| line.contains("error[")).count(), 1, "{ended:?}");
    }
    assert!(site.take_calls().is_empty() && site.vault.minted().is_empty());
}
