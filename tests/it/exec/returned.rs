//! What is given back when the command has ended, and what is said of it.

use std::time::{Duration, Instant};

use dev_vault::{DevVault, Dialect, Fault, On, Reply};
use serde_json::json;

use super::{EXOSCALE, exec, shell};
use crate::support::{METHODS, ROLE, World};

/// The job's policy with the right to revoke a lease.
fn may_revoke(world: &World) {
    let policy = "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }\npath \"aws/*\" { capabilities = [\"read\"] }\n\
                  path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
}

// check: 5, 20
#[test]
fn after_every_end_of_the_command_no_lease_and_no_token_is_left() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        for method in METHODS.into_iter().filter(|method| *method != "token") {
            for script in ["exit 0", "exit 1", "exit 42", "kill -TERM $$", "kill -INT $$", "kill -KILL $$"] {
                exec(&world, method, EXOSCALE, &["sh", "-c", script]).run();
                world.assert_nothing_left(&(dialect, method, script));
            }
        }
    }
}

#[test]
fn a_lease_that_its_policy_may_revoke_is_revoked_and_another_one_is_queued() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let ran = shell(&world, &format!("{EXOSCALE} -v"), "exit 3").run();
        let queued =
            format!("ci-creds: queued: the credential of exoscale/apikey/{ROLE}, which Vault revokes by itself\n");
        assert!(ran.code == 3 && ran.stderr.contains(&queued), "{ran:?}");
        may_revoke(&world);
        let ran = shell(&world, &format!("{EXOSCALE} -v"), "exit 3").run();
        assert!(ran.code == 3 && ran.stderr.contains("ci-creds: revoked: the credential of exoscale"), "{ran:?}");
        assert_eq!(
            world.requests()[world.requests().len() - 2..],
            ["POST sys/leases/revoke", "POST auth/token/revoke-self"]
        );
        world.assert_nothing_left(&dialect);
    }
}

#[test]
fn what_an_engine_fails_to_revoke_is_queued_and_the_token_is_revoked_all_the_same() {
    let world = World::start();
    may_revoke(&world);
    world.vault.inject(On::path("sys/leases/revoke"), Fault::upstream_fails("unable to revoke the API key"));
    let ran = shell(&world, &format!("{EXOSCALE} -v --strict-revoke"), "exit 3").run();
    assert!(ran.code == 3 && ran.stderr.contains("ci-creds: queued: the credential"), "{ran:?}");
    assert_eq!((world.count("sys/leases/revoke"), world.count("revoke-self")), (2, 1));
    world.assert_nothing_left(&ran);
}

// check: 5, 20
#[test]
fn what_lives_on_is_told_keeps_the_code_and_is_80_when_that_is_asked() {
    let world = World::start();
    let broken = || Fault::answer(Reply::error(500, "broken"));
    for (line, code) in [(EXOSCALE.to_owned(), 3), (format!("{EXOSCALE} --strict-revoke"), 80)] {
        world.vault.inject(On::path("revoke-self").every(), broken());
        world.vault.inject(On::path("leases/revoke").every(), broken());
        let ran = shell(&world, &line, "exit 3").run();
        world.vault.clear_faults();
        assert_eq!(ran.code, code, "{ran:?}");
        let path = format!("not revoked: the credential of exoscale/apikey/{ROLE} lives until 20");
        assert!(ran.stderr.contains(&path), "{ran:?}");
        assert_eq!(ran.stderr.contains("error[leak]"), code == 80, "{ran:?}");
    }
    assert_eq!(world.vault.live_leases().len(), 2);
}

#[test]
fn temporary_credentials_of_aws_cannot_be_revoked_which_is_no_leak() {
    let world = World::start();
    let ran = shell(&world, "exec aws --role 365-dev -v --strict-revoke", "exit 3").run();
    assert!(
        ran.code == 3 && ran.stderr.contains("ci-creds: cannot be revoked: the credential of aws/sts/365-dev"),
        "{ran:?}"
    );
    assert_eq!((world.count("leases/revoke"), world.count("revoke-self")), (0, 1));
}

#[test]
fn a_token_that_the_user_supplied_is_never_revoked_and_its_lease_is_where_the_policy_allows() {
    let world = World::start();
    may_revoke(&world);
    exec(&world, "token", EXOSCALE, &["true"]).run().ok();
    assert_eq!((world.vault.live_leases().len(), world.count("revoke-self")), (0, 0));
}

#[test]
fn a_batch_login_gives_its_lease_back_where_the_policy_allows() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_type": "batch" }));
    let ran = shell(&world, &format!("{EXOSCALE} --strict-revoke"), "exit 3").run();
    assert!(ran.code == 80 && ran.stderr.contains("not revoked: the credential"), "{ran:?}");
    may_revoke(&world);
    let before = world.vault.live_leases().len();
    let ran = shell(&world, &format!("{EXOSCALE} --strict-revoke"), "exit 3").run();
    assert_eq!((ran.code, world.vault.live_leases().len(), world.count("revoke-self")), (3, before, 0), "{ran:?}");
}

