use std::time::{Duration, Instant};

use dev_vault::{Crowd, DevVault, Fault, On, Reply, Tls};

use crate::support::parallel::each;
use crate::support::{METHODS, ROLE, Ran, World, exports, tool};

/// What a fault does to a run: it loses the answer of something that was done or not, or puts a whole answer that
/// is nobody's Vault in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Vault acted and the answer was lost.
    Done,
    /// Vault did not act, which the client cannot know.
    NotDone,
    /// Vault says that it failed, after it had acted, or before.
    Failed { done: bool },
    /// A whole answer that is not Vault's.
    Foreign,
}

type Make = fn() -> Fault;

/// Faults that are over at once.
const QUICK: [(&str, Sort, Make); 17] = [
    ("drop", Sort::NotDone, Fault::drop_request),
    ("cut request", Sort::NotDone, || Fault::cut_request(60)),
    ("no answer", Sort::Done, || Fault::cut_answer(0)),
    ("cut head", Sort::Done, || Fault::cut_answer(20)),
    ("cut body", Sort::Done, || Fault::cut_answer(260)),
    ("reset", Sort::Done, || Fault::reset_answer(0)),
    ("not http", Sort::NotDone, || Fault::raw("SSH-2.0-OpenSSH_9.2\r\n")),
    ("500", Sort::Failed { done: false }, || Fault::answer(Reply::error(500, "internal error"))),
    ("500 after", Sort::Failed { done: true }, || Fault::answer_after(Reply::error(500, "internal error"))),
    ("502 html", Sort::NotDone, || Fault::answer(Reply::html(502, "<html>Bad Gateway</html>"))),
    ("503 html", Sort::NotDone, || Fault::answer(Reply::html(503, "<html>Vault is sealed</html>"))),
    ("504 html after", Sort::Done, || Fault::answer_after(Reply::html(504, "<html>Gateway Timeout</html>"))),
    ("empty 200", Sort::Foreign, || Fault::answer(Reply::status(200))),
    ("login page", Sort::Foreign, || Fault::answer(Reply::html(200, "<html>Sign in</html>"))),
    ("half json", Sort::Foreign, || Fault::answer(Reply::status(200).body("{\"data\":{"))),
    ("compressed", Sort::Foreign, || Fault::answer(Reply::status(200).header("Content-Encoding", "gzip").body("{}"))),
    ("huge", Sort::Foreign, || Fault::answer(Reply::status(200).body(vec![b' '; 2 << 20]))),
];

/// The way to log in, the end of the path that the fault meets, the code when it meets it once and when always.
type Step = (&'static str, &'static str, fn(Sort) -> (i32, i32));

const LOOKUP: &str = "sys/wrapping/lookup";
const UNWRAP: &str = "sys/wrapping/unwrap";
const SECRET_ID: &str = "gitlab-ci-runner/secret-id";
const APPROLE: &str = "auth/approle/login";
const JWT: &str = "auth/gitlab/login";
const READ: &str = "apikey/gitlab-ci-runner";

/// What may be sent again is: success when the fault is over.
fn repeatable(sort: Sort) -> (i32, i32) {
    if sort == Sort::Foreign { (76, 76) } else { (0, 69) }
}

/// What the run had for its read is gone with its token, unless Vault was cut off: then a key may live on.
fn once(sort: Sort, code: i32) -> (i32, i32) {
    match sort {
        Sort::Foreign => (76, 76),
        Sort::Failed { .. } => (code, code),
        Sort::Done | Sort::NotDone => (80, 80),
    }
}

/// The same, where another login and another read follow.
fn twice(sort: Sort) -> (i32, i32) {
    (if sort == Sort::Foreign { 76 } else { 0 }, once(sort, 69).1)
}

const STEPS: [Step; 12] = [
    ("wrapping-token", LOOKUP, repeatable),
    // A lookup tells whether the unwrap happened; only when it did not, a second one follows.
    ("wrapping-token", UNWRAP, |sort| {
        if matches!(sort, Sort::NotDone | Sort::Failed { done: false }) { (0, 79) } else { (79, 79) }
    }),
    ("wrapping-token", APPROLE, |_| (79, 79)),
    ("wrapping-token", READ, |sort| once(sort, 79)),
    ("secret-id", APPROLE, |_| (79, 79)),
    ("secret-id", READ, |sort| once(sort, 69)),
    ("generator-token", SECRET_ID, repeatable),
    // Another secret ID is made for the second login.
    ("generator-token", APPROLE, repeatable),
    ("generator-token", READ, twice),
    ("id-token", JWT, repeatable),
    ("id-token", READ, twice),
    // Not our token to revoke: what the read may have made stays.
    ("token", READ, |_| (80, 80)),
];

