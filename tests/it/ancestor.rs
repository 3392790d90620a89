//! Folders above what the tool makes, reads, edits or runs, in which another user can put something else in its place.

mod racer;

use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::expect::stopped;
use crate::support::{ROLE, Ran, World, tool};

pub(super) const NOBODY: u32 = 65_534;

/// A folder with this mode, whatever our umask is.
pub(super) fn make(path: &Path, mode: u32) -> PathBuf {
    std::fs::create_dir_all(path).expect("a folder");
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("its mode");
    path.to_owned()
}

/// What is done to a folder, so that another user can write it or owns it.
const EXPOSED: [&str; 5] = ["everybody", "owner", "group", "access list", "above"];

/// Makes `name` in the world's folder, exposed in this way; gives the path of a folder of ours in it, of mode 0700.
fn exposed(world: &World, how: &str, name: &str) -> PathBuf {
    let folder = world.path(name);
    let inner = if how == "above" { folder.join("between/ours") } else { folder.join("ours") };
    make(&inner, 0o700);
    match how {
        "everybody" | "above" => drop(make(&folder, 0o777)),
        "group" => {
            make(&folder, 0o775);
            chown(&folder, None, Some(NOBODY)).expect("root may");
        }
        "access list" => {
            make(&folder, 0o755);
            give_write_by_access_list(&folder);
        }
        _ => chown(&folder, Some(NOBODY), None).expect("root may"),
    }
    inner
}

/// As `setfacl -m user:nobody:rwx` does it: the mode shows the mask in the place of the group's bits, and root's group.
fn give_write_by_access_list(folder: &Path) {
    const NO_ID: u32 = u32::MAX;
    let entries = [(1_u16, 7_u16, NO_ID), (2, 7, NOBODY), (4, 5, NO_ID), (0x10, 7, NO_ID), (0x20, 5, NO_ID)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permission, id) in entries {
        list.extend(tag.to_le_bytes().into_iter().chain(permission.to_le_bytes()).chain(id.to_le_bytes()));
    }
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(folder, "system.posix_acl_access", &list, flags).expect("a file system with access lists");
    assert_eq!(folder.metadata().expect("it is there").permissions().mode() & 0o777, 0o775);
}

/// The folder in which the private file of this line was made; it is removed.
fn base_of(line: &str) -> PathBuf {
    let path = line.strip_prefix(". '").and_then(|rest| rest.strip_suffix("';\n")).expect("a line that sources");
    let made = Path::new(path).parent().expect("a folder");
    std::fs::remove_dir_all(made).expect("nobody sourced it");
    made.parent().expect("a folder").to_owned()
}

/// The folder in which a private file was made with this `TMPDIR`.
fn base_of_private_file(world: &World, folder: &Path) -> PathBuf {
    let run = world.command_as("token", &format!("exoscale --role {ROLE} --via-file"));
    base_of(&run.env("TMPDIR", &folder.display().to_string()).run().ok())
}

// check: 9
#[test]
fn a_tmpdir_below_a_folder_that_others_can_write_or_own_is_not_used() {
    if !tool::is_root("nothing can be given to another user") {
        return;
    }
    let world = World::start();
    for how in EXPOSED {
        let folder = exposed(&world, how, how);
        assert_eq!(base_of_private_file(&world, &folder), Path::new("/tmp"), "{how}");
        // A link that leads there, and one that lies there.
        let link = world.path(&format!("link to {how}").replace(' ', "-"));
        symlink(&folder, &link).expect("a link");
        assert_eq!(base_of_private_file(&world, &link), Path::new("/tmp"), "a link to {how}");
        let inside = folder.parent().expect("a folder").join("link");
        symlink(world.path("tmp"), &inside).expect("a link");
        assert_eq!(base_of_private_file(&world, &inside), Path::new("/tmp"), "a link in {how}");
        // Through the folder and out again.
        let around = folder.join("../../../").join(world.path("tmp").file_name().expect("a name"));
        let around = if how == "above" { around } else { folder.join("../../tmp") };
        assert_eq!(base_of_private_file(&world, &around), Path::new("/tmp"), "through {how}");
    }
    let link = world.path("link-of-nobody");
    symlink(world.path("tmp"), &link).expect("a link");
    lchown(&link, Some(NOBODY), None).expect("root may");
    assert_eq!(base_of_private_file(&world, &link), Path::new("/tmp"));
}

