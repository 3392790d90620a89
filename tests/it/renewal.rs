//! A job of GitLab says when it ends at the latest, and a credential that is handed over is renewed once until then.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use dev_vault::{DevVault, Dialect, Fault, On, Reply};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{METHODS, ROLE, Run, World, requests_of};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner --format json";
const USER: &str = "aws --role user --via creds --format process";
const RENEW: &str = "POST sys/leases/renew";
const RENEW_LOGIN: &str = "POST auth/token/renew-self";

/// The job has 50 minutes left of an hour.
fn in_a_job(run: Run) -> Run {
    let started = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(10);
    run.env("CI_JOB_STARTED_AT", &started.to_string()).env("CI_JOB_TIMEOUT", "3600")
}

/// A world where leases and logins live for so long, and for so long at most.
fn world(builder: dev_vault::Builder, lease: (&str, &str), login: (&str, &str)) -> World {
    let world = World::with(builder);
    world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "ttl": lease.0, "max_ttl": lease.1 }));
    world.vault.write("aws/config/lease", json!({ "lease": lease.0, "lease_max": lease.1 }));
    for role in [format!("auth/approle/role/{ROLE}"), format!("auth/gitlab/role/{ROLE}")] {
        let mut life = json!({ "token_ttl": login.0, "token_max_ttl": login.1 });
        if role.contains("gitlab") {
            life["role_type"] = json!("jwt");
        }
        world.vault.write(&role, life);
    }
    world
}

fn long_login() -> World {
    world(DevVault::builder(), ("15m", "2h"), ("2h", "4h"))
}

/// The seconds until the end that the answer tells.
fn left(world: &World, stdout: &str) -> u64 {
    let answer: Value = serde_json::from_str(stdout).expect("JSON");
    let end = answer.get("expiration").or(answer.get("Expiration")).and_then(Value::as_str).expect("an end");
    let end: SystemTime = end.parse::<jiff::Timestamp>().expect("a time").into();
    end.duration_since(world.vault.now()).unwrap_or_default().as_secs()
}

#[test]
fn one_renewal_makes_a_lease_last_until_the_job_ends() {
    for dialect in Dialect::ALL {
        for (line, read) in [(EXOSCALE, format!("GET exoscale/apikey/{ROLE}")), (USER, "GET aws/creds/user".to_owned())]
        {
            for method in METHODS {
                let world = world(DevVault::builder().dialect(dialect), ("15m", "2h"), ("2h", "4h"));
                let stdout = in_a_job(world.command_as(method, line)).run().ok();
                let expected = [requests_of(method), vec![read.clone(), RENEW.to_owned()]].concat();
                // With a token of the user's, what is cached asks for its end.
                assert_eq!(world.requests()[..expected.len()], expected, "{dialect} {method}");
                let left = left(&world, &stdout);
                assert!((2980..=3000).contains(&left), "{dialect} {method}: {left}");
            }
        }
    }
}

#[test]
fn a_secret_with_a_ttl_of_its_own_keeps_it_and_the_others_beside_it_last_until_the_job_ends() {
    let world = long_login();
    world.vault.write(
        "sys/policies/acl/job",
        json!({ "policy": "path \"terraform/*\" { capabilities = [\"read\", \"update\"] }\npath \"sys/leases/renew\" { capabilities = [\"update\"] }" }),
    );
    world.vault.write("sys/mounts/terraform", json!({ "type": "terraform" }));
    world.vault.write("terraform/roles/app", json!({ "db_name": "x" }));
    let config = "[secret.db]\npath = \"terraform/creds/app\"\nenv = { A = \"token\" }\n\
                  [secret.mode]\npath = \"terraform/creds/app\"\nenv = { C = \"token\" }\nbody = { mode = \"ttl\" }\n\
                  [secret.short]\npath = \"terraform/creds/app\"\nenv = { B = \"token\" }\nbody = { ttl = \"1h\" }\n";
    let config = world.file("c.toml", config).display().to_string();
    for (names, renewals) in [("short", 0), ("db short", 1), ("short db", 1), ("mode", 1), ("db mode short", 2)] {
        world.vault.forget_requests();
        let line = format!("secret {names} --config {config} --format json");
        in_a_job(world.command_as("secret-id", &line)).run().ok();
        let asked = world.requests().iter().filter(|request| *request == RENEW).count();
        assert_eq!(asked, renewals, "{names}: {:?}", world.requests());
    }
}

#[test]
fn a_login_that_would_end_before_the_lease_is_renewed_with_it() {
    for dialect in Dialect::ALL {
        let world = world(DevVault::builder().dialect(dialect), ("15m", "2h"), ("15m", "4h"));
        let ran = in_a_job(world.command_as("secret-id", EXOSCALE)).run();
        assert_eq!(ran.stderr, "", "{dialect}");
        assert_eq!(world.requests()[2..], [RENEW, RENEW_LOGIN], "{dialect}");
        assert!((2980..=3000).contains(&left(&world, &ran.ok())), "{dialect}");
        world.vault.advance(Duration::from_secs(2900));
        world.vault.run_revocations();
        assert_eq!(world.vault.live_leases().len(), 1, "{dialect}: the lease ended with its login");
    }
}

