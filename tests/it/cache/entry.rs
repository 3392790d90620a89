//! Whose an entry is, and what it shows to whom.

use std::path::PathBuf;

use dev_vault::DevVault;

use super::place::entries;
use super::{EXOSCALE, PROCESS, READ, with};
use crate::support::{METHODS, ROLE, Run, World};

#[test]
fn half_of_the_secret_or_another_demand_on_it_opens_nothing() {
    let world = World::start();
    let run = world.command_as("secret-id", PROCESS);
    run.run().ok();
    run.clone().env("VAULT_ROLE_ID", "11111111-2222-3333-4444-555555555555").run().failed(77, "denied");
    let run = world.command_as("wrapping-token", PROCESS);
    run.run().ok();
    // A check that the first call did not make is not taken for made.
    let path = format!("auth/approle/role/{ROLE}/secret-id");
    with(&run, &format!("{PROCESS} --creation-path {path}")).run().failed(79, "spent");
}

// check: 17
#[test]
fn what_one_caller_keeps_no_other_one_gets() {
    let world = World::start();
    let other = World::start();
    let first = world.command_as("id-token", PROCESS).env("CI_JOB_ID", "1");
    let second_token = world.id_token().project_path("group/other").sign();
    let token = world.token("job");
    let cases: Vec<(&str, Run)> = vec![
        ("another ID token", first.clone().env("VAULT_ID_TOKEN", &second_token)),
        ("another job", first.clone().env("CI_JOB_ID", "2")),
        ("another GitHub run", first.clone().without("CI_JOB_ID").env("GITHUB_RUN_ID", "1")),
        ("another Vault", first.clone().env("VAULT_ADDR", &other.vault.address())),
        ("another name of the same Vault", {
            let port = world.vault.socket_address().port();
            first.clone().env("VAULT_ADDR", &format!("http://localhost:{port}"))
        }),
        (
            "another role",
            with(&first, "aws --role two-arns --role-arn arn:aws:iam::123123123123:role/ci --format process"),
        ),
        (
            "another ARN",
            with(&first, "aws --role two-arns --role-arn arn:aws:iam::123123123123:role/other --format process"),
        ),
        ("another life", with(&first, "aws --role 365-dev --ttl 20m --format process")),
        ("another path", with(&first, "aws --role 365-dev --via creds --format process")),
        ("another role of the login", first.clone().env("VAULT_AUTH_ROLE", ROLE)),
        ("another way to log in", with(&first, PROCESS).without("VAULT_ID_TOKEN").env("VAULT_TOKEN", &token)),
    ];
    let mut seen = std::collections::BTreeSet::from([first.run().ok()]);
    let mut asked = world.count(READ);
    for (what, run) in &cases {
        let stdout = run.run().ok();
        assert!(seen.insert(stdout.clone()), "{what} got what was kept");
        assert_eq!(run.run().ok(), stdout, "{what}");
        asked = world.count(READ).max(asked);
    }
    assert_eq!(first.run().ok(), *seen.iter().find(|text| **text == first.run().ok()).expect("still kept"));
    assert_eq!(entries(&world).len(), cases.len() + 1);
}

#[test]
fn the_same_login_finds_what_it_kept_however_it_is_spelled() {
    let world = World::start();
    let first = world.command_as("id-token", PROCESS).env("CI_JOB_ID", "1");
    let stdout = first.run().ok();
    let token = first.variables()["VAULT_ID_TOKEN"].clone();
    let file = world.file("id-token", &format!("{token}\n")).display().to_string();
    let address = world.vault.address();
    let cases = [
        first.clone().without("VAULT_ID_TOKEN").env("VAULT_ID_TOKEN_FILE", &file),
        with(&first, &format!("{PROCESS} --id-token-env OTHER")).without("VAULT_ID_TOKEN").env("OTHER", &token),
        with(&first, &format!("{PROCESS} --auth-mount gitlab/")).without("VAULT_AUTH_PATH"),
        first.clone().without("VAULT_ADDR").env("VAULT_SERVER_URL", &format!("{address}/")),
        with(&first, "aws --role {project_id}-{environment} --mount aws --format process"),
        with(&first, &format!("{PROCESS} --region eu-central-1 --wait-ready -v")),
    ];
    for run in cases {
        assert_eq!(run.run().ok(), stdout, "{:?}", run.arguments);
    }
    assert_eq!((world.count(READ), entries(&world).len()), (1, 1));
}

// check: 17
#[test]
fn another_namespace_has_its_own_entry() {
    let world = World::with(DevVault::builder().dialect(dev_vault::Dialect::OpenBao));
    let run = world.command_as("token", PROCESS);
    run.run().ok();
    let before = world.requests().len();
    // The double has no such namespace: what matters is that it was asked.
    run.clone().env("VAULT_NAMESPACE", "other").run();
    assert!(world.requests().len() > before);
}

// check: 17
#[test]
fn no_secret_and_nothing_made_of_one_stands_in_the_cache_in_clear() {
    use std::os::unix::ffi::OsStrExt;
    for method in METHODS {
        let world = World::start();
        let run = world.command_as(method, PROCESS);
        run.run().ok();
        with(&run, EXOSCALE).run().ok();
        let files = entries(&world);
        assert!(files.len() >= 2, "{files:?}");
        for path in files {
            let mut bytes = std::fs::read(&path).expect("an entry");
            bytes.extend_from_slice(path.as_os_str().as_bytes());
            let of_jobs = |secret: &&String| !secret.starts_with("root-secret-of-");
            for secret in world.vault.secrets().iter().filter(of_jobs).chain([&world.role_id]) {
                let mut parts = secret.as_bytes().windows(8);
                let found = parts.find(|part| bytes.windows(8).any(|window| window == *part));
                let found = found.map(String::from_utf8_lossy);
                assert_eq!(found, None, "{method}: a part of a secret is in {}", path.display());
            }
        }
    }
}

// check: 17
#[test]
fn an_entry_that_was_touched_does_not_open() {
    let world = World::start();
    let run = world.command_as("token", PROCESS);
    run.run().ok();
    let path: PathBuf = entries(&world).remove(0);
    let whole = std::fs::read(&path).expect("an entry");
    let mut cases: Vec<Vec<u8>> = (0..whole.len()).step_by(7).map(|length| whole[..length].to_vec()).collect();
    cases.extend((0..whole.len()).step_by(7).map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    }));
    cases.push([whole.as_slice(), b"x"].concat());
    // An end that was moved, in the line that everybody can read.
    let text = String::from_utf8_lossy(&whole).into_owned();
    let year = text.find("\"expires\":\"20").expect("an end") + 13;
    let mut moved = whole.clone();
    moved[year..year + 2].copy_from_slice(b"99");
    cases.push(moved);
    let mut reads = world.count(READ);
    for bytes in cases {
        std::fs::write(&path, &bytes).expect("an entry");
        let ran = run.run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        reads += 1;
        assert_eq!(world.count(READ), reads, "{} bytes were believed", bytes.len());
    }
}

// check: 17
#[test]
fn an_entry_under_another_name_is_not_taken_for_it() {
    let world = World::start();
    let run = world.command_as("token", PROCESS);
    run.run().ok();
    let first = entries(&world).remove(0);
    let other = with(&run, "aws --role user --via creds --format process");
    let key = other.run().ok();
    let second = entries(&world).into_iter().find(|path| *path != first).expect("a second one");
    std::fs::copy(&first, &second).expect("a copy");
    let again = other.run().ok();
    assert!(again.contains("\"AKIA") && again != key, "{again}");
}
