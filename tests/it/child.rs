use std::time::{Duration, SystemTime};

use dev_vault::{DevVault, Dialect, Fault, On, Reply};
use serde_json::{Value, json};

use crate::support::{ROLE, World, text};

const CREATE: &str = "POST auth/token/create";
const RENEW: &str = "POST auth/token/renew-self";
const REVOKE: &str = "POST auth/token/revoke-self";

fn exoscale() -> String {
    format!("exoscale --role {ROLE} --child-token")
}

fn read() -> String {
    format!("GET exoscale/apikey/{ROLE}")
}

/// A token of the job's that may make children.
fn parent(world: &World) -> String {
    let policy = "path \"auth/token/create\" { capabilities = [\"update\"] }\npath \"exoscale/apikey/*\" { capabilities = [\"read\"] }\npath \"aws/*\" { capabilities = [\"read\"] }";
    world.vault.write("sys/policies/acl/parent", json!({ "policy": policy }));
    world.token("parent")
}

/// How long the children that a run made still live.
fn children(world: &World, parent: &str) -> Vec<u64> {
    let made = |token: &&dev_vault::LiveToken| token.path == "auth/token/create" && token.id != parent;
    let left = |end: SystemTime| end.duration_since(world.vault.now()).unwrap_or_default().as_secs();
    world.vault.live_tokens().iter().filter(made).map(|token| left(token.expires.expect("an end"))).collect()
}

fn expires_in(world: &World, stdout: &str) -> i64 {
    let answer: Value = serde_json::from_str(stdout).expect("JSON");
    let end: jiff::Timestamp = answer["expiration"].as_str().expect("an end").parse().expect("a time");
    let now = jiff::Timestamp::try_from(world.vault.now()).expect("a time");
    end.duration_since(now).as_secs()
}

// check: 5
#[test]
fn a_child_lives_as_long_as_the_run_can_and_then_as_long_as_the_lease() {
    for dialect in Dialect::ALL {
        // A lease that is shorter than the run can be, one that is longer, and one of many hours.
        for (ttl, seconds) in [("1m", 60), ("15m", 900), ("40h", 144_000)] {
            let world = World::with(DevVault::builder().dialect(dialect));
            world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "ttl": ttl, "max_ttl": "100h" }));
            let parent = parent(&world);
            let ran =
                world.command(&format!("{} --timeout 20 --format json", exoscale())).env("VAULT_TOKEN", &parent).run();
            let is_long = ran.stderr.contains("lives for more than a day");
            assert_eq!((is_long, ran.stderr.lines().count()), (ttl == "40h", usize::from(is_long)), "{dialect} {ttl}");
            let told = expires_in(&world, &ran.ok());
            assert_eq!(world.requests(), [CREATE.to_owned(), read(), RENEW.to_owned()], "{dialect} {ttl}");
            assert_eq!(world.vault.requests()[0].json()["ttl"], "40s", "{dialect} {ttl}");
            let left = children(&world, &parent);
            assert!(matches!(left[..], [left] if (seconds - 5..=seconds).contains(&left)), "{dialect} {ttl}: {left:?}");
            assert!(told <= left[0].cast_signed() && told >= seconds.cast_signed() - 10, "{dialect} {ttl}: {told}");
        }
    }
}

#[test]
fn a_child_of_an_sts_read_is_not_renewed_and_its_credential_outlives_it() {
    let world = World::start();
    let parent = parent(&world);
    let run = world.command("aws --role 365-dev --child-token --format json").env("VAULT_TOKEN", &parent);
    assert!(expires_in(&world, &run.run().ok()) > 3_500);
    assert_eq!(world.requests(), [CREATE, "GET aws/sts/365-dev"]);
    assert!(matches!(children(&world, &parent)[..], [105..=110]), "{:?}", children(&world, &parent));
}

#[test]
fn a_child_takes_its_lost_key_with_it_and_asks_again() {
    let world = World::start();
    let parent = parent(&world);
    world.vault.inject(On::get(&format!("apikey/{ROLE}")), Fault::cut_answer(0));
    world.command(&exoscale()).env("VAULT_TOKEN", &parent).run().ok();
    let (create, renew, revoke) = (CREATE.to_owned(), RENEW.to_owned(), REVOKE.to_owned());
    assert_eq!(world.requests(), [create.clone(), read(), revoke, create, read(), renew]);
    assert_eq!((world.vault.live_leases().len(), children(&world, &parent).len()), (1, 1));
    assert!(world.vault.live_tokens().iter().any(|token| token.id == parent), "the job's own token stays");
}

