use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use dev_vault::{DevVault, Dialect, Fault, On};
use serde_json::{Value, json};

use crate::support::{ROLE, Run, World, exports};

/// Every character that some shell or reader acts on.
const HOSTILE: &str = "a'b\"c$(touch pwned)`touch pwned`\\n* ?[x]{y};#&|<>!~%s \u{e4}\u{2019}z";

/// A world whose jobs may use these mounts, each an engine of the double's table or KV.
fn world() -> World {
    let world = World::start();
    let paths =
        ["database", "rabbitmq", "kubernetes", "consul", "nomad", "azure", "terraform", "gcp", "pki", "ssh", "totp"];
    for kind in paths {
        world.vault.write(&format!("sys/mounts/{kind}"), json!({ "type": kind }));
        world.vault.write(&format!("{kind}/roles/app"), json!({ "db_name": "x" }));
    }
    world.vault.write("sys/mounts/kv", json!({ "type": "kv", "options": { "version": "1" } }));
    world.vault.write("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
    let one =
        json!({ "token": "npm_0123456789abcdef", "hostile_token": HOSTILE, "port": 5432, "on": true, "none": null });
    world.vault.write("kv/ci", one.clone());
    world.vault.write("secret/data/ci", json!({ "data": one }));
    let policy: String = paths
        .iter()
        .chain(&["kv", "secret"])
        .map(|mount| format!("path \"{mount}/*\" {{ capabilities = [\"read\", \"update\", \"create\"] }}\n"))
        .collect();
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    world.vault.forget_requests();
    world
}

fn run(world: &World, line: &str) -> Run {
    world.command_as("secret-id", &format!("secret {line}"))
}

fn object(stdout: &str) -> Value {
    serde_json::from_str(stdout).unwrap_or_else(|_| panic!("{stdout}"))
}

#[test]
fn every_engine_is_asked_as_it_wants_and_its_fields_are_set() {
    let world = world();
    let file = |text: &str| Path::new(text).to_owned();
    // The path, the flags, the request, and whether a lease ends it.
    for (path, flags, method, leased) in [
        ("kv/ci", "--env A=token --env B=port --env C=on --kv 1", "GET", false),
        ("kv/ci", "--env A=token", "GET", false),
        ("secret/data/ci", "--env A=token --kv 2", "GET", false),
        ("secret/data/ci", "--env A=/token", "GET", false),
        ("database/creds/app", "--env PGUSER=username --env PGPASSWORD=password", "GET", true),
        ("database/static-creds/app", "--env A=username --env B=ttl --expires ttl", "GET", false),
        ("rabbitmq/creds/app", "--env A=username --env B=password", "GET", true),
        ("kubernetes/creds/app", "--set kubernetes_namespace=prod --env A=service_account_token", "POST", true),
        ("consul/creds/app", "--env CONSUL_HTTP_TOKEN=token --env L=local", "GET", true),
        ("nomad/creds/app", "--env NOMAD_TOKEN=secret_id", "GET", true),
        ("azure/creds/app", "--env ARM_CLIENT_ID=client_id --env ARM_CLIENT_SECRET=client_secret", "GET", true),
        ("terraform/creds/app", "--env TFE_TOKEN=token", "GET", true),
        ("terraform/creds/app", "--write --env TFE_TOKEN=token", "POST", true),
        ("gcp/roleset/app/token", "--env T=token --expires expires_at_seconds", "GET", false),
        ("gcp/roleset/app/key", "--file KEY=private_key_data", "GET", true),
        (
            "pki/issue/app",
            "--set common_name=x --file K=private_key --env S=serial_number --expires expiration",
            "POST",
            false,
        ),
        ("pki/issue/app", "--set common_name=x --file CHAIN=ca_chain --env E=/ca_chain/0", "POST", false),
        ("ssh/sign/app", "--set public_key=k --file CERT=signed_key", "POST", false),
        ("ssh/creds/app", "--set ip=10.0.0.1 --env OTP=key --env PORT=port", "POST", true),
        ("totp/code/app", "--env CODE=code", "GET", false),
    ] {
        // Of PKI's chain, an element has several lines, which no variable takes.
        if flags.contains("/ca_chain/0") {
            let ran = run(&world, &format!("--path {path} {flags}")).run();
            ran.refused(&world, 65, "data", &["/ca_chain/0", "several lines"], &["--file E=/ca_chain/0"]);
            continue;
        }
        world.vault.forget_requests();
        let answer = object(&run(&world, &format!("--path {path} {flags} --format json")).run().ok());
        assert_eq!(world.requests(), ["POST auth/approle/login".to_owned(), format!("{method} {path}")], "{path}");
        let names: Vec<_> = flags.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect();
        let variables = answer["variables"].as_object().expect("variables");
        assert_eq!(answer.get("lease_id").is_some(), leased, "{path}: {answer}");
        let expires = leased || flags.contains("--expires");
        assert_eq!(answer.get("expiration").is_some(), expires, "{path}: {answer}");
        for (name, value) in variables {
            let value = value.as_str().expect("a text");
            assert!(names.contains(&name.as_str()) && !value.is_empty(), "{path}: {answer}");
            if flags.contains(&format!("--file {name}=")) {
                let text = std::fs::read_to_string(file(value)).expect("the private file");
                assert!(text.len() > 20, "{path}: {text}");
            }
        }
    }
    let set = exports(&run(&world, "--path kv/ci --env A=token --env B=port --env C=on").run().ok());
    let set: Vec<_> = set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(set, [("A", "npm_0123456789abcdef"), ("B", "5432"), ("C", "true")]);
}

// check: 24
#[test]
fn a_value_of_any_characters_reaches_its_reader_unchanged() {
    let world = world();
    let line = "--path secret/data/ci --env A=token --env X=hostile_token";
    let folder = world.path("work");
    std::fs::write(folder.join("x"), "").expect("a file that a pattern finds");
    for shell in ["sh", "bash", "dash", "zsh", "ksh", "mksh"] {
        for eval in ["eval $(\"$@\")", "eval \"$(\"$@\")\""] {
            let job = run(&world, line);
            let script = format!("set -e; {eval}; printf '%s' \"$X\"; printf '|%s' \"$A\"");
            let mut command = Command::new(shell);
            command.args(["-c", &script, shell, env!("CARGO_BIN_EXE_ci-creds")]).args(&job.arguments);
            command.env_clear().envs(job.variables()).current_dir(&folder).stdin(Stdio::null());
            let Ok(output) = command.output() else { continue };
            let text = String::from_utf8_lossy(&output.stdout);
            assert_eq!(text, format!("{HOSTILE}|npm_0123456789abcdef"), "{shell} {eval}: {output:?}");
        }
    }
    assert!(!folder.join("pwned").exists());
    assert_eq!(std::fs::read_dir(world.path("tmp")).unwrap().count(), 0, "a file that was sourced is gone");
    let answer = object(&run(&world, &format!("{line} --format json")).run().ok());
    assert_eq!(answer["variables"]["X"], HOSTILE);
    let powershell = run(&world, &format!("{line} --format powershell")).run().ok();
    assert!(powershell.contains(&HOSTILE.replace('\'', "''").replace('\u{2019}', "\u{2019}\u{2019}")), "{powershell}");
    let ran = run(&world, &format!("{line} --format dotenv")).run();
    let ran = ran.failed(65, "data");
    assert!(ran.stdout.is_empty() && ran.stderr.contains("X has a character"), "{ran:?}");
}

#[test]
fn several_sections_are_one_login_and_all_or_nothing() {
    let world = world();
    let text = "[secret.db]\npath = \"database/creds/app\"\nenv = { PGUSER = \"username\", PGPASSWORD = \"password\" }\n\
                [secret.k8s]\npath = \"kubernetes/creds/app\"\nbody = { kubernetes_namespace = \"prod\", audiences = [\"a\", \"b\"] }\n\
                file = { KUBE_TOKEN_FILE = \"service_account_token\" }\nunset = [\"KUBECONFIG\"]\n\
                [secret.npm]\npath = \"secret/data/ci\"\nkv = 2\nenv = { NPM_TOKEN = \"token\" }\n\
                [secret.nowhere]\npath = \"database/creds/nobody\"\nenv = { N = \"username\" }\n\
                [secret.by-project]\npath = \"database/creds/{project_name}\"\nenv = { PGUSER = \"username\" }\n";
    let config = world.file("c.toml", text).display().to_string();
    let line = |names: &str| run(&world, &format!("{names} --config {config}"));
    let stdout = line("db k8s npm").run().ok();
    let requests =
        ["POST auth/approle/login", "GET database/creds/app", "POST kubernetes/creds/app", "GET secret/data/ci"];
    assert_eq!(world.requests(), requests);
    assert_eq!(world.vault.requests()[2].json(), json!({ "kubernetes_namespace": "prod", "audiences": ["a", "b"] }));
    assert!(stdout.starts_with("unset PGPASSWORD PGUSER KUBE_TOKEN_FILE KUBECONFIG NPM_TOKEN;\n"), "{stdout}");
    let set = exports(&stdout);
    assert_eq!(set.keys().collect::<Vec<_>>(), ["KUBE_TOKEN_FILE", "NPM_TOKEN", "PGPASSWORD", "PGUSER"]);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&set["KUBE_TOKEN_FILE"]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(world.vault.live_leases().len(), 2);
    let answer = object(&line("db npm --format json").run().ok());
    assert_eq!((&answer["secrets"][0]["name"], &answer["secrets"][1]["name"]), (&json!("db"), &json!("npm")));

    for lease in world.vault.live_leases() {
        world.vault.write("sys/leases/revoke", json!({ "lease_id": lease.id }));
    }
    for method in ["secret-id", "token"] {
        let policy = "path \"database/*\" { capabilities = [\"read\"] }\npath \"sys/leases/revoke\" { capabilities = [\"update\"] }";
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        let ran = world.command_as(method, &format!("secret db nowhere --config {config}")).run();
        let ran = ran.refused(&world, 78, "config", &["there is no database/creds/nobody", "unknown role"], &["mount"]);
        assert!(ran.stdout.starts_with("unset PGPASSWORD PGUSER N;\n"), "{ran:?}");
        assert_eq!(world.vault.live_leases(), [], "{method}");
    }
    let set = exports(&line("by-project").env("CI_PROJECT_NAME", "app").run().ok());
    assert!(set["PGUSER"].ends_with("-app"), "{set:?}");
}

#[test]
fn a_command_gets_secrets_beside_a_cloud_and_its_private_files_go_with_it() {
    let world = world();
    let policy = "path \"aws/sts/*\" { capabilities = [\"read\", \"update\"] }\npath \"database/*\" { capabilities = [\"read\"] }\n\
                  path \"gcp/*\" { capabilities = [\"read\"] }\npath \"secret/*\" { capabilities = [\"read\"] }\n\
                  path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    let text = "[secret.db]\npath = \"database/creds/app\"\nenv = { PGUSER = \"username\" }\n\
                [secret.gcp]\npath = \"gcp/roleset/app/key\"\nfile = { GOOGLE_KEY = \"private_key_data\" }\n\
                [secret.x]\npath = \"secret/data/ci\"\nenv = { X = \"hostile_token\" }\n";
    let config = world.file("c.toml", text).display().to_string();
    let line = format!("exec secret:db secret:gcp secret:x aws --role 365-dev --config {config} -- sh -c");
    let job = world.command_as("secret-id", &line).arg("cat \"$GOOGLE_KEY\" >&2; env -0");
    let ran = job.run();
    let key = ran.stderr.clone();
    let pairs = ran.ok();
    let set: BTreeMap<_, _> = pairs.split('\0').filter_map(|pair| pair.split_once('=')).collect();
    assert!(set["AWS_ACCESS_KEY_ID"].starts_with("ASIA") && set["PGUSER"].ends_with("-app"), "{set:?}");
    assert_eq!(set["X"], HOSTILE);
    assert!(key.len() >= 43 && !Path::new(set["GOOGLE_KEY"]).exists(), "{key}");
    assert_eq!(std::fs::read_dir(world.path("tmp")).unwrap().count(), 0);
    assert!(
        world.vault.live_leases().iter().all(|lease| lease.path.starts_with("aws/")),
        "{:?}",
        world.vault.live_leases()
    );

    let ran = world.command_as("secret-id", &format!("exec secret:nope --config {config} -- true")).run();
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("no configuration file has a section for the secret \"nope\""), "{ran:?}");
}