#[test]
fn a_tmpdir_below_folders_that_are_ordinary_is_used_and_told_without_links() {
    let world = World::start();
    let mut folders = vec![make(&world.path("pass/ours"), 0o700), make(&world.path("sticky/ours"), 0o700)];
    make(&world.path("pass"), 0o711);
    make(&world.path("sticky"), 0o1777);
    if tool::is_root("nothing can be given to another group") {
        // OpenShift: root's group can write what a container has.
        folders.push(make(&world.path("of-roots-group/ours"), 0o770));
        make(&world.path("of-roots-group"), 0o775);
    }
    for folder in &folders {
        assert_eq!(base_of_private_file(&world, folder), *folder);
    }
    for (link, target) in [("link", "sticky/ours"), ("relative", "./pass/../sticky/ours/"), ("further", "link")] {
        symlink(target, world.path(link)).expect("a link");
        assert_eq!(base_of_private_file(&world, &world.path(link)), world.path("sticky/ours"), "{link}");
    }
    let around = world.path("pass/../sticky/./ours");
    assert_eq!(base_of_private_file(&world, &around), world.path("sticky/ours"));
}

// check: 9
#[test]
fn where_tmp_itself_can_be_swapped_no_private_file_is_made_and_nothing_is_asked() {
    let (Some(unshare), true) = (tool::find("unshare"), tool::is_root("nothing can be mounted")) else { return };
    let world = World::start();
    for (mode, words) in [("0777", "every user can write /tmp"), ("0755,uid=65534", "/tmp belongs to another user")] {
        let run = world.command_as("token", &format!("exoscale --role {ROLE} --via-file")).without("TMPDIR");
        // The program may lie below the /tmp that goes: the shell has it open.
        let script = format!(
            "exec 9<\"$1\"; shift; mount -t tmpfs -o mode={mode} none /tmp || exit 99; exec /proc/self/fd/9 \"$@\""
        );
        let mut command = Command::new(&unshare);
        command.args(["-m", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_ci-creds")]).args(&run.arguments);
        command.env_clear().envs(run.variables());
        let ran = Ran::of(command);
        if ran.code == 99 || ran.stderr.contains("unshare") {
            return tool::miss("unshare", "may not mount here");
        }
        stopped(ran, &world, (73, "create"), &["cannot create a private file in /tmp", words, "TMPDIR"]);
    }
}

// check: 9
#[test]
fn a_cache_below_a_folder_that_others_can_write_or_own_is_not_used_and_that_is_told() {
    if !tool::is_root("nothing can be given to another user") {
        return;
    }
    for how in EXPOSED {
        let world = World::start();
        let folder = exposed(&world, how, "theirs");
        let line = format!("exoscale --role {ROLE} --cache");
        for variable in ["XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
            let run = world.command_as("token", &line).env(variable, &folder.display().to_string());
            let run = if variable == "XDG_RUNTIME_DIR" { run.without("HOME").env("HOME", "/dev/null") } else { run };
            let ran = run.run();
            assert_eq!(ran.code, 0, "{how}: {ran:?}");
            assert!(ran.stderr.contains("warning: nothing is cached between calls: "), "{how}: {ran:?}");
            assert!(ran.stderr.contains("other users can replace it: "), "{how}: {ran:?}");
            assert!(ran.stderr.contains(&world.path("theirs").display().to_string()), "{how}: {ran:?}");
            assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 0, "{how}");
        }
    }
}

// check: 9
#[test]
fn a_credentials_file_below_a_folder_that_others_can_write_or_own_is_refused_before_any_request() {
    if !tool::is_root("nothing can be given to another user") {
        return;
    }
    let world = World::start();
    for how in EXPOSED {
        let folder = exposed(&world, how, how.split(' ').next().expect("a word"));
        let file = folder.join("credentials");
        std::fs::write(&file, "").expect("a file");
        let link = world.path(&format!("link-{}", how.len()));
        let _ = std::fs::remove_file(&link);
        symlink(&file, &link).expect("a link");
        for path in [&file, &link, &folder.join("new")] {
            let run = world.command_as("token", "aws --role 365-dev").arg("--file").arg(&path.display().to_string());
            let words = if how == "owner" { "belongs to another user" } else { "other users can replace it" };
            stopped(run.run(), &world, (73, "create"), &[words, "--file", "hint: "]);
        }
        assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 1, "{how}: no lock, no draft");
    }
}

// check: 9
#[test]
fn a_configuration_file_below_a_folder_that_others_can_write_or_own_is_not_believed() {
    if !tool::is_root("nothing can be given to another user") {
        return;
    }
    for how in EXPOSED {
        let world = World::start();
        let folder = exposed(&world, how, "theirs");
        let line = format!("exoscale --role {ROLE}");
        let work = world.path("work").display().to_string();
        let run = world.command_as("token", &line).env("XDG_CONFIG_HOME", &folder.display().to_string());
        let run = run.env("WORKSPACE", &work);
        // Nothing is there: nothing is refused.
        run.run().ok();
        let before = world.vault.requests().len();
        let file = make(&folder.join("ci-creds"), 0o700).join("config.toml");
        std::fs::write(&file, "namespace = 'theirs'\n").expect("a file");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("its mode");
        let named = world.command_as("token", &line).arg("--config").arg(&file.display().to_string());
        for run in [run, named] {
            let ran = run.run().refused(&world, 78, "config", &["can be replaced by other users", "theirs"], &[]);
            assert_eq!(world.vault.requests().len(), before, "{ran:?}");
        }
    }
}

