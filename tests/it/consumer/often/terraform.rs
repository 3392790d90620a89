//! Terraform's AWS provider and its S3 backend: the SDK for Go, once in the provider and once in the core.
//!
//! Slow, so only with `CI_CREDS_TEST_SLOW=1`. The provider comes from the mirror that
//! `CI_CREDS_TEST_TERRAFORM_PLUGINS` names, or from one of Terraform's own configuration; never from the network.

use std::path::PathBuf;

use super::{Case, Job, Lent, play};
use crate::support::moto::{self, Cloud};
use crate::support::{Ran, Run, exports, tool};

/// Blocks of the provider under different names: each is a process's own client with its own credentials.
const ALIASES: [&str; 4] = ["a", "b", "c", "d"];

const PROVIDER: &str = "terraform {\n  required_providers {\n    aws = { source = \"hashicorp/aws\" }\n  }\n}\n";

/// A folder with a configuration, and the program that is run in it.
struct Workspace {
    program: PathBuf,
    folder: String,
}

impl Workspace {
    /// `None`, said aloud, when Terraform or the provider is missing, or nobody wants to wait for them.
    fn set_up(job: &Job, backend: &str) -> Option<Self> {
        if !tool::slow("Terraform") {
            return None;
        }
        let program = tool::find("terraform")?;
        let folder = job.world.path("terraform");
        std::fs::create_dir(&folder).expect("a folder");
        let blocks = ALIASES.map(|alias| {
            format!(
                "provider \"aws\" {{\n  alias = \"{alias}\"\n  region = \"us-east-1\"\n  s3_use_path_style = true\n}}\n\
                 data \"aws_caller_identity\" \"{alias}\" {{\n  provider = aws.{alias}\n}}\n\
                 resource \"aws_s3_object\" \"{alias}\" {{\n  provider = aws.{alias}\n  bucket = \"{}\"\n  \
                 key = \"{}/{alias}\"\n  content = \"made by {alias}\"\n}}\n",
                moto::BUCKET,
                job.case
            )
        });
        let arns = ALIASES.map(|alias| format!("${{data.aws_caller_identity.{alias}.arn}}")).join(" ");
        let output = format!("output \"who\" {{\n  value = \"{arns}\"\n}}\n");
        let text = format!("{PROVIDER}{backend}{}{output}", blocks.concat());
        std::fs::write(folder.join("main.tf"), text).expect("a configuration");
        let workspace = Self { program, folder: folder.display().to_string() };
        let ran = workspace.play(&installation(&job.run), &["init", "-backend=false"]);
        if ran.stderr.contains("Failed to query available provider packages") {
            tool::miss("terraform-provider-aws", "is in no mirror that Terraform was told of");
            return None;
        }
        ran.ok();
        Some(workspace)
    }

