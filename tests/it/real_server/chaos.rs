//! A cluster that loses its leader, a node that is sealed, a namespace that is locked, a standby that is asked: at any
//! moment of a run of every identity. What each run comes to, what it spent, and what it left.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::{Cluster, NODES};
use super::operator::Operator;
use super::site::{Site, lend, mount_lender, prepare};
use crate::support::{METHODS, Ran, Run, text};

const NAMESPACE: &str = "chaos";
const MOUNT: &str = "lender";

/// Rounds of an ordinary run, one of each kind, and how long its events last at most, in milliseconds.
const ROUNDS: (u64, u64) = (4, 800);

/// How long an event lasts at most when the rounds were asked for: until a wait is told, and some pauses more.
const LONGEST: u64 = 2_500;

/// A run of these tests takes some 100 ms where nothing happens.
const RUN: u64 = 100;

/// How long the server's tidying of leases takes at most; it says nothing of its end.
///
/// OpenBao registers a lease by two writes. A leader that ends between them leaves one that the end of its token does not
/// reach, and that nobody was told of: only the tidying finds that its token is dead. A lease whose token lives stays.
const TIDYING: Duration = Duration::from_secs(10);

/// What happens during a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    LeaderKilled,
    Nothing,
    Sealed(usize),
    Locked,
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::LeaderKilled => "leader killed",
            Self::Nothing => "nothing",
            Self::Sealed(_) => "node sealed",
            Self::Locked => "namespace locked",
        }
    }

    /// Each kind in its turn.
    fn draw(round: u64, random: &mut fastrand::Rng) -> Self {
        match round % 4 {
            0 => Self::LeaderKilled,
            1 => Self::Sealed(random.usize(..NODES)),
            2 => Self::Locked,
            _ => Self::Nothing,
        }
    }
}

/// One job of a round, before it is judged.
struct Job {
    method: &'static str,
    role: String,
    /// What is spent by one use: how the operator asks for it.
    secret: Option<Secret>,
    node: usize,
    run: Run,
}

enum Secret {
    Wrapping(String),
    SecretId(String),
}

