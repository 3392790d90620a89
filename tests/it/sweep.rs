//! Every request of the chain × every fault × every identity × every source × every format, and the chain cut at every
//! byte.
//!
//! `job` has the identities, `errand` what a run is for. A fault at a request meets one of the formats, every other one lasts
//! at the requests of `METHODS` too, Scaleway and STS meet a third of the faults at each request, and the chain is cut at
//! every fifth byte, unless `CI_CREDS_TEST_ROUNDS` is 8: each fault, each request and each identity meets every format even
//! so.
//!
//! Nothing here expects a certain end: whatever happens, the double's oracles must hold. A run that fails says so
//! once, in a documented way, with nothing secret; it leaves no lease, or says that it may; and what can be spent
//! once is never sent twice unless Vault itself had said that it is unspent.

mod errand;
mod job;
mod sts;

use std::collections::BTreeSet;
use std::time::Duration;

use ci_creds::variables::SECRETS;
use dev_vault::{Fault, On, Recorded, Reply};

use crate::github;
use crate::support::expect::did_not_act;
use crate::support::parallel::{each_at_once, rounds_or};
use crate::support::{METHODS, ROLE, Ran, World, leak};
use errand::{Errand, private_files};
use job::{IDENTITIES, Job, Server, Step, steps_of};

type Make = fn() -> Fault;

