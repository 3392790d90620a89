use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use wait4::Wait4;

use super::{mode, play, private_folders};
use crate::delivery::in_a_job;
use crate::support::expect::{stopped, without_receipt};
use crate::support::shell::{self, LastAnswer, Stage};
use crate::support::{ROLE, Ran, World, exports, moto, tool};
use crate::terminal::on_a_terminal;

/// A file with other people's profiles, as people and tools write them.
const OLD: &str = "# from a colleague\n[default]\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\n\
                   aws_secret_access_key : wJalr/UtnFEMI ; not a comment\n\n[ci-creds]\nregion = eu-1\n\
                   aws_access_key_id = old\naws_session_token = stale\n  and more of it\n  # a note\n\
                   aws_security_token = stale\n\n[other]\n  credential_process = /bin/x\n# the end";

/// The file beside which nothing stays but its lock.
pub(super) fn folder(world: &World) -> PathBuf {
    let folder = world.path("aws");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("its mode");
    folder
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

pub(super) fn written(path: &Path, text: &str, bits: u32) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, Permissions::from_mode(bits)).expect("its mode");
}

/// One run that edits this file.
pub(super) fn edit(world: &World, path: &Path, more: &str) -> Ran {
    let run = world.command_as("token", &format!("aws --role 365-dev {more}"));
    run.arg("--file").arg(&path.display().to_string()).run()
}

#[test]
fn a_profile_is_replaced_where_it_stands_and_every_other_byte_stays() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, "/aws/sts/365-dev");
    let path = folder(&world).join("credentials");
    for (ending, bits) in [("\n", 0o600), ("\r\n", 0o400)] {
        let old = OLD.replace('\n', ending);
        written(&path, &old, bits);
        let variables = exports(&edit(&world, &path, "").ok());
        let expected: BTreeMap<_, _> =
            [("AWS_SHARED_CREDENTIALS_FILE", path.display().to_string()), ("AWS_PROFILE", "ci-creds".into())]
                .map(|(name, value)| (name.to_owned(), value))
                .into();
        assert_eq!(variables, expected);
        let new = std::fs::read_to_string(&path).expect("the file");
        let end = new.lines().find_map(|line| line.strip_prefix("x_security_token_expires = ")).expect("an end");
        let expected = OLD
            .replace("aws_access_key_id = old\n", &format!("aws_access_key_id = {}\n", answer.field("access_key")))
            .replace(
                "stale\n  and more of it\n  # a note\naws_security_token = stale\n",
                &format!(
                    "{}\naws_secret_access_key = {}\nx_security_token_expires = {end}\n  # a note\n",
                    answer.field("session_token"),
                    answer.field("secret_key"),
                ),
            );
        assert_eq!(new, expected.replace('\n', ending));
        assert_eq!(mode(&path), bits);
        assert_eq!(names(&folder(&world)), ["credentials", "credentials.lock"]);
    }
    assert_eq!(private_folders(&world), 0);
}

#[test]
fn a_file_that_is_not_there_is_made_and_a_profile_that_is_not_there_appended() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    edit(&world, &path, "--profile a").ok();
    let first = std::fs::read_to_string(&path).expect("the file");
    assert!(first.starts_with("[a]\naws_access_key_id = ASIA"), "{first}");
    assert_eq!((mode(&path), mode(&path.with_extension("lock"))), (0o600, 0o600));
    edit(&world, &path, "--profile b --format file").ok();
    let second = std::fs::read_to_string(&path).expect("the file");
    assert!(second.starts_with(&format!("{first}[b]\naws_access_key_id = ASIA")), "{second}");
    // An IAM user has no session: what an earlier one left must go.
    let ran = world.command_as("token", "aws --role user --via creds --profile b").arg("--file");
    ran.arg(&path.display().to_string()).run().ok();
    let third = std::fs::read_to_string(&path).expect("the file");
    let section = third.strip_prefix(&first).expect("the first profile");
    assert!(section.starts_with("[b]\naws_access_key_id = AKIA") && !section.contains("session_token"), "{section}");
}

