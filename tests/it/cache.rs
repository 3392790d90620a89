mod place;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use dev_vault::{DevVault, Fault, On, Reply};
use serde_json::json;

use crate::support::parallel::each;
use crate::support::{METHODS, ROLE, Ran, Run, World, requests_of, tool};
use place::entries;

const PROCESS: &str = "aws --role 365-dev --format process";
const EXOSCALE: &str = "exoscale --role gitlab-ci-runner --cache";
const READ: &str = "aws/sts/365-dev";

/// Changes the command line, and nothing of who calls.
fn with(run: &Run, line: &str) -> Run {
    let mut other = run.clone();
    other.arguments = line.split_whitespace().map(str::to_owned).collect();
    other
}

/// The same call so much later, by its own clock: Vault's stands still.
fn later(run: &Run, offset: &str) -> Option<Ran> {
    later_command(run, offset).map(Ran::of)
}

fn later_command(run: &Run, offset: &str) -> Option<Command> {
    let mut command = Command::new(tool::find("faketime")?);
    command.args(["-f", offset, env!("CARGO_BIN_EXE_ci-creds")]).args(&run.arguments).stdin(Stdio::null());
    command.env_clear().envs(run.variables()).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Some(command)
}

/// How long a credential is to live, in seconds, by what the lease says.
fn leases_of(world: &World, seconds: u64) {
    let shorten = move |mut answer: serde_json::Value| {
        answer["lease_duration"] = json!(seconds);
        answer["data"]["ttl"] = json!(seconds);
        answer
    };
    world.vault.inject(On::path(READ).every(), Fault::rewrite(Box::new(shorten)));
}

/// A Vault whose leases live 15 minutes, a job's call, and what it has just got and kept.
fn kept_for_15_minutes() -> (World, Run, String) {
    let world = World::start();
    leases_of(&world, 900);
    let run = world.command_as("token", PROCESS);
    let first = run.run().ok();
    (world, run, first)
}

#[test]
fn the_second_call_gets_the_same_credential_and_asks_vault_nothing() {
    for method in METHODS {
        let world = World::start();
        let run = world.command_as(method, PROCESS);
        let first = run.run().ok();
        let asked = world.requests();
        assert_eq!(asked.len(), requests_of(method).len() + 1, "{method}: {asked:?}");
        let second = run.run();
        assert_eq!((second.stdout.as_str(), second.stderr.as_str(), second.code), (first.as_str(), "", 0), "{method}");
        assert_eq!(world.requests(), asked, "{method}");
        let told = with(&run, &format!("{PROCESS} -v")).run();
        assert!(told.stderr.contains("ci-creds: kept: of an earlier call, until 20"), "{told:?}");
        assert_eq!(world.vault.live_leases().len(), 1, "{method}");
    }
}

#[test]
fn every_format_takes_part_when_it_is_asked_to() {
    let world = World::start();
    let run = world.command_as("id-token", "");
    let value = |format: &str, line: &str| {
        let stdout = with(&run, &format!("{line} --format {format} --cache")).run().ok();
        stdout.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| word.starts_with("ASIA")).map(str::to_owned)
    };
    let first = value("shell", "aws --role 365-dev").expect("a key");
    for format in ["fish", "powershell", "json", "dotenv", "process"] {
        assert_eq!(value(format, "aws --role 365-dev"), Some(first.clone()), "{format}");
    }
    assert_eq!(world.count("gitlab/login"), 1);
    // What the shell gets tells when it ends, also the second time.
    let again = with(&run, "aws --role 365-dev --cache").run().ok();
    assert!(again.contains("export AWS_CREDENTIAL_EXPIRATION='20"), "{again}");
}

#[test]
fn only_the_process_format_keeps_anything_unasked_and_no_cache_keeps_nothing() {
    let world = World::start();
    let run = world.command_as("id-token", "");
    for (line, reads) in [
        ("aws --role 365-dev", 2),
        ("aws --role 365-dev --format json", 2),
        ("aws --role 365-dev --format process --no-cache", 2),
        ("aws --role 365-dev --format process", 1),
    ] {
        let before = world.count(READ);
        for _ in 0..2 {
            with(&run, line).run().ok();
        }
        assert_eq!(world.count(READ) - before, reads, "{line}");
    }
}

