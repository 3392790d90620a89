//! `ci-creds revoke` on a real server over a real cloud: what a job leaves opens nothing any more.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::json;

use super::engine::Engine;
use crate::support::cancel::{self, CANCELS};
use crate::support::{METHODS, Ran, Run, exports};

/// A job with a builds volume and a container of its own.
struct Job<'a> {
    engine: &'a Engine,
    name: String,
    run: Run,
}

impl<'a> Job<'a> {
    fn start(engine: &'a Engine, method: &str, role: &str) -> Self {
        let checkout = engine.site.folder().join(role);
        let beside = engine.site.folder().join(format!("{role}.tmp"));
        fs::create_dir(&checkout).expect("a checkout");
        fs::create_dir(&beside).expect("the runner's folder");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o777)).expect("its mode");
        let run =
            engine.job(method, role).env("CI_JOB_ID", role).env("CI_PROJECT_DIR", &checkout.display().to_string());
        let job = Self { engine, name: format!("{role}.container"), run };
        fs::create_dir(job.container()).expect("a container");
        Self { run: job.run.clone().env("HOME", &job.container().display().to_string()), ..job }
    }

    fn container(&self) -> std::path::PathBuf {
        self.engine.site.folder().join(&self.name)
    }

    /// A shell with these lines, in which `$CREDS` is the program and `$CALL` what the job asks for.
    fn section(&self, lines: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-e", "-c", lines]).env_clear().envs(self.run.variables());
        command.env("CREDS", env!("CARGO_BIN_EXE_ci-creds")).env("CALL", self.run.arguments.join(" "));
        command
    }

    /// Nothing is left of the container.
    fn lose_container(&self) {
        fs::remove_dir_all(self.container()).expect("it goes");
        fs::create_dir(self.container()).expect("a new one");
    }

    /// `ci-creds revoke`, where nothing is left of the container.
    fn after_script(&self) -> Ran {
        self.lose_container();
        let mut run = self.run.clone();
        run.arguments = vec!["revoke".into()];
        run.run()
    }
}

#[test]
fn a_key_of_a_real_engine_is_dead_when_revoke_says_so_from_a_new_container() {
    let Some(engine) = Engine::start("afterscript", true) else { return };
    for method in METHODS {
        let role = format!("after{}", method.replace('-', ""));
        let job = Job::start(&engine, method, &role);
        let set = exports(&job.run.run().ok());
        let (user, password) = (&set["AWS_ACCESS_KEY_ID"], &set["AWS_SECRET_ACCESS_KEY"]);
        assert!(engine.lets_in(user, password), "{method}");
        let ran = job.after_script();
        // No wait: the server has answered that its engine did it.
        assert!(!engine.lets_in(user, password), "{method}");
        let expected = format!("revoked: the credential of afterscript/creds/{role}\n");
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, expected.as_str(), ""), "{method}");
        assert_eq!(engine.leases(&role), [""; 0], "{method}");
        let ran = job.after_script();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{method}");
    }
}

#[test]
fn a_job_whose_policy_revokes_no_lease_ends_it_with_its_login_or_says_how_long_it_lives() {
    let Some(engine) = Engine::start("afterlogin", true) else { return };
    engine.operator().write("sys/policies/acl/afterlogin", &json!({ "policy": engine.may_read() }));
    for method in METHODS {
        let role = format!("login{}", method.replace('-', ""));
        let job = Job::start(&engine, method, &role);
        job.run.run().ok();
        let ran = job.after_script();
        if method == "token" {
            let ran = ran.failed(80, "leak");
            let told =
                format!("not revoked: the credential of afterlogin/creds/{role}, the lease afterlogin/creds/{role}/");
            assert!(ran.stderr.contains(&told) && ran.stderr.contains(", lives until 20"), "{ran:?}");
            assert_eq!(engine.leases(&role).len(), 1);
        } else {
            let expected =
                format!("queued: the credential of afterlogin/creds/{role}, which Vault revokes by itself\n");
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, expected.as_str(), ""), "{method}");
            engine.wait_until_revoked(&role);
            assert_eq!(engine.users(&role), [""; 0], "{method}");
        }
    }
}

