//! The pipelines and the CI/CD components as gitlab-ci-local runs them: it reads whole files with their includes and
//! inputs, checks each pipeline against GitLab's schema, and gives the lines to bash. It has no containers here, so `image:` is
//! ignored. It makes no ID token: the job's variable has one, as in GitLab. It knows bash alone: what the components
//! say is also given to the shells of small images.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use yaml_rust2::{Yaml, YamlLoader};

use super::pipeline::{self, Job};
use super::{AUDIENCE, PIPELINES, Site, assert_tools_had_credentials, example, jobs_of, site};
use crate::support::{Ran, Run, tool};

/// A project of a GitLab in which `tools/ci-creds` is a copy of this one, with the tag 0.1.0.
pub(crate) struct Project {
    folder: PathBuf,
    program: PathBuf,
}

impl Project {
    /// `None` where gitlab-ci-local, or what it calls, is not installed.
    pub(crate) fn new(folder: &Path) -> Option<Self> {
        let (program, git) = (tool::find("gitlab-ci-local")?, tool::find("git")?);
        // It copies the project even where it does not isolate the job.
        tool::find("rsync")?;
        for line in ["init --quiet", "remote add origin https://gitlab.example.com/group/app.git"] {
            let mut run = Run::new(&git, folder).env("HOME", &folder.display().to_string());
            run.arguments = line.split(' ').map(str::to_owned).collect();
            run.run().ok();
        }
        // Where gitlab-ci-local keeps what it has downloaded; it asks nobody for what is there.
        let kept = folder.join(".gitlab-ci-local/includes/gitlab.example.com/tools/ci-creds/0.1.0/templates");
        std::fs::create_dir_all(&kept).expect("a folder");
        for name in ["exoscale.yml", "aws.yml"] {
            let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(name);
            std::fs::copy(template, kept.join(name)).expect("a template");
        }
        Some(Self { folder: folder.to_owned(), program })
    }

    /// Runs one job of this pipeline. The variables of `run` are the job's.
    pub(crate) fn play(&self, pipeline: &str, job: &str, run: &Run) -> Ran {
        std::fs::write(self.folder.join(".gitlab-ci.yml"), pipeline).expect("a pipeline");
        let mut command = Run::new(&self.program, &self.folder);
        command.arguments =
            ["--force-shell-executor", "--shell-isolation=false", "--no-color", job].map(str::to_owned).to_vec();
        if !is_new(pipeline) {
            command = command.arg("--json-schema-validation=false");
        }
        for (name, value) in run.variables() {
            // The runner's own; what is left would win over the pipeline's.
            if ["PATH", "HOME", "TMPDIR"].contains(&name.as_str()) {
                command = command.env(name, value);
            } else {
                command = command.arg("--variable").arg(&format!("{name}={value}"));
            }
        }
        command.run()
    }
}

/// Whether no job of this pipeline was run before by these tests: then it is checked against the schema, which takes half of
/// the time of a run.
fn is_new(pipeline: &str) -> bool {
    static CHECKED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    CHECKED.lock().unwrap_or_else(PoisonError::into_inner).insert(pipeline.to_owned())
}

/// Runs a job as `site` has it. Its own variables stay those of the pipeline.
fn play(project: &Project, site: &Site, pipeline: &str, job: &Job, outside: &[(&str, String)]) -> Ran {
    let bare = Job { variables: Default::default(), ..job.clone() };
    let run = site.environment(&bare, Run::new(Path::new("/"), &site.path("work")));
    let run = outside.iter().fold(run, |run, (name, value)| run.env(name, value));
    project.play(pipeline, &job.name, &run)
}

/// What a job of component.gitlab-ci.yml is given; its lines are in the file and in what it includes.
fn component_job(name: &str) -> Job {
    Job {
        name: name.to_owned(),
        variables: Default::default(),
        environment: Some("dev".to_owned()),
        image: None,
        id_tokens: vec![("VAULT_ID_TOKEN".to_owned(), AUDIENCE.to_owned())],
        script: Vec::new(),
        after_script: Vec::new(),
    }
}

