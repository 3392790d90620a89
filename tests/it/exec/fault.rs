//! What other programs that run commands did wrong, so that this one does not. What is not here is held by the tests of
//! `signalled` and `terminal`:
//!
//! | where it was | what happened | the test |
//! |---|---|---|
//! | gruntwork-io/terragrunt#2120, #4839; jdx/fnox#339 | Ctrl+C came twice, and terraform left its state locked | `what_a_terminal_sends_…` |
//! | DopplerHQ/cli#142 | a signal to the wrapper at a terminal reached nothing | `what_a_terminal_sends_…` |
//! | hashicorp/envconsul#31, #63, #90, #182 | HUP and TERM did not go out | `a_signal_reaches_…` |
//! | 99designs/aws-vault#453, #420, #629 | Ctrl+C was lost, Ctrl+Z stopped for days, each failure was 255 | `ctrl_z_stops_…`, `a_command_ends_…` |
//! | Infisical/cli | each failure was 1 | `a_command_ends_with_its_own_code` |
//! | Yelp/dumb-init#25, #51, #60 | no job control, and a death by signal was 0 | `a_shell_as_the_command_…`, `a_commands_death_…` |
//! | krallin/tini#138, #172 | zombies, and children that survive | `as_process_1_…`, `a_kill_of_the_group_…` |
//! | hashicorp/vault#17873, #20940, #20950 | hangups crashed it, and restarted the command | `a_storm_of_hangups_…` |
//! | bank-vaults/bank-vaults#836, #1239 | a command ran on with dead keys | `a_lease_at_its_max_…`, and below |
//! | gitlab-org/gitlab-runner#2486, #4843, gitlab-org/gitlab#456252 | no clean-up at a cancel, or beside a running script | `a_run_that_is_still_running_…` of `revoke` |

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::json;

use super::signalled::COUNTER;
use super::{EXOSCALE, shell};
use crate::support::{World, tool};

/// Starts the script in a process group of its own. Gives the first line that it tells.
fn begin(world: &World, script: &str) -> (Child, BufReader<ChildStdout>, String) {
    let mut command = shell(world, EXOSCALE, script).to_command();
    tell(command.process_group(0).stdout(Stdio::piped()))
}

fn tell(command: &mut Command) -> (Child, BufReader<ChildStdout>, String) {
    let mut child = command.spawn().expect("a child");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    (child, stdout, line.trim().to_owned())
}

fn process(line: &str) -> Pid {
    Pid::from_raw(line.parse().unwrap_or_else(|_| panic!("{line:?}"))).expect("a process")
}

fn rest(mut stdout: BufReader<ChildStdout>) -> String {
    let mut text = String::new();
    stdout.read_to_string(&mut text).expect("a text");
    text
}

// cachix/secretspec#382, dmno-dev/varlock#812, fgm/envrun#35
#[test]
fn a_sigterm_at_us_alone_leaves_no_command_without_us() {
    let world = World::start();
    let (mut child, _stdout, line) = begin(&world, "echo $$; exec sleep 60");
    let command = process(&line);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("sent");
    assert_eq!(child.wait().expect("its end").signal(), Some(15));
    assert!(rustix::process::test_kill_process(command).is_err(), "the command lives on");
    world.assert_nothing_left(&line);
}

// tofuutils/tenv#95, hashicorp/terraform-exec#332
#[test]
fn we_wait_for_a_command_that_cleans_up_and_never_kill_it() {
    let world = World::start();
    let script = "trap 'sleep 2; echo cleaned; exit 9' INT TERM; echo ready; while :; do sleep 0.1; done";
    for (signal, to_the_group) in [(Signal::INT, true), (Signal::TERM, false)] {
        let (mut child, stdout, _) = begin(&world, script);
        let begun = Instant::now();
        let pid = Pid::from_child(&child);
        if to_the_group { kill_process_group(pid, signal) } else { kill_process(pid, signal) }.expect("sent");
        assert_eq!((child.wait().expect("its end").code(), rest(stdout).as_str()), (Some(9), "cleaned\n"));
        assert!(begun.elapsed() >= Duration::from_secs(2));
    }
    world.assert_nothing_left(&script);
}

/// From `/proc/PID/stat`. A session is 0 where its leader is outside of our PID namespace, which `getsid` of rustix
/// cannot hold.
fn group_and_session(pid: &str) -> (String, String) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("of a process that runs");
    let mut words = stat[stat.rfind(')').expect("a name") + 1..].split_whitespace().skip(2).map(str::to_owned);
    (words.next().expect("a group"), words.next().expect("a session"))
}

