use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::shell::{self, Stage};
use crate::support::{Ran, Run, World, exports, moto, tool};
use crate::{example, github};

const KEY: &str = "SCWQ7RT2ZK9XW4M1B8ND";
const SECRET: &str = "7c1f0a52-93be-4d68-a1f4-0e5d2b8c6f39";
const PROJECT: &str = "b2d94e17-6a3c-4f80-9e51-c87d0a4f1b26";
const ORGANIZATION: &str = "f0e83b6a-51d2-47c9-8b04-6d1a92e7c350";
const OTHER: &str = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";

/// Names by which Scaleway's tools would find another key.
const ALIASES: [&str; 8] = [
    "SCW_PROFILE",
    "SCW_TOKEN",
    "SCW_ORGANIZATION",
    "SCW_REGION",
    "SCALEWAY_ACCESS_KEY",
    "SCALEWAY_TOKEN",
    "SCALEWAY_ORGANIZATION",
    "SCALEWAY_REGION",
];

/// What a secret has at most.
pub fn whole() -> Value {
    json!({ "access_key": KEY, "secret_key": SECRET, "project_id": PROJECT, "default_organization_id": ORGANIZATION,
            "region": "nl-ams", "zone": "nl-ams-2", "note": "of the team", "expires_at": "2098-02-03T04:05:06Z" })
}

