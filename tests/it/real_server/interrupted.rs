//! Reads that a signal or a deadline ends at any moment, at a cloud that is slow: what is left of them, and whether
//! anybody was told.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::adapter::Adapter;
use super::database::Database;
use super::server::Server;
use super::site::Site;
use super::slow::SlowCloud;
use crate::support::{Ran, parallel, tool};

const MOUNT: &str = "interrupted";
const POLICY: &str = "path \"interrupted/creds/*\" { capabilities = [\"read\"] }
path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
const METHODS: [&str; 6] = ["wrapping-token", "secret-id", "generator-token", "id-token", "token", "child-token"];

/// Rounds side by side, each at a connection of the engine's own: they wait more than they compute.
const AT_ONCE: usize = 16;

/// Rounds of an ordinary run, and how long its cloud takes at most: a run must not take longer than this can show.
const ROUNDS: (u64, u64) = (24, 1500);

/// How long the cloud takes at most when the rounds were asked for.
const SLOWEST: u64 = 3000;

#[derive(Debug)]
enum Interruption {
    Signal(Signal, Duration),
    Flag(&'static str, u64),
}

impl Interruption {
    /// Each way in its turn, at a random moment from the start to where two thirds of the cloud's answers have come.
    fn draw(round: u64, random: &mut fastrand::Rng, slowest: u64) -> Self {
        let moment = Duration::from_millis(random.u64(..=slowest * 2 / 3));
        match round % 5 {
            0 => Self::Signal(Signal::TERM, moment),
            1 => Self::Signal(Signal::INT, moment),
            2 => Self::Signal(Signal::HUP, moment),
            3 => Self::Flag("--request-timeout", random.u64(1..=slowest / 1000)),
            _ => Self::Flag("--timeout", random.u64(1..=slowest / 1000)),
        }
    }
}

/// How one run ended.
struct Ending {
    role: String,
    what: String,
    ran: Ran,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

// check: 5
#[test]
fn an_interrupted_read_leaves_no_user_without_a_lease_or_a_word() {
    let (Some(server), Some(database)) = (Server::shared(), Database::shared()) else { return };
    let seed = number("CI_CREDS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let (rounds, slowest) = number("CI_CREDS_TEST_ROUNDS").map_or(ROUNDS, |rounds| (rounds, SLOWEST));
    let cloud = SlowCloud::start(database.address, 200..=slowest, seed);
    Database::mount(&server.operator, MOUNT, AT_ONCE, cloud.address);
    let adapter = Adapter::start(server.operator.address);
    let site = Site::at(adapter.address, &server.operator, MOUNT, POLICY);

    let connections = Mutex::new((0..AT_ONCE).collect::<Vec<_>>());
    let endings = Mutex::new(Vec::new());
    parallel::each_at_once(AT_ONCE, (0..rounds).rev().collect(), |round| {
        let connection = connections.lock().expect("a list").pop().expect("one for each that runs at once");
        let role = format!("r{round:04}");
        server.operator.write(&format!("{MOUNT}/roles/{role}"), &Database::role(connection));
        let ending = interrupt(&site, role, round, seed, slowest);
        endings.lock().expect("a list").push(ending);
        connections.lock().expect("a list").push(connection);
    });
    let mut endings = endings.into_inner().expect("a list");
    endings.sort_by(|one, other| one.role.cmp(&other.role));

    wait_for_revocations(server, &endings);
    let leases = count(server.operator.list(&format!("sys/leases/lookup/{MOUNT}/creds")).iter().map(|role| {
        let role = role.trim_end_matches('/').to_owned();
        let leases = server.operator.list(&format!("sys/leases/lookup/{MOUNT}/creds/{role}")).len();
        (role, leases)
    }));
    let users = count(
        database.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'AKIAR%'").iter().map(|user| role_of(user)),
    );
    let made = count(cloud.made().iter().map(|user| role_of(user)));
    judge(&endings, &made, &users, &leases, seed);
}

// check: 5
#[test]
fn a_read_that_outlasts_the_clean_up_names_where_a_user_may_live_on_without_a_lease() {
    const MOUNT: &str = "outlasting";
    if !tool::slow("a cloud that takes longer than the clean-up waits") {
        return;
    }
    let (Some(server), Some(database)) = (Server::shared(), Database::shared()) else { return };
    // The clean-up waits for ten seconds.
    let cloud = SlowCloud::start(database.address, 15_000..=15_000, 0);
    Database::mount(&server.operator, MOUNT, 1, cloud.address);
    let adapter = Adapter::start(server.operator.address);
    let site =
        Site::at(adapter.address, &server.operator, MOUNT, "path \"outlasting/*\" { capabilities = [\"read\"] }");
    for method in ["id-token", "token"] {
        let role = format!("late{}", method.replace('-', ""));
        server.operator.write(&format!("{MOUNT}/roles/{role}"), &Database::role(0));
        let users = || database.query("SELECT rolname FROM pg_roles").iter().filter(|user| is_of(user, &role)).count();
        let mut command = site.job(method, &format!("aws --via creds --mount {MOUNT} --role {role}")).to_command();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
        let deadline = Instant::now() + Duration::from_secs(10);
        while users() == 0 {
            assert!(Instant::now() < deadline, "{method}: the cloud was not asked");
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_process(Pid::from_child(&child), Signal::TERM).expect("a child");
        let ran = Ran::from(child.wait_with_output().expect("its end")).failed(80, "leak");
        assert!(ran.stderr.contains(&format!("{MOUNT}/creds/{role}")), "{method}: {ran:?}");
        assert_eq!((users(), server.operator.list(&format!("sys/leases/lookup/{MOUNT}/creds/{role}")).len()), (1, 0));
    }
}

fn is_of(user: &str, role: &str) -> bool {
    user.starts_with("AKIA") && role_of(user).0 == role
}

/// One run that is interrupted, or was faster.
fn interrupt(site: &Site<'_>, role: String, round: u64, seed: u64, slowest: u64) -> Ending {
    let mut random = fastrand::Rng::with_seed(seed ^ round << 32);
    let interruption = Interruption::draw(round, &mut random, slowest);
    let method = METHODS[random.usize(..METHODS.len())];
    let mut run = site.job(method, &format!("aws --via creds --mount {MOUNT} --role {role} --format json"));
    if let Interruption::Flag(flag, seconds) = interruption {
        run = run.arg(flag).arg(&format!("{seconds}s"));
    }
    let mut command = run.to_command();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    if let Interruption::Signal(signal, moment) = interruption {
        std::thread::sleep(moment);
        // It has not been waited for: the number is its own, even if it has ended.
        kill_process(Pid::from_child(&child), signal).expect("a child");
    }
    let ran = child.wait_with_output().expect("its end").into();
    Ending { role, what: format!("{method}, {interruption:?}"), ran }
}

/// A server revokes in its own time what a token made. Whoever was given a key, or was told of one, keeps it.
fn wait_for_revocations(server: &Server, endings: &[Ending]) {
    let may_stay = |role: &str| endings.iter().any(|ending| ending.role == role && [0, 80].contains(&ending.ran.code));
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let roles = server.operator.list(&format!("sys/leases/lookup/{MOUNT}/creds"));
        if roles.iter().all(|role| may_stay(role.trim_end_matches('/'))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `AKIA`, the role in capitals, sixteen characters.
fn role_of(user: &str) -> (String, usize) {
    (user["AKIA".len()..user.len() - 16].to_lowercase(), 1)
}

fn count(pairs: impl Iterator<Item = (String, usize)>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    pairs.for_each(|(role, number)| *counts.entry(role).or_default() += number);
    counts
}

fn judge(
    endings: &[Ending],
    made: &BTreeMap<String, usize>,
    users: &BTreeMap<String, usize>,
    leases: &BTreeMap<String, usize>,
    seed: u64,
) {
    let (mut whole, mut told, mut in_the_act, mut silent) = (0, 0, 0, Vec::new());
    for Ending { role, what, ran } in endings {
        let of = |counts: &BTreeMap<String, usize>| counts.get(role).copied().unwrap_or_default();
        let (users, leases) = (of(users), of(leases));
        let delivered = usize::from(ran.code == 0);
        whole += delivered;
        // A run may ask again after a deadline: what it delivers is then the second that it made.
        in_the_act += usize::from(of(made) > delivered);
        let is_told = ran.stderr.contains(&format!("{MOUNT}/creds/{role}"));
        told += usize::from(ran.code == 80 && is_told);
        let is_right = match ran.code {
            0 => ran.stdout.contains(&format!("AKIA{}", role.to_uppercase())) && ((users, leases) == (1, 1) || is_told),
            80 => is_told,
            _ => (users, leases) == (0, 0),
        };
        if !is_right {
            silent.push(format!("{role}: {users} users, {leases} leases: {what}: {} {}", ran.code, ran.stderr));
        }
    }
    let summary = format!(
        "seed {seed}: {} runs, {whole} of which delivered a key; {in_the_act} were interrupted after the cloud had \
        made a user; {told} said that one may be left, {} left one without a word",
        endings.len(),
        silent.len()
    );
    println!("{summary}");
    assert!(silent.is_empty(), "{summary}\n{}", silent.join("\n"));
    assert!(in_the_act > 0, "no run was interrupted in the act: {summary}");
    // This cloud answers within the time of the clean-up; on a machine that is very busy it may not.
    assert!(told * 10 <= in_the_act, "that a user may be left is said too often: {summary}");
}
