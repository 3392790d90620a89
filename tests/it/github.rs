use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use dev_vault::{Fault, On, Reply};

use crate::support::expect::without_receipt;
use crate::support::{ROLE, Ran, Run, World};

/// Reads a file of variables as GitHub's runner does: `NAME=VALUE`, or `NAME<<DELIMITER` and every line up to one that
/// is the delimiter. A line that is neither fails the step there, and the test here.
pub(crate) fn parse_variables(text: &str) -> Vec<(String, String)> {
    let mut lines = text.split_inclusive('\n');
    let mut found = Vec::new();
    while let Some(line) = lines.next().map(|line| line.trim_end_matches('\n')) {
        if line.is_empty() {
            continue;
        }
        let (name, value) = match (line.find('='), line.find("<<")) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                (&line[..equals], line[equals + 1..].to_owned())
            }
            (_, Some(heredoc)) => {
                let delimiter = &line[heredoc + 2..];
                assert!(heredoc > 0 && !delimiter.is_empty(), "no variable: {line}");
                let mut value = String::new();
                loop {
                    let next = lines.next().unwrap_or_else(|| panic!("no end of {line}: {text}"));
                    if next.trim_end_matches('\n') == delimiter {
                        break;
                    }
                    value.push_str(next);
                }
                (&line[..heredoc], value.strip_suffix('\n').unwrap_or(&value).to_owned())
            }
            _ => panic!("no variable: {line}"),
        };
        found.push((name.to_owned(), value));
    }
    found
}

/// Takes the masks out of stderr, as the runner does before it logs the rest.
pub(crate) fn take_masks(ran: &mut Ran) -> Vec<String> {
    let masked = |line: &str| line.strip_prefix("::add-mask::").map(str::to_owned);
    let masks = ran.stderr.lines().filter_map(masked).collect();
    ran.stderr = ran.stderr.lines().filter(|line| masked(line).is_none()).map(|line| format!("{line}\n")).collect();
    masks
}

/// The variables that a step of a job has.
pub(crate) fn in_a_step(run: Run) -> Run {
    run.env("GITHUB_ACTIONS", "true").env("CI", "true")
}

/// Runs it as `ci-creds … >> "$GITHUB_ENV"`; what it did, and what it put behind the line that stood there before.
fn into_file(world: &World, run: &Run) -> (Ran, String) {
    let path = world.file("github-env", "EARLIER=1\n");
    let file = OpenOptions::new().append(true).open(&path).expect("the file");
    let mut command = run.to_command();
    let child = command.stdout(file).stderr(Stdio::piped()).spawn().expect("the program");
    drop(command);
    let output = child.wait_with_output().expect("its end");
    let text = std::fs::read_to_string(&path).expect("the file");
    let ran = Ran {
        code: output.status.code().expect("a code"),
        stdout: text.strip_prefix("EARLIER=1\n").expect("what stood there").to_owned(),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    let text = ran.stdout.clone();
    (ran, text)
}

fn step(world: &World, line: &str) -> Run {
    in_a_step(world.command_as("token", &format!("{line} --format github")))
}

#[test]
fn the_runner_reads_every_variable_masks_every_secret_and_empties_what_this_credential_lacks() {
    let world = World::start();
    let exoscale = format!("exoscale --zone ch-gva-2 --role {ROLE}");
    let storage = format!("exoscale --sos --zone ch-gva-2 --role {ROLE}");
    for line in [exoscale.as_str(), &storage, "aws --role 365-dev --region eu-central-1", "aws --role user --via creds"]
    {
        let run = step(&world, line);
        let known = world.vault.secrets();
        let (mut ran, text) = into_file(&world, &run);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        let minted = world.minted_since(&known);
        let mut secrets = vec![minted.secret.clone()];
        secrets.extend(minted.session.clone());
        let masks = take_masks(&mut ran);
        // An IAM user of this Vault lives for 32 days.
        let rest: Vec<_> = ran.stderr.lines().filter(|line| !line.contains("lives for more than a day")).collect();
        assert_eq!((masks, without_receipt(&rest.join("\n")).as_str()), (secrets, ""), "{line}");
        let pairs = parse_variables(&text);
        let read: BTreeMap<_, _> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read.len(), pairs.len(), "{line}: a name twice");
        let mut expected = BTreeMap::new();
        if line == exoscale {
            expected.extend([("EXOSCALE_API_KEY", minted.key.as_str()), ("EXOSCALE_API_SECRET", &minted.secret)]);
            expected.insert("EXOSCALE_ZONE", "ch-gva-2");
            expected.extend(["EXOSCALE_KEY", "EXOSCALE_SECRET", "EXOSCALE_SECRET_KEY"].map(|name| (name, "")));
        } else {
            expected.extend([("AWS_ACCESS_KEY_ID", minted.key.as_str()), ("AWS_SECRET_ACCESS_KEY", &minted.secret)]);
            expected.insert("AWS_SESSION_TOKEN", minted.session.as_deref().unwrap_or_default());
            expected.insert("AWS_SECURITY_TOKEN", "");
            let end = read["AWS_CREDENTIAL_EXPIRATION"];
            assert_eq!(end.len(), if minted.session.is_some() { 20 } else { 0 }, "{line}");
            expected.insert("AWS_CREDENTIAL_EXPIRATION", end);
        }
        let place = if line == storage { "ch-gva-2" } else { "eu-central-1" };
        if line == storage || line.contains("--region") {
            expected.extend([("AWS_REGION", place), ("AWS_DEFAULT_REGION", place)]);
        }
        if line == storage {
            expected.insert("AWS_ENDPOINT_URL_S3", "https://sos-ch-gva-2.exo.io");
            let checksums = ["AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"];
            expected.extend(checksums.map(|name| (name, "when_required")));
        }
        assert_eq!(read, expected, "{line}");
    }
}

