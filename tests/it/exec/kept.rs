//! What is renewed while the command runs: the lease for as long as it is needed, the login on its leash.

use std::process::Stdio;
use std::time::{Duration, Instant};

use dev_vault::{DevVault, Dialect, Fault, On, Recorded, Reply};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{EXOSCALE, exec, shell};
use crate::support::{ROLE, World, tool};

fn role(world: &World, ttl: &str, max: &str) {
    world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "ttl": ttl, "max_ttl": max }));
}

fn sent(world: &World, suffix: &str) -> Vec<Recorded> {
    world.vault.requests().into_iter().filter(|request| request.path.ends_with(suffix)).collect()
}

/// The increments of the requests with this path, in seconds.
fn increments(world: &World, suffix: &str) -> Vec<u64> {
    let seconds = |request: &Recorded| {
        let text = request.json()["increment"].as_str().expect("an increment").to_owned();
        text.strip_suffix('s').and_then(|text| text.parse().ok()).expect("seconds")
    };
    sent(world, suffix).iter().map(seconds).collect()
}

fn minted(world: &World) -> usize {
    world.vault.minted().values().sum()
}

#[test]
fn one_renewal_before_the_start_makes_the_lease_as_long_as_the_command_needs() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let started = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(10);
        let flag = shell(&world, &format!("{EXOSCALE} --ttl 25m"), "exit 0");
        let job = shell(&world, EXOSCALE, "exit 0")
            .env("CI_JOB_STARTED_AT", &started.to_string())
            .env("CI_JOB_TIMEOUT", "2400");
        for (run, seconds) in [(flag, 1500), (job, 1800)] {
            world.vault.forget_requests();
            run.run().ok();
            let asked = increments(&world, "leases/renew");
            assert!(matches!(asked[..], [asked] if (seconds - 20..=seconds).contains(&asked)), "{dialect} {asked:?}");
        }
        assert_eq!(minted(&world), 2);
    }
}

#[test]
fn where_nobody_knows_how_long_it_takes_nothing_is_renewed_at_once() {
    let world = World::start();
    shell(&world, EXOSCALE, "exit 0").run().ok();
    assert_eq!((world.count("leases/renew"), world.count("renew-self")), (0, 0));
}

#[test]
fn a_lease_of_three_seconds_is_kept_through_a_command_of_eight() {
    let world = World::start();
    role(&world, "3s", "1h");
    let mut child = shell(&world, &format!("{EXOSCALE} -v"), "sleep 8").to_command().spawn().expect("a child");
    while minted(&world) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        assert_eq!(world.vault.live_leases().len(), 1, "after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(child.wait().expect("its end").success());
    let asked = increments(&world, "leases/renew");
    // At two thirds of three seconds, less a tenth at most.
    assert!((3..=5).contains(&asked.len()) && asked.iter().all(|seconds| *seconds == 3), "{asked:?}");
    assert_eq!(minted(&world), 1);
    world.assert_nothing_left(&asked);
}

#[test]
fn a_lease_at_its_max_is_told_once_before_its_end_and_not_asked_for_again() {
    let world = World::start();
    role(&world, "2s", "6s");
    let ran = shell(&world, EXOSCALE, "sleep 8; exit 3").run();
    let told: Vec<_> = ran.stderr.lines().filter(|line| line.contains("expires at")).collect();
    assert_eq!(told.len(), 1, "{ran:?}");
    for word in ["warning: the credential of exoscale/apikey", "raise max_ttl of the engine's role"] {
        assert!(told[0].contains(word), "{ran:?}");
    }
    assert!(world.count("leases/renew") <= 6 && minted(&world) == 1 && ran.code == 3, "{ran:?}");
}

#[test]
fn less_than_was_asked_for_is_told_at_once_with_who_limits_it() {
    let world = World::start();
    let ran = shell(&world, &format!("{EXOSCALE} --ttl 2h"), "exit 0").run();
    let told = "expires at 20";
    assert_eq!(ran.stderr.matches(told).count(), 1, "{ran:?}");
    assert!(ran.stderr.contains("before --ttl is over; raise max_ttl of the engine's role"), "{ran:?}");
    let started = jiff::Timestamp::now().to_string();
    let job = shell(&world, EXOSCALE, "exit 0").env("CI_JOB_STARTED_AT", &started).env("CI_JOB_TIMEOUT", "7200");
    assert_eq!(job.run().stderr, "");
}

#[test]
fn renewals_that_fail_are_few_and_make_no_credential() {
    let (seconds, most) = if tool::slow("a minute of failing renewals") { (60, 8) } else { (9, 5) };
    for fault in [Reply::error(500, "broken"), Reply::error(503, "Vault is sealed"), Reply::error(429, "slow down")] {
        let world = World::start();
        world.vault.inject(On::path("leases/renew").every(), Fault::answer(fault));
        shell(&world, &format!("{EXOSCALE} --ttl 20m"), &format!("sleep {seconds}")).run().ok();
        // The pauses are half of 1, 2, 4, 8, 16 and 30 seconds at least.
        let asked = world.count("leases/renew");
        assert!((3..=most).contains(&asked) && minted(&world) == 1, "{asked} requests, {} made", minted(&world));
    }
}

#[test]
fn a_refused_renewal_is_not_sent_again() {
    for (status, text) in [(400, "lease is not renewable"), (403, "1 error occurred:\n\t* permission denied\n\n")] {
        let world = World::start();
        world.vault.inject(On::path("leases/renew").every(), Fault::answer(Reply::error(status, text)));
        shell(&world, &format!("{EXOSCALE} --ttl 20m"), "sleep 2").run().ok();
        assert_eq!((world.count("leases/renew"), minted(&world)), (1, 1), "{status}");
    }
}

#[test]
fn what_nobody_can_renew_is_told_in_time() {
    let world = World::start();
    world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "ttl": "30s", "max_ttl": "30s", "renewable": false }));
    let ran = shell(&world, EXOSCALE, "sleep 1").run();
    assert_eq!(ran.stderr.matches("nobody can renew it").count(), 1, "{ran:?}");
    assert_eq!(world.count("leases/renew"), 0);
}

