use std::time::Duration;

use dev_vault::{DevVault, Dialect, Fault, On, Reply};
use serde_json::{Value, json};

use crate::support::leak::base64;
use crate::support::{ROLE, Ran, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

fn each_dialect(test: impl Fn(&World, Dialect)) {
    for dialect in Dialect::ALL {
        test(&World::with(DevVault::builder().dialect(dialect)), dialect);
    }
}

/// Changes one answer of the server's.
fn rewrite(world: &World, on: On, change: impl Fn(&mut Value) + Send + Sync + 'static) {
    let change = move |mut answer: Value| {
        change(&mut answer);
        answer
    };
    world.vault.inject(on, Fault::rewrite(Box::new(change)));
}

/// The run ended in this way, and what was made on the way is gone again.
fn unusable(ran: Ran, world: &World, words: &[&str]) {
    let ran = ran.failed(65, "data");
    ran.assert_marker(65);
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
    }
    world.assert_no_secret_in(&ran.stderr);
    world.assert_nothing_left(&ran);
    assert_eq!(world.count("auth/token/revoke-self"), 1, "{ran:?}");
}

#[test]
fn a_role_that_the_engine_does_not_know_is_named_with_its_origin() {
    each_dialect(|world, dialect| {
        world.vault.write("sys/policies/acl/job", json!({ "policy": "path \"+/apikey/*\" { capabilities = [\"read\"] }\npath \"aws/*\" { capabilities = [\"read\", \"update\"] }" }));
        for (line, path) in
            [("exoscale", "exoscale/apikey/nope"), ("aws", "aws/sts/nope"), ("aws --via creds", "aws/creds/nope")]
        {
            let run = world.command_as("secret-id", line).env("CI_CREDS_ROLE", "nope");
            let ran =
                run.run().refused(world, 78, "config", &[path, "not found", "CI_CREDS_ROLE"], &["--role", "--mount"]);
            world.assert_nothing_left(&ran);
        }
        // No mount at all: only a policy that allows the path gets to hear of it.
        let ran = world.command_as("secret-id", &format!("{EXOSCALE} --mount nope")).run();
        let words = ["nope/apikey/", "no handler for route"];
        ran.refused(world, 78, "config", &words, &["--mount", "vault secrets list"]);
        assert_eq!(world.vault.minted().len(), 0, "{dialect}");
    });
}

#[test]
fn a_policy_that_does_not_allow_the_read_is_answered_with_the_line_to_add() {
    each_dialect(|world, dialect| {
        for method in ["secret-id", "id-token"] {
            let line = format!("{EXOSCALE} --mount elsewhere");
            let ran = world.command_as(method, &line).run();
            let path = format!("elsewhere/apikey/{ROLE}");
            let hint = format!("path \"{path}\" {{ capabilities = [\"read\"] }}");
            let ran = ran.refused(world, 77, "denied", &["policy", &path, "--role"], &[&hint]);
            world.assert_nothing_left(&ran);
            assert_eq!(world.count(&path), 1, "{dialect}");
            world.vault.forget_requests();
        }
    });
}

#[test]
fn an_engine_of_another_kind_at_that_mount_is_said_to_be_one() {
    let world = World::start();
    let policy =
        "path \"+/apikey/*\" { capabilities = [\"read\"] }\npath \"+/sts/*\" { capabilities = [\"read\", \"update\"] }";
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    let ran = world.command_as("token", &format!("{EXOSCALE} --mount aws")).run();
    ran.refused(&world, 78, "config", &["aws/apikey/", "unsupported path"], &["--mount"]);
    let ran = world.command_as("token", "aws --role x --mount exoscale").run();
    ran.refused(&world, 78, "config", &["exoscale/sts/x", "unsupported path"], &["--mount"]);
    world.vault.write("sys/mounts/kv", json!({ "type": "kv" }));
    world.vault.write("kv/apikey/x", json!({ "other": "thing" }));
    let ran = world.command_as("token", "exoscale --role x --mount kv").run();
    ran.refused(&world, 65, "data", &["kv/apikey/x", "has no api_key"], &["Exoscale engine mounted there"]);
}