#[test]
fn an_account_of_exoscale_toml_is_edited_in_the_same_way() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let path = folder(&world).join("exoscale.toml");
    let old = "# mine\ndefaultaccount = 'home'\n\n[[accounts]]\n  name = 'home'\n  key = 'EXOhome' # old\n\n\
               [[accounts]]\nname = \"ci\"\nkey = \"EXOold\"\nsecretCommand = ['pass', 'show']\nenvironment = 'api'";
    written(&path, old, 0o600);
    let run = |more: &str| {
        let run = world.command_as("token", &format!("exoscale --role {ROLE} --profile ci {more}"));
        run.arg("--file").arg(&path.display().to_string()).run()
    };
    let variables = exports(&run("--zone ch-gva-2").ok());
    assert_eq!(variables["EXOSCALE_CONFIG"], path.display().to_string());
    assert_eq!((variables["EXOSCALE_ACCOUNT"].as_str(), variables["EXOSCALE_ZONE"].as_str()), ("ci", "ch-gva-2"));
    let (key, secret) = (answer.field("api_key"), answer.field("api_secret"));
    let expected = old
        .replace("EXOold", &key)
        .replace("secretCommand = ['pass', 'show']\n", &format!("secret = \"{secret}\"\ndefaultZone = \"ch-gva-2\"\n"));
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), expected);
    written(&path, "accounts = [{name = 'ci'}]\n", 0o600);
    stopped(run(""), &World::start(), (73, "create"), &["exoscale.toml", "nothing was changed"]);
}

#[test]
fn what_is_printed_is_no_secret_so_nothing_needs_to_capture_it() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    let call = format!("$CI_CREDS aws --role 365-dev --file {}", path.display());
    for script in [format!("{call}; exit $?"), format!("{call} >/dev/null; exit $?"), format!("{call} 2>&1; exit $?")] {
        let ran = in_a_job(&world, &script);
        // Joined with the text, nothing is told.
        let beside = if script.contains("2>&1") { ran.stderr.clone() } else { without_receipt(&ran.stderr) };
        assert_eq!((ran.code, beside.as_str()), (0, ""), "{script}: {ran:?}");
        world.assert_no_secret_in(&ran.stdout);
        assert_eq!(ran.stdout.is_empty(), script.contains("/dev/null"), "{script}: {ran:?}");
    }
    // What is joined with the eval's text is nothing that a shell acts on.
    written(&path, "", 0o644);
    let ran = in_a_job(&world, &format!("eval $({call} 2>&1)"));
    assert_eq!(ran.code, 127, "the warning became more than one command that does not exist: {ran:?}");
    world.assert_no_secret_in(&ran.stderr);
}

#[test]
fn somebody_at_a_terminal_sees_what_was_written_and_where_without_the_secret() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    let line = format!("aws --role 365-dev --profile ci --file {}", path.display());
    let Some((code, text)) = on_a_terminal(&world, &line) else { return };
    assert_eq!(code, 0, "{text}");
    let file = std::fs::read_to_string(&path).expect("the file");
    let key = file.lines().find_map(|line| line.strip_prefix("aws_access_key_id = ")).expect("a key");
    for row in [
        format!("file           {}", path.display()),
        "profile        ci".into(),
        format!("access_key     {key}"),
        "secret_key     ********".into(),
        format!("To use it: export AWS_SHARED_CREDENTIALS_FILE={} AWS_PROFILE=ci", path.display()),
    ] {
        assert!(text.lines().any(|line| line == row), "{row:?} is not in: {text}");
    }
    world.assert_no_secret_in(&text.replace(key, ""));
}

#[test]
fn an_eval_of_a_failed_edit_fails_in_every_shell_and_the_file_is_as_it_was() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    let stage = Stage::new(&world, &world.command_as("token", "")).env("AWS_PROFILE", "x");
    written(&path, OLD, 0o600);
    for shell in shell::posix() {
        let script =
            format!("set -e\neval $(ci-creds aws --role a/b --file {})\ntouch \"$OUT/reached\"\n", path.display());
        let played = stage.play(&shell, &script);
        assert_eq!((played.ran.code, played.reached), (64, false), "{}: {:?}", shell.name, played.ran);
    }
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), OLD);
    let ran = edit(&world, &path, "--role nope --via creds");
    assert_ne!(ran.code, 0);
    assert!(ran.stdout.contains(" AWS_SHARED_CREDENTIALS_FILE AWS_PROFILE;\n"), "{ran:?}");
}