#[test]
fn an_answer_that_cannot_be_used_gives_its_lease_back() {
    let world = world();
    for (flags, words, hint) in [
        ("--env A=nope", "has no nope", "vault read"),
        ("--env A=usernam", "has no usernam", "did you mean username?"),
        ("--env A=username --expires password", "password in the answer", "RFC 3339"),
    ] {
        let ran = run(&world, &format!("--path database/creds/app {flags}")).run();
        let ran = ran.refused(&world, 65, "data", &[words, "database/creds/app"], &[hint]);
        world.assert_nothing_left(&ran);
    }
    for (flags, words) in
        [("--env A=none", "has no none, or it is null"), ("--env A=token --kv 2", "is not one of KV 2")]
    {
        run(&world, &format!("--path kv/ci {flags}")).run().refused(&world, 65, "data", &[words], &[]);
    }
    // A write after the time that its field says.
    world.vault.write("kv/old", json!({ "token": "npm_0123456789abcdef", "until": "2020-01-01T00:00:00Z" }));
    let ran = run(&world, "--path kv/old --env A=token --expires until").run();
    ran.refused(&world, 65, "data", &["expired at 2020-01-01T00:00:00Z"], &["write the new one"]);
}

#[test]
fn a_secret_that_is_not_there_is_told_by_what_kv_says_of_it() {
    for dialect in [Dialect::Vault1_16, Dialect::OpenBao] {
        let world = World::with(DevVault::builder().dialect(dialect));
        world.vault.write("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
        let policy = "path \"secret/data/*\" { capabilities = [\"read\"] }";
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        for name in ["deleted", "destroyed"] {
            world.vault.write(&format!("secret/data/{name}"), json!({ "data": { "token": "0123456789" } }));
        }
        world.vault.delete("secret/data/deleted");
        world.vault.write("secret/destroy/destroyed", json!({ "versions": [1] }));
        for kv in ["", " --kv 2"] {
            for (path, code, words, hints) in [
                ("secret/data/deleted", 78, "version 1 was deleted on 20", "undelete"),
                ("secret/data/destroyed", 78, "version 1 is destroyed", "undelete"),
                ("secret/data/nothing", 78, "there is no secret/data/nothing (status 404)", "check the path"),
                ("secret/deleted", 77, "does not allow secret/deleted", "the path is secret/data/deleted"),
            ] {
                let ran = run(&world, &format!("--path {path} --env A=token{kv}")).run();
                let kind = if code == 77 { "denied" } else { "config" };
                let ran = ran.refused(&world, code, kind, &[words], &[hints]);
                world.assert_nothing_left(&ran);
            }
            let root = world.command(&format!("secret --path secret/deleted --env A=token{kv}"));
            let ran = root.env("VAULT_TOKEN", world.vault.root_token().as_str()).run();
            ran.refused(
                &world,
                78,
                "config",
                &["Invalid path for a versioned K/V"],
                &["the path is secret/data/deleted"],
            );
        }
    }
}

#[test]
fn the_method_is_named_that_an_engine_takes() {
    let world = world();
    for (line, words, hint) in [
        ("--path pki/issue/app --env A=serial_number", "does not take a read", "--set NAME=VALUE"),
        ("--path database/creds/app --set x=y --env A=username", "does not take a write", "drop --set"),
    ] {
        let ran = run(&world, line).run().refused(&world, 78, "config", &[words], &[hint]);
        world.assert_nothing_left(&ran);
    }
    world.vault.write("sys/policies/acl/job", json!({ "policy": "path \"x/*\" { capabilities = [\"read\"] }" }));
    let ran = run(&world, "--path pki/issue/app --set common_name=x --env A=serial_number").run();
    ran.refused(&world, 77, "denied", &["pki/issue/app"], &["path \"pki/issue/app\" { capabilities = [\"update\"] }"]);
}

// check: 10, 18
#[test]
fn what_steers_programs_and_what_is_no_path_is_refused_before_the_first_request() {
    let world = world();
    for (line, code, words) in [
        ("--path kv/ci --env PATH=token", 64, "PATH changes how the programs of the job run"),
        ("--path kv/ci --env LD_PRELOAD=token", 64, "LD_PRELOAD changes"),
        ("--path kv/ci --env VAULT_TOKEN=token", 64, "VAULT_TOKEN changes"),
        ("--path kv/ci --file GIT_SSH_COMMAND=token", 64, "GIT_SSH_COMMAND changes"),
        ("--path kv/ci --env A=token --unset PATH", 64, "PATH changes"),
        ("--path kv/ci --env token", 64, "--env takes a variable and a field"),
        ("--path kv/ci --env A-B=token", 64, "is not the name of a variable"),
        ("--path kv/ci --env A=token --file A=port", 78, "A is set twice"),
        ("--path kv/ci", 64, "the secret sets no variable"),
        ("--path sys/raw/x --env A=token", 64, "is of Vault itself"),
        ("--path auth/token/create --write --env A=token", 64, "is of Vault itself"),
        ("--path kv --env A=token", 64, "names a mount"),
        ("--path kv/../sys --env A=token", 64, "is not a valid path"),
        ("--path kv/a%2fb --env A=token", 64, "is not a valid path"),
        ("--path kv/{nope} --env A=token", 64, "the path (from --path) has a placeholder that does not exist"),
        ("--path kv/ci --kv 1 --set a=b --env A=token", 64, "is read, not written"),
        ("--path kv/ci --env A=token --format process", 64, "--format process is for AWS"),
        ("db", 78, "no configuration file has a section for the secret \"db\""),
        ("", 64, "no secret is named"),
    ] {
        let ran = world.command(&format!("secret {line}")).env("VAULT_TOKEN", "hvs.CAESIexample0000000000").run();
        let kind = if code == 64 { "usage" } else { "config" };
        let ran = ran.failed(code, kind);
        let marker = if line.contains("process") { String::new() } else { format!("(exit {code});\n") };
        assert!(ran.stderr.contains(words) && ran.stdout.ends_with(&marker), "{line}: {ran:?}");
        assert_eq!(world.vault.connections(), 0, "{line}");
    }
    for (text, words) in [
        ("[secret.x]\npath = 'kv/ci'\nenv = { BASH_ENV = 'token' }", "line 3: BASH_ENV changes"),
        ("[secret.x]\npath = 'kv/ci'\nenv = '*'", "line 3: a value of the wrong type, expected a table of variables"),
        ("[secret.x]\npath = 'kv/ci'", "line 1: the secret sets no variable"),
        ("[secret.x]\nenv = { A = 'b' }", "line 1: the secret has no path"),
        ("[secret.x]\npth = 'kv/ci'", "line 2: there is no key \"pth\" of a secret"),
        ("[secret.x]\nkv = 3", "line 2: a value of the wrong type, expected 1 or 2"),
        ("[secret]\npath = 'kv/ci'", "path stands in no section"),
        ("[secret.x]\npath = 'kv/ci'\nenv = { A = 'b' }\nversion = 2", "`version` is for kv = 2"),
    ] {
        let config = world.file("bad.toml", text).display().to_string();
        let ran = world
            .command(&format!("secret x --config {config}"))
            .env("VAULT_TOKEN", "hvs.CAESIexample0000000000")
            .run();
        stopped_with(&ran.stderr, words);
        assert_eq!((ran.code, world.vault.connections()), (78, 0), "{text}");
    }
}

fn stopped_with(stderr: &str, words: &str) {
    assert!(stderr.contains(words), "{words:?} is not in: {stderr}");
}

// check: 5
#[test]
fn a_lost_answer_of_kv_is_asked_again_and_that_of_a_lease_only_after_its_revocation() {
    let world = world();
    world.vault.inject(On::get("secret/data/ci"), Fault::reset_answer(0));
    run(&world, "--path secret/data/ci --kv 2 --env A=token").run().ok();
    assert_eq!(world.requests()[1..], ["GET secret/data/ci", "GET secret/data/ci"]);
    world.vault.forget_requests();
    let id_token = world.command_as("id-token", "secret --path database/creds/app --env A=username");
    world.vault.inject(On::get("database/creds/app"), Fault::reset_answer(0));
    id_token.run().ok();
    let requests =
        ["GET database/creds/app", "POST auth/token/revoke-self", "POST auth/gitlab/login", "GET database/creds/app"];
    assert_eq!(world.requests()[1..], requests);
    assert_eq!(world.vault.live_leases().len(), 1);
}

#[test]
fn the_cache_keeps_what_expires_for_its_own_fields_and_nothing_else() {
    let world = world();
    let job = world.command_as("id-token", "secret --path database/creds/app --env A=username --cache");
    let first = job.run().ok();
    assert_eq!(job.run().ok(), first);
    assert_eq!(world.count("database/creds/app"), 1);
    let mut other = job.clone();
    other.arguments[4] = "A=password".into();
    assert_ne!(other.run().ok(), first);
    assert_eq!(world.count("database/creds/app"), 2);
    let kv = world.command_as("id-token", "secret --path kv/ci --env A=token --cache");
    kv.run().ok();
    kv.run().ok();
    assert_eq!(world.count("kv/ci"), 2);
}

#[test]
fn a_job_s_secrets_are_noted_and_revoked() {
    let world = world();
    let text = "[secret.db]\npath = \"database/creds/app\"\nenv = { PGUSER = \"username\" }\n\
                [secret.mq]\npath = \"rabbitmq/creds/app\"\nenv = { MQ = \"username\" }\n";
    let config = world.file("c.toml", text).display().to_string();
    let token = world.id_token().sign();
    let in_job = |line: &str| {
        let run = world.command(line).env("CI_JOB_ID", "7").env("VAULT_ID_TOKEN", &token);
        run.env("VAULT_AUTH_PATH", "gitlab").env("VAULT_AUTH_ROLE", ROLE)
    };
    in_job(&format!("secret db mq --config {config}")).run().ok();
    assert_eq!(world.vault.live_leases().len(), 2);
    let ran = in_job("revoke").run();
    assert_eq!(ran.code, 0, "{ran:?}");
    world.assert_nothing_left(&ran);
}

/// What Vault knows of a token.
fn lookup(world: &World, token: &str) -> Value {
    world.vault.write("auth/token/lookup", json!({ "token": token }))["data"].clone()
}

#[test]
fn a_vault_token_is_a_short_lived_child_where_the_policy_allows_one_and_is_revoked_with_its_login() {
    let world = world();
    let policy = "path \"auth/token/create\" { capabilities = [\"update\"] }";
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    let id_token = world.id_token().sign();
    let in_job = |line: &str| {
        let run = world.command(line).env("CI_JOB_ID", "7").env("VAULT_ID_TOKEN", &id_token);
        run.env("VAULT_AUTH_PATH", "gitlab").env("VAULT_AUTH_ROLE", ROLE).env("BAO_ADDR", &world.vault.address())
    };
    let stdout = in_job("token --ttl 10m --uses 7").run().ok();
    assert_eq!(world.requests(), ["POST auth/gitlab/login", "POST auth/token/create"]);
    assert!(stdout.starts_with("unset VAULT_TOKEN VAULT_NAMESPACE BAO_TOKEN BAO_ADDR BAO_NAMESPACE;\n"), "{stdout}");
    let set = exports(&stdout);
    assert_eq!((set.len(), set["VAULT_ADDR"].as_str()), (2, world.vault.address().as_str()));
    let known = lookup(&world, &set["VAULT_TOKEN"]);
    assert_eq!(known["num_uses"], 7);
    assert!(known["ttl"].as_u64().is_some_and(|ttl| (590..=600).contains(&ttl)), "{known}");
    let answer = object(&in_job("token --ttl 10m --format json").run().ok());
    assert_eq!((&answer["provider"], answer.get("expiration").is_some()), (&json!("vault"), true));

    // A token that the user supplies is never handed on, and never revoked.
    let supplied = world.token("job");
    let ran = world.command("token --ttl 10m --format json").env("VAULT_TOKEN", &supplied).run();
    let child = object(&ran.ok())["token"].as_str().expect("a token").to_owned();
    assert!(child != supplied && lookup(&world, &child)["ttl"].as_u64().is_some_and(|ttl| ttl > 590));

    let ran = in_job("revoke").run();
    assert_eq!(ran.code, 0, "{ran:?}");
    world.assert_nothing_left(&ran);
    assert!(lookup(&world, &supplied)["ttl"].as_u64().is_some_and(|ttl| ttl > 0));
}

#[test]
fn a_login_that_may_have_no_child_hands_on_its_own_token_for_so_long() {
    let world = world();
    let ran = run_token(&world, "token --ttl 5m --format json");
    assert!(
        ran.stderr.contains("the token is that of the login, because its policy allows no child of it (403"),
        "{ran:?}"
    );
    let token = object(&ran.ok())["token"].as_str().expect("a token").to_owned();
    let known = lookup(&world, &token);
    assert_eq!(known["path"], "auth/gitlab/login");
    assert!(known["ttl"].as_u64().is_some_and(|ttl| (290..=305).contains(&ttl)), "{known}");
    let ran = run_token(&world, "token --uses 3");
    let policy = ["--uses needs a child", "path \"auth/token/create\" { capabilities = [\"update\"] }"];
    let ran = ran.refused(&world, 77, "denied", &["no child of the login's token was made (403"], &policy);
    assert_eq!(world.count("auth/token/revoke-self"), 1, "{ran:?}");
    let ran = world.command_as("token", "token").run();
    ran.refused(&world, 77, "denied", &["may not create a child token"], &["auth/token/create"]);
    for (line, code, words) in [
        ("token --uses 0", 64, "--uses takes a number"),
        ("token --format process", 64, "is for AWS"),
        ("token --ttl soon", 64, "is not a duration"),
    ] {
        let ran = run_token(&world, line);
        assert!(ran.code == code && ran.stderr.contains(words), "{line}: {ran:?}");
    }
}

fn run_token(world: &World, line: &str) -> crate::support::Ran {
    world.command_as("id-token", line).run()
}