#[test]
fn the_delimiter_is_another_one_in_every_run_and_in_no_value() {
    let world = World::start();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let text = into_file(&world, &step(&world, &format!("exoscale --role {ROLE}"))).1;
        let delimiters: Vec<_> = text.lines().filter_map(|line| Some(line.split_once("<<")?.1)).collect();
        // Key, secret, and three emptied names.
        assert_eq!(delimiters.len(), 5);
        assert!(delimiters.iter().all(|one| *one == delimiters[0]), "{delimiters:?}");
        assert!(delimiters[0].len() == 32 && delimiters[0].bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(parse_variables(&text).iter().all(|(_, value)| !value.contains(delimiters[0])));
        seen.insert(delimiters[0].to_owned());
    }
    assert_eq!(seen.len(), 20);
}

#[test]
fn without_the_masks_nothing_is_written_and_the_key_is_revoked() {
    let world = World::start();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let path = world.file("github-env", "");
    let mut command =
        in_a_step(world.command_as("id-token", &format!("exoscale --role {ROLE} --format github"))).to_command();
    let file = File::create(&path).expect("the file");
    let code = command.stdout(file).stderr(writer).status().expect("its end").code();
    assert_eq!((code, std::fs::read_to_string(&path).expect("the file").as_str()), (Some(74), ""));
    assert_eq!(world.vault.minted().values().sum::<usize>(), 1);
    world.assert_nothing_left(&"the masks were lost");
}

#[test]
fn a_failure_leaves_the_file_as_it_was_and_its_message_has_no_mask() {
    let world = World::start();
    world.vault.inject(
        On::path(&format!("/exoscale/apikey/{ROLE}")).every(),
        Fault::answer(Reply::error(403, "permission denied")),
    );
    let (ran, text) = into_file(&world, &step(&world, &format!("exoscale --role {ROLE}")));
    assert_eq!(text, "");
    let ran = ran.failed(77, "denied");
    assert!(!ran.stderr.contains("::"), "{ran:?}");
    world.assert_no_secret_in(&ran.stderr);
}

