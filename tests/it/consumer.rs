mod often;

pub(crate) use often::{Sdk, installation, words};

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use dev_vault::{Fault, On};
use serde_json::{Value, json};

use crate::github;
use crate::support::moto::{self, Cloud, Identity};
use crate::support::shell::LastAnswer;
use crate::support::{ROLE, Ran, Run, World, tool};

/// From now on this Vault lends exactly these keys, which the cloud knows.
pub(crate) fn lend(world: &World, path: &'static str, identity: &Identity) {
    let (key, secret, session) = (identity.key.clone(), identity.secret.clone(), identity.session.clone());
    let lend = move |mut answer: Value| {
        answer["data"]["access_key"] = json!(key);
        answer["data"]["secret_key"] = json!(secret);
        for name in ["session_token", "security_token"] {
            answer["data"][name] = json!(session);
        }
        answer
    };
    world.vault.inject(On::path(path).every(), Fault::rewrite(Box::new(lend)));
}

/// A job of such a Vault.
pub fn job(cloud: &Cloud, path: &'static str, identity: &Identity) -> (World, Run) {
    let world = World::start();
    lend(&world, path, identity);
    let run = world
        .command_as("token", "")
        .env("AWS_ENDPOINT_URL", &cloud.endpoint)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "");
    (world, run)
}

/// A configuration whose profile runs the tool; everything in it may come from the caller's environment.
fn with_process(world: &World, run: Run, line: &str) -> Run {
    let tool = env!("CARGO_BIN_EXE_ci-creds");
    let text = format!("[profile ci]\nregion = us-east-1\ncredential_process = \"{tool}\" {line} --format process\n");
    run.env("AWS_CONFIG_FILE", &world.file("aws-config", &text).display().to_string())
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_PROFILE", "ci")
}

/// A program in the job's environment.
fn play(run: &Run, program: &PathBuf, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(run.variables()).stdin(std::process::Stdio::null());
    Ran::of(command)
}

/// An installed aws-cli.
#[derive(Clone, Debug)]
struct AwsCli {
    program: PathBuf,
    major: u32,
}

/// The first one of version 1 and the first one of version 2; a missing one is said aloud.
fn aws_clis() -> Vec<AwsCli> {
    static FOUND: OnceLock<Vec<AwsCli>> = OnceLock::new();
    let with_version = |program: PathBuf| {
        let mut command = Command::new(&program);
        command.arg("--version").stdin(std::process::Stdio::null());
        let major = Ran::of(command).stdout.strip_prefix("aws-cli/")?.split('.').next()?.parse().ok()?;
        Some(AwsCli { program, major })
    };
    let installed = FOUND.get_or_init(|| tool::find_all("aws").filter_map(with_version).collect());
    let first = |major: u32| {
        let found = installed.iter().find(|cli| cli.major == major);
        if found.is_none() {
            tool::miss(&format!("aws-cli/{major}"), "is not installed");
        }
        found.cloned()
    };
    [first(1), first(2)].into_iter().flatten().collect()
}

const WHO: &str = "import boto3\nprint(boto3.client('sts').get_caller_identity()['Arn'])\n\
                   print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])";

// check: 24
#[test]
fn aws_cli_signs_with_the_credentials_of_its_credential_process() {
    let Some(cloud) = moto::cloud() else { return };
    for (path, line, identity) in [
        ("/aws/sts/365-dev", "aws --role 365-dev", &cloud.role),
        ("/aws/creds/user", "aws --role user --via creds", &cloud.user),
    ] {
        for AwsCli { program, major } in aws_clis() {
            let (world, run) = job(cloud, path, identity);
            let run = with_process(&world, run, line).env("CI", "true");
            // Version 2 before 2.13 takes the address from no variable.
            let there = ["--endpoint-url", cloud.endpoint.as_str()];
            let question = ["sts", "get-caller-identity", "--query", "Arn", "--output", "text"];
            let who = play(&run, &program, &[&question, there.as_slice()].concat());
            assert_eq!(who.stdout.trim(), identity.arn, "{major}: {who:?}");
            assert_eq!((who.code, who.stderr.as_str()), (0, ""));
            // One run of the tool, one lease: the end that we print is outside of botocore's windows.
            assert_eq!(world.vault.live_leases().len(), 1, "{major}: {:?}", world.requests());
            let list = play(&run, &program, &[&["s3", "ls"], there.as_slice()].concat());
            assert!(list.stdout.contains(moto::BUCKET), "{major}: {list:?}");
        }
    }
}