#[test]
fn a_call_that_is_killed_with_a_key_in_its_hand_leaves_none_on_a_real_server() {
    let Some(engine) = Engine::start("afterkill", true) else { return };
    for method in METHODS {
        let role = format!("kill{}", method.replace('-', ""));
        let job = Job::start(&engine, method, &role);
        // Nobody reads: the call has its key, and waits.
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(&[b'x'; 65_536]).expect("a full pipe");
        let mut child = job.run.to_command().stdout(writer).stderr(Stdio::null()).spawn().expect("a call");
        let begun = std::time::Instant::now();
        while fs::read_dir(engine.site.folder().join(format!("{role}.tmp")))
            .is_ok_and(|mut listing| listing.next().is_none())
            || engine.leases(&role).is_empty()
        {
            assert!(begun.elapsed().as_secs() < 30, "{method}: no key");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
        drop(reader);
        let ran = job.after_script();
        // The lease is noted a moment after the server made it; of a borrowed token, nothing else is known.
        if !(method == "token" && ran.code == 80) {
            assert_eq!(ran.code, 0, "{method}: {ran:?}");
            engine.wait_until_revoked(&role);
            assert_eq!(engine.users(&role), [""; 0], "{method}");
        }
    }
}

// check: 5, 6
#[test]
fn the_key_of_a_killed_command_is_dead_when_revoke_says_so_from_a_new_container() {
    let Some(engine) = Engine::start("aftercommand", true) else { return };
    for method in METHODS {
        let role = format!("command{}", method.replace('-', ""));
        let job = Job::start(&engine, method, &role);
        let mut run = job.run.clone();
        run.arguments.insert(0, "exec".into());
        let script = "echo $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY; exec sleep 60";
        let mut command = ["--", "sh", "-c", script].iter().fold(run, |run, word| run.arg(word)).to_command();
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().expect("a child");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let (user, password) = line.trim().split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        // ci-creds, its second process and the command.
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).expect("sent");
        child.wait().expect("its end");
        assert!(engine.lets_in(user, password), "{method}");
        let ran = job.after_script();
        assert!(!engine.lets_in(user, password), "{method}");
        let expected = format!("revoked: the credential of aftercommand/creds/{role}\n");
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, expected.as_str(), ""), "{method}");
        assert_eq!((engine.leases(&role), engine.users(&role)), (vec![], vec![]), "{method}");
    }
}

// check: 5, 6
#[test]
fn a_real_job_of_three_shells_that_is_cancelled_or_fails_leaves_nothing_alive() {
    let Some(engine) = Engine::start("aftercancel", true) else { return };
    for (number, cancel) in CANCELS.iter().map(Some).chain([None]).enumerate() {
        let how = cancel.map_or("the script fails", |cancel| cancel.by);
        let role = format!("cancel{}", char::from(b'a' + u8::try_from(number).expect("few")));
        let job = Job::start(&engine, "id-token", &role);
        assert!(Ran::of(job.section("eval $($CREDS $CALL || echo false)")).code == 0, "{how}");
        job.lose_container();
        let script = |command: &str| format!("$CREDS exec $CALL -- sh -c '{command}'\necho behind it");
        match cancel {
            Some(cancel) => {
                let begun = engine.site.folder().join(format!("{role}.begun"));
                let lines = script(&format!("touch {}; sleep 600; exit 0", begun.display()));
                let mut section = cancel::begin(&mut job.section(&lines));
                let since = std::time::Instant::now();
                while !begun.exists() {
                    assert!(since.elapsed().as_secs() < 30, "{how}: no command");
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                assert_eq!(engine.leases(&role).len(), 2, "{how}");
                cancel.end(&mut section);
            }
            None => assert_eq!(Ran::of(job.section(&script("exit 7"))).code, 7),
        }
        let ran = job.after_script();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{how}: {ran:?}");
        assert_eq!((engine.leases(&role), engine.users(&role)), (vec![], vec![]), "{how}");
        assert_eq!(job.after_script().stdout, "", "{how}");
    }
}
