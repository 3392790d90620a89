//! The folder and the files of the cache: whose they are, who waits for whom, and what a full disk or a kill leaves.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dev_vault::{Fault, On};

use super::{PROCESS, READ, with};
use crate::support::parallel::each;
use crate::support::{Ran, Run, World, tool};

/// Long enough for a busy machine; what is waited for comes at once elsewhere.
const PATIENCE: Duration = Duration::from_secs(30);

fn folder(world: &World) -> PathBuf {
    world.home().join(".cache/ci-creds")
}

/// What is kept: every file but the locks.
pub(super) fn entries(world: &World) -> Vec<PathBuf> {
    files(world).into_iter().filter(|path| !name(path).starts_with("lock-")).collect()
}

fn files(world: &World) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder(world)) else { return Vec::new() };
    let mut paths: Vec<_> = listing.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("it is there").mode() & 0o7777
}

fn start(run: &Run) -> Child {
    run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("a signal");
}

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

#[test]
fn folder_and_files_are_private_whatever_the_umask_is() {
    for umask in ["000", "777", "022"] {
        let world = World::start();
        let run = world.command_as("wrapping-token", PROCESS);
        let script = format!("umask {umask}; exec \"$0\" {PROCESS}");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_ci-creds")]).env_clear().envs(run.variables());
        let ran = Ran::of(command);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{umask}: {ran:?}");
        assert_eq!(mode(&folder(&world)), 0o700, "{umask}");
        assert_eq!(mode(&world.home().join(".cache")), 0o700, "{umask}");
        assert_eq!(files(&world).len(), 3, "a login, a credential, a lock: {:?}", files(&world));
        for path in files(&world) {
            assert_eq!(mode(&path), 0o600, "{umask} {}", path.display());
        }
        assert_eq!(run.run().ok(), ran.stdout, "{umask}");
    }
}

#[test]
fn the_sessions_own_folder_is_taken_where_there_is_one_and_nothing_is_kept_in_the_checkout() {
    let world = World::start();
    let (session, open) = (world.path("session"), world.path("open"));
    for (path, mode) in [(&session, 0o700), (&open, 0o700)] {
        std::fs::create_dir(path).expect("a folder");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    }
    let run = world.command_as("token", PROCESS).env("XDG_RUNTIME_DIR", &session.display().to_string());
    run.run().ok();
    assert!(session.join("ci-creds").is_dir() && !folder(&world).exists());
    // A session that is over, or none: the user's cache folder.
    run.clone().env("XDG_RUNTIME_DIR", &world.path("gone").display().to_string()).run().ok();
    assert_eq!(entries(&world).len(), 1);
    let of_cache = run.clone().without("XDG_RUNTIME_DIR").env("XDG_CACHE_HOME", &open.display().to_string());
    of_cache.run().ok();
    assert!(open.join("ci-creds").is_dir());
    // Everything in the checkout: nothing is kept, and that is said where it may be.
    let world = World::start();
    symlink(world.home(), world.path("checkout")).expect("a link");
    let run = world
        .command_as("token", &format!("{PROCESS} -v"))
        .env("CI_PROJECT_DIR", &world.path("checkout").display().to_string());
    let ran = run.run();
    assert!(ran.stderr.contains("the cache folder lies in the checkout"), "{ran:?}");
    run.run().ok();
    // A link that leads into it is no way around.
    let checkout = world.home().display().to_string();
    run.env("HOME", &world.path("checkout").display().to_string()).env("CI_PROJECT_DIR", &checkout).run().ok();
    assert_eq!((world.count(READ), entries(&world).len()), (3, 0));
}

/// What somebody else may have put at a name of ours.
const PLANTED: [&str; 8] = [
    "symlink",
    "dangling symlink",
    "hard link",
    "pipe",
    "folder",
    "file for all",
    "file of another user",
    "file of a terabyte",
];

/// Plants it; whether that could be done, and whether it can be told apart from a file of ours.
fn plant(what: &str, path: &Path, victim: &Path) -> bool {
    let _ = std::fs::remove_file(path);
    match what {
        "symlink" => symlink(victim, path).expect("a link"),
        "dangling symlink" => symlink("/nowhere/at/all", path).expect("a link"),
        "hard link" => std::fs::hard_link(victim, path).expect("a link"),
        "pipe" => {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
        }
        "folder" => std::fs::create_dir(path).expect("a folder"),
        "file of a terabyte" => {
            let file = std::fs::File::create(path).expect("a file");
            file.set_permissions(std::fs::Permissions::from_mode(0o600)).expect("its mode");
            file.set_len(1 << 40).expect("its length");
        }
        "file for all" => {
            std::fs::write(path, "theirs").expect("a file");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).expect("its mode");
        }
        _ => {
            std::fs::write(path, "theirs").expect("a file");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
            if !tool::is_root("nothing can be given to another user") {
                return false;
            }
            std::os::unix::fs::chown(path, Some(65_534), None).expect("another owner");
        }
    }
    true
}

