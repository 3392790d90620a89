//! What somebody may have put in the place of the file, of its lock, or of its folder.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::edit::{edit, folder, names, written};
use super::mode;
use crate::support::World;
use crate::support::expect::stopped;
use crate::support::tool;

const NOBODY: u32 = 65_534;
const TEXT: &str = "[ci-creds]\nregion = eu\n";

fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
}

/// Everything about a name that an edit could have changed.
fn look(path: &Path) -> (u64, u32, u32, u64, Option<PathBuf>, Option<String>) {
    let metadata = path.symlink_metadata().expect("it is there");
    let text = metadata.is_file().then(|| std::fs::read_to_string(path).expect("its text"));
    (metadata.ino(), metadata.mode(), metadata.uid(), metadata.nlink(), std::fs::read_link(path).ok(), text)
}

/// Fails unless a run is refused before any request, and everything in the folder is as it was.
fn refused(world: &World, path: &Path, words: &[&str]) {
    let folder = path.parent().expect("a folder");
    let before: Vec<_> = names(folder).iter().map(|name| (name.clone(), look(&folder.join(name)))).collect();
    let ran = edit(world, path, "");
    stopped(ran, world, (73, "create"), &[words, &["--file"]].concat());
    let after: Vec<_> = names(folder).iter().map(|name| (name.clone(), look(&folder.join(name)))).collect();
    let lock = format!("{}.lock", path.file_name().expect("a name").display());
    let new: Vec<_> = after.iter().filter(|entry| !before.contains(entry)).map(|(name, _)| name.as_str()).collect();
    assert!(new.is_empty() || new == [lock.as_str()], "{new:?} in {after:?}");
}

#[test]
fn a_link_of_ours_is_followed_and_stays_and_the_lock_is_beside_what_it_leads_to() {
    let world = World::start();
    let folder = folder(&world);
    let (link, further, target) = (world.path("link"), folder.join("further"), folder.join("target"));
    symlink("aws/further", &link).expect("a link");
    symlink(&target, &further).expect("a link");
    written(&target, TEXT, 0o640);
    let stdout = edit(&world, &link, "").ok();
    assert!(stdout.contains(&format!("'{}'", target.display())), "{stdout}");
    assert_eq!(std::fs::read_link(&link).expect("a link"), Path::new("aws/further"));
    assert_eq!(std::fs::read_link(&further).expect("a link"), target);
    assert!(std::fs::read_to_string(&target).expect("the file").starts_with("[ci-creds]\naws_access_key_id = ASIA"));
    assert_eq!(
        (mode(&target), names(&folder)),
        (0o640, ["further", "target", "target.lock"].map(str::to_owned).into())
    );
    assert!(!world.path("link.lock").exists());
}

// check: 9
#[test]
fn whatever_is_no_file_of_ours_alone_is_refused_and_stays_what_it_is() {
    let world = World::start();
    let folder = folder(&world);
    let victim = world.file("victim", TEXT);
    let at = |name: &str| folder.join(name);
    for bits in [0o666, 0o660, 0o602] {
        written(&at("open"), TEXT, bits);
        refused(&world, &at("open"), &["can be written by other users", "chmod 600"]);
    }
    std::fs::hard_link(&victim, at("second")).expect("a hard link");
    refused(&world, &at("second"), &["a hard link"]);
    fifo(&at("pipe"));
    refused(&world, &at("pipe"), &["not a regular file"]);
    std::fs::create_dir(at("folder")).expect("a folder");
    refused(&world, &at("folder"), &["not a regular file"]);
    symlink("nowhere", at("dangling")).expect("a link");
    refused(&world, &at("dangling"), &["a link that leads nowhere"]);
    symlink("loop", at("loop")).expect("a link");
    refused(&world, &at("loop"), &["a link that leads nowhere"]);
    symlink("pipe", at("to-pipe")).expect("a link");
    refused(&world, &at("to-pipe"), &["not a regular file"]);
    for device in ["/dev/null", "/dev/full", "/dev/zero", "/dev/stdout"] {
        let ran = edit(&world, Path::new(device), "");
        stopped(ran, &world, (73, "create"), &["--file"]);
        assert!(!Path::new(&format!("{device}.lock")).exists());
    }
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), TEXT);
}

// check: 9
#[test]
fn whatever_stands_in_the_locks_place_is_refused_and_stays_what_it_is() {
    let world = World::start();
    let folder = folder(&world);
    let victim = world.file("victim", TEXT);
    let (file, lock) = (folder.join("credentials"), folder.join("credentials.lock"));
    written(&file, TEXT, 0o600);
    symlink(&victim, &lock).expect("a link");
    refused(&world, &file, &["credentials.lock", "is a link"]);
    std::fs::remove_file(&lock).expect("it is ours");
    fifo(&lock);
    refused(&world, &file, &["credentials.lock", "not a regular file"]);
    std::fs::remove_file(&lock).expect("it is ours");
    std::fs::create_dir(&lock).expect("a folder");
    refused(&world, &file, &["credentials.lock", "not a regular file"]);
    std::fs::remove_dir(&lock).expect("it is ours");
    // A file is never written to as a lock: another name of the victim is harmless.
    std::fs::hard_link(&victim, &lock).expect("a hard link");
    edit(&world, &file, "").ok();
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), TEXT);
}

