use std::process::Stdio;
use std::time::{Duration, Instant};

use dev_vault::{DevVault, Dialect, Fault, On, Reply};
use serde_json::json;

use crate::support::parallel::each;
use crate::support::{METHODS, ROLE, Ran, Run, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";
const ONCE: &str = "exoscale --role gitlab-ci-runner --retries 0";

#[test]
fn a_sealed_vault_is_told_by_name_and_spends_nothing() {
    for dialect in Dialect::ALL {
        for method in METHODS {
            let world = World::with(DevVault::builder().dialect(dialect));
            let run = world.command_as(method, ONCE);
            world.vault.write("sys/seal", json!({}));
            let ran = run.run();
            ran.refused(&world, 69, "unavailable", &["503", "Vault is sealed"], &["unseal Vault", "VAULT_ADDR"]);
            assert_eq!(world.vault.requests().len(), 1, "{dialect} {method}");
            world.vault.unseal();
            run.run().ok();
        }
    }
}

#[test]
fn a_vault_that_does_not_serve_for_a_moment_is_asked_again_at_every_step() {
    let texts = [
        (503, "Vault is sealed"),
        (503, "error performing token check: Vault is sealed"),
        (503, "node is not active"),
        (503, "no active Vault instance found"),
        (412, "required index state not present"),
        (429, "request path \"x\": rate limit quota exceeded"),
        (472, ""),
        (473, ""),
    ];
    each(texts.to_vec(), |(status, text)| {
        let world = World::start();
        for suffix in ["wrapping/lookup", "wrapping/unwrap", "approle/login", "apikey/gitlab-ci-runner"] {
            world.vault.inject(On::path(suffix), Fault::answer(Reply::error(status, text)));
        }
        world.command_as("wrapping-token", EXOSCALE).run().ok();
        let paths = world.requests();
        assert_eq!(paths.len(), 8, "{status} {text}: {paths:?}");
        assert!(paths.chunks(2).all(|pair| pair[0] == pair[1]), "{status} {text}: {paths:?}");
        assert_eq!(world.vault.live_leases().len(), 1);
    });
}

#[test]
fn each_state_of_a_server_has_its_code_and_its_hint() {
    type Case<'a> = (Reply, (i32, &'a str), &'a [&'a str], &'a [&'a str]);
    let cases: [Case<'_>; 7] = [
        (Reply::error(412, "required index state not present"), (75, "temporary"), &["412"], &["re-run"]),
        (Reply::error(429, "request path \"x\": lease count quota exceeded"), (75, "temporary"), &["429"], &["quota"]),
        (Reply::html(429, "<html>slow down</html>"), (75, "temporary"), &["a proxy before", "429"], &["later"]),
        (Reply::error(472, ""), (69, "unavailable"), &["standby (472)"], &["active node"]),
        (Reply::error(473, ""), (69, "unavailable"), &["standby (473)"], &["active node"]),
        (
            Reply::status(501).body("{\"errors\":[]}"),
            (69, "unavailable"),
            &["not initialised"],
            &["vault operator init"],
        ),
        (Reply::html(407, "<html>Proxy login</html>"), (76, "protocol"), &["status 407, text/html"], &["proxy"]),
    ];
    for (reply, (code, kind), words, hint) in cases {
        for (method, suffix) in [("id-token", "auth/gitlab/login"), ("token", "apikey/gitlab-ci-runner")] {
            let world = World::start();
            world.vault.inject(On::path(suffix).every(), Fault::answer(reply.clone()));
            let ran = world.command_as(method, ONCE).run();
            if code == 76 && method == "token" {
                // Whoever says that may stand before a Vault that has done its work, and the token is not ours to revoke.
                ran.refused(&world, 80, "leak", words, &["vault lease revoke"]);
            } else {
                ran.refused(&world, code, kind, words, hint);
            }
        }
    }
}

