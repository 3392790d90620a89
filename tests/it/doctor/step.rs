//! Set-ups that are broken at one step: that one is named, with the change that the plain command names.

use dev_vault::{DevVault, Dialect, Fault, On};
use serde_json::json;

use super::{fails_at, mark, marks, text_of};
use crate::support::{ROLE, World};

const AWS: &str = "doctor aws --role 365-dev";

#[test]
fn a_value_that_is_wrong_is_named_and_the_network_is_examined_all_the_same() {
    let world = World::start();
    let ran = fails_at(&world.command_as("id-token", "doctor aws").without("VAULT_ID_TOKEN"), "configuration", 78);
    assert!(text_of(&ran, "configuration").contains("nothing to log in with"), "{}", ran.stdout);
    assert_eq!((mark(&marks(&ran), "health"), mark(&marks(&ran), "login")), ("ok", "skip"), "{}", ran.stdout);
    let ran = fails_at(&world.command_as("id-token", AWS).env("VAULT_ADDR", "$VAULT_PROD"), "configuration", 78);
    let text = text_of(&ran, "configuration");
    assert!(text.contains("GitLab has no variable VAULT_PROD"), "{}", ran.stdout);
    assert_eq!(mark(&marks(&ran), "address"), "skip");
    assert!(text_of(&ran, "address").contains("configuration comes first"));
}

#[test]
fn a_server_that_cannot_be_reached_blocks_what_needs_it() {
    let world = World::start();
    let ran = fails_at(&world.command_as("id-token", AWS).env("VAULT_ADDR", "http://127.0.0.1:1"), "connection", 69);
    assert!(text_of(&ran, "connection").contains("connection refused"), "{}", ran.stdout);
    assert!(text_of(&ran, "health").contains("connection comes first"), "{}", ran.stdout);
    assert_eq!(mark(&marks(&ran), "identity"), "ok", "the claims are told without a server");
    let unknown =
        world.command_as("id-token", AWS).arg("--any-audience").env("VAULT_ADDR", "https://vault.invalid:8200");
    fails_at(&unknown, "address", 69);
}

#[test]
fn a_sealed_server_is_named_by_its_health() {
    let world = World::start();
    let run = world.command_as("id-token", AWS);
    world.vault.write("sys/seal", json!({}));
    let ran = fails_at(&run, "health", 69);
    assert!(text_of(&ran, "health").contains("is sealed"), "{}", ran.stdout);
    assert_eq!(mark(&marks(&ran), "clock"), "ok");
}

#[test]
fn mount_and_role_of_the_login_are_told_apart_before_a_secret_is_sent() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let run = world.command_as("id-token", AWS);
        let nowhere = run.clone().env("VAULT_AUTH_PATH", "nowhere");
        fails_at(&nowhere, "auth-mount", 77);
        fails_at(&run.clone().env("VAULT_AUTH_PATH", "approle"), "auth-mount", 78);
        let ran = fails_at(&run.clone().env("VAULT_AUTH_ROLE", "nope"), "auth-role", 77);
        assert!(text_of(&ran, "auth-role").contains("there is no role nope at auth/gitlab"), "{}", ran.stdout);
        assert_eq!(mark(&marks(&ran), "auth-mount"), "ok");
        let unknown = "11111111-2222-3333-4444-555555555555";
        let run = world.command_as("secret-id", AWS);
        fails_at(&run.clone().env("VAULT_ROLE_ID", unknown), "auth-role", 77);
        fails_at(&run.clone().arg("--auth-mount").arg("gitlab"), "auth-mount", 78);
        fails_at(&run.arg("--auth-mount").arg("nowhere"), "auth-mount", 77);
    }
}

#[test]
fn every_bound_claim_that_does_not_fit_is_named() {
    let world = World::start();
    let bound = json!({ "project_id": "1", "environment": "prod", "ref": "main" });
    let role = json!({
        "role_type": "jwt", "user_claim": "project_path", "bound_audiences": [crate::support::AUDIENCE],
        "bound_claims": bound, "token_policies": ["job"],
    });
    world.vault.write("auth/gitlab/role/strict", role);
    let ran = fails_at(&world.command_as("id-token", AWS).env("VAULT_AUTH_ROLE", "strict"), "login", 77);
    let text = text_of(&ran, "login");
    assert!(
        text.contains("bound_claims of the role strict do not fit")
            && text_of(&ran, "identity").contains("project_id 365"),
        "{text}"
    );
    assert!(text_of(&ran, "token").contains("login comes first"), "{}", ran.stdout);
}

#[test]
fn a_wrong_mount_of_the_engine_is_told_apart_from_a_missing_policy() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let run = world.command_as("id-token", AWS);
        let ran = fails_at(&run.clone().arg("--mount").arg("nowhere"), "engine-mount", 78);
        assert!(text_of(&ran, "engine-mount").contains("no handler for route"), "{}", ran.stdout);
        world.vault.write("sys/policies/acl/job", json!({ "policy": "path \"kv/*\" { capabilities = [\"read\"] }" }));
        let ran = fails_at(&run, "policy", 77);
        let text = text_of(&ran, "policy");
        assert!(text.contains("path \"aws/sts/365-dev\" { capabilities = [\"read\", \"update\"] }"), "{text}");
        assert_eq!(mark(&marks(&ran), "engine-mount"), "ok");
    }
}

