//! action.yml: its steps, run as GitHub's runner runs those of a composite action.

use std::collections::BTreeMap;
use std::path::Path;

use dev_vault::GitlabToken;
use yaml_rust2::{Yaml, YamlLoader};

use super::workflow::{PROOF, issuer, site_that_believes_github};
use super::{AUDIENCE, Site, site};
use crate::github::{in_a_step, parse_variables, take_masks};
use crate::support::{Ran, Run, tool};

struct Step {
    /// The input that must not be empty.
    needs: Option<String>,
    /// Variable and input.
    variables: Vec<(String, String)>,
    script: String,
}

struct Action {
    /// Each input, with its default; none where it must be given.
    inputs: BTreeMap<String, Option<String>>,
    steps: Vec<Step>,
}

fn parse(text: &str) -> Action {
    let document = YamlLoader::load_from_str(text).expect("YAML").remove(0);
    let word = |yaml: &Yaml| yaml.as_str().unwrap_or_else(|| panic!("no text: {yaml:?}")).to_owned();
    let pairs = |yaml: &Yaml| yaml.as_hash().cloned().expect("a map").into_iter();
    assert_eq!(document["runs"]["using"].as_str(), Some("composite"));
    let input = |(name, body): (Yaml, Yaml)| {
        assert!(body["description"].as_str().is_some(), "{name:?} is not described");
        let default = body["default"].as_str().map(str::to_owned);
        assert_eq!(default.is_none(), body["required"].as_bool() == Some(true), "{name:?}: required, or a default");
        (word(&name), default)
    };
    let step = |step: &Yaml| {
        // A composite action must name the shell of each step.
        assert_eq!(step["shell"].as_str(), Some("bash"));
        let script = word(&step["run"]);
        // Security: what is put into a script before the shell reads it can be a command of somebody else's.
        assert!(!script.contains("${{"), "an expression in a script: {script}");
        let variable = |(name, value): (Yaml, Yaml)| {
            let value = word(&value);
            let input = value.strip_prefix("${{ inputs.").and_then(|rest| rest.strip_suffix(" }}"));
            (word(&name), input.unwrap_or_else(|| panic!("not an input: {value}")).to_owned())
        };
        let condition = |text: &str| {
            let input = text.strip_prefix("inputs.").and_then(|rest| rest.strip_suffix(" != ''"));
            input.unwrap_or_else(|| panic!("a condition that this test does not know: {text}")).to_owned()
        };
        Step {
            needs: step["if"].as_str().map(condition),
            variables: pairs(&step["env"]).map(variable).collect(),
            script,
        }
    };
    Action {
        inputs: pairs(&document["inputs"]).map(input).collect(),
        steps: document["runs"]["steps"].as_vec().expect("steps").iter().map(step).collect(),
    }
}

/// Runs the action in a step of a job; the last step's end, and the variables that the job has afterwards.
fn play(site: &Site, token: &GitlabToken, with: &[(&str, &str)]) -> (Ran, Vec<(String, String)>) {
    let action =
        parse(&std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/action.yml")).expect("the action"));
    for (name, _) in with {
        assert!(action.inputs.contains_key(*name), "action.yml has no input {name}");
    }
    let value = |name: &str| {
        let given = with.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let default = || action.inputs.get(name).unwrap_or_else(|| panic!("no input {name}")).clone();
        given.or_else(default).unwrap_or_else(|| panic!("{name} was not given"))
    };
    let issuer = issuer(token);
    let [variables, folders, script] = ["github-env", "github-path", "step.sh"].map(|name| site.path(name));
    let mut ended = None;
    for file in [&variables, &folders] {
        std::fs::write(file, "").expect("a file");
    }
    for step in &action.steps {
        if step.needs.as_deref().is_some_and(|name| value(name).is_empty()) {
            continue;
        }
        std::fs::write(&script, &step.script).expect("a script");
        let bash = tool::find("bash").expect("bash");
        let run = ["--noprofile", "--norc", "-e", "-o", "pipefail"]
            .iter()
            .fold(Run::new(&bash, &site.path("work")), |run, argument| run.arg(argument));
        let run = in_a_step(site.on_path(run.arg(&script.display().to_string())));
        let path = std::fs::read_to_string(&folders).expect("the folders").replace('\n', ":");
        let path = format!("{path}{}", run.variables()["PATH"]);
        let run = step.variables.iter().fold(run, |run, (name, input)| run.env(name, &value(input)));
        let mut ran = run
            .env("PATH", &path)
            .env("RUNNER_TEMP", &site.path("tmp").display().to_string())
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.url())
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", PROOF)
            .env("GITHUB_ENV", &variables.display().to_string())
            .env("GITHUB_PATH", &folders.display().to_string())
            .run();
        take_masks(&mut ran);
        site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
        let code = ran.code;
        ended = Some(ran);
        if code != 0 {
            break;
        }
    }
    let variables = parse_variables(&std::fs::read_to_string(&variables).expect("the variables"));
    (ended.expect("a step"), variables.into_iter().collect())
}

/// What every call gives.
fn inputs<'a>(address: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [("vault-addr", address), ("audience", AUDIENCE), ("auth-path", "github"), ("auth-role", "deploy")];
    [&usual[..], more].concat()
}

#[test]
fn the_action_gives_the_later_steps_a_credential() {
    let Some((site, token)) = site_that_believes_github() else { return };
    let address = site.vault.address();
    let with = inputs(&address, &[("cloud", "aws"), ("role", "365-production"), ("region", "eu-central-1")]);
    let (ran, variables) = play(&site, &token, &with);
    assert_eq!(ran.code, 0, "{ran:?}");
    let get = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    assert_eq!(get("AWS_REGION").as_deref(), Some("eu-central-1"));
    assert!(site.vault.live_keys().contains(&get("AWS_ACCESS_KEY_ID").expect("a key")), "{variables:?}");
    // The ID token and Vault's address were for that step alone.
    assert!(variables.iter().all(|(name, _)| name.starts_with("AWS_")), "{variables:?}");
}

#[test]
fn the_action_downloads_the_program_where_the_runner_has_none() {
    let Some((site, token)) = site_that_believes_github() else { return };
    std::fs::rename(site.path("bin/ci-creds"), site.path("released")).expect("the program was there");
    let (address, url) = (site.vault.address(), format!("file://{}", site.path("released").display()));
    let more = [("cloud", "aws"), ("role", "365-production"), ("url", &url), ("sha256", site::program_sum())];
    let (ran, variables) = play(&site, &token, &inputs(&address, &more));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!variables.is_empty());
    std::fs::remove_dir_all(site.path("tmp/ci-creds")).expect("where it was put");
    // Another file than the expected one is not run.
    let other = "0".repeat(64);
    let more = [("cloud", "aws"), ("role", "365-production"), ("url", &url), ("sha256", &other)];
    let (ran, variables) = play(&site, &token, &inputs(&address, &more));
    assert_eq!((ran.code, variables.len()), (1, 0), "{ran:?}");
}

#[test]
fn the_action_ends_the_job_when_the_login_is_refused() {
    let Some((site, token)) = site_that_believes_github() else { return };
    let address = site.vault.address();
    let with = inputs(&address, &[("cloud", "aws"), ("role", "365-production")]);
    let (ran, variables) = play(&site, &token.claim("repository", "example/fork"), &with);
    assert_eq!((ran.code, variables.len()), (77, 0), "{ran:?}");
    assert!(Path::new(&site.path("calls")).metadata().is_err() && site.vault.minted().is_empty());
}
