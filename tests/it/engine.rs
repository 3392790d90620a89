use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use dev_vault::{DevVault, Dialect, Fault, On};
use serde_json::{Value, json};

use crate::support::{METHODS, ROLE, Ran, World, exports};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

/// The end that `--format json` tells.
fn expiration(json: &str) -> SystemTime {
    let json: Value = serde_json::from_str(json).unwrap();
    let end: jiff::Timestamp = json["expiration"].as_str().unwrap().parse().unwrap();
    end.into()
}

fn allow(world: &World, policy: &str, path: &str, capabilities: &str) {
    let text = format!("path \"{path}\" {{ capabilities = [{capabilities}] }}");
    world.vault.write(&format!("sys/policies/acl/{policy}"), json!({ "policy": text }));
}

#[test]
fn parameters_are_sent_by_post_and_by_query_when_the_policy_only_reads() {
    let world = World::start();
    let line = "aws --role two-arns --ttl 20m --role-arn arn:aws:iam::123123123123:role/other --session-name job-7 --format json";
    let answer: Value = serde_json::from_str(&world.command_as("token", line).run().ok()).unwrap();
    assert_eq!(answer["arn"], "arn:aws:sts::123123123123:assumed-role/other/job-7");
    let wishes =
        json!({ "ttl": "1200s", "role_arn": "arn:aws:iam::123123123123:role/other", "role_session_name": "job-7" });
    assert_eq!(world.requests(), ["POST aws/sts/two-arns"]);
    assert_eq!(world.vault.requests()[0].json(), wishes);

    allow(&world, "job", "aws/sts/*", "\"read\"");
    world.vault.forget_requests();
    let answer: Value = serde_json::from_str(&world.command_as("token", line).run().ok()).unwrap();
    assert_eq!(answer["arn"], "arn:aws:sts::123123123123:assumed-role/other/job-7");
    assert_eq!(world.requests(), ["POST aws/sts/two-arns", "GET aws/sts/two-arns"]);
    let query = world.vault.requests()[1].query.clone().unwrap();
    assert!(query.contains("ttl=1200s") && query.contains("role_session_name=job-7"), "{query}");
}

#[test]
fn a_policy_that_only_writes_is_enough_without_parameters_too() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        allow(&world, "job", "aws/sts/*", "\"create\", \"update\"");
        for method in METHODS {
            world.vault.forget_requests();
            world.command_as(method, "aws --role 365-dev").run().ok();
            let requests = world.requests();
            assert_eq!(requests[requests.len() - 2..], ["GET aws/sts/365-dev", "POST aws/sts/365-dev"], "{dialect}");
        }
    }
}

#[test]
fn a_token_with_counted_uses_is_not_spent_on_the_other_method() {
    let world = World::start();
    allow(&world, "job", "aws/sts/*", "\"update\"");
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 3 }));
    let ran = world.command_as("secret-id", "aws --role 365-dev").run();
    ran.refused(&world, 77, "denied", &["aws/sts/365-dev", "--role"], &["capabilities = [\"read\", \"update\"]"]);
    assert_eq!(world.count("aws/sts/365-dev"), 1);
}

#[test]
fn exoscale_is_never_asked_by_post() {
    let world = World::start();
    allow(&world, "job", "exoscale/apikey/*", "\"update\"");
    let ran = world.command_as("token", EXOSCALE).run();
    ran.refused(&world, 77, "denied", &["exoscale/apikey/"], &["capabilities = [\"read\"]"]);
    assert_eq!(world.requests(), [format!("GET exoscale/apikey/{ROLE}")]);
}

// check: 21
#[test]
fn a_token_for_one_request_is_refused_before_the_read_and_revoked() {
    for dialect in [Dialect::Vault1_16, Dialect::OpenBao] {
        let world = World::with(DevVault::builder().dialect(dialect));
        world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 1 }));
        let ran = world.command_as("secret-id", EXOSCALE).run();
        let ran = ran.refused(&world, 78, "config", &["limited to one request"], &["token_num_uses"]);
        assert_eq!((world.count(&format!("apikey/{ROLE}")), world.vault.minted().len()), (0, 0), "{dialect}");
        world.assert_nothing_left(&ran);
    }
}

#[test]
fn vault_1_8_does_not_tell_the_uses_so_its_own_refusal_is_explained() {
    let world = World::with(DevVault::builder().dialect(Dialect::Vault1_8));
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 1 }));
    let ran = world.command_as("secret-id", EXOSCALE).run();
    let ran = ran.refused(&world, 78, "config", &["one use left"], &["token_num_uses"]);
    world.assert_nothing_left(&ran);
}

