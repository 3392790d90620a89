//! How often AWS's own tools run us as their `credential_process`, and how often Vault makes a credential for that:
//! once.
//!
//! `CI_CREDS_TEST_SLOW=1` adds what takes more than a few seconds: every lease, life and login for each consumer, fifty
//! files, sixteen calls at once, Terraform. With `--nocapture` each test prints what it counted.

mod sdk;
mod terraform;

pub(crate) use sdk::Sdk;
pub(crate) use terraform::{installation, words};

use std::path::PathBuf;
use std::process::{Command, Stdio};

use dev_vault::{Fault, On, Reply};
use serde_json::{Value, json};

use super::{AwsCli, aws_clis, play};
use crate::support::moto::{self, Cloud, Identity};
use crate::support::{ROLE, Ran, Run, World, tool};

/// A credential that the cloud knows: where Vault has it, and which line asks for it.
#[derive(Clone, Copy, Debug)]
enum Lent {
    Role,
    User,
    Storage,
}

impl Lent {
    fn path(self) -> &'static str {
        match self {
            Self::Role => "/aws/sts/365-dev",
            Self::User => "/aws/creds/user",
            Self::Storage => "/exoscale/apikey/gitlab-ci-runner",
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::Role => "aws --role 365-dev",
            Self::User => "aws --role user --via creds",
            Self::Storage => "exoscale --sos --role gitlab-ci-runner",
        }
    }

    /// A question to the cloud, for aws and for boto3, and what the right signature gets for an answer.
    fn question(self, cloud: &Cloud) -> (Vec<&'static str>, &'static str, &str) {
        match self {
            // Only a key that looks like AWS's own has a name in moto's STS.
            Self::Storage => (
                vec!["s3api", "list-buckets", "--query", "Buckets[0].Name", "--output", "text"],
                "boto3.client('s3').list_buckets()['Buckets'][0]['Name']",
                moto::BUCKET,
            ),
            Self::Role | Self::User => (
                vec!["sts", "get-caller-identity", "--query", "Arn", "--output", "text"],
                "boto3.client('sts').get_caller_identity()['Arn']",
                &self.identity(cloud).arn,
            ),
        }
    }

    fn identity(self, cloud: &Cloud) -> &Identity {
        match self {
            Self::Role => &cloud.role,
            Self::User => &cloud.user,
            Self::Storage => &cloud.storage,
        }
    }
}

/// Who asks, for what, and how many seconds it lives.
#[derive(Clone, Copy, Debug)]
struct Case {
    method: &'static str,
    lent: Lent,
    seconds: u64,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, lent, seconds } = self;
        write!(f, "{lent:?}-{seconds}s-by-{method}")
    }
}

/// botocore asks again at every request while less than this is left.
const WINDOW: u64 = 900;

/// Each lease, life and login once; and with `CI_CREDS_TEST_SLOW` each with each.
fn cases() -> Vec<Case> {
    let few =
        [("token", Lent::Role, 800), ("wrapping-token", Lent::User, 3600), ("wrapping-token", Lent::Storage, 800)];
    let mut cases: Vec<_> = few.map(|(method, lent, seconds)| Case { method, lent, seconds }).into();
    if tool::slow("the other leases, lives and logins") {
        cases.clear();
        for method in ["token", "wrapping-token"] {
            for lent in [Lent::Role, Lent::User, Lent::Storage] {
                cases.extend([3600, 800].map(|seconds| Case { method, lent, seconds }));
            }
        }
    }
    cases
}

/// A job whose profile `ci` runs the tool, through a script that notes the exit code of each run.
struct Job {
    case: Case,
    world: World,
    run: Run,
}

/// Called by its shell and not as a program: one that another test is just starting could hold it open for writing.
const NOTE: &str = "\"$CI_CREDS_TESTED\" \"$@\"\ncode=$?\necho $code >>\"$0.runs\"\nexit $code\n";

impl Job {
    fn new(cloud: &Cloud, case: Case) -> Self {
        let world = World::start();
        // The lease of a key ends with the login that asked for it, at the latest.
        world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_ttl": "2h", "token_max_ttl": "2h" }));
        let job = Self { run: configure(&world, cloud, case), case, world };
        job.lend(cloud);
        job
    }