#[test]
fn a_file_that_botocore_could_not_read_is_refused_by_its_line_before_any_request() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    let cases: [(&[u8], &str); 8] = [
        (b"\xef\xbb\xbf[a]\n", "a byte order mark in line 1"),
        (b"[a]\nk = \xe9\n", "not UTF-8 in line 2"),
        (b"[a]\n[b]\n[a]\n", "the section of line 3 twice"),
        (b"[a]\nk = 1\nK: 2\n", "the key of line 3 twice"),
        (b"[a]\nSw0rdfish\n", "line 2 that is neither a section nor a key"),
        (b"k = v\n[a]\n", "no section before line 1"),
        (b"[a]\n[ ci-creds ]\n", "line 2 that some SDKs take for"),
        (b"[DEFAULT]\naws_session_token = x\n", "line 2"),
    ];
    for (text, expected) in cases {
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode");
        let ran = edit(&world, &path, "");
        assert!(!ran.stderr.contains("Sw0rdfish"), "{ran:?}");
        stopped(ran, &world, (73, "create"), &[expected, &path.display().to_string(), "--file"]);
        assert_eq!(std::fs::read(&path).expect("the file"), text);
    }
    written(&path, &"#".repeat((1 << 20) + 1), 0o600);
    stopped(edit(&world, &path, ""), &world, (73, "create"), &["larger than 1 MiB"]);
}

#[test]
fn a_file_in_the_checkout_or_without_a_folder_is_refused_with_what_to_do() {
    let world = World::start();
    let folder = folder(&world);
    let checkout = world.path("work");
    symlink(checkout.join("file"), folder.join("link")).expect("a link");
    std::fs::write(checkout.join("file"), "").expect("a file");
    let run = |path: &str| {
        let run =
            world.command_as("token", "aws --role 365-dev").env("CI_PROJECT_DIR", &checkout.display().to_string());
        run.arg(&format!("--file={path}")).run()
    };
    for path in [
        "new",
        "./new",
        "../work/new",
        &checkout.join("x").display().to_string(),
        &folder.join("link").display().to_string(),
    ] {
        stopped(run(path), &world, (73, "create"), &["checkout", "artifacts", "$HOME"]);
    }
    stopped(run("~/.aws/credentials"), &world, (73, "create"), &["no such file", "expands ~"]);
    stopped(run("/nonexistent/x"), &world, (73, "create"), &["mkdir -p -m 700 /nonexistent"]);
    stopped(run(".."), &world, (73, "create"), &["has no name"]);
    stopped(run(""), &world, (64, "usage"), &["--file is empty"]);
    for name in ["a b", "a'b", "a$b", "a;b", "é", "a\nb", "*"] {
        stopped(run(&folder.join(name).display().to_string()), &world, (64, "usage"), &["a shell acts on"]);
    }
    assert_eq!(names(&checkout), ["file"]);
    assert_eq!(names(&folder), ["link"]);
    // Without a checkout's name a relative path is one, and the tools get it whole.
    let ran = world.command_as("token", "aws --role 365-dev --file ../aws/credentials").run().ok();
    assert_eq!(exports(&ran)["AWS_SHARED_CREDENTIALS_FILE"], folder.join("credentials").display().to_string());
}

#[test]
fn a_file_that_others_can_read_keeps_its_mode_and_is_warned_of() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    for bits in [0o644, 0o640, 0o604] {
        written(&path, "", bits);
        let ran = edit(&world, &path, "");
        assert_eq!((ran.code, mode(&path)), (0, bits), "{ran:?}");
        assert!(
            ran.stderr.contains(&format!("warning: other users can read {0}: chmod 600 {0}", path.display())),
            "{ran:?}"
        );
    }
    for mask in ["000", "777"] {
        for bits in [Some(0o600), Some(0o640), Some(0o700), None] {
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_file(path.with_extension("lock"));
            bits.inspect(|bits| written(&path, "", *bits));
            let run = world.command_as("token", &format!("aws --role 365-dev --file {}", path.display()));
            let mut command = std::process::Command::new("/bin/sh");
            command
                .args(["-c", &format!("umask {mask}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_ci-creds")])
                .args(&run.arguments);
            command.env_clear().envs(run.variables());
            Ran::of(command).ok();
            assert_eq!(
                (mode(&path), mode(&path.with_extension("lock"))),
                (bits.unwrap_or(0o600), 0o600),
                "umask {mask}"
            );
        }
    }
}

