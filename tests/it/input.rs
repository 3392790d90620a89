use dev_vault::{Fault, On};
use serde_json::json;

use crate::support::expect::stopped;
use crate::support::{ROLE, Run, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

const USAGE: (i32, &str) = (64, "usage");
const CONFIG: (i32, &str) = (78, "config");

#[test]
fn a_mistake_on_the_command_line_names_the_flag() {
    let world = World::start();
    let cases: [(&str, &[&str]); 17] = [
        ("exoscale --bogus", &["no flag --bogus", "--help"]),
        ("exoscale --rolle x", &["no flag --rolle", "did you mean --role?"]),
        ("exoscale --region x", &["no flag --region for exoscale, only for aws", "did you mean --zone"]),
        ("exoscale --format yaml", &["--format does not take \"yaml\"", "shell", "process"]),
        ("exoscale --role", &["--role needs a value", "--role ROLE"]),
        ("exoscale --role a --role b", &["--role is given twice", "keep one"]),
        ("exoscale extra", &["takes no argument, only flags, and got \"extra\"", "ci-creds exoscale --role extra"]),
        ("--bogus exoscale", &["no flag --bogus", "ci-creds exoscale --help"]),
        ("aws --via nope --role x", &["--via does not take \"nope\"", "sts, creds or web-identity"]),
        ("aws --auth password --role x", &["--auth does not take \"password\"", "wrapping-token"]),
        ("aws --auth approle --role x", &["--auth does not take \"approle\"", "did you mean --auth secret-id?"]),
        ("aws --ttl 1hour --role x", &["--ttl: \"1hour\" is not a duration", "did you mean --ttl 1h?"]),
        ("exoscale --retries many --role x", &["--retries", "0 to 10"]),
        ("exoscale --retries 11 --role x", &["--retries", "0 to 10"]),
        ("exoscale --format process --role x", &["--format process is for AWS", "--format json"]),
        ("exoscale --redirect-host http:/x --role x", &["--redirect-host", "node2.example.com:8200"]),
        ("-v exoscale --quiet --role x", &["--verbose and --quiet exclude each other"]),
    ];
    for (line, words) in cases {
        let ran = world.command_as("token", line).run();
        if line.contains("process") {
            // The SDKs' format has no marker: no shell evaluates it.
            let ran = ran.failed(64, "usage");
            assert!(ran.stdout.is_empty() && words.iter().all(|word| ran.stderr.contains(word)), "{ran:?}");
            continue;
        }
        stopped(ran, &world, USAGE, words);
    }
    for line in ["", "exoscal --role x", "-v", "--role x exoscal"] {
        let ran = world.command_as("token", line).run().failed(64, "usage");
        assert!(ran.stdout.ends_with("(exit 64);\n"), "{ran:?}");
        assert!(ran.stderr.contains("ci-creds exoscale"), "{ran:?}");
    }
}

#[test]
fn a_flag_is_taken_before_the_command_too() {
    let world = World::start();
    for line in ["--role gitlab-ci-runner exoscale", "-v --role gitlab-ci-runner exoscale", "-q --timeout 1d exoscale"]
    {
        let run = world.command_as("token", line).env("CI_CREDS_ROLE", "gitlab-ci-runner");
        let ran = run.clone().run();
        assert_eq!(ran.stderr.contains("role from --role"), line.starts_with("-v"), "{ran:?}");
        assert!(ran.ok().contains("export EXOSCALE_API_KEY='EXO"), "{line}");
        let address = world.vault.address();
        let mut run = run.without("VAULT_ADDR");
        run.arguments.splice(0..0, ["--address".to_owned(), address]);
        assert!(run.run().ok().contains("export EXOSCALE_API_KEY='EXO"), "{line}");
    }
}

// check: 10
#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let world = World::start();
    let token = world.token("job");
    let jwt = world.id_token().sign();
    let lines = [
        format!("--token {token}"),
        format!("--token={token}"),
        format!("--role {token}"),
        format!("--role=s.{}", "a".repeat(24)),
        format!("-r {jwt}"),
        jwt.clone(),
        format!("--secret-id {}", world.secret_id()),
        format!("--wrapping-token={}", world.wrapping_token()),
        format!("--jwt {jwt}"),
        format!("--config {token}"),
    ];
    for line in lines {
        let ran = world.command_as("token", &format!("exoscale {line}")).run();
        assert!(!ran.stderr.contains(&jwt[..40]), "{ran:?}");
        stopped(ran, &world, USAGE, &["ci-creds takes no secret from the command line", "VAULT_"]);
    }
}

