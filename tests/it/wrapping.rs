use std::time::Duration;

use dev_vault::{DevVault, Dialect, Fault, On, Reply};
use serde_json::{Value, json};

use crate::support::{ROLE, World, text};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

fn each_dialect(test: impl Fn(&World, Dialect)) {
    for dialect in Dialect::ALL {
        test(&World::with(DevVault::builder().dialect(dialect)), dialect);
    }
}

const LOOKUP: &str = "POST sys/wrapping/lookup";
const UNWRAP: &str = "POST sys/wrapping/unwrap";

// check: 4
#[test]
fn a_spent_wrapping_token_is_reported_as_possible_theft() {
    each_dialect(|world, _| {
        let run = world.command_as("wrapping-token", EXOSCALE);
        run.run().ok();
        world.vault.forget_requests();
        let ran = run.run();
        ran.refused(
            world,
            79,
            "spent",
            &["VAULT_WRAPPING_TOKEN", "already used, or tampered with"],
            &["someone else used it", "sys/wrapping/unwrap in Vault's audit log", "new token"],
        );
        assert_eq!(world.requests(), [LOOKUP]);
    });
}

#[test]
fn an_expired_a_foreign_and_a_garbled_wrapping_token_are_reported_the_same() {
    each_dialect(|world, dialect| {
        let expired = world.command_as("wrapping-token", EXOSCALE);
        world.vault.advance(Duration::from_secs(61));
        let ordinary = world.token("job");
        let garbled = format!("{}x", world.wrapping_token());
        let runs = [
            ("expired", expired.run()),
            ("ordinary", world.command_as("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", &ordinary).run()),
            ("garbled", world.command_as("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", &garbled).run()),
            ("short", world.command_as("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", "x").run()),
        ];
        for (what, ran) in runs {
            assert_eq!(ran.code, 79, "{dialect} {what}: {ran:?}");
            ran.refused(world, 79, "spent", &["is not valid"], &["audit log"]);
        }
        assert_eq!(world.requests(), [LOOKUP; 4], "{dialect}");
        // A token that is none was not spent by asking.
        assert!(world.vault.live_tokens().iter().any(|token| token.id == ordinary), "{dialect}");
    });
}

#[test]
fn a_wrapping_token_that_is_a_broken_jwt_is_not_called_theft() {
    each_dialect(|world, dialect| {
        let run = world.command_as("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", "eyJhbGciOi.eyJ0eXBl.c2ln");
        let ran = run.run();
        match dialect {
            // A 500 could be anything.
            Dialect::Vault1_8 => ran.refused(world, 69, "unavailable", &["sys/wrapping/lookup"], &["log"]),
            Dialect::Vault1_16 => {
                let words = ["cannot be looked up", "could not be parsed"];
                ran.refused(world, 77, "denied", &words, &["sys/wrapping/lookup"])
            }
            // It has one text for all that it does not know.
            Dialect::OpenBao => ran.refused(world, 79, "spent", &["is not valid"], &["audit log"]),
        };
    });
}

