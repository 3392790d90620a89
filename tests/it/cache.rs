mod entry;
mod folder;
mod login;
mod place;
mod system;
mod turn;
mod window;

use std::process::{Command, Stdio};
use std::time::Duration;

use dev_vault::{Fault, On, Reply};
use serde_json::json;

use crate::support::parallel::each;
use crate::support::{METHODS, Ran, Run, World, requests_of, tool};

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

// check: 7
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

// check: 7
#[test]
fn an_answer_that_is_lost_while_others_wait_costs_one_call_at_most_where_the_secret_is_reusable() {
    // Whether Vault may have been cut off: then the call whose read it was says that a key may live on.
    let faults: [(bool, fn() -> Fault); 3] = [
        (true, || Fault::cut_answer(0)),
        (true, || Fault::reset_answer(220)),
        (false, || Fault::answer_after(Reply::error(500, "internal error"))),
    ];
    let cases = METHODS.into_iter().flat_map(|method| faults.map(|fault| (method, fault))).collect();
    each(cases, |(method, (cut_off, fault))| {
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
            _ => {
                let most = usize::from(cut_off);
                let others = ended(79) + ended(77) + ended(69);
                assert_eq!((delivered, leaks, live, others), (0, most, 0, 12 - most), "{told}");
            }
        }
        let keys = outputs.iter().filter(|output| output.status.success()).map(|output| &output.stdout);
        assert!(keys.collect::<std::collections::BTreeSet<_>>().len() <= 1, "{told}");
    });
}

#[test]
fn a_signal_to_the_caller_that_others_wait_for_gives_his_key_back_and_lets_them_go_on() {
    let world = World::start();
    let read = "exoscale/apikey/gitlab-ci-runner";
    world.vault.inject(On::get(read), Fault::slow_cloud(Duration::from_secs(3)));
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