impl Secret {
    fn is_unspent(&self, operator: &Operator) -> bool {
        let (path, body) = match self {
            Self::Wrapping(token) => ("sys/wrapping/lookup".to_owned(), json!({ "token": token })),
            Self::SecretId(id) => {
                (format!("auth/approle/role/{NAMESPACE}/secret-id/lookup"), json!({ "secret_id": id }))
            }
        };
        operator.send("POST", &path, &[], &body).0 == 200
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

// check: 5
#[test]
fn whatever_a_cluster_goes_through_a_run_delivers_or_tells_the_truth_and_nothing_is_lost_or_left() {
    let Some(mut cluster) = Cluster::shared() else { return };
    let operator = cluster.operator().make_namespace(NAMESPACE);
    prepare(&operator);
    mount_lender(&operator, MOUNT);
    let seed = number("CI_CREDS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut tally = BTreeMap::<_, usize>::new();
    let mut broken = Vec::new();
    let (rounds, longest) = number("CI_CREDS_TEST_ROUNDS").map_or(ROUNDS, |rounds| (rounds, LONGEST));
    for round in 0..rounds {
        let mut random = fastrand::Rng::with_seed(seed ^ round << 32);
        let event = Event::draw(round, &mut random);
        let operator = Operator { namespace: format!("{NAMESPACE}/"), ..cluster.operator() };
        let policy = format!("path \"{MOUNT}/creds/*\" {{ capabilities = [\"read\"] }}");
        let site = Site::at(operator.address, &operator, NAMESPACE, &policy);
        let hosts: String = (0..NODES).map(|node| format!(" --redirect-host {}", cluster.url(node))).collect();
        let jobs = METHODS.map(|method| prepare_job(&site, &cluster, method, round, &hosts, &mut random));
        cluster.wait_until_level();
        let leader = cluster.leader();
        let children = jobs.each_ref().map(|job| start(&job.run));
        happen(event, &mut cluster, longest, &mut random);
        let ended = children.map(|child| Ran::from(child.wait_with_output().expect("its end")));
        cluster.cure();
        let operator = Operator { namespace: format!("{NAMESPACE}/"), ..cluster.operator() };
        for (job, ran) in jobs.iter().zip(&ended) {
            *tally.entry((event.name(), job.method, ran.code)).or_default() += 1;
            if ran.code != 0 {
                println!("round {round}: {event:?}, {} at {}: {}", job.method, job.node == leader, ran.stderr.trim());
            }
            if let Err(why) = judge(job, ran, event, leader, &operator) {
                let at = if job.node == leader { "the leader" } else { "a standby" };
                broken.push(format!("seed {seed}, round {round}: {event:?}, {} at {at}: {why}: {ran:?}", job.method));
            }
        }
        let locked = operator.read("sys/locked-users")["data"]["total"].clone();
        if locked != 0 {
            broken.push(format!("seed {seed}, round {round}: {event:?}: {locked} roles are locked"));
        }
    }
    for ((event, method, code), count) in &tally {
        println!("{event}, {method}: {code} {count} times");
    }
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

fn prepare_job(
    site: &Site<'_>,
    cluster: &Cluster,
    method: &'static str,
    round: u64,
    hosts: &str,
    random: &mut fastrand::Rng,
) -> Job {
    let role = format!("r{round:04}{}", method.replace('-', ""));
    lend(site.operator, &format!("{MOUNT}/creds/{role}"));
    // A standby cannot serve a plain token's read: that is told, and is no chaos.
    let node = if method == "token" { cluster.leader() } else { random.usize(..NODES) };
    let line = format!("aws --via creds --mount {MOUNT} --role {role} --format json --timeout 12s{hosts}");
    let run = site.job(method, &line).env("VAULT_NAMESPACE", NAMESPACE).env("VAULT_ADDR", &cluster.url(node));
    let variable = |name: &str| run.variables()[name].clone();
    let secret = match method {
        "wrapping-token" => Some(Secret::Wrapping(variable("VAULT_WRAPPING_TOKEN"))),
        "secret-id" => Some(Secret::SecretId(variable("VAULT_SECRET_ID"))),
        _ => None,
    };
    Job { method, role, secret, node, run }
}

fn start(run: &Run) -> Child {
    run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child")
}

/// What happens while the jobs run, and ends while they still wait, or after they gave up.
fn happen(event: Event, cluster: &mut Cluster, longest: u64, random: &mut fastrand::Rng) {
    std::thread::sleep(Duration::from_millis(random.u64(..=RUN)));
    let while_it_lasts = Duration::from_millis(random.u64(..=longest));
    match event {
        Event::Nothing => {}
        Event::LeaderKilled => {
            cluster.kill(cluster.leader());
            std::thread::sleep(while_it_lasts);
        }
        Event::Sealed(number) => {
            cluster.seal(number);
            std::thread::sleep(while_it_lasts);
        }
        Event::Locked => {
            let answer = cluster.operator().write(&format!("sys/namespaces/api-lock/lock/{NAMESPACE}"), &Value::Null);
            std::thread::sleep(while_it_lasts);
            let key = json!({ "unlock_key": text(&answer["data"]["unlock_key"]) });
            cluster.operator().write(&format!("sys/namespaces/api-lock/unlock/{NAMESPACE}"), &key);
        }
    }
    cluster.cure();
}

fn judge(job: &Job, ran: &Ran, event: Event, leader: usize, operator: &Operator) -> Result<(), String> {
    let Job { method, role, secret, node, .. } = job;
    let path = format!("{MOUNT}/creds/{role}");
    let is_once = secret.is_some();
    let is_told = ran.code == 80 && ran.stderr.contains(&path);
    let is_true = match (ran.code, event) {
        (0, _) => true,
        (_, Event::Nothing) => false,
        // Nobody who asks the leader notices that a standby is sealed.
        (_, Event::Sealed(sealed)) if sealed != leader && sealed != *node => false,
        (69, _) => true,
        // A standby that was cut off is behind.
        (75, Event::LeaderKilled | Event::Sealed(_)) => true,
        (79, _) => is_once,
        (80, Event::LeaderKilled | Event::Sealed(_)) => is_told,
        _ => false,
    };
    if !is_true {
        return Err("its end is not true".into());
    }
    let tells_that_it_is_spent = [0, 79, 80].contains(&ran.code) || ran.stderr.contains("is spent by now");
    let is_spent = secret.as_ref().is_some_and(|secret| !secret.is_unspent(operator));
    if is_once && is_spent && !tells_that_it_is_spent {
        return Err("its secret is spent, and nobody says so".into());
    }
    if *method == "wrapping-token" && ran.code == 79 && !is_spent && !ran.stderr.contains("may be spent") {
        return Err("its wrapping token is good, and is called spent".into());
    }
    // Nobody but us had it.
    if ["tampered", "audit log", "incident"].iter().any(|word| ran.stderr.contains(word)) {
        return Err("a theft is told that was none".into());
    }
    let owned = usize::from(ran.code == 0);
    let mut alive = live_leases(operator, &path);
    if alive.len() > owned && ran.code != 80 {
        operator.write("sys/leases/tidy", &Value::Null);
        let deadline = Instant::now() + TIDYING;
        while alive.len() > owned && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            alive = live_leases(operator, &path);
        }
    }
    let is_right = match ran.code {
        // A second lease is told where the first one may live.
        0 => {
            alive.iter().any(|id| ran.stdout.contains(id))
                && (alive.len() == 1 || ran.stderr.contains("was read twice"))
        }
        80 => true,
        _ => alive.is_empty() || ran.stderr.contains(&format!("left a lease under {path}")),
    };
    if is_right { Ok(()) } else { Err(format!("{alive:?} are alive")) }
}

/// The leases under a path that have not ended. A token that is revoked ends its leases at once, and the server deletes
/// them later.
fn live_leases(operator: &Operator, path: &str) -> Vec<String> {
    let ids = operator.list(&format!("sys/leases/lookup/{path}")).into_iter().map(|id| format!("{path}/{id}"));
    ids.filter(|id| {
        let (status, lease) = operator.send("POST", "sys/leases/lookup", &[], &json!({ "lease_id": id }));
        let end = lease["data"]["expire_time"].as_str().and_then(|end| end.parse::<Timestamp>().ok());
        status == 200 && end.is_some_and(|end| SystemTime::from(end) > SystemTime::now())
    })
    .collect()
}