// check: 22
#[test]
fn where_the_runner_would_not_take_the_masks_or_the_file_not_the_variables_it_is_refused_before_any_request() {
    let world = World::start();
    let line = format!("exoscale --role {ROLE}");
    let refused = |ran: &Ran, word: &str, hint: &str| {
        assert_eq!(ran.code, 64, "{ran:?}");
        assert!(ran.stderr.contains("error[usage]: ") && ran.stderr.contains(word), "{ran:?}");
        assert!(ran.stderr.contains("  hint: ") && ran.stderr.contains(hint), "{ran:?}");
        assert_eq!(ran.stdout, "", "{ran:?}");
    };
    let run = step(&world, &line);
    let again = |value: &str| step(&world, &line).env("GITHUB_ACTIONS", value);
    for value in ["", "false", "1"] {
        let ran = into_file(&world, &again(value)).0;
        refused(&ran, "this is not a GitHub Actions job", "GITHUB_ACTIONS=true");
        let ran = again(value).arg("--reveal").run();
        refused(&ran, "this is not a GitHub Actions job", "GITHUB_ACTIONS=true");
    }
    let redirect = format!("ci-creds {line} --format github >> \"$GITHUB_ENV\"");
    let redirect = redirect.as_str();
    refused(&run.run(), "stdout is not a file", redirect);

    // What stderr says is in the file where both are one, and nowhere where it is not read.
    let path = world.file("both", "");
    let open = || OpenOptions::new().append(true).open(&path).expect("the file");
    let mut command = run.to_command();
    assert_eq!(command.stdout(open()).stderr(open()).status().expect("its end").code(), Some(64));
    let text = std::fs::read_to_string(&path).expect("the file");
    assert!(text.contains("error[usage]: stdout and stderr are the same"), "{text}");
    for (name, word) in [("stderr", "stderr is a file or closed"), ("/dev/null", "")] {
        let stderr = if name == "stderr" { world.file(name, "") } else { name.into() };
        let (stdout, stderr_file) = (world.file("github-env", ""), File::create(&stderr).expect("stderr"));
        let status = run.to_command().stdout(File::create(&stdout).expect("stdout")).stderr(stderr_file).status();
        assert_eq!(status.expect("its end").code(), Some(64), "{name}");
        assert_eq!(std::fs::read_to_string(stdout).expect("stdout"), "", "{name}");
        assert!(std::fs::read_to_string(stderr).expect("stderr").contains(word), "{name}");
    }
    let null = run.to_command().stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert_eq!(null.expect("its end").code(), Some(74));
    assert_eq!(world.vault.connections(), 0);
}

#[test]
fn with_reveal_it_goes_into_a_pipe_too_and_is_masked_there() {
    let world = World::start();
    let mut ran = step(&world, &format!("exoscale --role {ROLE}")).arg("--reveal").run();
    assert_eq!((ran.code, take_masks(&mut ran).len(), without_receipt(&ran.stderr).as_str()), (0, 1, ""), "{ran:?}");
    assert_eq!(parse_variables(&ran.stdout).len(), 5);
}

/// A step as GitHub's runner starts it: a shell below its own process, in the same process group, with a pipe of its
/// own for stdout and one for stderr.
fn below_the_runner(world: &World, script: &str) -> Ran {
    let runner = world.path("Runner.Worker");
    if !runner.exists() {
        symlink("/bin/sh", &runner).expect("a link");
    }
    let run = in_a_step(world.command_as("token", ""))
        .env("CI_CREDS", env!("CARGO_BIN_EXE_ci-creds"))
        .env("GITHUB_ENV", &world.file("github-env", "").display().to_string())
        .env("STEP", &world.file("step.sh", script).display().to_string());
    let mut command = Command::new(runner);
    // Each stream of the step is a pipe that somebody of the runner's reads, and the log is elsewhere.
    let play = "{ { sh -e \"$STEP\" 3>&- | cat; } 2>&1 >&3 | cat >&2; } 3>&1";
    command.args(["-c", play]).env_clear().envs(run.variables()).stdin(Stdio::null()).process_group(0);
    Ran::of(command)
}

// check: 22
#[test]
fn bare_in_a_step_every_format_is_refused_and_a_captured_one_is_not() {
    let world = World::start();
    for format in ["shell", "json", "github"] {
        let ran = below_the_runner(&world, &format!("$CI_CREDS exoscale --role {ROLE} --format {format}; exit $?"));
        let word = if format == "github" { "stdout is not a file" } else { "nothing captures the output" };
        assert!(ran.stderr.contains(word), "{format}: {ran:?}");
        assert!(!ran.stdout.contains('\''), "{format}: {ran:?}");
    }
    assert_eq!(world.vault.connections(), 0);
    let ran = below_the_runner(
        &world,
        &format!("eval $($CI_CREDS exoscale --role {ROLE})\necho got ${{EXOSCALE_API_KEY%%[0-9a-f]*}}"),
    );
    assert_eq!((ran.stdout.as_str(), without_receipt(&ran.stderr).as_str()), ("got EXO\n", ""));
    let mut ran =
        below_the_runner(&world, &format!("$CI_CREDS exoscale --role {ROLE} --format github >> \"$GITHUB_ENV\""));
    let masks = take_masks(&mut ran).len();
    assert_eq!((masks, ran.stdout.as_str(), without_receipt(&ran.stderr).as_str()), (1, "", ""));
    let text = std::fs::read_to_string(world.path("github-env")).expect("the file");
    assert_eq!(parse_variables(&text)[0].0, "EXOSCALE_API_KEY");
}