    fn lend(&self, cloud: &Cloud) {
        let Identity { key, secret, session, .. } = self.case.lent.identity(cloud);
        let seconds = self.case.seconds;
        let known = [("access_key", json!(key)), ("secret_key", json!(secret)), ("session_token", json!(session))];
        let known = known.into_iter().chain([("api_key", json!(key)), ("api_secret", json!(secret))]);
        let known: Vec<_> = known.chain([("security_token", json!(session)), ("ttl", json!(seconds))]).collect();
        let lend = move |mut answer: Value| {
            answer["lease_duration"] = json!(seconds);
            for (name, value) in &known {
                if let Some(old) = answer["data"].get_mut(*name) {
                    *old = value.clone();
                }
            }
            answer
        };
        self.world.vault.inject(On::path(self.case.lent.path()).every(), Fault::rewrite(Box::new(lend)));
    }

    /// From now on the role has no such credential any more.
    fn refuse(&self) {
        self.world.vault.clear_faults();
        let refused = Fault::answer(Reply::error(403, "permission denied"));
        self.world.vault.inject(On::path(self.case.lent.path()).every(), refused);
    }

    fn play(&self, program: &PathBuf, arguments: &[&str]) -> Ran {
        play(&self.run, program, arguments)
    }

    /// The exit codes so far, a line each.
    fn codes(&self) -> String {
        std::fs::read_to_string(self.world.path("helper.runs")).unwrap_or_default()
    }

    /// Runs of the tool so far.
    fn runs(&self) -> usize {
        self.codes().lines().count()
    }

    /// Credentials that Vault made so far.
    fn mints(&self) -> usize {
        self.world.vault.minted().into_values().sum()
    }

    /// What was counted since there were so many runs; each succeeded, Vault made one credential and unwrapped once at
    /// most.
    fn count_runs(&self, what: &str, before: usize) -> usize {
        let (runs, mints) = (self.runs() - before, self.mints());
        eprintln!("{what}, {}: {runs} runs, {mints} credentials in Vault", self.case);
        assert_eq!(mints, 1, "{what}, {:?}: {:?}", self.case, self.world.requests());
        // While the old ones work, botocore does not tell of a failure.
        assert!(self.codes().lines().all(|code| code == "0"), "{what}, {:?}: {}", self.case, self.codes());
        let unwraps = usize::from(self.case.method == "wrapping-token");
        assert_eq!(self.world.count("sys/wrapping/unwrap"), unwraps, "{what}, {:?}", self.case);
        runs
    }
}

fn configure(world: &World, cloud: &Cloud, case: Case) -> Run {
    let helper = world.file("helper", NOTE);
    let process = format!("/bin/sh \"{}\" {} --format process", helper.display(), case.lent.line());
    let config = format!("[profile ci]\nregion = us-east-1\ncredential_process = {process}\n");
    world
        .command_as(case.method, "")
        .env("CI_CREDS_TESTED", env!("CARGO_BIN_EXE_ci-creds"))
        .env("AWS_CONFIG_FILE", &world.file("aws-config", &config).display().to_string())
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_PROFILE", "ci")
        .env("AWS_ENDPOINT_URL", &cloud.endpoint)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
}

/// Each case with aws-cli 1, and with version 2, which starts slowly, those of one login.
fn calls() -> Vec<(AwsCli, Case)> {
    let pairs = aws_clis().into_iter().flat_map(|cli| cases().into_iter().map(move |case| (cli.clone(), case)));
    pairs.filter(|(cli, case)| cli.major == 1 || case.method == "wrapping-token").collect()
}

/// For aws-cli 2 before 2.13, which takes the address from no variable.
fn to<'a>(cloud: &'a Cloud, arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--endpoint-url", &cloud.endpoint]].concat()
}

#[test]
fn an_aws_call_runs_us_once_or_twice_and_all_calls_of_a_job_cost_one_credential() {
    let Some(cloud) = moto::cloud() else { return };
    for (AwsCli { program, major }, case) in calls() {
        let (job, (arguments, _, answer)) = (Job::new(cloud, case), case.lent.question(cloud));
        for _ in 0..2 {
            let before = job.runs();
            let ran = job.play(&program, &to(cloud, &arguments));
            assert_eq!((ran.stdout.trim(), ran.stderr.as_str(), ran.code), (answer, "", 0), "{major}, {case:?}");
            let runs = job.count_runs(&format!("one call of aws-cli {major}"), before);
            assert_eq!(runs, if case.seconds > WINDOW { 1 } else { 2 }, "{major}, {case:?}");
        }
    }
}