    fn play(&self, run: &Run, arguments: &[&str]) -> Ran {
        let folder = format!("-chdir={}", self.folder);
        let mut all = vec![folder.as_str()];
        all.extend(arguments);
        all.push("-no-color");
        // It asks its maker for news otherwise.
        play(&run.clone().env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1"), &self.program, &all)
    }
}

/// With the provider's mirror, and with no way to the registry.
pub(crate) fn installation(run: &Run) -> Run {
    let run = run.clone().env("HTTPS_PROXY", "http://127.0.0.1:1").env("TF_REGISTRY_DISCOVERY_RETRY", "0");
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let own = || variable("HOME").map(|home| format!("{home}/.terraformrc"));
    match (variable("CI_CREDS_TEST_TERRAFORM_PLUGINS"), variable("TF_CLI_CONFIG_FILE").or_else(own)) {
        (Some(mirror), _) => run.env("TF_CLI_ARGS_init", &format!("-plugin-dir={mirror}")),
        (None, Some(file)) => run.env("TF_CLI_CONFIG_FILE", &file),
        (None, None) => run,
    }
}

fn backend(case: Case) -> String {
    format!(
        "terraform {{\n  backend \"s3\" {{\n    bucket = \"{}\"\n    key = \"{case}/state\"\n    \
         region = \"us-east-1\"\n    use_path_style = true\n  }}\n}}\n",
        moto::BUCKET
    )
}

/// Terraform breaks its messages into lines, and frames them.
pub(crate) fn words(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Fails unless every provider was the one whom Vault's keys belong to.
fn assert_known(workspace: &Workspace, run: &Run, case: Case, cloud: &Cloud) {
    let arn = case.lent.identity(cloud).arn.as_str();
    assert_eq!(workspace.play(run, &["output", "-raw", "who"]).ok(), [arn; ALIASES.len()].join(" "), "{case:?}");
}

#[test]
fn a_whole_terraform_run_with_four_providers_and_a_backend_costs_one_credential() {
    let Some(cloud) = moto::cloud() else { return };
    for (method, lent, seconds) in [
        ("wrapping-token", Lent::Role, 800),
        ("wrapping-token", Lent::User, 3600),
        ("token", Lent::Role, 3600),
        ("token", Lent::User, 800),
    ] {
        let case = Case { method, lent, seconds };
        let job = Job::new(cloud, case);
        let Some(workspace) = Workspace::set_up(&job, &backend(case)) else { return };
        assert_eq!(job.runs(), 0, "the provider is installed without a credential");
        // Each provider asks for itself in each phase, and so does the backend.
        for (command, least) in [
            (&["init", "-input=false"][..], 1),
            (&["plan", "-input=false"], 5),
            (&["apply", "-input=false", "-auto-approve"], 9),
            (&["destroy", "-auto-approve"], 9),
        ] {
            let before = job.runs();
            let run = if command[0] == "init" { installation(&job.run) } else { job.run.clone() };
            let ran = workspace.play(&run, command);
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{case:?}: {ran:?}");
            let runs = job.count_runs(&format!("terraform {}, 4 providers, S3 backend", command[0]), before);
            assert!(runs >= least, "{command:?}: {runs}");
            if command[0] == "apply" {
                assert_known(&workspace, &job.run, case, cloud);
            }
        }
    }
}

#[test]
fn of_a_failure_terraforms_provider_shows_the_exit_code_and_its_backend_our_line() {
    let Some(cloud) = moto::cloud() else { return };
    let case = Case { method: "token", lent: Lent::Role, seconds: 3600 };
    let job = Job::new(cloud, case);
    let Some(workspace) = Workspace::set_up(&job, "") else { return };
    job.refuse();
    let ran = workspace.play(&job.run, &["plan", "-input=false"]);
    let told = words(&ran.stderr);
    assert!(told.contains("error in credential_process: exit status 77"), "{ran:?}");
    assert!(
        !told.contains("ci-creds: error"),
        "then docs/cache.md and the exit codes are worth less than they say: {ran:?}"
    );
    job.world.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));

    let job = Job::new(cloud, case);
    let workspace = Workspace::set_up(&job, &backend(case)).expect("as before");
    job.refuse();
    let ran = workspace.play(&installation(&job.run), &["init", "-input=false"]);
    let told = words(&ran.stderr);
    assert!(told.contains("ci-creds: error[denied]: ") && told.contains("exit status 77"), "{ran:?}");
    job.world.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
}

#[test]
fn terraforms_provider_reads_the_private_credentials_file() {
    let Some(cloud) = moto::cloud() else { return };
    for lent in [Lent::Role, Lent::User] {
        let case = Case { method: "token", lent, seconds: 3600 };
        let job = Job::new(cloud, case);
        let Some(workspace) = Workspace::set_up(&job, &backend(case)) else { return };
        let mut run = job.run.clone().without("AWS_CONFIG_FILE").without("AWS_PROFILE");
        let mut file = Run::new(env!("CARGO_BIN_EXE_ci-creds").as_ref(), &job.world.path("work"));
        file = run.variables().iter().fold(file, |file, (name, value)| file.env(name, value));
        file.arguments = format!("{} --format file", lent.line()).split(' ').map(str::to_owned).collect();
        let variables = exports(&file.run().ok());
        assert!(variables.contains_key("AWS_SHARED_CREDENTIALS_FILE"), "{variables:?}");
        run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        workspace.play(&installation(&run), &["init", "-input=false"]).ok();
        workspace.play(&run, &["apply", "-input=false", "-auto-approve"]).ok();
        assert_known(&workspace, &run, case, cloud);
        assert_eq!((job.runs(), job.mints()), (0, 1));
    }
}
