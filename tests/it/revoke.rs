//! `ci-creds revoke`: what a job's calls made is revoked from another shell, in another container.

mod command;
mod state;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dev_vault::{Fault, On, Reply};
use serde_json::json;

use crate::support::{METHODS, ROLE, Ran, Run, World};

/// Long enough for a busy machine; what is waited for comes at once elsewhere.
const PATIENCE: Duration = Duration::from_secs(30);

const USER: &str = "aws --role user --via creds";
const STS: &str = "aws --role 365-dev";

fn exoscale() -> String {
    format!("exoscale --role {ROLE}")
}

/// A job as GitLab's docker executor runs it: a shell for each section, a builds volume that stays, a container that
/// does not.
struct Job<'a> {
    world: &'a World,
    run: Run,
}

impl<'a> Job<'a> {
    fn start(world: &'a World, method: &str) -> Self {
        Self::of(world, world.command_as(method, ""), "4711")
    }

    fn of(world: &'a World, run: Run, id: &str) -> Self {
        let checkout = world.path("builds/project");
        fs::create_dir_all(&checkout).expect("a checkout");
        let beside = world.path("builds/project.tmp");
        fs::create_dir_all(&beside).expect("the runner's folder");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o777)).expect("its mode");
        let run = run.env("CI", "true").env("GITLAB_CI", "true").env("CI_JOB_ID", id);
        Self { world, run: run.env("CI_PROJECT_DIR", &checkout.display().to_string()) }
    }

    /// A job whose policy lets it revoke leases.
    fn of_a_generous_operator(world: &'a World, method: &str) -> Self {
        let policy = format!(
            "path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}\n\
             path \"aws/*\" {{ capabilities = [\"read\", \"update\"] }}\n\
             path \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
        );
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        Self::start(world, method)
    }

    fn command(&self, script: &str) -> Command {
        let tool = Path::new(env!("CARGO_BIN_EXE_ci-creds")).parent().expect("a folder");
        let variables = self.run.variables();
        let mut command = Command::new("/bin/sh");
        command.args(["-e", "-c", script]).env_clear().envs(variables).current_dir(self.world.path("work"));
        command.env("PATH", format!("{}:{}", tool.display(), variables["PATH"])).stdin(Stdio::null());
        command
    }

    /// A section of the job.
    fn section(&self, script: &str) -> Ran {
        Ran::of(self.command(script))
    }

    /// A section that is cancelled later, with all that it started.
    fn begin(&self, script: &str) -> Child {
        let mut command = self.command(script);
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a section")
    }

    /// The container's file system goes; a new container begins with an empty one.
    fn lose_container(&self) {
        for folder in ["home", "tmp"] {
            fs::remove_dir_all(self.world.path(folder)).expect("it goes");
            fs::create_dir(self.world.path(folder)).expect("a new one");
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(self.world.path(folder), private).expect("its mode");
        }
    }

    fn after_script(&self) -> Ran {
        self.section("exec ci-creds revoke")
    }

    /// What lies beside the checkout, but for the locks.
    fn states(&self) -> Vec<PathBuf> {
        states_in(&folder_of(self.world))
    }

    fn call(&self, line: &str) -> Run {
        let mut run = self.run.clone();
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        run
    }
}

fn folder_of(world: &World) -> PathBuf {
    world.path(&format!("builds/project.tmp/ci-creds-{}", rustix::process::geteuid().as_raw()))
}

fn states_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let paths = listing.map(|entry| entry.expect("an entry").path());
    let is_state =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("job-"));
    paths.filter(is_state).collect()
}

fn kill_group(child: &mut Child, signal: rustix::process::Signal) {
    let group = rustix::process::Pid::from_child(child);
    rustix::process::kill_process_group(group, signal).expect("a signal");
    child.wait().expect("its end");
}