#[test]
fn fifty_callers_at_once_make_one_login_and_one_lease_and_get_the_same_answer() {
    for (method, line) in [
        ("id-token", "aws --role user --via creds --format process"),
        ("wrapping-token", EXOSCALE),
        ("secret-id", PROCESS),
        ("token", PROCESS),
    ] {
        let world = World::start();
        let run = world.command_as(method, line);
        let start = |_| run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let children: Vec<_> = (0..50).map(start).collect();
        let outputs = children.into_iter().map(|child| child.wait_with_output().expect("its end"));
        let answers: std::collections::BTreeSet<_> = outputs
            .map(|output| {
                assert!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
                output.stdout
            })
            .collect();
        assert_eq!(answers.len(), 1, "{method}");
        let asked = world.requests();
        assert_eq!(asked.len(), requests_of(method).len() + 1, "{method}: {asked:?}");
        assert_eq!(world.vault.live_leases().len(), 1);
    }
}

#[test]
fn a_single_use_secret_is_good_for_every_call_of_its_job() {
    for method in ["wrapping-token", "secret-id"] {
        let world = World::start();
        let run = world.command_as(method, "");
        let lines = [PROCESS, EXOSCALE, "aws --role user --via creds --cache", "aws --role 365-dev --ttl 20m --cache"];
        for line in lines.iter().chain(&lines) {
            with(&run, line).run().ok();
        }
        assert_eq!(world.count("approle/login"), 1, "{method}: {:?}", world.requests());
        assert_eq!(world.vault.live_leases().len(), lines.len(), "{method}");
    }
}

#[test]
fn a_login_whose_requests_are_counted_is_kept_until_they_are_used_up() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 3 }));
    let run = world.command_as("secret-id", "");
    with(&run, PROCESS).run().ok();
    with(&run, EXOSCALE).run().ok();
    // One request is left, which would bring a credential that is revoked at once.
    let ran = with(&run, "aws --role user --via creds --format process").run().failed(77, "denied");
    assert!(ran.stderr.contains("secret id"), "{ran:?}");
    with(&run, PROCESS).run().ok();
    assert_eq!(world.vault.live_leases().len(), 2);
    // One request is none that could bring a credential: such a login is not kept, but given back.
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 1 }));
    let ran = world.command_as("secret-id", PROCESS).run().failed(78, "config");
    assert!(!ran.stderr.contains("kept"), "{ran:?}");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
    world.assert_nothing_left(&ran);
}

#[test]
fn a_kept_login_that_vault_does_not_know_any_more_is_not_tried_twice() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "secret_id_num_uses": 0 }));
    let run = world.command_as("secret-id", "");
    with(&run, PROCESS).run().ok();
    revoke_logins(&world);
    let before = world.requests().len();
    with(&run, EXOSCALE).run().ok();
    let asked = world.requests().split_off(before);
    let read = format!("GET exoscale/apikey/{ROLE}");
    assert_eq!(asked, [read.clone(), "POST auth/approle/login".into(), read]);
}

/// Ends every login of a job behind its back.
fn revoke_logins(world: &World) {
    for token in world.vault.live_tokens().iter().filter(|token| token.path.ends_with("/login")) {
        world.vault.write("auth/token/revoke-accessor", json!({ "accessor": token.accessor }));
    }
}

#[test]
fn a_single_use_secret_whose_login_somebody_revoked_is_not_reported_as_stolen() {
    for (method, code, kind) in [("wrapping-token", 79, "spent"), ("secret-id", 77, "denied")] {
        let world = World::start();
        let run = world.command_as(method, "");
        with(&run, PROCESS).run().ok();
        revoke_logins(&world);
        let ran = with(&run, EXOSCALE).run().failed(code, kind);
        assert!(ran.stderr.contains("; the login that this job had for it is not known to Vault any more"), "{ran:?}");
        assert!(ran.stderr.contains("hint: was it revoked, or Vault restored?"), "{ran:?}");
        // What outlives its login is still good.
        with(&run, PROCESS).run().ok();
    }
}