// check: 5
#[test]
fn a_child_that_made_nothing_is_revoked() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let parent = parent(&world);
        let line = format!("{} --retries 0", exoscale().replace(ROLE, "absent"));
        let ran = world.command(&line).env("VAULT_TOKEN", &parent).run();
        ran.refused(&world, 78, "config", &["there is no exoscale/apikey/absent"], &["--role"]);
        assert_eq!(children(&world, &parent), [0_u64; 0], "{dialect}: refused");
        world.vault.inject(On::get(&format!("apikey/{ROLE}")), Fault::answer(Reply::error(503, "Vault is sealed")));
        let ran = world.command(&format!("{} --retries 0", exoscale())).env("VAULT_TOKEN", &parent).run();
        ran.refused(&world, 69, "unavailable", &["does not serve"], &["unseal"]);
        assert_eq!(children(&world, &parent), [0_u64; 0], "{dialect}: not processed");
    }
}

#[test]
fn a_child_that_cannot_be_revoked_ends_soon_after_the_run() {
    let world = World::start();
    let parent = parent(&world);
    world.vault.inject(On::get(&format!("apikey/{ROLE}")).every(), Fault::cut_answer(0));
    world.vault.inject(On::path("revoke-self").every(), Fault::answer(Reply::error(403, "blocked")));
    let ran = world.command(&format!("{} --timeout 20", exoscale())).env("VAULT_TOKEN", &parent).run();
    ran.refused(&world, 80, "leak", &["may be left", "or the token expires, at 20"], &[]);
    assert_eq!((world.vault.live_leases().len(), children(&world, &parent).len()), (1, 1));
    world.vault.advance(Duration::from_secs(90));
    world.assert_nothing_left(&"the child's end");
    assert_eq!(children(&world, &parent), [0_u64; 0]);
}

#[test]
fn a_child_that_is_not_renewed_is_revoked_with_its_key() {
    let answers = [
        (Reply::error(403, "1 error occurred:\n\t* permission denied\n\n"), 77, "denied", "default policy"),
        (Reply::error(503, "Vault is sealed"), 69, "unavailable", "unseal"),
        (Reply::error(500, "internal error"), 69, "unavailable", "log"),
        (Reply::json(200, &json!({ "auth": null })), 65, "data", ""),
    ];
    for (answer, code, kind, hint) in answers {
        let world = World::start();
        let parent = parent(&world);
        world.vault.inject(On::path("renew-self").every(), Fault::answer(answer));
        let ran = world.command(&format!("{} --retries 0", exoscale())).env("VAULT_TOKEN", &parent).run();
        let ran = ran.failed(code, kind);
        let words = "the child of the token was not renewed, and the credential would expire with it";
        assert!(ran.stderr.contains(words) && ran.stderr.contains(hint), "{ran:?}");
        world.assert_nothing_left(&ran);
        assert_eq!(children(&world, &parent), [0_u64; 0], "{ran:?}");
    }
}

// check: 5
#[test]
fn a_root_token_gets_no_child() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let root = world.vault.root_token();
        let run = world.command(&exoscale()).env("VAULT_TOKEN", &root);
        let words = ["VAULT_TOKEN", "is a root token", "the child was revoked"];
        run.run().refused(&world, 78, "config", &words, &["vault token create -policy=", "drop --child-token"]);
        assert_eq!(world.requests(), [CREATE, REVOKE], "{dialect}");
        // There is no flag to drop.
        let ran = world.command("token --ttl 5m").env("VAULT_TOKEN", &root).run().failed(78, "config");
        assert!(ran.stderr.contains("hand on the token of the job itself"), "{ran:?}");
        assert!(!ran.stderr.contains("--child-token"), "{ran:?}");
        assert_eq!(children(&world, &root), [0_u64; 0], "{dialect}");

        world.vault.inject(On::path("revoke-self").every(), Fault::answer(Reply::error(403, "blocked")));
        run.run().refused(&world, 80, "leak", &["is a root token", "the child may be left, until 20"], &[]);
        assert!(matches!(children(&world, &root)[..], [105..=110]), "{dialect}: {:?}", children(&world, &root));
    }
}

#[test]
fn a_token_that_can_have_no_child_says_why_before_anything_is_read() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        parent(&world);
        let token = |more: Value| {
            let mut wishes = json!({ "policies": ["parent"], "ttl": "1h" });
            wishes.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            text(&world.vault.write("auth/token/create", wishes)["auth"]["client_token"])
        };
        let cases = [
            (token(json!({ "type": "batch" })), 78, "config", "is a batch token", "-type=service"),
            (token(json!({ "num_uses": 5 })), 78, "config", "limited number of uses", "-use-limit=0"),
            (world.token("job"), 77, "denied", "may not create a child token", "path \"auth/token/create\""),
        ];
        for (token, code, kind, words, hint) in cases {
            world.vault.forget_requests();
            let ran = world.command(&exoscale()).env("VAULT_TOKEN", &token).run();
            ran.refused(&world, code, kind, &["VAULT_TOKEN", words], &[hint, "drop --child-token"]);
            assert_eq!(world.requests(), [CREATE], "{dialect} {words}");
        }
    }
}