#[test]
fn a_quota_that_is_used_up_is_named_with_its_path() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        // One request a minute, of which making the secret ID is the first.
        let quota = json!({ "rate": 1, "interval": "60s", "path": "auth/approle" });
        let run = world.command_as("generator-token", ONCE);
        world.vault.write("sys/quotas/rate-limit/ci", quota);
        let ran = run.run();
        let words = ["429", "auth/approle/login", "rate limit quota exceeded"];
        ran.refused(&world, 75, "temporary", &words, &["sys/quotas/rate-limit"]);
        assert_eq!(world.count("auth/approle/login"), 1, "{dialect}");
    }
}

// check: 14
#[test]
fn a_wait_that_the_server_asks_for_is_kept_when_the_run_has_the_time_and_else_not_begun() {
    let world = World::start();
    world.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": true }));
    world.vault.write("sys/quotas/rate-limit/ci", json!({ "rate": 1, "interval": "60s", "path": "auth/gitlab" }));
    world.command_as("id-token", EXOSCALE).run().ok();
    let started = Instant::now();
    let ran = world.command_as("id-token", &format!("{EXOSCALE} --timeout 30")).run();
    ran.refused(&world, 75, "temporary", &["429"], &["quota"]);
    // The limit is for a minute.
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    assert_eq!(world.count("auth/gitlab/login"), 2);

    let world = World::start();
    let busy = Reply::error(429, "rate limit quota exceeded").header("Retry-After", "1");
    world.vault.inject(On::path("auth/gitlab/login"), Fault::answer(busy));
    let started = Instant::now();
    world.command_as("id-token", EXOSCALE).run().ok();
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

// check: 14
#[test]
fn a_limit_that_does_not_end_is_asked_until_the_deadline_and_never_again_without_retries() {
    const SHORT: &str = "--timeout 8s --connect-timeout 1s";
    each(vec![("", true), ("--retries 0", false), ("--retries 1", true)], |(retries, waits)| {
        let world = World::start();
        let busy = Reply::error(429, "rate limit quota exceeded").header("Retry-After", "0");
        world.vault.inject(On::path("auth/gitlab/login").every(), Fault::answer(busy));
        let started = Instant::now();
        let ran = world.command_as("id-token", &format!("{EXOSCALE} {SHORT} {retries}")).run();
        let (asked, elapsed) = (world.vault.requests().len(), started.elapsed());
        assert_eq!((ran.code, asked > 3, asked > 1), (75, waits, waits), "{ran:?}");
        assert!(elapsed < Duration::from_secs(8), "{elapsed:?}");
        // A pause is five seconds at most.
        assert_eq!(elapsed > Duration::from_secs(2), waits, "{elapsed:?}");
        assert_eq!(ran.stderr.contains(&format!("ci-creds tried {asked} times in")), waits, "{ran:?}");
        assert_eq!(ran.stderr.matches("ci-creds: trying again for up to").count(), usize::from(waits), "{ran:?}");
    });
    let world = World::start();
    world.vault.inject(On::path("login").every(), Fault::answer(Reply::error(429, "busy")));
    world.command_as("id-token", EXOSCALE).env("VAULT_MAX_RETRIES", "0").run();
    assert_eq!(world.vault.requests().len(), 1);
}

#[test]
fn a_quota_for_leases_is_not_waited_for() {
    let world = World::start();
    let full = "1 error occurred:\n\t* request path \"auth/gitlab/login\": lease count quota exceeded\n\n";
    world.vault.inject(On::path("auth/gitlab/login").every(), Fault::answer(Reply::error(429, full)));
    let ran = world.command_as("id-token", EXOSCALE).run();
    ran.refused(&world, 75, "temporary", &["429", "lease count quota exceeded"], &["quota"]);
    assert_eq!(world.vault.requests().len(), 3);
}

#[test]
fn a_vault_that_is_sealed_for_a_while_is_waited_for_by_every_identity_and_one_line_says_so() {
    let lines = [(EXOSCALE, 1), ("aws --role 365-dev --format process --no-cache", 0)];
    each(
        METHODS.into_iter().flat_map(|method| lines.map(|line| (method, line))).collect(),
        |(method, (line, told))| {
            let world = World::start();
            let run = world.command_as(method, line);
            let (before, mut command) = (world.vault.secrets(), run.to_command());
            world.vault.write("sys/seal", json!({}));
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
            let started = Instant::now();
            // More often than a lost request is sent, and longer than a wait without a word.
            while world.vault.requests().len() < 6 {
                assert!(started.elapsed() < Duration::from_secs(60), "{method}: {:?}", world.requests());
                std::thread::sleep(Duration::from_millis(20));
            }
            world.vault.unseal();
            let ran = Ran::from(child.wait_with_output().expect("its end"));
            assert_eq!(ran.stderr.lines().count(), told, "{method}: {ran:?}");
            assert_eq!(ran.stderr.matches("does not serve (503").count(), told, "{method}: {ran:?}");
            ran.ok();
            world.minted_since(&before);
            assert_eq!(minted(&world), 1, "{method}");
        },
    );
}

#[test]
fn a_locked_namespace_is_waited_for_and_else_told_as_locked() {
    let text =
        "API access to this namespace has been locked by an administrator - \"team/\" must be unlocked to gain access.";
    let locked = || Fault::answer(Reply::error(503, text));
    let world = World::start();
    for method in METHODS {
        let run = world.command_as(method, ONCE);
        world.vault.inject(On::any().every(), locked());
        let words = ["503", "locked by an administrator"];
        run.run().refused(&world, 69, "unavailable", &words, &["must unlock the namespace"]);
        world.vault.clear_faults();
        run.run().ok();
    }
    // At a login and behind each: no secret is spent for the time that a lock lasts.
    let behind = METHODS.map(|method| (method, "apikey/gitlab-ci-runner"));
    each([&behind[..], &[("id-token", "auth/gitlab/login")]].concat(), |(method, path)| {
        let world = World::start();
        world.vault.inject(On::path(path).times(4), locked());
        let ran = world.command_as(method, EXOSCALE).run();
        assert!(!ran.stderr.contains("was read twice"), "{method}: {ran:?}");
        ran.ok();
        assert_eq!(minted(&world), 1, "{method}");
    });
}

/// `{"cluster":"dev","value":"18446744073709551615"}`: only a leader registers a lease.
const NEVER_REACHED: &str = "eyJjbHVzdGVyIjoiZGV2IiwidmFsdWUiOiIxODQ0Njc0NDA3MzcwOTU1MTYxNSJ9";

#[test]
fn a_standby_that_is_behind_has_its_leader_answer_for_what_a_login_has_just_made() {
    for dialect in [Dialect::OpenBao, Dialect::Vault1_16] {
        for method in METHODS {
            let world = World::with(DevVault::builder().dialect(dialect));
            let run = world.command_as(method, EXOSCALE);
            world.vault.fall_behind();
            run.run().ok();
            let requests = world.vault.requests();
            for (number, request) in requests.iter().enumerate() {
                let sent = ["x-vault-index", "x-vault-inconsistent"].map(|name| request.headers.get(name));
                let is_read = request.path.contains("/apikey/");
                let index = if is_read { NEVER_REACHED } else { "eyJjbHVzdGVyIjoiZGV2IiwidmFsdWUiOiI3In0=" };
                let expected = [Some(index), Some("forward-active-node")];
                assert_eq!(sent, if number == 0 { [None; 2] } else { expected }, "{dialect} {method} {number}");
            }
        }
    }
}

#[test]
fn a_standby_that_knows_no_leader_is_waited_for_and_else_told_as_that() {
    let leaderless = || Fault::answer(Reply::error(500, "local node not active but active cluster node not found"));
    each(METHODS.to_vec(), |method| {
        let world = World::start();
        let run = world.command_as(method, ONCE);
        world.vault.inject(On::any().every(), leaderless());
        let words = ["is a standby, and knows no leader (500)", "local node not active"];
        run.run().refused(&world, 69, "unavailable", &words, &["has a leader"]);
        world.vault.clear_faults();
        // A read is sent again once only.
        world.vault.inject(On::any().times(if method == "token" { 1 } else { 4 }), leaderless());
        let mut patient = run.clone();
        patient.arguments = EXOSCALE.split(' ').map(str::to_owned).collect();
        patient.run().ok();
    });
}

#[test]
fn what_a_leader_did_before_it_was_lost_is_not_called_a_theft_and_costs_no_more_than_it_must() {
    // A standby that has forwarded a request says so of a leader that dies over it.
    let lost = |path: &str, world: &World| {
        let reply = Reply::error(500, "local node not active but active cluster node not found");
        world.vault.inject(On::path(path), Fault::answer_after(reply));
    };
    for (method, path, words) in [
        ("wrapping-token", "sys/wrapping/unwrap", "is spent, most likely by this request"),
        ("secret-id", "auth/approle/login", "this run sent it before"),
    ] {
        let world = World::start();
        lost(path, &world);
        let ran = world.command_as(method, EXOSCALE).run();
        let ran = ran.refused(&world, 79, "spent", &[words], &["re-run with a new"]);
        assert!(!ran.stderr.contains("tampered") && !ran.stderr.contains("audit log"), "{ran:?}");
        assert_eq!((world.count(path), minted(&world)), (2, 0), "{method}");
    }
    let world = World::start();
    lost("auth/approle/login", &world);
    world.command_as("generator-token", EXOSCALE).run().ok();
    assert_eq!((world.count("/secret-id"), world.count("approle/login"), minted(&world)), (2, 3, 1));
    for method in METHODS {
        let world = World::start();
        lost("apikey/gitlab-ci-runner", &world);
        let ran = world.command_as(method, EXOSCALE).run();
        assert!(ran.stderr.contains("was read twice"), "{method}: {ran:?}");
        ran.ok();
        assert_eq!(minted(&world), 2, "{method}");
    }
}

#[test]
fn an_index_without_an_end_is_not_sent_back() {
    let world = World::start();
    let body = json!({ "auth": { "client_token": world.token("job"), "lease_duration": 900 } });
    let reply = Reply::json(200, &body).header("X-Vault-Index", &"x".repeat(2_000));
    world.vault.inject(On::path("auth/gitlab/login"), Fault::answer(reply));
    world.command_as("id-token", EXOSCALE).run().ok();
    assert_eq!(world.vault.requests()[1].headers.get("x-vault-index"), None);
}

#[test]
fn a_standby_that_is_not_there_yet_is_waited_for_and_not_called_a_rate_limit() {
    let world = World::start();
    let behind =
        || Fault::answer(Reply::status(429).header("Content-Type", "application/json").body("{\"errors\":[]}"));
    world.vault.inject(On::path("auth/gitlab/login").times(4), behind());
    world.command_as("id-token", EXOSCALE).run().ok();
    world.vault.inject(On::path("auth/gitlab/login").every(), behind());
    let ran = world.command_as("id-token", ONCE).run();
    ran.refused(&world, 75, "temporary", &["does not have the newest state yet (429)"], &["re-run"]);
}

#[test]
fn a_leader_that_is_gone_is_waited_for_until_its_standby_knows_another_one() {
    each(METHODS.to_vec(), |method| {
        let world = World::start();
        // Nobody listens there, and the system gives the port to nobody who asks for any.
        let gone = "127.0.0.1:1";
        let run = world.command_as(method, &format!("{EXOSCALE} --redirect-host http://{gone}"));
        let path = match method {
            "wrapping-token" => "sys/wrapping/unwrap",
            "secret-id" | "generator-token" => "auth/approle/login",
            "id-token" => "auth/gitlab/login",
            _ => "exoscale/apikey/gitlab-ci-runner",
        };
        let to_the_dead = || Fault::redirect(307, &format!("http://{gone}/v1/{path}"));
        world.vault.inject(On::path(path).times(4), to_the_dead());
        run.run().ok();
        world.vault.inject(On::path(path).every(), to_the_dead());
        let ran = world.command_as(method, &format!("{ONCE} --redirect-host http://{gone}")).run();
        ran.refused(&world, 69, "unavailable", &[&format!("cannot reach {gone}: connection refused")], &[]);
    });
}

/// How many credentials were made.
fn minted(world: &World) -> usize {
    world.vault.minted().values().sum()
}

/// How many jobs begin at once, and how many requests a second Vault takes: 30 and 10, or 200 and 40.
pub fn storm() -> (u32, u32) {
    let jobs = std::env::var("CI_CREDS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    (jobs, (jobs / 5).max(10))
}

/// Starts them all and waits for all; how long that took.
pub fn run_at_once(runs: &[Run]) -> (Vec<Ran>, Duration) {
    let started = Instant::now();
    let start = |run: &Run| run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    let children: Vec<_> = runs.iter().map(start).collect();
    let ended = children.into_iter().map(|child| child.wait_with_output().expect("its end").into()).collect();
    (ended, started.elapsed())
}

// check: 14
#[test]
fn jobs_that_start_at_once_behind_a_quota_all_get_their_one_credential_soon() {
    let (jobs, rate) = storm();
    let world = World::start();
    let runs = || (0..jobs).map(|_| world.command_as("secret-id", EXOSCALE)).collect::<Vec<_>>();
    // What this machine needs for so many processes.
    let (_, calm) = run_at_once(&runs());
    let (runs, before) = (runs(), minted(&world));
    world.vault.write("sys/quotas/rate-limit/ci", json!({ "rate": rate, "interval": "1s", "path": "auth/approle" }));
    world.vault.forget_requests();
    let (ended, elapsed) = run_at_once(&runs);
    let refused = world.count("auth/approle/login") - jobs as usize;
    println!("{jobs} jobs at {rate}/s: {elapsed:?}, {calm:?} without a quota, {refused} refusals");
    ended.into_iter().for_each(|ran| drop(ran.ok()));
    assert!(refused > 0, "the quota was never used up");
    assert!(elapsed < calm + Duration::from_secs(u64::from(3 * jobs.div_ceil(rate))), "{elapsed:?}, {calm:?}");
    let made = minted(&world) - before;
    assert_eq!((made, world.count(&format!("apikey/{ROLE}"))), (jobs as usize, jobs as usize));
}

#[test]
fn a_quota_that_the_read_meets_is_waited_for_and_makes_no_second_credential() {
    each(Dialect::ALL.to_vec(), |dialect| {
        let world = World::with(DevVault::builder().dialect(dialect));
        let run = world.command_as("token", EXOSCALE);
        world.vault.write("sys/quotas/rate-limit/ci", json!({ "rate": 1, "interval": "3s", "path": "exoscale" }));
        // The one request of the first three seconds.
        run.run().ok();
        world.vault.forget_requests();
        let ran = run.run();
        assert!(!ran.stderr.contains("was read twice"), "{dialect}: {ran:?}");
        ran.ok();
        // The first two pauses are together shorter than the interval.
        assert!(world.count(&format!("apikey/{ROLE}")) > 3, "{dialect}");
        assert_eq!(minted(&world), 2, "{dialect}");
    });
}

#[test]
fn an_agent_that_demands_vaults_request_header_is_served() {
    let world = World::with(DevVault::builder().require_request_header());
    for method in METHODS {
        world.command_as(method, EXOSCALE).run().ok();
    }
}

#[test]
fn a_token_for_few_requests_is_enough_when_it_covers_the_read() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 2 }));
    world.command_as("secret-id", EXOSCALE).run().ok();
}

#[test]
fn a_batch_token_whose_read_is_lost_leaves_what_only_time_takes_back_and_says_so() {
    for dialect in Dialect::ALL {
        let world = World::with(DevVault::builder().dialect(dialect));
        world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_type": "batch" }));
        world.command_as("secret-id", EXOSCALE).run().ok();
        let leases = world.vault.live_leases().len();
        world.vault.inject(On::path("apikey/gitlab-ci-runner"), Fault::cut_answer(0));
        let ran = world.command_as("secret-id", EXOSCALE).run();
        let words = ["a lease under exoscale/apikey/gitlab-ci-runner may be left", "until"];
        ran.refused(&world, 80, "leak", &words, &["vault lease revoke"]);
        assert_eq!((world.vault.live_leases().len(), world.count("revoke-self")), (leases + 1, 0), "{dialect}");
    }
}