#[test]
fn a_login_that_is_made_again_and_fails_for_a_reason_of_its_own_is_told_by_that() {
    let world = World::start();
    let run = world.command_as("secret-id", "");
    with(&run, PROCESS).run().ok();
    revoke_logins(&world);
    world.vault.inject(On::path("approle/login").every(), Fault::answer(Reply::error(503, "Vault is sealed")));
    let ran = with(&run, &format!("{EXOSCALE} --retries 0")).run().failed(69, "unavailable");
    assert!(ran.stderr.contains("sealed") && !ran.stderr.contains("the login that this job had"), "{ran:?}");
}

#[test]
fn a_clock_that_was_set_back_does_not_take_its_login_from_a_job() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    let first = with(&run, PROCESS).run().ok();
    for line in [PROCESS, EXOSCALE] {
        let Some(ran) = later(&with(&run, line), "-2h") else { return };
        assert_ne!(ran.ok(), first, "what would be a fresh one, if the clock were right?");
    }
    // No credential is announced to live longer than its login may, counted from the clock that now counts.
    let list = later(&world.command("cache"), "-2h").expect("faketime").ok();
    let key = list.lines().find(|line| line.contains("exoscale/")).expect("the key");
    assert!(key.ends_with("14 min left"), "{list}");
    assert_eq!(world.count("sys/wrapping/unwrap"), 1);
}

#[test]
fn a_refused_read_leaves_the_login_that_a_single_use_secret_bought_for_the_next_call() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    let ran = with(&run, "exoscale --role not-ours --cache").run().failed(77, "denied");
    assert!(ran.stderr.contains("the login is kept for the job's next call"), "{ran:?}");
    world
        .vault
        .inject(On::path("apikey/gitlab-ci-runner").times(3), Fault::answer(Reply::error(503, "Vault is sealed")));
    // Not 69: the job's next call needs no secret, but another run of the job needs a new one.
    let ran = with(&run, EXOSCALE).run().failed(79, "spent");
    let told = "a new run needs a new one; the login is kept for the job's next call\n";
    assert!(ran.stderr.contains(told), "{ran:?}");
    with(&run, EXOSCALE).run().ok();
    assert_eq!(world.count("sys/wrapping/unwrap"), 1);
    assert_eq!(world.vault.live_leases().len(), 1);
}

#[test]
fn an_answer_that_is_lost_ends_the_kept_login_with_the_lease_that_it_may_have_made() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    with(&run, PROCESS).run().ok();
    with(&run, EXOSCALE).run().ok();
    world.vault.inject(On::path("aws/creds/user"), Fault::cut_answer(40));
    with(&run, "aws --role user --via creds --cache").run().failed(79, "spent");
    // STS credentials are not the token's: they outlive it, and stay in the cache. The Exoscale key is dead.
    assert!(world.vault.live_leases().iter().all(|lease| lease.path.starts_with("aws/sts/")));
    with(&run, PROCESS).run().ok();
    let ran = with(&run, EXOSCALE).run().failed(79, "spent");
    assert!(ran.stderr.contains("; an earlier call of this job used it at 20"), "{ran:?}");
    assert_eq!(world.count("sys/wrapping/unwrap"), 1, "{ran:?}");
    // The note of it is shown, and is nothing to give back.
    assert!(
        world.command("cache").run().ok().lines().any(|line| line.contains("the login") && line.ends_with("ended"))
    );
    let cleared = with(&run, "cache clear").run().ok();
    assert!(cleared.contains("removed: the login; it had ended\n"), "{cleared}");
    assert_eq!(entries(&world), Vec::<PathBuf>::new());
}