const EXO: &str = "exo compute instance list";
const AWS: &str = "aws s3 sync build s3://example-dev";

#[test]
fn gitlab_ci_local_takes_every_pipeline_and_its_jobs_get_their_credentials() {
    let Some(site) = Site::set_up() else { return };
    let Some(project) = Project::new(&site.path("work")) else { return };
    for (name, needs) in PIPELINES {
        let pipeline = example(&format!("gitlab/{name}.gitlab-ci.yml"));
        for job in jobs_of(name) {
            let ran = play(&project, &site, &pipeline, &job, &site.outside(needs));
            assert_eq!(ran.code, 0, "{name}, {}: {ran:?}", job.name);
            site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
            let lines = [job.script.clone(), job.after_script.clone()].concat();
            assert_tools_had_credentials(&site, &lines, &format!("{name}, {}", job.name));
        }
    }
}

// check: 5, 6
#[test]
fn a_job_whose_commands_run_by_exec_leaves_no_key_alive_also_when_one_of_them_fails() {
    let Some(site) = Site::set_up() else { return };
    let Some(project) = Project::new(&site.path("work")) else { return };
    let text = example("gitlab/exec.gitlab-ci.yml");
    let failing = text.replace("-- terraform apply -input=false", "-- sh -c 'terraform apply; exit 42'");
    for (pipeline, code) in [(&text, 0), (&failing, 42)] {
        let [job] = pipeline::parse(pipeline).try_into().expect("one job");
        let ran = play(&project, &site, pipeline, &job, &[]);
        assert_eq!(ran.code == 0, code == 0, "{ran:?}");
        assert!(code == 0 || format!("{}{}", ran.stdout, ran.stderr).contains("42"), "{ran:?}");
        site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
        let calls = site.take_calls();
        assert_eq!(calls.len(), 2, "{ran:?}");
        assert!(!calls[0].1.contains_key("AWS_ACCESS_KEY_ID"), "a command gets what it names, and nothing else");
        let keys = site.vault.live_keys();
        for (line, variables) in calls {
            assert!(!keys.contains(&variables["EXOSCALE_API_KEY"]), "{line}: the key still works");
            assert!(!variables.contains_key("VAULT_ID_TOKEN"), "{line}");
        }
        assert!(site.vault.live_leases().is_empty(), "{:?}", site.vault.live_leases());
    }
}

#[test]
fn the_components_give_a_job_its_credentials_and_revoke_them_after_it() {
    let Some(site) = Site::set_up() else { return };
    let Some(project) = Project::new(&site.path("work")) else { return };
    let pipeline = example("gitlab/component.gitlab-ci.yml");
    for (name, tools) in [("list", &[EXO][..]), ("migrate", &[EXO, AWS])] {
        let ran = play(&project, &site, &pipeline, &component_job(name), &[("CI_CREDS_URL", String::new())]);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
        let calls = site.take_calls();
        assert_eq!(calls.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), tools, "{name}");
        let keys = site.vault.live_keys();
        for (line, variables) in calls {
            if line == EXO {
                assert!(!keys.contains(&variables["EXOSCALE_API_KEY"]), "{name}: the key still works");
            } else {
                // Nobody can revoke an STS session. Its lease is gone below.
                assert!(keys.contains(&variables["AWS_ACCESS_KEY_ID"]), "{name}: the key never worked");
            }
        }
        assert!(site.vault.live_leases().is_empty(), "{name}: {:?}", site.vault.live_leases());
        assert!(!ran.stderr.contains("after_script"), "{name}: after_script failed: {ran:?}");
    }
}

