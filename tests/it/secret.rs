use std::os::unix::fs::PermissionsExt;

use crate::support::World;
use crate::support::expect::stopped;

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

const INPUT: (i32, &str) = (66, "input");
const CONFIG: (i32, &str) = (78, "config");

#[test]
fn a_secret_and_its_file_twin_at_once_are_not_chosen_from() {
    let world = World::start();
    for (method, name) in [
        ("token", "VAULT_TOKEN"),
        ("secret-id", "VAULT_SECRET_ID"),
        ("secret-id", "VAULT_ROLE_ID"),
        ("id-token", "VAULT_ID_TOKEN"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN"),
    ] {
        let run = world.command_as(method, EXOSCALE).env(&format!("{name}_FILE"), "/nonexistent");
        stopped(run.run(), &world, CONFIG, &[name, &format!("{name}_FILE are both set"), "  hint: keep one"]);
    }
}

#[test]
fn nothing_to_log_in_with_names_everything_that_was_looked_for() {
    let world = World::start();
    let names = [
        "VAULT_WRAPPING_TOKEN",
        "VAULT_SECRET_ID",
        "VAULT_APPROLE_ROLE",
        "VAULT_ID_TOKEN",
        "VAULT_TOKEN",
        "_FILE",
        "~/.vault-token",
        "token helper",
        "id_tokens:",
    ];
    stopped(world.command(EXOSCALE).run(), &world, CONFIG, &names);
    let run = world.command(EXOSCALE).env("VAULT_SECRET_ID", "x");
    stopped(run.run(), &world, CONFIG, &["VAULT_SECRET_ID is set, but not VAULT_ROLE_ID"]);
    let run = world.command(EXOSCALE).env("VAULT_ROLE_ID", "x");
    stopped(
        run.run(),
        &world,
        CONFIG,
        &["VAULT_ROLE_ID is set, but not what goes with it", "VAULT_SECRET_ID", "--auth secret-id"],
    );
}

#[test]
fn a_way_that_was_asked_for_and_has_no_input_names_the_variable() {
    let world = World::start();
    for (way, name) in [
        ("wrapping-token", "VAULT_WRAPPING_TOKEN"),
        ("secret-id", "VAULT_ROLE_ID"),
        ("generator-token", "VAULT_ROLE_ID"),
        ("id-token", "VAULT_ID_TOKEN"),
        ("token", "VAULT_TOKEN"),
    ] {
        // What another way needs is there, and does not help.
        let other = if way == "id-token" { "token" } else { "id-token" };
        let run = world.command_as(other, &format!("{EXOSCALE} --auth {way}"));
        stopped(run.run(), &world, INPUT, &[name, way, "  hint: "]);
    }
    let run = world.command_as("token", EXOSCALE).env("CI_CREDS_AUTH", "password");
    stopped(run.run(), &world, CONFIG, &["CI_CREDS_AUTH", "id-token"]);
    let run = world.command_as("token", &format!("{EXOSCALE} --id-token-env MY_TOKEN"));
    stopped(run.run(), &world, INPUT, &["MY_TOKEN (from --id-token-env) is not set", "id_tokens"]);
    let run = world
        .command_as("generator-token", &format!("{EXOSCALE} --auth generator-token"))
        .without("VAULT_APPROLE_ROLE");
    stopped(run.run(), &world, INPUT, &["VAULT_APPROLE_ROLE", "--auth-role"]);
    let run = world.command(EXOSCALE).env("VAULT_ID_TOKEN", "not.a.jwt");
    stopped(run.run(), &world, INPUT, &["the ID token in VAULT_ID_TOKEN is not a JWT", "id_tokens"]);
}

// check: 9
#[test]
fn a_secret_file_that_is_missing_empty_or_garbled_is_told_by_its_path() {
    let world = World::start();
    let token = world.token("job");
    let cases = [
        (String::new(), "is empty"),
        ("\n".to_owned(), "is empty"),
        ("\r\n\t \r\n".to_owned(), "is empty"),
        (format!("{}\n{}", &token[..20], &token[20..]), "not printable ASCII"),
        (format!("{token}\u{a0}"), "not printable ASCII"),
        (format!("\u{feff}{token}"), "at byte 1"),
        (format!("{token}\0"), "not printable ASCII"),
        ("x".repeat(70_000), "longer than 64 KiB"),
    ];
    for (text, word) in cases {
        let path = world.file("token", &text).display().to_string();
        let run = world.command(EXOSCALE).env("VAULT_TOKEN_FILE", &path);
        stopped(run.run(), &world, INPUT, &[&path, word]);
    }
    let run = world.command(EXOSCALE).env("VAULT_TOKEN_FILE", "/nonexistent/token");
    stopped(run.run(), &world, INPUT, &["/nonexistent/token", "VAULT_TOKEN_FILE", "does not exist"]);
    for path in [world.home().display().to_string(), "/dev/zero".to_owned()] {
        let run = world.command(EXOSCALE).env("VAULT_TOKEN_FILE", &path);
        stopped(run.run(), &world, INPUT, &[&path, "not a regular file"]);
    }
    let run = world.command(EXOSCALE).env("VAULT_TOKEN", "two words");
    stopped(run.run(), &world, INPUT, &["VAULT_TOKEN", "at byte 4", "one line"]);
}

#[test]
fn line_ends_and_blanks_around_a_secret_do_not_count_in_a_file_and_in_a_variable() {
    let world = World::start();
    let token = world.token("job");
    for text in [format!("{token}\r\n"), format!("\r\n\n{token}\n\r\n\n"), format!(" {token}\t\n")] {
        let path = world.file("token", &text).display().to_string();
        world.command(EXOSCALE).env("VAULT_TOKEN_FILE", &format!("\n{path}\r\n")).run().ok();
        world.command(EXOSCALE).env("VAULT_TOKEN", &text).run().ok();
    }
}

#[test]
fn a_token_file_that_others_can_write_is_refused_and_one_that_they_can_read_is_warned_of() {
    let world = World::start();
    let path = world.file("token", &world.token("job"));
    let mode = |bits| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(bits)).unwrap();
    let run = world.command(&format!("{EXOSCALE} --token-file {}", path.display()));
    for bits in [0o666, 0o602, 0o660] {
        mode(bits);
        stopped(run.run(), &world, INPUT, &["can be written by other users", "chmod 600"]);
    }
    mode(0o644);
    let ran = run.run();
    assert!(ran.stderr.contains("warning: the Vault token file") && ran.stderr.contains("chmod 600"), "{ran:?}");
    ran.ok();
    // GitLab's own file variables are world-writable, beside the checkout.
    std::fs::create_dir(world.path("work.tmp")).unwrap();
    let path = world.file("work.tmp/TOKEN", &world.token("job"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let run = world.command(EXOSCALE).env("CI_PROJECT_DIR", &world.path("work").display().to_string());
    let ran = run.env("VAULT_TOKEN_FILE", &path.display().to_string()).run();
    assert!(ran.stderr.contains("warning: "), "{ran:?}");
    ran.ok();
}

#[test]
fn a_downgrade_is_not_taken_from_a_file_that_a_variable_chose() {
    let world = World::start();
    for line in [
        "allow-plaintext = true",
        "insecure-skip-verify = true",
        "redirect-hosts = [\"evil:8200\"]",
        "allowed-origins = []",
    ] {
        let config = world.file("config.toml", &format!("{line}\n")).display().to_string();
        let run = world.command_as("token", EXOSCALE).env("CI_CREDS_CONFIG", &config);
        stopped(run.run(), &world, CONFIG, &[&config, "only root may", "/etc/ci-creds/config.toml"]);
        std::fs::create_dir_all(world.home().join(".config/ci-creds")).unwrap();
        world.file("home/.config/ci-creds/config.toml", &format!("{line}\n"));
        let run = world.command_as("token", EXOSCALE).env("WORKSPACE", &world.path("work").display().to_string());
        stopped(run.run(), &world, CONFIG, &["only root may"]);
        std::fs::remove_file(world.home().join(".config/ci-creds/config.toml")).unwrap();
    }
}

// check: 3
#[test]
fn a_token_in_a_configuration_file_is_not_repeated() {
    let world = World::start();
    let token = world.token("job");
    for text in ["retries = 'TOKEN'", "aws = 'TOKEN'", "TOKEN = 1", "address = TOKEN", "TOKEN", "auth = 'TOKEN'"] {
        let config = world.file("config.toml", &text.replace("TOKEN", &token)).display().to_string();
        let run = world.command(EXOSCALE).env("CI_CREDS_CONFIG", &config).arg("-v");
        stopped(run.run(), &world, CONFIG, &[&config]);
    }
}

#[test]
fn a_configuration_file_that_is_wrong_is_told_by_line() {
    let world = World::start();
    for (text, word) in [("address = 7\n", "line 1"), ("\n\nrolle = 'x'\n", "line 3"), ("[aws\n", "line 1")] {
        let config = world.file("config.toml", text).display().to_string();
        let run = world.command_as("token", EXOSCALE).env("CI_CREDS_CONFIG", &config);
        stopped(run.run(), &world, CONFIG, &[&config, word]);
    }
    let run = world.command_as("token", EXOSCALE).env("CI_CREDS_CONFIG", "/nonexistent.toml");
    stopped(run.run(), &world, CONFIG, &["/nonexistent.toml", "CI_CREDS_CONFIG", "does not exist"]);
    let config = world.file("config.toml", "");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o666)).unwrap();
    let run = world.command_as("token", EXOSCALE).env("CI_CREDS_CONFIG", &config.display().to_string());
    stopped(run.run(), &world, CONFIG, &["can be written by other users", "chmod 644"]);
}

