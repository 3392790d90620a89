//! Leases of a real server over a real cloud: a key that was given back opens nothing any more.

use std::fs::File;
use std::process::Stdio;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::engine::Engine;
use crate::support::{METHODS, Ran, Run, exports, text};

#[test]
fn a_key_of_a_real_engine_opens_its_cloud_until_it_is_revoked() {
    let Some(engine) = Engine::start("opened", true) else { return };
    for method in METHODS {
        let role = format!("opened{}", method.replace('-', ""));
        let run = engine.job(method, &role).arg("--cache");
        let set = exports(&run.run().ok());
        let (user, password) = (&set["AWS_ACCESS_KEY_ID"], &set["AWS_SECRET_ACCESS_KEY"]);
        assert!(engine.lets_in(user, password), "{method}");
        // The next call of the job asks nobody.
        assert_eq!(exports(&run.run().ok()), set, "{method}");
        assert_eq!((engine.users(&role).len(), engine.leases(&role).len()), (1, 1), "{method}");

        let mut clear = run.clone();
        clear.arguments = vec!["cache".into(), "clear".into()];
        clear.run().ok();
        engine.wait_until_revoked(&role);
        assert!(!engine.lets_in(user, password), "{method}");
    }
}

/// Runs it with a full disk behind its stdout.
fn lose_the_output(run: &Run) -> Ran {
    let mut command = run.to_command();
    command.stdout(File::options().write(true).open("/dev/full").expect("a device"));
    let child = command.stderr(Stdio::piped()).spawn().expect("a child");
    child.wait_with_output().expect("its end").into()
}

// check: 5
#[test]
fn a_key_that_nobody_took_is_revoked_on_a_real_server() {
    let Some(engine) = Engine::start("untaken", true) else { return };
    for method in METHODS {
        let role = format!("untaken{}", method.replace('-', ""));
        lose_the_output(&engine.job(method, &role)).failed(74, "output");
        engine.wait_until_revoked(&role);
        assert_eq!(engine.users(&role), [""; 0], "{method}");
    }
}

#[test]
fn a_key_whose_answer_cannot_be_used_is_revoked_on_a_real_server() {
    // Without the adapter's names it is no key of AWS's.
    let Some(engine) = Engine::start("unusable", false) else { return };
    for method in METHODS {
        let role = format!("unusable{}", method.replace('-', ""));
        engine.job(method, &role).run().failed(65, "data");
        engine.wait_until_revoked(&role);
        assert_eq!(engine.users(&role), [""; 0], "{method}");
    }
}

#[test]
fn what_json_says_of_a_lease_is_what_the_server_says() {
    let Some(engine) = Engine::start("told", true) else { return };
    for method in METHODS {
        let role = format!("told{}", method.replace('-', ""));
        let answer = engine.job(method, &role).arg("--format").arg("json").run().ok();
        let told: Value = serde_json::from_str(&answer).unwrap();
        let lease = engine.operator().write("sys/leases/lookup", &json!({ "lease_id": told["lease_id"] }));
        assert_eq!(told["renewable"], lease["data"]["renewable"], "{method}");
        let [told, real] = [&told["expiration"], &lease["data"]["expire_time"]].map(time);
        // Never later than the lease ends, and of its ten minutes not much is given away.
        assert!(told <= real && real.duration_since(told) < SignedDuration::from_secs(60), "{method}: {told} {real}");
    }
}

fn time(value: &Value) -> Timestamp {
    text(value).parse().expect("a time")
}

#[test]
fn a_key_that_is_kept_ends_with_the_plain_token_that_asked_for_it() {
    let Some(engine) = Engine::start("short", true) else { return };
    let body = json!({ "policies": ["short"], "ttl": "3m" });
    let token = text(&engine.operator().write("auth/token/create", &body)["auth"]["client_token"]);
    let run = engine.job("token", "short").env("VAULT_TOKEN", &token).arg("--cache").arg("--format").arg("json").run();
    assert!(run.stderr.contains("the credential expires with this login's token"), "{run:?}");
    let told = time(&serde_json::from_str::<Value>(&run.ok()).unwrap()["expiration"]);
    assert!(told.duration_since(Timestamp::now()) <= SignedDuration::from_secs(180), "{told}");
    engine.operator().write("auth/token/revoke", &json!({ "token": token }));
    engine.wait_until_revoked("short");
    assert_eq!(engine.users("short"), [""; 0]);
}

