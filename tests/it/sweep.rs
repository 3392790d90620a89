//! Every request of the chain × every fault × every identity × every format, and the chain cut at every byte.
//!
//! A fault at a request meets two of the eight formats, and the chain is cut at every third byte, unless
//! `CI_CREDS_TEST_ROUNDS` is 8: each fault, each request and each identity meets every format even so.
//!
//! Nothing here expects a certain end: whatever happens, the double's oracles must hold. A run that fails says so
//! once, in a documented way, with nothing secret; it leaves no lease, or says that it may; and what can be spent
//! once is never sent twice unless Vault itself had said that it is unspent.

use std::path::Path;
use std::time::Duration;

use ci_creds::variables::SECRETS;
use dev_vault::{Fault, On, Recorded, Reply};

use crate::github;
use crate::support::expect::did_not_act;
use crate::support::parallel::{each_at_once, rounds_or};
use crate::support::{METHODS, ROLE, Ran, World, leak, requests_of};

type Make = fn() -> Fault;

/// The fault matrix. Each stands for what a network, a proxy, a standby or a broken Vault does.
const FAULTS: [(&str, Make); 42] = [
    ("cut in the request line", || Fault::cut_request(0)),
    ("cut in the request", || Fault::cut_request(60)),
    ("dropped before processing", Fault::drop_request),
    ("lost answer", || Fault::cut_answer(0)),
    ("reset answer", || Fault::reset_answer(0)),
    ("answer cut in its head", || Fault::cut_answer(40)),
    ("answer cut in its body", || Fault::cut_answer(220)),
    ("answer reset in its body", || Fault::reset_answer(220)),
    ("silence before processing", Fault::hang_before),
    ("silence after processing", Fault::hang_after),
    ("a slow cloud", || Fault::slow_cloud(Duration::from_millis(1_500))),
    ("a cloud that does not come to its end", || Fault::slow_cloud(Duration::from_secs(60))),
    ("not HTTP", || Fault::raw("SSH-2.0-OpenSSH_9.2\r\n")),
    ("a TLS alert", || Fault::raw([0x15, 3, 1, 0, 2, 2, 70])),
    ("an answer without end", || Fault::endless(8 << 20)),
    ("200 empty", || Fault::answer(Reply::status(200))),
    ("200 empty after processing", || Fault::answer_after(Reply::status(200))),
    ("204 where data is needed", || Fault::answer_after(Reply::status(204).body(""))),
    ("200 page", || Fault::answer(Reply::html(200, "<html>log in</html>"))),
    ("200 page after processing", || Fault::answer_after(Reply::html(200, "<html>log in</html>"))),
    ("200 with half a JSON", || Fault::answer_after(Reply::status(200).body("{\"data\":{\"api_key\":\"EX"))),
    ("200 with two JSONs", || Fault::rewrite_bytes(Box::new(|body| [body.clone(), body].concat()))),
    ("200 compressed", || Fault::answer_after(Reply::status(200).header("Content-Encoding", "gzip").body("\u{1f}"))),
    ("200 wrapped", || Fault::answer_after(Reply::json(200, &serde_json::json!({"wrap_info": {"token": "s.x"}})))),
    ("200 without data", || {
        Fault::rewrite(Box::new(|mut answer| {
            answer["data"] = serde_json::Value::Null;
            answer["auth"] = serde_json::Value::Null;
            answer
        }))
    }),
    ("400", || Fault::answer(Reply::error(400, "invalid request"))),
    ("403", || Fault::answer(Reply::error(403, "permission denied"))),
    ("403 page", || Fault::answer(Reply::html(403, "<html>blocked</html>"))),
    ("404", || Fault::answer(Reply::error(404, "no handler for route"))),
    ("405", || Fault::answer(Reply::error(405, "unsupported operation"))),
    ("407", || Fault::answer(Reply::html(407, "<html>proxy</html>"))),
    ("412", || Fault::answer(Reply::error(412, "required index state not present"))),
    ("429", || Fault::answer(Reply::error(429, "rate limit quota exceeded"))),
    ("429 for a day", || Fault::answer(Reply::error(429, "rate limit quota exceeded").header("Retry-After", "86400"))),
    ("473", || Fault::answer(Reply::error(473, "performance standby"))),
    ("500", || Fault::answer(Reply::error(500, "internal error"))),
    ("500 after processing", || Fault::answer_after(Reply::error(500, "internal error"))),
    ("502 page after processing", || Fault::answer_after(Reply::html(502, "<html>bad gateway</html>"))),
    ("503 sealed", || Fault::answer(Reply::error(503, "Vault is sealed"))),
    ("504 page", || Fault::answer(Reply::html(504, "<html>timeout</html>"))),
    ("302", || Fault::redirect(302, "https://evil.invalid/v1/x")),
    ("307", || Fault::redirect(307, "https://evil.invalid/v1/x")),
];

