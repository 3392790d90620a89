//! `ci-creds cache` and `cache clear`: what is kept is shown, given back, and cleaned away.

use std::path::PathBuf;

use dev_vault::{Fault, On, Reply};
use serde_json::json;

use super::place::entries;
use super::{EXOSCALE, PROCESS, READ, later, leases_of, with};
use crate::support::{ROLE, World};

#[test]
fn what_has_ended_is_removed_by_whoever_clears() {
    let world = World::start();
    leases_of(&world, 900);
    world.command_as("token", PROCESS).run().ok();
    let Some(ran) = later(&world.command("cache clear"), "+16m") else { return };
    assert_eq!(ran.ok(), format!("removed: {READ}\n"));
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
}

#[test]
fn entries_that_have_ended_are_cleaned_away_by_the_next_one() {
    let world = World::start();
    leases_of(&world, 900);
    for _ in 0..5 {
        world.command_as("token", PROCESS).run().ok();
    }
    // One whose lock is the caller's own: there are 256 of them, by the first two digits of a name.
    let run = world.command_as("token", &format!("{PROCESS} --ttl 15m"));
    run.run().ok();
    let others = entries(&world);
    let ours = others.iter().max_by_key(|entry| entry.metadata().and_then(|file| file.modified()).ok()).expect("six");
    std::fs::copy(ours, ours.with_extension("another")).expect("a copy");
    assert_eq!(entries(&world).len(), 7);
    let Some(ran) = later(&run, "+16m") else { return };
    ran.ok();
    assert_eq!(entries(&world).len(), 1);
}

#[test]
fn the_list_says_who_and_what_and_how_long_and_no_value() {
    let world = World::start();
    assert_eq!(world.command("cache").run().ok(), "nothing is kept\n");
    let run = world.command_as("wrapping-token", "").env("CI_JOB_ID", "77");
    with(&run, PROCESS).run().ok();
    with(&run, "aws --role 365-dev --ttl 20m --cache").run().ok();
    world.command_as("token", PROCESS).run().ok();
    let list = world.command("cache").run().ok();
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 4, "{list}");
    let who = format!("wrapping token at auth/approle as {ROLE}, CI_JOB_ID=77");
    for (first, second) in
        [(who.as_str(), "the login"), (&who, READ), (&who, "aws/sts/365-dev ttl=1200s"), ("token", READ)]
    {
        let found = lines.iter().filter(|line| line.starts_with(first) && line.contains(&format!("  {second}  ")));
        assert_eq!(found.count(), 1, "{first} {second}: {list}");
    }
    assert!(lines.iter().all(|line| line.ends_with(" min left") && line.contains("  20")), "{list}");
    world.assert_no_secret_in(&list);
}

#[test]
fn clear_gives_back_what_this_login_has_and_leaves_the_rest() {
    for (method, line) in [
        ("wrapping-token", EXOSCALE),
        ("id-token", EXOSCALE),
        ("generator-token", "aws --role user --via creds --format process"),
    ] {
        let world = World::start();
        let run = world.command_as(method, line);
        run.run().ok();
        let other = world.command_as("id-token", EXOSCALE).env("CI_JOB_ID", "other");
        let kept = other.run().ok();
        let clear = with(&run, "cache clear");
        let text = clear.run().ok();
        assert!(text.contains("given back: ") && text.contains("kept: 1 of other logins"), "{method}: {text}");
        assert_eq!(world.vault.live_leases().len(), 1, "{method}");
        assert_eq!(other.run().ok(), kept);
        assert_eq!(clear.run().ok(), "kept: 1 of other logins; --all removes them, and leaves their leases to end\n");
        with(&run, "cache clear --all").run().ok();
        assert_eq!(entries(&world), Vec::<PathBuf>::new());
        assert_eq!(world.vault.live_leases().len(), 1, "nobody here could give that one back");
    }
}

#[test]
fn clear_needs_to_know_the_caller_only_where_something_is_kept() {
    let world = World::start();
    assert_eq!(world.command("cache clear").run().ok(), "nothing is kept\n");
    world.command_as("token", PROCESS).run().ok();
    let ran = world.command("cache clear").run().failed(78, "config");
    assert!(
        ran.stderr.contains("1 of other logins stay: nothing to log in with") && ran.stderr.contains("--all"),
        "{ran:?}"
    );
    assert_eq!(ran.stdout, "");
    assert_eq!(world.command("cache clear --all").run().ok(), format!("removed: {READ}\n"));
}

#[test]
fn clear_with_a_borrowed_token_gives_the_lease_back_and_not_the_token() {
    let world = World::start();
    let policy =
        "path \"aws/*\" { capabilities = [\"read\"] }\npath \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    let run = world.command_as("token", "aws --role user --via creds --format process");
    run.run().ok();
    assert_eq!(with(&run, "cache clear").run().ok(), "given back: aws/creds/user\n");
    assert_eq!(world.vault.live_leases().len(), 0);
    run.run().ok();
}

#[test]
fn clear_that_reaches_no_vault_names_every_lease_and_leaves_the_login_to_the_job() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    let lines = [EXOSCALE, "aws --role user --via creds --cache", PROCESS];
    for line in lines {
        with(&run, line).run().ok();
    }
    world.vault.inject(On::any().every(), Fault::answer(Reply::error(503, "Vault is sealed")));
    let clear = with(&run, "cache clear --retries 0");
    let ran = clear.run().failed(80, "leak");
    for word in ["the lease exoscale/apikey/", "the lease aws/creds/user/", "the token of the login may be left"] {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
    // Nothing helps against what STS made: that is told as ever, and no reason to keep it.
    assert!(ran.stdout.starts_with(&format!("removed: {READ}; it cannot be taken back")), "{ran:?}");
    assert_eq!(entries(&world).len(), 3);
    world.vault.clear_faults();
    with(&run, PROCESS).run().ok();
    let text = clear.run().ok();
    assert_eq!(text.matches("given back: ").count(), 3, "{text}");
    assert_eq!(world.count("sys/wrapping/unwrap"), 1);
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
}