#[test]
fn an_id_token_for_another_vault_is_not_sent() {
    let world = World::start();
    let run = world.command_as("id-token", EXOSCALE).env("VAULT_CACERT_BYTES", "x");
    for address in ["https://vault.example.com.evil.invalid", "https://evil.invalid:8200"] {
        let ran =
            world.command_as("id-token", EXOSCALE).env("VAULT_ADDR", address).env("VAULT_CACERT_BYTES", "x").run();
        stopped(ran, &world, CONFIG, &["is meant for vault.example.com", "it was not sent", "--any-audience"]);
    }
    // The text of the CA is looked at only when a client is made: the audience came first.
    let ran = run.env("VAULT_ADDR", "https://vault.example.com").run();
    stopped(ran, &world, CONFIG, &["no certificate in VAULT_CACERT_BYTES"]);
}

// check: 3
#[test]
fn a_secret_in_the_place_of_its_path_is_not_repeated() {
    let world = World::start();
    let identity = dev_vault::DevVault::builder().tls(dev_vault::Tls::Valid).start().client_identity().clone();
    let jwt = world.id_token().sign();
    let cases = [
        ("VAULT_TOKEN_FILE", world.token("job"), INPUT),
        ("VAULT_SECRET_ID_FILE", world.secret_id(), INPUT),
        ("VAULT_WRAPPING_TOKEN_FILE", world.wrapping_token(), INPUT),
        // Longer than any file's name.
        ("VAULT_ID_TOKEN_FILE", jwt, INPUT),
        ("VAULT_CLIENT_KEY", identity.key_pem, CONFIG),
    ];
    for (name, value, ends) in cases {
        let run = world.command(EXOSCALE).env(name, &value).env("VAULT_ADDR", "https://127.0.0.1:1");
        let run = match name {
            "VAULT_SECRET_ID_FILE" => run.env("VAULT_ROLE_ID", "x"),
            "VAULT_CLIENT_KEY" => run.env("VAULT_CLIENT_CERT", &world.file("x.pem", "x").display().to_string()),
            _ => run,
        };
        let ran = run.run();
        assert!(ran.stderr.contains("hint: ") && !value.lines().any(|line| ran.stderr.contains(line)), "{ran:?}");
        stopped(ran, &world, ends, &[name]);
    }
    // A path that leads nowhere is told: it shows the mistake in it.
    let run = world.command(EXOSCALE).env("VAULT_TOKEN_FILE", "/nonexistent/token");
    stopped(run.run(), &world, INPUT, &["/nonexistent/token"]);
}