#[test]
fn a_login_that_nobody_can_renew_and_that_ends_before_the_lease_is_told() {
    let world = World::start();
    role(&world, "1h", "2h");
    for (uses, told) in [(9, 1), (0, 0)] {
        world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": uses }));
        let ran = shell(&world, EXOSCALE, "exit 0").run();
        assert_eq!(ran.stderr.matches("expires with this login's token").count(), told, "{uses}: {ran:?}");
    }
}

/// How long the tokens of logins still live.
fn logins(world: &World) -> Vec<u64> {
    let tokens = world.vault.live_tokens();
    let logins = tokens.iter().filter(|token| token.path.ends_with("/login"));
    let left = |end: std::time::SystemTime| end.duration_since(world.vault.now()).unwrap_or_default().as_secs();
    logins.map(|token| left(token.expires.expect("an end"))).collect()
}

// check: 5, 20
#[test]
fn a_leash_ends_the_keys_of_a_job_that_was_killed() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let run = shell(&world, &format!("{EXOSCALE} --leash 30s"), "echo begun; sleep 60");
        let mut child = run.to_command().stdout(Stdio::piped()).spawn().expect("a child");
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        std::io::BufRead::read_line(&mut stdout, &mut line).expect("a line");
        kill_process(Pid::from_child(&child), Signal::KILL).expect("sent");
        child.wait().expect("its end");
        assert!(matches!(logins(&world)[..], [20..=30]), "{dialect} {:?}", logins(&world));
        assert_eq!(world.vault.live_leases().len(), 1, "{dialect}");
        world.vault.advance(Duration::from_secs(31));
        world.vault.run_revocations();
        world.assert_nothing_left(&dialect);
        assert_eq!(increments(&world, "renew-self"), [30]);
    }
}

#[test]
fn what_is_told_of_an_end_counts_every_renewal() {
    let world = World::start();
    world.vault.inject(On::path("revoke-self").every(), Fault::answer(Reply::error(500, "broken")));
    for (flags, seconds) in [("--leash 30s", 30), ("--leash off --ttl 10m", 600)] {
        let now = jiff::Timestamp::now();
        let ran = shell(&world, &format!("{EXOSCALE} {flags}"), "exit 0").run();
        let line = ran.stderr.lines().find(|line| line.contains("not revoked: the credential")).expect("a line");
        let end: jiff::Timestamp = line.rsplit(' ').next().expect("a word").parse().expect("a time");
        let left = end.duration_since(now).as_secs();
        assert!((seconds - 1..=seconds + 10).contains(&left), "{flags}: {left} {ran:?}");
    }
}

#[test]
fn a_leash_is_renewed_at_every_third_while_the_command_runs() {
    let world = World::start();
    let mut child =
        shell(&world, &format!("{EXOSCALE} --leash 30s"), "sleep 12").to_command().spawn().expect("a child");
    assert!(child.wait().expect("its end").success());
    assert_eq!(increments(&world, "renew-self"), [30, 30]);
    world.assert_nothing_left(&"leash");
}

#[test]
fn a_job_has_a_leash_of_five_minutes_and_a_desk_has_none() {
    let world = World::start();
    for (name, flag, expected) in [("CI", "", vec![300]), ("NOT_CI", "", vec![]), ("CI", "--leash off", vec![])] {
        world.vault.forget_requests();
        shell(&world, &format!("{EXOSCALE} {flag}"), "exit 0").env(name, "true").run().ok();
        assert_eq!(increments(&world, "renew-self"), expected, "{name} {flag}");
    }
}

