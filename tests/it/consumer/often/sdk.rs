//! The SDKs for JavaScript and for Go, each as one small program that asks by their default chain.
//!
//! The packages for JavaScript are those of the folder in `CI_CREDS_TEST_NODE_MODULES`; those for Go are Debian's, or in
//! the folder that `CI_CREDS_TEST_GOPATH` names, and are compiled with `CI_CREDS_TEST_SLOW=1` alone. Nothing is fetched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use dev_vault::{Reply, Sink, Tls};
use serde_json::{Value, json};

use super::{Case, Job, Lent, NEARLY_ENDED, cases, rows};
use crate::consumer::aws_clis;
use crate::support::moto::{self, Cloud};
use crate::support::{Ran, Run, World, exports, tool};

/// A program that reads what the tool hands out. How it is asked stands at the head of each in `sdk/`.
#[derive(Clone, Debug)]
pub(crate) struct Sdk {
    pub(crate) name: &'static str,
    program: PathBuf,
    /// Before every question.
    arguments: Vec<String>,
    modules: String,
}

/// The packages that `sdk.cjs` names.
const RESOLVE: &str = "for (const name of ['client-s3', 'client-sts', 'credential-providers']) \
                       require.resolve('@aws-sdk/' + name)";

impl Sdk {
    /// `None`, said aloud, where Node.js or the packages are missing.
    fn javascript() -> Option<Self> {
        let node = tool::find("node")?;
        let modules = std::env::var("CI_CREDS_TEST_NODE_MODULES").unwrap_or_default();
        let mut command = Command::new(&node);
        command.args(["-e", RESOLVE]).env("NODE_PATH", &modules).stdin(Stdio::null());
        if Ran::of(command).code != 0 {
            tool::miss("@aws-sdk", "is not in CI_CREDS_TEST_NODE_MODULES");
            return None;
        }
        let script = source("sdk.cjs").display().to_string();
        Some(Self { name: "JavaScript", program: node, arguments: vec![script], modules })
    }

    /// `None`, said aloud, where Go or the packages are missing, or nobody wants to wait for the compiler.
    fn go() -> Option<Self> {
        static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
        let program = BUILT.get_or_init(|| tool::slow("the SDK for Go").then(build).flatten()).clone()?;
        Some(Self { name: "Go", program, arguments: Vec::new(), modules: String::new() })
    }

    /// Whichever are here.
    pub(crate) fn all() -> Vec<Self> {
        [Self::javascript(), Self::go()].into_iter().flatten().collect()
    }

    fn command(&self, run: &Run, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(arguments).env_clear().envs(run.variables()).stdin(Stdio::null());
        // It warns that its next versions need another Node.js.
        command.env("NODE_PATH", &self.modules).env("NODE_NO_WARNINGS", "1").env("AWS_REGION", "us-east-1");
        command
    }

    /// The words that run it in a command of `exec --serve` for so long, and the folder of its packages, for `NODE_PATH`.
    pub(crate) fn served(&self, seconds: u64) -> (Vec<String>, &str) {
        let words = [self.program.display().to_string()].into_iter().chain(self.arguments.iter().cloned());
        (words.chain(["served".to_owned(), seconds.to_string()]).collect(), &self.modules)
    }

