use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::parallel::each;
use crate::support::shell::{self, EVALS, LastAnswer, Shell, Stage};
use crate::support::{ROLE, World, tool};

/// How a job traces its commands, and how we can know.
const TRACES: [(&str, &str, &str); 4] = [
    ("set -x", "CI_DEBUG_TRACE", "true"),
    ("set -o xtrace", "CI_DEBUG_TRACE", "1"),
    ("set -ex", "JENKINS_URL", "https://jenkins.example.com/"),
    // Prints the lines that are read, and not only the commands that are run.
    ("set -xv", "CI_DEBUG_TRACE", "true"),
];

fn stage(world: &World) -> Stage {
    Stage::new(world, &world.command_as("token", "")).env("EXOSCALE_KEY", "stale")
}

fn watch(world: &World) -> LastAnswer {
    LastAnswer::watch(world, &format!("/exoscale/apikey/{ROLE}"))
}

fn call() -> String {
    format!("ci-creds exoscale --role {ROLE}")
}

/// What our private files' folders are called, wherever they are made.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a name").path());
    entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ci-creds.")))
        .collect()
}

/// The file that a line of ours sources.
fn sourced_file(line: &str) -> PathBuf {
    let path = line.strip_prefix(". '").or_else(|| line.strip_prefix("source '"));
    let path = path.and_then(|rest| rest.strip_suffix("';\n")).unwrap_or_else(|| panic!("no such line: {line:?}"));
    assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+/=.:@%,-".contains(&byte)), "{path}");
    PathBuf::from(path)
}

/// Runs the script in the shell and fails when its log holds the key, or when the job has not got it.
fn assert_silent(world: &World, answer: &LastAnswer, stage: &Stage, shell: &Shell, script: &str) {
    let what = format!("{}: {script}", shell.name);
    let played = stage.play(shell, script);
    assert!(played.reached && played.ran.code == 0, "{what}: {:?}", played.ran);
    let log = format!("{}{}", played.ran.stdout, played.ran.stderr);
    for field in ["api_key", "api_secret"] {
        assert!(!log.contains(&answer.field(field)), "{what}: the {field} is in the log: {log}");
    }
    world.assert_no_secret_in(&log);
    assert!(log.contains(": traced-again"), "{what}: the trace is off afterwards: {log}");
    let after = played.dump("after");
    for (name, field) in [("EXOSCALE_API_KEY", "api_key"), ("EXOSCALE_API_SECRET", "api_secret")] {
        assert_eq!(after.get(name), Some(&answer.field(field)), "{what}: {log}");
    }
    assert!(!after.contains_key("EXOSCALE_KEY") && !after.contains_key("_cc_x"), "{what}: {after:?}");
    assert_eq!(leftovers(&world.path("tmp")), [] as [PathBuf; 0], "{what}");
}

// check: 22
#[test]
fn in_a_traced_job_no_shell_logs_the_credential_and_the_trace_goes_on() {
    each(shell::posix(), |shell| {
        let world = World::start();
        let answer = watch(&world);
        for (trace, variable, value) in TRACES {
            // ksh93 reads a sourced file whole, and prints what it reads: no line of it is early enough.
            if trace == "set -xv" && shell.name == "ksh93" {
                continue;
            }
            let stage = stage(&world).env(variable, value).env("CI", "true");
            for (open, close) in EVALS {
                let script = format!(
                    "umask 000\n{trace}\n{open}{}{close}\n: traced-again\nset +x\nenv -0 >\"$OUT/after\"\ntouch \"$OUT/reached\"\n",
                    call()
                );
                assert_silent(&world, &answer, &stage, &shell, &script);
            }
        }
    });
}