/// Two calls, which share a login where the secret is for one use.
fn two_calls(method: &str) -> String {
    let cache = if ["wrapping-token", "secret-id"].contains(&method) { " --cache" } else { "" };
    format!("eval $(ci-creds {}{cache} || echo false)\neval $(ci-creds {USER}{cache} || echo false)\n", exoscale())
}

// check: 6
#[test]
fn after_script_in_a_new_container_revokes_all_that_the_script_made() {
    for method in METHODS {
        let world = World::start();
        let job = Job::of_a_generous_operator(&world, method);
        let ran = job.section(&(two_calls(method) + "test -n \"$EXOSCALE_API_KEY$AWS_ACCESS_KEY_ID\"\n"));
        assert!(ran.code == 0 && !ran.stderr.contains("will not know"), "{method}: {ran:?}");
        assert_eq!((world.vault.live_leases().len(), job.states().len()), (2, 1), "{method}");
        job.lose_container();
        let ran = job.after_script();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{method}: {ran:?}");
        let expected =
            format!("revoked: the credential of exoscale/apikey/{ROLE}\nrevoked: the credential of aws/creds/user\n");
        assert_eq!(ran.stdout, expected, "{method}");
        assert_eq!(world.vault.live_leases().len(), 0, "{method}");
        world.assert_no_secret_in(&ran.stdout);
        // Nothing is left to do, and nothing is asked or said.
        let requests = world.requests();
        let revokes = requests.iter().filter(|request| request.contains("revoke-self")).count();
        let logins = requests.iter().filter(|request| request.ends_with("/login")).count();
        assert_eq!(revokes, logins, "{method}: each login of ours, and no other token: {requests:?}");
        let ran = job.after_script();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{method}");
        assert_eq!(world.requests(), requests, "{method}");
    }
}

#[test]
fn a_job_that_fails_or_is_cancelled_leaves_nothing_alive() {
    for (how, signal) in
        [("failed", None), ("TERM", Some(rustix::process::Signal::TERM)), ("KILL", Some(rustix::process::Signal::KILL))]
    {
        let world = World::start();
        let job = Job::start(&world, "id-token");
        job.section(&format!("eval $(ci-creds {})", exoscale())).ok();
        match signal {
            None => assert_eq!(job.section(&format!("eval $(ci-creds {USER})\nfalse")).code, 1),
            Some(signal) => {
                let mut script = job.begin(&format!("eval $(ci-creds {USER})\ntouch ../begun\nexec sleep 600"));
                wait_for("the script", || world.path("begun").exists());
                kill_group(&mut script, signal);
            }
        }
        assert_eq!(world.vault.live_leases().len(), 2, "{how}");
        job.lose_container();
        let ran = job.after_script();
        assert_eq!(ran.code, 0, "{how}: {ran:?}");
        assert_eq!(ran.stdout.matches("queued: the credential of ").count(), 2, "{how}: {ran:?}");
        assert_eq!(world.vault.live_leases().len(), 0, "{how}");
    }
}

#[test]
fn a_call_that_is_killed_before_it_delivers_leaves_nothing_that_is_not_noted() {
    // Vault has made the key, and its answer is on the way; only the login is noted then.
    for method in ["id-token", "wrapping-token", "generator-token"] {
        let world = World::start();
        let job = Job::start(&world, method);
        world.vault.inject(On::path("aws/creds/user"), Fault::hang_after());
        let mut script = job.begin(&format!("exec ci-creds {USER} >../out"));
        wait_for("the key", || world.vault.live_leases().len() == 1);
        kill_group(&mut script, rustix::process::Signal::KILL);
        job.lose_container();
        let ran = job.after_script();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (0, "revoked: the login for aws/creds/user\n"),
            "{method}: {ran:?}"
        );
        assert_eq!(world.vault.live_leases().len(), 0, "{method}");
    }
}

