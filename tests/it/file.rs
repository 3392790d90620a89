//! `--format file`: the private file of a job; and, below, a file of the user's that is edited.

/// `--file`: what stands in the file before and afterwards, and who reads it.
mod edit;
/// Every call of an edit fails or is the last one, and locks that others hold.
mod fault;
/// Links, pipes, folders and other people's files where the file, its lock or a new file would be.
mod plant;
/// What botocore makes of what we take for readable, and of what we edited.
mod reader;
/// Keys beside ours by which the SDKs would get other credentials.
mod rival;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::expect::stopped;
use crate::support::shell::{self, EVALS, LastAnswer, Stage};
use crate::support::{ROLE, Ran, Run, World, exports, moto, tool};

/// What a job may have set before: keys that would hide a profile, and what pointed to another file.
const AWS: [&str; 8] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
];
const EXOSCALE: [&str; 11] = [
    "EXOSCALE_API_KEY",
    "EXOSCALE_API_SECRET",
    "EXOSCALE_KEY",
    "EXOSCALE_SECRET",
    "EXOSCALE_SECRET_KEY",
    "CLOUDSTACK_KEY",
    "CLOUDSTACK_API_KEY",
    "CLOUDSTACK_SECRET",
    "CLOUDSTACK_SECRET_KEY",
    "EXOSCALE_CONFIG",
    "EXOSCALE_ACCOUNT",
];

fn stale(stage: Stage, names: &[&str]) -> Stage {
    names.iter().fold(stage, |stage, name| stage.env(name, "stale"))
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o7777
}

/// The file that the variable of an eval names, when it is one of ours below the job's folder.
fn private_file(world: &World, variables: &BTreeMap<String, String>, variable: &str) -> PathBuf {
    let path = PathBuf::from(variables.get(variable).unwrap_or_else(|| panic!("no {variable} in {variables:?}")));
    let folder = path.parent().expect("a folder");
    assert_eq!(folder.parent(), Some(world.path("tmp").as_path()));
    assert_eq!((mode(folder), mode(&path)), (0o700, 0o600), "{}", path.display());
    path
}

fn private_folders(world: &World) -> usize {
    std::fs::read_dir(world.path("tmp")).expect("the folder").count()
}

#[test]
fn in_every_shell_an_eval_points_the_aws_tools_to_a_private_file_and_hides_no_key() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, "/aws/sts/365-dev");
    let stage = stale(Stage::new(&world, &world.command_as("token", "")), &AWS);
    for shell in shell::posix() {
        for (open, close) in EVALS {
            let script = format!(
                "set -eu\numask 000\nenv -0 >\"$OUT/before\"\n\
                 {open}ci-creds aws --role 365-dev --format file --region eu-1{close}\nenv -0 >\"$OUT/after\"\n"
            );
            let played = stage.play(&shell, &script);
            assert_eq!((played.ran.code, played.ran.stderr.as_str()), (0, ""), "{}: {:?}", shell.name, played.ran);
            let path = private_file(&world, played.dump("after"), "AWS_SHARED_CREDENTIALS_FILE");
            let mut expected: BTreeMap<&str, Option<String>> = AWS.iter().map(|name| (*name, None)).collect();
            expected.insert("AWS_SHARED_CREDENTIALS_FILE", Some(path.display().to_string()));
            expected.insert("AWS_PROFILE", Some("ci-creds".into()));
            expected.extend(["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name, Some("eu-1".to_owned()))));
            played.assert_changed(shell.name, &expected);
            let text = std::fs::read_to_string(&path).expect("the file");
            let (head, end) = text.split_once("x_security_token_expires = ").expect("an end");
            let field = |name| answer.field(name);
            assert_eq!(
                head,
                format!(
                    "[ci-creds]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
                    field("access_key"),
                    field("secret_key"),
                    field("session_token")
                )
            );
            assert!(end.len() == 21 && end.ends_with("Z\n"), "{end:?}");
        }
    }
}

#[test]
fn an_eval_points_the_exo_cli_to_an_account_in_a_private_file() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let stage = stale(Stage::new(&world, &world.command_as("token", "")), &EXOSCALE);
    let Some(sh) = shell::named("sh") else { return };
    for (zone, exported) in [("", None), (" --zone ch-gva-2", Some("ch-gva-2".to_owned()))] {
        let script = format!(
            "env -0 >\"$OUT/before\"\neval $(ci-creds exoscale --role {ROLE} --profile a.b_c-1 -f file{zone})\n\
             env -0 >\"$OUT/after\"\n"
        );
        let played = stage.play(&sh, &script);
        let path = private_file(&world, played.dump("after"), "EXOSCALE_CONFIG");
        let mut expected: BTreeMap<&str, Option<String>> = EXOSCALE.iter().map(|name| (*name, None)).collect();
        expected.insert("EXOSCALE_CONFIG", Some(path.display().to_string()));
        expected.insert("EXOSCALE_ACCOUNT", Some("a.b_c-1".into()));
        if exported.is_some() {
            expected.insert("EXOSCALE_ZONE", exported.clone());
        }
        played.assert_changed(zone, &expected);
        // The exo CLI takes the format by the name's end.
        assert!(path.ends_with("exoscale.toml"), "{}", path.display());
        let text = std::fs::read_to_string(&path).expect("the file");
        let file: toml::Table = text.parse().expect("TOML");
        let mut account = toml::Table::from_iter([
            ("name".to_owned(), "a.b_c-1".into()),
            ("key".to_owned(), answer.field("api_key").into()),
            ("secret".to_owned(), answer.field("api_secret").into()),
        ]);
        account.extend(exported.map(|zone| ("defaultZone".to_owned(), zone.into())));
        let expected: [(String, toml::Value); 2] = [
            ("defaultAccount".to_owned(), "a.b_c-1".into()),
            ("accounts".to_owned(), vec![toml::Value::from(account)].into()),
        ];
        assert_eq!(file, toml::Table::from_iter(expected));
    }
}