#[test]
fn a_value_that_is_refused_costs_its_own_lease_where_the_policy_lets_it_and_not_the_jobs_login() {
    for may_revoke in [true, false] {
        let world = World::start();
        if may_revoke {
            let policy = "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }\npath \"aws/*\" { capabilities = [\"read\"] }\n\
                          path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
            world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        }
        let run = world.command_as("wrapping-token", "");
        with(&run, EXOSCALE).run().ok();
        let spoil = |mut answer: serde_json::Value| {
            answer["data"]["secret_key"] = json!("a b");
            answer
        };
        world.vault.inject(On::path("aws/creds/user"), Fault::rewrite(Box::new(spoil)));
        with(&run, "aws --role user --via creds --cache").run().failed(65, "data");
        let left: Vec<_> = world.vault.live_leases().into_iter().map(|lease| lease.path).collect();
        let next = with(&run, EXOSCALE).run();
        if may_revoke {
            assert_eq!(left, [format!("exoscale/apikey/{ROLE}")]);
            next.ok();
        } else {
            assert_eq!(left, Vec::<String>::new());
            next.failed(79, "spent");
        }
    }
}

#[test]
fn no_other_key_is_made_that_would_end_with_the_same_login_as_the_one_before() {
    let user = "aws --role user --via creds --format process";
    // What ends with the login, and what does not; the login ends after 15 minutes, as each lease by itself.
    for (line, reads) in [(EXOSCALE, 1), (user, 1), (PROCESS, 2)] {
        let world = World::start();
        leases_of(&world, 900);
        let run = world.command_as("wrapping-token", line);
        let first = run.run().ok();
        for offset in ["+11m", "+13m", "+14m"] {
            let Some(ran) = later(&run, offset) else { return };
            assert_eq!(ran.ok() == first, reads == 1, "{line} {offset}");
        }
        assert_eq!(world.vault.minted().into_values().sum::<usize>(), reads, "{line}");
        assert_eq!(world.count("sys/wrapping/unwrap"), 1);
    }
    // A shorter life has a successor, as long as the login has more.
    let world = World::start();
    world.vault.write(&format!("exoscale/role/{ROLE}"), json!({ "iam-role": "ci", "ttl": "5m", "max_ttl": "5m" }));
    let run = world.command_as("wrapping-token", EXOSCALE);
    let first = run.run().ok();
    assert_ne!(later(&run, "+4m").expect("faketime").ok(), first);
}

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

#[test]
fn a_new_login_whose_token_vault_does_not_know_is_not_followed_by_another_one() {
    for method in ["secret-id", "wrapping-token"] {
        let world = World::start();
        world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(403, "permission denied")));
        world.command_as(method, PROCESS).run().failed(77, "denied");
        assert_eq!(world.count("approle/login"), 1, "{method}");
    }
}

#[test]
fn a_lease_that_may_be_left_is_told_although_the_old_credential_works() {
    let world = World::start();
    leases_of(&world, 900);
    let run = world.command_as("token", PROCESS);
    run.run().ok();
    world.vault.clear_faults();
    world.vault.inject(On::path(READ), Fault::cut_answer(40));
    let Some(ran) = later(&run, "+11m") else { return };
    ran.failed(80, "leak");
}

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
fn when_the_login_of_a_single_use_secret_has_ended_the_message_says_when_and_what_to_raise() {
    let world = World::start();
    let run = world.command_as("wrapping-token", "");
    with(&run, EXOSCALE).run().ok();
    // Another job cleans up what has ended.
    let Some(other) = later(&world.command_as("token", PROCESS), "+20m") else { return };
    other.ok();
    later(&world.command("cache clear"), "+20m").expect("faketime");
    assert_eq!(entries(&world).len(), 2);
    let ran = later(&with(&run, EXOSCALE), "+20m").expect("faketime").failed(79, "spent");
    assert!(ran.stderr.contains("the login that this job had for it ended at 20"), "{ran:?}");
    assert!(ran.stderr.contains("hint: raise token_ttl"), "{ran:?}");
    // A day later its job is over, too.
    later(&world.command_as("token", PROCESS), "+25h").expect("faketime").ok();
    let list = later(&world.command("cache"), "+25h").expect("faketime").ok();
    assert!(list.lines().count() > 0 && !list.contains("wrapping token"), "{list}");
}

