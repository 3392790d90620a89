//! `ci-creds exec` in a job: what it makes is noted while its command runs, and `ci-creds revoke` revokes it where exec
//! could not.

use std::time::{Duration, Instant};

use dev_vault::{Fault, On, Reply};
use rustix::process::Signal;
use serde_json::json;

use super::{Job, exoscale, kill_group, wait_for};
use crate::support::cancel::{self, CANCELS, Cancel};
use crate::support::parallel::each_at_once;
use crate::support::{METHODS, ROLE, World};

/// Both clouds, a lease each.
const BOTH: &str = "exec ci-creds exec exoscale aws --via creds";

fn start<'a>(world: &'a World, method: &str) -> Job<'a> {
    let job = Job::of_a_generous_operator(world, method);
    let run = job.run.clone().env("CI_CREDS_EXOSCALE_ROLE", ROLE).env("CI_CREDS_AWS_ROLE", "user");
    Job { run, ..job }
}

// check: 5, 6
#[test]
fn what_a_killed_run_of_a_command_leaves_is_revoked_from_a_new_container() {
    for method in METHODS {
        let world = World::start();
        let job = start(&world, method);
        let mut script = job.begin(&format!("{BOTH} -- sh -c 'touch ../begun; exec sleep 600'"));
        wait_for("the command", || world.path("begun").exists());
        // ci-creds, its second process and the command.
        kill_group(&mut script, Signal::KILL);
        assert_eq!((world.vault.live_leases().len(), job.states().len()), (2, 1), "{method}");
        job.lose_container();
        let ran = job.after_script();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{method}: {ran:?}");
        let expected =
            format!("revoked: the credential of exoscale/apikey/{ROLE}\nrevoked: the credential of aws/creds/user\n");
        let mut lines: Vec<_> = ran.stdout.split_inclusive('\n').collect();
        lines.sort_unstable_by_key(|line| line.contains("aws"));
        assert_eq!(lines.concat(), expected, "{method}");
        world.assert_nothing_left(&method);
        assert_eq!(job.after_script().ok(), "", "{method}");
    }
}

// check: 5, 6
#[test]
fn a_job_of_three_shells_that_is_cancelled_or_fails_leaves_nothing_alive() {
    let before = format!("eval $(ci-creds {})", exoscale());
    let line = BOTH.replace("exec ci-creds", "ci-creds");
    // Without `exec`: the section's shell waits for ci-creds.
    let script = |command: &str| format!("{line} -- sh -c '{command}'\necho behind it");
    let ends = CANCELS.iter().map(Some).chain([None]).collect();
    each_at_once(2, ends, |cancel: Option<&Cancel>| {
        let how = cancel.map_or("the script fails", |cancel| cancel.by);
        let world = World::start();
        let job = start(&world, "id-token");
        job.section(&before).ok();
        job.lose_container();
        match cancel {
            Some(cancel) => {
                let mut section = cancel::begin(&mut job.command(&script("touch ../begun; sleep 600; exit 0")));
                wait_for("the command", || world.path("begun").exists());
                assert_eq!(world.vault.live_leases().len(), 3, "{how}");
                cancel.end(&mut section);
            }
            None => {
                let ran = job.section(&script("exit 7"));
                assert_eq!((ran.code, ran.stdout.as_str()), (7, ""), "{how}: {ran:?}");
            }
        }
        job.lose_container();
        let ran = job.after_script();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{how}: {ran:?}");
        assert!(ran.stdout.contains(&format!("revoked: the credential of exoscale/apikey/{ROLE}\n")), "{how}: {ran:?}");
        world.assert_nothing_left(&how);
        assert_eq!(job.after_script().ok(), "", "{how}");
    });
}