#[test]
fn aws_refusals_name_the_flag_that_cures_them() {
    each_dialect(|world, _| {
        let ran = world.command_as("secret-id", "aws --role two-arns").run();
        ran.refused(world, 77, "denied", &["role_arn", "aws/sts/two-arns"], &["--role-arn ARN"]);
        let line = "aws --role two-arns --role-arn arn:aws:iam::1:role/x";
        let ran = world.command_as("secret-id", line).run();
        ran.refused(world, 77, "denied", &["not in allowed role arns"], &["--role-arn ARN"]);
        let ran = world.command_as("secret-id", "aws --role 365-dev --ttl 60s").run();
        let ran = ran.refused(world, 77, "denied", &["Error assuming role", "900"], &["--ttl 15m"]);
        world.assert_nothing_left(&ran);
    });
}

#[test]
fn what_the_cloud_says_is_shown_in_part_and_cannot_act() {
    each_dialect(|world, dialect| {
        world.vault.inject(
            On::any().every(),
            Fault::upstream_fails("AccessDenied: \u{1b}]0;x\u{7}; touch pwned $(id)\r\nexport A=1"),
        );
        let ran = world.command_as("secret-id", "aws --role 365-dev").run();
        let ran = ran.refused(world, 77, "denied", &["AccessDenied: 0 x touch pwned id export A 1"], &["log"]);
        assert!(
            !ran.stderr.contains(['$', ';', '\u{1b}']) || !ran.stderr.contains("touch pwned $"),
            "{dialect}: {ran:?}"
        );
    });
}

#[test]
fn throttling_by_the_cloud_is_temporary_and_what_it_may_have_made_is_revoked() {
    let world = World::start();
    world.vault.inject(On::path("aws/sts/365-dev").every(), Fault::upstream_throttles());
    let ran = world.command_as("secret-id", "aws --role 365-dev").run();
    let ran = ran.refused(&world, 69, "unavailable", &["502", "Throttling"], &["later"]);
    world.assert_nothing_left(&ran);
    assert_eq!(world.count("aws/sts/365-dev"), 1);
}

#[test]
fn a_missing_mistyped_or_doubled_field_is_named_and_the_key_is_revoked() {
    let read = || On::get(&format!("apikey/{ROLE}"));
    type Case = (fn(&mut Value), &'static [&'static str]);
    let cases: [Case; 8] = [
        (|answer| answer["data"] = Value::Null, &["has no api_key"]),
        (|answer| answer["data"]["api_secret"] = Value::Null, &["has no api_secret"]),
        (|answer| answer["data"]["api_secret"] = json!(""), &["has no api_secret"]),
        (|answer| answer["data"]["api_secret"] = json!(7), &["api_secret", "not a string"]),
        (|answer| answer["data"]["api_key"] = json!([answer["data"]["api_key"]]), &["api_key", "not a string"]),
        (|answer| answer["data"]["api_key"] = json!({ "k": answer["data"]["api_key"] }), &["api_key", "not a string"]),
        (|answer| answer["data"]["api_key"] = json!("AKIAIOSFODNN7EXAMPLE"), &["api_key", "does not begin with EXO"]),
        (|answer| answer["data"]["api_key"] = json!("EXO1"), &["api_key", "too short or too long"]),
    ];
    for (change, words) in cases {
        let world = World::start();
        rewrite(&world, read(), change);
        unusable(world.command_as("secret-id", EXOSCALE).run(), &world, words);
    }
}

// check: 6
#[test]
fn a_value_with_any_character_of_a_shell_is_refused_by_its_place_and_never_escaped() {
    for (method, line, suffix, field) in [
        ("secret-id", EXOSCALE, "apikey/gitlab-ci-runner", "api_secret"),
        ("id-token", "aws --role 365-dev", "aws/sts/365-dev", "session_token"),
        ("id-token", "aws --role user", "aws/sts/user", "secret_key"),
    ] {
        for bad in [
            "\n", "\r", "\0", " ", "'", "\"", "`", "$", "\\", "*", "?", "[", ";", "#", "\u{1b}", "\u{85}", "\u{2028}",
            "é",
        ] {
            let world = World::start();
            let name = field.to_owned();
            rewrite(&world, On::get(suffix), move |answer| {
                let value = answer["data"][&name].as_str().unwrap_or_default().to_owned();
                answer["data"][&name] = json!(format!("{}{bad}{}", &value[..10], &value[10..]));
            });
            let ran = world.command_as(method, line).run();
            unusable(ran, &world, &[field, "at byte 11"]);
        }
    }
}

