use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use dev_vault::{DevVault, Fault, On, Relay, Reply, Tls};
use serde_json::json;

use crate::support::parallel::{each, each_at_once};
use crate::support::{ROLE, Run, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";
const LOOKUP: &str = "/v1/sys/wrapping/lookup";
const UNWRAP: &str = "/v1/sys/wrapping/unwrap";
const LOGIN: &str = "/v1/auth/approle/login";
const READ: &str = "/v1/exoscale/apikey/gitlab-ci-runner";

/// Each way to log in with something that is good for one use, or that makes such a thing.
const SINGLE_USE: [&str; 4] = ["wrapping-token", "wrapped-login", "secret-id", "generator-token"];

fn command(world: &World, identity: &str, flags: &str) -> Run {
    let line = format!("{EXOSCALE} {flags}");
    let run = if identity == "wrapped-login" {
        let login = json!({ "role_id": world.role_id, "secret_id": world.secret_id() });
        let wrapped = world.vault.write_wrapped("auth/approle/login", login, "60s");
        world.command(&line).env("VAULT_WRAPPING_TOKEN", &wrapped).env("VAULT_APPROLE_ROLE", ROLE)
    } else {
        world.command_as(identity, &line)
    };
    let tls = world.vault.address().starts_with("https");
    if tls { run.env("VAULT_CACERT_BYTES", world.vault.ca_pem()) } else { run }
}

/// The requests that reached Vault, as path and connection.
fn seen(world: &World) -> Vec<(String, usize)> {
    world.vault.requests().iter().map(|request| (request.path.clone(), request.connection)).collect()
}

/// Runs once: whether there is a credential. Fails when something for one use reached Vault twice, or a run that failed
/// has no code for it or left a lease.
fn succeeds(world: &World, identity: &str, address: &str) -> bool {
    world.vault.forget_requests();
    let leases = world.vault.live_leases().len();
    let ran = command(world, identity, "").env("VAULT_ADDR", address).run();
    let requests = world.vault.requests();
    let count = |path: &str| requests.iter().filter(|request| request.path == path).count();
    let logins = requests.iter().filter(|request| request.path == LOGIN);
    let secret_ids: BTreeSet<_> = logins.map(|request| request.json()["secret_id"].to_string()).collect();
    let case = format!("{identity}: {ran:?} {:?}", seen(world));
    assert_eq!(secret_ids.len(), count(LOGIN), "a secret ID was sent twice: {case}");
    assert!(count(UNWRAP) <= 1 && count(READ) <= 1, "{case}");
    let made = world.vault.live_leases().len() - leases;
    if ran.code == 0 {
        assert_eq!(made, 1, "{case}");
    } else {
        assert!(matches!(ran.code, 69 | 79 | 80) && made == 0, "{case}");
    }
    ran.code == 0
}

/// How many rounds: a full run is for the one who changes this code.
fn rounds() -> usize {
    std::env::var("CI_CREDS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Each way to end a connection × each identity × plain and TLS: in how many of the rounds there is a credential.
fn count_successes(after: Duration, delay: Duration) -> Vec<(&'static str, String, usize)> {
    type Make = fn(Duration) -> Fault;
    let ends: [(&str, Make); 2] = [("close", Fault::close_idle), ("reset", Fault::reset_idle)];
    let of_end = |end| SINGLE_USE.map(|identity| [Tls::Off, Tls::Valid].map(|tls| (end, identity, tls)));
    let counts = Mutex::new(Vec::new());
    // On a long wire all is waiting. Else two, for a machine that is busy beyond that moves every moment that is meant here.
    let at_once = if delay.is_zero() { 2 } else { 8 };
    each_at_once(at_once, ends.into_iter().flat_map(of_end).flatten().collect(), |((name, make), identity, tls)| {
        let world = World::with(DevVault::builder().tls(tls));
        world.vault.inject(On::any().every(), make(after));
        let relay = Relay::start(world.vault.socket_address(), delay);
        let direct = world.vault.address();
        let scheme = direct.split(':').next().unwrap();
        let address = if delay.is_zero() { direct.clone() } else { format!("{scheme}://{}", relay.socket_address()) };
        let count = (0..rounds()).filter(|_| succeeds(&world, identity, &address)).count();
        println!("{identity} {tls:?}, {name} after {after:?}: {count} of {}", rounds());
        counts.lock().unwrap().push((identity, format!("{name} {tls:?}"), count));
    });
    counts.into_inner().unwrap()
}

// check: 4
#[test]
fn a_server_that_ends_a_connection_while_the_next_request_is_on_its_way_costs_no_wrapping_token() {
    // The round trip is thirty times as long as the server waits: who does not see the end loses the request, and a server
    // that is late by that much, which would keep the connection after all, is not to be had.
    for (identity, how, count) in count_successes(Duration::from_millis(2), Duration::from_millis(30)) {
        // Nobody can tell whether the one read that a secret ID is good for was done. It is told, and nothing is left.
        assert!(identity == "secret-id" || count == rounds(), "{identity} {how}: {count} of {}", rounds());
    }
}

// check: 4
#[test]
fn a_server_that_ends_each_connection_behind_its_answer_costs_no_wrapping_token() {
    for (identity, how, count) in count_successes(Duration::ZERO, Duration::ZERO) {
        // On a machine that is busy enough, the end comes later than anybody would wait for it.
        assert!(identity == "secret-id" || count == rounds(), "{identity} {how}: {count} of {}", rounds());
    }
}

// check: 4
#[test]
fn a_server_that_ends_connections_at_any_moment_is_sent_nothing_for_one_use_twice() {
    for after in [200, 1_000, 20_000].map(Duration::from_micros) {
        count_successes(after, Duration::ZERO);
    }
}

// check: 4
#[test]
fn a_connection_that_was_forgotten_during_a_pause_is_not_used_again() {
    // The step that is put off, and what is answered on the same connection before it.
    let steps = [("wrapping-token", UNWRAP), ("wrapping-token", LOGIN), ("secret-id", LOGIN), ("secret-id", READ)];
    each(steps.to_vec(), |(identity, path)| {
        let world = World::start();
        let relay = Relay::forgetful(world.vault.socket_address(), Duration::from_millis(1_500));
        let busy = Reply::error(429, "rate limit quota exceeded").header("Retry-After", "2");
        world.vault.inject(On::path(path), Fault::answer(busy));
        let run = command(&world, identity, "--request-timeout 5s");
        let ran = run.env("VAULT_ADDR", &format!("http://{}", relay.socket_address())).run();
        assert_eq!((ran.code, world.vault.connections()), (0, 2), "{identity} {path}: {ran:?} {:?}", seen(&world));
    });
}

// check: 4
#[test]
fn after_a_connection_that_was_ended_without_a_word_no_other_one_is_used_twice() {
    for tls in [Tls::Off, Tls::Valid] {
        let world = World::with(DevVault::builder().tls(tls));
        // Once only: what follows would be kept alive.
        world.vault.inject(On::path(LOOKUP), Fault::close_idle(Duration::ZERO));
        command(&world, "wrapping-token", "").run().ok();
        let seen = seen(&world);
        let connections: BTreeSet<_> = seen.iter().map(|(_, connection)| connection).collect();
        assert!(seen.len() >= 4 && connections.len() == seen.len(), "{tls:?}: {seen:?}");
    }
}

// check: 4
#[test]
fn a_lost_unwrap_is_sent_again_on_a_connection_of_its_own() {
    let world = World::start();
    world.vault.inject(On::path(UNWRAP), Fault::drop_request());
    command(&world, "wrapping-token", "").run().ok();
    let seen = seen(&world);
    let paths: Vec<_> = seen.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, [LOOKUP, UNWRAP, LOOKUP, UNWRAP, LOGIN, READ]);
    assert_ne!(seen[2].1, seen[3].1, "{seen:?}");
}

// check: 4
#[test]
fn an_unspent_wrapping_token_is_sent_as_often_as_a_request_may_be_and_each_time_after_a_lookup() {
    for (retries, lost, code, sent) in [(2, 2, 0, 3), (2, 3, 79, 3), (1, 2, 79, 2), (0, 1, 0, 2)] {
        let world = World::start();
        world.vault.inject(On::path(UNWRAP).times(lost), Fault::drop_request());
        let ran = command(&world, "wrapping-token", &format!("--retries {retries}")).run();
        let seen = seen(&world);
        let case = format!("{retries} {lost}: {ran:?} {seen:?}");
        assert_eq!(ran.code, code, "{case}");
        let pair = [LOOKUP, UNWRAP];
        let paths: Vec<_> = seen.iter().map(|(path, _)| path.as_str()).collect();
        assert!(paths[..2 * sent].chunks(2).all(|next| next == pair), "{case}");
        assert_eq!(paths.iter().filter(|path| **path == UNWRAP).count(), sent, "{case}");
    }
}
