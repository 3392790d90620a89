//! The forms of the diagnosis for programs and tickets, and the diagnosis behind a failed run.

use std::process::Stdio;

use dev_vault::{Fault, On, Reply};
use serde_json::Value;

use super::{mark, marks};
use crate::support::{ROLE, Ran, World};

const AWS: &str = "doctor aws --role 365-dev";

/// What the schema says of a document. As much of JSON Schema as ours is written in.
fn hold(schema: &Value, document: &Value, place: &str) {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for keyword in object(schema).keys() {
        let known = [
            "$schema",
            "title",
            "description",
            "type",
            "enum",
            "required",
            "properties",
            "items",
            "additionalProperties",
        ];
        assert!(known.contains(&keyword.as_str()), "this test does not know {keyword}");
    }
    let fits = match schema["type"].as_str().expect("a type") {
        "object" => document.is_object(),
        "array" => document.is_array(),
        "string" => document.is_string(),
        "integer" => document.is_u64(),
        "boolean" => document.is_boolean(),
        other => panic!("this test does not know {other}"),
    };
    assert!(fits, "{place}: {document}");
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(document), "{place}: {document}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(document.get(name.as_str().expect("a name")).is_some(), "{place} has no {name}");
    }
    for (name, value) in object(document) {
        let of_it = &schema["properties"][&name];
        assert!(of_it.is_object(), "{place} has {name}, and the schema has not");
        hold(of_it, &value, &format!("{place}.{name}"));
    }
    for (index, value) in document.as_array().into_iter().flatten().enumerate() {
        hold(&schema["items"], value, &format!("{place}[{index}]"));
    }
}