#[test]
fn an_answer_with_a_duplicate_key_is_refused() {
    let world = World::start();
    let change = |body: Vec<u8>| {
        let text = String::from_utf8(body).unwrap();
        text.replacen("\"data\":{", "\"data\":{\"api_key\":\"EXOaaaaaaaaaaaaaaaaaaaa\",", 1).into_bytes()
    };
    world.vault.inject(On::get(&format!("apikey/{ROLE}")), Fault::rewrite_bytes(Box::new(change)));
    let ran = world.command_as("secret-id", EXOSCALE).run();
    let ran = ran.refused(&world, 76, "protocol", &["not JSON from Vault"], &["proxy"]);
    world.assert_nothing_left(&ran);
}

#[test]
fn an_invalid_lease_id_is_refused() {
    let world = World::start();
    rewrite(&world, On::get(&format!("apikey/{ROLE}")), |answer| answer["lease_id"] = json!("x; rm -rf /"));
    unusable(world.command_as("secret-id", EXOSCALE).run(), &world, &["the lease ID"]);
}

#[test]
fn an_answer_that_is_wrapped_unasked_is_refused_at_every_step() {
    for suffix in ["sys/wrapping/lookup", "auth/approle/login", "apikey/gitlab-ci-runner"] {
        let world = World::start();
        rewrite(&world, On::path(suffix), |answer| {
            *answer =
                json!({ "request_id": "", "data": null, "wrap_info": { "token": "s.WrappedBySomebodyElse00000" } });
        });
        let ran = world.command_as("wrapping-token", EXOSCALE).run();
        let code = if suffix == "auth/approle/login" { (79, "spent") } else { (65, "data") };
        let ran = ran.refused(&world, code.0, code.1, &["is wrapped"], &[]);
        assert!(!ran.stderr.contains("WrappedBySomebodyElse"), "{ran:?}");
        assert_eq!(world.vault.live_leases(), [], "{suffix}");
    }
}

#[test]
fn a_login_without_a_usable_token_is_refused() {
    type Case = (fn(&mut Value), &'static [&'static str]);
    let cases: [Case; 4] = [
        (|answer| answer["auth"] = Value::Null, &["auth/gitlab/login has no token"]),
        (|answer| answer["auth"]["client_token"] = json!(""), &["has no token"]),
        (
            |answer| answer["auth"]["client_token"] = json!("s.a\nX-Evil: 1"),
            &["the token in the answer to", "an invalid character"],
        ),
        (|answer| answer["auth"]["client_token"] = Value::Null, &["has no token"]),
    ];
    for (change, words) in cases {
        let world = World::start();
        rewrite(&world, On::path("auth/gitlab/login"), change);
        let ran = world.command_as("id-token", EXOSCALE).run().failed(65, "data");
        ran.assert_marker(65);
        world.assert_no_secret_in(&ran.stderr);
        assert!(words.iter().all(|word| ran.stderr.contains(word)), "{ran:?}");
        assert_eq!(world.requests(), ["POST auth/gitlab/login"]);
    }
}