/// Names that Vault's router would decode, clean or split, or that no path can have.
const HOSTILE: [&str; 24] = [
    "..",
    ".",
    "../sys/raw",
    "a/../b",
    "%2e%2e",
    "a%2fb",
    "a?b=c",
    "a#b",
    "a\\b",
    "a\nb",
    "a\rb",
    "a b",
    " ",
    "é",
    "a\u{202e}b",
    "-a",
    "a;b",
    "$(id)",
    "`id`",
    "a'b",
    "a\"b",
    "{",
    "a*",
    "a&b",
];

// check: 18
#[test]
fn hostile_names_are_refused_before_any_request() {
    let world = World::start();
    let long = "a".repeat(10_000);
    let doubled = "a//b";
    for name in HOSTILE.into_iter().chain([long.as_str(), doubled, ""]) {
        let job = |line: &str| world.command_as("token", line);
        let cases: [(&str, Run); 5] = [
            ("--role", job("exoscale").arg("--role").arg(name)),
            ("--mount", job(EXOSCALE).arg("--mount").arg(name)),
            ("--auth-mount", job(EXOSCALE).arg("--auth-mount").arg(name)),
            ("--namespace", job(EXOSCALE).arg("--namespace").arg(name)),
            ("--auth-role", world.command_as("secret-id", EXOSCALE).arg("--auth-role").arg(name)),
        ];
        for (flag, run) in cases {
            let ran = run.run();
            // A value that begins with a hyphen is a flag to the parser.
            let words: &[&str] = if name.starts_with('-') { &[] } else { &["from --"] };
            let words: &[&str] = if name.trim().is_empty() { &[flag, "is empty", "  hint: "] } else { words };
            let words: &[&str] = if name == "{" && flag.ends_with("role") { &["brace"] } else { words };
            // A namespace such as `-a` and a mount such as `.` have other rules than a role; none leaves as it is.
            stopped(ran, &world, USAGE, words);
        }
    }
    for name in ["a/b", "/a/", "a/"] {
        stopped(world.command_as("token", "exoscale --role").arg(name).run(), &world, USAGE, &["role"]);
    }
}

// check: 18
#[test]
fn a_name_with_a_nul_can_come_by_a_file_only_and_is_refused_there() {
    let world = World::start();
    for (line, word) in [("role = \"a\\u0000b\"", "role"), ("mount = \"a\\u0000b\"", "mount")] {
        let config = world
            .file("nul.toml", &format!("[exoscale]\nrole = \"x\"\n{line}\n").replace("role = \"x\"\nrole", "role"));
        let run = world.command_as("token", "exoscale --config").arg(&config.display().to_string());
        stopped(run.run(), &world, USAGE, &[word, "nul.toml"]);
    }
}

