//! The file in which a job's calls note what they made: whose it is, and what is refused in its place.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::{Job, USER, folder_of};
use crate::support::{Ran, World};

const NOBODY: u32 = 65_534;

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("it is there").mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

// check: 8
#[test]
fn the_state_is_private_and_sealed_whatever_the_umask_is() {
    for umask in ["000", "777", "022"] {
        let world = World::start();
        let job = Job::start(&world, "id-token");
        job.section(&format!("umask {umask}; exec ci-creds {USER} | cat >/dev/null")).ok();
        let states = job.states();
        assert_eq!((states.len(), mode(&states[0]), mode(&folder_of(&world))), (1, 0o600, 0o700), "{umask}");
        let bytes = fs::read(&states[0]).expect("a state");
        world.assert_no_secret_in(&String::from_utf8_lossy(&bytes));
        let lease = &world.vault.live_leases()[0].id;
        assert!(!bytes.windows(lease.len()).any(|part| part == lease.as_bytes()), "the lease is not sealed");
        // Nothing lies in the checkout, from where artifacts are made.
        assert_eq!(fs::read_dir(world.path("builds/project")).expect("the checkout").count(), 0);
    }
}

/// What somebody may do to the state of a job or its folder, and the word for it.
type Deed = (&'static str, fn(&Path, &Path), &'static str);

const DEEDS: [Deed; 10] = [
    (
        "a byte is changed",
        |_, state| change(state, |bytes| *bytes.last_mut().expect("a byte") ^= 1),
        "its seal is broken",
    ),
    ("the label is changed", |_, state| change(state, |bytes| bytes[12] = b'2'), "its seal is broken"),
    ("it is cut", |_, state| change(state, |bytes| bytes.truncate(40)), "its seal is broken"),
    ("it is empty", |_, state| change(state, Vec::clear), "its seal is broken"),
    ("others can read it", |_, state| set_mode(state, 0o644), "is accessible to other users"),
    (
        "it is a link",
        |folder, state| {
            fs::rename(state, folder.join("aside")).expect("a move");
            symlink("aside", state).expect("a link");
        },
        "state",
    ),
    (
        "it has a second name",
        |folder, state| fs::hard_link(state, folder.join("aside")).expect("a name"),
        "has a second name",
    ),
    ("it is another user's", |_, state| chown(state, Some(NOBODY), None).expect("root"), "belongs to another user"),
    ("its folder lets others in", |folder, _| set_mode(folder, 0o755), "is open to other users"),
    (
        "its folder is another user's",
        |folder, _| chown(folder, Some(NOBODY), None).expect("root"),
        "belongs to another user",
    ),
];

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a state");
    change(&mut bytes);
    fs::write(path, bytes).expect("a state");
}

#[test]
fn a_state_that_is_not_as_it_was_written_is_refused_and_no_call_trusts_it() {
    for (how, deed, word) in DEEDS {
        if how.contains("another user's") && !rustix::process::geteuid().is_root() {
            println!("skipped: a file can be given to another user by root only");
            continue;
        }
        let world = World::start();
        let job = Job::start(&world, "id-token");
        job.call(USER).run().ok();
        deed(&folder_of(&world), &job.states()[0]);
        let requests = world.requests().len();
        let refused = |ran: Ran, code, kind| {
            let ran = ran.failed(code, kind);
            assert!(
                ran.stderr.contains("the state of the job is refused: ") && ran.stderr.contains(word),
                "{how}: {ran:?}"
            );
            assert!(ran.stderr.contains("project.tmp"), "{how}: {ran:?}");
        };
        refused(job.after_script(), 80, "leak");
        refused(job.call(&format!("{USER} --keep-state")).run(), 73, "create");
        assert_eq!(world.requests().len(), requests, "{how}: Vault was asked");
        // A job that did not ask for a state goes on without one, and is told.
        let ran = job.call(USER).run();
        assert!(ran.stderr.contains("warning: ci-creds revoke will not know this credential: "), "{how}: {ran:?}");
        ran.ok();
    }
}