#[test]
fn a_text_that_repeats_what_was_sent_is_withheld() {
    each_dialect(|world, dialect| {
        // Vault's own: the race for the last use of a secret ID.
        world.vault.inject(On::path("auth/approle/login"), Fault::lost_race());
        let ran = world.command_as("secret-id", EXOSCALE).run();
        ran.refused(world, 77, "denied", &["repeats a secret and is withheld"], &[]);
        // And somebody else's, at each step.
        for (method, suffix, variable) in [
            ("id-token", "auth/gitlab/login", "VAULT_ID_TOKEN"),
            ("token", "apikey/gitlab-ci-runner", "VAULT_TOKEN"),
            ("wrapping-token", "sys/wrapping/lookup", "VAULT_WRAPPING_TOKEN"),
            ("generator-token", "gitlab-ci-runner/secret-id", "VAULT_TOKEN"),
            ("secret-id", "auth/approle/login", "VAULT_SECRET_ID"),
            ("secret-id", "auth/approle/login", "VAULT_ROLE_ID"),
        ] {
            let run = world.command_as(method, &format!("{EXOSCALE} --retries 0"));
            let secret = run.variables()[variable].clone();
            for status in [400, 403, 500] {
                let text = format!("cannot do this with {secret}");
                world.vault.inject(On::path(suffix).every(), Fault::answer(Reply::error(status, &text)));
                let ran = run.run();
                world.vault.clear_faults();
                assert!(ran.code != 0 && !ran.stderr.contains(&secret), "{dialect} {method} {status}: {ran:?}");
                assert!(ran.stderr.contains("withheld"), "{dialect} {method} {status}: {ran:?}");
            }
        }
    });
}