    fn play(&self, run: &Run, arguments: &[&str]) -> Ran {
        Ran::of(self.command(run, arguments))
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/consumer/often/sdk").join(name)
}

/// Where Debian's packages put the sources.
const GOPATH: &str = "/usr/share/gocode";

fn build() -> Option<PathBuf> {
    let go = tool::find("go")?;
    let path = std::env::var("CI_CREDS_TEST_GOPATH").unwrap_or_else(|_| GOPATH.to_owned());
    if !Path::new(&path).join("src/github.com/aws/aws-sdk-go-v2/config").is_dir() {
        tool::miss("aws-sdk-go-v2", "is not in CI_CREDS_TEST_GOPATH");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("sdk-go");
    let mut command = Command::new(go);
    command.args(["build", "-o"]).arg(&program).arg(source("sdk.go")).stdin(Stdio::null());
    // Its cache stays: cold it takes a dozen seconds and more.
    command.env("GO111MODULE", "off").env("GOPATH", path).env("GOCACHE", folder.join("go-cache"));
    Ran::of(command).ok();
    Some(program)
}

/// What is asked of the cloud, and the right answer.
fn question(lent: Lent, cloud: &Cloud) -> (&'static str, &str) {
    let (_, _, answer) = lent.question(cloud);
    (if matches!(lent, Lent::Storage) { "bucket" } else { "who" }, answer)
}

#[test]
fn an_sdk_runs_us_once_a_process_whatever_the_lease_and_costs_one_credential() {
    let Some(cloud) = moto::cloud() else { return };
    for sdk in Sdk::all() {
        for case in cases() {
            let (question, answer) = question(case.lent, cloud);
            for (times, line) in [(20, &[question, "20"][..]), (16, &[question, "16", "at-once"])] {
                let job = Job::new(cloud, case);
                let ran = sdk.play(&job.run, line);
                let context = format!("{}, {line:?}", sdk.name);
                assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{context}: {ran:?}");
                assert_eq!(ran.stdout, format!("{answer}\n").repeat(times), "{context}, {case:?}");
                assert_eq!(job.count_runs(&context, 0), 1, "{context}, {case:?}");
            }
        }
    }
}

// check: 7
#[test]
fn sixteen_processes_of_an_sdk_at_once_cost_one_credential_and_all_succeed() {
    let Some(cloud) = moto::cloud() else { return };
    if !tool::slow("sixteen processes of each SDK") {
        return;
    }
    for sdk in Sdk::all() {
        for seconds in [3600, 800] {
            let case = Case { method: "wrapping-token", lent: Lent::Role, seconds };
            let job = Job::new(cloud, case);
            let (question, answer) = question(case.lent, cloud);
            let start = |_| {
                let mut command = sdk.command(&job.run, &[question, "1"]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
            };
            let children: Vec<_> = (0..16).map(start).collect();
            for child in children {
                let output = child.wait_with_output().expect("its end");
                assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), answer, "{case:?}: {output:?}");
            }
            assert_eq!(job.count_runs(&format!("16 processes, {}", sdk.name), 0), 16, "{case:?}");
        }
    }
}

/// A file that many hands wrote: both ends of lines, comments, blanks around everything, no end at the end.
const FILE: &str = "# shared by all\r\n[default]\r\naws_access_key_id = AKIADEFAULT\r\naws_secret_access_key=de/fault+\r\n\
                    \r\n[Other]\naws_access_key_id=AKIAOTHER  \n\n; not ours\naws_secret_access_key =\toth=er \n\
                    [ci]\r\n# ours\r\naws_access_key_id = AKIAOLD\r\naws_secret_access_key = old\r\nregion = eu-west-3\r\n\
                    \n[last]\naws_access_key_id = AKIALAST\naws_secret_access_key = last";

/// What each profile of this file is to a reader: key, secret and session.
type Read<'a> = (&'a str, Box<dyn Fn(&Run, &[&str]) -> Vec<[String; 3]> + 'a>);

fn triples(ran: Ran) -> Vec<[String; 3]> {
    ran.ok().lines().map(|line| serde_json::from_str(line).expect("three texts")).collect()
}

/// aws-cli 2 has a command that says what it would sign with.
fn exported(aws: &Path, run: &Run, profile: &str) -> [String; 3] {
    let mut command = Command::new(aws);
    command.args(["configure", "export-credentials"]).env_clear().envs(run.variables()).stdin(Stdio::null());
    if !profile.is_empty() {
        command.args(["--profile", profile]);
    }
    let found: Value = serde_json::from_str(&Ran::of(command).ok()).expect("JSON");
    ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| found[name].as_str().unwrap_or_default().to_owned())
}

