//! Another user who swaps a folder above `TMPDIR` while a traced job sources what the tool made there.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Gid, Uid};

use super::{NOBODY, make};
use crate::support::parallel::each_at_once;
use crate::support::shell::LastAnswer;
use crate::support::{ROLE, Ran, World, tool};

/// How many swaps a job has to meet, at least; twenty jobs meet that many in each ordinary run.
fn rounds() -> u32 {
    std::env::var("CI_CREDS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// Jobs for so many swaps: each one meets more than ten, or the test fails.
const SWAPS_A_JOB: u32 = 10;

/// Where they meet: below `/tmp`, which both can reach.
struct Arena {
    folder: tempfile::TempDir,
    /// What the racer swaps: the folder of the job's own, and one of his.
    swapped: PathBuf,
    evil: PathBuf,
    /// Below each of the two.
    rest: &'static str,
    /// What the job calls `TMPDIR`.
    tmpdir: PathBuf,
}

impl Arena {
    fn new(how: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("it.").tempdir_in("/tmp").expect("a folder");
        make(folder.path(), 0o711);
        let shared = make(&folder.path().join("shared"), 0o755);
        let rest = if how == "a folder two above" { "tmp" } else { "" };
        let (swapped, evil) = (shared.join("job"), shared.join("evil"));
        // Others can look into it, and see the names that nobody can guess.
        make(&swapped.join(rest), 0o755);
        make(&swapped, 0o755);
        make(&evil.join(rest), 0o755);
        for path in [&evil, &evil.join(rest)] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        match how {
            "a folder of everybody's" => drop(make(&shared, 0o777)),
            "a sticky folder" => drop(make(&shared, 0o1777)),
            _ => chown(&shared, Some(NOBODY), Some(NOBODY)).expect("root may"),
        }
        let mut tmpdir = swapped.join(rest);
        if how == "a link of the job's own" {
            let link = folder.path().join("link");
            symlink(&swapped, &link).expect("a link");
            tmpdir = link;
        }
        Self { folder, swapped, evil, rest, tmpdir }
    }

    fn proof(&self) -> PathBuf {
        self.folder.path().join("shared/commands-were-run")
    }

    /// Puts a file of his own beside each that the tool made, under the same name; whether there was one.
    fn copy_names(&self) -> bool {
        let Ok(names) = std::fs::read_dir(self.swapped.join(self.rest)) else { return false };
        let mut found = false;
        for name in names.flatten().map(|entry| entry.file_name()) {
            let folder = self.evil.join(self.rest).join(name);
            if folder.metadata().is_err() && std::fs::create_dir(&folder).is_ok() {
                let text = format!(": >'{}'\n", self.proof().display());
                std::fs::write(folder.join("exports"), text).expect("his own file");
                found = true;
            }
        }
        found
    }

    fn swap(&self) -> bool {
        renameat_with(CWD, &self.swapped, CWD, &self.evil, RenameFlags::EXCHANGE).is_ok()
    }

    /// Swaps there and back until `stop`. A new name is copied, and the copy stays in place until that job is over.
    fn race(&self, stop: &AtomicBool, jobs: &AtomicU32, swaps: &AtomicU32) {
        become_nobody();
        while !stop.load(Ordering::Relaxed) {
            let job = jobs.load(Ordering::Relaxed);
            let found = self.copy_names();
            for there in [true, false] {
                swaps.fetch_add(u32::from(self.swap()), Ordering::Relaxed);
                while there && found && jobs.load(Ordering::Relaxed) == job && !stop.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
            }
        }
    }
}

/// This thread's rights are another user's from here on; the rest of the process keeps its own.
fn become_nobody() {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[]).expect("root may");
    rustix::thread::set_thread_res_gid(group, group, group).expect("root may");
    rustix::thread::set_thread_res_uid(user, user, user).expect("root may");
}

/// One traced job; its key.
fn job(world: &World, tmpdir: &Path) -> String {
    let run = world.command_as("token", "").env("CI_DEBUG_TRACE", "true").env("TMPDIR", &tmpdir.display().to_string());
    let script = format!("eval $(\"$0\" exoscale --role {ROLE}); printf %s \"$EXOSCALE_API_KEY\"");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ci-creds")]).env_clear().envs(run.variables());
    Ran::of({
        command.stdin(Stdio::null());
        command
    })
    .ok()
}

// check: 9
#[test]
fn whoever_swaps_a_folder_above_tmpdir_gets_no_command_into_a_traced_job() {
    if !tool::is_root("nobody else can be the racer") {
        return;
    }
    let cases =
        ["a folder of another user's", "a folder of everybody's", "a folder two above", "a link of the job's own"];
    each_at_once(2, cases.into(), |how| {
        let world = World::start();
        let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
        let arena = Arena::new(how);
        let (stop, jobs, swaps) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
        let wanted = rounds();
        std::thread::scope(|scope| {
            let racer = scope.spawn(|| arena.race(&stop, &jobs, &swaps));
            let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for _ in 0..wanted.div_ceil(SWAPS_A_JOB) {
                    let key = job(&world, &arena.tmpdir);
                    jobs.fetch_add(1, Ordering::Relaxed);
                    assert!(!arena.proof().exists(), "{how}: commands of another user were run");
                    assert_eq!(key, answer.field("api_key"), "{how}");
                }
            }));
            stop.store(true, Ordering::Relaxed);
            racer.join().expect("a racer");
            played.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        let swaps = swaps.into_inner();
        println!("{how}: {swaps} swaps, {} jobs", jobs.into_inner());
        assert!(swaps >= wanted, "{how}: {swaps} swaps");
    });
}

// check: 9
#[test]
fn below_a_sticky_folder_another_user_can_swap_nothing_and_the_file_is_made_there() {
    if !tool::is_root("nobody else can be the racer") {
        return;
    }
    let world = World::start();
    let arena = Arena::new("a sticky folder");
    assert_eq!(super::base_of_private_file(&world, &arena.tmpdir), arena.tmpdir);
    let (stop, jobs, swaps) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| arena.race(&stop, &jobs, &swaps));
        for _ in 0..5 {
            assert!(job(&world, &arena.tmpdir).starts_with("EXO"));
            jobs.fetch_add(1, Ordering::Relaxed);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(swaps.into_inner(), 0, "the kernel let another user swap a folder of ours");
    assert!(!arena.proof().exists());
    assert_eq!(arena.swapped.metadata().expect("it is there").permissions().mode() & 0o777, 0o755);
}