#[test]
fn an_exported_shellopts_is_a_trace_too() {
    let world = World::start();
    let answer = watch(&world);
    for shell in shell::posix().into_iter().filter(|shell| shell.name.starts_with("bash")) {
        for (exported, script) in [
            ("xtrace", String::new()),
            ("braceexpand:hashall:xtrace", "set -eu\n".to_owned()),
            ("hashall", "export SHELLOPTS\nset -x\n".to_owned()),
        ] {
            let stage = stage(&world).env("SHELLOPTS", exported);
            let script =
                format!("{script}eval $({})\n: traced-again\nenv -0 >\"$OUT/after\"\ntouch \"$OUT/reached\"\n", call());
            assert_silent(&world, &answer, &stage, &shell, &script);
        }
    }
}

#[test]
fn fish_logs_nothing_while_it_traces() {
    let world = World::start();
    let Some(fish) = shell::named("fish") else { return };
    let answer = watch(&world);
    for (open, close) in [("eval (", ")"), ("eval \"$(", ")\""), ("", " | source")] {
        for (variable, script) in
            [("fish_trace", ""), ("CI_DEBUG_TRACE", "set fish_trace 1\n"), ("CI_DEBUG_TRACE", "set -gx fish_trace 1\n")]
        {
            let stage = stage(&world).env(variable, "1");
            let script = format!(
                "{script}{open}{} --format fish{close}\n: traced-again\nenv -0 >\"$OUT/after\"\ntouch \"$OUT/reached\"\n",
                call()
            );
            assert_silent(&world, &answer, &stage, &fish, &script);
        }
    }
}

#[test]
fn asked_for_the_private_file_without_a_trace_the_shell_is_left_as_it_was() {
    let world = World::start();
    let stage = stage(&world);
    for shell in shell::posix() {
        let script = format!(
            "set -eu\nflags=$-\neval $({} --via-file)\ncase $flags in \"$-\") ;; *) exit 9;; esac\n\
             env -0 >\"$OUT/after\"\nset | grep '^_cc_' || touch \"$OUT/reached\"\n",
            call()
        );
        let played = stage.play(&shell, &script);
        assert!(played.reached, "{}: {:?}", shell.name, played.ran);
        assert_eq!((played.ran.stdout.as_str(), played.ran.stderr.as_str()), ("", ""), "{}", shell.name);
        assert!(played.dump("after").contains_key("EXOSCALE_API_SECRET"), "{}", shell.name);
        assert_eq!(leftovers(&world.path("tmp")), [] as [PathBuf; 0], "{}", shell.name);
    }
}

// check: 8
#[test]
fn the_private_file_is_ours_alone_under_any_umask_and_outside_the_checkout() {
    let world = World::start();
    let Some(sh) = shell::named("sh") else { return };
    for mask in ["000", "077", "777"] {
        let stage = stage(&world)
            .env("CI_DEBUG_TRACE", "true")
            .env("CI_PROJECT_DIR", &world.path("work").display().to_string());
        let line = stage.play(&sh, &format!("umask {mask}\n{} | cat\n", call())).ran.ok();
        let file = sourced_file(&line);
        let folder = file.parent().expect("a folder");
        assert_eq!(folder.parent(), Some(world.path("tmp").as_path()));
        let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o7777;
        assert_eq!((mode(folder), mode(&file)), (0o700, 0o600), "umask {mask}");
        let text = std::fs::read_to_string(&file).expect("its text");
        assert!(text.contains("export EXOSCALE_API_SECRET='"), "{text}");
        let played = stage.play(&sh, &format!("set -e\n{line}env -0 >\"$OUT/after\"\n"));
        assert!(played.dump("after").contains_key("EXOSCALE_API_SECRET"));
        assert!(!folder.exists(), "umask {mask}: it is still there");
    }
}