/// The program where other users reach it, in a folder that they can pass and not read; `None` where nobody else can be
/// the caller.
fn arena_for_others() -> Option<(tempfile::TempDir, PathBuf)> {
    if !tool::is_root("nobody else can be the caller") {
        return None;
    }
    let arena = tempfile::Builder::new().prefix("it.").tempdir_in("/tmp").expect("a folder");
    let program = arena.path().join("ci-creds");
    tool::install(Path::new(env!("CARGO_BIN_EXE_ci-creds")), &program, "0755");
    make(arena.path(), 0o711);
    Some((arena, program))
}

// check: 9
#[test]
fn what_only_root_may_say_is_believed_below_folders_of_roots_only() {
    let (Some(setpriv), Some((arena, program))) = (tool::find("setpriv"), arena_for_others()) else { return };
    let file = make(&arena.path().join("folder"), 0o755).join("config.toml");
    std::fs::write(&file, "allow-plaintext = true\n").expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("its mode");
    let run = || {
        let mut command = Command::new(&setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command.args(["aws", "--role", "x", "--config"]).arg(&file).env_clear().current_dir("/");
        Ran::of(command)
    };
    // What is missing is the address: the file was believed.
    let ran = run().failed(78, "config");
    assert!(!ran.stderr.contains("which only root may"), "{ran:?}");
    // The folder is the caller's own: nobody else can touch it, and it is not root's.
    chown(arena.path().join("folder"), Some(NOBODY), None).expect("root may");
    let ran = run().failed(78, "config");
    assert!(ran.stderr.contains("which only root may"), "{ran:?}");
}

// check: 9
#[test]
fn in_a_user_namespace_that_does_not_map_root_what_shows_as_nobodys_counts_as_roots() {
    let (Some(setpriv), Some(unshare)) = (tool::find("setpriv"), tool::find("unshare")) else { return };
    let Some((arena, program)) = arena_for_others() else { return };
    let world = World::start();
    let ours = make(&arena.path().join("ours"), 0o700);
    chown(&ours, Some(1000), Some(1000)).expect("root may");
    let run = world.command_as("token", &format!("exoscale --role {ROLE} --via-file")).without("HOME");
    let run = run.env("TMPDIR", &ours.display().to_string());
    // `nobody` of another namespace is a user like any other.
    for (owner, base) in [(0, ours.as_path()), (NOBODY, Path::new("/tmp"))] {
        chown(arena.path(), Some(owner), None).expect("root may");
        let call = |inside: bool| {
            let mut command = Command::new(&setpriv);
            command.args(["--reuid=1000", "--regid=1000", "--clear-groups"]);
            if inside {
                command.arg(&unshare).args(["-U", "--map-current-user"]);
            }
            command.arg(&program).args(&run.arguments).env_clear().envs(run.variables()).current_dir("/");
            Ran::of(command)
        };
        assert_eq!(base_of(&call(false).ok()), base, "owned by {owner}");
        let inside = call(true);
        if inside.stderr.contains("unshare") {
            return tool::miss("unshare", "may not make a user namespace here");
        }
        assert_eq!(base_of(&inside.ok()), ours, "owned by {owner}, which shows as nobody inside");
    }
}

// check: 9
#[test]
fn a_token_helper_that_others_can_replace_is_not_run() {
    if !tool::is_root("nothing can be given to another user") {
        return;
    }
    let world = World::start();
    let ran_at = world.path("helper-ran");
    let text = format!("#!/bin/sh\ntouch '{}'\n", ran_at.display());
    let mut helpers = Vec::new();
    for how in EXPOSED {
        let helper = exposed(&world, how, how.split(' ').next().expect("a word")).join("helper");
        tool::install(&world.program("source", &text), &helper, "0700");
        helpers.push(helper);
    }
    for (name, mode, owner) in [("for-all", "0777", 0), ("for-a-group", "0770", 0), ("of-nobody", "0755", NOBODY)] {
        let helper = world.path(name);
        tool::install(&world.path("source"), &helper, mode);
        chown(&helper, Some(owner), None).expect("root may");
        helpers.push(helper);
    }
    let link = world.path("link-to-a-helper");
    symlink(&helpers[0], &link).expect("a link");
    helpers.push(link);
    for helper in helpers {
        world.file("home/.vault", &format!("token_helper = \"{}\"\n", helper.display()));
        let ran = world.command_with_home(&format!("exoscale --role {ROLE}")).run();
        let ran = ran.refused(&world, 78, "config", &["token helper", "was not run", "~/.vault"], &["root"]);
        assert!(!ran_at.exists(), "{}: {ran:?}", helper.display());
    }
}