#[test]
fn the_json_is_what_its_schema_says_and_the_exit_code_is_the_same() {
    let schema: Value = serde_json::from_str(include_str!("../../../docs/doctor.schema.json")).expect("the schema");
    let world = World::start();
    let run = world.command_as("id-token", AWS);
    let cases = [
        (run.clone(), 0),
        (run.clone().env("VAULT_AUTH_ROLE", "nope"), 77),
        (world.command_as("id-token", &format!("doctor secret --path exoscale/apikey/{ROLE} --env A=api_key")), 0),
        (run.clone().env("EXOSCALE_ZONE", "x").without("VAULT_ID_TOKEN"), 78),
        (run.clone().env("VAULT_ADDR", "http://127.0.0.1:1"), 69),
        (world.command_as("wrapping-token", AWS).env("AWS_PROFILE", "nope").env("AWS_ACCESS_KEY_ID", "AKIA"), 0),
    ];
    for (run, code) in cases {
        let text = run.clone().run();
        let ran = run.arg("--format").arg("json").run();
        assert_eq!((ran.code, text.code), (code, code), "{}\n{}", ran.stdout, ran.stderr);
        let document: Value = serde_json::from_str(&ran.stdout).expect("a document");
        hold(&schema, &document, "the diagnosis");
        assert_eq!((document["ok"].as_bool(), document["exit_code"].as_i64()), (Some(code == 0), Some(code.into())));
        let checks = document["checks"].as_array().expect("the checks");
        let ids: Vec<_> = checks.iter().map(|check| check["id"].as_str().unwrap_or_default()).collect();
        assert_eq!(ids, marks(&text).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        for check in checks.iter().filter(|check| check["blocked_by"].is_string()) {
            assert_eq!(check["status"], "skipped", "{check}");
        }
        world.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
    }
}

#[test]
fn the_schema_and_the_page_name_every_step() {
    let page = include_str!("../../../docs/doctor.md");
    let schema: Value = serde_json::from_str(include_str!("../../../docs/doctor.schema.json")).expect("the schema");
    let ids = schema["properties"]["checks"]["items"]["properties"]["id"]["enum"].as_array().expect("the ids");
    for id in ids {
        let row = format!("| `{}` |", id.as_str().expect("an id"));
        assert!(page.contains(&row), "{row} is not in docs/doctor.md");
    }
    let world = World::start();
    let printed = marks(&world.command_as("id-token", AWS).run()).len();
    assert_eq!(printed, ids.len());
}

#[test]
fn a_report_has_no_secret_no_host_and_no_address_unless_they_are_asked_for() {
    let world = World::start();
    let run = world.command_as("id-token", AWS).env("VAULT_AUTH_ROLE", "nope");
    let ran = run.clone().arg("--report").run();
    let address = world.vault.socket_address();
    assert_eq!(ran.code, 77, "{}", ran.stdout);
    assert!(
        ran.stdout.starts_with("### ci-creds doctor ") && ran.stdout.contains("| `auth-role` | **failed** |"),
        "{}",
        ran.stdout
    );
    for private in [address.to_string(), address.ip().to_string()] {
        assert!(!ran.stdout.contains(&private), "{private}: {}", ran.stdout);
    }
    world.assert_no_secret_in(&ran.stdout);
    let ran = run.arg("--report").arg("--with-names").run();
    assert!(ran.stdout.contains(&address.to_string()), "{}", ran.stdout);
}

#[test]
fn a_report_names_no_host_that_the_run_was_told_of_or_that_a_server_speaks_of() {
    let world = World::start();
    let login = "http://git.corp.internal is no issuer: \"https://git.corp.internal\" (lookup keys.corp.internal on \
                 10.0.0.53:53: no such host)";
    world.vault.inject(On::path("auth/gitlab/login").every(), Fault::answer(Reply::error(400, login)));
    let token = world.id_token().claim("iss", "https://git.corp.internal").sign();
    let list = "allowed-origins = [\"https://vault.corp.internal:8200\", \"https://spare.corp.internal\"]\n";
    let list = world.file("c.toml", list);
    let remote = |name: &str| world.command(AWS).env("VAULT_TOKEN", "hvs.x").env("VAULT_ADDR", name);
    for (how, run) in [
        ("plaintext", remote("http://vault.corp.internal:8200")),
        ("no address", remote("vault.corp.internal:8200")),
        ("one label", remote("http://hidden:8200")),
        ("a list", remote("https://other.corp.internal").arg("--config").arg(&list.display().to_string())),
        ("the issuer", world.command_as("id-token", AWS).env("VAULT_ID_TOKEN", &token)),
    ] {
        let named = run.clone().arg("--report").arg("--with-names").run();
        assert!(named.stdout.contains("corp.internal") || named.stdout.contains("hidden"), "{how}: {}", named.stdout);
        let ran = run.arg("--report").run();
        assert_ne!(ran.code, 0, "{how}: {}", ran.stdout);
        for name in ["corp", "hidden", "10.0.0.53"] {
            assert!(!ran.stdout.contains(name), "{how}: {}", ran.stdout);
        }
        assert!(ran.stdout.contains("[withheld]"), "{how}: {}", ran.stdout);
    }
}

#[test]
fn a_login_that_a_diagnosis_leaves_is_its_own_failure_and_not_the_runs() {
    let world = World::start();
    let refuses = || Fault::answer(Reply::error(403, "1 error occurred:\n\t* permission denied\n\n"));
    world.vault.inject(On::path("revoke-self").every(), refuses());
    let run = world.command_as("id-token", AWS);
    for (run, code, end) in [
        (run.clone(), 80, "No step fails. This diagnosis left a login behind."),
        (
            world.command_as("id-token", "doctor aws --role 365-dev --mount nowhere"),
            78,
            "exit code 78). This diagnosis left a login behind.",
        ),
    ] {
        let ran = run.run();
        assert!(ran.code == code && ran.stdout.trim_end().ends_with(end), "{code}: {}", ran.stdout);
        assert_eq!(mark(&marks(&ran), "logout"), "FAIL", "{}", ran.stdout);
    }
    // A signal does not make it revoked.
    world.vault.forget_requests();
    world.vault.inject(On::path("capabilities-self").every(), Fault::hang_before());
    let mut child = run.to_command();
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a diagnosis");
    let begun = std::time::Instant::now();
    while world.count("capabilities-self") == 0 {
        assert!(begun.elapsed().as_secs() < 30, "the step never began");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .expect("a signal");
    let ran = Ran::from(child.wait_with_output().expect("its end")).failed(80, "leak");
    assert!(ran.stderr.contains("interrupted; the login of this diagnosis was not revoked"), "{ran:?}");
}

#[test]
fn a_failed_run_is_followed_by_the_diagnosis_where_a_variable_says_so() {
    let world = World::start();
    let run = world.command_as("id-token", "aws --role 365-dev").env("VAULT_AUTH_ROLE", "nope");
    let plain = run.run().failed(77, "denied");
    assert!(!plain.stderr.contains("ci-creds doctor"), "{}", plain.stderr);
    let run = run.env("CI_CREDS_DOCTOR", "on-failure");
    let ran = run.run();
    assert_eq!((ran.code, &ran.stdout), (77, &plain.stdout), "stdout is for the shell");
    assert!(ran.stderr.starts_with(&plain.stderr), "{}", ran.stderr);
    assert!(ran.stderr.contains("FAIL auth-role"), "{}", ran.stderr);
    world.assert_no_secret_in(&ran.stderr);
    for more in ["--format=process", "--quiet", "--no-such-flag"] {
        let ran = run.clone().arg(more).run();
        assert!(ran.code != 0 && !ran.stderr.contains("FAIL auth-role"), "{more}: {}", ran.stderr);
    }
    // A secret that the run has used up is looked up, and not more.
    let spent = world.command_as("wrapping-token", "aws --role 365-dev");
    spent.run().ok();
    world.vault.forget_requests();
    let ran = spent.env("CI_CREDS_DOCTOR", "on-failure").run();
    assert!(ran.code == 79 && ran.stderr.contains("FAIL identity"), "{}", ran.stderr);
    assert_eq!(world.count("sys/wrapping/unwrap"), 0);
    let exec = world.command_as("id-token", "exec aws --role 365-dev -- true").env("VAULT_AUTH_ROLE", "nope");
    let ran = exec.env("CI_CREDS_DOCTOR", "on-failure").run();
    assert!(ran.code == 125 && ran.stderr.contains("FAIL auth-role"), "{} {}", ran.code, ran.stderr);
    let secret = world.command_as("id-token", "secret --path exoscale/apikey/nope --env A=api_key");
    let ran = secret.env("CI_CREDS_DOCTOR", "on-failure").run();
    assert!(
        ran.code == 77 && ran.stderr.contains("FAIL policy        the policies allow nothing on"),
        "{}",
        ran.stderr
    );
}

#[test]
fn variables_and_files_that_hide_the_credential_are_warned_of() {
    let world = World::start();
    let run = world.command_as("token", AWS);
    let quiet = run.run();
    assert_eq!(mark(&marks(&quiet), "surroundings"), "ok", "{}", quiet.stdout);
    for (name, value, words) in [
        ("AWS_ACCESS_KEY_ID", "AKIAX", "unset AWS_ACCESS_KEY_ID"),
        ("AWS_SECURITY_TOKEN", "x", "unset AWS_SECURITY_TOKEN"),
        ("AWS_PROFILE", "nope", "unset AWS_PROFILE, or correct it"),
        ("IFS", ",", "unset IFS before the eval"),
    ] {
        let ran = run.clone().env(name, value).run();
        assert_eq!((ran.code, mark(&marks(&ran), "surroundings")), (0, "warn"), "{name}: {}", ran.stdout);
        assert!(super::text_of(&ran, "surroundings").contains(words), "{name}: {}", ran.stdout);
    }
    let long = run.env("CI_JOB_STARTED_AT", &started()).env("CI_JOB_TIMEOUT", "86400").run();
    assert!(super::text_of(&long, "token").contains("the job may run for another"), "{}", long.stdout);
}

/// This moment, as GitLab spells it.
fn started() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().expect("date");
    String::from_utf8(output.stdout).expect("a time").trim().to_owned()
}