#[test]
fn a_failed_run_points_to_no_file_and_its_eval_fails_in_every_shell() {
    let world = World::start();
    for (command, names) in [("aws", &AWS[..]), ("exoscale", &EXOSCALE[..])] {
        let stage = stale(Stage::new(&world, &world.command_as("token", "")), names);
        for shell in shell::posix() {
            let script = format!(
                "env -0 >\"$OUT/before\"\neval $(ci-creds {command} --role nope/../x --format file) || code=$?\n\
                 env -0 >\"$OUT/after\"\nexit $code\n"
            );
            let played = stage.play(&shell, &script);
            assert_eq!(played.ran.code, 64, "{}: {:?}", shell.name, played.ran);
            played.assert_changed(shell.name, &names.iter().map(|name| (*name, None)).collect());
        }
    }
    let ran = world.command_as("token", "aws --role denied/ --format file").run();
    ran.assert_marker(64);
    assert_eq!(private_folders(&world), 0);
}

#[test]
fn a_traced_job_needs_no_other_form_for_what_is_printed_is_no_secret() {
    let world = World::start();
    let stage = Stage::new(&world, &world.command_as("token", "")).env("CI_DEBUG_TRACE", "true").env("CI", "true");
    for shell in shell::posix() {
        let script = "set -ex\neval $(ci-creds aws --role 365-dev --format file)\ntouch \"$OUT/reached\"\n";
        let played = stage.play(&shell, script);
        assert!(played.reached, "{}: {:?}", shell.name, played.ran);
        let log = format!("{}{}", played.ran.stdout, played.ran.stderr);
        assert!(log.contains("AWS_SHARED_CREDENTIALS_FILE"), "{}: no trace: {log}", shell.name);
        world.assert_no_secret_in(&log);
    }
}

// check: 8
#[test]
fn the_file_is_private_under_any_umask_and_never_in_the_checkout() {
    let world = World::start();
    let Some(sh) = shell::named("sh") else { return };
    let stage = Stage::new(&world, &world.command_as("token", ""));
    for mask in ["000", "077", "777"] {
        let line =
            stage.play(&sh, &format!("umask {mask}\nci-creds aws --role 365-dev --format file | cat\n")).ran.ok();
        private_file(&world, &exports(&line), "AWS_SHARED_CREDENTIALS_FILE");
    }
    let run = world.command_as("token", "aws --role 365-dev --format file");
    let run = run.env("CI_PROJECT_DIR", &world.path("tmp").display().to_string());
    let path = PathBuf::from(&exports(&run.run().ok())["AWS_SHARED_CREDENTIALS_FILE"]);
    let folder = path.parent().expect("a folder");
    assert_eq!(folder.parent(), Some(Path::new("/tmp")));
    std::fs::remove_dir_all(folder).expect("it is ours");
}