/// A world with this key in a KV engine of each version, at `kv/ci` and `secret/data/ci`.
fn world(secret: &Value) -> World {
    let world = World::start();
    world.vault.write("sys/mounts/kv", json!({ "type": "kv", "options": { "version": "1" } }));
    world.vault.write("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
    let policy = "path \"kv/*\" { capabilities = [\"read\"] }\npath \"secret/data/*\" { capabilities = [\"read\"] }";
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    store(&world, secret);
    world.vault.forget_requests();
    world
}

fn store(world: &World, secret: &Value) {
    world.vault.write("kv/ci", secret.clone());
    world.vault.write("secret/data/ci", json!({ "data": secret }));
}

fn run(world: &World, line: &str) -> Run {
    world.command_as("token", &format!("scaleway {line}"))
}

fn pairs(set: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn a_stored_key_is_exported_from_either_version_of_kv() {
    let world = world(&whole());
    let expected = [
        ("SCW_ACCESS_KEY", KEY),
        ("SCW_DEFAULT_ORGANIZATION_ID", ORGANIZATION),
        ("SCW_DEFAULT_PROJECT_ID", PROJECT),
        ("SCW_DEFAULT_REGION", "nl-ams"),
        ("SCW_DEFAULT_ZONE", "nl-ams-2"),
        ("SCW_SECRET_KEY", SECRET),
    ];
    for path in ["kv/ci", "secret/data/ci"] {
        world.vault.forget_requests();
        let ran = run(&world, &format!("--path {path}")).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        assert_eq!(pairs(&exports(&ran.stdout)), expected);
        assert_eq!(world.requests(), [format!("GET {path}")]);
        let unset = ran.stdout.lines().next().expect("a line").trim_end_matches(';');
        assert_eq!(unset, format!("unset SCW_ACCESS_KEY SCW_SECRET_KEY {}", ALIASES.join(" ")));
    }
    let flags = format!("--project-id {OTHER} --zone fr-par-1");
    let set = exports(&run(&world, &format!("--path kv/ci {flags}")).run().ok());
    assert_eq!((set["SCW_DEFAULT_PROJECT_ID"].as_str(), set["SCW_DEFAULT_ZONE"].as_str()), (OTHER, "fr-par-1"));

    let text = format!("[scaleway]\npath = \"secret/data/{{project_name}}\"\norganization-id = \"{OTHER}\"\n");
    let config = world.file("c.toml", &text).display().to_string();
    let job = run(&world, &format!("--config {config} --format json")).env("CI_PROJECT_NAME", "ci");
    let answer: Value = serde_json::from_str(&job.run().ok()).expect("JSON");
    let expected = json!({ "provider": "scaleway", "path": "secret/data/ci", "access_key": KEY, "secret_key": SECRET,
        "project_id": PROJECT, "organization_id": OTHER, "region": "nl-ams", "zone": "nl-ams-2", "renewable": false,
        "expiration": "2098-02-03T04:05:06Z" });
    assert_eq!(answer, expected);
    let set = exports(&run(&world, "").env("CI_CREDS_SCALEWAY_PATH", "kv/ci").run().ok());
    assert_eq!(set["SCW_ACCESS_KEY"], KEY);
    let told = run(&world, "--path kv/ci").env("CI", "true").run();
    assert!(told.stderr.starts_with("ci-creds: Scaleway key SCWQ7RT... of kv/ci, expires 2098"), "{told:?}");
}

#[test]
fn every_shell_gets_the_key_and_loses_every_other_name_of_one() {
    let world = world(&json!({ "access_key": KEY, "secret_key": SECRET, "default_region": "fr-par" }));
    let job = world.command_as("token", "");
    let stale = ALIASES.iter().chain(&["SCW_SECRET_KEY"]);
    // Where work is done, the job may say: it stays where the secret says nothing.
    let stage = stale.fold(Stage::new(&world, &job), |stage, name| stage.env(name, "stale"));
    let stage = stage.env("SCW_DEFAULT_REGION", "pl-waw").env("SCW_DEFAULT_ZONE", "pl-waw-1");
    let mut expected: BTreeMap<&str, Option<String>> = ALIASES.iter().map(|name| (*name, None)).collect();
    expected.extend(
        [("SCW_ACCESS_KEY", KEY), ("SCW_SECRET_KEY", SECRET), ("SCW_DEFAULT_REGION", "fr-par")]
            .map(|(name, value)| (name, Some(value.to_owned()))),
    );
    let line = "ci-creds scaleway --path secret/data/ci";
    let (before, after) = ("env -0 >\"$OUT/before\"", "env -0 >\"$OUT/after\"");
    for shell in shell::posix() {
        for (open, close) in shell::EVALS {
            let played = stage.play(&shell, &format!("set -eu\n{before}\n{open}{line}{close}\n{after}\n"));
            played.assert_changed(&format!("{} {open}", shell.name), &expected);
        }
    }
    if let Some(fish) = shell::named("fish") {
        let played = stage.play(&fish, &format!("{before}\neval ({line} --format fish)\n{after}\n"));
        played.assert_changed("fish", &expected);
    }
    let text = run(&world, "--path kv/ci --format powershell").run().ok();
    assert!(text.contains(&format!("$env:SCW_SECRET_KEY = '{SECRET}';")), "{text}");
    assert!(text.contains("Remove-Item Env:SCW_PROFILE -ErrorAction SilentlyContinue;"), "{text}");
    let text = run(&world, "--path kv/ci --format dotenv").run().ok();
    assert_eq!(text, format!("SCW_ACCESS_KEY={KEY}\nSCW_SECRET_KEY={SECRET}\nSCW_DEFAULT_REGION=fr-par\n"));
}

/// The file as a parser of YAML reads it; none where there is no parser.
fn read_yaml(path: &Path) -> Option<Value> {
    let python = moto::python().or_else(|| tool::find("python3"))?;
    let mut command = Command::new(python);
    command.args(["-c", "import json, sys, yaml\nprint(json.dumps(yaml.safe_load(open(sys.argv[1]))))"]).arg(path);
    let ran = Ran::of(command);
    if ran.code != 0 {
        tool::miss("yaml", "no parser of YAML reads the file");
        return None;
    }
    Some(serde_json::from_str(&ran.stdout).expect("JSON"))
}

#[test]
fn the_file_of_scw_is_yaml_that_only_this_user_reads() {
    let world = world(&whole());
    let expected = json!({ "access_key": KEY, "secret_key": SECRET, "default_project_id": PROJECT,
        "default_organization_id": ORGANIZATION, "default_region": "fr-par", "default_zone": "nl-ams-2" });
    let stdout = run(&world, "--path secret/data/ci --region fr-par --format file").run().ok();
    let set = exports(&stdout);
    assert_eq!(set.keys().collect::<Vec<_>>(), ["SCW_CONFIG_PATH", "SCW_DEFAULT_REGION"]);
    // A variable would win over the file.
    let unset = stdout.lines().next().expect("a line");
    for name in ["SCW_ACCESS_KEY", "SCW_SECRET_KEY", "SCW_PROFILE", "SCW_DEFAULT_PROJECT_ID", "SCW_DEFAULT_ZONE"] {
        assert!(unset.contains(name), "{unset}");
    }
    let path = Path::new(&set["SCW_CONFIG_PATH"]);
    let mode = std::fs::metadata(path).expect("a file").permissions().mode();
    assert_eq!((path.file_name().expect("a name").to_str(), mode & 0o777), (Some("config.yaml"), 0o600));
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.starts_with(&format!("access_key: \"{KEY}\"\nsecret_key: \"{SECRET}\"\n")), "{text}");
    if let Some(read) = read_yaml(path) {
        assert_eq!(read, expected);
    }

    let own = world.path("home").join("config.yaml");
    let line = format!("--path secret/data/ci --region fr-par --file {}", own.display());
    for _ in 0..2 {
        let set = exports(&run(&world, &line).run().ok());
        assert_eq!(set["SCW_CONFIG_PATH"], own.display().to_string());
        assert_eq!(std::fs::read_to_string(&own).expect("a file"), text);
    }
    let mode = std::fs::metadata(&own).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(&own, "profiles:\n  mine:\n    access_key: x\n").expect("a file");
    world.vault.forget_requests();
    run(&world, &line).run().refused(&world, 73, "create", &["in line 1", "edits no YAML"], &["another one"]);
    let ran = run(&world, "--path kv/ci --format file --profile mine").run();
    ran.refused(&world, 64, "usage", &["--profile does not fit the file of Scaleway"], &["drop --profile"]);
    assert_eq!(world.requests(), [""; 0]);
}

#[test]
fn the_object_storage_is_reached_by_the_tools_of_aws() {
    let world = world(&whole());
    let stdout = run(&world, "--path kv/ci --s3").run().ok();
    let set = exports(&stdout);
    let expected = |region: &'static str| {
        [
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_DEFAULT_REGION", region.to_owned()),
            ("AWS_ENDPOINT_URL_S3", format!("https://s3.{region}.scw.cloud")),
            ("AWS_REGION", region.to_owned()),
            ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required".to_owned()),
            ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    };
    assert_eq!(set.into_iter().collect::<Vec<_>>(), expected("nl-ams"));
    assert!(stdout.starts_with("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN"), "{stdout}");
    let set = exports(&run(&world, "--path kv/ci --s3 --region fr-par").run().ok());
    assert_eq!(set.into_iter().collect::<Vec<_>>(), expected("fr-par"));
    let process = run(&world, "--path kv/ci --s3 --format process");
    let process = process.env("XDG_RUNTIME_DIR", &world.path("tmp").display().to_string());
    let answer = format!(
        "{{\"Version\":1,\"AccessKeyId\":\"{KEY}\",\"SecretAccessKey\":\"{SECRET}\",\"Expiration\":\"2098-02-03T04:05:06Z\"}}\n"
    );
    assert_eq!(process.run().ok(), answer);
    let set = exports(&run(&world, "--path kv/ci --s3 --format file").run().ok());
    let text = std::fs::read_to_string(&set["AWS_SHARED_CREDENTIALS_FILE"]).expect("a file");
    assert!(text.contains(&format!("aws_access_key_id = {KEY}\n")), "{text}");
    assert_eq!((set["AWS_REGION"].as_str(), set["AWS_PROFILE"].as_str()), ("nl-ams", "ci-creds"));

    store(&world, &json!({ "access_key": KEY, "secret_key": SECRET, "expires_at": 4_000_000_000_u64 }));
    let ran = run(&world, "--path kv/ci --s3").run();
    ran.refused(&world, 78, "config", &["the region is not set", "kv/ci has no region"], &["pass --region"]);
    // A profile has a region of its own.
    run(&world, "--path kv/ci --s3 --format process --no-cache").run().ok();
    let ran = run(&world, &format!("--path kv/ci --s3 --project-id {OTHER}")).run();
    ran.refused(&world, 64, "usage", &["--project-id has no effect with --s3"], &["drop --project-id"]);
    let ran = run(&world, "--path kv/ci --format process").run().failed(64, "usage");
    assert!(ran.stderr.contains("--s3 for the object storage"), "{ran:?}");
}

// check: 6
#[test]
fn a_value_of_another_shape_is_refused_before_a_tool_could_print_it() {
    let world = world(&whole());
    for (field, bad, words) in [
        ("access_key", json!("AKIAIOSFODNN7EXAMPLE"), "does not begin with SCW"),
        ("access_key", json!("SCWq7rt2zk9xw4m1b8nd"), "has an invalid character at byte 4"),
        ("access_key", json!("SCWQ7RT2ZK9XW4M1B8N"), "is too short or too long"),
        ("access_key", json!(12_345_678), "is not a string"),
        ("access_key", Value::Null, "has no access_key"),
        ("secret_key", json!(""), "has no secret_key"),
        ("secret_key", json!("7c1f0a52-93be-4d68-a1f4-0e5d2b8c6f3z"), "is not a UUID"),
        ("secret_key", json!("7c1f0a5293be-4d68-a1f4-0e5d-2b8c6f39a"), "is too short or too long"),
        ("secret_key", json!("7c1f0a5-293be-4d68-a1f4-0e5d2b8c6f39"), "is not a UUID"),
        ("secret_key", json!("7c1f0a52-93be-4d68-a1f4-0e5d2b8c6f39\n"), "has an invalid character at byte 37"),
        ("project_id", json!("$(touch pwned)"), "has an invalid character at byte 1"),
        ("default_organization_id", json!("devops-team-of-the-company-in-europe"), "is not a UUID"),
        ("region", json!("Paris-west"), "is not the name of a region"),
        ("zone", json!("nl-ams"), "is not the name of a zone"),
        ("expires_at", json!("tomorrow"), "is not a time"),
        ("expires_at", json!(3600), "is not a time"),
        ("expires_at", json!(1_600_000_000), "expired at 2020-09-13T12:26:40Z"),
    ] {
        let mut secret = whole();
        secret[field] = bad;
        store(&world, &secret);
        for path in ["kv/ci", "secret/data/ci"] {
            let ran = run(&world, &format!("--path {path}")).run().refused(&world, 65, "data", &[path, words], &[]);
            assert!(ran.stdout.starts_with("unset SCW_ACCESS_KEY SCW_SECRET_KEY SCW_PROFILE"), "{ran:?}");
        }
    }
    for (flag, value) in
        [("--project-id", "my-project"), ("--organization-id", "$(id)"), ("--region", "fr-par-1"), ("--zone", "fr-par")]
    {
        let ran = run(&world, "--path kv/ci").arg(flag).arg(value).run();
        ran.refused(&world, 64, "usage", &[&format!("(from {flag})")], &["UUID"]);
    }
}

// check: 14
#[test]
fn a_mistake_about_the_path_is_told_with_the_line_to_write() {
    let world = world(&whole());
    world.vault.write("secret/data/gone", json!({ "data": whole() }));
    world.vault.delete("secret/data/gone");
    for (line, code, kind, words, hint) in [
        (
            "",
            78,
            "config",
            "the path of the Scaleway key is not set (--path, CI_CREDS_SCALEWAY_PATH",
            "ci-creds scaleway --path",
        ),
        ("--path sys/mounts", 64, "usage", "is of Vault itself", "mount of an engine"),
        ("--path kv", 64, "usage", "names a mount and nothing in it", "mount of an engine"),
        ("--path kv/{projekt_id}", 64, "usage", "a placeholder that does not exist", "project_id"),
        ("--path kv/nothing", 78, "config", "there is no kv/nothing", "check the path"),
        ("--path secret/data/gone", 78, "config", "was deleted on", "vault kv undelete"),
        ("--path secret/ci", 77, "denied", "does not allow secret/ci", "the path is secret/data/ci"),
        ("--path other/ci", 77, "denied", "does not allow other/ci", "path \"other/ci\" { capabilities = [\"read\"] }"),
    ] {
        run(&world, line).run().refused(&world, code, kind, &[words], &[hint]);
    }
    let ran = run(&world, "--path kv/ci --role x").run().failed(64, "usage");
    assert!(ran.stderr.contains("--role"), "{ran:?}");
    let ran = world.command_as("token", "exec scaleway --path kv/ci --role x -- true").run().failed(125, "usage");
    assert!(ran.stderr.contains("--role is for an engine, and a stored key has a path"), "{ran:?}");
    let config = world.file("c.toml", "[scaleway]\nrole = \"x\"\n").display().to_string();
    let ran = run(&world, &format!("--config {config}")).run().failed(78, "config");
    assert!(ran.stderr.contains("there is no key \"role\""), "{ran:?}");
}

#[test]
fn github_gets_no_key_beside_a_name_that_it_cannot_unset() {
    let world = world(&whole());
    let step = |line: &str| github::in_a_step(run(&world, &format!("{line} --format github --reveal")));
    for value in ["stale", ""] {
        for name in ["SCW_PROFILE", "SCALEWAY_TOKEN"] {
            let ran = step("--path kv/ci").env(name, value).run().failed(64, "usage");
            assert!(ran.stdout.is_empty() && ran.stderr.contains(&format!("{name} is set")), "{ran:?}");
        }
    }
    assert_eq!(world.requests(), [""; 0]);
    let mut ran = step("--path kv/ci").run();
    assert_eq!((ran.code, github::take_masks(&mut ran)), (0, vec![SECRET.to_owned()]), "{ran:?}");
    let set = github::parse_variables(&ran.stdout);
    let names: Vec<_> = set.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["ACCESS_KEY", "SECRET_KEY", "DEFAULT_PROJECT_ID", "DEFAULT_ORGANIZATION_ID", "DEFAULT_REGION", "DEFAULT_ZONE"];
    assert_eq!(names, expected.map(|name| format!("SCW_{name}")));
    // Of AWS's names, an empty one is as one that is not set.
    let ran = step("--path kv/ci --s3").env("AWS_SESSION_TOKEN", "stale").run();
    assert!(github::parse_variables(&ran.stdout).contains(&("AWS_SESSION_TOKEN".to_owned(), String::new())), "{ran:?}");
}

// check: 19
#[test]
fn a_key_without_an_end_is_told_and_never_cached() {
    let mut endless = whole();
    for end in [Value::Null, json!("")] {
        endless["expires_at"] = end;
        let world = world(&endless);
        let token = world.token("job");
        let cached = |line: &str| {
            let run = run(&world, &format!("--path kv/ci --cache {line}")).env("VAULT_TOKEN", &token);
            run.env("XDG_RUNTIME_DIR", &world.path("tmp").display().to_string()).run()
        };
        for _ in 0..2 {
            let ran = cached("");
            assert_eq!(exports(&ran.stdout)["SCW_ACCESS_KEY"], KEY);
            let words =
                "the Scaleway key of kv/ci has no expires_at: it is valid until someone deletes it in the cloud";
            assert!(ran.code == 0 && ran.stderr.contains(words), "{ran:?}");
            assert_eq!(cached("--quiet").stderr, "");
        }
        let reads = world.requests().iter().filter(|request| *request == "GET kv/ci").count();
        assert_eq!(reads, 4, "no call took it from the cache");
    }
    let world = world(&whole());
    let token = world.token("job");
    let cached = |line: &str| {
        let run = run(&world, &format!("--path kv/ci --cache {line}")).env("VAULT_TOKEN", &token);
        exports(&run.env("XDG_RUNTIME_DIR", &world.path("tmp").display().to_string()).run().ok())
    };
    // What one call says of the project, the next one does not get.
    assert_eq!(cached(&format!("--project-id {OTHER}"))["SCW_DEFAULT_PROJECT_ID"], OTHER);
    assert_eq!(cached("")["SCW_DEFAULT_PROJECT_ID"], PROJECT);
    let reads = |world: &World| world.requests().iter().filter(|request| *request == "GET kv/ci").count();
    assert_eq!(reads(&world), 1);
    assert_eq!(cached("--s3")["AWS_REGION"], "nl-ams");
    assert_eq!(reads(&world), 2, "another shape is another entry");
}

#[test]
fn a_command_gets_the_key_and_an_operator_the_policy() {
    let world = world(&whole());
    let line = format!("exec scaleway --path secret/data/ci --project-id {OTHER} -- env");
    let run = world.command_as("secret-id", &line).env("SCW_PROFILE", "stale").env("SCALEWAY_TOKEN", "stale");
    let stdout = run.run().ok();
    for pair in [format!("SCW_ACCESS_KEY={KEY}"), format!("SCW_DEFAULT_PROJECT_ID={OTHER}")] {
        assert!(stdout.lines().any(|line| line == pair), "{stdout}");
    }
    assert!(!stdout.contains("SCW_PROFILE") && !stdout.contains("SCALEWAY_TOKEN"), "{stdout}");

    let line = "policy scaleway --path secret/data/{project_name} --auth secret-id --format hcl";
    let stdout = world.command(line).env("CI_PROJECT_NAME", "ci").env("VAULT_APPROLE_ROLE", "ci").run().ok();
    assert!(stdout.contains("path \"secret/data/ci\" {\n  capabilities = [\"read\"]\n}"), "{stdout}");
    let ran = world.command_as("token", "doctor scaleway --path secret/data/ci").run();
    assert!(ran.code == 0 && ran.stdout.contains("secret/data/ci"), "{ran:?}");
    let ran = world.command_as("token", "doctor scaleway --path secret/ci").run();
    assert!(ran.code == 77 && ran.stdout.contains("the path is secret/data/ci"), "{ran:?}");
}

#[test]
fn the_pipeline_of_the_examples_gets_the_key_for_scw_and_for_aws() {
    let Some(site) = example::Site::set_up() else { return };
    site.vault.write("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
    site.vault.write("secret/data/scw/ci", json!({ "data": whole() }));
    let policy = "path \"secret/data/scw/ci\" { capabilities = [\"read\"] }";
    site.vault.write("sys/policies/acl/exoscale-deploy", json!({ "policy": policy }));
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gitlab/scaleway.gitlab-ci.yml"));
    let jobs = example::parse_pipeline(&text.expect("the pipeline"));
    for (job, line, variable) in [
        ("cluster", "scw k8s cluster list", "SCW_ACCESS_KEY"),
        ("upload", "aws s3 sync build s3://example-dev", "AWS_ACCESS_KEY_ID"),
    ] {
        let job = jobs.iter().find(|one| one.name == job).expect("the job");
        let ran = site.run("sh", job, &job.script, &[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        site.assert_no_secret_in(&format!("{}{}", ran.stdout, ran.stderr));
        let calls = site.take_calls();
        let [(called, variables)] = calls.as_slice() else { panic!("one call: {calls:?}") };
        assert_eq!((called.as_str(), variables[variable].as_str()), (line, KEY));
    }
}