// check: 24
#[test]
fn every_reader_finds_our_values_in_a_file_and_those_of_the_other_profiles_as_they_were() {
    let second = aws_clis().into_iter().find(|cli| cli.major == 2);
    let sdks = Sdk::all();
    let sdks = sdks.iter().map(|sdk| -> Read<'_> {
        let read = |run: &Run, profiles: &[&str]| triples(sdk.play(run, &[&["values"], profiles].concat()));
        (sdk.name, Box::new(read))
    });
    let clis = second.iter().map(|cli| -> Read<'_> {
        let read = |run: &Run, profiles: &[&str]| profiles.iter().map(|p| exported(&cli.program, run, p)).collect();
        ("aws-cli 2", Box::new(read))
    });
    let readers: Vec<_> = sdks.chain(clis).collect();
    let world = World::start();
    let file = world.file("credentials", FILE).display().to_string();
    let made = |line: &str| {
        let before = world.vault.secrets();
        let stdout = world.command_as("token", line).run().ok();
        let minted = world.minted_since(&before);
        (exports(&stdout), [minted.key, minted.secret, minted.session.unwrap_or_default()])
    };
    let (private, ours) = made("aws --role 365-dev --format file");
    let (_, replaced) = made(&format!("aws --role 365-dev --file {file} --profile ci"));
    let (_, added) = made(&format!("aws --role user --via creds --file {file} --profile added"));
    let text = |three: [&str; 3]| three.map(str::to_owned);
    let expected = [
        ("ci", replaced),
        ("added", added),
        ("default", text(["AKIADEFAULT", "de/fault+", ""])),
        ("Other", text(["AKIAOTHER", "oth=er", ""])),
        ("last", text(["AKIALAST", "last", ""])),
    ];
    let run = world.command("").env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/dev/null");
    for (name, read) in readers {
        let by_variables = private.iter().fold(run.clone(), |run, (name, value)| run.env(name, value));
        assert_eq!(read(&by_variables, &[""]), std::slice::from_ref(&ours), "{name}, a private file");
        let edited = run.clone().env("AWS_SHARED_CREDENTIALS_FILE", &file);
        let profiles = expected.iter().map(|(profile, _)| *profile).collect::<Vec<_>>();
        let values = expected.iter().map(|(_, values)| values.clone()).collect::<Vec<_>>();
        assert_eq!(read(&edited, &profiles), values, "{name}, an edited file");
    }
}

#[test]
fn javascript_finds_the_object_storage_after_an_eval_signs_with_its_key_and_adds_no_checksum() {
    let Some(sdk) = Sdk::javascript() else { return };
    let world = World::start();
    let before = world.vault.secrets();
    let printed = world.command_as("token", "exoscale --sos --zone ch-gva-2 --role gitlab-ci-runner").run().ok();
    let run = exports(&printed).iter().fold(world.command(""), |run, (name, value)| run.env(name, value));
    let mut command = sdk.command(&run, &["upload"]);
    command.env("AWS_REGION", "ch-gva-2");
    let key = world.minted_since(&before).key;
    assert_eq!(Ran::of(command).ok(), format!("https://sos-ch-gva-2.exo.io/b/k {key} ch-gva-2 0\n"));
}

/// What a machine at AWS gives to everybody who asks it: a token for the question, the role's name, and its keys.
fn metadata() -> Sink {
    let keys = json!({
        "Code": "Success", "AccessKeyId": "ASIAOFTHEMACHINE", "SecretAccessKey": "of/the+machine", "Token": "its",
        "Expiration": "2099-01-01T00:00:00Z",
    });
    let replies = [Reply::status(200).body("a-token"), Reply::status(200).body("runner"), Reply::json(200, &keys)];
    Sink::answering(Tls::Off, replies.into())
}

#[test]
fn of_a_failure_javascripts_default_chain_shows_nothing_and_goes_on_to_the_machines_own_role() {
    let (Some(sdk), Some(cloud)) = (Sdk::javascript(), moto::cloud()) else { return };
    let job = Job::new(cloud, Case { method: "token", lent: Lent::Role, seconds: 3600 });
    job.refuse();
    let hidden = sdk.play(&job.run, &["values", ""]);
    assert_eq!((hidden.code, hidden.stdout.as_str()), (1, ""), "{hidden:?}");
    // Then docs/cache.md is worth less than it says.
    assert!(!hidden.stderr.contains("ci-creds"), "{hidden:?}");
    // As a profile's provider and once more as a process's.
    assert_eq!(job.codes(), "77\n77\n");
    let machine = metadata();
    let open = job.run.clone().without("AWS_EC2_METADATA_DISABLED");
    let open = open.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.address());
    let [found] = triples(sdk.play(&open, &["values", ""])).try_into().expect("one credential");
    assert_eq!(found[0], "ASIAOFTHEMACHINE");
    let named = sdk.play(&open, &["named", "ci"]);
    assert_eq!((named.code, named.stdout.as_str()), (1, ""), "{named:?}");
    assert!(named.stderr.contains("\nci-creds: error[denied]: ") && named.stderr.contains("\n  hint: "), "{named:?}");
    assert!(named.stderr.contains("aws/sts/365-dev"), "{named:?}");
    assert_eq!(machine.requests().len(), 3);
    job.world.assert_no_secret_in(&named.stderr);
}

