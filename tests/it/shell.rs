/// Inside a CI job: what captures the output works, what would print it into the log is refused.
mod guard;
/// fish and PowerShell, each in its own form.
mod others;
/// GitLab's runner and its ways to wrap a script.
mod runner;
/// A caller's `IFS`, which splits an unquoted eval.
mod split;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use dev_vault::{Fault, On};

use crate::support::shell::{self, EVALS, LastAnswer, Played, Shell, Stage};
use crate::support::{ROLE, Run, World, tool};

/// What a job may have set before it calls us; each must be gone or replaced afterwards.
const EXOSCALE: [&str; 9] = [
    "EXOSCALE_API_KEY",
    "EXOSCALE_API_SECRET",
    "EXOSCALE_KEY",
    "EXOSCALE_SECRET",
    "EXOSCALE_SECRET_KEY",
    "CLOUDSTACK_KEY",
    "CLOUDSTACK_API_KEY",
    "CLOUDSTACK_SECRET",
    "CLOUDSTACK_SECRET_KEY",
];

const AWS: [&str; 7] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
];

/// A job that holds a Vault token and stale variables.
fn stage(world: &World, stale: &[&str]) -> Stage {
    stale.iter().fold(Stage::new(world, &world.command_as("token", "")), |stage, name| stage.env(name, "stale"))
}

fn gone<'a>(names: &[&'a str]) -> BTreeMap<&'a str, Option<String>> {
    names.iter().map(|name| (*name, None)).collect()
}

fn exoscale_key(answer: &LastAnswer) -> BTreeMap<&'static str, Option<String>> {
    let mut expected = gone(&EXOSCALE);
    expected.insert("EXOSCALE_API_KEY", Some(answer.field("api_key")));
    expected.insert("EXOSCALE_API_SECRET", Some(answer.field("api_secret")));
    expected
}

/// The settings under which people run scripts, and those that make words of our output act.
fn settings(shell: &Shell) -> Vec<&'static str> {
    let mut settings = vec!["set -e", "set -eu", "set -e; IFS='\n'", "set -e; IFS=", "set -ef"];
    if shell.name.starts_with("bash") {
        settings.extend([
            "set -e; shopt -s nullglob",
            "set -e; shopt -s failglob",
            "set -e; shopt -s extglob dotglob",
            "set -euo pipefail; shopt -s inherit_errexit",
        ]);
    }
    if shell.name.starts_with("zsh") {
        settings.extend([
            "set -e; setopt nullglob",
            "set -e; setopt globsubst extendedglob",
            "set -e; setopt shwordsplit",
        ]);
    }
    settings
}

#[test]
fn an_eval_sets_exactly_the_keys_variables_in_every_shell_and_under_every_setting() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let stage = stage(&world, &EXOSCALE);
    for shell in shell::posix() {
        for setting in settings(&shell) {
            for (open, close) in EVALS {
                let what = format!("{}: {setting}: {open}…{close}", shell.name);
                let script = format!(
                    "{setting}\nenv -0 >\"$OUT/before\"\nflags=$-\n{open}ci-creds exoscale --role {ROLE}{close}\n\
                     case $flags in \"$-\") ;; *) exit 9;; esac\nenv -0 >\"$OUT/after\"\ntouch \"$OUT/reached\"\n"
                );
                let played = stage.play(&shell, &script);
                assert!(played.reached, "{what}: {:?}", played.ran);
                assert_eq!((played.ran.code, played.ran.stderr.as_str()), (0, ""), "{what}");
                played.assert_changed(&what, &exoscale_key(&answer));
            }
        }
    }
}

#[test]
fn aws_credentials_of_both_kinds_leave_nothing_stale_in_any_shell() {
    let world = World::start();
    let stage = stage(&world, &AWS);
    for (path, line) in [("sts", "aws --role 365-dev --region eu-central-1"), ("creds", "aws --role user --via creds")]
    {
        let answer =
            LastAnswer::watch(&world, &format!("/aws/{path}/{}", if path == "sts" { "365-dev" } else { "user" }));
        for shell in shell::posix() {
            let script = format!("set -eu\nenv -0 >\"$OUT/before\"\neval $(ci-creds {line})\nenv -0 >\"$OUT/after\"\n");
            let played = stage.play(&shell, &script);
            let mut expected = gone(&AWS);
            expected.insert("AWS_ACCESS_KEY_ID", Some(answer.field("access_key")));
            expected.insert("AWS_SECRET_ACCESS_KEY", Some(answer.field("secret_key")));
            if path == "sts" {
                expected.insert("AWS_SESSION_TOKEN", Some(answer.field("session_token")));
                let region = || Some("eu-central-1".to_owned());
                expected.extend([("AWS_REGION", region()), ("AWS_DEFAULT_REGION", region())]);
                let end = played.dump("after")["AWS_CREDENTIAL_EXPIRATION"].clone();
                assert_fits_the_lease(&world, &end);
                expected.insert("AWS_CREDENTIAL_EXPIRATION", Some(end));
            }
            played.assert_changed(&format!("{}: {line}", shell.name), &expected);
        }
    }
}