// check: 21
#[test]
fn a_wrapping_token_of_another_namespace_is_not_spent() {
    let world = World::with(DevVault::builder().dialect(Dialect::OpenBao));
    let role_ids = ["team", "other"].map(|name| (name, world.make_namespace(name)));
    let id = |name: &str| text(&world.vault.read(&format!("sys/namespaces/{name}"))["data"]["id"]);
    let job = |made_in: &str, asked_in: &str| {
        let prefix = if made_in.is_empty() { String::new() } else { format!("{made_in}/") };
        let path = format!("{prefix}auth/approle/role/{ROLE}/secret-id");
        let token = world.vault.write_wrapped(&path, json!({}), "60s");
        let role_id = role_ids.iter().find(|(name, _)| *name == made_in).map_or(&world.role_id, |(_, role_id)| role_id);
        let run = world.command(EXOSCALE).env("VAULT_ROLE_ID", role_id).env("VAULT_WRAPPING_TOKEN", &token);
        (if asked_in.is_empty() { run } else { run.env("VAULT_NAMESPACE", asked_in) }, token)
    };
    let (team, other) = (id("team"), id("other"));
    for (made_in, asked_in, words, hint) in [
        (
            "team",
            "",
            [&*format!("with the id {team}"), "VAULT_NAMESPACE is not set"],
            "set VAULT_NAMESPACE or --namespace to",
        ),
        (
            "team",
            "other",
            [&*format!("with the id {team}"), &*format!("other, whose id is {other}")],
            "set VAULT_NAMESPACE to",
        ),
        ("", "team", ["outside of every namespace", &*format!("team, whose id is {team}")], "remove VAULT_NAMESPACE,"),
    ] {
        world.vault.forget_requests();
        let (run, token) = job(made_in, asked_in);
        let words = [words[0], words[1], "was not unwrapped"];
        run.run().refused(&world, 78, "config", &words, &[hint]);
        assert_eq!(world.requests(), [LOOKUP, LOOKUP], "{made_in} {asked_in}");
        // It is as good as before, where it was made.
        let run = if made_in.is_empty() { run.without("VAULT_NAMESPACE") } else { run.env("VAULT_NAMESPACE", made_in) };
        run.run().ok();
        assert!(!world.vault.live_tokens().iter().any(|live| live.id == token), "{made_in} {asked_in}");
    }
    // Neither names one: nothing is asked.
    world.vault.forget_requests();
    job("", "").0.run().ok();
    assert_eq!(world.requests()[..2], [LOOKUP, UNWRAP]);
}

#[test]
fn a_namespace_that_vault_does_not_know_of_costs_a_wrapping_token_nothing() {
    for dialect in [Dialect::Vault1_8, Dialect::Vault1_16] {
        let world = World::with(DevVault::builder().dialect(dialect));
        world.command_as("wrapping-token", EXOSCALE).env("VAULT_NAMESPACE", "team").run().ok();
        assert_eq!(world.requests()[..3], [LOOKUP, LOOKUP, UNWRAP], "{dialect}");
    }
}

#[test]
fn who_does_not_tell_the_namespace_is_not_in_the_way_of_an_unwrap() {
    let world = World::with(DevVault::builder().dialect(Dialect::OpenBao));
    world.make_namespace("team");
    for reply in [Reply::error(403, "blocked"), Reply::json(200, &json!({ "data": { "creation_path": "x" } }))] {
        let run = world.command_as("wrapping-token", EXOSCALE).env("VAULT_NAMESPACE", "root");
        world.vault.inject(On::path("sys/wrapping/lookup").nth(2), Fault::answer(reply));
        run.run().ok();
        world.vault.clear_faults();
    }
    // Its answer is lost once: it is asked again.
    let run = world.command_as("wrapping-token", EXOSCALE).env("VAULT_NAMESPACE", "root");
    world.vault.inject(On::path("sys/wrapping/lookup").nth(2), Fault::cut_answer(5));
    run.run().ok();
}

// check: 21
#[test]
fn a_rewrapped_token_is_never_unwrapped() {
    each_dialect(|world, dialect| {
        // What a thief does: unwrap, and wrap what he found anew under his own token.
        let thief = world.token("job");
        let secret_id = world.secret_id();
        let headers = [("X-Vault-Wrap-TTL", "60s")];
        let body = json!({ "secret_id": secret_id });
        let answer = world.vault.request("POST", "sys/wrapping/wrap", Some(&thief), &headers, Some(&body)).json();
        let rewrapped = answer["wrap_info"]["token"].as_str().unwrap();
        let run = world.command_as("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", rewrapped);
        let ran = run.run();
        let words =
            ["SECURITY", "made by sys/wrapping/wrap", &format!("auth/approle/role/{ROLE}/secret-id"), "not unwrapped"];
        ran.refused(world, 79, "spent", &words, &["incident", "secret IDs", "audit log"]);
        assert_eq!(world.requests(), [LOOKUP], "{dialect}");
        assert!(world.vault.live_tokens().iter().any(|token| token.id == rewrapped), "{dialect}: it was spent");
    });
}

