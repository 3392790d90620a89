//! What the cache asks of the system, and what becomes of a call when that fails.

use std::path::PathBuf;
use std::process::Command;

use super::place::{entries, files, name};
use super::{PROCESS, READ, with};
use crate::support::parallel::each;
use crate::support::{Ran, Run, World, tool};

/// Runs it with these calls of the system failing, stopped at no other.
fn broken(world: &World, run: &Run, inject: &str) -> Option<Ran> {
    if !tool::is_root("the program's memory is closed to strace") {
        return None;
    }
    let mut command = Command::new(tool::find("strace")?);
    let calls = inject.split(':').next().unwrap_or(inject);
    command.args(["--seccomp-bpf", "-f", "-e", &format!("trace={calls}"), "-e", &format!("inject={inject}"), "-o"]);
    command.arg(world.path("strace"));
    command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments).env_clear().envs(run.variables());
    Some(Ran::of(command))
}

// check: 23
#[test]
fn without_locks_every_call_is_on_its_own_and_says_so_once() {
    for error in ["ENOLCK", "ENOSYS", "EIO", "EOPNOTSUPP"] {
        let world = World::start();
        let run = world.command_as("token", &format!("{PROCESS} -v"));
        let Some(ran) = broken(&world, &run, &format!("flock:error={error}")) else { return };
        let stderr = ran.stderr.clone();
        ran.ok();
        assert_eq!(
            stderr.lines().filter(|line| line.contains("warning: nothing is cached in ")).count(),
            1,
            "{stderr}"
        );
        broken(&world, &with(&run, PROCESS), &format!("flock:error={error}")).expect("strace").ok();
        assert_eq!((world.count(READ), entries(&world).len()), (2, 0), "{error}");
    }
}

// check: 23
#[test]
fn whichever_call_fails_the_credential_is_delivered_and_the_old_entry_is_whole() {
    let world = World::start();
    if broken(&world, &world.command("--version"), "flock:error=ENOLCK").is_none() {
        return;
    }
    // What an entry is written with, and what each may fail with on a full, broken or read-only disk.
    let calls = [
        ("fsync", "ENOSPC"),
        ("?rename,?renameat,?renameat2", "EROFS"),
        ("fchmod", "EPERM"),
        ("?unlink,unlinkat", "EROFS"),
        ("?mkdir,mkdirat", "EDQUOT"),
        ("?chmod,fchmodat", "EROFS"),
        ("flock", "ENOLCK"),
        ("getdents64", "EIO"),
    ];
    let cases = calls.iter().flat_map(|call| (1..=4).map(move |number| (*call, number))).collect();
    let hit = std::sync::Mutex::new(std::collections::BTreeSet::new());
    each(cases, |((call, error), number)| {
        let world = World::start();
        let run = world.command_as("wrapping-token", PROCESS);
        let ran = broken(&world, &run, &format!("{call}:error={error}:when={number}")).expect("strace");
        let told = format!("{call} {error} {number}: {ran:?}");
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{told}");
        if std::fs::read_to_string(world.path("strace")).is_ok_and(|log| log.contains("(INJECTED)")) {
            hit.lock().expect("a set").insert(call);
        }
        assert_eq!(files(&world).iter().filter(|path| name(path).starts_with("draft-")).count(), 0, "{told}");
        // What is kept is whole: it serves the next call, or that one makes its own, if the login was kept.
        let second = run.run();
        assert!(second.code == 0 || second.code == 79, "{told}: {second:?}");
        if second.code == 0 && world.count(READ) == 1 {
            assert_eq!(second.stdout, ran.stdout, "{told}");
        }
    });
    assert_eq!(hit.into_inner().expect("a set"), calls.iter().map(|(call, _)| *call).collect());
}

// check: 23
#[test]
fn on_a_full_disk_nothing_is_cached_and_no_part_of_a_file_left() {
    let world = World::start();
    let script = format!("ulimit -f 0; exec \"$0\" {PROCESS} -v");
    let run = world.command_as("token", PROCESS);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ci-creds")]).env_clear().envs(run.variables());
    let output = command.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(stderr.contains("warning: nothing was cached in "), "{stderr}");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
    run.run().ok();
    assert_eq!(entries(&world).len(), 1);
}