#[test]
fn a_token_shorter_than_the_lease_ends_the_credential_and_is_warned_of() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_explicit_max_ttl": 120 }));
    for (line, capped) in [(EXOSCALE, true), ("aws --role user --via creds", true), ("aws --role 365-dev", false)] {
        let ran = world.command_as("secret-id", &format!("{line} --format json")).run();
        let warned =
            ran.stderr.contains("expires with this login's token") && ran.stderr.contains("token_explicit_max_ttl");
        assert_eq!(warned, capped, "{line}: {}", ran.stderr);
        let left = expiration(&ran.ok()).duration_since(SystemTime::now()).unwrap();
        assert_eq!(left <= Duration::from_secs(115), capped, "{line}: {left:?}");
    }
}

#[test]
fn a_life_is_counted_from_before_the_request_with_a_margin() {
    let world = World::start();
    let delay = Duration::from_millis(1_500);
    world.vault.inject(On::get(&format!("apikey/{ROLE}")), Fault::delay(delay));
    let stdout = world.command_as("token", &format!("{EXOSCALE} --format json")).run().ok();
    let end = expiration(&stdout);
    // The lease began when Vault answered; ours began one delay earlier and ends five seconds before its end.
    let latest = world.vault.live_leases()[0].expires - delay - Duration::from_secs(5);
    assert!(end <= latest && end >= latest - Duration::from_secs(5), "{end:?} is not just before {latest:?}");
}

#[test]
fn sts_without_a_lease_ends_when_its_data_says_so() {
    let world = World::with(DevVault::builder().leaseless_sts());
    let answer: Value =
        serde_json::from_str(&world.command_as("token", "aws --role 365-dev --format json").run().ok()).unwrap();
    assert_eq!((answer.get("lease_id"), &answer["renewable"]), (None, &json!(false)));
    let left = expiration(&answer.to_string()).duration_since(SystemTime::now()).unwrap();
    assert!((3_580..=3_595).contains(&left.as_secs()), "{left:?}");
    let set = exports(&world.command_as("token", "aws --role 365-dev").run().ok());
    assert!(set.contains_key("AWS_CREDENTIAL_EXPIRATION"));
}

#[test]
fn an_answer_without_a_lease_has_no_end_and_nothing_to_revoke() {
    for method in ["token", "id-token"] {
        let world = World::start();
        let without = |mut answer: Value| {
            answer["lease_id"] = json!("");
            answer["lease_duration"] = json!(0);
            answer["renewable"] = json!(false);
            answer
        };
        world.vault.inject(On::get(&format!("apikey/{ROLE}")).every(), Fault::rewrite(Box::new(without)));
        let stdout = world.command_as(method, &format!("{EXOSCALE} --format json")).run().ok();
        let answer: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((answer.get("lease_id"), answer.get("expiration")), (None, None), "{method}: {answer}");
        let mut command = world.command_as(method, EXOSCALE).to_command();
        command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        Ran::of(command).failed(74, "output");
    }
}

#[test]
fn an_iam_user_unsets_a_stale_session_and_profile() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let stdout = world.command_as("token", "aws --role user --via creds").run().ok();
        let unset = stdout.lines().next().unwrap();
        for name in ["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_PROFILE"] {
            assert!(unset.contains(name), "{dialect}: {unset}");
        }
        assert!(exports(&stdout).values().all(|value| value != "null"), "{dialect}: {stdout}");
        let kept = world.command_as("token", "aws --role user --keep-profile").run().ok();
        assert!(!kept.contains("PROFILE"), "{dialect}");
    }
}

#[test]
fn an_iam_user_comes_by_sts_too() {
    let world = World::start();
    let set = exports(&world.command_as("token", "aws --role user").run().ok());
    assert!(set["AWS_ACCESS_KEY_ID"].starts_with("AKIA") && !set.contains_key("AWS_SESSION_TOKEN"));
}

