//! `ci-creds whoami`: what it says of each identity, what it spends, and what it leaves.

use dev_vault::{DevVault, Dialect};
use serde_json::Value;

use crate::support::{ROLE, World};

// check: 5
#[test]
fn each_identity_is_told_and_nothing_is_spent_or_left() {
    let world = World::start();
    let mut runs = Vec::new();
    for (method, words) in [
        ("id-token", &["ID token at auth/gitlab (from VAULT_ID_TOKEN)", "job", "revoked: the token of this login"][..]),
        ("generator-token", &["generator token at auth/approle", "job", "revoked: the token of this login"]),
        ("token", &["token (from VAULT_TOKEN)", "job", "service"]),
        ("secret-id", &["secret ID at auth/approle", "so ci-creds did not log in"]),
        ("wrapping-token", &["made by", &format!("auth/approle/role/{ROLE}/secret-id"), "not unwrapped"]),
    ] {
        let run = world.command_as(method, "whoami");
        let ran = run.run();
        world.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
        let text = ran.ok();
        for word in words {
            assert!(text.contains(word), "{method}: {word:?} is not in: {text}");
        }
        assert!(text.lines().count() <= 11, "{method}: {text}");
        world.assert_nothing_left(&method);
        runs.push(run);
    }
    world.assert_nothing_left(&"whoami");
    // What proves who the job is, is as good as before.
    for mut run in runs {
        run.arguments = ["exoscale", "--role", ROLE].map(str::to_owned).to_vec();
        run.run().ok();
    }
}

#[test]
fn json_says_the_same_for_a_program() {
    let world = World::start();
    let json = |method: &str| -> Value {
        serde_json::from_str(&world.command_as(method, "whoami --format json").run().ok()).expect("JSON")
    };
    let job = json("id-token");
    assert_eq!((&job["login"]["method"], &job["login"]["mount"]), (&"ID token".into(), &"gitlab".into()), "{job}");
    assert!(job["token"]["policies"].as_array().is_some_and(|policies| policies.contains(&"job".into())), "{job}");
    assert_eq!((&job["token"]["orphan"], &job["token"]["type"]), (&true.into(), &"service".into()), "{job}");
    assert_eq!((&job["revoked"], &job["spent"]), (&true.into(), &false.into()), "{job}");
    assert!(job["token"]["expires"].as_str().is_some_and(|time| time.ends_with('Z')), "{job}");
    assert!(job["server"]["version"].is_string() && job["server"]["kind"].is_string(), "{job}");
    let plain = json("token");
    assert_eq!((&plain["revoked"], &plain["login"]["mount"]), (&false.into(), &Value::Null), "{plain}");
    let wrapped = json("wrapping-token");
    let path = format!("auth/approle/role/{ROLE}/secret-id");
    assert_eq!((&wrapped["wrapping_token"]["creation_path"], &wrapped["token"]), (&path.into(), &Value::Null));
    assert_eq!(json("secret-id")["token"], Value::Null);
}

#[test]
fn the_kind_of_the_server_is_told_in_every_dialect() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let kind = if dialect.name().contains("bao") { "OpenBao" } else { "Vault" };
        let text = world.command_as("id-token", "whoami").run().ok();
        assert!(text.contains(&format!("server    {kind} ")), "{}: {text}", dialect.name());
    }
}

// check: 5
#[test]
fn a_token_that_may_not_look_itself_up_is_revoked_and_told_from_one_that_is_gone() {
    let world = World::start();
    let policy = serde_json::json!({ "policy": "path \"auth/token/lookup-self\" { capabilities = [\"deny\"] }" });
    world.vault.write("sys/policies/acl/job", policy);
    let ran = world.command_as("id-token", "whoami").run().failed(77, "denied");
    assert!(ran.stderr.contains("the token of this login may not look itself up"), "{ran:?}");
    assert!(ran.stderr.contains("path \"auth/token/lookup-self\""), "{ran:?}");
    world.assert_nothing_left(&ran);
    let ran = world.command_as("token", "whoami").env("VAULT_TOKEN", "hvs.CAESINoSuchTokenNoSuchToken").run();
    let ran = ran.failed(77, "denied");
    assert!(ran.stderr.contains("is not valid for auth/token/lookup-self"), "{ran:?}");
    let spent =
        world.command_as("wrapping-token", "whoami").env("VAULT_WRAPPING_TOKEN", "hvs.CAESINoSuchTokenNoSuchToken");
    spent.run().failed(79, "spent");
}

#[test]
fn a_login_that_cannot_be_revoked_is_told_with_its_end() {
    let world = World::start();
    let policy = serde_json::json!({ "policy": "path \"auth/token/revoke-self\" { capabilities = [\"deny\"] }" });
    world.vault.write("sys/policies/acl/job", policy);
    let ran = world.command_as("id-token", "whoami").run();
    assert!(ran.stdout.contains("not revoked: the token of this login lives until"), "{ran:?}");
    let ran = ran.failed(80, "leak");
    assert!(ran.stderr.contains("path \"auth/token/revoke-self\""), "{ran:?}");
}