/// An access list as the kernel keeps it, version 2: the owner may write, user 12345 may read, the group nothing.
fn access_list() -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, NOBODY), (2, 4, 12_345), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)];
    let entry =
        |(tag, bits, who): (u16, u16, u32)| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &who.to_le_bytes()].concat();
    [2_u32.to_le_bytes().to_vec(), entries.map(entry).concat()].concat()
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut bytes = [0; 256];
    rustix::fs::getxattr(path, name, &mut bytes).ok().map(|length| bytes[..length].to_vec())
}

// check: 8
#[test]
fn an_access_list_stays_and_the_group_gets_nothing_by_it_and_none_comes_from_the_folder() {
    const OWN: &str = "system.posix_acl_access";
    let set = |path: &Path, name: &str| {
        rustix::fs::setxattr(path, name, &access_list(), rustix::fs::XattrFlags::empty()).is_ok()
    };
    let world = World::start();
    let path = folder(&world).join("credentials");
    written(&path, OLD, 0o600);
    if !set(&path, OWN) {
        return tool::miss("access lists", "are not known to the file system of the tests");
    }
    // The group's bits are the list's mask. As a mode alone they would let the group in.
    assert_eq!(mode(&path), 0o640);
    let list = attribute(&path, OWN);
    edit(&world, &path, "").ok();
    assert_eq!((mode(&path), attribute(&path, OWN)), (0o640, list));
    // The folder would give every new file a list, which a mode of 0600 closes and 0640 opens.
    assert!(set(&folder(&world), "system.posix_acl_default"));
    std::fs::remove_file(&path).expect("the file");
    for bits in [None, Some(0o640)] {
        if let Some(bits) = bits {
            rustix::fs::removexattr(&path, OWN).expect("the folder's list");
            std::fs::set_permissions(&path, Permissions::from_mode(bits)).expect("its mode");
        }
        edit(&world, &path, "").ok();
        assert_eq!(mode(&path), bits.unwrap_or(0o600));
    }
    assert_eq!(attribute(&path, OWN), None);
}

#[test]
fn a_file_of_a_mebibyte_is_edited_at_once() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    for line in ["[section-NUMBER]\nk = v\n", "key-NUMBER = v\n"] {
        let lines: String = (0..40_000).map(|number| line.replace("NUMBER", &number.to_string())).collect();
        let old = format!("[first]\n{lines}");
        written(&path, &old, 0o600);
        let run = world.command_as("token", "aws --role 365-dev --file").arg(&path.display().to_string());
        let ended = run.to_command().stdout(Stdio::null()).spawn().expect("it starts").wait4().expect("its end");
        assert!(ended.status.success());
        // A second of its own, when nothing is optimized; half a minute when each line is compared with each.
        let own = ended.rusage.utime;
        assert!(own < Duration::from_secs(10), "{own:?}");
        assert!(std::fs::read_to_string(&path).expect("the file").starts_with(&old));
    }
}

#[test]
fn whoever_takes_the_config_file_for_the_credentials_file_is_told() {
    let world = World::start();
    let path = folder(&world).join("config");
    for (old, told) in [("[default]\nregion = x\n", false), ("[default]\n\n[profile ci]\nregion = x\n", true)] {
        written(&path, old, 0o600);
        let ran = edit(&world, &path, "--profile ci");
        assert_eq!(ran.stderr.contains("warning: "), told, "{ran:?}");
        assert_eq!(ran.stderr.contains(&format!("{} looks like an AWS config file", path.display())), told, "{ran:?}");
        ran.ok();
    }
}