#[test]
fn a_batch_token_takes_its_key_back_by_the_lease_where_its_policy_allows_and_else_names_it() {
    let Some(engine) = Engine::start("batch", true) else { return };
    engine.operator().write("auth/approle/role/batch", &json!({ "token_type": "batch" }));
    let (user, password) = keys(&engine.job("secret-id", "batchgood").run());
    assert!(engine.lets_in(&user, &password));

    lose_the_output(&engine.job("secret-id", "batchback")).failed(74, "output");
    engine.wait_until_revoked("batchback");
    assert_eq!(engine.users("batchback"), [""; 0]);

    engine.operator().write("sys/policies/acl/batch", &json!({ "policy": engine.may_read() }));
    let ran = lose_the_output(&engine.job("secret-id", "batchleft")).failed(80, "leak");
    let leases = engine.leases("batchleft");
    assert_eq!((leases.len(), engine.users("batchleft").len()), (1, 1));
    assert!(ran.stderr.contains(&format!("batch/creds/batchleft/{}", leases[0])), "{ran:?}");
}

fn keys(ran: &Ran) -> (String, String) {
    assert_eq!(ran.code, 0, "{ran:?}");
    let set = exports(&ran.stdout);
    (set["AWS_ACCESS_KEY_ID"].clone(), set["AWS_SECRET_ACCESS_KEY"].clone())
}

// check: 21
#[test]
fn a_login_for_one_request_asks_for_no_key_and_one_for_two_gets_it() {
    let Some(engine) = Engine::start("counted", true) else { return };
    let uses = |number: u32| engine.operator().write("auth/approle/role/counted", &json!({ "token_num_uses": number }));
    uses(1);
    let ran = engine.job("secret-id", "countedone").run().failed(78, "config");
    assert!(ran.stderr.contains("limited to one request") && ran.stderr.contains("token_num_uses"), "{ran:?}");
    assert_eq!((engine.users("countedone"), engine.leases("countedone")), (vec![], vec![]));
    for number in [2, 3] {
        uses(number);
        let (user, password) = keys(&engine.job("secret-id", &format!("counted{number}")).run());
        assert!(engine.lets_in(&user, &password), "{number}");
    }
    let token = engine.operator().write("auth/token/create", &json!({ "policies": ["counted"], "num_uses": 1 }));
    let token = text(&token["auth"]["client_token"]);
    let ran = engine.job("token", "countedtoken").env("VAULT_TOKEN", &token).run().failed(78, "config");
    assert!(ran.stderr.contains("one use left"), "{ran:?}");
    engine.wait_until_revoked("countedtoken");
    assert_eq!(engine.users("countedtoken"), [""; 0]);
}

#[test]
fn a_life_that_a_real_server_shortens_is_told() {
    let Some(engine) = Engine::start("capped", true) else { return };
    engine.operator().write("sys/mounts/capped/tune", &json!({ "max_lease_ttl": "5m" }));
    let mut role = engine.operator().read("auth/gitlab/role/capped")["data"].clone();
    (role["token_ttl"], role["token_max_ttl"]) = (json!(0), json!("2h"));
    engine.operator().write("auth/gitlab/role/capped", &role);
    let lease = "capped/creds/cappedlease: Vault warns: TTL of 10m exceeded the effective max_ttl of 5m";
    let login = "auth/gitlab/login: Vault warns: TTL of 768h exceeded the effective max_ttl of 2h";
    for (line, expected) in [("", (1, 0)), ("-v", (1, 1))] {
        let mut run = engine.job("id-token", "cappedlease");
        run.arguments.extend(line.split_whitespace().map(str::to_owned));
        let ran = run.run();
        assert_eq!((ran.stderr.matches(lease).count(), ran.stderr.matches(login).count()), expected, "{ran:?}");
        ran.ok();
    }
    // This engine takes no ttl.
    let ran = engine.job("token", "cappedlease").arg("--ttl=48h").arg("-v").run();
    for words in
        ["--ttl asked for 48h", "expires after 5m", "Vault warns: Endpoint ignored these unrecognized parameters"]
    {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    ran.ok();
}