// check: 21
#[test]
fn a_wrapping_token_of_another_role_mount_or_path_is_never_unwrapped() {
    let world = World::start();
    world.vault.write("auth/approle/role/other", json!({ "token_policies": ["job"] }));
    world.vault.write("sys/auth/other", json!({ "type": "approle" }));
    world.vault.write(&format!("auth/other/role/{ROLE}"), json!({ "token_policies": ["job"] }));
    let of_an_approle = ["auth/approle/role/other/secret-id", &format!("auth/other/role/{ROLE}/secret-id")];
    for path in of_an_approle.into_iter().chain(["auth/token/create", "sys/wrapping/wrap"]) {
        world.vault.forget_requests();
        let wrapped = world.vault.write_wrapped(path, json!({}), "60s");
        let run = world.command_as("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", &wrapped);
        if of_an_approle.contains(&path) {
            // More often a name than a theft; the token can still be used.
            let words = [path, "this job expects", "VAULT_APPROLE_ROLE", "not unwrapped"];
            run.run().refused(&world, 78, "config", &words, &["VAULT_APPROLE_ROLE", "--auth-mount", "audit log"]);
        } else {
            run.run().refused(&world, 79, "spent", &["SECURITY", path], &["--creation-path", "VAULT_APPROLE_ROLE"]);
        }
        assert_eq!(world.requests(), [LOOKUP], "{path}");
        assert!(world.vault.live_tokens().iter().any(|token| token.id == wrapped), "{path}: it was spent");
    }
    // Said out loud, another path is fine.
    let wrapped = world.vault.write_wrapped("auth/token/create", json!({ "policies": ["job"] }), "60s");
    let run = world.command(&format!("{EXOSCALE} --creation-path auth/token/create"));
    run.env("VAULT_WRAPPING_TOKEN", &wrapped).run().ok();
}

/// A thief took the wrapping token. In its place he puts a login that he made, wrapped: by his own AppRole, or by the
/// job's with the secret ID that was in it.
fn planted_login(world: &World, role: &str) -> String {
    world.vault.write(&format!("auth/approle/role/{role}"), json!({ "token_policies": ["job"], "token_ttl": "15m" }));
    let role_id = world.vault.read(&format!("auth/approle/role/{role}/role-id"))["data"]["role_id"].clone();
    let secret_id = world.vault.write(&format!("auth/approle/role/{role}/secret-id"), json!({}));
    let login = json!({ "role_id": role_id, "secret_id": secret_id["data"]["secret_id"] });
    world.vault.write_wrapped("auth/approle/login", login, "60s")
}

// check: 21
#[test]
fn a_mistyped_name_of_the_approle_costs_no_token() {
    each_dialect(|world, _| {
        let run = world.command_as("wrapping-token", EXOSCALE);
        let ran = run.clone().env("VAULT_APPROLE_ROLE", "gitlab-ci-runer").run();
        let words =
            [&format!("auth/approle/role/{ROLE}/secret-id"), "expects auth/approle/role/gitlab-ci-runer/secret-id"];
        let ran = ran.refused(world, 78, "config", &words, &["correct VAULT_APPROLE_ROLE"]);
        assert!(!ran.stderr.contains("SECURITY"), "{ran:?}");
        run.run().ok();
    });
}