#[test]
fn the_components_download_the_program_where_the_image_has_none() {
    let Some(site) = Site::set_up() else { return };
    let Some(project) = Project::new(&site.path("work")) else { return };
    let pipeline = example("gitlab/component.gitlab-ci.yml");
    std::fs::rename(site.path("bin/ci-creds"), site.path("released")).expect("the program was there");
    let url = ("CI_CREDS_URL", format!("file://{}", site.path("released").display()));
    let job = component_job("list");
    let ran = play(&project, &site, &pipeline, &job, std::slice::from_ref(&url));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(site.take_calls().len(), 1, "{ran:?}");
    // Another file than the expected one is not run.
    let other = ("CI_CREDS_SHA256", site::program_sum().replace(|c: char| c.is_ascii_digit(), "0"));
    let ran = play(&project, &site, &pipeline, &job, &[url, other]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(site.take_calls().is_empty(), "a tool ran without a credential: {ran:?}");
    assert_eq!(site.vault.minted().values().sum::<usize>(), 1, "{:?}", site.vault.minted());
}

/// The lines that a component puts before and after those of a job.
fn component_lines(cloud: &str) -> (Vec<String>, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(format!("{cloud}.yml"));
    let text = std::fs::read_to_string(path).expect("a template").replace("$[[ inputs.region ]]", "eu-central-1");
    let body = &YamlLoader::load_from_str(&text).expect("YAML")[1];
    let job = body["$[[ inputs.name ]]"].clone();
    let lines = |key: &str| -> Vec<String> {
        job[key].as_vec().expect("lines").iter().filter_map(Yaml::as_str).map(str::to_owned).collect()
    };
    (lines("before_script"), lines("after_script"))
}

#[test]
fn the_lines_of_the_components_run_in_the_shells_of_small_images() {
    let Some(site) = Site::set_up() else { return };
    std::fs::rename(site.path("bin/ci-creds"), site.path("released")).expect("the program was there");
    let url = format!("file://{}", site.path("released").display());
    let roles = [("CI_CREDS_EXOSCALE_ROLE", "deploy"), ("CI_CREDS_AWS_ROLE", "{project_id}-{environment}")];
    let login = [("VAULT_AUTH_PATH", "gitlab"), ("VAULT_AUTH_ROLE", "deploy"), ("CI_CREDS_URL", &url)];
    // One job has one ID token, and so one cache.
    let job = component_job("any");
    let token =
        site.environment(&job, Run::new(Path::new("/"), &site.path("work"))).variables()["VAULT_ID_TOKEN"].clone();
    let login = [&login[..], &[("VAULT_ID_TOKEN", &token)]].concat();
    let given: Vec<_> = roles.iter().chain(&login).map(|(name, value)| (*name, (*value).to_owned())).collect();
    for shell in ["sh", "bash", "mksh"] {
        if tool::find(shell).is_none() {
            continue;
        }
        for (cloud, call) in [("exoscale", EXO), ("aws", AWS)] {
            let (before, after) = component_lines(cloud);
            // Alpine has no curl.
            let before = before.iter().map(|line| line.replace("command -v curl >/dev/null", "false"));
            let lines: Vec<_> = before.chain([call.to_owned()]).collect();
            let ran = site.run(shell, &job, &lines, &given);
            assert_eq!((ran.code, site.take_calls().len()), (0, 1), "{shell}, {cloud}: {ran:?}");
            site.run(shell, &job, &after, &given).ok();
            assert!(site.vault.live_leases().is_empty(), "{shell}, {cloud}: {:?}", site.vault.live_leases());
        }
    }
}

#[test]
fn a_component_whose_login_is_refused_ends_the_job_before_its_first_tool() {
    let Some(site) = Site::set_up() else { return };
    let Some(project) = Project::new(&site.path("work")) else { return };
    let forged = dev_vault::GitlabToken::new().issuer(&site.gitlab.issuer_url()).audience(AUDIENCE);
    let forged = forged.at(site.vault.now()).sign_with_other_key();
    let outside = [("CI_CREDS_URL", String::new()), ("VAULT_ID_TOKEN", forged)];
    let pipeline = example("gitlab/component.gitlab-ci.yml");
    let ran = play(&project, &site, &pipeline, &component_job("publish"), &outside);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("error[denied]"), "{ran:?}");
    assert!(site.take_calls().is_empty(), "a tool ran without a credential");
    assert!(site.vault.minted().is_empty(), "{:?}", site.vault.minted());
}