#[test]
fn flags_that_contradict_a_file_are_refused_before_any_request() {
    let world = World::start();
    let path = folder(&world).join("credentials").display().to_string();
    for line in [
        "aws --format shell",
        "aws --format json",
        "aws --format process",
        "aws --keep-profile",
        "exoscale --format fish",
    ] {
        let ran = world.command_as("token", line).arg("--file").arg(&path).run().failed(64, "usage");
        assert_eq!(world.vault.connections(), 0, "{ran:?}");
    }
    assert_eq!(names(&folder(&world)), [] as [&str; 0]);
}

#[test]
fn sixteen_writers_at_once_lose_nothing_and_double_nothing() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    let profiles: Vec<String> = (0..16).map(|number| format!("p{number}")).collect();
    let old: String =
        profiles.iter().step_by(2).map(|name| format!("# of {name}\n[{name}]\naws_access_key_id = old\n")).collect();
    written(&path, &old, 0o600);
    // All of them have their credential before the first one may write.
    let lock = File::create(path.with_extension("lock")).expect("the lock's file");
    lock.lock().expect("the lock");
    std::thread::scope(|scope| {
        let start = |profile: &String| {
            let more = format!("--profile {profile}");
            let (world, path) = (&world, &path);
            scope.spawn(move || edit(world, path, &more))
        };
        let runs: Vec<_> = profiles.iter().map(start).collect();
        assert!(world.vault.wait_for_requests(16, Duration::from_secs(20)), "{:?}", world.requests());
        drop(lock);
        for (run, profile) in runs.into_iter().zip(&profiles) {
            assert_eq!(exports(&run.join().expect("it ends").ok())["AWS_PROFILE"], *profile);
        }
    });
    let text = std::fs::read_to_string(&path).expect("the file");
    let mut keys = Vec::new();
    for profile in &profiles {
        let sections: Vec<_> = text.split(&format!("[{profile}]\n")).collect();
        assert_eq!(sections.len(), 2, "{profile} stands once: {text}");
        keys.extend(
            sections[1]
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("aws_access_key_id = ASIA"))
                .map(str::to_owned),
        );
    }
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), text.matches("aws_access_key_id").count()), (16, 16), "{text}");
    assert_eq!(text.matches("# of p").count(), 8);
    assert_eq!(names(&folder(&world)), ["credentials", "credentials.lock"]);
}

#[test]
fn botocore_and_aws_cli_find_the_edited_profile_and_the_others_as_they_were() {
    let (Some(aws), Some(python), Some(cloud)) = (tool::find("aws"), moto::python(), moto::cloud()) else { return };
    let world = World::start();
    crate::consumer::lend(&world, "/aws/sts/365-dev", &cloud.role);
    let path = folder(&world).join("credentials");
    written(&path, OLD, 0o600);
    let variables = exports(&edit(&world, &path, "--region us-east-1").ok());
    let mut run = world.command("").env("AWS_ENDPOINT_URL", &cloud.endpoint).env("AWS_PAGER", "");
    run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
    let who = play(&run, &aws, &["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]).ok();
    assert_eq!(who.trim(), cloud.role.arn);
    let script = "import boto3\nfor name in ('ci-creds', 'default'):\n\
                  \x20c = boto3.Session(profile_name=name).get_credentials()\n print(c.access_key, c.secret_key, c.token)";
    let (key, secret, token) = (&cloud.role.key, &cloud.role.secret, cloud.role.session.as_deref().unwrap_or_default());
    assert_eq!(
        play(&run, &python, &["-c", script]).ok(),
        format!("{key} {secret} {token}\nAKIAIOSFODNN7EXAMPLE wJalr/UtnFEMI ; not a comment None\n")
    );
    // What aws-cli writes we edit, and what we edit aws-cli writes.
    play(&run, &aws, &["configure", "set", "aws_session_token", "by-hand", "--profile", "ci-creds"]).ok();
    edit(&world, &path, "").ok();
    assert_eq!(play(&run, &python, &["-c", script]).ok().lines().next(), Some(&*format!("{key} {secret} {token}")));
    assert_eq!(std::fs::metadata(&path).expect("the file").mode() & 0o777, 0o600);
}