// check: 21
#[test]
fn a_planted_login_is_never_unwrapped_by_a_job_that_expects_a_secret_id() {
    each_dialect(|world, dialect| {
        for role in ["mallory", ROLE] {
            let planted = planted_login(world, role);
            for variables in [vec!["VAULT_ROLE_ID", "VAULT_APPROLE_ROLE"], vec!["VAULT_ROLE_ID"], vec![]] {
                let run = world.command(EXOSCALE).env("VAULT_WRAPPING_TOKEN", &planted);
                let run = variables
                    .iter()
                    .fold(run, |run, name| run.env(name, if *name == "VAULT_ROLE_ID" { &world.role_id } else { ROLE }));
                world.vault.forget_requests();
                let words = ["SECURITY", "made by auth/approle/login and not by", "/secret-id", "not unwrapped"];
                let hint = ["incident", "audit log", "--creation-path auth/approle/login"];
                run.run().refused(world, 79, "spent", &words, &hint);
                assert_eq!(world.requests(), [LOOKUP], "{dialect} {role} {variables:?}");
            }
        }
        assert_eq!(world.vault.minted().len(), 0, "{dialect}");
    });
}

// check: 21
#[test]
fn a_planted_login_of_another_approle_is_revoked_and_never_used() {
    each_dialect(|world, dialect| {
        let path = format!("{EXOSCALE} --creation-path auth/approle/login");
        let by_path = world.command(&path).env("VAULT_ROLE_ID", &world.role_id).env("VAULT_APPROLE_ROLE", ROLE);
        let by_role = world.command(EXOSCALE).env("VAULT_APPROLE_ROLE", ROLE);
        let by_flag = world.command(&format!("{EXOSCALE} --auth-role {ROLE}"));
        for run in [by_path, by_role, by_flag] {
            let run = run.env("VAULT_WRAPPING_TOKEN", &planted_login(world, "mallory"));
            world.vault.forget_requests();
            let words = [
                "SECURITY",
                "a login of the AppRole mallory and not of",
                ROLE,
                "was not used",
                "its token was revoked",
            ];
            let ran = run.run().refused(world, 79, "spent", &words, &["incident", "secret IDs", "audit log"]);
            assert_eq!(world.requests(), [LOOKUP, UNWRAP, "POST auth/token/revoke-self"], "{dialect}");
            world.assert_nothing_left(&ran);
        }
        assert_eq!(world.vault.minted().len(), 0, "{dialect}");
    });
}

#[test]
fn a_planted_login_that_cannot_be_revoked_is_not_used_either() {
    let world = World::start();
    let run = world.command(EXOSCALE).env("VAULT_APPROLE_ROLE", ROLE);
    let planted = planted_login(&world, "mallory");
    world.vault.inject(On::path("revoke-self").every(), Fault::answer(Reply::error(403, "permission denied")));
    let ran = run.env("VAULT_WRAPPING_TOKEN", &planted).run();
    ran.refused(&world, 79, "spent", &["AppRole mallory", "its token could not be revoked"], &["incident"]);
    assert_eq!(world.vault.minted().len(), 0);
}

#[test]
fn a_login_without_the_name_of_its_approle_is_not_taken_for_the_one_that_the_job_names() {
    let world = World::start();
    let planted = planted_login(&world, ROLE);
    let change = |mut answer: Value| {
        answer["auth"]["metadata"] = Value::Null;
        answer
    };
    world.vault.inject(On::path("sys/wrapping/unwrap"), Fault::rewrite(Box::new(change)));
    let run = world.command(EXOSCALE).env("VAULT_APPROLE_ROLE", ROLE).env("VAULT_WRAPPING_TOKEN", &planted);
    run.run().refused(&world, 79, "spent", &["a login of no AppRole and not of"], &["incident"]);
}

#[test]
fn a_secret_id_without_its_role_id_leaves_the_wrapping_token_unspent() {
    let world = World::start();
    let run = world.command_as("wrapping-token", EXOSCALE).without("VAULT_ROLE_ID");
    run.run().refused(&world, 66, "input", &["VAULT_ROLE_ID is not set", "not unwrapped"], &["VAULT_ROLE_ID_FILE"]);
    assert_eq!(world.requests(), [LOOKUP]);
    run.env("VAULT_ROLE_ID", &world.role_id).run().ok();
}