#[test]
fn a_key_whose_token_is_anothers_and_whose_lease_nobody_knows_is_told() {
    let world = World::start();
    let job = Job::start(&world, "token");
    world.vault.inject(On::path("aws/creds/user"), Fault::hang_after());
    let mut script = job.begin(&format!("exec ci-creds {USER} >../out"));
    wait_for("the key", || world.vault.live_leases().len() == 1);
    kill_group(&mut script, rustix::process::Signal::KILL);
    let ran = job.after_script().failed(80, "leak");
    assert!(ran.stderr.contains("a credential that aws/creds/user may have made lives until it expires"), "{ran:?}");
}

#[test]
fn a_call_during_which_the_job_was_revoked_hands_nothing_over() {
    let world = World::start();
    let job = Job::start(&world, "id-token");
    // The answer is on the way when the login is revoked, and with it the key.
    world.vault.inject(On::path("aws/creds/user"), Fault::drip(100, Duration::from_millis(600)));
    let script = job.begin(&format!("exec ci-creds {USER} >../out"));
    wait_for("the key", || world.vault.live_leases().len() == 1);
    let ran = job.after_script();
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "revoked: the login for aws/creds/user\n"), "{ran:?}");
    let output = script.wait_with_output().expect("its end");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("ci-creds revoke has revoked this job's logins since this call began"), "{stderr}");
    assert!(!fs::read_to_string(world.path("out")).expect("stdout").contains("AKIA"), "a dead key was handed over");
    assert_eq!(world.vault.live_leases().len(), 0);
}

#[test]
fn a_call_after_the_job_was_revoked_is_told_and_revoked_by_the_next_one() {
    let world = World::start();
    let job = Job::start(&world, "id-token");
    // Nothing was made yet: the script may be about to.
    assert_eq!(job.after_script().ok(), "");
    for format in ["shell", "process"] {
        let ran = job.call(&format!("{USER} --format {format} --no-cache")).run();
        assert!(ran.stderr.contains("warning: ci-creds revoke ran in this job at 20"), "{format}: {ran:?}");
        assert!(ran.stderr.contains("run it again to revoke this credential"), "{format}: {ran:?}");
        ran.ok();
    }
    assert_eq!(world.vault.live_leases().len(), 2);
    job.after_script().ok();
    assert_eq!(world.vault.live_leases().len(), 0);
}

#[test]
fn what_is_not_revoked_is_named_and_revoked_by_a_later_run_within_ten_seconds() {
    let world = World::start();
    let job = Job::start(&world, "id-token");
    job.section(&two_calls("id-token")).ok();
    let sealed = || Fault::answer(Reply::error(503, "Vault is sealed"));
    for (how, fault) in [("sealed", sealed as fn() -> Fault), ("hangs", Fault::hang_before)] {
        world.vault.inject(On::any().every(), fault());
        let begun = Instant::now();
        let ran = job.after_script().failed(80, "leak");
        assert!(begun.elapsed() < Duration::from_secs(12), "{how}: {:?}", begun.elapsed());
        for what in ["the credential of aws/creds/user, the lease aws/creds/user/", "the lease exoscale/apikey/"] {
            assert!(ran.stderr.contains(what) && ran.stderr.contains("lives until 20"), "{how}: {ran:?}");
        }
        world.vault.clear_faults();
        assert_eq!(world.vault.live_leases().len(), 2, "{how}");
    }
    job.after_script().ok();
    assert_eq!(world.vault.live_leases().len(), 0);
}

#[test]
fn a_lease_that_a_borrowed_token_may_not_revoke_is_a_leak_and_what_sts_made_is_told() {
    let world = World::start();
    let job = Job::start(&world, "token");
    job.section(&format!("eval $(ci-creds {USER})")).ok();
    for _ in 0..2 {
        let ran = job.after_script().failed(80, "leak");
        assert!(
            ran.stderr.contains("not revoked: the credential of aws/creds/user, the lease aws/creds/user/"),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("sys/leases/revoke"), "{ran:?}");
    }
    assert!(world.requests().iter().all(|request| !request.contains("revoke-self")), "the token is not ours");
    let job = Job::of(&world, world.command_as("id-token", ""), "4712");
    job.section(&format!("eval $(ci-creds {STS})")).ok();
    let told = job.after_script().ok();
    assert!(told.starts_with("cannot be revoked: the credential of aws/sts/365-dev lives until 20"), "{told}");
    assert_eq!(job.after_script().ok(), "");
}

