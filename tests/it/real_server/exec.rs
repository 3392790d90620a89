//! A command with a real key: it opens the cloud while the command runs, and nothing when it has ended, however it ends.

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::json;

use super::engine::Engine;
use crate::support::{METHODS, Run};

/// The job's line as one that runs this script.
fn exec(engine: &Engine, method: &str, role: &str, script: &str) -> Run {
    let mut run = engine.job(method, role);
    run.arguments.insert(0, "exec".into());
    ["--leash=30s", "--", "sh", "-c", script].iter().fold(run, |run, word| run.arg(word))
}

/// Starts it in a process group of its own, and waits until it has told its key.
fn begin(run: &Run) -> (Child, String, String) {
    let mut command = run.to_command();
    let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().expect("a child");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let (user, password) = line.trim().split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
    let (user, password) = (user.to_owned(), password.to_owned());
    (child, user, password)
}

/// What the command does when it has told its key, and what is done to the run.
type End = (&'static str, fn(Pid));

const TELL: &str = "echo $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY; ";

// check: 5
#[test]
fn a_key_opens_its_cloud_while_the_command_runs_and_no_lease_is_left_after_any_end() {
    let Some(engine) = Engine::start("commanded", true) else { return };
    let ends: [End; 6] = [
        ("exit 0", |_| {}),
        ("exit 42", |_| {}),
        ("kill -KILL $$", |_| {}),
        ("exec sleep 60", |pid| kill_process(pid, Signal::TERM).expect("sent")),
        ("exec sleep 60", |pid| kill_process(pid, Signal::INT).expect("sent")),
        ("exec sleep 60", |pid| kill_process_group(pid, Signal::TERM).expect("sent")),
    ];
    for (number, (script, end)) in ends.into_iter().enumerate() {
        let role = format!("commanded{}", char::from(b'a' + u8::try_from(number).expect("few")));
        let (mut child, user, password) = begin(&exec(&engine, "secret-id", &role, &format!("{TELL}{script}")));
        if script == "exec sleep 60" {
            assert!(engine.lets_in(&user, &password), "{script}");
        }
        end(Pid::from_child(&child));
        let status = child.wait().expect("its end");
        assert!(status.code() == Some(0) || status.code() == Some(42) || status.signal().is_some(), "{status:?}");
        // Answered when the engine has revoked it: there is nothing to wait for.
        assert_eq!((engine.leases(&role), engine.users(&role)), (vec![], vec![]), "{script}");
        assert!(!engine.lets_in(&user, &password), "{script}");
    }
}

#[test]
fn every_login_gives_the_key_of_a_command_back() {
    let Some(engine) = Engine::start("handed", true) else { return };
    for method in METHODS.into_iter().filter(|method| *method != "token") {
        let role = format!("handed{}", method.replace('-', ""));
        let ran = exec(&engine, method, &role, "exit 3").run();
        assert_eq!(ran.code, 3, "{method}: {ran:?}");
        assert_eq!((engine.leases(&role), engine.users(&role)), (vec![], vec![]), "{method}");
    }
}

// check: 5
#[test]
fn a_killed_run_leaves_a_token_that_ends_with_its_leash() {
    let Some(engine) = Engine::start("killed", true) else { return };
    let (mut child, user, password) = begin(&exec(&engine, "secret-id", "killed", &format!("{TELL}exec sleep 60")));
    kill_process_group(Pid::from_child(&child), Signal::KILL).expect("sent");
    assert_eq!(child.wait().expect("its end").signal(), Some(9));
    assert!(engine.lets_in(&user, &password));
    let accessors = engine.operator().list("auth/token/accessors");
    let lives = accessors.iter().filter_map(|accessor| {
        let body = json!({ "accessor": accessor });
        let (status, answer) = engine.operator().send("POST", "auth/token/lookup-accessor", &[], &body);
        let of_the_run = status == 200 && answer["data"]["path"] == "auth/approle/login";
        let of_the_run = of_the_run && answer["data"]["meta"]["role_name"] == "killed";
        of_the_run.then(|| answer["data"]["ttl"].as_u64().unwrap_or(u64::MAX))
    });
    assert!(lives.min().is_some_and(|left| left <= 30));
    engine.operator().write("sys/leases/revoke-prefix/killed/creds", &json!({}));
}