// check: 21
#[test]
fn what_is_no_secret_is_told_for_what_it_is_before_any_request_and_not_repeated() {
    let world = World::start();
    let token = world.token("job");
    let uuid = world.secret_id();
    let batch = "hvb.AAAAAQKxVUYuJRqb7nHRmRmTyQ";
    let id_token = world.id_token().sign();
    for (method, name, value, word) in [
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", "null", "prints for nothing"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", "[MASKED]", "a mask"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", "***", "a mask"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", "/run/secrets/wrapping-token", "is a path"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", &uuid, "is a UUID"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", &format!("\"{token}\""), "has quotes"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", &format!("VAULT_WRAPPING_TOKEN={token}"), "has a name"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", &format!("Bearer {token}"), "or a header in front"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", batch, "is a batch"),
        ("wrapping-token", "VAULT_WRAPPING_TOKEN", &id_token, "is an ID token"),
        ("wrapping-token", "VAULT_ROLE_ID", "null", "prints for nothing"),
        ("secret-id", "VAULT_SECRET_ID", &token, "is a token"),
        ("secret-id", "VAULT_SECRET_ID", "[MASKED]", "a mask"),
        ("secret-id", "VAULT_ROLE_ID", &token, "is a token"),
        ("generator-token", "VAULT_TOKEN", &id_token, "is an ID token"),
        ("id-token", "VAULT_ID_TOKEN", &token, "is a token of Vault"),
        ("id-token", "VAULT_ID_TOKEN", "null", "prints for nothing"),
        ("token", "VAULT_TOKEN", &format!("'{token}'"), "has quotes"),
        ("token", "VAULT_TOKEN", &format!("X-Vault-Token: {token}"), "or a header in front"),
        ("token", "VAULT_TOKEN", "/home/ci/.vault-token", "is a path"),
    ] {
        let run = world.command_as(method, EXOSCALE);
        world.vault.forget_requests();
        let before = world.vault.connections();
        let ran = run.env(name, value).run().failed(66, "input");
        ran.assert_marker(66);
        assert!(ran.stderr.contains(name) && ran.stderr.contains(word), "{word}: {ran:?}");
        assert!(ran.stderr.contains("  hint: ") && !ran.stderr.contains(value), "{ran:?}");
        world.assert_no_secret_in(&ran.stderr);
        assert_eq!(world.vault.connections(), before, "{name}: {word}");
        // The same in a file.
        let path = world.file("secret", &format!("{value}\n")).display().to_string();
        let run = world.command_as(method, EXOSCALE).without(name).env(&format!("{name}_FILE"), &path);
        let ran = run.run().failed(66, "input");
        assert!(ran.stderr.contains(&path) && ran.stderr.contains(word), "{word}: {ran:?}");
    }
}

