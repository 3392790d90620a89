//! Who waits for whom: holders that hang, are told to stop, or are killed.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dev_vault::{Fault, On};

use super::place::{PATIENCE, entries, files, mode, name, signal, start, wait_for};
use super::{PROCESS, READ, with};
use crate::support::{Run, World, tool};

/// Whether it has come as far as to listen to signals.
fn catches_sigterm(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("a process");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a set of signals");
    u64::from_str_radix(caught.trim(), 16).expect("a number") & (1 << 14) != 0
}

/// A caller that holds the lock and waits for Vault.
fn holder(world: &World, run: &Run) -> Child {
    world.vault.inject(On::path(READ), Fault::hang_before());
    let asked = world.requests().len();
    let child = start(run);
    assert!(world.vault.wait_for_requests(asked + 1, PATIENCE), "the read never came");
    child
}

// check: 7
#[test]
fn a_call_that_waits_for_a_hanging_holder_ends_as_temporary_and_names_the_lock() {
    let world = World::start();
    let run = world.command_as("token", PROCESS);
    let mut child = holder(&world, &run);
    signal(&child, rustix::process::Signal::STOP);
    let begun = Instant::now();
    let ran = with(&run, &format!("{PROCESS} --timeout 3s")).run().failed(75, "temporary");
    // Two thirds of the deadline: the rest would be for the own login and read.
    assert!(begun.elapsed() >= Duration::from_secs(2) && begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let lock = files(&world).into_iter().find(|path| name(path).starts_with("lock-")).expect("a lock");
    assert!(ran.stderr.contains(&lock.display().to_string()) && ran.stderr.contains("--no-cache"), "{ran:?}");
    assert_eq!(ran.stdout, "");
    // Its own door is another lock's, or nobody's business.
    with(&run, &format!("{PROCESS} --no-cache")).run().ok();
    signal(&child, rustix::process::Signal::CONT);
    child.kill().expect("a child");
    child.wait().expect("its end");
}

// check: 16
#[test]
fn a_holder_that_is_killed_lets_the_next_one_in_at_once() {
    let world = World::start();
    let run = world.command_as("token", PROCESS);
    let mut child = holder(&world, &run);
    let waiting = start(&run);
    child.kill().expect("a child");
    let killed = Instant::now();
    child.wait().expect("its end");
    let output = waiting.wait_with_output().expect("its end");
    assert!(output.status.success(), "{output:?}");
    // A login and a read of the double, on a machine that runs other tests: far from the 30 s of a wait in vain.
    assert!(killed.elapsed() < Duration::from_secs(20), "{:?}", killed.elapsed());
    assert_eq!(files(&world).len(), 2, "{:?}", files(&world));
}

#[test]
fn a_signal_while_it_waits_or_asks_leaves_no_lease_no_entry_and_a_free_lock() {
    let world = World::start();
    let run = world.command_as("id-token", PROCESS);
    world.vault.inject(On::path(READ), Fault::hang_after());
    let child = start(&run);
    assert!(world.vault.wait_for_requests(2, PATIENCE), "the read never came");
    let waiting = start(&with(&run, "aws --role 365-dev --cache"));
    wait_for("the second caller", || catches_sigterm(&waiting));
    signal(&waiting, rustix::process::Signal::TERM);
    let output = waiting.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(143));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("(exit 143);\n"), "{output:?}");
    signal(&child, rustix::process::Signal::TERM);
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    world.assert_nothing_left(&"after SIGTERM");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
    run.run().ok();
}

#[test]
fn a_call_that_a_signal_ended_leaves_word_of_the_single_use_secret_that_it_spent() {
    let world = World::start();
    let run = world.command_as("wrapping-token", PROCESS);
    world.vault.inject(On::path(READ), Fault::hang_after());
    let child = start(&run);
    assert!(world.vault.wait_for_requests(4, PATIENCE), "the read never came");
    signal(&child, rustix::process::Signal::TERM);
    assert_eq!(child.wait_with_output().expect("its end").status.code(), Some(143));
    let ran = run.run().failed(79, "spent");
    assert!(ran.stderr.contains("an earlier call of this job used it at 20"), "{ran:?}");
}