#[test]
fn a_credential_is_used_until_a_new_one_is_due_and_never_when_it_has_ended() {
    if tool::find("faketime").is_none() {
        return;
    }
    // Seconds of life, a moment when it is fresh, one when a new one is due, and one when it has ended.
    let cases = [
        (900, "+9m", "+11m", "+16m"),
        (800, "+8m", "+570", "+14m"),
        (3600, "+43m", "+45m", "+61m"),
        (43_200, "+703m", "+705m", "+721m"),
    ];
    each(cases.to_vec(), |(seconds, fresh, due, ended)| {
        let world = World::start();
        leases_of(&world, seconds);
        let run = world.command_as("token", PROCESS);
        let first = run.run().ok();
        let at = |offset: &str| later(&run, offset).expect("faketime");
        assert_eq!(at(fresh).ok(), first, "{seconds}");
        assert_eq!(world.count(READ), 1, "{seconds}");
        // A clock that was set back, by more than a minute: who knows what it would take for fresh.
        assert_ne!(at("-2m").ok(), first, "{seconds}");
        let second = run.run().ok();
        assert_ne!(at(due).ok(), second, "{seconds}");
        let third = run.run().ok();
        world.vault.clear_faults();
        world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(503, "Vault is sealed")));
        assert_eq!(at(due).ok(), third, "an old one is better than none, {seconds}");
        at(ended).failed(69, "unavailable");
    });
}

#[test]
fn while_there_is_no_new_one_the_old_one_is_handed_out_and_vault_left_alone_for_half_a_minute() {
    let (world, run, first) = kept_for_15_minutes();
    world.vault.clear_faults();
    world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(403, "permission denied")));
    for (offset, reads) in [("+11m", 2), ("+670", 2), ("+705", 3)] {
        let Some(ran) = later(&run, offset) else { return };
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), (first.as_str(), "", 0), "{offset}");
        // A policy's refusal is answered by one try as a write.
        assert_eq!(world.count(READ), reads, "{offset}: {:?}", world.requests());
    }
    let told = later(&with(&run, &format!("{PROCESS} -v")), "+13m").expect("faketime");
    assert!(told.stderr.contains("the kept credential is used, for there is no new one: "), "{told:?}");
}

#[test]
fn the_old_one_is_better_than_none_also_where_nothing_can_be_locked_any_more() {
    let (world, run, first) = kept_for_15_minutes();
    // What a folder is that was mounted again, for reading only.
    let entry = entries(&world).remove(0);
    let lock = format!("lock-{}", &entry.file_name().and_then(|name| name.to_str()).expect("a name")[..2]);
    std::fs::remove_file(entry.with_file_name(&lock)).expect("a lock");
    std::fs::create_dir(entry.with_file_name(&lock)).expect("a folder");
    world.vault.clear_faults();
    world.vault.inject(On::path(READ).every(), Fault::answer(Reply::error(503, "Vault is sealed")));
    let Some(ran) = later(&run, "+11m") else { return };
    assert_eq!(ran.ok(), first);
    later(&run, "+16m").expect("faketime").failed(69, "unavailable");
}

#[test]
fn while_another_caller_asks_for_a_new_one_the_old_one_is_handed_out_and_nobody_waits() {
    let (world, run, first) = kept_for_15_minutes();
    let Some(mut command) = later_command(&run, "+11m") else { return };
    world.vault.clear_faults();
    world.vault.inject(On::path(READ), Fault::hang_before());
    let mut asking = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    assert!(world.vault.wait_for_requests(2, Duration::from_secs(30)), "the read never came");
    assert_eq!(later(&run, "+11m").expect("faketime").ok(), first);
    assert_eq!(world.count(READ), 2);
    // Only ours: a faketime that is killed leaves a semaphore under its number, and a later one of that number fails.
    let children = format!("/proc/{0}/task/{0}/children", asking.id());
    let ours = std::fs::read_to_string(children).expect("faketime's child");
    let ours = ours.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("one number");
    rustix::process::kill_process(ours, rustix::process::Signal::KILL).expect("a signal");
    asking.wait().expect("its end");
}

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