#[test]
fn a_login_that_knows_no_leash_refuses_a_demanded_one_and_runs_without_the_default() {
    for (method, role, why) in [
        ("secret-id", json!({ "token_type": "batch" }), "a batch token"),
        ("secret-id", json!({ "token_num_uses": 9 }), "a counted number of requests"),
        ("secret-id", json!({ "token_period": "1h" }), "is periodic"),
        ("token", json!({}), "never shortens a token that you supply"),
    ] {
        let world = World::start();
        world.vault.write(&format!("auth/approle/role/{ROLE}"), role);
        let demanded = exec(&world, method, &format!("{EXOSCALE} --leash 1m"), &["true"]).run();
        let demanded = demanded.failed(125, if method == "token" || why.contains("batch") { "leak" } else { "config" });
        assert!(demanded.stderr.contains(why), "{demanded:?}");
        let job = exec(&world, method, &format!("{EXOSCALE} -v"), &["true"]).env("CI", "true").run();
        assert!(job.code == 0 && job.stderr.contains("ci-creds: no leash: ") && job.stderr.contains(why), "{job:?}");
    }
}

#[test]
fn a_token_that_is_handed_over_is_renewed_while_the_command_runs() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_ttl": "8s", "token_max_ttl": "1h" }));
    let mut child = shell(&world, "exec vault", "sleep 10").to_command().spawn().expect("a child");
    assert!(child.wait().expect("its end").success());
    let asked = increments(&world, "renew-self");
    assert!((1..=3).contains(&asked.len()) && asked.iter().all(|seconds| *seconds == 8), "{asked:?}");
    assert_eq!(world.count("revoke-self"), 1);
}

#[test]
fn a_credential_that_lives_for_more_than_a_day_is_told_unless_a_leash_ends_it_sooner() {
    let world = World::start();
    role(&world, "48h", "72h");
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_ttl": "60h", "token_max_ttl": "72h" }));
    let told = "lives for more than a day, until 20";
    for (line, count) in [
        (EXOSCALE.to_owned(), 1),
        (format!("{EXOSCALE} --leash 5m"), 0),
        (format!("{EXOSCALE} --ttl 20h"), 0),
        (format!("{EXOSCALE} --ttl 30h"), 1),
    ] {
        let ran = shell(&world, &line, "exit 0").run();
        assert_eq!((ran.code, ran.stderr.matches(told).count()), (0, count), "{line}: {ran:?}");
    }
    let ran = world.command_as("secret-id", &format!("exoscale --role {ROLE}")).run();
    assert!(ran.stderr.contains(told) && ran.stderr.contains("lower ttl of the engine's role"), "{ran:?}");
    role(&world, "20h", "72h");
    assert_eq!(world.command_as("secret-id", &format!("exoscale --role {ROLE}")).run().stderr, "");
}

#[test]
fn the_end_of_a_supplied_token_is_told_in_time_and_ends_its_leases() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        for (ttl, told) in [("50s", 1), ("20m", 0), ("0", 0)] {
            let answer = world.vault.write("auth/token/create", json!({ "policies": ["job"], "ttl": ttl }));
            let token = answer["auth"]["client_token"].as_str().expect("a token").to_owned();
            for flags in ["exec exoscale", "exec vault"] {
                world.vault.forget_requests();
                let run = exec(&world, "token", flags, &["sleep", "0.5"]).env("VAULT_TOKEN", &token);
                let ran = run.env("CI_CREDS_EXOSCALE_ROLE", ROLE).run();
                let count = ran.stderr.matches("warning: the token (from VAULT_TOKEN) expires at 20").count();
                assert_eq!((ran.code, count, world.count("lookup-self")), (0, told, 1), "{dialect} {ttl}: {ran:?}");
            }
        }
    }
}

#[test]
fn a_supplied_token_for_too_few_requests_reads_nothing_and_one_for_enough_gives_its_lease_back() {
    let world = World::start();
    let policy = format!(
        "path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}\n\
         path \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
    );
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    for (uses, code) in [(2, 125), (3, 0), (4, 0)] {
        let body = json!({ "policies": ["job"], "ttl": "1h", "num_uses": uses });
        let answer = world.vault.write("auth/token/create", body);
        let token = answer["auth"]["client_token"].as_str().expect("a token").to_owned();
        let ran = exec(&world, "token", EXOSCALE, &["true"]).env("VAULT_TOKEN", &token).run();
        assert_eq!(ran.code, code, "{uses}: {ran:?}");
        assert_eq!(ran.stderr.contains("is good for 1 more requests"), code == 125, "{uses}: {ran:?}");
        assert_eq!(
            (world.vault.live_leases().len(), minted(&world)),
            (0, usize::from(uses > 2) + usize::from(uses > 3))
        );
    }
}
