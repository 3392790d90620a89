//! The folder and the files of the cache: where they are, whose, and what others may have put in their place.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{PROCESS, READ, with};
use crate::support::parallel::each;
use crate::support::{Ran, Run, World, tool};

/// Long enough for a busy machine; what is waited for comes at once elsewhere.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn folder(world: &World) -> PathBuf {
    world.home().join(".cache/ci-creds")
}

/// What is kept: every file but the locks and the states of jobs.
pub(super) fn entries(world: &World) -> Vec<PathBuf> {
    let is_entry = |path: &PathBuf| !["lock-", "job-"].iter().any(|start| name(path).starts_with(start));
    files(world).into_iter().filter(is_entry).collect()
}

pub(super) fn files(world: &World) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder(world)) else { return Vec::new() };
    let mut paths: Vec<_> = listing.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

pub(super) fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

pub(super) fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("it is there").mode() & 0o7777
}

pub(super) fn start(run: &Run) -> Child {
    run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

pub(super) fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(super) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("a signal");
}

// check: 8
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
    assert!(ran.stderr.contains("the cache folder is in the checkout"), "{ran:?}");
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

// check: 9
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

// check: 9
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

// check: 9
#[test]
fn a_folder_that_others_can_enter_or_own_is_not_used_and_not_changed() {
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
        let told =
            loud.stderr.lines().filter(|line| line.contains("warning: nothing is cached between calls: ")).count();
        assert_eq!(told, 1, "{what}: {loud:?}");
        if what == "open" {
            assert!(loud.stderr.contains(&format!("chmod 700 {}", path.display())), "{loud:?}");
            assert_eq!(mode(&path), 0o750);
        }
        assert_eq!(std::fs::read_dir(world.path("elsewhere")).map_or(0, Iterator::count), 0, "{what}");
    });
}

#[test]
fn a_single_use_secret_that_is_spent_without_a_cache_is_reported_as_that() {
    for method in ["wrapping-token", "secret-id"] {
        let world = World::start();
        std::fs::write(world.home().join(".cache"), "").expect("a file where the folder would be");
        let run = world.command_as(method, PROCESS);
        run.run().ok();
        let ran = run.run();
        assert!(ran.code == 79 || ran.code == 77, "{ran:?}");
        assert!(
            ran.stderr.contains("; the cache cannot be used here, so an earlier call of this job may have spent it"),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("XDG_RUNTIME_DIR"), "{ran:?}");
        let loud = with(&run, &format!("{PROCESS} -v")).run();
        assert!(loud.stderr.contains("warning: nothing is cached between calls: "), "{loud:?}");
    }
}