#[test]
fn an_address_that_could_mean_another_server_is_refused_and_its_secrets_are_not_told() {
    let world = World::start();
    for address in [
        "vault.example.com:8200",
        "https://user:Sw0rdfish@vault.example.com",
        "https://vault.example.com@evil.example",
        "https://vault.example.com?token=Sw0rdfish",
        "https://vault.example.com#Sw0rdfish",
        "https://vault.example.com\\@evil",
        "ftp://vault.example.com",
        "https://",
        "https://vault example.com",
        "https://vault.example.com:99999",
        "https://vault.example.com/a%2fb",
        "unix://relative.sock",
        "file:///etc/passwd",
    ] {
        let ran = world.command_as("token", EXOSCALE).env("VAULT_ADDR", address).run();
        assert!(!ran.stderr.contains("Sw0rdfish"), "{ran:?}");
        stopped(ran, &world, CONFIG, &["the address (from VAULT_ADDR)", "  hint: "]);
    }
    let run = world.command_as("token", EXOSCALE).without("VAULT_ADDR");
    stopped(run.run(), &world, CONFIG, &["VAULT_ADDR", "VAULT_SERVER_URL", "--address"]);
}

#[test]
fn a_mistyped_address_is_blamed_and_the_right_one_proposed() {
    let world = World::start();
    for (address, words, meant) in [
        ("https://vault.corp:8200/v1", "ends in /v1", "https://vault.corp:8200"),
        ("https://vault.corp:8200/v1/", "ends in /v1", "https://vault.corp:8200"),
        ("https://vault.corp:8200/ui", "ends in /ui", "https://vault.corp:8200"),
        ("https://vault.corp:8200/ui/vault/secrets", "ends in /ui/vault/secrets", "https://vault.corp:8200"),
        ("\"https://vault.corp:8200\"", "has quotes in it", "https://vault.corp:8200"),
        ("vault.corp:8200", "does not begin with https://", "https://vault.corp:8200"),
        (
            "localhost",
            "does not begin with https://",
            "https://localhost:8200, or http://127.0.0.1:8200 for a server in dev mode",
        ),
        (
            "127.0.0.1:18200",
            "does not begin with https://",
            "https://127.0.0.1:18200, or http://127.0.0.1:18200 for a server in dev mode",
        ),
        ("10.1.2.3:8200", "does not begin with https://", "https://10.1.2.3:8200"),
        ("https://vault.corp :8200", "has a blank in it", "https://vault.corp:8200"),
    ] {
        let ran = world.command_as("token", EXOSCALE).env("VAULT_ADDR", address).run();
        let words = format!("the address (from VAULT_ADDR) {words}");
        stopped(ran, &world, CONFIG, &[&words, &format!("  hint: set VAULT_ADDR={meant}\n")]);
        let ran = world.command_as("token", EXOSCALE).without("VAULT_ADDR").arg("--address").arg(address).run();
        stopped(ran, &world, CONFIG, &[&format!("  hint: --address {meant}\n")]);
    }
    let token = world.token("job");
    let ran = world.command_as("token", EXOSCALE).env("VAULT_ADDR", &token).run();
    assert!(!ran.stderr.contains(&token), "{ran:?}");
    stopped(ran, &world, CONFIG, &["the address (from VAULT_ADDR)", "  hint: https://vault.example.com:8200\n"]);
}

#[test]
fn a_hint_about_the_server_names_the_setting_that_counts() {
    let world = World::start();
    let closed = "http://127.0.0.1:1";
    let nowhere = "https://nowhere.invalid";
    let plain = world.vault.address().replace("http://", "https://");
    for (address, change) in [
        (closed, "check {}, and that this runner can reach it"),
        (nowhere, "is the host in {} spelled right"),
        (&plain, "On this machine, {} may begin with http://"),
    ] {
        let file = world.file("address.toml", &format!("address = \"{address}\"\n")).display().to_string();
        let run = || world.command_as("token", EXOSCALE).arg("--retries").arg("0");
        for (run, setting) in [
            (run().env("BAO_ADDR", address), "BAO_ADDR".to_owned()),
            (run().arg("--address").arg(address), "--address".to_owned()),
            (run().without("VAULT_ADDR").arg("--config").arg(&file), format!("address in {file}")),
        ] {
            let ran = run.run();
            assert!(ran.stderr.contains(&change.replace("{}", &setting)), "{setting}: {ran:?}");
            assert!(!ran.stderr.contains("VAULT_ADDR"), "{setting}: {ran:?}");
        }
    }
}