#[test]
fn a_token_of_the_other_kind_is_named_by_the_refusal() {
    let world = World::start();
    let run = world.command(EXOSCALE).env("VAULT_TOKEN", &world.wrapping_token());
    run.run().refused(&world, 77, "denied", &["VAULT_TOKEN"], &["VAULT_WRAPPING_TOKEN"]);
    let run = world.command_as("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", &world.token("job"));
    run.run().refused(&world, 79, "spent", &["is not valid"], &["if it is an ordinary token, set VAULT_TOKEN"]);
}

// check: 21
#[test]
fn a_generator_token_without_its_approle_is_not_told_to_widen_its_policy() {
    let world = World::start();
    let child = format!("{EXOSCALE} --child-token");
    for line in [EXOSCALE, "aws --role 365-dev", &child] {
        let run = world.command_as("generator-token", line).without("VAULT_APPROLE_ROLE");
        let words = ["may not use", "VAULT_ROLE_ID is set without VAULT_APPROLE_ROLE"];
        let ran = run.run().refused(&world, 77, "denied", &words, &["set VAULT_APPROLE_ROLE", "--auth token"]);
        assert!(!ran.stderr.contains("capabilities") && !ran.stderr.contains("policy needs"), "{ran:?}");
    }
    // A plain token beside a role id still works, and one that was asked for is told of its policy.
    world.command_as("token", EXOSCALE).env("VAULT_ROLE_ID", &world.role_id).run().ok();
    let run = world.command_as("token", "exoscale --role other --auth token").env("VAULT_ROLE_ID", &world.role_id);
    run.run().refused(&world, 77, "denied", &["does not allow"], &["capabilities"]);
}