#[test]
fn a_lease_that_was_renewed_beyond_its_first_end_is_revoked_too() {
    let world = World::start();
    let job = start(&world, "id-token");
    world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "ttl": "6s", "max_ttl": "1h" }));
    world.vault.write(
        &format!("auth/gitlab/role/{ROLE}"),
        json!({ "role_type": "jwt", "token_ttl": "6s", "token_max_ttl": "1h" }),
    );
    let line = format!("exec ci-creds exec {} --leash off -- sh -c 'touch ../begun; exec sleep 600'", exoscale());
    let mut script = job.begin(&line);
    wait_for("the command", || world.path("begun").exists());
    wait_for("renewals", || world.count("leases/renew") >= 2 && world.count("renew-self") >= 2);
    // Another call writes the state, and drops what has expired.
    job.call(super::USER).run().ok();
    kill_group(&mut script, Signal::KILL);
    let told = job.after_script().ok();
    assert_eq!(told.matches("revoked: ").count(), 2, "{told}");
    world.assert_nothing_left(&told);
}

#[test]
fn a_run_that_revoked_what_it_made_leaves_an_empty_state() {
    for method in ["id-token", "wrapping-token", "token"] {
        let world = World::start();
        let job = start(&world, method);
        let ends = ["exit 0", "exit 42", "kill -TERM $$"];
        // A secret for one use is good for one run.
        for end in &ends[..if method == "wrapping-token" { 1 } else { 3 }] {
            job.section(&format!("{BOTH} -- sh -c '{end}'"));
            world.assert_nothing_left(&(method, end));
            let requests = world.requests();
            let ran = job.after_script();
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{method}, {end}");
            assert_eq!(world.requests(), requests, "{method}, {end}: there is nothing to ask");
        }
    }
    let world = World::start();
    let job = start(&world, "id-token");
    job.section("exec ci-creds exec vault -- true").ok();
    assert_eq!(job.after_script().ok(), "");
    // A command that cannot be started, and a second read that fails.
    assert_eq!(job.section("exec ci-creds exec exoscale aws --via creds -- ./text").code, 127);
    let ran = job.section("CI_CREDS_AWS_ROLE=nope; export CI_CREDS_AWS_ROLE; exec ci-creds exec exoscale aws -- true");
    assert_eq!(ran.code, 125, "{ran:?}");
    world.assert_nothing_left(&ran);
    assert_eq!(job.after_script().ok(), "");
}

#[test]
fn the_login_of_exec_vault_is_noted_as_well() {
    let world = World::start();
    let job = start(&world, "id-token");
    let mut script = job.begin("exec ci-creds exec vault --leash off -- sh -c 'touch ../begun; exec sleep 600'");
    wait_for("the command", || world.path("begun").exists());
    kill_group(&mut script, Signal::KILL);
    assert_eq!(job.after_script().ok(), "revoked: the login for exec vault\n");
    world.assert_nothing_left(&"exec vault");
}

#[test]
fn what_a_run_could_not_revoke_stays_noted() {
    let world = World::start();
    let job = start(&world, "id-token");
    for path in ["leases/revoke", "revoke-self"] {
        world.vault.inject(On::path(path).every(), Fault::answer(Reply::error(500, "broken")));
    }
    let ran = job.section(&format!("{BOTH} -- sh -c 'exit 3'"));
    assert!(ran.code == 3 && ran.stderr.matches("not revoked: the credential").count() == 2, "{ran:?}");
    world.vault.clear_faults();
    let told = job.after_script().ok();
    assert_eq!(told.matches("revoked: the credential of ").count(), 2, "{told}");
    world.assert_nothing_left(&told);
}

#[test]
fn exec_notes_nothing_where_no_state_is_kept_and_fails_where_one_is_demanded_in_vain() {
    let world = World::start();
    let job = start(&world, "id-token");
    job.section(&format!("{BOTH} --no-keep-state -- true")).ok();
    assert_eq!(job.states().len(), 0);
    std::fs::remove_dir_all(world.path("builds/project.tmp")).expect("it goes");
    std::os::unix::fs::symlink("elsewhere", world.path("builds/project.tmp")).expect("a link");
    let ran = job.section(&format!("{BOTH} --keep-state -- true"));
    assert!(ran.code == 125 && ran.stderr.contains("error[create]: the state of the job is refused"), "{ran:?}");
    let ran = job.section(&format!("{BOTH} -- true"));
    assert!(ran.code == 0 && ran.stderr.contains("ci-creds revoke will not know this credential"), "{ran:?}");
    world.assert_nothing_left(&ran);
}