#[test]
fn of_a_failure_go_shows_our_line_and_the_exit_code() {
    let (Some(sdk), Some(cloud)) = (Sdk::go(), moto::cloud()) else { return };
    let job = Job::new(cloud, Case { method: "wrapping-token", lent: Lent::Role, seconds: 3600 });
    job.refuse();
    let machine = metadata();
    let run = job.run.clone().without("AWS_EC2_METADATA_DISABLED");
    let ran = sdk.play(&run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.address()), &["who", "1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.starts_with("ci-creds: error[denied]: ") && ran.stderr.contains("\n  hint: "), "{ran:?}");
    assert!(ran.stderr.contains("error in credential_process: exit status 77"), "{ran:?}");
    assert_eq!((job.codes().as_str(), machine.requests().len()), ("77\n", 0));
    job.world.assert_no_secret_in(&ran.stderr);
}

#[test]
fn in_a_long_job_javascript_never_meets_an_ended_credential_and_costs_as_few_as_it_can() {
    let (Some(sdk), Some(cloud)) = (Sdk::javascript(), moto::cloud()) else { return };
    let Some(faketime) = tool::find("faketime") else { return };
    let walk = |job: &Job, seconds: [&str; 3]| {
        let line = [&["-f", "+0"], [sdk.program.to_str().expect("UTF-8")].as_slice()].concat();
        let program = Sdk { program: faketime.clone(), arguments: Vec::new(), ..sdk.clone() };
        let script: Vec<_> = sdk.arguments.iter().map(String::as_str).chain(["walk"]).chain(seconds).collect();
        let mut command = program.command(&job.run, &[line, script].concat());
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        rows(Ran::of(command))
    };
    // From five minutes before the end on it asks for a successor, and goes on with what it has; ours is ready by then.
    for (lent, seconds, expected) in [(Lent::Role, 3600, 3), (Lent::User, 800, 14)] {
        let job = Job::new(cloud, Case { method: "token", lent, seconds });
        let rows = walk(&job, ["0", "7200", "60"]);
        assert_eq!(rows.len(), 120, "{rows:?}");
        for (second, who, left) in rows {
            assert_eq!(*who, lent.identity(cloud).arn, "{second} s: {left}");
            assert!(left.parse::<u64>().expect("seconds, not less than none") > 15, "{left} s left after {second} s");
        }
        eprintln!("JavaScript, two hours: {} runs, {} credentials ({lent:?} of {seconds} s)", job.runs(), job.mints());
        assert_eq!(job.mints(), expected, "{seconds} s");
        // Once for each, and on a machine so slow that it asks a step earlier, twice.
        assert!((expected..=2 * expected).contains(&job.runs()), "{} runs, {seconds} s", job.runs());
    }
    // Without a successor, the old one serves until its end, also for a process that comes late.
    let job = Job::new(cloud, Case { method: "token", lent: Lent::Role, seconds: 800 });
    assert_eq!(walk(&job, ["0", "1", "1"]).len(), 1);
    job.refuse();
    let mut rows = walk(&job, ["700", "1000", "5"]);
    let (_, error, _) = rows.pop().expect("a row");
    assert_eq!(error, "CredentialsProviderError");
    let (_, _, left) = rows.last().expect("there were some left");
    assert!(left.parse::<u64>().expect("seconds, not less than none") < NEARLY_ENDED, "{rows:?}");
    assert!(rows.iter().all(|(_, who, _)| *who == cloud.role.arn), "{rows:?}");
}
