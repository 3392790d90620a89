//! The login that a single-use secret bought: kept for its job, lost, ended, and told of.

use std::path::PathBuf;

use dev_vault::{Fault, On, Reply};
use serde_json::json;

use super::place::entries;
use super::{EXOSCALE, PROCESS, READ, later, leases_of, with};
use crate::support::{ROLE, World};

#[test]
fn a_single_use_secret_is_good_for_every_call_of_its_job() {
    for method in ["wrapping-token", "secret-id"] {
        let world = World::start();
        let run = world.command_as(method, "");
        let lines = [PROCESS, EXOSCALE, "aws --role user --via creds --cache", "aws --role 365-dev --ttl 20m --cache"];
        for line in lines.iter().chain(&lines) {
            with(&run, line).run().ok();
        }
        assert_eq!(world.count("approle/login"), 1, "{method}: {:?}", world.requests());
        assert_eq!(world.vault.live_leases().len(), lines.len(), "{method}");
    }
}

#[test]
fn exec_says_that_it_does_not_use_the_login_that_an_earlier_call_of_the_job_cached() {
    for method in ["wrapping-token", "secret-id"] {
        let world = World::start();
        let run = world.command_as(method, "");
        let exec = |line: &str| with(&run, line).arg("--").arg("true").run();
        let lines = [format!("exec exoscale --role {ROLE}"), "exec vault".to_owned()];
        with(&run, "aws --role user --via creds --cache").run().ok();
        for line in &lines {
            let ran = exec(line);
            assert_eq!(ran.code, 125, "{method}: {ran:?}");
            for words in
                ["an earlier call of this job with --cache used it", "eval $(ci-creds PROVIDER --cache || echo false)"]
            {
                assert!(ran.stderr.contains(words), "{method}, {line}: {ran:?}");
            }
            assert!(!ran.stderr.contains("audit log"), "{method}: it is not a theft: {ran:?}");
        }
        // What the hint says.
        with(&run, EXOSCALE).run().ok();
        assert_eq!(
            (world.vault.live_leases().len(), world.count("approle/login")),
            (2, 1 + usize::from(method == "secret-id") * 2)
        );
        // Where nothing is cached, nobody knows who used it.
        with(&run, "cache clear").run().ok();
        let ran = exec(&lines[0]);
        assert!(ran.code == 125 && !ran.stderr.contains("--cache used it"), "{method}: {ran:?}");
        assert_eq!(world.vault.live_leases().len(), 0, "{method}");
    }
    // A secret ID for many uses logs in once more, and a failure behind that login is told as it is.
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "secret_id_num_uses": 0 }));
    let run = world.command_as("secret-id", "");
    with(&run, EXOSCALE).run().ok();
    with(&run, &format!("exec exoscale --role {ROLE}")).arg("--").arg("true").run().ok();
    let ran = with(&run, "exec exoscale --role other").arg("--").arg("true").run().failed(125, "denied");
    assert!(!ran.stderr.contains("--cache used it"), "{ran:?}");
}

#[test]
fn a_login_whose_requests_are_counted_is_kept_until_they_are_used_up() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 3 }));
    let run = world.command_as("secret-id", "");
    with(&run, PROCESS).run().ok();
    with(&run, EXOSCALE).run().ok();
    // One request is left, which would bring a credential that is revoked at once.
    let ran = with(&run, "aws --role user --via creds --format process").run().failed(77, "denied");
    assert!(ran.stderr.contains("an earlier call of this job used it at 20"), "{ran:?}");
    with(&run, PROCESS).run().ok();
    assert_eq!(world.vault.live_leases().len(), 2);
    // One request is none that could bring a credential: such a login is not kept, but given back.
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 1 }));
    let ran = world.command_as("secret-id", PROCESS).run().failed(78, "config");
    assert!(!ran.stderr.contains("kept"), "{ran:?}");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
    world.assert_nothing_left(&ran);
}

#[test]
fn a_kept_login_that_vault_does_not_know_any_more_is_not_tried_twice() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "secret_id_num_uses": 0 }));
    let run = world.command_as("secret-id", "");
    with(&run, PROCESS).run().ok();
    revoke_logins(&world);
    let before = world.requests().len();
    with(&run, EXOSCALE).run().ok();
    let asked = world.requests().split_off(before);
    let read = format!("GET exoscale/apikey/{ROLE}");
    assert_eq!(asked, [read.clone(), "POST auth/approle/login".into(), read]);
}