#[test]
fn an_engine_that_fails_has_its_lease_queued() {
    let world = World::start();
    let job = Job::of_a_generous_operator(&world, "id-token");
    job.section(&format!("eval $(ci-creds {USER})")).ok();
    let fails = || Fault::answer(Reply::error(400, "failed to revoke entry: unable to revoke the API key"));
    world.vault.inject(On::path("sys/leases/revoke"), fails());
    let ran = job.after_script();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "queued: the credential of aws/creds/user, which Vault revokes by itself\n"),
        "{ran:?}"
    );
    let asked: Vec<_> = world.requests().into_iter().rev().take(3).collect();
    assert_eq!(asked, ["POST auth/token/revoke-self", "POST sys/leases/revoke", "POST sys/leases/revoke"]);
}

#[test]
fn a_call_that_fails_leaves_nothing_to_revoke() {
    let world = World::start();
    let job = Job::start(&world, "id-token");
    world.vault.inject(On::path("aws/creds/user"), Fault::answer_after(Reply::error(400, "x")));
    assert_ne!(job.call(USER).run().code, 0);
    let mut full = job.call(USER).to_command();
    full.stdout(fs::File::options().write(true).open("/dev/full").expect("/dev/full"));
    assert_eq!(full.output().expect("it runs").status.code(), Some(74));
    let requests = world.requests().len();
    assert_eq!(job.after_script().ok(), "");
    assert_eq!(world.requests().len(), requests, "{:?}", world.requests());
}

#[test]
fn what_is_noted_and_cached_is_revoked_once_and_cache_clear_does_the_same() {
    for command in ["revoke", "cache clear"] {
        let world = World::start();
        let job = Job::of_a_generous_operator(&world, "wrapping-token");
        job.section(&two_calls("wrapping-token")).ok();
        let ran = job.call(command).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}: {ran:?}");
        let lines: Vec<_> = ran.stdout.lines().collect();
        assert_eq!(lines.len(), 3, "{command}: {ran:?}");
        assert!(lines.iter().all(|line| line.starts_with("revoked: the ")), "{command}: {ran:?}");
        let count = |path: &str| world.requests().iter().filter(|request| request.ends_with(path)).count();
        assert_eq!((count("sys/leases/revoke"), count("revoke-self")), (2, 1), "{command}");
        assert_eq!(world.command("cache").run().ok(), "the cache is empty\n", "{command}");
        assert_eq!(world.vault.live_leases().len(), 0, "{command}");
    }
}

// check: 17
#[test]
fn nothing_of_another_job_is_touched() {
    let world = World::start();
    // One secret for both: only the job tells them apart.
    let run = world.command_as("generator-token", "");
    let (one, other) = (Job::of(&world, run.clone(), "1"), Job::of(&world, run, "2"));
    for job in [&one, &other] {
        job.section(&format!("eval $(ci-creds {} --cache)", exoscale())).ok();
    }
    let before: Vec<_> = other.states().iter().map(|path| fs::read(path).expect("a state")).collect();
    assert_eq!(before.len(), 2);
    let ran = one.after_script();
    assert_eq!(ran.stdout.lines().count(), 1, "nothing is said of another job: {ran:?}");
    assert_eq!((ran.code, world.vault.live_leases().len()), (0, 1));
    let after: Vec<_> = other.states().iter().map(|path| fs::read(path).expect("a state")).collect();
    assert_eq!(before.iter().filter(|bytes| after.contains(bytes)).count(), 1);
    // At a desk, the same login revokes what it made in both.
    one.section(&format!("eval $(ci-creds {USER})")).ok();
    assert_eq!(world.vault.live_leases().len(), 2);
    let ran = one.call("revoke --all-mine").without("CI_JOB_ID").without("CI_PROJECT_DIR").run();
    assert_eq!((ran.code, world.vault.live_leases().len()), (0, 1), "only the cache is seen without the job: {ran:?}");
    one.call("revoke --all-mine").run().ok();
    assert_eq!(world.vault.live_leases().len(), 0);
}

