use dev_vault::{DevVault, Dialect};
use serde_json::{Value, json};

use crate::support::{ROLE, World, shell_text};

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
            shell_text(
                &format!("EXOSCALE_API_KEY EXOSCALE_API_SECRET {EXOSCALE_ALIASES}"),
                &[("EXOSCALE_API_KEY", &key), ("EXOSCALE_API_SECRET", &secret)]
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

const SOS_STALE: &str =
    "AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_PROFILE AWS_DEFAULT_PROFILE";

#[test]
fn a_key_for_the_object_storage_is_this_text_to_the_letter() {
    let world = World::start();
    let (stdout, made) = run(&world, &format!("exoscale --sos --zone de-fra-1 --role {ROLE}"));
    let exports = [
        ("AWS_ACCESS_KEY_ID", made.key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", made.secret.as_str()),
        ("AWS_ENDPOINT_URL_S3", "https://sos-de-fra-1.exo.io"),
        ("AWS_REGION", "de-fra-1"),
        ("AWS_DEFAULT_REGION", "de-fra-1"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"),
    ];
    assert_eq!(stdout, shell_text(&format!("AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY {SOS_STALE}"), &exports));
    let (stdout, made) = run(&world, &format!("exoscale --sos --format process --role {ROLE}"));
    let mut answer: Value = serde_json::from_str(&stdout).unwrap();
    assert!(answer["Expiration"].take().as_str().is_some_and(|end| end.len() == 20), "{answer}");
    let expected = json!({ "Version": 1, "AccessKeyId": made.key, "SecretAccessKey": made.secret, "Expiration": null });
    assert_eq!(answer, expected);
    let (stdout, made) = run(&world, &format!("exoscale --sos --format json --role {ROLE}"));
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!([&answer["provider"], &answer["api_key"], &answer["api_secret"]], ["exoscale", &made.key, &made.secret]);
}

#[test]
fn the_zone_of_the_object_storage_comes_from_the_flag_then_the_variable_then_the_file() {
    let world = World::start();
    let config = world.file("config.toml", "[exoscale]\nzone = 'at-vie-1'\n").display().to_string();
    let endpoint = |run: crate::support::Run| {
        let exports = crate::support::exports(&run.run().ok());
        assert_eq!(exports["AWS_REGION"], exports["AWS_DEFAULT_REGION"]);
        exports["AWS_ENDPOINT_URL_S3"].clone()
    };
    let of_file =
        |line: &str| world.command_as("token", &format!("{line} --role {ROLE}")).env("CI_CREDS_CONFIG", &config);
    assert_eq!(endpoint(of_file("exoscale --sos")), "https://sos-at-vie-1.exo.io");
    let of_variable = |line: &str| of_file(line).env("EXOSCALE_ZONE", "bg-sof-1");
    assert_eq!(endpoint(of_variable("exoscale --sos")), "https://sos-bg-sof-1.exo.io");
    assert_eq!(endpoint(of_variable("exoscale --sos --zone ch-gva-2")), "https://sos-ch-gva-2.exo.io");
    // Without --sos the variable stays what it is, and is not read.
    let plain = crate::support::exports(&of_variable("exoscale").run().ok());
    assert_eq!(plain["EXOSCALE_ZONE"], "at-vie-1");
}

#[test]
fn without_a_zone_the_object_storage_is_refused_before_any_request_in_each_format_that_names_it() {
    let world = World::start();
    for (format, marker) in [
        ("shell", format!("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY {SOS_STALE};\n(exit 78);\n")),
        ("dotenv", String::new()),
    ] {
        let run = world.command_as("token", &format!("exoscale --sos --role {ROLE} --format {format}"));
        let ran = run.run().failed(78, "config");
        let hint = "  hint: ci-creds exoscale --sos --zone ch-gva-2, or set EXOSCALE_ZONE\n";
        assert!(
            ran.stderr.contains("the zone of the object storage is not set") && ran.stderr.ends_with(hint),
            "{ran:?}"
        );
        assert_eq!(ran.stdout, marker);
        let run = run.env("EXOSCALE_ZONE", "evil.example.com/");
        assert!(run.run().failed(64, "usage").stderr.contains("the zone (from EXOSCALE_ZONE) is not a zone name"));
    }
    let misspelt = world.command_as("token", &format!("exoscale --sos --rool {ROLE}")).run().failed(64, "usage");
    assert_eq!(misspelt.stdout, format!("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY {SOS_STALE};\n(exit 64);\n"));
    let process = world.command_as("token", &format!("exoscale --role {ROLE} --format process")).run();
    assert!(process.failed(64, "usage").stderr.contains("  hint: --sos for the object storage, "));
    assert_eq!(world.vault.connections(), 0);
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