const FORMATS: [&str; 8] = ["shell", "fish", "powershell", "json", "dotenv", "github", "file", "process"];

/// Enough for silence to be told from slowness, twice in a run.
const DEADLINES: &str = "--request-timeout 1s --timeout 4s";

struct Case {
    method: &'static str,
    /// Which of the way's requests, counted from 0.
    step: usize,
    fault: (&'static str, Make),
    every_time: bool,
    format: &'static str,
}

fn cases() -> Vec<Case> {
    let steps = METHODS.into_iter().flat_map(|method| (0..=requests_of(method).len()).map(move |step| (method, step)));
    let mut cases = Vec::new();
    for (turn, (method, step)) in steps.enumerate() {
        for (number, fault) in FAULTS.into_iter().enumerate() {
            for round in 0..rounds_or(2).min(FORMATS.len()) {
                // 3 and 8 have no common factor: eight rounds are all formats.
                let format = FORMATS[(turn + number + 3 * round) % FORMATS.len()];
                cases.push(Case { method, step, fault, every_time: false, format });
            }
            cases.push(Case { method, step, fault, every_time: true, format: "shell" });
        }
    }
    cases
}

fn path_of(method: &str, step: usize) -> String {
    let requests = requests_of(method);
    let request = requests.get(step).cloned().unwrap_or_else(|| format!("GET exoscale/apikey/{ROLE}"));
    request.split_once(' ').unwrap().1.to_owned()
}

fn check(case: &Case) {
    let Case { method, step, fault: (name, make), every_time, format } = case;
    let world = World::start();
    let path = path_of(method, *step);
    let on = On::path(&path);
    world.vault.inject(if *every_time { on.every() } else { on }, make());
    // A part of the matrix says all that it knows: causes and origins must not tell a secret either.
    let verbose = if *every_time { "-v" } else { "" };
    // The pair has no form for `credential_process` but that of the object storage.
    let storage = if *format == "process" { "--sos --zone ch-gva-2" } else { "" };
    let line = format!("exoscale {storage} --role {ROLE} --format {format} {DEADLINES} {verbose}");
    let run = world.command_as(method, &line);
    // In its place stdout is a file; here it is a pipe.
    let run = if *format == "github" { run.env("GITHUB_ACTIONS", "true").arg("--reveal") } else { run };
    let mut ran = run.run();
    let secrets = github::take_masks(&mut ran);
    assert_eq!(secrets.len(), usize::from(ran.code == 0 && *format == "github"), "{ran:?}");
    let told = format!("{method}, {name} at {path}{}, {format}: {ran:?}", if *every_time { " every time" } else { "" });
    hold_oracles(&world, &ran, method, format, &told);
    // The server knows only what reached it.
    let given = SECRETS.iter().filter_map(|name| run.variables().get(*name)).map(String::as_str);
    assert_eq!(leak::find(given, &ran.stderr), None, "{told}");
    if *format == "process" && !every_time {
        // On a busy machine the deadline of an earlier request can come before the fault.
        world.vault.clear_faults();
        // Whatever else the machine does then: no deadline of this one is short.
        let mut next = run;
        next.arguments = line.replace(DEADLINES, "").split_whitespace().map(str::to_owned).collect();
        hold_for_the_next_call(&world, &ran, &next.run(), method, &told);
    }
}

/// What must hold after any run at all.
fn hold_oracles(world: &World, ran: &Ran, method: &str, format: &str, told: &str) {
    let requests = world.vault.requests();
    let live = world.vault.live_leases();
    // What no lease revokes is told, also by a run that succeeds.
    let strays = world.vault.keys_without_a_lease();
    let told_of_strays = ran.stderr.contains("may remain that no lease revokes");
    assert!(strays.is_empty() || told_of_strays, "{told}\nleft without a lease: {strays:?}");
    if ran.code == 0 {
        assert_eq!(live.len(), 1, "{told}");
        let (file, key) = (private_files(world), &live[0].access_key);
        assert!(
            if format == "file" { file.contains(key) } else { file.is_empty() && ran.stdout.contains(key) },
            "{told}"
        );
        assert!(!ran.stderr.contains("error["), "{told}");
    } else {
        assert!([65, 69, 75, 76, 77, 78, 79, 80].contains(&ran.code), "{told}");
        assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("ci-creds: error[")).count(), 1, "{told}");
        assert!(ran.stderr.lines().filter(|line| line.starts_with("  hint: ")).count() <= 1, "{told}");
        assert!(live.is_empty() || ran.code == 80, "{told}\nleft: {live:?}");
        assert!(!told_of_strays || ran.code == 80, "{told}");
        let marker = match format {
            "shell" | "file" => {
                ran.stdout.ends_with(&format!("(exit {});\n", ran.code)) && ran.stdout.starts_with("unset ")
            }
            "fish" => ran.stdout.ends_with("false;\n"),
            "powershell" => ran.stdout.ends_with(&format!("throw 'ci-creds failed with exit code {}';\n", ran.code)),
            _ => ran.stdout.is_empty(),
        };
        assert!(marker, "{told}");
        assert_eq!(private_files(world), "", "{told}");
        world.assert_no_secret_in(&ran.stdout);
        let spent = requests.iter().any(|request| request.path.ends_with("/unwrap") && request.processed);
        assert!(!(spent && [69, 75].contains(&ran.code)), "a re-run cannot help: {told}");
        assert!(ran.code != 79 || method != "token" && method != "id-token", "{told}");
    }
    world.assert_no_secret_in(&ran.stderr);
    hold_order(&requests, told);
}