#[test]
fn a_vault_that_hangs_at_the_end_costs_ten_seconds_and_no_more() {
    let world = World::start();
    may_revoke(&world);
    world.vault.inject(On::path("sys/leases/revoke").every(), Fault::hang_before());
    world.vault.inject(On::path("revoke-self").every(), Fault::hang_before());
    let started = Instant::now();
    let ran = shell(&world, EXOSCALE, "exit 3").run();
    assert!(ran.code == 3 && ran.stderr.contains("not revoked"), "{ran:?}");
    // Beside the ten, the start on a busy machine.
    assert!(started.elapsed() < Duration::from_secs(14), "{:?}", started.elapsed());
}

#[test]
fn why_a_credential_was_not_revoked_is_told_with_the_line_that_its_policy_needs() {
    let world = World::start();
    let line = "path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    for flags in ["", "--strict-revoke"] {
        let run = exec(&world, "token", &format!("{EXOSCALE} {flags}"), &["true"]);
        let ran = run.run();
        let hint = ran.stderr.lines().find(|text| text.starts_with("  hint: ")).unwrap_or_else(|| panic!("{ran:?}"));
        assert!(hint.contains("Vault refused sys/leases/revoke (403: permission denied)"), "{ran:?}");
        assert!(hint.contains(line), "{ran:?}");
    }
    // Of a login of ours, what kept its token alive is the reason.
    let unclear = || Fault::answer(Reply::error(500, "broken"));
    world.vault.inject(On::path("revoke-self").every(), unclear());
    let ran = shell(&world, "exec exoscale aws", "exit 3");
    let ran = ran.env("CI_CREDS_AWS_ROLE", "365-dev").env("CI_CREDS_EXOSCALE_ROLE", ROLE).run();
    assert_eq!((ran.code, ran.stderr.matches("  hint: ").count()), (3, 1), "{ran:?}");
    assert!(ran.stderr.contains("auth/token/revoke-self"), "{ran:?}");
    world.vault.clear_faults();
    let denied = Reply::error(403, "1 error occurred:\n\t* permission denied\n\n");
    world.vault.inject(On::path("revoke-self").every(), Fault::answer(denied));
    let ran = shell(&world, EXOSCALE, "exit 3").run();
    assert!(ran.stderr.contains("path \"auth/token/revoke-self\" { capabilities = [\"update\"] }"), "{ran:?}");
}

#[test]
fn the_hint_about_a_token_that_lives_on_names_the_token_and_no_lease() {
    let world = World::start();
    may_revoke(&world);
    let denied = Reply::error(403, "1 error occurred:\n\t* permission denied\n\n");
    let line = "path \"auth/token/revoke-self\" { capabilities = [\"update\"] }";
    for (answer, why) in [(Reply::error(500, "broken"), "auth/token/revoke-self"), (denied, line)] {
        world.vault.inject(On::path("revoke-self").every(), Fault::answer(answer));
        for call in ["exec vault", "exec vault --strict-revoke", EXOSCALE, &format!("{EXOSCALE} --strict-revoke")] {
            let ran = shell(&world, call, "exit 3").run();
            assert_eq!(ran.code, if call.ends_with("strict-revoke") { 80 } else { 3 }, "{ran:?}");
            assert_eq!(ran.stderr.matches("not revoked: the token of this login lives until 20").count(), 1, "{ran:?}");
            let hint =
                ran.stderr.lines().find(|text| text.starts_with("  hint: ")).unwrap_or_else(|| panic!("{ran:?}"));
            assert!(hint.contains(why) && hint.contains("vault token revoke -accessor"), "{call}: {ran:?}");
            assert!(!hint.contains("lease"), "{call}: {ran:?}");
        }
        world.vault.clear_faults();
    }
}

#[test]
fn a_child_token_makes_what_a_supplied_token_made_revocable() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let policy = format!(
            "path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}\n\
             path \"auth/token/create\" {{ capabilities = [\"update\"] }}"
        );
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        let script = "test -z \"$VAULT_TOKEN\" && test -n \"$EXOSCALE_API_KEY\" && exit 3";
        for (flags, renewals) in [("--leash 30s", 2), ("", 1)] {
            world.vault.forget_requests();
            let run = exec(&world, "token", &format!("{EXOSCALE} --child-token -v {flags}"), &["sh", "-c", script]);
            let ran = run.run();
            assert!(ran.code == 3 && ran.stderr.contains("queued: the credential of exoscale"), "{dialect}: {ran:?}");
            assert_eq!((world.count("token/create"), world.count("renew-self")), (1, renewals), "{dialect} {flags}");
            assert_eq!((world.count("revoke-self"), world.vault.live_leases().len()), (1, 0), "{dialect} {flags}");
        }
        let run = exec(&world, "token", "exec vault --child-token", &["sh", "-c", "echo $VAULT_TOKEN"]);
        let supplied = run.variables()["VAULT_TOKEN"].clone();
        let child = run.run().ok();
        assert!(child.trim() != supplied && child.starts_with("hvs.") || child.starts_with("s."), "{dialect}");
        assert_eq!(world.count("revoke-self"), 2, "{dialect}: the child, and not its parent");
    }
}