#[test]
fn a_wrapping_token_that_is_taken_between_lookup_and_unwrap_is_reported_as_such() {
    each_dialect(|world, dialect| {
        world.vault.inject(On::path("sys/wrapping/unwrap"), Fault::lost_race());
        let ran = world.command_as("wrapping-token", EXOSCALE).run();
        ran.refused(world, 79, "spent", &["valid at the lookup just before"], &["audit log"]);
        assert_eq!(world.requests(), [LOOKUP, UNWRAP], "{dialect}");
    });
}

#[test]
fn what_fails_behind_the_unwrap_says_that_the_token_is_spent() {
    each_dialect(|world, dialect| {
        // The login is refused for good: a new job needs a new token, but the refusal is what must be cured.
        let settings = json!({ "secret_id_bound_cidrs": ["10.0.0.0/8"] });
        world.vault.write(&format!("auth/approle/role/{ROLE}"), settings);
        let ran = world.command_as("wrapping-token", EXOSCALE).run();
        let ran = ran.refused(world, 77, "denied", &["CIDR"], &["secret_id_bound_cidrs"]);
        world.assert_nothing_left(&ran);

        // Vault fails for the moment: "try again" would only help with a new token.
        world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "secret_id_bound_cidrs": [] }));
        let ran = world.command_as("wrapping-token", EXOSCALE);
        world.vault.inject(On::get(&format!("apikey/{ROLE}")).every(), Fault::upstream_fails("quota of keys reached"));
        let ran = ran.run().refused(
            world,
            79,
            "spent",
            &["exoscale/apikey", "the wrapping token is spent: a new run needs a new one"],
            &[],
        );
        world.assert_nothing_left(&ran);
        assert_eq!(world.count(&format!("apikey/{ROLE}")), 1, "{dialect}");
    });
}

#[test]
fn what_cannot_be_used_of_a_wrapped_answer_is_told_and_to_the_next_call_that_it_is_spent() {
    let neither = (79, "spent", "neither a login nor a secret ID", "secret-id or auth/");
    let no_token = (65, "data", "has no token", "is that the path of a login?");
    for (answer, (code, kind, words, hint)) in
        [(json!({ "data": { "other": "thing" } }), neither), (json!({ "auth": {} }), no_token)]
    {
        let world = World::start();
        world.vault.inject(On::path("sys/wrapping/unwrap"), Fault::rewrite(Box::new(move |_| answer.clone())));
        let run = world.command_as("wrapping-token", EXOSCALE).arg("--cache");
        run.run().refused(&world, code, kind, &[words], &[hint]);
        let next = run.run();
        next.refused(&world, 79, "spent", &["an earlier call of this job used it at 20"], &["a new secret"]);
    }
}

#[test]
fn a_wrapping_token_that_the_first_attempt_spent_late_is_not_called_stolen() {
    let world = World::start();
    // Lost on the way, as far as we can see; and there after the lookup, before our second attempt.
    world.vault.inject(On::path("sys/wrapping/unwrap"), Fault::drop_request());
    world.vault.inject(On::path("sys/wrapping/unwrap"), Fault::lost_race());
    let ran = world.command_as("wrapping-token", EXOSCALE).run();
    assert_eq!(world.requests(), [LOOKUP, UNWRAP, LOOKUP, UNWRAP]);
    let ran = ran.refused(&world, 79, "spent", &["most likely by this request"], &["new wrapping token"]);
    assert!(!ran.stderr.contains("tampered"), "{ran:?}");
}

#[test]
fn a_wrapping_token_whose_fate_nobody_tells_is_not_called_spent() {
    let world = World::start();
    let run = world.command_as("wrapping-token", &format!("{EXOSCALE} --retries 0"));
    world.vault.inject(On::path("sys/wrapping/unwrap"), Fault::drop_request());
    let sealed = Fault::answer(Reply::error(503, "Vault is sealed"));
    world.vault.inject(On::path("sys/wrapping/lookup").nth(2).every(), sealed);
    let ran = run.run();
    assert_eq!(world.requests(), [LOOKUP, UNWRAP, LOOKUP]);
    ran.refused(&world, 79, "spent", &["may be spent", "could not be asked"], &["if it is spent"]);
    world.vault.clear_faults();
    run.run().ok();
}