#[test]
fn a_login_for_one_request_is_named_and_its_only_use_revokes_it() {
    let world = World::start();
    let role = json!({
        "role_type": "jwt", "user_claim": "project_path", "bound_audiences": [crate::support::AUDIENCE],
        "bound_claims": { "project_id": "365" }, "token_policies": ["job"], "token_num_uses": 1,
    });
    world.vault.write(&format!("auth/gitlab/role/{ROLE}"), role);
    let ran = fails_at(&world.command_as("id-token", AWS), "token", 78);
    assert!(text_of(&ran, "token").contains("limited to one request"), "{}", ran.stdout);
    assert_eq!(mark(&marks(&ran), "logout"), "ok");
}

#[test]
fn what_an_approle_needs_is_asked_without_making_or_spending_it() {
    let world = World::start();
    let run = world.command_as("generator-token", AWS);
    let ran = run.run();
    let granted = format!("may make one at auth/approle/role/{ROLE}/secret-id");
    assert!(ran.code == 0 && text_of(&ran, "login").contains(&granted), "{}", ran.stdout);
    let ran = fails_at(&run.clone().env("VAULT_APPROLE_ROLE", "depl"), "login", 77);
    assert!(text_of(&ran, "login").contains("VAULT_APPROLE_ROLE=depl may be misspelt"), "{}", ran.stdout);
    fails_at(&run.env("VAULT_TOKEN", "hvs.CAESIJlWh7dRz3kQ9xTn2bVpS3cret"), "login", 77);
    assert_eq!(world.count(&format!("auth/approle/role/{ROLE}/secret-id")), 0);
    let ran = world.command_as("secret-id", AWS).run();
    assert!(text_of(&ran, "login").contains("mount and role ID are right"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the login was not tried, and 5 steps were not examined"), "{}", ran.stdout);
    let role = json!({
        "role_type": "jwt", "user_claim": "project_path", "bound_audiences": [crate::support::AUDIENCE],
        "bound_claims": { "project_id": "365" }, "token_policies": ["job"], "token_bound_cidrs": ["192.0.2.0/24"],
    });
    world.vault.write("auth/gitlab/role/elsewhere", role);
    let ran = fails_at(&world.command_as("id-token", AWS).env("VAULT_AUTH_ROLE", "elsewhere"), "login", 77);
    let text = text_of(&ran, "login");
    assert!(text.contains("hint: token_bound_cidrs of the role must allow"), "{text}");
}

#[test]
fn a_mount_with_too_much_in_it_is_named_as_it_is() {
    let world = World::start();
    for (line, meant) in [
        ("exoscale --role gitlab-ci-runner --mount exoscale/apikey", "exoscale"),
        ("aws --role 365-dev --mount aws/sts", "aws"),
    ] {
        let ran = world.command_as("id-token", line).run();
        assert!(ran.code != 0 && ran.stderr.contains(&format!("set --mount {meant}: ci-creds adds")), "{ran:?}");
        let ran = world.command_as("id-token", &format!("doctor {line}")).run();
        let lines = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(ran.code != 0 && lines.contains(&format!("--mount {meant}")), "{}", ran.stdout);
    }
}

#[test]
fn a_wrapping_token_is_looked_up_and_not_unwrapped() {
    let world = World::start();
    let run = world.command_as("wrapping-token", AWS);
    let ran = run.run();
    assert!(
        ran.stdout
            .ends_with("\nNo step that was examined fails; the login was not tried, and 5 steps were not examined.\n"),
        "{}",
        ran.stdout
    );
    let text = text_of(&ran, "identity");
    assert!(text.contains("unused") && text.contains(&format!("auth/approle/role/{ROLE}/secret-id")), "{text}");
    assert_eq!(world.count("sys/wrapping/unwrap"), 0);
    let mut spender = run.clone();
    spender.arguments.remove(0);
    spender.run().ok();
    fails_at(&run, "identity", 79);
}

#[test]
fn a_server_that_hangs_at_the_login_ends_that_step_in_its_own_time() {
    let world = World::start();
    world.vault.inject(On::path("auth/gitlab/login").nth(2).every(), Fault::hang_before());
    let run = world.command_as("id-token", &format!("{AWS} --request-timeout 1s --retries 0"));
    let ran = fails_at(&run, "login", 69);
    assert_eq!((mark(&marks(&ran), "auth-role"), mark(&marks(&ran), "token")), ("ok", "skip"), "{}", ran.stdout);
}

#[test]
fn a_supplied_token_with_counted_uses_is_asked_once_and_good_for_the_run() {
    let world = World::start();
    let made = world.vault.write("auth/token/create", json!({ "policies": ["job"], "ttl": "1h", "num_uses": 3 }));
    let token = crate::support::text(&made["auth"]["client_token"]);
    let run = world.command(AWS).env("VAULT_TOKEN", &token);
    let ran = run.run();
    assert_eq!((ran.code, mark(&marks(&ran), "token")), (0, "warn"), "{}", ran.stdout);
    for step in ["engine-mount", "engine-role", "policy", "lease"] {
        assert!(text_of(&ran, step).contains("the uses of the token are counted"), "{}", ran.stdout);
    }
    let left = world.vault.write("auth/token/lookup", json!({ "token": token }))["data"]["num_uses"].clone();
    assert_eq!(left, json!(2), "{}", ran.stdout);
    let mut again = run.clone();
    again.arguments.remove(0);
    again.run().ok();
}