#[test]
fn what_cannot_be_printed_stays_for_the_next_call_and_is_given_back_without_a_cache() {
    let world = World::start();
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let run = world.command_as("id-token", PROCESS);
    let output = run.to_command().stdout(full()).stderr(Stdio::piped()).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("the credential is kept for the next call"), "{stderr}");
    assert_eq!(world.vault.live_leases().len(), 1);
    run.run().ok();
    assert_eq!(world.count(READ), 1);
    let output =
        with(&run, "aws --role user --via creds --format process --no-cache").to_command().stdout(full()).output();
    assert_eq!(output.expect("it runs").status.code(), Some(74));
    assert_eq!(world.vault.live_leases().len(), 1);
}

#[test]
fn entries_that_have_ended_are_cleaned_away_by_the_next_one() {
    let world = World::start();
    leases_of(&world, 900);
    for _ in 0..5 {
        world.command_as("token", PROCESS).run().ok();
    }
    assert_eq!(entries(&world).len(), 5);
    let Some(ran) = later(&world.command_as("token", PROCESS), "+16m") else { return };
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

#[test]
fn an_answer_that_is_lost_while_others_wait_costs_one_call_at_most_where_the_secret_is_reusable() {
    let faults: [fn() -> Fault; 3] = [
        || Fault::cut_answer(0),
        || Fault::reset_answer(220),
        || Fault::answer_after(Reply::error(500, "internal error")),
    ];
    let cases = METHODS.into_iter().flat_map(|method| faults.map(|fault| (method, fault))).collect();
    each(cases, |(method, fault)| {
        let world = World::start();
        world.vault.inject(On::get("exoscale/apikey/gitlab-ci-runner"), fault());
        let run = world.command_as(method, EXOSCALE);
        let start = |_| run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let children: Vec<_> = (0..12).map(start).collect();
        let outputs: Vec<_> = children.into_iter().map(|child| child.wait_with_output().expect("its end")).collect();
        let ended = |wanted: i32| outputs.iter().filter(|output| output.status.code() == Some(wanted)).count();
        let told = format!("{method}: {outputs:?} {:?}", world.requests());
        let (delivered, leaks, live) = (ended(0), ended(80), world.vault.live_leases().len());
        match method {
            "id-token" | "generator-token" => assert_eq!((delivered, live), (12, 1), "{told}"),
            // Nobody's token to revoke: one call says what may be left, and the next one makes the key for the rest.
            "token" => assert_eq!((delivered, leaks, live), (11, 1, 2), "{told}"),
            _ => assert_eq!((delivered, leaks, live, ended(79) + ended(77) + ended(69)), (0, 0, 0, 12), "{told}"),
        }
        let keys = outputs.iter().filter(|output| output.status.success()).map(|output| &output.stdout);
        assert!(keys.collect::<std::collections::BTreeSet<_>>().len() <= 1, "{told}");
    });
}

#[test]
fn a_signal_to_the_caller_that_others_wait_for_gives_his_key_back_and_lets_them_go_on() {
    let world = World::start();
    let read = "exoscale/apikey/gitlab-ci-runner";
    world.vault.inject(On::get(read), Fault::hang_after());
    let run = world.command_as("id-token", EXOSCALE);
    let start = || run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let holder = start();
    assert!(world.vault.wait_for_requests(2, Duration::from_secs(60)), "the read never came");
    let others: Vec<_> = (0..5).map(|_| start()).collect();
    let status = Command::new("kill").args(["-TERM", &holder.id().to_string()]).status().expect("kill");
    assert!(status.success());
    assert_eq!(holder.wait_with_output().expect("its end").status.code(), Some(143));
    for other in others {
        let output = other.wait_with_output().expect("its end");
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!((world.vault.minted()[read], world.vault.live_leases().len()), (2, 1));
}