// check: 9
#[test]
fn a_tmpdir_that_an_eval_would_act_on_that_others_command_or_that_lies_in_the_checkout_is_not_used() {
    let world = World::start();
    let checkout = world.path("checkout");
    let link = world.path("link");
    std::fs::create_dir_all(checkout.join("tmp")).expect("a checkout");
    std::os::unix::fs::symlink(checkout.join("tmp"), &link).expect("a link into it");
    let hostile = ["a b", "it's", "$(touch pwned)", "*", "\"", ";", "`id`", "~", "{a,b}", "é"];
    let mut folders: Vec<String> = hostile.iter().map(|name| world.path(name).display().to_string()).collect();
    folders.iter().for_each(|folder| std::fs::create_dir(folder).expect("a folder"));
    folders.extend(["", "relative", "/nonexistent", "/dev/null"].map(str::to_owned));
    folders.extend(
        [checkout.clone(), checkout.join("tmp"), checkout.join("../checkout/tmp"), link]
            .map(|path| path.display().to_string()),
    );
    folders.push(world.path("work/../checkout").display().to_string());
    for (name, mode) in [("for-all", 0o777), ("for-a-group", 0o770)] {
        std::fs::create_dir(world.path(name)).expect("a folder");
        std::fs::set_permissions(world.path(name), PermissionsExt::from_mode(mode)).expect("its mode");
        // The group of this very user may be his alone, and would be no reason.
        if mode == 0o777 || tool::is_root("nothing can be given to another group") {
            std::os::unix::fs::chown(world.path(name), None, Some(65_534).filter(|_| mode == 0o770))
                .expect("its group");
            folders.push(world.path(name).display().to_string());
        }
    }
    std::fs::create_dir(world.path("foreign")).expect("a folder");
    if tool::is_root("nothing can be given to another user") {
        std::os::unix::fs::chown(world.path("foreign"), Some(65_534), None).expect("another owner");
        folders.push(world.path("foreign").display().to_string());
    }
    for folder in folders {
        let run = world.command_as("token", &format!("exoscale --role {ROLE} --via-file"));
        let run = run.env("TMPDIR", &folder).env("CI_PROJECT_DIR", &checkout.display().to_string());
        let file = sourced_file(&run.run().ok());
        let made = file.parent().expect("a folder");
        let base = made.parent().map(Path::to_owned);
        std::fs::remove_dir_all(made).expect("nobody sourced it");
        assert_eq!(base, Some("/tmp".into()), "TMPDIR={folder}");
    }
}

#[test]
fn powershell_in_a_traced_job_is_refused_before_a_request() {
    let world = World::start();
    for variable in ["CI_DEBUG_TRACE", "JENKINS_URL"] {
        let line = format!("exoscale --role {ROLE} --format powershell");
        let ran = world.command_as("token", &line).env(variable, "true").run().failed(64, "usage");
        assert!(ran.stderr.contains(variable) && ran.stderr.contains("PowerShell"), "{}", ran.stderr);
        assert!(ran.stdout.ends_with("throw 'ci-creds failed with exit code 64';\n"), "{}", ran.stdout);
    }
    assert!(world.requests().is_empty(), "{:?}", world.requests());
}

#[test]
fn a_failure_in_a_traced_job_prints_the_marker_and_leaves_no_file() {
    let world = World::start();
    for shell in shell::posix() {
        let stage = stage(&world).env("CI_DEBUG_TRACE", "true");
        let script = "set -ex\neval $(ci-creds exoscale --role another)\ntouch \"$OUT/reached\"\n";
        let played = stage.play(&shell, script);
        assert_eq!((played.ran.code, played.reached), (77, false), "{}: {:?}", shell.name, played.ran);
        assert_eq!(leftovers(&world.path("tmp")), [] as [PathBuf; 0], "{}", shell.name);
        world.assert_no_secret_in(&played.ran.stderr);
    }
    let ran = world.command("exoscale --role another").env("CI_DEBUG_TRACE", "true").run().failed(78, "config");
    assert!(ran.stdout.starts_with("unset ") && ran.stdout.ends_with(";\n(exit 78);\n"), "{}", ran.stdout);
}
