use std::time::{Duration, Instant};

use dev_vault::{DevVault, Dialect, Fault, On, Reply};
use serde_json::json;

use crate::support::parallel::each;
use crate::support::{METHODS, ROLE, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";
const ONCE: &str = "exoscale --role gitlab-ci-runner --retries 0";

#[test]
fn a_sealed_vault_is_told_by_name_and_spends_nothing() {
    for dialect in Dialect::ALL {
        for method in METHODS {
            let world = World::with(DevVault::builder().dialect(dialect));
            let run = world.command_as(method, ONCE);
            world.vault.write("sys/seal", json!({}));
            let ran = run.run();
            ran.refused(&world, 69, "unavailable", &["503", "Vault is sealed"], &["unseal Vault", "VAULT_ADDR"]);
            assert_eq!(world.vault.requests().len(), 1, "{dialect} {method}");
            world.vault.unseal();
            run.run().ok();
        }
    }
}

#[test]
fn a_vault_that_does_not_serve_for_a_moment_is_asked_again_at_every_step() {
    let texts = [
        (503, "Vault is sealed"),
        (503, "error performing token check: Vault is sealed"),
        (503, "node is not active"),
        (503, "no active Vault instance found"),
        (412, "required index state not present"),
        (429, "request path \"x\": rate limit quota exceeded"),
        (472, ""),
        (473, ""),
    ];
    each(texts.to_vec(), |(status, text)| {
        let world = World::start();
        for suffix in ["wrapping/lookup", "wrapping/unwrap", "approle/login", "apikey/gitlab-ci-runner"] {
            world.vault.inject(On::path(suffix), Fault::answer(Reply::error(status, text)));
        }
        world.command_as("wrapping-token", EXOSCALE).run().ok();
        let paths = world.requests();
        assert_eq!(paths.len(), 8, "{status} {text}: {paths:?}");
        assert!(paths.chunks(2).all(|pair| pair[0] == pair[1]), "{status} {text}: {paths:?}");
        assert_eq!(world.vault.live_leases().len(), 1);
    });
}

#[test]
fn each_state_of_a_server_has_its_code_and_its_hint() {
    type Case<'a> = (Reply, (i32, &'a str), &'a [&'a str], &'a [&'a str]);
    let cases: [Case<'_>; 7] = [
        (Reply::error(412, "required index state not present"), (75, "temporary"), &["412"], &["re-run"]),
        (Reply::error(429, "request path \"x\": lease count quota exceeded"), (75, "temporary"), &["429"], &["quota"]),
        (Reply::html(429, "<html>slow down</html>"), (75, "temporary"), &["a proxy before", "429"], &["later"]),
        (Reply::error(472, ""), (69, "unavailable"), &["standby (472)"], &["active node"]),
        (Reply::error(473, ""), (69, "unavailable"), &["standby (473)"], &["active node"]),
        (
            Reply::status(501).body("{\"errors\":[]}"),
            (69, "unavailable"),
            &["not initialised"],
            &["vault operator init"],
        ),
        (Reply::html(407, "<html>Proxy login</html>"), (76, "protocol"), &["status 407, text/html"], &["proxy"]),
    ];
    for (reply, (code, kind), words, hint) in cases {
        for (method, suffix) in [("id-token", "auth/gitlab/login"), ("token", "apikey/gitlab-ci-runner")] {
            let world = World::start();
            world.vault.inject(On::path(suffix).every(), Fault::answer(reply.clone()));
            let ran = world.command_as(method, ONCE).run();
            if code == 76 && method == "token" {
                // Whoever says that may stand before a Vault that has done its work, and the token is not ours to revoke.
                ran.refused(&world, 80, "leak", words, &["vault lease revoke"]);
            } else {
                ran.refused(&world, code, kind, words, hint);
            }
        }
    }
}

#[test]
fn a_quota_that_is_used_up_is_named_with_its_path() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        // One request a minute, of which making the secret id is the first.
        let quota = json!({ "rate": 1, "interval": "60s", "path": "auth/approle" });
        let run = world.command_as("generator-token", ONCE);
        world.vault.write("sys/quotas/rate-limit/ci", quota);
        let ran = run.run();
        let words = ["429", "auth/approle/login", "rate limit quota exceeded"];
        ran.refused(&world, 75, "temporary", &words, &["sys/quotas/rate-limit"]);
        assert_eq!(world.count("auth/approle/login"), 1, "{dialect}");
    }
}

// check: 14
#[test]
fn a_wait_that_the_server_asks_for_is_kept_when_the_run_has_the_time_and_else_not_begun() {
    let world = World::start();
    world.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": true }));
    world.vault.write("sys/quotas/rate-limit/ci", json!({ "rate": 1, "interval": "60s", "path": "auth/gitlab" }));
    world.command_as("id-token", EXOSCALE).run().ok();
    let started = Instant::now();
    let ran = world.command_as("id-token", &format!("{EXOSCALE} --timeout 30")).run();
    ran.refused(&world, 75, "temporary", &["429"], &["quota"]);
    // The limit is for a minute.
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    assert_eq!(world.count("auth/gitlab/login"), 2);

    let world = World::start();
    let busy = Reply::error(429, "rate limit quota exceeded").header("Retry-After", "1");
    world.vault.inject(On::path("auth/gitlab/login"), Fault::answer(busy));
    let started = Instant::now();
    world.command_as("id-token", EXOSCALE).run().ok();
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

// check: 14
#[test]
fn a_limit_that_does_not_end_is_not_asked_more_often_than_allowed() {
    for (retries, expected) in [("", 3), (" --retries 0", 1), (" --retries 1", 2)] {
        let world = World::start();
        let busy = Reply::error(429, "rate limit quota exceeded").header("Retry-After", "0");
        world.vault.inject(On::path("auth/gitlab/login").every(), Fault::answer(busy));
        let ran = world.command_as("id-token", &format!("{EXOSCALE}{retries}")).run();
        assert_eq!((ran.code, world.vault.requests().len()), (75, expected), "{ran:?}");
    }
    let world = World::start();
    world.vault.inject(On::path("login").every(), Fault::answer(Reply::error(429, "busy")));
    world.command_as("id-token", EXOSCALE).env("VAULT_MAX_RETRIES", "0").run();
    assert_eq!(world.vault.requests().len(), 1);
}

#[test]
fn an_agent_that_demands_vaults_request_header_is_served() {
    let world = World::with(DevVault::builder().require_request_header());
    for method in METHODS {
        world.command_as(method, EXOSCALE).run().ok();
    }
}

#[test]
fn a_token_for_few_requests_is_enough_when_it_covers_the_read() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 2 }));
    world.command_as("secret-id", EXOSCALE).run().ok();
}

#[test]
fn a_batch_token_whose_read_is_lost_leaves_what_only_time_takes_back_and_says_so() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_type": "batch" }));
        world.command_as("secret-id", EXOSCALE).run().ok();
        let leases = world.vault.live_leases().len();
        world.vault.inject(On::path("apikey/gitlab-ci-runner"), Fault::cut_answer(0));
        let ran = world.command_as("secret-id", EXOSCALE).run();
        let words = ["a lease under exoscale/apikey/gitlab-ci-runner may be left", "until"];
        ran.refused(&world, 80, "leak", &words, &["vault lease revoke"]);
        assert_eq!((world.vault.live_leases().len(), world.count("revoke-self")), (leases + 1, 0), "{dialect}");
    }
}