#[test]
fn line_ends_and_blanks_around_a_value_do_not_count_wherever_it_comes_from() {
    let world = World::start();
    let around = |text: &str| format!("\r\n {text}\t\r\n\n");
    let file =
        world.file("config.toml", "request-timeout = \"\\r\\n20s\\n\"\n[exoscale]\nmount = \" exoscale\\r\\n\"\n");
    let address = around(&world.vault.address());
    for method in ["token", "wrapping-token", "generator-token", "id-token"] {
        let mut run = world.command_as(method, "exoscale --timeout").arg(&around("60s")).env("VAULT_ADDR", &address);
        for (name, value) in [
            ("CI_CREDS_ROLE", "gitlab-ci-runner"),
            ("CI_CREDS_CONFIG", &file.display().to_string()),
            ("VAULT_MAX_RETRIES", "2"),
            ("VAULT_CLIENT_TIMEOUT", "20s"),
            ("VAULT_SKIP_VERIFY", "false"),
        ] {
            run = run.env(name, &around(value));
        }
        let own: Vec<_> = run.variables().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in own.iter().filter(|(name, _)| name.starts_with("VAULT_") && name != "VAULT_ADDR") {
            run = run.env(name, &around(value.trim()));
        }
        run.run().ok();
    }
    // Flags too: `--role "$(cat file)"` of a file with the line ends of Windows.
    let run = world.command_as("token", "exoscale").arg("--role").arg(&around("gitlab-ci-runner"));
    run.arg("--mount").arg(&around("exoscale")).arg("--address").arg(&address).run().ok();
}

#[test]
fn an_empty_value_is_reported_by_its_flag() {
    let world = World::start();
    for flag in [
        "--role",
        "--mount",
        "--zone",
        "--address",
        "--namespace",
        "--ca-file",
        "--client-key",
        "--tls-server-name",
        "--proxy",
        "--redirect-host",
        "--timeout",
        "--retries",
        "--auth-mount",
        "--auth-role",
        "--token-file",
        "--id-token-env",
        "--file",
        "--profile",
        "--config",
    ] {
        let said = format!("{flag} is empty");
        let run = || world.command_as("token", "exoscale");
        for run in [run().arg(flag).arg(""), run().arg(&format!("{flag}="))] {
            stopped(run.run(), &world, USAGE, &[&said, "  hint: ", flag]);
        }
    }
}

#[test]
fn a_gitlab_variable_that_does_not_exist_is_reported_by_name() {
    let world = World::start();
    for (name, value) in
        [("VAULT_ADDR", "$VAULT_PROD_ADDR"), ("VAULT_TOKEN", "${DEPLOY_TOKEN}"), ("CI_CREDS_ROLE", "$ROLE")]
    {
        let run = world.command_as("token", "exoscale").env(name, value);
        let inner = value.trim_matches(['$', '{', '}']);
        stopped(run.run(), &world, CONFIG, &[name, &format!("GitLab has no variable {inner}"), "  hint: define"]);
    }
    // The file that sets the variable is the mistake: GitLab makes the token for `id_tokens:` alone.
    let run = world.command("exoscale").env("VAULT_ID_TOKEN", "$VAULT_ID_TOKEN");
    let yaml =
        "`id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`, and remove VAULT_ID_TOKEN from `variables:`";
    stopped(run.run(), &world, CONFIG, &["GitLab has no variable VAULT_ID_TOKEN", yaml]);
}