// check: 9
#[test]
fn what_belongs_to_another_user_is_refused_file_link_lock_and_folder() {
    if !tool::is_root("nothing can be given to another user") {
        return;
    }
    let world = World::start();
    let folder = folder(&world);
    let (file, lock) = (folder.join("credentials"), folder.join("credentials.lock"));
    written(&file, TEXT, 0o600);
    chown(&file, Some(NOBODY), None).expect("root may");
    refused(&world, &file, &["credentials", "belongs to another user"]);
    symlink(&file, folder.join("to-it")).expect("a link");
    refused(&world, &folder.join("to-it"), &["belongs to another user"]);
    chown(&file, Some(0), None).expect("root may");
    lchown(folder.join("to-it"), Some(NOBODY), None).expect("root may");
    refused(&world, &folder.join("to-it"), &["a link of another user's"]);
    std::fs::write(&lock, "").expect("a lock");
    chown(&lock, Some(NOBODY), None).expect("root may");
    refused(&world, &file, &["credentials.lock", "belongs to another user"]);
    chown(&lock, Some(0), None).expect("root may");
    chown(&folder, Some(NOBODY), None).expect("root may");
    refused(&world, &file, &["in a folder of another user's"]);
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), TEXT);
    // The group is not a reason, and it stays.
    chown(&folder, Some(0), None).expect("root may");
    chown(&file, None, Some(NOBODY)).expect("root may");
    edit(&world, &file, "").ok();
    let metadata = std::fs::metadata(&file).expect("the file");
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (0, NOBODY, 0o600));
}

#[test]
fn a_folder_where_others_can_replace_the_file_is_refused_and_one_like_tmp_is_not() {
    let world = World::start();
    let folder = folder(&world);
    let file = folder.join("credentials");
    for bits in [0o777, 0o770, 0o702] {
        std::fs::set_permissions(&folder, Permissions::from_mode(bits)).expect("its mode");
        // The group of this very user may be his alone, and would be no reason.
        if bits == 0o770 {
            if !tool::is_root("nothing can be given to another group") {
                continue;
            }
            chown(&folder, None, Some(NOBODY)).expect("root may");
        }
        refused(&world, &file, &["other users can replace it", "chmod go-w"]);
    }
    assert_eq!(names(&folder), [] as [&str; 0]);
    std::fs::set_permissions(&folder, Permissions::from_mode(0o1777)).expect("its mode");
    edit(&world, &file, "").ok();
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn names_that_a_new_file_could_have_lead_nowhere() {
    let world = World::start();
    let folder = folder(&world);
    let victim = world.file("victim", TEXT);
    let file = folder.join("credentials");
    let guesses = ["credentials.tmp", ".credentials.tmp", "credentials.new", ".credentials.swp", "credentials~", "tmp"];
    for name in guesses {
        symlink(&victim, folder.join(name)).expect("a link");
    }
    // What begins as ours does is taken for what a killed run left.
    symlink(&victim, folder.join(".credentials.ci-creds.a")).expect("a link");
    fifo(&folder.join(".credentials.ci-creds.b"));
    std::fs::create_dir(folder.join(".credentials.ci-creds.c")).expect("a folder");
    std::fs::write(folder.join(".credentials.ci-creds.d"), "left").expect("a file");
    edit(&world, &file, "").ok();
    let mut expected: Vec<_> = guesses.map(str::to_owned).into();
    expected.extend(["credentials", "credentials.lock", ".credentials.ci-creds.c"].map(str::to_owned));
    expected.sort();
    assert_eq!(names(&folder), expected);
    assert!(guesses.iter().all(|name| folder.join(name).is_symlink()));
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), TEXT);
}

// check: 9
#[test]
fn a_file_that_is_swapped_for_a_link_all_the_time_never_lets_a_run_reach_the_victim() {
    if !tool::is_root("nothing can be given to another user") {
        return;
    }
    let world = World::start();
    let folder = folder(&world);
    let victim = world.file("victim", TEXT);
    chown(&victim, Some(NOBODY), None).expect("root may");
    let (file, lock) = (folder.join("credentials"), folder.join("credentials.lock"));
    let stop = AtomicBool::new(false);
    let mut codes = std::collections::BTreeMap::<i32, usize>::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // Each swap is a rename, so that no moment is without a name.
                let (new, name) = (folder.join("new"), if turn % 4 < 2 { &file } else { &lock });
                if turn % 2 == 0 {
                    symlink(&victim, &new).expect("a link")
                } else {
                    drop(File::create(&new).expect("a file"))
                }
                std::fs::rename(&new, name).expect("a swap");
            }
        });
        for _ in 0..60 {
            let ran = edit(&world, &file, "");
            assert!([0, 73, 80].contains(&ran.code), "{ran:?}");
            *codes.entry(ran.code).or_default() += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), TEXT, "{codes:?}");
    assert!(codes.contains_key(&73), "no swap was met: {codes:?}");
}