/// The time is the last lease's end less a margin of 5 s, and less what the request took: at most its deadline, 60 s.
fn assert_fits_the_lease(world: &World, end: &str) {
    let lease = world.vault.live_leases().iter().map(|lease| lease.expires).max().expect("a lease");
    let end = SystemTime::from(end.parse::<jiff::Timestamp>().expect("a time"));
    let early = lease.duration_since(end).expect("never later than the lease");
    assert!((Duration::from_secs(5)..Duration::from_secs(65)).contains(&early), "{early:?} before the lease");
}

#[test]
fn a_sourced_file_does_the_same_as_an_eval() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let stage = stage(&world, &EXOSCALE);
    for shell in shell::posix() {
        let script = format!(
            "set -eu\nenv -0 >\"$OUT/before\"\ncd \"$OUT\"\nci-creds exoscale --role {ROLE} >f\n. ./f\n\
             rm f\ncd - >\"$OUT/cd\"\nunset OLDPWD\nenv -0 >\"$OUT/after\"\n"
        );
        let played = stage.play(&shell, &script);
        let mut expected = exoscale_key(&answer);
        // The script's own steps.
        for name in ["PWD", "OLDPWD"] {
            if played.dump("before").get(name) != played.dump("after").get(name) {
                expected.insert(name, played.dump("after").get(name).cloned());
            }
        }
        played.assert_changed(shell.name, &expected);
        let failing =
            "set -e\nci-creds exoscale --no-such-flag >\"$OUT/f\" || :\n. \"$OUT/f\"\ntouch \"$OUT/reached\"\n";
        let played = stage.play(&shell, failing);
        assert_eq!((played.ran.code, played.reached), (64, false), "{}: {:?}", shell.name, played.ran);
    }
}

/// A way to fail: its name, the job, the arguments, our exit code.
struct Failure {
    name: &'static str,
    stage: Stage,
    line: String,
    code: i32,
}

/// Nobody listens below 1024 without being asked to, and no other test is ever given the port.
const CLOSED: &str = "http://127.0.0.1:1";

/// One failure of every stage of the chain. Nothing is retried: what is asked here is how the shell ends.
fn failures(world: &World) -> Vec<Failure> {
    let line = format!("exoscale --role {ROLE} --retries 0");
    let spent = world.wrapping_token();
    world.command_as("wrapping-token", &line).env("VAULT_WRAPPING_TOKEN", &spent).run().ok();
    let cut = format!("/exoscale/apikey/{ROLE}");
    world.vault.inject(On::get(&cut).every(), Fault::cut_answer(150));
    let job = |run: Run| EXOSCALE.iter().fold(Stage::new(world, &run), |stage, name| stage.env(name, "stale"));
    let token = || world.command_as("token", "");
    let failure = |name, run: Run, line: &str, code| Failure { name, stage: job(run), line: line.to_owned(), code };
    vec![
        failure("an unknown flag", token(), "exoscale --no-such-flag", 64),
        failure("an unset address", token().without("VAULT_ADDR"), &line, 78),
        failure("a refused login", world.command_as("secret-id", "").env("VAULT_SECRET_ID", "wrong"), &line, 77),
        failure("a refused read", token(), "exoscale --role another --retries 0", 77),
        failure(
            "a spent wrapping token",
            world.command_as("wrapping-token", "").env("VAULT_WRAPPING_TOKEN", &spent),
            &line,
            79,
        ),
        failure("an unreachable server", token().env("VAULT_ADDR", CLOSED), &line, 69),
        failure("a truncated answer", world.command_as("id-token", ""), &line, 80),
    ]
}

fn assert_stopped(what: &str, played: &Played, code: i32) {
    assert!(!played.reached, "{what}: it went on: {:?}", played.ran);
    assert_eq!(played.ran.code, code, "{what}: {:?}", played.ran);
}