#[test]
fn whatever_is_planted_at_a_name_of_ours_is_harmless() {
    let cases = PLANTED.iter().flat_map(|what| ["entry", "draft", "lock"].map(|name| (*what, name))).collect();
    each(cases, |(what, place)| {
        let world = World::start();
        let run = world.command_as("token", PROCESS);
        run.run().ok();
        let entry = entries(&world).remove(0);
        let slot = name(&entry)[..2].to_owned();
        let path = match place {
            "entry" => entry.clone(),
            other => folder(&world).join(format!("{other}-{slot}")),
        };
        std::fs::remove_file(&entry).expect("an entry");
        let victim = world.file("victim", "untouched");
        if !plant(what, &path, &victim) {
            return;
        }
        let told = format!("{what} at {place}");
        let begun = Instant::now();
        let ran = run.run();
        // A lock that is not to be had is waited for 30 s.
        assert!(begun.elapsed() < Duration::from_secs(20), "{told}");
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{told}: {ran:?}");
        assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), "untouched", "{told}");
        assert_eq!(mode(&victim), 0o600, "{told}");
        // Where it could be replaced, the next call is served from the cache; where not, there is none, and -v says so.
        let second = run.run().ok();
        let kept = second == ran.stdout;
        let replaceable = match place {
            // How long a lock is says nothing.
            "lock" => what == "file of a terabyte",
            _ => what != "folder",
        };
        assert_eq!(kept, replaceable, "{told}");
        if !kept {
            let loud = with(&run, &format!("{PROCESS} -v")).run();
            let warnings = loud.stderr.lines().filter(|line| line.starts_with("ci-creds: warning: nothing ")).count();
            assert_eq!(warnings, 1, "{told}: {loud:?}");
        }
        assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), "untouched", "{told}");
    });
}

#[test]
fn a_link_that_is_swapped_in_a_thousand_times_while_we_run_leads_nobody_to_its_victim() {
    let world = World::start();
    let run = world.command_as("token", PROCESS);
    run.run().ok();
    let entry = entries(&world).remove(0);
    let slot = name(&entry)[..2].to_owned();
    let victim = world.file("victim", "untouched");
    let paths = [entry, folder(&world).join(format!("draft-{slot}"))];
    let swaps = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            while swaps.fetch_add(1, Ordering::Relaxed) < 1000 {
                for path in &paths {
                    let link = world.path("link");
                    let _ = std::fs::remove_file(&link);
                    symlink(&victim, &link).expect("a link");
                    std::fs::rename(&link, path).expect("swapped in");
                }
            }
        });
        let mut runs = 0;
        while !swapper.is_finished() || runs == 0 {
            let ran = run.run();
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
            runs += 1;
        }
    });
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), "untouched");
    assert_eq!(mode(&victim), 0o600);
    run.run().ok();
    let last = run.run().ok();
    assert_eq!(run.run().ok(), last, "what was planted is replaced");
}