#[test]
fn a_file_that_no_tool_would_find_is_not_made() {
    let world = World::start();
    let line = "aws --role 365-dev --format file";
    let script = format!("exec {} {line} >/dev/null", env!("CARGO_BIN_EXE_ci-creds"));
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).env_clear().envs(world.command_as("token", "").variables()).stdin(Stdio::null());
    Ran::of(command).failed(74, "output");
    let Some(sh) = shell::named("sh") else { return };
    let stage = Stage::new(&world, &world.command_as("token", "")).env("CI", "true");
    let played = stage.play(&sh, &format!("ci-creds {line}\nexit $?\n"));
    let words = ["nothing captures the output: no tool would find the file"];
    played.ran.refused(&world, 64, "usage", &words, &["eval"]);
    assert_eq!((world.requests().len(), private_folders(&world)), (0, 0));
}

#[test]
fn a_stdout_that_takes_nothing_costs_the_file_and_the_lease() {
    let world = World::start();
    for line in [format!("exoscale --role {ROLE} -f file"), "aws --role user --via creds -f file".to_owned()] {
        let mut command = world.command_as("secret-id", &line).to_command();
        command.stdout(File::options().write(true).open("/dev/full").expect("/dev/full")).stderr(Stdio::piped());
        let ran = Ran::of(command).failed(74, "output");
        assert_eq!(private_folders(&world), 0, "{ran:?}");
        world.assert_nothing_left(&ran);
    }
    assert_eq!(world.vault.minted().len(), 2);
}

// check: 18
#[test]
fn a_profiles_name_is_one_that_every_reader_takes_alike() {
    let world = World::start();
    let run =
        |name: &str| world.command_as("token", "aws --role 365-dev --format file").arg(&format!("--profile={name}"));
    let longest = "a".repeat(128);
    for name in ["default", "a", "A.b_c-1", "-", "team/ci", "123456789012:ci", "ci@a+b", "50%", &longest] {
        let variables = exports(&run(name).run().ok());
        assert_eq!(variables["AWS_PROFILE"], name);
        let text = std::fs::read_to_string(&variables["AWS_SHARED_CREDENTIALS_FILE"]).expect("the file");
        assert!(text.starts_with(&format!("[{name}]\n")), "{name}");
    }
    let world = World::start();
    let run =
        |name: &str| world.command_as("token", "aws --role 365-dev --format file").arg(&format!("--profile={name}"));
    let longer = "a".repeat(129);
    for name in ["", "DEFAULT", "a b", "a]", "[a", "a\nb", "a\"b", "a'b", "$(id)", "a  b", "é", "a;b", "a#b", &longer]
    {
        stopped(run(name).run(), &world, (64, "usage"), &["--profile"]);
    }
    for line in [
        "aws --profile x",
        "aws --format json --profile x",
        "aws --format file --keep-profile",
        "aws --via-file --profile x",
        "aws --via-file --format file",
        "aws --via-file --format json",
        "aws --via-file --format dotenv",
        "aws --via-file --format process",
        "aws --via-file --format github",
    ] {
        let ran = world.command_as("token", line).run().failed(64, "usage");
        assert_eq!(world.vault.connections(), 0, "{ran:?}");
    }
}

#[test]
fn botocore_and_an_unquoted_eval_take_every_character_of_a_profiles_name() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, "/aws/sts/365-dev");
    let Some(python) = moto::python() else { return };
    let stage = Stage::new(&world, &world.command_as("token", "")).env("PYTHON", &python.display().to_string());
    for shell in shell::posix() {
        let script = "set -eu\neval $(ci-creds aws --role 365-dev --format file --profile 1:a/b@c+d%e_f.g-h)\n\
                      \"$PYTHON\" -c 'from botocore.session import Session; print(Session().get_credentials().access_key)'\n";
        let played = stage.play(&shell, script);
        assert_eq!(played.ran.stdout.trim(), answer.field("access_key"), "{}: {:?}", shell.name, played.ran);
    }
}