#[test]
fn boto3_runs_us_once_or_at_every_request_and_costs_one_credential() {
    let (Some(python), Some(cloud)) = (moto::python(), moto::cloud()) else { return };
    for case in cases() {
        let (job, (_, question, answer)) = (Job::new(cloud, case), case.lent.question(cloud));
        let script = format!("import boto3\nprint({{{question} for _ in range(20)}})");
        let ran = job.play(&python, &["-c", &script]);
        assert_eq!((ran.stdout, ran.stderr.as_str(), ran.code), (format!("{{'{answer}'}}\n"), "", 0), "{case:?}");
        let runs = job.count_runs("boto3, 20 requests", 0);
        // Inside of its window botocore decides by itself how often.
        assert!(if case.seconds > WINDOW { runs == 1 } else { (20..=22).contains(&runs) }, "{runs} runs, {case:?}");
    }
}

#[test]
fn fifty_files_copied_by_aws_cost_one_credential() {
    let Some(cloud) = moto::cloud() else { return };
    if !tool::slow("fifty files copied by aws") {
        return;
    }
    // From ten minutes on botocore does not only ask, it waits for the answer: each file asks.
    let shortest = Case { method: "wrapping-token", lent: Lent::Role, seconds: 500 };
    let shortest = aws_clis().into_iter().map(|cli| (cli, shortest));
    for (AwsCli { program, major }, case) in calls().into_iter().chain(shortest) {
        let job = Job::new(cloud, case);
        let folder = job.world.path("files");
        std::fs::create_dir(&folder).expect("a folder");
        for number in 0..50 {
            std::fs::write(folder.join(number.to_string()), format!("file {number}\n")).expect("a file");
        }
        let (there, here) = (format!("s3://{}/{case}-{major}/", moto::BUCKET), folder.display().to_string());
        let ran = job.play(&program, &to(cloud, &["s3", "cp", "--recursive", "--only-show-errors", &here, &there]));
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), ("", "", 0), "{major}, {case:?}");
        let runs = job.count_runs(&format!("aws-cli {major}, s3 cp --recursive, 50 files"), 0);
        let expected = match case.seconds {
            500 => 50..=55,
            800 => 2..=55,
            _ => 1..=1,
        };
        assert!(expected.contains(&runs), "{runs} runs, {major}, {case:?}");
        assert_eq!(job.play(&program, &to(cloud, &["s3", "ls", &there])).ok().lines().count(), 50);
    }
}

#[test]
fn sixteen_aws_calls_at_once_cost_one_credential_and_all_succeed() {
    let Some(cloud) = moto::cloud() else { return };
    if !tool::slow("sixteen calls of aws at once") {
        return;
    }
    for (AwsCli { program, major }, case) in calls() {
        let job = Job::new(cloud, case);
        let (arguments, _, answer) = case.lent.question(cloud);
        let start = |_| {
            let mut command = Command::new(&program);
            command.args(to(cloud, &arguments)).env_clear().envs(job.run.variables()).stdin(Stdio::null());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        };
        let children: Vec<_> = (0..16).map(start).collect();
        for child in children {
            let output = child.wait_with_output().expect("its end");
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert_eq!(stdout.trim(), answer, "{major}, {case:?}: {output:?}");
        }
        let runs = job.count_runs(&format!("16 calls of aws-cli {major} at once"), 0);
        assert_eq!(runs, if case.seconds > WINDOW { 16 } else { 32 }, "{major}, {case:?}");
    }
}

#[test]
fn what_boto3_shows_of_a_failure_is_our_line_and_no_secret() {
    let (Some(python), Some(cloud)) = (moto::python(), moto::cloud()) else { return };
    let job = Job::new(cloud, Case { method: "wrapping-token", lent: Lent::Role, seconds: 3600 });
    job.refuse();
    let script = "import boto3\ntry: boto3.client('sts').get_caller_identity()\n\
                  except Exception as error: print(type(error).__name__, error, sep='\\n')";
    let ran = job.play(&python, &["-c", script]);
    let head =
        "CredentialRetrievalError\nError when retrieving credentials from custom-process: ci-creds: error[denied]: ";
    assert!(ran.stdout.starts_with(head), "{ran:?}");
    assert!(ran.stdout.contains("aws/sts/365-dev") && ran.stdout.contains("\n  hint: "), "{ran:?}");
    assert_eq!(ran.stdout.trim_end().lines().count(), 3, "{ran:?}");
    assert!(!ran.stdout.contains("unset") && !ran.stdout.contains("(exit"), "{ran:?}");
    job.world.assert_no_secret_in(&ran.stdout);
}