#[test]
fn clear_that_reaches_no_vault_does_not_call_a_leak_what_has_ended() {
    let world = World::start();
    world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "iam-role": "ci", "ttl": "5m", "max_ttl": "5m" }));
    let run = world.command_as("wrapping-token", EXOSCALE);
    run.run().ok();
    world.vault.inject(On::any().every(), Fault::answer(Reply::error(503, "Vault is sealed")));
    let clear = with(&run, "cache clear --retries 0");
    let Some(ran) = later(&clear, "+6m") else { return };
    // The login lives on, and the key does not.
    let ran = ran.failed(80, "leak");
    assert!(!ran.stderr.contains("exoscale/apikey") && ran.stderr.contains("the token of the login"), "{ran:?}");
    assert_eq!(ran.stdout, format!("removed: exoscale/apikey/{ROLE}; it had ended\n"));
    let text = later(&clear, "+16m").expect("faketime").ok();
    assert_eq!(text, "removed: the login; it had ended\n");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
}

#[test]
fn a_batch_login_lives_on_and_is_not_called_given_back() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_type": "batch" }));
    let run = world.command_as("secret-id", PROCESS);
    run.run().ok();
    let text = with(&run, "cache clear").run().ok();
    assert!(text.contains("removed: the login; it cannot be taken back, and lives until 20"), "{text}");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
}

#[test]
fn clear_all_removes_also_what_it_could_not_give_back_and_what_it_cannot_read() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::start();
    let run = world.command_as("token", "aws --role user --via creds --format process");
    let first = run.run().ok();
    let entry = entries(&world).remove(0);
    let text =
        String::from_utf8_lossy(&std::fs::read(&entry).expect("an entry")).replace("\"version\":1", "\"version\":2");
    for (name, text) in [("0123456789abcdef", text.as_str()), ("draft-01", ""), ("77", "rubbish")] {
        let path = entry.with_file_name(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }
    std::fs::create_dir(entry.with_file_name("88")).expect("a folder");
    let ran = with(&run, "cache clear").run().failed(80, "leak");
    assert_eq!((entries(&world).len(), run.run().ok()), (5, first.clone()), "{ran:?}");
    let ran = with(&run, "cache clear --all").run().failed(80, "leak");
    assert!(ran.stderr.contains("the lease aws/creds/user/"), "{ran:?}");
    assert!(ran.stdout.contains("removed: 0123456789abcdef\n"), "{ran:?}");
    assert!(ran.stdout.contains("cannot be removed: 88\n"), "{ran:?}");
    std::fs::remove_dir(entry.with_file_name("88")).expect("it is still there");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
    assert_ne!(run.run().ok(), first);
}

#[test]
fn what_was_kept_in_another_sessions_folder_is_shown_and_given_back_too() {
    let world = World::start();
    let session = world.path("session");
    std::fs::create_dir(&session).expect("a folder");
    let run = world.command_as("id-token", EXOSCALE);
    run.run().ok();
    let session = session.display().to_string();
    let list = world.command("cache").env("XDG_RUNTIME_DIR", &session).run().ok();
    assert!(list.contains(&format!("exoscale/apikey/{ROLE}")), "{list}");
    assert!(!world.path("session/ci-creds").exists(), "to look makes nothing");
    with(&run, "cache clear").env("XDG_RUNTIME_DIR", &session).run().ok();
    assert_eq!(world.vault.live_leases().len(), 0);
}

#[test]
fn what_cannot_be_given_back_is_told_and_stays_in_the_list() {
    let world = World::start();
    let run = world.command_as("token", "aws --role user --via creds --format process");
    run.run().ok();
    let ran = with(&run, "cache clear").run().failed(80, "leak");
    assert!(ran.stderr.contains("the lease aws/creds/user/"), "{ran:?}");
    assert_eq!(entries(&world).len(), 1);
    let run = with(&run, PROCESS);
    run.run().ok();
    let text = with(&run, "cache clear").run();
    assert_eq!(text.code, 80);
    // STS credentials cannot be taken back by anybody: that is said, and no error.
    assert_eq!(entries(&world).len(), 1, "{text:?}");
}

#[test]
fn everything_that_cannot_be_given_back_is_told_and_the_login_too() {
    let world = World::start();
    // Neither the token nor a lease may be revoked.
    world.vault.write("sys/policies/acl/default", json!({ "policy": "path \"none\" { capabilities = [\"read\"] }" }));
    let run = world.command_as("wrapping-token", "");
    let user = "aws --role user --via creds --cache";
    for line in [EXOSCALE, user, "aws --role 365-dev --cache"] {
        with(&run, line).run().ok();
    }
    let ran = with(&run, "cache clear").run().failed(80, "leak");
    for what in
        ["the token of the login may be left, until 20", "the lease aws/creds/user/", "the lease exoscale/apikey/"]
    {
        assert!(ran.stderr.contains(what), "{what}: {ran:?}");
    }
    assert!(ran.stdout.starts_with("removed: aws/sts/365-dev") && ran.stdout.lines().count() == 1, "{ran:?}");
    assert_eq!((entries(&world).len(), world.vault.live_leases().len()), (3, 3));
}