/// Ends every login of a job behind its back.
fn revoke_logins(world: &World) {
    for token in world.vault.live_tokens().iter().filter(|token| token.path.ends_with("/login")) {
        world.vault.write("auth/token/revoke-accessor", json!({ "accessor": token.accessor }));
    }
}

// check: 4
#[test]
fn a_secret_id_that_vault_refused_after_its_job_had_used_it_is_not_sent_again_and_locks_nobody_out() {
    let world = World::start();
    let run = world.command_as("secret-id", EXOSCALE);
    with(&run, PROCESS).run().ok();
    revoke_logins(&world);
    with(&run, EXOSCALE).run().failed(77, "denied");
    let asked = world.requests().len();
    // Five would lock the AppRole for everybody.
    for _ in 0..6 {
        let ran = with(&run, EXOSCALE).run().failed(77, "denied");
        assert!(ran.stderr.contains("(from VAULT_SECRET_ID) before; it is not sent again until 20"), "{ran:?}");
        assert!(ran.stderr.contains("; an earlier call of this job used it at 20"), "{ran:?}");
        assert!(ran.stderr.contains("  hint: give the job a new secret; "), "{ran:?}");
    }
    assert_eq!(world.requests().len(), asked);
    world.command_as("secret-id", EXOSCALE).run().ok();
    // It may have been something else: it is tried again, a quarter of an hour later.
    let asked = world.requests().len();
    let Some(ran) = later(&run, "+16m") else { return };
    ran.failed(77, "denied");
    assert_eq!(world.requests().len(), asked + 1);
}

#[test]
fn a_credential_ends_with_the_plain_token_that_asked_for_it() {
    for flag in ["", "--child-token"] {
        let world = World::start();
        let create = world.vault.write("auth/token/create", json!({ "policies": ["job"], "ttl": "5m" }));
        let token = create["auth"]["client_token"].as_str().expect("a token");
        let policy = "path \"auth/token/create\" { capabilities = [\"update\"] }\npath \"exoscale/*\" { capabilities = [\"read\"] }";
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        let run = world.command(&format!("{EXOSCALE} --format json {flag}")).env("VAULT_TOKEN", token);
        let ran = run.run();
        let warned = ran.stderr.contains("warning: the credential expires with this login's token at 20");
        let answer: serde_json::Value = serde_json::from_str(&ran.ok()).expect("JSON");
        let end: jiff::Timestamp = answer["expiration"].as_str().expect("an end").parse().expect("a time");
        let left = end.duration_since(jiff::Timestamp::now()).as_secs();
        assert!(warned && (200..300).contains(&left), "{flag}: {left} s");
        assert_eq!(world.count("auth/token/lookup-self"), 1);
        // Vault's clock stands still: only who is not handed the old one asks it.
        let reads = world.count("exoscale/apikey/gitlab-ci-runner");
        let Some(ran) = later(&run, "+6m") else { return };
        ran.ok();
        assert_eq!(world.count("exoscale/apikey/gitlab-ci-runner"), reads + 1, "{flag}");
    }
}

#[test]
fn a_plain_token_that_cannot_be_looked_up_costs_its_credential_nothing_but_the_wait() {
    let world = World::start();
    let faults = [
        Fault::hang_before(),
        Fault::answer(Reply::error(403, "permission denied")),
        Fault::answer(Reply::error(503, "Vault is sealed")),
    ];
    for fault in faults {
        world.vault.inject(On::path("auth/token/lookup-self"), fault);
        world.command_as("token", EXOSCALE).run().ok();
    }
    // None of them was worth a second request.
    assert_eq!((world.count("auth/token/lookup-self"), world.vault.live_leases().len()), (3, 3));
}

#[test]
fn a_single_use_secret_whose_login_somebody_revoked_is_not_reported_as_stolen() {
    for (method, code, kind) in [("wrapping-token", 79, "spent"), ("secret-id", 77, "denied")] {
        let world = World::start();
        let run = world.command_as(method, "");
        with(&run, PROCESS).run().ok();
        revoke_logins(&world);
        let ran = with(&run, EXOSCALE).run().failed(code, kind);
        assert!(ran.stderr.contains("; the login that this job had for it is no longer known to Vault"), "{ran:?}");
        assert!(ran.stderr.contains("hint: it was revoked, or Vault was restored"), "{ran:?}");
        // What outlives its login is still good.
        with(&run, PROCESS).run().ok();
    }
}