#[test]
fn boto3_signs_with_the_credentials_of_its_credential_process() {
    let (Some(python), Some(cloud)) = (moto::python(), moto::cloud()) else { return };
    for (path, line, identity) in [
        ("/aws/sts/365-dev", "aws --role 365-dev", &cloud.role),
        ("/aws/creds/user", "aws --role user --via creds", &cloud.user),
    ] {
        let (world, run) = job(cloud, path, identity);
        let ran = play(&with_process(&world, run, line), &python, &["-c", WHO]);
        assert_eq!(ran.stdout, format!("{}\n['{}']\n", identity.arn, moto::BUCKET), "{ran:?}");
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn botocore_knows_when_the_credentials_end() {
    let (Some(python), Some(cloud)) = (moto::python(), moto::cloud()) else { return };
    let (world, run) = job(cloud, "/aws/sts/365-dev", &cloud.role);
    let script = "import boto3\nc = boto3.Session().get_credentials()\nf = c.get_frozen_credentials()\n\
                  print(c.method, c._expiry_time.timestamp(), f.access_key, f.secret_key, f.token)";
    let stdout = play(&with_process(&world, run, "aws --role 365-dev"), &python, &["-c", script]).ok();
    let words: Vec<_> = stdout.split_whitespace().collect();
    let end = std::time::UNIX_EPOCH + std::time::Duration::from_secs_f64(words[1].parse().expect("a time"));
    let left = world.vault.live_leases()[0].expires.duration_since(end).expect("never later than the lease").as_secs();
    // A margin of 5 s, and what the request took: at most its deadline, 60 s.
    assert!((5..65).contains(&left), "{left} s before the lease");
    assert_eq!(
        [words[0], words[2], words[3], words[4]],
        ["custom-process", &cloud.role.key, &cloud.role.secret, cloud.role.session.as_deref().unwrap_or_default()]
    );
}

#[test]
fn aws_cli_and_boto3_work_after_an_eval_whatever_was_set_before() {
    let (Some(aws), Some(python), Some(cloud)) = (tool::find("aws"), moto::python(), moto::cloud()) else { return };
    let (_world, run) = job(cloud, "/aws/sts/365-dev", &cloud.role);
    let stale = ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
    let run = stale.iter().fold(run, |run, name| run.env(name, "stale"));
    let run = run.env("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z").env("AWS_SECRET_ACCESS_KEY", "stale");
    let script = format!(
        "set -e; eval $({} aws --role 365-dev); '{}' sts get-caller-identity --query Arn --output text; '{}' -c \"$0\"",
        env!("CARGO_BIN_EXE_ci-creds"),
        aws.display(),
        python.display()
    );
    let ran = play(&run, &"/bin/sh".into(), &["-c", &script, WHO]);
    let arn = &cloud.role.arn;
    assert_eq!(ran.stdout, format!("{arn}\n{arn}\n['{}']\n", moto::BUCKET), "{ran:?}");
    assert_eq!(ran.stderr, "");
}

#[test]
fn aws_cli_and_boto3_take_what_a_step_of_github_emptied_for_unset() {
    let (Some(aws), Some(python), Some(cloud)) = (tool::find("aws"), moto::python(), moto::cloud()) else { return };
    let (world, run) = job(cloud, "/aws/creds/user", &cloud.user);
    let printed = github::in_a_step(world.command_as("token", "aws --role user --via creds --format github --reveal"));
    let stale = ["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"];
    let run = stale.iter().fold(run, |run, name| run.env(name, "stale"));
    let run = run.env("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z");
    let variables = github::parse_variables(&printed.run().ok());
    let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
    let who = play(&run, &aws, &["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]);
    assert_eq!((who.stdout.trim(), who.stderr.as_str()), (cloud.user.arn.as_str(), ""), "{who:?}");
    let ran = play(&run, &python, &["-c", WHO]);
    assert_eq!(ran.stdout, format!("{}\n['{}']\n", cloud.user.arn, moto::BUCKET), "{ran:?}");
}

/// A job whose Vault lends the Exoscale key that the cloud knows. Its variables say nothing of an endpoint.
fn storage_job(cloud: &Cloud) -> (World, Run) {
    let world = World::start();
    let (key, secret) = (cloud.storage.key.clone(), cloud.storage.secret.clone());
    let lend = move |mut answer: Value| {
        (answer["data"]["api_key"], answer["data"]["api_secret"]) = (json!(key), json!(secret));
        answer
    };
    world.vault.inject(On::path(&format!("/exoscale/apikey/{ROLE}")).every(), Fault::rewrite(Box::new(lend)));
    let run = world.command_as("token", "").env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_PAGER", "");
    (world, run)
}

/// What boto3 makes of its environment, before it sends anything.
const WHERE: &str = "import boto3\nc = boto3.client('s3')\n\
                     print(c.meta.endpoint_url, c.meta.region_name, c.meta.config.request_checksum_calculation, \
                     c.meta.config.response_checksum_validation)";

#[test]
fn aws_cli_and_boto3_find_the_object_storage_after_an_eval_and_sign_with_its_key() {
    let (Some(aws), Some(python), Some(cloud)) = (tool::find("aws"), moto::python(), moto::cloud()) else { return };
    let (world, run) = storage_job(cloud);
    let stale = ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
    let run = stale.iter().fold(run, |run, name| run.env(name, "stale"));
    let run = run.env("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z").env("AWS_SECRET_ACCESS_KEY", "stale");
    // The storage itself is not reachable here: once it is clear where they would go, only the address changes.
    let script = format!(
        "set -e; eval $({} exoscale --sos --zone ch-gva-2 --role {ROLE}); '{python}' -c \"$0\"\n\
         export AWS_ENDPOINT_URL_S3='{}'; '{aws}' s3 cp --only-show-errors \"$1\" s3://{}/sos/\n\
         '{aws}' s3 cp --only-show-errors s3://{}/sos/artifact -; '{python}' -c \"$2\"\n",
        env!("CARGO_BIN_EXE_ci-creds"),
        cloud.endpoint,
        moto::BUCKET,
        moto::BUCKET,
        aws = aws.display(),
        python = python.display(),
    );
    let artifact = world.file("artifact", "what the job made\n").display().to_string();
    let owner = "import boto3\nprint(boto3.client('s3').list_buckets()['Buckets'][0]['Name'])";
    let ran = play(&run, &"/bin/sh".into(), &["-c", &script, WHERE, &artifact, owner]);
    let found = "https://sos-ch-gva-2.exo.io ch-gva-2 when_required when_required";
    assert_eq!(ran.stdout, format!("{found}\nwhat the job made\n{}\n", moto::BUCKET), "{ran:?}");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn aws_cli_takes_the_object_storages_key_by_credential_process_and_needs_no_zone_for_it() {
    let (Some(aws), Some(cloud)) = (tool::find("aws"), moto::cloud()) else { return };
    let (world, run) = storage_job(cloud);
    let run = with_process(&world, run, &format!("exoscale --sos --role {ROLE}"));
    let run = run.env("AWS_ENDPOINT_URL_S3", &cloud.endpoint);
    let list = play(&run, &aws, &["s3", "ls"]);
    assert!(list.code == 0 && list.stdout.contains(moto::BUCKET), "{list:?}");
    assert_eq!(list.stderr, "");
    // The cloud does check: with another secret it refuses.
    let run = world.command("").env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL_S3", &cloud.endpoint);
    let run = run.env("AWS_ACCESS_KEY_ID", &cloud.storage.key).env("AWS_SECRET_ACCESS_KEY", &cloud.user.secret);
    let refused = play(&run.env("AWS_DEFAULT_REGION", "ch-gva-2"), &aws, &["s3", "ls"]);
    assert!(refused.stderr.contains("SignatureDoesNotMatch"), "{refused:?}");
}

#[test]
fn what_aws_cli_shows_of_a_failure_is_our_line_and_no_secret() {
    for AwsCli { program, major } in aws_clis() {
        let world = World::start();
        let run = with_process(&world, world.command_as("id-token", ""), "aws --role not-ours");
        world.vault.inject(
            On::path("/aws/sts/not-ours").every(),
            Fault::answer(dev_vault::Reply::error(403, "permission denied")),
        );
        let ran = play(&run, &program, &["sts", "get-caller-identity", "--endpoint-url", "http://127.0.0.1:1"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (255, ""), "{major}: {ran:?}");
        assert!(ran.stderr.contains("Error when retrieving credentials from custom-process"), "{ran:?}");
        let ours: Vec<_> = ran.stderr.lines().filter(|line| line.contains("ci-creds: error[denied]: ")).collect();
        assert_eq!(ours.len(), 1, "{ran:?}");
        assert!(ran.stderr.contains("aws/sts/not-ours") && ran.stderr.contains("  hint: "), "{ran:?}");
        assert!(!ran.stderr.contains("unset") && !ran.stderr.contains("(exit"), "{ran:?}");
        world.assert_no_secret_in(&ran.stderr);
    }
}

#[test]
fn the_process_format_is_silent_on_success_even_when_there_is_something_to_warn_of() {
    let world = World::start();
    // A warning in every other format: the variable is one that GitLab removed.
    let token = world.id_token().sign();
    let run = |line: &str| world.command(line).env("CI_JOB_JWT", &token).env("VAULT_AUTH_PATH", "gitlab").run();
    let told = run("aws --role 365-dev --format json");
    assert!(told.code == 0 && told.stderr.contains("warning"), "{told:?}");
    let silent = run("aws --role 365-dev --format process");
    assert_eq!((silent.code, silent.stderr.as_str()), (0, ""), "{silent:?}");
}

#[test]
fn env_and_python_read_dotenv_as_we_mean_it() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let stdout =
        world.command_as("token", &format!("exoscale --role {ROLE} --zone ch-gva-2 --format dotenv")).run().ok();
    let expected = format!("{}\n{}\nch-gva-2\n", answer.field("api_key"), answer.field("api_secret"));
    let show = "import os\nfor n in ('API_KEY', 'API_SECRET', 'ZONE'): print(os.environ['EXOSCALE_' + n])";
    let mut by_env = Command::new("/bin/sh");
    by_env
        .arg("-c")
        .arg("exec env $(cat \"$0\") \"$1\" -c \"$2\"")
        .arg(world.file("dotenv", &stdout))
        .arg(&python)
        .arg(show);
    assert_eq!(Ran::of(by_env).ok(), expected);
    // GitLab's own loop over `$GITLAB_ENV`.
    let mut by_loop = Command::new("/bin/sh");
    let read = "set -e; while read -r line; do export \"$line\"; done <\"$0\"; exec \"$1\" -c \"$2\"";
    by_loop.arg("-c").arg(read).arg(world.path("dotenv")).arg(&python).arg(show);
    assert_eq!(Ran::of(by_loop).ok(), expected);
    let parse = "import sys\nfor l in open(sys.argv[1]):\n  print(l.rstrip('\\n').split('=', 1)[1])";
    let path = world.path("dotenv").display().to_string();
    assert_eq!(play(&world.command(""), &python, &["-c", parse, &path]).ok(), expected);
}

#[test]
fn python_reads_the_json_of_both_formats() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    let answer = LastAnswer::watch(&world, "/aws/sts/365-dev");
    let parse = "import json,sys\nd=json.loads(sys.argv[1])\nprint(*[type(v).__name__+':'+str(v) for v in map(d.get, sys.argv[2:])], sep='\\n')\nprint(len(d))";
    for (format, names, count) in [
        ("process", ["Version", "AccessKeyId", "SecretAccessKey", "SessionToken"], 5),
        ("json", ["provider", "access_key", "secret_key", "session_token"], 9),
    ] {
        let stdout = world.command_as("token", &format!("aws --role 365-dev --format {format}")).run().ok();
        let arguments = [&["-c", parse, &stdout], names.as_slice()].concat();
        let first = if format == "process" { "int:1" } else { "str:aws" };
        let value = |name: &str| format!("str:{}", answer.field(name));
        assert_eq!(
            play(&world.command(""), &python, &arguments).ok(),
            format!("{first}\n{}\n{}\n{}\n{count}\n", value("access_key"), value("secret_key"), value("session_token")),
            "{format}"
        );
    }
}

#[test]
fn a_reader_that_went_away_costs_the_lease_and_ends_in_74_and_not_in_a_signal() {
    let world = World::start();
    for format in ["process", "shell", "json"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = world
            .command_as("id-token", &format!("aws --role user --via creds --no-cache --format {format}"))
            .to_command();
        let output = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().expect("it starts");
        let output = output.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(74), "{format}: {output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.lines().any(|line| line.starts_with("ci-creds: error[output]: ")), "{stderr}");
        world.assert_no_secret_in(&stderr);
        assert!(world.vault.live_leases().is_empty(), "{format}: a lease that nobody has");
    }
}