type Encoding = (&'static str, fn(&str) -> String);

/// How a server might write a text.
const ENCODINGS: [Encoding; 10] = [
    ("plain", str::to_owned),
    ("in two lines", |text| {
        let (first, rest) = text.split_at(text.len() / 2);
        format!("{first}\n{rest}")
    }),
    ("in single letters", |text| each_byte(text, |byte| format!("{} ", char::from(byte)))),
    ("base64", |text| base64(text, false)),
    ("base64 behind one", |text| base64(&format!(":{text}"), false)),
    ("base64 behind two", |text| base64(&format!("x:{text}"), true)),
    ("hex", |text| each_byte(text, |byte| format!("{byte:02x}"))),
    ("HEX", |text| each_byte(text, |byte| format!("{byte:02X}"))),
    ("percent", |text| each_byte(text, |byte| format!("%{byte:02X}"))),
    ("JSON", |text| each_byte(text, |byte| format!("\\u{byte:04x}"))),
];

fn each_byte(text: &str, encode: fn(u8) -> String) -> String {
    text.bytes().map(encode).collect()
}

// check: 3
#[test]
fn a_secret_that_the_run_sent_before_is_withheld_in_part_and_in_every_encoding() {
    let world = World::start();
    for (method, variable) in [
        ("wrapping-token", "VAULT_WRAPPING_TOKEN"),
        ("wrapping-token", "VAULT_ROLE_ID"),
        ("secret-id", "VAULT_SECRET_ID"),
        ("generator-token", "VAULT_TOKEN"),
        ("id-token", "VAULT_ID_TOKEN"),
        ("token", "VAULT_TOKEN"),
    ] {
        let length = world.command_as(method, EXOSCALE).variables()[variable].len();
        for (name, encode) in ENCODINGS {
            let run = world.command_as(method, EXOSCALE);
            // All of it but the first and the last character; of a long token the part that is printed.
            let part = &run.variables()[variable][1..(length - 1).min(60)];
            let text = encode(part);
            // The read sends none of them but the last.
            let fault = Fault::answer(Reply::error(400, &format!("cannot do this: {text}")));
            world.vault.inject(On::path("apikey/gitlab-ci-runner"), fault);
            let ran = run.run().failed(77, "denied");
            world.assert_no_secret_in(&ran.stderr);
            assert!(ran.stderr.contains("withheld") && ran.stderr.contains("apikey"), "{variable} {name}: {ran:?}");
        }
    }
}

// check: 3
#[test]
fn a_token_that_the_run_got_and_the_cloud_key_are_withheld_too() {
    let echo = |suffix: &str, secret: &str| {
        (On::path(suffix), Fault::answer(Reply::error(400, &format!("cannot do this: {}", &secret[1..]))))
    };
    // The token of a login: it is kept, so that it is known before the call that sends it.
    let world = World::start();
    let run = world.command_as("secret-id", &format!("{EXOSCALE} --cache"));
    run.run().ok();
    let tokens = world.vault.live_tokens();
    let token = tokens.into_iter().find(|token| token.path == "auth/approle/login").expect("the login's token").id;
    let run = run.arg("--mount").arg("elsewhere");
    let (on, fault) = echo("elsewhere/apikey/gitlab-ci-runner", &token);
    world.vault.inject(on, fault);
    let ran = run.run().failed(77, "denied");
    world.assert_no_secret_in(&ran.stderr);
    assert!(ran.stderr.contains("withheld"), "{ran:?}");

    // The cloud key, in the answer of what follows the read.
    const KEY: &str = "Xk2mZ0qVtC7xWb5nJd3yLg9sHf1aQe4R";
    let world = World::start();
    let policy =
        "path \"auth/token/create\" { capabilities = [\"update\"] }\npath \"+/apikey/*\" { capabilities = [\"read\"] }";
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    rewrite(&world, On::get("apikey/gitlab-ci-runner"), |answer| answer["data"]["api_secret"] = json!(KEY));
    let (on, fault) = echo("renew-self", KEY);
    world.vault.inject(on, fault);
    let ran = world.command_as("token", &format!("{EXOSCALE} --child-token")).run().failed(77, "denied");
    assert!(ran.stderr.contains("withheld") && !ran.stderr.contains(&KEY[8..16]), "{ran:?}");
}

// check: 3
#[test]
fn a_place_that_a_redirect_names_is_withheld_when_it_repeats_a_secret() {
    let world = World::start();
    let run = world.command_as("token", EXOSCALE);
    let token = run.variables()["VAULT_TOKEN"].clone();
    let host = token.trim_start_matches("hvs.").replace(['_', '-'], "").to_lowercase();
    let location = format!("http://{}.example.com/v1/exoscale/apikey/gitlab-ci-runner", &host[..40]);
    world.vault.inject(On::path("apikey/gitlab-ci-runner"), Fault::redirect(307, &location));
    let ran = run.run().failed(80, "leak");
    assert!(ran.stderr.contains("withheld") && !ran.stderr.contains(&host[..8]), "{ran:?}");

    let run = world.command_as("token", EXOSCALE);
    let token = run.variables()["VAULT_TOKEN"].clone();
    let page = Reply::html(400, "<html>").header("Content-Type", &format!("text/html; charset={token}"));
    world.vault.inject(On::path("apikey/gitlab-ci-runner"), Fault::answer(page));
    let ran = run.run().failed(80, "leak");
    world.assert_no_secret_in(&ran.stderr);
    assert!(ran.stderr.contains("withheld"), "{ran:?}");
}

#[test]
fn an_unusable_answer_to_somebody_elses_token_gives_the_lease_back_or_names_it() {
    let read = || On::get(&format!("apikey/{ROLE}"));
    let world = World::start();
    rewrite(&world, read(), |answer| answer["data"]["api_secret"] = json!(7));
    let ran = world.command_as("token", EXOSCALE).run();
    let lease = world.vault.live_leases()[0].id.clone();
    let words = [&format!("the lease {lease} may be left"), "not a string"];
    ran.refused(&world, 80, "leak", &words, &[&format!("vault lease revoke {lease}"), "sys/leases/revoke"]);

    let world = World::start();
    rewrite(&world, read(), |answer| answer["lease_id"] = json!("x; rm -rf /"));
    let ran = world.command_as("token", EXOSCALE).run();
    let words = [&format!("a lease under exoscale/apikey/{ROLE} may be left"), "the lease ID"];
    ran.refused(&world, 80, "leak", &words, &["vault lease revoke -prefix"]);

    let world = World::start();
    let policy =
        "path \"+/apikey/*\" { capabilities = [\"read\"] }\npath \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    rewrite(&world, read(), |answer| answer["data"]["api_secret"] = json!(7));
    let ran = world.command_as("token", EXOSCALE).run();
    ran.refused(&world, 65, "data", &["not a string"], &[]);
    assert_eq!((world.vault.minted().len(), world.vault.live_leases().len()), (1, 0));
}

// check: 5
#[test]
fn an_answer_to_the_read_that_is_not_from_vault_reports_the_lease_that_may_be_left() {
    const JSON: &str = "application/json";
    let page = |status| Reply::html(status, "<html>blocked</html>");
    let json = |status, body: &str| Reply::status(status).header("Content-Type", JSON).body(body);
    let to = |status, place: &str| Reply::status(status).bare().header("Location", place);
    let cases = [
        (page(400), 76),
        (page(403), 76),
        (page(404), 76),
        (page(407), 76),
        (page(200), 76),
        (to(302, "https://evil.invalid/v1/x"), 76),
        (to(307, "https://evil.invalid/v1/x"), 76),
        (Reply::status(307).bare(), 76),
        (json(200, "{}"), 65),
        (json(200, "{\"status\":\"ok\"}"), 65),
        (json(200, "{\"data\":{\"status\":\"ok\"}}"), 65),
        (json(400, "{}"), 76),
        (json(404, "{}"), 78),
        (json(405, "{\"message\":\"no\"}"), 78),
    ];
    for (reply, code) in cases {
        for method in ["token", "id-token"] {
            let world = World::start();
            world.vault.inject(On::path(&format!("apikey/{ROLE}")), Fault::answer_after(reply.clone()));
            let ran = world.command_as(method, EXOSCALE).run();
            if method == "token" {
                let words = [&format!("a lease under exoscale/apikey/{ROLE} may be left"), "what failed: "];
                ran.refused(&world, 80, "leak", &words, &["vault lease revoke -prefix"]);
                assert_eq!(world.vault.live_leases().len(), 1, "{reply:?}");
            } else {
                assert_eq!(ran.code, code, "{reply:?}: {ran:?}");
                world.assert_nothing_left(&ran);
            }
            assert_eq!(world.count(&format!("apikey/{ROLE}")), 1, "{reply:?}");
        }
    }
}

// check: 5
#[test]
fn an_answer_that_says_wrongly_that_nothing_was_done_costs_one_lease_at_most_and_it_is_told() {
    for (status, text, code) in [
        (412, "required index state not present", 75),
        (429, "rate limit quota exceeded", 75),
        (472, "", 69),
        (473, "", 69),
    ] {
        for method in ["token", "id-token"] {
            let world = World::start();
            let on = || On::path(&format!("apikey/{ROLE}"));
            world.vault.inject(on(), Fault::answer_after(Reply::error(status, text)));
            let ran = world.command_as(method, &format!("{EXOSCALE} --retries 9")).run();
            assert_eq!((ran.code, ran.stderr.lines().count()), (0, 1), "{status}: {ran:?}");
            assert!(ran.stderr.contains("was read twice, because the first answer said"), "{status}: {ran:?}");
            assert_eq!(world.vault.live_leases().len(), 2, "{status}");

            let world = World::start();
            world.vault.inject(on().every(), Fault::answer_after(Reply::error(status, text)));
            let ran = world.command_as(method, &format!("{EXOSCALE} --retries 9")).run();
            assert_eq!((ran.code, world.count(&format!("apikey/{ROLE}"))), (code, 2), "{status}: {ran:?}");
            if method == "token" {
                assert!(
                    ran.stderr.contains("if Vault acted anyway, each read left a lease under"),
                    "{status}: {ran:?}"
                );
            } else {
                world.assert_nothing_left(&ran);
            }
        }
    }
}

// check: 5
#[test]
fn a_lease_whose_cloud_fails_is_left_to_vault_to_revoke_and_a_slow_one_is_waited_for() {
    let policy =
        "path \"+/apikey/*\" { capabilities = [\"read\"] }\npath \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    // Longer than the deadline of a request that asks nobody else.
    let slow = Duration::from_millis(4_500);
    for (fault, times) in [(Fault::upstream_fails("unreachable"), 2), (Fault::slow_cloud(slow), 1)] {
        let world = World::start();
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        rewrite(&world, On::get(&format!("apikey/{ROLE}")), |answer| answer["data"]["api_secret"] = json!(7));
        world.vault.inject(On::path("sys/leases/revoke"), fault);
        let ran = world.command_as("token", EXOSCALE).run();
        ran.refused(&world, 65, "data", &["not a string"], &[]);
        let requests = world.vault.requests();
        let revocations: Vec<_> = requests.iter().filter(|request| request.path.ends_with("leases/revoke")).collect();
        assert_eq!(revocations.len(), times, "{:?}", world.requests());
        assert!(revocations[1..].iter().all(|request| request.json()["sync"] == "false"));
        assert_eq!(world.vault.live_leases(), []);
    }
}