// check: 11, 23
#[test]
fn a_limit_on_the_size_of_files_does_not_end_a_call_that_finds_its_credential_with_an_empty_stdout() {
    let world = World::start();
    let run = world.command_as("token", "aws --role 365-dev --cache");
    let kept = run.run().ok();
    let limited = |line: &str| {
        let script = format!("ulimit -f 0; \"$0\" aws --role 365-dev --cache {line}; echo $?");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_ci-creds")]).env_clear().envs(run.variables());
        Ran::of(command).ok()
    };
    for line in ["--format file", "--via-file"] {
        let stdout = limited(line);
        assert!(stdout.starts_with("unset ") && stdout.ends_with("(exit 73);\n73\n"), "{line}: {stdout}");
    }
    assert_eq!(limited(&format!("> {}", world.path("file").display())), "74\n");
    assert_eq!(std::fs::read_dir(world.path("tmp")).expect("a folder").count(), 0);
    assert_eq!((run.run().ok(), world.count(READ)), (kept, 1));
}

#[test]
fn a_kept_credential_is_handed_out_without_a_socket_a_certificate_or_a_second_thread() {
    let world = World::start();
    let run = world.command_as("token", PROCESS);
    run.run().ok();
    let Some(strace) = tool::find("strace") else { return };
    if broken(&world, &world.command("--version"), "flock:error=ENOLCK").is_none() {
        return;
    }
    let mut command = Command::new(strace);
    command.args(["-f", "-o"]).arg(world.path("strace")).arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments);
    Ran::of({
        command.env_clear().envs(run.variables());
        command
    })
    .ok();
    let calls = std::fs::read_to_string(world.path("strace")).expect("a log");
    for call in
        ["socket(", "connect(", "epoll_", "clone(", "clone3(", "ca-certificates", "/etc/ssl", "flock(", "fsync("]
    {
        assert!(!calls.contains(call), "{call} in a cached call: {calls}");
    }
    // The folders above it are looked up in, and not opened.
    let opened = |line: &&str| line.contains("\"ci-creds\", O_RDONLY") && !line.contains("O_PATH");
    let opened: Vec<_> = calls.lines().filter(opened).collect();
    assert_eq!(opened.len(), 1, "{opened:?}");
}

// check: 8
#[test]
fn what_opens_and_writes_the_cache_follows_no_link_and_leaves_nothing_open_to_a_child() {
    let world = World::start();
    let run = world.command_as("token", PROCESS);
    if broken(&world, &run, "trace=openat,renameat,fsync,?rename,?renameat2").is_none() {
        return;
    }
    let mut command = Command::new(tool::find("strace").expect("found above"));
    command.args(["-f", "-e", "trace=openat,fsync,?rename,renameat,?renameat2,?open", "-o"]).arg(world.path("strace"));
    command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&world.command_as("token", PROCESS).arguments);
    let fresh = world.command_as("token", PROCESS);
    command.env_clear().envs(fresh.variables());
    Ran::of(command).ok();
    let calls = std::fs::read_to_string(world.path("strace")).expect("a log");
    let ours = |line: &&str| {
        ["lock-", "draft-", "ci-creds\""].iter().any(|name| line.contains(name)) || line.contains("openat(3,")
    };
    for line in calls.lines().filter(|line| line.contains("open")).filter(ours) {
        assert!(line.contains("O_NOFOLLOW") && line.contains("O_CLOEXEC"), "{line}");
    }
    let of = |word: &str| calls.lines().filter(|line| line.contains(word)).map(str::to_owned).collect::<Vec<_>>();
    for line in of("O_CREAT") {
        assert!(["O_NOFOLLOW", "O_CLOEXEC", "0600"].iter().all(|word| line.contains(word)), "{line}");
        assert!(line.contains("\"lock-") || line.contains("O_EXCL"), "{line}");
    }
    assert_eq!(of("\"draft-").iter().filter(|line| line.contains("O_CREAT|O_EXCL")).count(), 1, "{calls}");
    let place = |word: &str| calls.lines().position(|line| line.contains(word)).expect(word);
    assert!(place("fsync(") < place("rename"), "{calls}");
}