/// A program with the variables that an eval of the run's output would leave.
fn play(run: &Run, program: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(run.variables()).stdin(Stdio::null());
    Ran::of(command)
}

#[test]
fn aws_cli_and_boto3_sign_with_the_profile_and_with_no_older_key() {
    let (Some(aws), Some(python), Some(cloud)) = (tool::find("aws"), moto::python(), moto::cloud()) else { return };
    for (path, line, identity) in [
        ("/aws/sts/365-dev", "aws --role 365-dev --region us-east-1 -f file", &cloud.role),
        ("/aws/creds/user", "aws --role user --via creds --region us-east-1 -f file", &cloud.user),
    ] {
        let world = World::start();
        crate::consumer::lend(&world, path, identity);
        let variables = exports(&world.command_as("token", line).run().ok());
        let mut run = world.command("").env("AWS_ENDPOINT_URL", &cloud.endpoint).env("AWS_PAGER", "");
        run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        let who = play(&run, &aws, &["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]);
        assert_eq!((who.stdout.trim(), who.stderr.as_str()), (identity.arn.as_str(), ""));
        let list = play(&run, &aws, &["configure", "list"]).ok();
        assert!(list.contains("shared-credentials-file") && list.contains("ci-creds"), "{list}");
        let script = "import boto3\ns = boto3.Session(profile_name='ci-creds')\nc = s.get_credentials()\n\
                      print(c.method, c.access_key, c.secret_key, c.token)\n\
                      print(s.client('sts').get_caller_identity()['Arn'])";
        let token = identity.session.as_deref().unwrap_or("None");
        assert_eq!(
            play(&run, &python, &["-c", script]).ok(),
            format!("shared-credentials-file {} {} {token}\n{}\n", identity.key, identity.secret, identity.arn)
        );
    }
}

// check: 23
#[test]
fn a_credentials_file_that_is_a_mount_point_is_refused_before_any_request() {
    let Some(unshare) = tool::find("unshare") else { return };
    if !Command::new(&unshare).args(["-m", "true"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: unshare is not permitted here");
        return;
    }
    let world = World::start();
    let (path, other) = (edit::folder(&world).join("credentials"), world.file("other", ""));
    edit::written(&path, "[a]\nk = v\n", 0o600);
    for mount in ["mount --bind \"$MOUNTED\" \"$MOUNTED\"", "mount --bind \"$OTHER\" \"$MOUNTED\""] {
        let line = format!("aws --role 365-dev --file {}", path.display());
        let inner = world
            .command_as("wrapping-token", &line)
            .env("MOUNTED", &path.display().to_string())
            .env("OTHER", &other.display().to_string())
            .to_command();
        let mut command = Command::new(&unshare);
        command.args(["-m", "sh", "-c", &format!("{mount} && exec \"$@\""), "sh"]);
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
        let ran = Ran::of(command);
        stopped(ran, &world, (73, "create"), &["is a mount point", "--file", "--format file"]);
    }
}

// check: 23
#[test]
fn where_no_private_file_can_be_made_nothing_is_asked_and_no_secret_spent() {
    let Some(unshare) = tool::find("unshare") else { return };
    if !Command::new(&unshare).args(["-m", "true"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: unshare is not permitted here");
        return;
    }
    let world = World::start();
    for line in ["aws --role 365-dev --format file", "aws --role 365-dev --via-file"] {
        let inner = world.command_as("wrapping-token", line).to_command();
        // A container whose root is read-only, and that was given no folder to write in.
        let read_only = "mount --bind \"$TMPDIR\" \"$TMPDIR\" && mount -o remount,bind,ro \"$TMPDIR\" && exec \"$@\"";
        let mut command = Command::new(&unshare);
        command.args(["-m", "sh", "-c", read_only, "sh"]).arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
        let ran = Ran::of(command);
        assert!(ran.stderr.contains("  hint: point TMPDIR to a folder"), "{ran:?}");
        stopped(ran, &world, (73, "create"), &["cannot create a private file in", "read-only file system"]);
    }
}