#[test]
fn no_key_is_made_with_a_login_that_is_revoked_after_a_signal() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "aws --role user --via creds --format process");
    let Some(strace) = tool::find("strace").filter(|_| tool::is_root("the program's memory is closed to strace"))
    else {
        return;
    };
    world.vault.inject(On::get("aws/creds/user"), Fault::hang_after());
    // Who locks anew for the giving back leaves a gap, which is made long enough to be met.
    let mut command = Command::new(strace);
    command.args(["-f", "-e", "inject=flock:delay_enter=500000:when=2+", "-o"]).arg(world.path("strace"));
    command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments).env_clear().envs(run.variables());
    let mut holder = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    assert!(world.vault.wait_for_requests(4, PATIENCE), "the read never came");
    let other = start(&with(&run, "exoscale --role gitlab-ci-runner --cache"));
    wait_for("the second caller", || catches_sigterm(&other));
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.id())).expect("a process");
    let program = children.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("one number");
    rustix::process::kill_process(program, rustix::process::Signal::TERM).expect("a signal");
    let output = other.wait_with_output().expect("its end");
    holder.wait().expect("its end");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(79), "its key died with the login: {stderr}");
    assert!(stderr.contains("an earlier call of this job used it at"), "{stderr}");
    assert_eq!((world.vault.live_leases(), entries(&world).len()), (Vec::new(), 1));
}

#[test]
fn a_signal_while_a_kept_credential_waits_for_its_file_does_not_take_it_from_the_others() {
    let world = World::start();
    let path = world.file("credentials", "");
    let lock = world.file("credentials.lock", "");
    let lock = std::fs::File::options().write(true).open(lock).expect("a lock");
    lock.lock().expect("it is ours");
    let line = format!("aws --role user --via creds --cache --file {}", path.display());
    let child = start(&world.command_as("id-token", &line));
    wait_for("the entry", || entries(&world).iter().any(|path| !name(path).starts_with("draft-")));
    signal(&child, rustix::process::Signal::TERM);
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert_eq!(world.vault.live_leases().len(), 1);
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), "");
}

/// How many rounds: a full run takes minutes, and is for the one who changes this code.
fn rounds() -> Option<u32> {
    std::env::var("CI_CREDS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok())
}

// check: 16
#[test]
fn callers_that_are_killed_at_any_moment_leave_a_valid_cache_and_a_lease_each_at_most() {
    const CALLERS: usize = 20;
    let world = World::start();
    // The same numbers in every run: a failure can be had again.
    let mut random = fastrand::Rng::with_seed(0x5eed);
    // Alone on the machine the next call takes milliseconds; beside all other tests it may have to wait for its turn.
    let soon = Duration::from_secs(if rounds().is_some() { 1 } else { 10 });
    for round in 0..rounds().unwrap_or(20) {
        let run = world.command_as("token", PROCESS);
        let (leases, before) = (world.vault.live_leases().len(), entries(&world).len());
        let mut callers: Vec<_> = (0..CALLERS).map(|_| start(&run)).collect();
        // A caller lives for some milliseconds: the kills fall into all of them.
        let mut kills = 0;
        while kills < 10 && random.u8(..4) != 0 {
            std::thread::sleep(Duration::from_micros(random.u64(..8000)));
            signal(&callers[random.usize(..CALLERS)], rustix::process::Signal::KILL);
            kills += 1;
        }
        let mut answers = std::collections::BTreeSet::new();
        for caller in &mut callers {
            let status = caller.wait().expect("its end");
            let mut text = String::new();
            caller.stdout.take().expect("its stdout").read_to_string(&mut text).expect("a text");
            if status.success() {
                answers.insert(text);
            }
        }
        let begun = Instant::now();
        answers.insert(run.run().ok());
        assert!(begun.elapsed() < soon, "round {round}: {:?}", begun.elapsed());
        let made = world.vault.live_leases().len() - leases;
        assert!(made <= kills + 1, "round {round}: {made} leases for {kills} kills");
        assert_eq!(answers.len(), 1, "round {round}");
        assert_eq!(entries(&world).len(), before + 1, "round {round}: {:?}", entries(&world));
        assert!(files(&world).iter().all(|path| mode(path) == 0o600), "round {round}");
    }
}
