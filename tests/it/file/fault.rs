//! Each call that an edit is made of fails, or is the last one: the file is the old one or the new one.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::edit::{folder, names, written};
use crate::support::parallel::each;
use crate::support::{Ran, Run, World, tool};
use crate::syscall::trace;

const OLD: &str = "[other]\nk = v\n\n[ci-creds]\naws_access_key_id = old\n# the end";

/// Each call, what it may fail with on a full, broken or read-only disk, and how many of it a run makes at most.
const FAILING: [(&str, &str, u32); 11] = [
    ("openat", "ENOSPC", 40),
    ("openat", "EROFS", 40),
    ("write", "ENOSPC", 8),
    ("write", "EDQUOT", 8),
    ("fchmod", "EROFS", 4),
    ("fchown", "EPERM", 2),
    ("fsync", "ENOSPC", 3),
    ("fsync", "EIO", 3),
    ("rename,renameat,renameat2", "ENOSPC", 2),
    ("rename,renameat,renameat2", "EROFS", 2),
    ("flock", "ENOLCK", 3),
];

fn job(world: &World) -> Run {
    let path = folder(world).join("credentials");
    written(&path, OLD, 0o600);
    world.command_as("id-token", &format!("aws --role user --via creds --file {}", path.display()))
}

/// The run under strace, which lets these calls end as told and stops it at no other.
fn injected(world: &World, run: &Run, strace: &Path, calls: &str, how: &str) -> Ran {
    let mut command = Command::new(strace);
    let calls = optional(calls);
    // With the filter strace sends no signal.
    let filter: &[&str] = if how.starts_with("signal=") { &[] } else { &["--seccomp-bpf"] };
    command.args(filter).args(["-f", "-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:{how}"), "-o"]);
    command.arg(world.path("strace"));
    command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments);
    command.env_clear().envs(run.variables()).stdin(Stdio::null());
    Ran::of(command)
}

fn optional(calls: &str) -> String {
    calls.split(',').map(|name| format!("?{name}")).collect::<Vec<_>>().join(",")
}

/// strace, where it can look into the program.
fn strace() -> Option<std::path::PathBuf> {
    let world = World::start();
    trace(&world, &world.command("--version"), "write").and_then(|_| tool::find("strace"))
}

/// Fails unless the text is the old file, or the old file with a whole new profile. Says which.
fn is_new(text: &str) -> bool {
    if text == OLD {
        return false;
    }
    let lines: Vec<_> =
        text.strip_prefix("[other]\nk = v\n\n[ci-creds]\n").unwrap_or_else(|| panic!("torn: {text}")).lines().collect();
    assert_eq!(lines.len(), 4, "torn: {text}");
    for (line, start) in lines.iter().zip([
        "aws_access_key_id = AKIA",
        "aws_secret_access_key = ",
        "x_security_token_expires = 2",
        "# the end",
    ]) {
        assert!(line.starts_with(start), "torn: {text}");
    }
    assert!(lines[1].len() == 64 && text.ends_with("# the end"), "torn: {text}");
    true
}