#[test]
fn a_missing_role_or_mount_is_reported_with_the_command_that_lists_the_roles() {
    let world = World::start();
    world.vault.write("sys/mounts/team/aws", json!({ "type": "aws" }));
    for (line, path, list) in [
        ("aws --role absent", "aws/sts/absent", "vault list aws/roles"),
        ("aws --role absent --via creds --mount team/aws", "team/aws/creds/absent", "vault list team/aws/roles"),
        ("exoscale --role absent", "exoscale/apikey/absent", "vault list exoscale/role"),
    ] {
        allow(&world, "absent", path, "\"read\"");
        let run = world.command(line).env("VAULT_TOKEN", &world.token("absent"));
        let ran = run.run().failed(78, "config");
        assert!(ran.stderr.contains(&format!("there is no {path} (")), "{ran:?}");
        assert!(ran.stderr.contains(&format!("{list} the roles\n")), "{ran:?}");
    }
    allow(&world, "absent", "team/exo/apikey/absent", "\"read\"");
    let run = world.command("exoscale --role absent --mount team/exo").env("VAULT_TOKEN", &world.token("absent"));
    let ran = run.run().failed(78, "config");
    assert!(ran.stderr.contains("nothing is mounted at team/exo for team/exo/apikey/absent ("), "{ran:?}");
    assert!(ran.stderr.contains("vault secrets list shows the mounts\n"), "{ran:?}");
}

#[test]
fn a_ttl_that_vault_shortens_is_reported_with_both_durations() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let arn = "arn:aws:iam::123123123123:role/ci";
        let role = json!({ "credential_type": "assumed_role", "role_arns": [arn], "max_sts_ttl": "1h" });
        world.vault.write("aws/roles/365-dev", role);
        let text = "--ttl asked for 48h, and the credential of aws/sts/365-dev expires after 1h";
        for (line, told) in [
            ("--ttl 48h", true),
            ("--ttl 48h --format process --no-cache", false),
            ("--ttl 48h --format process --no-cache -v", true),
            ("--ttl 1h", false),
            ("--ttl 20m", false),
            ("", false),
        ] {
            let ran = world.command_as("id-token", &format!("aws --role 365-dev {line}")).run();
            assert_eq!(ran.stderr.contains(text), told, "{dialect} {line}: {ran:?}");
            assert!(told || ran.stderr.is_empty(), "{dialect} {line}: {ran:?}");
            ran.ok();
        }
        // An IAM user lives as long as the mount says, whatever was asked for.
        world.vault.write("aws/config/lease", json!({ "lease": "30m", "lease_max": "1h" }));
        let ran = world.command_as("id-token", "aws --role user --via creds --ttl 2h").run();
        assert!(ran.stderr.contains("--ttl asked for 2h") && ran.stderr.contains("expires after 30m"), "{ran:?}");
        ran.ok();
    }
}

#[test]
fn a_lease_that_vault_caps_is_told_always_and_every_other_warning_when_asked() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "iam-role": "ci", "ttl": "48h", "max_ttl": "1h" }));
        let role = format!("auth/gitlab/role/{ROLE}");
        world.vault.write(&role, json!({ "role_type": "jwt", "token_ttl": 0, "token_max_ttl": "2h" }));
        let lease = format!("exoscale/apikey/{ROLE}: Vault warns: TTL of 48h");
        let login = "auth/gitlab/login: Vault warns: TTL of 768h";
        for (line, of_lease, of_login) in [
            ("", true, false),
            ("-v", true, true),
            ("--sos --format process --no-cache", false, false),
            ("--sos --format process --no-cache -v", true, true),
        ] {
            let ran = world.command_as("id-token", &format!("{EXOSCALE} {line}")).run();
            let told = |text: &str| ran.stderr.matches(text).count();
            assert_eq!((told(&lease), told(login)), (of_lease.into(), of_login.into()), "{dialect} {line}: {ran:?}");
            ran.ok();
        }
        let ran = world.command_as("id-token", &format!("{EXOSCALE} --cache -v")).run();
        assert_eq!(ran.stderr.matches(login).count(), 1, "{dialect}: {ran:?}");
    }
}

#[test]
fn what_vault_warned_of_is_told_of_a_failed_run_too_and_repeats_no_secret() {
    let world = World::start();
    let run = world.command_as("id-token", &format!("{EXOSCALE} -v"));
    let jwt = run.variables()["VAULT_ID_TOKEN"].clone();
    let warn = move |mut answer: Value| {
        answer["warnings"] =
            json!(["a\nb; $(id)", format!("got {jwt}"), format!("gave {}", answer["auth"]["client_token"])]);
        answer
    };
    world.vault.inject(On::path("auth/gitlab/login"), Fault::rewrite(Box::new(warn)));
    world.vault.write("sys/policies/acl/job", json!({ "policy": "path \"x\" { capabilities = [\"read\"] }" }));
    let ran = run.run().failed(77, "denied");
    world.assert_no_secret_in(&ran.stderr);
    assert!(ran.stderr.contains("ci-creds: warning: auth/gitlab/login: Vault warns: a b id\n"), "{ran:?}");
    assert_eq!(ran.stderr.matches("Vault warns: the reason repeats a secret and is withheld\n").count(), 1, "{ran:?}");
}