/// Runs one case and holds it against the rules that no fault may break.
fn survive(step: Step, name: &str, sort: Sort, make: Make, every: bool, flags: &str) {
    let (method, suffix, codes) = step;
    let world = World::start();
    let run = world.command_as(method, &format!("exoscale --role {ROLE} --retries 1 {flags}"));
    let on = On::path(suffix);
    world.vault.inject(if every { on.every() } else { on }, make());
    let ran = run.run();
    let case = format!("{method} {suffix} {name} every={every}: {ran:?} {:#?}", world.requests());
    // The one silence lasts as long as the run, so nothing follows it.
    let is_last = every || suffix == READ && name.starts_with("hang");
    let code = if is_last { codes(sort).1 } else { codes(sort).0 };
    assert_eq!(ran.code, code, "{case}");
    assert!(!ran.stderr.contains("panicked"), "{case}");
    world.assert_no_secret_in(&ran.stderr);
    let cut_off = suffix == READ && matches!(sort, Sort::Done | Sort::NotDone);
    assert_eq!(ran.stderr.contains("an API key of Exoscale may remain that no lease revokes"), cut_off, "{case}");
    if code == 0 {
        let leases = world.vault.live_leases();
        assert_eq!(leases.len(), 1, "{case}");
        assert_eq!(exports(&ran.stdout)["EXOSCALE_API_KEY"], leases[0].access_key, "{case}");
    } else {
        ran.assert_marker(code);
        assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("ci-creds: error[")).count(), 1, "{case}");
        world.assert_no_secret_in(&ran.stdout);
        assert!(code == 80 || world.vault.live_leases().is_empty(), "a lease is left: {case}");
    }
    assert_never_blind(&world, &case);
}

/// No second unwrap without a lookup that said "valid" in between, no secret ID sent twice, no second read without
/// a revocation in between.
fn assert_never_blind(world: &World, case: &str) {
    let (mut unwrapped, mut read, mut secret_ids) = (false, false, Vec::new());
    for request in world.vault.requests() {
        let path = request.path.as_str();
        if path.ends_with(LOOKUP) && request.status == Some(200) {
            unwrapped = false;
        } else if path.ends_with(UNWRAP) {
            assert!(!unwrapped, "unwrapped blindly: {case}");
            unwrapped = true;
        } else if path.ends_with(APPROLE) && !request.json().is_null() {
            let secret_id = request.json()["secret_id"].clone();
            assert!(!secret_ids.contains(&secret_id), "a secret ID was sent twice: {case}");
            secret_ids.push(secret_id);
        } else if path.ends_with("revoke-self") && request.processed {
            read = false;
        } else if path.ends_with(READ) {
            assert!(!read, "read blindly: {case}");
            read = true;
        }
    }
}