#[test]
fn a_folder_that_others_can_enter_or_own_is_not_used_and_not_mended() {
    let cases = vec!["open", "symlink", "file", "foreign"];
    each(cases, |what| {
        let world = World::start();
        let path = folder(&world);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        match what {
            "file" => std::fs::write(&path, "").expect("a file"),
            "symlink" => {
                std::fs::create_dir(world.path("elsewhere")).expect("a folder");
                std::fs::set_permissions(world.path("elsewhere"), std::fs::Permissions::from_mode(0o700))
                    .expect("its mode");
                symlink(world.path("elsewhere"), &path).expect("a link");
            }
            _ => std::fs::create_dir(&path).expect("a folder"),
        }
        if what == "open" || what == "foreign" {
            let mode = if what == "open" { 0o750 } else { 0o700 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        }
        if what == "foreign" {
            if !tool::is_root("nothing can be given to another user") {
                return;
            }
            std::os::unix::fs::chown(&path, Some(65_534), None).expect("another owner");
        }
        let run = world.command_as("token", PROCESS);
        for line in [PROCESS, PROCESS] {
            let ran = with(&run, line).run();
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{what}: {ran:?}");
        }
        assert_eq!(world.count(READ), 2, "{what}");
        let loud = with(&run, &format!("{PROCESS} -v")).run();
        let told = loud.stderr.lines().filter(|line| line.contains("warning: nothing is kept between calls: ")).count();
        assert_eq!(told, 1, "{what}: {loud:?}");
        if what == "open" {
            assert!(loud.stderr.contains(&format!("chmod 700 {}", path.display())), "{loud:?}");
            assert_eq!(mode(&path), 0o750);
        }
        assert_eq!(std::fs::read_dir(world.path("elsewhere")).map_or(0, Iterator::count), 0, "{what}");
    });
}

#[test]
fn a_single_use_secret_that_is_spent_because_nothing_can_be_kept_is_told_as_that() {
    for method in ["wrapping-token", "secret-id"] {
        let world = World::start();
        std::fs::write(world.home().join(".cache"), "").expect("a file where the folder would be");
        let run = world.command_as(method, PROCESS);
        run.run().ok();
        let ran = run.run();
        assert!(ran.code == 79 || ran.code == 77, "{ran:?}");
        assert!(
            ran.stderr.contains("; nothing can be kept here, so an earlier call of this job may have spent it"),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("XDG_RUNTIME_DIR"), "{ran:?}");
        let loud = with(&run, &format!("{PROCESS} -v")).run();
        assert!(loud.stderr.contains("warning: nothing is kept between calls: "), "{loud:?}");
    }
}

#[test]
fn who_waits_for_a_holder_that_hangs_ends_as_temporary_and_names_the_lock() {
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

/// Runs it with these calls of the system failing.
fn broken(world: &World, run: &Run, inject: &str) -> Option<Ran> {
    if !tool::is_root("the program's memory is closed to strace") {
        return None;
    }
    let mut command = Command::new(tool::find("strace")?);
    command.args(["-f", "-e", &format!("inject={inject}"), "-o"]).arg(world.path("strace"));
    command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments).env_clear().envs(run.variables());
    Some(Ran::of(command))
}

#[test]
fn nobody_makes_a_key_with_a_login_that_a_signal_is_giving_back() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "aws --role user --via creds --format process");
    let Some(strace) = tool::find("strace").filter(|_| tool::is_root("the program's memory is closed to strace")) else {
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
fn without_locks_every_call_is_on_its_own_and_says_so_once() {
    for error in ["ENOLCK", "ENOSYS", "EIO", "EOPNOTSUPP"] {
        let world = World::start();
        let run = world.command_as("token", &format!("{PROCESS} -v"));
        let Some(ran) = broken(&world, &run, &format!("flock:error={error}")) else { return };
        let stderr = ran.stderr.clone();
        ran.ok();
        assert_eq!(stderr.lines().filter(|line| line.contains("warning: nothing is kept in ")).count(), 1, "{stderr}");
        broken(&world, &with(&run, PROCESS), &format!("flock:error={error}")).expect("strace").ok();
        assert_eq!((world.count(READ), entries(&world).len()), (2, 0), "{error}");
    }
}

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

#[test]
fn on_a_disk_that_is_full_nothing_is_kept_and_nothing_of_it_left() {
    let world = World::start();
    let script = format!("ulimit -f 0; exec \"$0\" {PROCESS} -v");
    let run = world.command_as("token", PROCESS);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ci-creds")]).env_clear().envs(run.variables());
    let output = command.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(stderr.contains("warning: nothing was kept in "), "{stderr}");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
    run.run().ok();
    assert_eq!(entries(&world).len(), 1);
}

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
    let opened: Vec<_> = calls.lines().filter(|line| line.contains(".cache/ci-creds")).collect();
    assert_eq!(opened.len(), 1, "{opened:?}");
}

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

/// How many rounds: a full run takes minutes, and is for the one who changes this code.
fn rounds() -> Option<u32> {
    std::env::var("CI_CREDS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok())
}

#[test]
fn callers_that_are_killed_at_any_moment_leave_a_valid_cache_and_a_lease_each_at_most() {
    const CALLERS: u64 = 20;
    let world = World::start();
    let random = fastrand(0x5eed);
    // Alone on the machine the next call takes milliseconds; beside all other tests it may have to wait for its turn.
    let soon = Duration::from_secs(if rounds().is_some() { 1 } else { 10 });
    for round in 0..rounds().unwrap_or(20) {
        let run = world.command_as("token", PROCESS);
        let (leases, before) = (world.vault.live_leases().len(), entries(&world).len());
        let mut callers: Vec<_> = (0..CALLERS).map(|_| start(&run)).collect();
        // A caller lives for some milliseconds: the kills fall into all of them.
        let mut kills = 0;
        while kills < 10 && !random().is_multiple_of(4) {
            std::thread::sleep(Duration::from_micros(random() % 8000));
            let victim = usize::try_from(random() % CALLERS).expect("a number");
            signal(&callers[victim], rustix::process::Signal::KILL);
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

/// The same numbers in every run: a failure can be had again.
fn fastrand(seed: u64) -> impl Fn() -> u64 {
    let state = std::cell::Cell::new(seed);
    move || {
        // xorshift64*, by Vigna.
        let mut x = state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }
}