/// What must hold for another call of the same job, by the cache, when nothing fails any more.
fn hold_for_the_next_call(world: &World, first: &Ran, next: &Ran, method: &str, told: &str) {
    let told = format!("{told}, and then {next:?}");
    let is_single_use = ["wrapping-token", "secret-id"].contains(&method);
    match next.code {
        0 if first.code == 0 => assert_eq!(next.stdout, first.stdout, "{told}"),
        0 => assert!(world.vault.live_leases().iter().any(|lease| next.stdout.contains(&lease.access_key)), "{told}"),
        // Its own job spent it: nobody is accused, and the call says when.
        code => {
            assert!(is_single_use && [77, 79].contains(&code), "{told}");
            // Nobody but Vault knows whether a secret ID is for one use.
            assert!(
                ![69, 75].contains(&first.code) || first.stderr.contains("a single-use secret ID is spent"),
                "{told}"
            );
            assert!(next.stderr.contains("; an earlier call of this job used it at 20"), "{told}");
            assert!(!next.stderr.contains("somebody else"), "{told}");
        }
    }
    let most = usize::from(next.code == 0) + usize::from(first.code == 80);
    assert!(world.vault.live_leases().len() <= most, "{told}");
    world.assert_no_secret_in(&next.stderr);
}

/// What private files this world's job has, as one text.
fn private_files(world: &World) -> String {
    let entries = |path: &Path| {
        let entries = std::fs::read_dir(path).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let files = entries(&world.path("tmp")).into_iter().flat_map(|folder| entries(&folder));
    files.map(|file| std::fs::read_to_string(file).expect("its text")).collect()
}

/// A wrapping token or a secret ID is sent again only after Vault said that it did not act, or that the token is
/// unspent; a credential is asked for again only after that, or after the token that asked was revoked.
fn hold_order(requests: &[Recorded], told: &str) {
    for (index, request) in requests.iter().enumerate() {
        let earlier = |same: &dyn Fn(&Recorded) -> bool| requests[..index].iter().rposition(same);
        let between = |from: usize, what: &dyn Fn(&Recorded) -> bool| requests[from..index].iter().any(what);
        let path = request.path.as_str();
        let token = |request: &Recorded| request.headers.get("X-Vault-Token").map(str::to_owned);
        if path.ends_with("/unwrap")
            && let Some(before) = earlier(&|other| other.path == path && token(other) == token(request))
        {
            let unspent = |other: &Recorded| other.path.ends_with("/lookup") && other.status == Some(200);
            assert!(did_not_act(requests[before].status) || between(before, &unspent), "unwrapped twice: {told}");
        }
        if path.ends_with("approle/login")
            && let Some(before) = earlier(&|other| other.path == path)
        {
            let another = |other: &Recorded| other.path.ends_with("/secret-id") && other.status == Some(200);
            // Of a request that was cut the double has no body.
            let is_other = request.body.is_empty() || request.body != requests[before].body;
            assert!(
                did_not_act(requests[before].status) || between(before, &another) && is_other,
                "a secret ID was sent twice: {told}"
            );
        }
        if path.contains("/apikey/")
            && let Some(before) = earlier(&|other| other.path == path)
        {
            let revoked = |other: &Recorded| other.path.ends_with("/revoke-self") && other.status == Some(204);
            assert!(did_not_act(requests[before].status) || between(before, &revoked), "minted twice: {told}");
        }
    }
}

/// A case waits for pauses and silences, which take no processor, or computes for milliseconds; its deadlines are
/// such that a late turn changes no oracle.
const AT_ONCE: usize = 48;

// check: 3, 5
#[test]
fn whatever_fails_nothing_is_spent_twice_nothing_is_left_and_nothing_is_told() {
    each_at_once(AT_ONCE, cases(), |case| check(&case));
}

/// Where a connection of the chain is cut.
struct Cut {
    path: &'static str,
    bytes: usize,
    answer: bool,
}

// check: 4
#[test]
fn the_chain_can_be_cut_at_any_byte_of_unwrap_login_and_read() {
    let clean = World::start();
    clean.command_as("wrapping-token", &format!("exoscale --role {ROLE}")).run().ok();
    let mut cuts = Vec::new();
    for path in ["sys/wrapping/unwrap", "auth/approle/login", "exoscale/apikey/gitlab-ci-runner"] {
        let request = clean.vault.requests().into_iter().find(|request| request.path.ends_with(path)).unwrap();
        cuts.extend((0..request.answered).map(|bytes| Cut { path, bytes, answer: true }));
        cuts.extend((0..request.read).map(|bytes| Cut { path, bytes, answer: false }));
    }
    assert!(cuts.len() > 6 * 100, "six heads alone have more bytes than {}", cuts.len());
    let thirds = rounds_or(1);
    cuts.retain(|cut| cut.bytes % 3 < thirds);
    each_at_once(AT_ONCE, cuts, |cut| {
        let world = World::start();
        let fault = if cut.answer { Fault::cut_answer(cut.bytes) } else { Fault::cut_request(cut.bytes) };
        world.vault.inject(On::path(cut.path), fault);
        let ran = world.command_as("wrapping-token", &format!("exoscale --role {ROLE}")).run();
        let told = format!(
            "{} cut after byte {} of its {}: {ran:?}",
            cut.path,
            cut.bytes,
            if cut.answer { "answer" } else { "request" }
        );
        hold_oracles(&world, &ran, "wrapping-token", "shell", &told);
    });
}

#[test]
fn a_hundred_jobs_that_meet_a_rate_limit_all_get_through_with_one_request_more_for_each_refusal() {
    let world = World::start();
    let refusal = Fault::answer(Reply::error(429, "rate limit quota exceeded"));
    world.vault.inject(On::path("gitlab/login").times(100), refusal);
    let jobs: Vec<_> = (0..100).collect();
    each_at_once(AT_ONCE, jobs, |_: i32| {
        // Ten retries, for chance may let one job meet several of the hundred refusals.
        world.command_as("id-token", &format!("exoscale --role {ROLE} --retries 10")).run().ok();
    });
    let logins = world.requests().iter().filter(|request| request.ends_with("gitlab/login")).count();
    assert_eq!(logins, 200);
    assert_eq!(world.vault.live_leases().len(), 100);
}