fn all(faults: &[(&'static str, Sort, Make)]) -> Vec<(Step, &'static str, Sort, Make, bool)> {
    let cases = STEPS.into_iter().flat_map(|step| {
        faults.iter().flat_map(move |(name, sort, make)| [true, false].map(|every| (step, *name, *sort, *make, every)))
    });
    cases.collect()
}

#[test]
fn every_quick_fault_at_every_step_ends_in_its_code_and_leaves_nothing() {
    each(all(&QUICK), |(step, name, sort, make, every)| survive(step, name, sort, make, every, ""));
}

/// TLS records that end a connection in the middle: one that does not decrypt, and an alert in clear.
const SPOILED: [&[u8]; 2] = [b"\x17\x03\x03\x00\x18ZZZZZZZZZZZZZZZZZZZZZZZZ", &[0x15, 3, 3, 0, 2, 2, 80]];

// check: 4
#[test]
fn an_answer_that_tls_cannot_read_is_a_lost_one() {
    let cases = STEPS.into_iter().flat_map(|step| SPOILED.map(|bytes| (step, bytes))).collect();
    each(cases, |((method, suffix, codes), bytes)| {
        let world = World::with(DevVault::builder().tls(Tls::Valid));
        world.vault.inject(On::path(suffix), Fault::answer_beside_tls(bytes));
        let run = world.command_as(method, &format!("exoscale --role {ROLE}"));
        let ran = run.env("VAULT_CACERT_BYTES", world.vault.ca_pem()).run();
        let case = format!("{method} {suffix}: {ran:?}");
        assert_eq!(ran.code, codes(Sort::Done).0, "{case}");
        let left = usize::from(ran.code == 0 || method == "token");
        assert_eq!(world.vault.live_leases().len(), left, "{case}");
        assert!(ran.code == 0 || ran.stderr.contains("was lost before the answer was complete"), "{case}");
        assert_never_blind(&world, &case);
    });
}

// check: 14
#[test]
fn a_server_that_hangs_is_given_up_in_time_and_leaves_nothing() {
    let hangs: [(&str, Sort, Make); 2] =
        [("hang before", Sort::NotDone, Fault::hang_before), ("hang after", Sort::Done, Fault::hang_after)];
    let cases = all(&hangs).into_iter().filter(|(_, _, _, _, every)| !every).collect();
    each(cases, |(step, name, sort, make, every)| {
        let started = Instant::now();
        // The read has no deadline but the run's, and is waited for up to eight seconds longer.
        let is_read = step.1 == READ;
        survive(step, name, sort, make, every, if is_read { "--timeout 2" } else { "--request-timeout 2" });
        // Without these flags the first silence alone would take 20 s.
        assert!(started.elapsed() < Duration::from_secs(18), "{name} at {}: {:?}", step.1, started.elapsed());
    });
}

// check: 15
#[test]
fn an_answer_without_an_end_is_cut_at_its_size_and_not_at_the_deadline() {
    for (method, suffix, code) in [("token", READ, 80), ("id-token", JWT, 76), ("wrapping-token", LOOKUP, 76)] {
        let world = World::start();
        world.vault.inject(On::path(suffix).every(), Fault::endless(1 << 30));
        let started = Instant::now();
        let ran = world.command_as(method, &format!("exoscale --role {ROLE}")).run();
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains("larger than 1 MiB"), "{ran:?}");
        // The deadline of a request is 20 s.
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
}

// check: 14
#[test]
fn an_answer_in_drops_does_not_outlive_the_deadline_of_the_run() {
    let world = World::start();
    world.vault.inject(On::path(JWT).every(), Fault::drip(1, Duration::from_millis(50)));
    let started = Instant::now();
    let ran = world.command_as("id-token", &format!("exoscale --role {ROLE} --timeout 2")).run();
    ran.refused(&world, 69, "unavailable", &["no complete answer"], &["--request-timeout"]);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn a_vault_that_cannot_be_reached_is_named_with_the_reason() {
    let world = World::start();
    let job = || world.command_as("token", &format!("exoscale --role {ROLE} --retries 1"));
    // A port that nobody listens at, and that the system gives to no other test.
    let address = "127.0.0.1:1";
    let ran = job().env("VAULT_ADDR", &format!("http://{address}")).run();
    ran.refused(&world, 69, "unavailable", &[address, "connection refused"], &["VAULT_ADDR"]);
    let ran = job().env("VAULT_ADDR", "unix:///nonexistent/vault.sock").run();
    ran.refused(&world, 69, "unavailable", &["/nonexistent/vault.sock", "no such socket"], &["VAULT_ADDR"]);
    assert_eq!(world.vault.requests().len(), 0);
}

#[test]
fn a_host_without_an_address_is_named() {
    let world = World::with(DevVault::builder().tls(Tls::Valid));
    // A name that no name service may know (RFC 6761). Where none answers at all, the deadline ends the search.
    let line = format!("exoscale --role {ROLE} --retries 0 --connect-timeout 2");
    let run = world.command_as("token", &line).env("VAULT_ADDR", "https://vault.invalid");
    let ran = run.env("VAULT_CACERT_BYTES", world.vault.ca_pem()).run();
    let ran = ran.refused(&world, 69, "unavailable", &["vault.invalid:443"], &["VAULT_ADDR"]);
    assert!(ran.stderr.contains("no address for") || ran.stderr.contains("no connection in time"), "{ran:?}");
}

// check: 14
#[test]
fn a_connection_attempt_that_hangs_has_spent_nothing_and_left_nothing() {
    let crowd = Crowd::gather();
    let address = format!("http://{}", crowd.address());
    let deadlines = ["--timeout 3", "--request-timeout 2 --retries 1", "--connect-timeout 1 --timeout 4 --retries 10"];
    let cases = METHODS.into_iter().flat_map(|method| deadlines.map(|flags| (method, flags))).collect();
    each(cases, |(method, flags)| {
        let world = World::start();
        let started = Instant::now();
        let run = world.command_as(method, &format!("exoscale --role {ROLE} {flags}")).env("VAULT_ADDR", &address);
        let ran = run.run();
        // The system itself would go on for two minutes.
        assert!(started.elapsed() < Duration::from_secs(30), "{flags}: {:?}", started.elapsed());
        ran.refused(&world, 69, "unavailable", &["cannot reach", "no connection in time"], &["VAULT_ADDR"]);
    });
}

#[test]
fn a_run_without_retries_still_revokes_if_a_revocation_is_lost_once() {
    each(vec![Fault::drop_request(), Fault::hang_before()], |fault| {
        let world = World::start();
        world.vault.inject(On::get(READ), Fault::cut_answer(0));
        world.vault.inject(On::path("revoke-self"), fault);
        let ran = world.command_as("secret-id", &format!("exoscale --role {ROLE} --retries 0")).run();
        let ran = ran.refused(&world, 80, "leak", &["was lost", "no lease revokes"], &["exo iam api-key list"]);
        world.assert_nothing_left(&ran);
    });
}

/// A loopback address that nothing else listens at. Its port 53 is for root.
const NAME_SERVER: &str = "127.0.83.53";

// check: 14
#[test]
fn a_name_service_that_does_not_answer_does_not_outlive_the_deadline_of_the_run() {
    let Some(unshare) = tool::find("unshare") else { return };
    let permitted = std::process::Command::new(&unshare).args(["-m", "true"]).output();
    let silent = std::net::UdpSocket::bind((NAME_SERVER, 53));
    let (Ok(_silent), true) = (silent, permitted.is_ok_and(|output| output.status.success())) else {
        eprintln!("skipped: a name service of its own is for root, where unshare is permitted");
        return;
    };
    let world = World::with(DevVault::builder().tls(Tls::Valid));
    // One question, and half a minute for its answer.
    let resolver = world.file("resolv.conf", &format!("nameserver {NAME_SERVER}\noptions timeout:30 attempts:1\n"));
    let line = format!("exoscale --role {ROLE} --retries 0 --timeout 2");
    let run = world.command_as("token", &line).env("VAULT_ADDR", "https://vault.example.com");
    let inner = run.env("VAULT_CACERT_BYTES", world.vault.ca_pem()).to_command();
    let mut command = std::process::Command::new(unshare);
    command.args(["-m", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""]).arg(&resolver);
    command.arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let started = Instant::now();
    let ran = Ran::of(command);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}: {ran:?}", started.elapsed());
    ran.refused(&world, 69, "unavailable", &["vault.example.com:443"], &["VAULT_ADDR"]);
}

#[test]
fn a_connection_that_is_closed_before_it_says_anything_is_tried_again() {
    let world = World::start();
    world.vault.inject(On::connection(), Fault::close_before_handshake());
    world.command_as("id-token", &format!("exoscale --role {ROLE}")).run().ok();
    assert_eq!(world.vault.connections(), 2);
}

#[test]
fn a_key_whose_read_outlives_the_run_is_still_revoked() {
    each(vec![(Fault::hang_after(), 1), (Fault::hang_before(), 0)], |(fault, minted)| {
        let world = World::start();
        world.vault.inject(On::path(READ).every(), fault);
        let started = Instant::now();
        let ran = world.command_as("secret-id", &format!("exoscale --role {ROLE} --timeout 2")).run();
        let words = ["no complete answer", "an API key of Exoscale may remain that no lease revokes"];
        let ran = ran.refused(&world, 80, "leak", &words, &["exo iam api-key list"]);
        assert_eq!(world.vault.minted().len(), minted, "{ran:?}");
        world.assert_nothing_left(&ran);
        // The deadline of a run is a minute and a half.
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    });
}

#[test]
fn an_answer_of_one_mib_is_read_and_one_byte_more_is_not() {
    for (size, code) in [(1 << 20, 0), ((1 << 20) + 1, 76)] {
        let world = World::start();
        let pad = move |mut body: Vec<u8>| {
            body.resize(size, b' ');
            body
        };
        world.vault.inject(On::path(JWT), Fault::rewrite_bytes(Box::new(pad)));
        let ran = world.command_as("id-token", &format!("exoscale --role {ROLE}")).run();
        assert_eq!((ran.code, ran.stderr.contains("larger than 1 MiB")), (code, code != 0), "{ran:?}");
    }
}