#[test]
fn no_role_and_a_placeholder_without_a_value_say_what_to_set() {
    let world = World::start();
    let words = ["the Exoscale role is not set", "CI_CREDS_EXOSCALE_ROLE", "VAULT_AUTH_ROLE", "--role NAME"];
    stopped(world.command_as("token", "exoscale").run(), &world, CONFIG, &words);
    let role = |role: &str| world.command_as("token", "aws").arg("--role").arg(role);
    stopped(role("{project_id}").run(), &world, CONFIG, &["{project_id}", "no value in this job", "CI_PROJECT_ID"]);
    stopped(role("{environment}").run(), &world, CONFIG, &["give the job an `environment:`"]);
    stopped(role("{nope}").run(), &world, USAGE, &["placeholder that does not exist", "project_id"]);
    stopped(role("{project_id").run(), &world, USAGE, &["brace"]);
    let run = role("{project_path}").env("CI_PROJECT_PATH", "group/project");
    stopped(
        run.run(),
        &world,
        CONFIG,
        &["a character that a role cannot have", "CI_PROJECT_PATH", "project_path_slug"],
    );
    let run = role("x{ref}").env("VAULT_ID_TOKEN", &world.id_token().git_ref("../../sys/raw\u{0}").sign());
    stopped(run.run(), &world, CONFIG, &["the ID token's claim ref"]);
}

#[test]
fn an_invalid_duration_region_or_name_is_reported_by_its_flag() {
    let world = World::start();
    for bad in ["soon", "0", "-1", "1.5h", "1x", "99999999999999999999", "1h30"] {
        for flag in ["--timeout", "--request-timeout", "--connect-timeout"] {
            let run = world.command_as("token", EXOSCALE).arg(&format!("{flag}={bad}"));
            stopped(run.run(), &world, USAGE, &[flag, "is not a duration", "20m"]);
        }
        let run = world.command_as("token", "aws --role x").arg(&format!("--ttl={bad}"));
        stopped(run.run(), &world, USAGE, &["--ttl", "is not a duration"]);
    }
    let run = world.command_as("token", EXOSCALE).env("VAULT_CLIENT_TIMEOUT", "soon");
    stopped(run.run(), &world, USAGE, &["VAULT_CLIENT_TIMEOUT"]);
    for (line, words) in [
        ("aws --role x --region EU", ["region", "--region"]),
        ("aws --role x --region a;b", ["region", "--region"]),
        ("aws --role x --session-name a/b", ["session name", "--session-name"]),
        ("aws --role x --role-arn arn:;x", ["role ARN", "--role-arn"]),
        ("exoscale --role x --zone $(id)", ["zone", "--zone"]),
    ] {
        stopped(world.command_as("token", line).run(), &world, USAGE, &words);
    }
}

#[test]
fn a_role_id_logs_in_alone_where_its_role_binds_no_secret_id_and_auth_names_the_way() {
    let world = World::start();
    let settings = json!({ "bind_secret_id": false, "token_bound_cidrs": ["127.0.0.0/8"], "token_policies": ["job"] });
    world.vault.write(&format!("auth/approle/role/{ROLE}"), settings);
    let run = |line: &str| world.command(line).env("VAULT_ROLE_ID", &world.role_id);
    let line = format!("exoscale --role {ROLE} --auth secret-id");
    world.vault.forget_requests();
    let ran = run(&line).arg("-v").run();
    assert!(ran.stderr.contains("login: role ID at auth/approle (from VAULT_ROLE_ID)"), "{ran:?}");
    ran.ok();
    assert_eq!(world.requests(), ["POST auth/approle/login".to_owned(), format!("GET exoscale/apikey/{ROLE}")]);
    // Without --auth, the role ID alone is no way.
    run(&format!("exoscale --role {ROLE}")).run().failed(78, "config");
    // An answer that is lost costs nothing, and a role that asks for a secret ID says so.
    world.vault.inject(On::path("auth/approle/login"), Fault::cut_answer(0));
    run(&line).run().ok();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "bind_secret_id": true }));
    run(&line).run().refused(&world, 77, "denied", &["missing secret"], &["VAULT_SECRET_ID", "bind_secret_id=false"]);
}