/// IAM users that live for so many seconds: a new one is read at half of that.
fn shorten(world: &World, seconds: u64) {
    let life = format!("{seconds}s");
    world.vault.write("aws/config/lease", json!({ "lease": life, "lease_max": life }));
}

const SERVE: &str = "exec ci-creds exec aws --via creds --serve -- sh -c 'touch ../begun; exec sleep 600'";

fn minted(world: &World) -> usize {
    world.vault.minted().values().sum()
}

#[test]
fn the_successors_of_a_served_credential_and_of_its_login_are_noted_too() {
    let world = World::start();
    let job = start(&world, "id-token");
    shorten(&world, 16);
    let mut script = job.begin(SERVE);
    wait_for("the command", || world.path("begun").exists());
    // Vault does not know the first login any more, so the second credential comes from another one.
    for login in world.vault.live_tokens().into_iter().filter(|token| token.path.ends_with("/login")) {
        world.vault.write("auth/token/revoke-accessor", json!({ "accessor": login.accessor }));
    }
    wait_for("the second credential", || minted(&world) == 2);
    // It is noted before it is served.
    std::thread::sleep(Duration::from_millis(500));
    kill_group(&mut script, Signal::KILL);
    let told = job.after_script().ok();
    assert!(told.contains("revoked: the credential of aws/creds/user"), "{told}");
    world.assert_nothing_left(&told);
}

// gitlab-org/gitlab#456252
#[test]
fn a_run_that_is_still_running_when_its_job_is_revoked_makes_nothing_more() {
    let world = World::start();
    let job = start(&world, "id-token");
    shorten(&world, 16);
    let script = job.begin(&SERVE.replace("exec sleep 600", "sleep 12; exit 5"));
    wait_for("the command", || world.path("begun").exists());
    let begun = Instant::now();
    job.after_script().ok();
    assert_eq!(world.vault.live_leases().len(), 0);
    let ended = crate::support::Ran::from(script.wait_with_output().expect("its end"));
    assert!(begun.elapsed() > Duration::from_secs(9), "a new one was due");
    assert_eq!((ended.code, minted(&world)), (5, 1), "{ended:?}");
    assert!(ended.stderr.contains("ci-creds revoke has revoked this job's logins since this run began"), "{ended:?}");
    world.assert_nothing_left(&ended);
}

#[test]
fn a_vault_that_fails_for_long_adds_one_note_to_the_state_and_no_more() {
    // What the engine refuses makes nothing. What a lost answer may have made ends with our own login, and with somebody
    // else's token nobody knows of it.
    let refused = || Fault::answer(Reply::error(400, "x"));
    let lost = || Fault::reset_answer(0);
    type Case = (&'static str, &'static str, fn() -> Fault);
    let cases: [Case; 3] = [("id-token", "refused", refused), ("id-token", "lost", lost), ("token", "lost", lost)];
    each_at_once(3, cases.to_vec(), |(method, how, fault)| {
        let world = World::start();
        let job = start(&world, method);
        shorten(&world, 6);
        let mut script = job.begin(SERVE);
        wait_for("the command", || world.path("begun").exists());
        world.vault.inject(On::path("aws/creds/user").every(), fault());
        let asked = || world.count("aws/creds/user");
        // Each attempt notes what it is about to make, and then asks.
        let mut sizes = Vec::new();
        for attempt in 2..=4 {
            wait_for("an attempt", || asked() > attempt);
            sizes.push(job.states()[0].metadata().expect("the state").len());
        }
        // A note has more than 200 bytes, and a time loses the zeros at its end.
        assert!(sizes.iter().all(|size| size.abs_diff(sizes[0]) < 50), "{method} {how}: {sizes:?}");
        kill_group(&mut script, Signal::KILL);
    });
}