// check: 2
#[test]
fn no_failure_of_any_stage_lets_a_script_go_on_in_any_shell() {
    let world = World::start();
    let failures = failures(&world);
    let leases = world.vault.live_leases();
    for Failure { name, stage, line, code } in failures {
        for shell in shell::posix() {
            for (open, close) in EVALS {
                let what = format!("{}: {name}: {open}…{close}", shell.name);
                let played =
                    stage.play(&shell, &format!("set -e\n{open}ci-creds {line}{close}\ntouch \"$OUT/reached\"\n"));
                assert_stopped(&what, &played, code);
                world.assert_no_secret_in(&format!("{}{}", played.ran.stdout, played.ran.stderr));
            }
        }
    }
    assert_eq!(world.vault.live_leases(), leases, "a lease that no job has");
}

#[test]
fn a_script_that_goes_on_after_a_failure_has_our_code_and_no_stale_credential() {
    let world = World::start();
    for Failure { name, stage, line, code } in failures(&world) {
        for shell in shell::posix() {
            let what = format!("{}: {name}", shell.name);
            let script = format!(
                "env -0 >\"$OUT/before\"\neval $(ci-creds {line})\ncode=$?\nenv -0 >\"$OUT/after\"\n\
                 eval $(ci-creds {line}) || echo \"caught $?\"\n\
                 if eval $(ci-creds {line}); then echo wrong; fi\nexit $code\n"
            );
            let played = stage.play(&shell, &script);
            assert_eq!(played.ran.code, code, "{what}: {:?}", played.ran);
            assert_eq!(played.ran.stdout, format!("caught {code}\n"), "{what}");
            played.assert_changed(&what, &gone(&EXOSCALE));
        }
    }
}

#[test]
fn the_settings_of_a_shell_do_not_turn_a_failure_into_a_success() {
    let world = World::start();
    let stage = stage(&world, &EXOSCALE);
    for shell in shell::posix() {
        for setting in settings(&shell) {
            for (open, close) in EVALS {
                let what = format!("{}: {setting}: {open}…{close}", shell.name);
                let script = format!("{setting}\n{open}ci-creds exoscale --bad{close}\ntouch \"$OUT/reached\"\n");
                // zsh reads `(exit` as a broken pattern there, which stops the script no less.
                let code =
                    if setting.contains("globsubst") && !open.contains('"') && shell.name == "zsh" { 1 } else { 64 };
                assert_stopped(&what, &stage.play(&shell, &script), code);
            }
        }
    }
}

#[test]
fn a_shell_at_a_prompt_survives_a_failure() {
    let world = World::start();
    let Some(setsid) = tool::find("setsid") else { return };
    for shell in shell::posix() {
        let stage = stage(&world, &EXOSCALE);
        // A session of its own: an interactive shell would otherwise reach for the terminal of who runs the tests.
        let command = shell.command_under(
            &setsid,
            &["--wait"],
            "eval $(ci-creds exoscale --bad); echo \"still here $?\"",
            &["-i"],
        );
        let played = stage.finish(command);
        assert!(played.ran.stdout.contains("still here 64"), "{}: {:?}", shell.name, played.ran);
    }
}

#[test]
fn a_missing_binary_is_caught_by_the_form_that_we_document() {
    let world = World::start();
    let stage = stage(&world, &EXOSCALE);
    for shell in shell::posix() {
        for (open, close) in EVALS {
            let what = format!("{}: {open}…{close}", shell.name);
            let line = |tool: &str| format!("set -e\n{open}{tool} || echo false{close}\ntouch \"$OUT/reached\"\n");
            assert_stopped(&what, &stage.play(&shell, &line("ci-creds-missing exoscale")), 1);
            // And where we have said it ourselves, our own code stays.
            assert_stopped(&what, &stage.play(&shell, &line("ci-creds exoscale --bad")), 64);
        }
        let two_lines = "set -e\nCREDS=$(ci-creds exoscale --bad)\neval \"$CREDS\"\ntouch \"$OUT/reached\"\n";
        assert_stopped(shell.name, &stage.play(&shell, two_lines), 64);
    }
}

// check: 22
#[test]
fn joined_with_stderr_nothing_of_our_message_is_run_and_the_script_stops() {
    let world = World::start();
    let stage = stage(&world, &EXOSCALE);
    for shell in shell::posix() {
        for line in ["exoscale --bad 2>&1".to_owned(), format!("exoscale --role {ROLE} 2>&1")] {
            let script = format!("set -e\neval $(ci-creds {line})\ntouch \"$OUT/reached\"\n");
            assert_stopped(&format!("{}: {line}", shell.name), &stage.play(&shell, &script), 64);
        }
    }
    assert!(world.vault.minted().is_empty(), "a credential that nobody could take");
}