#[test]
fn a_login_that_cannot_live_so_long_is_told() {
    let world = world(DevVault::builder(), ("15m", "2h"), ("15m", "20m"));
    let ran = in_a_job(world.command_as("secret-id", EXOSCALE)).run();
    assert!(ran.stderr.contains("the credential expires with this login's token at 20"), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!((1180..=1200).contains(&left(&world, &ran.ok())));
}

#[test]
fn a_lease_at_its_max_is_as_long_as_vault_grants() {
    let world = world(DevVault::builder(), ("15m", "30m"), ("2h", "4h"));
    let ran = in_a_job(world.command_as("secret-id", EXOSCALE)).run();
    assert_eq!((ran.stderr.as_str(), world.count("leases/renew")), ("", 1));
    assert!((1780..=1800).contains(&left(&world, &ran.ok())));
}

#[test]
fn what_needs_no_renewal_or_knows_none_is_not_renewed() {
    let fixed = json!({ "ttl": "15m", "max_ttl": "2h", "renewable": false });
    for (what, method, line, role) in [
        ("a lifetime that was asked for", "secret-id", "aws --role 365-dev --ttl 20m", json!({})),
        ("temporary credentials", "secret-id", "aws --role 365-dev", json!({})),
        ("a longer lease", "secret-id", EXOSCALE, json!({ "ttl": "2h", "max_ttl": "4h" })),
        ("a fixed lease", "secret-id", EXOSCALE, fixed),
    ] {
        let world = long_login();
        world.vault.write(&format!("exoscale/role/{ROLE}"), role);
        in_a_job(world.command_as(method, line)).run().ok();
        assert_eq!((world.count("leases/renew"), world.count("renew-self")), (0, 0), "{what}");
    }
    let world = long_login();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 9 }));
    in_a_job(world.command_as("secret-id", EXOSCALE)).run().ok();
    assert_eq!(world.count("leases/renew"), 0, "a counted token");
    let world = long_login();
    world.command_as("secret-id", EXOSCALE).run().ok();
    assert_eq!(world.count("leases/renew"), 0, "no job of GitLab");
    let over = world.command_as("secret-id", EXOSCALE).env("CI_JOB_STARTED_AT", "2020-01-01T00:00:00Z");
    over.env("CI_JOB_TIMEOUT", "3600").run().ok();
    assert_eq!(world.count("leases/renew"), 0, "a job that is over");
}

#[test]
fn a_token_that_the_user_supplied_is_not_made_longer() {
    let world = world(DevVault::builder(), ("15m", "2h"), ("15m", "4h"));
    in_a_job(world.command_as("token", EXOSCALE)).run().ok();
    assert_eq!((world.count("leases/renew"), world.count("renew-self")), (1, 0));
}

#[test]
fn the_child_of_a_token_lives_as_long_as_its_renewed_lease() {
    let world = long_login();
    let policy = "path \"auth/token/create\" { capabilities = [\"update\"] }\npath \"exoscale/apikey/*\" { capabilities = [\"read\"] }";
    world.vault.write("sys/policies/acl/parent", json!({ "policy": policy }));
    let run = world.command(&format!("{EXOSCALE} --child-token")).env("VAULT_TOKEN", &world.token("parent"));
    let stdout = in_a_job(run).run().ok();
    assert_eq!(world.requests()[2..], [RENEW, RENEW_LOGIN]);
    assert!((2975..=3000).contains(&left(&world, &stdout)));
}

#[test]
fn a_renewal_that_fails_is_a_warning_and_makes_no_second_credential() {
    for fault in [
        Fault::answer(Reply::error(400, "lease is not renewable")),
        Fault::answer(Reply::error(403, "1 error occurred:\n\t* permission denied\n\n")),
        Fault::answer(Reply::error(500, "broken")),
        Fault::answer(Reply::html(200, "<html>")),
        Fault::hang_before(),
    ] {
        let world = long_login();
        world.vault.inject(On::path("leases/renew").every(), fault);
        let ran = in_a_job(world.command_as("secret-id", EXOSCALE)).run();
        let told = format!("ci-creds: warning: the credential of exoscale/apikey/{ROLE} expires at 20");
        assert!(ran.stderr.starts_with(&told) && ran.stderr.contains("Vault does not renew it ("), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert!((880..=900).contains(&left(&world, &ran.ok())));
        assert_eq!((world.vault.minted().values().sum::<usize>(), world.vault.live_leases().len()), (1, 1));
    }
}

// check: 5
#[test]
fn a_signal_during_the_renewal_leaves_nothing() {
    for method in METHODS.into_iter().filter(|method| *method != "token") {
        let world = long_login();
        world.vault.inject(On::path("leases/renew"), Fault::hang_before());
        let mut command = in_a_job(world.command_as(method, EXOSCALE)).to_command();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
        while world.count("leases/renew") == 0 {
            assert!(child.try_wait().expect("its state").is_none(), "{method}: it ended without a renewal");
            std::thread::sleep(Duration::from_millis(2));
        }
        kill_process(Pid::from_child(&child), Signal::TERM).expect("sent");
        let ended = child.wait_with_output().expect("its end");
        assert_eq!((ended.status.code(), ended.stdout.len()), (Some(143), 0), "{method}: {ended:?}");
        world.assert_nothing_left(&method);
    }
}
