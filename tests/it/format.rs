use dev_vault::{DevVault, Dialect};
use serde_json::{Value, json};

use crate::support::{ROLE, World};

/// A run with a plain token: what it printed, and what the engine made for it.
fn run(world: &World, line: &str) -> (String, crate::support::Minted) {
    let run = world.command_as("token", line);
    let before = world.vault.secrets();
    let ran = run.run();
    assert_eq!(ran.stderr, "", "{line}");
    let stdout = ran.ok();
    let minted = world.minted_since(&before);
    (stdout, minted)
}

const EXOSCALE_ALIASES: &str = "EXOSCALE_KEY EXOSCALE_SECRET EXOSCALE_SECRET_KEY CLOUDSTACK_KEY CLOUDSTACK_API_KEY \
                                CLOUDSTACK_SECRET CLOUDSTACK_SECRET_KEY";

#[test]
fn an_exoscale_key_in_every_format_for_shells_and_files_is_this_text_to_the_letter() {
    let world = World::start();
    let line = |format: &str| format!("exoscale --role {ROLE} --format {format}");
    for name in ["shell", "env"] {
        let (stdout, made) = run(&world, &line(name));
        let (key, secret) = (made.key, made.secret);
        assert_eq!(
            stdout,
            format!(
                "unset {EXOSCALE_ALIASES};\nexport EXOSCALE_API_KEY='{key}';\nexport EXOSCALE_API_SECRET='{secret}';\n"
            )
        );
    }
    let each = |before: &str, after: &str| -> String {
        EXOSCALE_ALIASES.split(' ').map(|name| format!("{before}{name}{after}\n")).collect()
    };
    let (stdout, made) = run(&world, &line("fish"));
    let values = format!("set -gx EXOSCALE_API_KEY '{}';\nset -gx EXOSCALE_API_SECRET '{}';\n", made.key, made.secret);
    assert_eq!(stdout, format!("{}{values}true;\n", each("set -e ", ";")));
    let (stdout, made) = run(&world, &line("powershell"));
    let values = format!("$env:EXOSCALE_API_KEY = '{}';\n$env:EXOSCALE_API_SECRET = '{}';\n", made.key, made.secret);
    assert_eq!(stdout, format!("{}{values}", each("Remove-Item Env:", " -ErrorAction SilentlyContinue;")));
    for name in ["dotenv", "env-no-export"] {
        let (stdout, made) = run(&world, &line(name));
        assert_eq!(stdout, format!("EXOSCALE_API_KEY={}\nEXOSCALE_API_SECRET={}\n", made.key, made.secret));
    }
}

#[test]
fn json_tells_everything_that_is_known_and_is_one_line() {
    let world = World::start();
    let (stdout, made) = run(&world, &format!("exoscale --role {ROLE} --format json"));
    assert_eq!(stdout.matches('\n').count(), 1);
    let mut answer: Value = serde_json::from_str(&stdout).unwrap();
    let lease = &world.vault.live_leases()[0];
    assert!(answer["expiration"].as_str().is_some_and(|end| end.len() == 20 && end.ends_with('Z')), "{answer}");
    answer["expiration"] = json!("…");
    assert!(answer["name"].as_str().is_some_and(|name| name.contains(ROLE)), "{answer}");
    answer["name"] = json!("…");
    let expected = json!({
        "provider": "exoscale", "role": ROLE, "api_key": made.key, "api_secret": made.secret, "name": "…",
        "lease_id": lease.id, "renewable": true, "expiration": "…",
    });
    assert_eq!(answer, expected);
}

#[test]
fn the_sdks_json_has_the_members_that_they_read_on_every_server_and_stderr_stays_empty() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        let (stdout, made) = run(&world, "aws --role 365-dev --format process");
        let mut answer: Value = serde_json::from_str(&stdout).unwrap();
        let end = answer["Expiration"].take();
        assert!(end.as_str().is_some_and(|end| end.len() == 20 && end.ends_with('Z')), "{end}");
        let expected = json!({
            "Version": 1, "AccessKeyId": made.key, "SecretAccessKey": made.secret,
            "SessionToken": made.session.unwrap(), "Expiration": null,
        });
        assert_eq!(answer, expected, "{dialect}");
        let (stdout, _) = run(&world, "aws --role user --format process");
        let answer: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(answer.get("SessionToken"), None, "{dialect}");
    }
}

#[test]
fn a_warning_does_not_reach_the_stderr_of_an_sdk() {
    let world = World::start();
    let run = |line: &str| {
        let run = world.command(line).env("VAULT_AUTH_PATH", "gitlab");
        run.env("CI_JOB_JWT_V2", &world.id_token().sign()).run()
    };
    assert_eq!(run("aws --role 365-dev --format process").stderr, "");
    assert!(run("aws --role 365-dev --format process -v").stderr.contains("warning: CI_JOB_JWT_V2"));
}

#[test]
fn aws_credentials_are_the_same_in_every_format() {
    let world = World::start();
    for (format, quote) in [("shell", "'"), ("fish", "'"), ("powershell", "'"), ("dotenv", ""), ("json", "\"")] {
        let (stdout, made) = run(&world, &format!("aws --role 365-dev --format {format}"));
        for value in [made.key, made.secret, made.session.unwrap()] {
            assert_eq!(stdout.matches(&format!("{quote}{value}{quote}")).count(), 1, "{format}");
        }
    }
}

#[test]
fn a_failure_prints_what_fails_in_each_shell_and_nothing_where_no_shell_reads() {
    let world = World::start();
    let stdout = |line: &str| world.command(line).env("VAULT_TOKEN", "s.nobodysnobodysnobodysnobo").run().stdout;
    let unset = format!("EXOSCALE_API_KEY EXOSCALE_API_SECRET {EXOSCALE_ALIASES}");
    let line = |format: &str| format!("exoscale --role {ROLE} --format {format}");
    assert_eq!(stdout(&line("shell")), format!("unset {unset};\n(exit 77);\n"));
    assert!(stdout(&line("fish")).ends_with("set -e CLOUDSTACK_SECRET_KEY;\nfalse;\n"));
    assert!(stdout(&line("powershell")).ends_with("throw 'ci-creds failed with exit code 77';\n"));
    for format in ["json", "dotenv"] {
        assert_eq!(stdout(&line(format)), "", "{format}");
    }
    assert_eq!(stdout("aws --role 365-dev --format process"), "");
}