#[test]
fn a_lookup_without_a_creation_path_stops_before_anything_is_spent() {
    let world = World::start();
    for path in [Value::Null, json!(7), json!(""), json!(["auth/approle/login"])] {
        world.vault.forget_requests();
        let change = move |mut answer: Value| {
            answer["data"]["creation_path"] = path.clone();
            answer
        };
        world.vault.inject(On::path("sys/wrapping/lookup"), Fault::rewrite(Box::new(change)));
        let ran = world.command_as("wrapping-token", EXOSCALE).run();
        let ran = ran.failed(65, "data");
        ran.assert_marker(65);
        assert!(ran.stderr.contains("creation_path; the token was not unwrapped"), "{ran:?}");
        assert_eq!(world.requests(), [LOOKUP]);
    }
}

#[test]
fn a_login_that_is_put_off_for_good_behind_the_unwrap_needs_a_new_token() {
    for (status, text) in [(429, "rate limit quota exceeded"), (503, "Vault is sealed")] {
        let world = World::start();
        world.vault.inject(On::path("auth/approle/login").every(), Fault::answer(Reply::error(status, text)));
        let ran = world.command_as("wrapping-token", &format!("{EXOSCALE} --retries 0")).run();
        ran.refused(&world, 79, "spent", &[text, "the wrapping token is spent: a new run needs a new one"], &[]);
        assert_eq!(world.requests(), [LOOKUP, UNWRAP, "POST auth/approle/login"]);
    }
}

#[test]
fn a_read_that_fails_behind_a_wrapped_token_needs_a_new_one_too() {
    let world = World::start();
    let wrapped = world.vault.write_wrapped("auth/token/create", json!({ "policies": ["job"] }), "60s");
    world.vault.inject(On::path("apikey/gitlab-ci-runner").every(), Fault::upstream_fails("quota of keys reached"));
    let run = world.command(&format!("{EXOSCALE} --creation-path auth/token/create"));
    let ran = run.env("VAULT_WRAPPING_TOKEN", &wrapped).run();
    ran.refused(
        &world,
        79,
        "spent",
        &["exoscale/apikey", "the wrapping token is spent: a new run needs a new one"],
        &[],
    );
    assert_eq!(world.vault.live_leases(), []);
}

#[test]
fn a_wrapped_login_ends_by_its_own_age_and_not_by_the_unwrapping() {
    let ends = |age: i64| {
        let world = World::start();
        let login = json!({ "role_id": world.role_id, "secret_id": world.secret_id() });
        let wrapped = world.vault.write_wrapped("auth/approle/login", login, "10m");
        let made = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(age);
        let change = move |mut answer: Value| {
            answer["data"]["creation_time"] = json!(made.to_string());
            answer
        };
        world.vault.inject(On::path("sys/wrapping/lookup"), Fault::rewrite(Box::new(change)));
        let line = format!("{EXOSCALE} --format json --creation-path auth/approle/login");
        let ran = world.command(&line).env("VAULT_WRAPPING_TOKEN", &wrapped).run().ok();
        let answer: Value = serde_json::from_str(&ran).unwrap();
        let end: jiff::Timestamp = answer["expiration"].as_str().unwrap().parse().unwrap();
        end.duration_since(jiff::Timestamp::now()).as_secs()
    };
    // The login lives for 15 minutes, less our margin, and what the test itself takes.
    for (age, least) in [(0, 860), (300, 560), (600, 260), (90_000, 260)] {
        let left = ends(age);
        assert!((least..=least + 35).contains(&left), "{age} s old: {left} s left");
    }
}