#[test]
fn a_runners_folder_that_is_a_link_or_another_users_is_refused() {
    let world = World::start();
    let job = Job::start(&world, "id-token");
    let beside = world.path("builds/project.tmp");
    fs::rename(&beside, world.path("builds/elsewhere")).expect("a move");
    symlink("elsewhere", &beside).expect("a link");
    let call = job.call(&format!("{USER} --keep-state"));
    call.run().failed(73, "create");
    job.after_script().failed(80, "leak");
    assert_eq!(fs::read_dir(world.path("builds/elsewhere")).expect("a folder").count(), 0);
    fs::remove_file(&beside).expect("it goes");
    // Without the runner's folder, the state lies where the cache would.
    call.run().ok();
    assert_eq!(super::states_in(&world.home().join(".cache/ci-creds")).len(), 1);
    assert_eq!(world.vault.live_leases().len(), 1);
    job.after_script().ok();
    assert_eq!(world.vault.live_leases().len(), 0);
    if rustix::process::geteuid().is_root() {
        fs::create_dir(&beside).expect("a folder");
        chown(&beside, Some(NOBODY), None).expect("root");
        call.run().failed(73, "create");
        job.after_script().failed(80, "leak");
    }
}

#[test]
fn the_states_of_old_jobs_are_swept_a_day_after_their_end() {
    let world = World::start();
    let old = Job::of(&world, world.command_as("id-token", ""), "1");
    old.call(USER).run().ok();
    let job = Job::of(&world, world.command_as("token", ""), "2");
    for (offset, left) in [("+23h", 2), ("+25h", 1)] {
        let Some(ran) = crate::cache::later(&job.call(&format!("{USER} --format process --no-cache --reveal")), offset)
        else {
            return;
        };
        ran.ok();
        assert_eq!(job.states().len(), left, "{offset}");
    }
}

#[test]
fn calls_that_note_at_the_same_time_lose_nothing() {
    let world = World::start();
    let job = Job::start(&world, "id-token");
    let children: Vec<_> = (0..8).map(|_| job.begin(&format!("exec ci-creds {USER} | cat >/dev/null"))).collect();
    for child in children {
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!((world.vault.live_leases().len(), job.states().len()), (8, 1));
    let ran = job.after_script();
    assert_eq!((ran.code, world.vault.live_leases().len()), (0, 0), "{ran:?}");
}

/// What is old is removed under its lock: a call of its job that writes it anew would else lose what it has noted.
#[test]
fn an_old_state_and_an_old_entry_are_removed_while_their_locks_are_held() {
    let world = World::start();
    let line = format!("{USER} --format process --cache --reveal");
    let old = Job::of(&world, world.command_as("id-token", ""), "1");
    old.call(&line).run().ok();
    let folder = fs::read_dir(world.home().join(".cache/ci-creds")).expect("the cache");
    let is_entry = |path: &PathBuf| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lock-"));
    let entries = folder.map(|entry| entry.expect("an entry").path()).filter(is_entry);
    let olds: Vec<_> = old.states().into_iter().chain(entries).collect();
    for path in &olds {
        let now = format!("\"expires\":\"{}", jiff::Timestamp::now().strftime("%Y"));
        change(path, |bytes| {
            let start = bytes.windows(now.len()).position(|part| part == now.as_bytes()).expect("an end");
            bytes[start + now.len() - 4..start + now.len()].copy_from_slice(b"2001");
        });
    }
    assert_eq!(olds.len(), 2);
    let run = Job::of(&world, world.command_as("token", ""), "2").call(&line);
    let Some((ran, calls)) = crate::syscall::trace(&world, &run, "openat,flock,close,unlinkat,write") else { return };
    ran.ok();
    for path in olds {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let lock = match name.strip_prefix("job-") {
            Some(rest) => format!("\"lock-job-{}\"", &rest[..2]),
            None => format!("\"lock-{}\"", &name[..2]),
        };
        let (mut descriptor, mut held, mut removed) = (String::new(), false, false);
        for call in calls.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim()) {
            if call.starts_with("openat") && call.contains(&lock) {
                descriptor = call.rsplit(' ').next().unwrap_or_default().to_owned();
            } else if call.starts_with(&format!("flock({descriptor},")) {
                held = call.ends_with("= 0");
            } else if call.starts_with(&format!("close({descriptor})")) {
                held = false;
            } else if call.starts_with("unlinkat") && call.contains(&format!("\"{name}\"")) {
                assert!(held, "{name} was removed without its lock: {calls}");
                removed = true;
            }
        }
        assert!(removed, "{name} is still there: {calls}");
    }
}