/// The fault matrix. Each stands for what a network, a proxy, a standby or a broken Vault does.
const FAULTS: [(&str, Make); 43] = [
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
    ("401", || Fault::answer(Reply::error(401, "unauthorized"))),
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

/// Enough for silence to be told from slowness, twice in a run.
const DEADLINES: &str = "--request-timeout 1s --timeout 4s";

/// Faults that Vault acts before, where nobody gets its answer: after them another login may follow, by what the identity is
/// good for.
const LOST: [&str; 5] =
    ["lost answer", "answer cut in its body", "silence after processing", "a slow cloud", "500 after processing"];

/// The same, and refusals: after them a token that the user supplies gives back by its lease what an earlier section lent.
const LOST_OR_REFUSED: [&str; 9] = [
    "lost answer",
    "answer cut in its body",
    "silence after processing",
    "a slow cloud",
    "500 after processing",
    "400",
    "403",
    "404",
    "405",
];

/// What is busy is asked again, and gives its answer then.
const BUSY: [&str; 4] = ["429", "502 page after processing", "503 sealed", "504 page"];

/// Faults of which nobody is told at once, so that the run's time may be up before it can go on.
const SLOW: [&str; 6] = [
    "silence before processing",
    "silence after processing",
    "a cloud that does not come to its end",
    "an answer without end",
    "429 for a day",
    "a slow cloud",
];

struct Case {
    identity: &'static str,
    errand: Errand,
    step: Step,
    fault: (&'static str, Make),
    every_time: bool,
    format: &'static str,
}

/// A request that faults meet: whose, in a run for what.
struct Place {
    identity: &'static str,
    errand: Errand,
    step: Step,
    /// Its faults, if not all.
    some: Option<&'static [&'static str]>,
    /// Which third of them it meets, unless the whole matrix is played.
    third: Option<usize>,
}

impl Place {
    fn meets(&self, number: usize, name: &str) -> bool {
        let is_played = self.third.is_none_or(|third| is_whole() || number % 3 == third);
        is_played && self.some.is_none_or(|some| some.contains(&name))
    }
}

/// Whether every fault meets every request, by more than one format.
fn is_whole() -> bool {
    rounds_or(1) > 1
}

fn places() -> Vec<Place> {
    let mut places = Vec::new();
    let mut add_third =
        |identity, errand, step, some, third| places.push(Place { identity, errand, step, some, third });
    let mut add = |identity, errand, step, some| add_third(identity, errand, step, some, None);
    let read = Errand::steps;
    for identity in METHODS {
        steps_of(identity).into_iter().chain(read(Errand::Key)).for_each(|step| add(identity, Errand::Key, step, None));
    }
    for identity in IDENTITIES {
        steps_of(identity).into_iter().for_each(|step| add(identity, Errand::Key, step, None));
        read(Errand::Key).into_iter().for_each(|step| add(identity, Errand::Key, step, Some(&LOST)));
    }
    for (identity, errand, some) in [
        ("secret-id", Errand::Stored, None),
        ("id-token", Errand::Leased, None),
        ("token", Errand::Leased, Some(&LOST[..])),
        ("id-token", Errand::Issued, None),
        ("token", Errand::Issued, Some(&LOST)),
        ("wrapping-token", Errand::Sections, None),
        ("token", Errand::Sections, Some(&LOST_OR_REFUSED)),
        ("id-token", Errand::Token, None),
    ] {
        read(errand).into_iter().for_each(|step| add(identity, errand, step, some));
    }
    // A token that the user supplies is never handed on: its child has the child.
    for nth in [1, 2] {
        read(Errand::Token).into_iter().for_each(|step| add("token", Errand::Token, Step { nth, ..step }, None));
    }
    if is_whole() {
        let steps = steps_of("web-github").into_iter().chain(Errand::Session.steps());
        steps.for_each(|step| add("web-github", Errand::Session, step, None));
    }
    // The same requests as others': KV is read as for `Stored`, and STS is asked three times in the same way.
    add_third("id-token", Errand::Scaleway, Errand::Scaleway.steps().remove(0), None, Some(0));
    let of_aws =
        [Errand::Session, Errand::Chained].map(|errand| errand.steps().into_iter().map(move |step| (errand, step)));
    for (third, (errand, step)) in of_aws.into_iter().flatten().enumerate() {
        add_third("web-identity", errand, step, None, Some(third));
    }
    places
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (turn, place) in places().into_iter().enumerate() {
        let Place { identity, errand, ref step, .. } = place;
        for (number, fault) in FAULTS.into_iter().enumerate().filter(|(at, (name, _))| place.meets(*at, name)) {
            let formats = errand.formats();
            let case = |format, every_time| Case { identity, errand, step: step.clone(), fault, every_time, format };
            for round in 0..rounds_or(1).min(formats.len()) {
                // 7 has no common factor with 6 or 8: so many rounds are all formats.
                cases.push(case(formats[(turn + number + 7 * round) % formats.len()], false));
            }
            let is_old = METHODS.contains(&identity) && errand == Errand::Key;
            if is_old && (turn + number) % 2 == 0 || is_whole() {
                cases.push(case("shell", true));
            }
        }
    }
    cases
}

fn check(case: &Case) {
    let Case { identity, errand, step, fault: (name, make), every_time, format } = case;
    let job = Job::start(identity);
    let world = &job.world;
    errand.set_up(world);
    // Somebody who would take an ID token: where the other faults lead, nobody is.
    let fault = match (step.server, name.parse()) {
        (Server::Sts, Ok(status @ (302 | 307))) => Fault::redirect(status, &format!("{}/", world.vault.address())),
        _ => make(),
    };
    job.inject(step, *every_time, fault);
    // A part of the matrix says all that it knows: causes and origins must not tell a secret either.
    let verbose = if *every_time { "-v" } else { "" };
    // Nothing is spent there, so whoever got no answer asks again, and gets one. On a busy machine a short deadline would pass.
    let is_lost = step.server == Server::Sts && LOST.contains(name) && !SLOW.contains(name);
    let is_asked_again = ["/idtoken", "/"].contains(&step.path.as_str()) && (is_lost || BUSY.contains(name));
    let deadlines = if is_asked_again && !every_time { "" } else { DEADLINES };
    let line = format!("{} --format {format} {deadlines} {verbose}", errand.line(world, format));
    let run = job.call(&line);
    // In its place stdout is a file; here it is a pipe.
    let run = if *format == "github" { run.env("GITHUB_ACTIONS", "true").arg("--reveal") } else { run };
    let before: BTreeSet<_> = world.vault.live_tokens().into_iter().map(|token| token.id).collect();
    let mut ran = run.run();
    let masks = github::take_masks(&mut ran);
    let told = format!(
        "{identity}, {errand:?}, {name} at {}{}, {format}: {ran:?}",
        step.path,
        if *every_time { " every time" } else { "" }
    );
    let is_signed = identity.ends_with("github") || *identity == "aws-token";
    match ran.code == 0 && *format == "github" {
        true => assert!(!masks.is_empty(), "{told}"),
        // What was signed for this run is masked before it is used.
        false => assert!(masks.is_empty() || is_signed && *format == "github", "{told}"),
    }
    hold_oracles(world, &ran, identity, (*errand, format), &told);
    sts::hold(&job, &ran, (*errand, format), &told);
    assert!(ran.code != 66 || step.server == Server::Beside, "{told}");
    // There the login of a secret for one use is cached for the job's next call, and ended by it where it must be.
    let is_cached = *format == "process" && ["wrapping-token", "secret-id"].contains(identity);
    if !is_cached {
        hold_tokens(world, &ran, *errand, &before, &told);
    }
    // The server knows only what reached it.
    let given = SECRETS.iter().filter_map(|name| run.variables().get(*name));
    let given = || given.clone().chain(&job.secrets).map(String::as_str);
    assert_eq!(leak::find(given(), &ran.stderr), None, "{told}");
    assert_eq!(leak::find(errand.secrets(), &ran.stderr), None, "{told}");
    assert!(ran.code == 0 || leak::find(errand.secrets(), &ran.stdout).is_none(), "{told}");
    // All tokens begin alike.
    let is_like_it = *errand == Errand::Token && ran.code == 0;
    assert!(is_like_it || leak::find(given(), &ran.stdout).is_none(), "{told}");
    let is_once = !every_time && step.nth == 1;
    let is_renewal = *identity == "renewed-generator" && step.path.starts_with("auth/token/");
    if is_once && is_renewal && !SLOW.contains(name) {
        assert_eq!(ran.code, 0, "a renewal that fails is only told: {told}");
    }
    let signs = step.server == Server::Beside && ["/idtoken", "/"].contains(&step.path.as_str());
    if is_once && signs && BUSY.contains(name) {
        assert_eq!((ran.code, job.asked_beside()), (0, 2), "{told}");
    }
    if !every_time && is_asked_again {
        assert_eq!(ran.code, 0, "{told}");
    }
    if *format == "process" && !every_time {
        // On a busy machine the deadline of an earlier request can come before the fault.
        job.clear_faults();
        // Whatever else the machine does then: no deadline of this one is short.
        let next = job.call(&line.replace(DEADLINES, ""));
        hold_for_the_next_call(world, &ran, &next.run(), (identity, *errand), &told);
    }
}

/// What must hold after any run at all.
fn hold_oracles(world: &World, ran: &Ran, identity: &str, (errand, format): (Errand, &str), told: &str) {
    let requests = world.vault.requests();
    let live = world.vault.live_leases();
    // What no lease revokes is told, also by a run that succeeds.
    let strays = world.vault.keys_without_a_lease();
    let told_of_strays = ran.stderr.contains("may remain that no lease revokes");
    assert!(strays.is_empty() || told_of_strays, "{told}\nleft without a lease: {strays:?}");
    if ran.code == 0 {
        errand.hold_success(world, ran, format, told);
        assert!(!ran.stderr.contains("error["), "{told}");
    } else {
        assert!([65, 66, 69, 75, 76, 77, 78, 79, 80].contains(&ran.code), "{told}");
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
        assert!(ran.code != 79 || SPENDING.contains(&identity), "{told}");
    }
    world.assert_no_secret_in(&ran.stderr);
    hold_order(&requests, told);
}

/// The identities that a run uses up something of.
const SPENDING: [&str; 4] = ["wrapping-token", "secret-id", "generator-token", "renewed-generator"];

/// A token that a run got, and did not hand over, is revoked: all that may be left is what it never heard of, and what the
/// leases that it handed over hang on.
fn hold_tokens(world: &World, ran: &Ran, errand: Errand, before: &BTreeSet<String>, told: &str) {
    let requests = world.vault.requests();
    let makes = |request: &&Recorded| {
        let path = request.path.as_str();
        path.ends_with("/login") || path.ends_with("/token/create")
    };
    let sent: Vec<_> = requests.iter().filter(makes).collect();
    // Whoever was never answered may have been served after the caller had gone.
    let made = sent.iter().filter(|request| request.processed || request.status.is_none()).count();
    let heard: BTreeSet<_> = requests.iter().filter_map(|request| request.headers.get("X-Vault-Token")).collect();
    let tokens = world.vault.live_tokens().into_iter().filter(|token| !token.wrapping && !before.contains(&token.id));
    let (used, unused): (Vec<_>, Vec<_>) = tokens.partition(|token| heard.contains(token.id.as_str()));
    let (lent, handed_over) = if ran.code == 0 { (1, errand.tokens() - 1) } else { (0, 0) };
    // Whoever asks again did not hear. On a busy machine an answer comes too late without a fault: that is said.
    let heard = heard.iter().filter(|token| !before.contains(**token)).count();
    let is_told = [69, 75].contains(&ran.code) || ran.stderr.contains("no complete answer from");
    let is_heard = sent.len() == 1 && sent[0].fault.is_none() && !is_told;
    let unheard = if is_heard { 0 } else { made.saturating_sub(heard + handed_over) };
    let holds = used.len() <= lent && unused.len() <= unheard + handed_over;
    let asked =
        || requests.iter().map(|request| format!("{} {:?} {:?}", request.line(), request.fault, request.status));
    let asked = || asked().collect::<Vec<_>>().join(", ");
    assert!(holds || ran.code == 80, "{told}\nleft: {used:?} {unused:?}\nof {}", asked());
}

/// What must hold for another call of the same job, by the cache, when nothing fails any more.
fn hold_for_the_next_call(world: &World, first: &Ran, next: &Ran, (method, errand): (&str, Errand), told: &str) {
    let told = format!("{told}, and then {next:?}");
    let is_single_use = ["wrapping-token", "secret-id"].contains(&method);
    match next.code {
        0 if first.code == 0 => assert_eq!(next.stdout, first.stdout, "{told}"),
        0 if errand != Errand::Key => errand.hold_success(world, next, "process", &told),
        0 => assert!(world.vault.live_leases().iter().any(|lease| next.stdout.contains(&lease.access_key)), "{told}"),
        // The metadata service of a machine has a second, which no flag prolongs.
        _ if method == "aws-instance" && next.stderr.contains("no complete answer from") => {}
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

/// The paths that make something which somebody must take back.
const MAKING: [&str; 4] = ["/apikey/", "/creds/", "/issue/", "/token/create"];

/// A wrapping token or a secret ID is sent again only after Vault said that it did not act, or that the token is
/// unspent; a credential is asked for again only after that, or after the token that asked was revoked.
///
/// The journal has the order in which the double's threads got their turn. On a busy machine a request that its client has
/// given up for late comes there behind those that the client sent after it, so a secret ID is known by what it is, and a
/// token too.
fn hold_order(requests: &[Recorded], told: &str) {
    let token = |request: &Recorded| request.headers.get("X-Vault-Token").map(str::to_owned);
    let logs_in = requests.iter().any(|request| request.path.ends_with("/login"));
    // Of requests that were all cut the double knows no token.
    let supplied = (!logs_in).then(|| requests.iter().find_map(token));
    for (index, request) in requests.iter().enumerate() {
        let earlier = |same: &dyn Fn(&Recorded) -> bool| requests[..index].iter().rposition(same);
        let between = |from: usize, what: &dyn Fn(&Recorded) -> bool| requests[from..index].iter().any(what);
        let path = request.path.as_str();
        if path.ends_with("/unwrap")
            && let Some(before) = earlier(&|other| other.path == path && token(other) == token(request))
        {
            let unspent = |other: &Recorded| other.path.ends_with("/lookup") && other.status == Some(200);
            assert!(did_not_act(requests[before].status) || between(before, &unspent), "unwrapped twice: {told}");
        }
        if path.ends_with("approle/login") {
            let may_have_acted = |other: &&Recorded| other.path == path && !did_not_act(other.status);
            let same = |other: &&Recorded| !request.body.is_empty() && other.body == request.body;
            let same = requests[..index].iter().filter(same).find(may_have_acted);
            assert!(same.is_none(), "a secret ID was sent twice: {told}");
            // Of a request that was cut the double has no body: there are as many secret IDs as were made, or the given one.
            let made = |other: &&Recorded| other.path.ends_with("/secret-id") && other.status == Some(200);
            let used = requests[..=index].iter().filter(may_have_acted).count();
            assert!(used <= requests.iter().filter(made).count().max(1), "a secret ID was sent twice: {told}");
        }
        // A token that the user supplies is never handed on: the run has a child of it for itself, which ends with the run,
        // and what it makes is made by that one.
        let is_for_itself = |other: &Recorded| {
            let by_it = |supplied: &Option<String>| token(other).is_none_or(|token| supplied.as_ref() == Some(&token));
            other.path.ends_with("token/create") && supplied.as_ref().is_some_and(by_it)
        };
        if MAKING.iter().any(|part| path.contains(part))
            && !is_for_itself(request)
            && let Some(before) = earlier(&|other| other.path == path && !is_for_itself(other))
        {
            let before = &requests[before];
            // Of a request that was cut the double does not know the token.
            let is_its = |other: &Recorded| token(before).is_none() || token(before) == token(other);
            let revoked =
                |other: &Recorded| other.path.ends_with("/revoke-self") && other.status == Some(204) && is_its(other);
            assert!(did_not_act(before.status) || earlier(&revoked).is_some(), "made twice: {told}");
        }
    }
}

/// A case waits for pauses and silences, which take no processor, or computes for milliseconds; its deadlines are
/// such that a late turn changes no oracle.
const AT_ONCE: usize = 48;

#[test]
fn every_request_of_every_identity_and_source_meets_every_fault_and_every_identity_every_format() {
    let cases = cases();
    let count = |fits: &dyn Fn(&&Case) -> bool| cases.iter().filter(fits).count();
    let mut at_sts = BTreeSet::new();
    for place in places() {
        let Place { identity, errand, ref step, some, .. } = place;
        let here = |case: &&Case| case.identity == identity && case.errand == errand && case.step == *step;
        let expected = FAULTS.iter().enumerate().filter(|(number, (name, _))| place.meets(*number, name)).count();
        let met: BTreeSet<_> = cases.iter().filter(here).map(|case| case.fault.0).collect();
        assert_eq!(met.len(), expected, "{identity} {errand:?} {step:?}");
        assert_eq!(expected == FAULTS.len(), some.is_none() && (place.third.is_none() || is_whole()), "{step:?}");
        if step.server == Server::Sts {
            at_sts.extend(met);
        }
        for format in errand.formats() {
            let found = count(&|case| case.identity == identity && case.errand == errand && case.format == *format);
            assert!(found > 0 || some.is_some() && expected < 10, "{identity} {errand:?} {format}");
        }
    }
    assert_eq!(at_sts.len(), FAULTS.len(), "the thirds are the whole");
    let known: BTreeSet<_> = FAULTS.iter().map(|(name, _)| name).collect();
    assert!(LOST_OR_REFUSED.iter().chain(&LOST).chain(&BUSY).chain(&SLOW).all(|name| known.contains(name)));
}

/// A request as the journal has it.
fn recorded(path: &str, token: &str, body: &str, status: Option<u16>) -> Recorded {
    let mut request = Recorded { path: format!("/v1/{path}"), body: body.into(), status, ..Recorded::default() };
    if !token.is_empty() {
        request.headers = [("X-Vault-Token", token)].into();
    }
    request
}

#[test]
fn a_request_that_comes_late_is_taken_for_no_second_use_and_a_second_use_is_found() {
    let generate = || recorded("auth/approle/role/ci/secret-id", "generator", "{}", Some(200));
    let login = |id: &str, status| recorded("auth/approle/login", "", id, status);
    let read = |token: &str, status| recorded("exoscale/apikey/ci", token, "", status);
    let revoke = |token: &str| recorded("auth/token/revoke-self", token, "", Some(204));
    let holds = |requests: Vec<Recorded>| std::panic::catch_unwind(|| hold_order(&requests, "told")).is_ok();
    // The first login was given up for late, and has its turn behind the second secret ID.
    assert!(holds(vec![generate(), generate(), login("1", None), login("2", Some(200))]));
    assert!(holds(vec![generate(), generate(), login("2", Some(200)), login("1", Some(200))]));
    assert!(!holds(vec![generate(), login("1", None), login("2", Some(200))]));
    assert!(holds(vec![generate(), login("1", Some(429)), login("1", Some(200))]));
    assert!(!holds(vec![generate(), generate(), login("1", None), login("1", Some(200))]));
    assert!(!holds(vec![login("", None), login("", Some(200))]));
    // So had the first read, behind the revocation of its token.
    assert!(holds(vec![revoke("1"), read("1", Some(403)), read("2", Some(200))]));
    assert!(!holds(vec![read("1", Some(200)), revoke("2"), read("2", Some(200))]));
    assert!(!holds(vec![read("1", None), read("2", Some(200))]));
    // A child of the token that was supplied is asked for again, also where the double saw no token; a child of that child,
    // or of a login, is not.
    let child = |token: &str, status| recorded("auth/token/create", token, "", status);
    assert!(holds(vec![child("", None), child("", None), child("", None)]));
    assert!(holds(vec![child("supplied", None), child("supplied", Some(200)), child("1", Some(200))]));
    assert!(!holds(vec![child("supplied", Some(200)), child("1", None), child("1", Some(200))]));
    assert!(!holds(vec![login("1", Some(200)), child("", None), child("", None)]));
}

// check: 3, 5
#[test]
fn whatever_fails_nothing_is_spent_twice_nothing_is_left_and_nothing_is_told() {
    each_at_once(AT_ONCE, cases(), |case| check(&case));
}

#[test]
fn a_fault_that_is_cleared_meets_no_later_call() {
    for identity in ["aws-instance", "aws-token", "github", "id-token"] {
        let job = Job::start(identity);
        job.inject(&steps_of(identity)[0], true, Fault::drop_request());
        job.clear_faults();
        job.call(&format!("exoscale --role {ROLE}")).run().ok();
    }
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
    let fifths = rounds_or(1);
    cuts.retain(|cut| cut.bytes % 5 < fifths);
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
        hold_oracles(&world, &ran, "wrapping-token", (Errand::Key, "shell"), &told);
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