// check: 23
#[test]
fn whichever_call_fails_the_file_is_old_or_new_and_the_credential_is_revoked() {
    let Some(strace) = strace() else { return };
    let cases: Vec<_> = FAILING.into_iter().flat_map(|call| (1..=call.2).map(move |number| (call, number))).collect();
    let failed = std::sync::Mutex::new(std::collections::BTreeSet::new());
    each(cases, |((calls, error, _), number)| {
        let world = World::start();
        let run = job(&world);
        let ran = injected(&world, &run, &strace, calls, &format!("error={error}:when={number}"));
        let told = format!("{calls} {error} {number}: {ran:?}");
        // The runtime wakes itself by a counter of the kernel's, which no disk can fail.
        let log = std::fs::read_to_string(world.path("strace")).expect("the calls");
        if log.lines().any(|line| line.contains("\\0\", 8)") && line.contains("(INJECTED)")) {
            return;
        }
        let folder = folder(&world);
        let new = is_new(&std::fs::read_to_string(folder.join("credentials")).expect("the file"));
        let left: Vec<_> = names(&folder).into_iter().filter(|name| !name.starts_with("credentials")).collect();
        assert_eq!(left, [] as [&str; 0], "{told}");
        assert_eq!((new, world.vault.live_leases().len()), (ran.code == 0, usize::from(ran.code == 0)), "{told}");
        // 127: the loader's own files could not be opened, and none of our code has run.
        assert!([0, 66, 69, 71, 73, 74, 76, 78, 127].contains(&ran.code), "{told}");
        world.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
        if [71, 73].contains(&ran.code) {
            assert!(ran.stdout.ends_with(&format!("(exit {});\n", ran.code)), "{told}");
            failed.lock().expect("no panic").insert((calls, error));
        }
    });
    let mut expected: std::collections::BTreeSet<_> = FAILING.map(|(calls, error, _)| (calls, error)).into();
    // The group of the new file is the old one's already.
    expected.remove(&("fchown", "EPERM"));
    assert_eq!(failed.into_inner().expect("no panic"), expected);
}

// check: 16
#[test]
fn killed_at_any_call_of_the_edit_a_run_leaves_the_old_file_or_the_new_one() {
    let Some(strace) = strace() else { return };
    let calls = [
        ("openat", 10..=40),
        ("write", 1..=4),
        ("fchmod", 1..=3),
        ("fsync", 1..=2),
        ("rename,renameat,renameat2", 1..=1),
        ("flock", 1..=2),
    ];
    let cases: Vec<_> =
        calls.into_iter().flat_map(|(call, numbers)| numbers.map(move |number| (call, number))).collect();
    let seen = std::sync::Mutex::new(std::collections::BTreeMap::<_, usize>::new());
    each(cases, |(calls, number)| {
        let world = World::start();
        let run = job(&world);
        let ran = injected(&world, &run, &strace, calls, &format!("signal=KILL:when={number}"));
        let path = folder(&world).join("credentials");
        let new = is_new(&std::fs::read_to_string(&path).expect("the file"));
        let left = names(&folder(&world)).len() > 2;
        assert!(ran.code == 0 || ran.code == 137, "{calls} {number}: {ran:?}");
        assert!(ran.code != 0 || new && !left, "{calls} {number}: {ran:?}");
        *seen.lock().expect("no panic").entry((ran.code == 137, new, left)).or_default() += 1;
        // The lock died with its holder, and what he left goes with the next edit.
        run.run().ok();
        assert!(is_new(&std::fs::read_to_string(&path).expect("the file")));
        assert_eq!(names(&folder(&world)), ["credentials", "credentials.lock"], "{calls} {number}");
    });
    let seen = seen.into_inner().expect("no panic");
    for moment in [(true, false, false), (true, false, true), (true, true, false)] {
        assert!(seen.contains_key(&moment), "killed, new, with a new file beside it: {seen:?}");
    }
}

// check: 8
#[test]
fn no_moment_of_an_edit_is_open_to_others_and_no_file_but_these_two_is_made() {
    let world = World::start();
    let run = job(&world);
    let Some((ran, calls)) = trace(&world, &run, "openat,?open,write,renameat,?renameat2,?rename,fsync,fchmod") else {
        return;
    };
    ran.ok();
    let made: Vec<_> = calls.lines().filter(|line| line.contains("O_CREAT") && !line.contains("EEXIST")).collect();
    assert_eq!(made.len(), 2, "{made:?}");
    for (line, name) in made.iter().zip(["\"credentials.lock\"", "\".credentials.ci-creds."]) {
        assert!(["O_EXCL", "O_NOFOLLOW", "O_CLOEXEC", "0600", name].iter().all(|word| line.contains(word)), "{line}");
    }
    let opened = calls.lines().filter(|line| line.contains("\"credentials"));
    let opened: Vec<_> = opened.filter(|line| line.contains("openat(") && !line.contains("O_NOFOLLOW")).collect();
    assert_eq!(opened, Vec::<&str>::new());
    // The text is whole and on the disk before anybody is told, and everybody is told before it takes the old one's place.
    let at =
        |what: &str| calls.lines().position(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what}: {calls}"));
    let order = [at("aws_secret_access_key = "), at("fsync("), at("write(1,"), at("rename")];
    assert!(order.is_sorted(), "{order:?}: {calls}");
}