#[test]
fn at_a_desk_a_state_is_kept_where_it_is_asked_for_and_removed_with_what_it_names() {
    let world = World::start();
    let run = world.command_as("id-token", "");
    let with = |line: &str| {
        let mut run = run.clone();
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        run
    };
    let folder = world.home().join(".cache/ci-creds");
    with(USER).run().ok();
    assert_eq!(with("revoke").run().ok(), "");
    assert_eq!((states_in(&folder), world.vault.live_leases().len()), (Vec::new(), 1));
    with(&format!("{USER} --keep-state")).run().ok();
    assert_eq!(states_in(&folder).len(), 1);
    assert_eq!(world.command("cache").run().ok(), "the cache is empty\n", "a state is no entry of the cache");
    let text = with("revoke --all-mine").run().ok();
    assert_eq!(text, "queued: the credential of aws/creds/user, which Vault revokes by itself\n");
    assert_eq!((states_in(&folder), world.vault.live_leases().len()), (Vec::new(), 1));
}

#[test]
fn revoke_without_a_login_is_quiet_where_nothing_is_and_an_error_where_something_is() {
    let world = World::start();
    let job = Job::start(&world, "id-token");
    let stranger = job.call("revoke").without("VAULT_ID_TOKEN");
    let ran = stranger.run();
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{ran:?}");
    job.call(&format!("{USER} --no-keep-state")).run().ok();
    assert_eq!(job.states(), Vec::<PathBuf>::new());
    job.call(USER).run().ok();
    let ran = stranger.run().failed(78, "config");
    assert!(ran.stderr.contains("nothing was revoked, 1 of other logins remain: nothing to log in with"), "{ran:?}");
    assert!(world.requests().iter().all(|request| !request.contains("revoke")));
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_another_login_of_the_job_left_is_an_error_and_what_another_address_has_names_the_call() {
    let world = World::start();
    let job = Job::start(&world, "id-token");
    job.call(USER).run().ok();
    let other = Job::of(&world, world.command_as("secret-id", ""), "4711");
    let ran = other.after_script().failed(80, "leak");
    for words in ["this job has a state of another login, ID token at auth/gitlab", "CI_JOB_ID=4711", "lives until 20"]
    {
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
    assert!(
        ran.stderr.contains("hint: ci-creds revoke, with the variables and flags of that login's calls"),
        "{ran:?}"
    );
    assert_eq!(world.vault.live_leases().len(), 1);
    // Of another job, it is none of this one's business.
    let next = Job::of(&world, world.command_as("secret-id", ""), "4712");
    assert_eq!(next.after_script().ok(), "");
    let elsewhere = job.call("revoke").env("VAULT_ADDR", "http://127.0.0.1:1");
    let ran = elsewhere.run().failed(80, "leak");
    let hint = format!("hint: VAULT_ADDR={} ci-creds revoke\n", world.vault.address());
    assert!(ran.stderr.contains(&hint), "{hint}: {ran:?}");
    job.after_script().ok();
    assert_eq!(world.vault.live_leases().len(), 0);
    // The state is there for a day, and names nothing.
    assert_eq!(other.after_script().ok(), "");
    let told = "nothing to revoke: no call with this login noted anything (--keep-state, --cache)\n";
    assert_eq!(job.call("revoke -v").run().ok(), told);
}