#[test]
fn a_secret_that_somebody_else_spent_is_told_alike_to_every_call_of_the_job() {
    let world = World::start();
    let wrapped = world.command_as("wrapping-token", EXOSCALE);
    let token = &wrapped.variables()["VAULT_WRAPPING_TOKEN"];
    let unwrapped = world.vault.request("POST", "sys/wrapping/unwrap", Some(token), &[], None);
    let plain = world.command_as("secret-id", EXOSCALE);
    let secrets = json!({ "role_id": world.role_id, "secret_id": plain.variables()["VAULT_SECRET_ID"] });
    let login = world.vault.request("POST", "auth/approle/login", None, &[], Some(&secrets));
    assert_eq!((unwrapped.status, login.status), (200, 200));
    for (run, (code, kind), hint) in
        [(wrapped, (79, "spent"), "someone else used it"), (plain, (77, "denied"), "used up: make a new one")]
    {
        for _ in 0..2 {
            let ran = run.run().failed(code, kind);
            assert!(
                ran.stderr.contains(hint) && !ran.stderr.contains("an earlier call of this job used it at"),
                "{ran:?}"
            );
        }
    }
}

#[test]
fn a_login_that_is_made_again_and_fails_for_a_reason_of_its_own_is_told_by_that() {
    let world = World::start();
    let run = world.command_as("secret-id", "");
    with(&run, PROCESS).run().ok();
    revoke_logins(&world);
    world.vault.inject(On::path("approle/login").every(), Fault::answer(Reply::error(503, "Vault is sealed")));
    let ran = with(&run, &format!("{EXOSCALE} --retries 0")).run().failed(69, "unavailable");
    assert!(ran.stderr.contains("sealed") && !ran.stderr.contains("the login that this job had"), "{ran:?}");
}

#[test]
fn a_clock_that_was_set_back_does_not_take_its_login_from_a_job() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    let first = with(&run, PROCESS).run().ok();
    for line in [PROCESS, EXOSCALE] {
        let Some(ran) = later(&with(&run, line), "-2h") else { return };
        assert_ne!(ran.ok(), first, "what would be a fresh one, if the clock were right?");
    }
    // No credential is announced to live longer than its login may, counted from the clock that now counts.
    let list = later(&world.command("cache"), "-2h").expect("faketime").ok();
    let key = list.lines().find(|line| line.contains("exoscale/")).expect("the key");
    assert!(key.ends_with("14 min left"), "{list}");
    assert_eq!(world.count("sys/wrapping/unwrap"), 1);
}

#[test]
fn a_refused_read_leaves_the_login_that_a_single_use_secret_bought_for_the_next_call() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    let ran = with(&run, "exoscale --role not-ours --cache").run().failed(77, "denied");
    assert!(ran.stderr.contains("the login is cached for the job's next call"), "{ran:?}");
    world
        .vault
        .inject(On::path("apikey/gitlab-ci-runner").times(3), Fault::answer(Reply::error(503, "Vault is sealed")));
    // Not 69: the job's next call needs no secret, but another run of the job needs a new one.
    let ran = with(&run, &format!("{EXOSCALE} --retries 0")).run().failed(79, "spent");
    let told = "a new run needs a new one; the login is cached for the job's next call\n";
    assert!(ran.stderr.contains(told), "{ran:?}");
    with(&run, EXOSCALE).run().ok();
    assert_eq!(world.count("sys/wrapping/unwrap"), 1);
    assert_eq!(world.vault.live_leases().len(), 1);
}

#[test]
fn an_answer_that_is_lost_ends_the_kept_login_with_the_lease_that_it_may_have_made() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    with(&run, PROCESS).run().ok();
    with(&run, EXOSCALE).run().ok();
    world.vault.inject(On::path("aws/creds/user"), Fault::cut_answer(40));
    let lost = with(&run, "aws --role user --via creds --cache").run().failed(80, "leak");
    assert!(lost.stderr.contains("no lease revokes") && lost.stderr.contains("needs a new one"), "{lost:?}");
    // STS credentials are not the token's: they outlive it, and stay in the cache. The Exoscale key is dead.
    assert!(world.vault.live_leases().iter().all(|lease| lease.path.starts_with("aws/sts/")));
    with(&run, PROCESS).run().ok();
    let ran = with(&run, EXOSCALE).run().failed(79, "spent");
    assert!(ran.stderr.contains("; an earlier call of this job used it at 20"), "{ran:?}");
    assert_eq!(world.count("sys/wrapping/unwrap"), 1, "{ran:?}");
    // The note of it is shown, and is nothing to give back.
    assert!(
        world.command("cache").run().ok().lines().any(|line| line.contains("the login") && line.ends_with("ended"))
    );
    let cleared = with(&run, "cache clear").run().ok();
    let told = format!("removed: the login; it had expired\ncannot be revoked: the credential of {READ} lives until");
    assert!(cleared.starts_with(&told), "{cleared}");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
}