#[test]
fn a_stdout_that_takes_nothing_leaves_the_old_file_and_no_lease() {
    let world = World::start();
    let mut command = job(&world).to_command();
    command.stdout(File::options().write(true).open("/dev/full").expect("/dev/full")).stderr(Stdio::piped());
    let ran = Ran::of(command).failed(74, "output");
    assert!(!is_new(&std::fs::read_to_string(folder(&world).join("credentials")).expect("the file")));
    assert_eq!(names(&folder(&world)), ["credentials", "credentials.lock"]);
    assert_eq!(world.vault.minted().len(), 1);
    world.assert_nothing_left(&ran);
}

/// Another run's lock, as long as it lives.
fn lock(world: &World) -> File {
    let file = File::create(folder(world).join("credentials.lock")).expect("the lock's file");
    file.lock().expect("the lock");
    file
}

#[test]
fn a_lock_that_is_never_released_ends_the_run_names_itself_and_revokes_the_lease() {
    let world = World::start();
    let run = job(&world).arg("--timeout").arg("2s");
    let held = lock(&world);
    let path = folder(&world).join("credentials.lock").display().to_string();
    let ran = run.run().refused(&world, 75, "temporary", &[&path, "another process keeps the lock"], &["fuser", &path]);
    assert_eq!(world.vault.minted().len(), 1);
    world.assert_nothing_left(&ran);
    assert!(!is_new(&std::fs::read_to_string(folder(&world).join("credentials")).expect("the file")));
    drop(held);
    run.run().ok();
}

/// The double answers at once; whoever waits longer waits for something that will not come.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_lock_that_is_released_is_waited_for_and_a_signal_ends_the_wait() {
    for signal in [None, Some("TERM")] {
        let world = World::start();
        let run = job(&world);
        let held = lock(&world);
        let child = run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        assert!(world.vault.wait_for_requests(2, PATIENCE), "the read never came");
        let started = Instant::now();
        match signal {
            Some(signal) => {
                let status = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
                assert!(status.expect("kill").success());
            }
            None => drop(held),
        }
        let code = child.wait_with_output().expect("it ends").status.code();
        assert_eq!(code, Some(if signal.is_some() { 143 } else { 0 }));
        assert!(started.elapsed() < PATIENCE);
        let new = is_new(&std::fs::read_to_string(folder(&world).join("credentials")).expect("the file"));
        assert_eq!((new, world.vault.live_leases().len()), (signal.is_none(), usize::from(signal.is_none())));
    }
}

#[test]
fn a_file_that_changed_while_vault_was_asked_is_read_again_and_refused_when_it_must_be() {
    for (changed, code) in [("[mine]\nk = v\n", 0), ("[mine]\nrubbish\n", 73)] {
        let world = World::start();
        let path = folder(&world).join("credentials");
        let run = job(&world);
        let other = path.clone();
        let change = move |answer: serde_json::Value| {
            written(&other, changed, 0o600);
            answer
        };
        world.vault.inject(dev_vault::On::path("/aws/creds/user"), dev_vault::Fault::rewrite(Box::new(change)));
        let ran = run.run();
        assert_eq!(ran.code, code, "{ran:?}");
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(text == changed, code != 0, "{text}");
        assert!(text.starts_with(changed), "{text}");
        assert_eq!(world.vault.live_leases().len(), usize::from(code == 0));
    }
}