/// One request at each of these seconds, in one process whose clock is set to it: ours follows, for it is inherited.
/// What is printed: the second, whose answer it was, and how long the credential has left for botocore.
const WALK: &str = "
import boto3, datetime, os, sys
session = boto3.Session()
client = session.client('sts')
for second in range(*map(int, sys.argv[1:])):
    os.environ['FAKETIME'] = '+%d' % second
    try: who = client.get_caller_identity()['Arn']
    except Exception as error:
        print(second, type(error).__name__, str(error).splitlines()[0].replace(' ', '_'))
        break
    end = session.get_credentials()._expiry_time
    print(second, who, int((end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()))
";

/// What is left at the last request that an old credential served: the 15 s in which we give it to nobody, a step of 5 s,
/// and as much for what a busy machine needs for one step. How long the whole walk took does not count.
const NEARLY_ENDED: u64 = 30;

/// The rows of a walk, or nothing where there is no program for it.
fn walk(job: &Job, [from, to, step]: [u64; 3]) -> Option<Vec<(u64, String, String)>> {
    let (python, faketime) = (moto::python()?, tool::find("faketime")?);
    let arguments = [from, to, step].map(|number| number.to_string());
    let mut command = Command::new(faketime);
    command.args(["-f", "+0"]).arg(python).args(["-c", WALK]).args(arguments).stdin(Stdio::null());
    command.env_clear().envs(job.run.variables());
    // Without the second one the library looks only now and then which time it is to play.
    let ran = Ran::of({
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        command
    });
    Some(rows(ran))
}

/// Each line of a walk: the second, who signed, and what was left.
fn rows(ran: Ran) -> Vec<(u64, String, String)> {
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let row = |line: &str| {
        let [second, who, left] = line.split(' ').collect::<Vec<_>>().try_into().expect("three words");
        (second.parse().expect("a second"), who.to_owned(), left.to_owned())
    };
    ran.stdout.lines().map(row).collect()
}

#[test]
fn a_long_job_of_one_session_never_meets_an_ended_credential_and_costs_as_few_as_it_can() {
    let Some(cloud) = moto::cloud() else { return };
    // Two hours in steps of a minute. A lease of an hour serves 44 minutes, and botocore comes once for each; one of
    // 800 s serves two thirds of that, and botocore comes every time. There is half a minute to spare for a slow machine.
    for (lent, seconds, runs, mints) in [(Lent::Role, 3600, 3..=3, 3), (Lent::User, 800, 120..=122, 14)] {
        let job = Job::new(cloud, Case { method: "token", lent, seconds });
        let Some(rows) = walk(&job, [0, 7200, 60]) else { return };
        assert_eq!(rows.len(), 120, "{rows:?}");
        for (second, who, left) in rows {
            assert_eq!(*who, lent.identity(cloud).arn, "{second} s: {left}");
            let left: u64 = left.parse().expect("seconds, not less than none");
            assert!(left > 15, "{left} s left after {second} s");
        }
        eprintln!("boto3, two hours: {} runs, {} credentials ({lent:?} of {seconds} s)", job.runs(), job.mints());
        assert_eq!(job.mints(), mints, "{seconds} s");
        assert!(runs.contains(&job.runs()), "{} runs", job.runs());
    }
}

#[test]
fn while_vault_gives_no_new_one_botocore_takes_the_old_one_until_its_end_and_is_then_told_why() {
    let Some(cloud) = moto::cloud() else { return };
    let job = Job::new(cloud, Case { method: "token", lent: Lent::Role, seconds: 800 });
    let Some(rows) = walk(&job, [0, 1, 1]) else { return };
    assert_eq!(rows.len(), 1);
    job.refuse();
    let mut rows = walk(&job, [500, 1000, 5]).expect("a walk");
    let (second, error, message) = rows.pop().expect("a row");
    // Our 5 s before the lease's end, and the 15 s in which it is of no use.
    assert!(second <= 785, "{second} {error} {message}");
    assert_eq!(error, "CredentialRetrievalError");
    assert!(message.contains("ci-creds:_error[denied]:"), "{message}");
    assert!(rows.iter().all(|(_, who, _)| *who == cloud.role.arn), "{rows:?}");
    let (_, _, left) = rows.last().expect("there were some left");
    assert!(left.parse::<u64>().expect("seconds, not less than none") < NEARLY_ENDED, "{rows:?}");
}