#[test]
fn a_value_that_is_refused_costs_its_own_lease_where_the_policy_lets_it_and_not_the_jobs_login() {
    for may_revoke in [true, false] {
        let world = World::start();
        if may_revoke {
            let policy = "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }\npath \"aws/*\" { capabilities = [\"read\"] }\n\
                          path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
            world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        }
        let run = world.command_as("wrapping-token", "");
        with(&run, EXOSCALE).run().ok();
        let spoil = |mut answer: serde_json::Value| {
            answer["data"]["secret_key"] = json!("a b");
            answer
        };
        world.vault.inject(On::path("aws/creds/user"), Fault::rewrite(Box::new(spoil)));
        with(&run, "aws --role user --via creds --cache").run().failed(65, "data");
        let left: Vec<_> = world.vault.live_leases().into_iter().map(|lease| lease.path).collect();
        let next = with(&run, EXOSCALE).run();
        if may_revoke {
            assert_eq!(left, [format!("exoscale/apikey/{ROLE}")]);
            next.ok();
        } else {
            assert_eq!(left, Vec::<String>::new());
            next.failed(79, "spent");
        }
    }
}

#[test]
fn no_other_key_is_made_that_would_end_with_the_same_login_as_the_one_before() {
    let user = "aws --role user --via creds --format process";
    // What ends with the login, and what does not; the login ends after 15 minutes, as each lease by itself.
    for (line, reads) in [(EXOSCALE, 1), (user, 1), (PROCESS, 2)] {
        let world = World::start();
        leases_of(&world, 900);
        let run = world.command_as("wrapping-token", line);
        let first = run.run().ok();
        for offset in ["+11m", "+13m", "+14m"] {
            let Some(ran) = later(&run, offset) else { return };
            assert_eq!(ran.ok() == first, reads == 1, "{line} {offset}");
        }
        assert_eq!(world.vault.minted().into_values().sum::<usize>(), reads, "{line}");
        assert_eq!(world.count("sys/wrapping/unwrap"), 1);
    }
    // A shorter life has a successor, as long as the login has more.
    let world = World::start();
    world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "iam-role": "ci", "ttl": "5m", "max_ttl": "5m" }));
    let run = world.command_as("wrapping-token", EXOSCALE);
    let first = run.run().ok();
    assert_ne!(later(&run, "+4m").expect("faketime").ok(), first);
}

#[test]
fn a_new_login_whose_token_vault_does_not_know_is_not_followed_by_another_one() {
    for method in ["secret-id", "wrapping-token"] {
        let world = World::start();
        world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(403, "permission denied")));
        world.command_as(method, PROCESS).run().failed(77, "denied");
        assert_eq!(world.count("approle/login"), 1, "{method}");
    }
}

#[test]
fn when_the_login_of_a_single_use_secret_has_ended_the_message_says_when_and_what_to_raise() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    with(&run, EXOSCALE).run().ok();
    // Another job cleans up what has ended.
    let Some(other) = later(&world.command_as("token", PROCESS), "+20m") else { return };
    other.ok();
    later(&world.command("cache clear"), "+20m").expect("faketime");
    assert_eq!(entries(&world).len(), 2);
    let ran = later(&with(&run, EXOSCALE), "+20m").expect("faketime").failed(79, "spent");
    assert!(ran.stderr.contains("the login that this job had for it expired at 20"), "{ran:?}");
    assert!(ran.stderr.contains("hint: raise token_ttl"), "{ran:?}");
    // A day later its job is over, too.
    later(&world.command_as("token", PROCESS), "+25h").expect("faketime").ok();
    let list = later(&world.command("cache"), "+25h").expect("faketime").ok();
    assert!(list.lines().count() > 0 && !list.contains("wrapping token"), "{list}");
}