// krallin/tini#44
#[test]
fn the_command_is_in_our_process_group_and_session() {
    let world = World::start();
    let (mut child, _stdout, line) = begin(&world, "echo $$; exec sleep 60");
    let (ours, command) = (Pid::from_child(&child), process(&line));
    let (group, session) = group_and_session(&command.to_string());
    assert_eq!((group, session), (ours.to_string(), group_and_session("self").1));
    kill_process(ours, Signal::TERM).expect("sent");
    child.wait().expect("its end");
}

// actions/runner#2128, suzuki-shunsuke/tfcmt#1413, open-constructs/cdk-terrain#283
#[test]
fn an_interrupt_of_the_steps_shell_alone_reaches_a_command_in_the_documented_form() {
    let Some(bash) = tool::find("bash") else { return };
    let world = World::start();
    let run = shell(&world, EXOSCALE, "trap 'echo interrupted; exit 6' INT; echo ready; while :; do sleep 0.1; done");
    let mut step = Command::new(bash);
    step.args(["-c", "exec \"$@\"", "bash", env!("CARGO_BIN_EXE_ci-creds")]).args(&run.arguments);
    let (mut child, stdout, _) = tell(step.env_clear().envs(run.variables()).stdout(Stdio::piped()));
    kill_process(Pid::from_child(&child), Signal::INT).expect("sent");
    assert_eq!((child.wait().expect("its end").code(), rest(stdout).as_str()), (Some(6), "interrupted\n"));
}

// segmentio/chamber#37, cyberark/summon#83
#[test]
fn one_that_stays_beside_the_command_revokes_what_an_exec_could_not() {
    let world = World::start();
    let (mut child, _stdout, line) = begin(&world, "echo $$; exec sleep 60");
    assert_ne!(process(&line), Pid::from_child(&child));
    kill_process(process(&line), Signal::KILL).expect("sent");
    assert_eq!(child.wait().expect("its end").signal(), Some(9));
    world.assert_nothing_left(&line);
}

// hashicorp/envconsul#254
#[test]
fn signals_that_end_no_process_are_not_handed_on() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    let counted = ["SIGURG", "SIGIO", "SIGPROF", "SIGWINCH", "SIGUSR1"];
    let words: Vec<_> = [python.to_str().expect("a path"), "-c", COUNTER].into_iter().chain(counted).collect();
    let mut command = super::exec(&world, "secret-id", EXOSCALE, &words).to_command();
    let (mut child, mut stdout, _) = tell(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let ours = Pid::from_child(&child);
    for _ in 0..50 {
        kill_process(ours, Signal::URG).expect("sent");
        kill_process(ours, Signal::WINCH).expect("sent");
    }
    kill_process(ours, Signal::USR1).expect("sent");
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    drop(child.stdin.take());
    assert_eq!((line.as_str(), rest(stdout).as_str()), ("got SIGUSR1\n", "counts SIGUSR1\n"));
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

// bank-vaults/bank-vaults#836, #1239
#[test]
fn on_expiry_term_ends_the_command_while_its_credential_still_works() {
    let world = World::start();
    world.vault.write(&format!("exoscale/role/{}", crate::support::ROLE), json!({ "ttl": "9s", "renewable": false }));
    let script = "trap 'echo cleaning; read line; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    let clean_up = || {
        let begun = Instant::now();
        let mut command = shell(&world, &format!("{EXOSCALE} --on-expiry term"), script).to_command();
        let (mut child, mut stdout, _) =
            tell(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let (mut line, mut told) = (String::new(), String::new());
        stdout.read_line(&mut line).expect("a line");
        // A sixth of its life before its end, which is nine seconds after it was made.
        assert!(line == "cleaning\n" && begun.elapsed() >= Duration::from_millis(7500), "{:?}", begun.elapsed());
        // A clean-up takes its time.
        std::thread::sleep(Duration::from_millis(500));
        let alive = world.vault.live_leases().len() == 1;
        assert_eq!(world.count("revoke"), 0, "nothing is revoked while the command cleans up");
        drop(child.stdin.take());
        child.stderr.take().expect("a pipe").read_to_string(&mut told).expect("a text");
        assert_eq!(child.wait().expect("its end").code(), Some(9));
        assert_eq!(told.matches("sending SIGTERM to the command, as --on-expiry term says").count(), 1, "{told}");
        world.assert_nothing_left(&told);
        world.vault.forget_requests();
        alive
    };
    // The second and a half before the end can pass before a busy machine has run the trap: one run in time is enough.
    assert!((0..4).any(|_| clean_up()), "the credential had expired");
    // One that ends in time is not disturbed.
    let ran = shell(&world, &format!("{EXOSCALE} --on-expiry term"), "exit 4").run();
    assert!(ran.code == 4 && !ran.stderr.contains("SIGTERM"), "{ran:?}");
    let ran = shell(&world, "exec aws --role 365-dev --serve --on-expiry term", "exit 0").run();
    ran.failed(125, "usage");
}
