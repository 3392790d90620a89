//! A server that does not serve for now: sealed, or out of its quota.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use super::server::Server;
use super::site::{Site, prepare};
use super::{EXOSCALE, POLICY, refused};
use crate::state::{run_at_once, storm};
use crate::support::{METHODS, ROLE, Ran, Run, parallel};

#[test]
fn a_sealed_server_is_reported_as_that_to_every_identity() {
    // Nobody else could go on with it.
    let Some(server) = Server::start() else { return };
    prepare(&server.operator);
    let site = Site::on(&server, ROLE, POLICY);
    let runs = METHODS.map(|method| site.job(method, &format!("{EXOSCALE} --retries 0 --timeout 5s")));
    server.operator.write("sys/seal", &json!(null));
    parallel::each(runs.to_vec(), |run| {
        refused(run.run(), (69, "unavailable"), &["503", "Vault is sealed", "unseal"]);
    });
}

#[test]
fn a_quota_that_is_used_up_is_named_with_its_path_and_nothing_is_spent() {
    let Some(server) = Server::shared() else { return };
    let operator = server.operator.make_namespace("limited");
    prepare(&operator);
    let site = Site::within(server, &operator, ROLE, POLICY);
    let job = |line: &str| site.job("secret-id", line).env("VAULT_NAMESPACE", "limited");
    let run = job(&format!("{EXOSCALE} --retries 0 --timeout 5s"));
    // One request in ten minutes: the first job's login.
    let quota = json!({ "rate": 1, "interval": "10m", "path": "limited/auth/approle/login" });
    server.operator.write("sys/quotas/rate-limit/limited", &quota);
    job(EXOSCALE).run().ok();
    let ran = run.run();
    refused(ran, (75, "temporary"), &["429", "auth/approle/login", "rate limit quota exceeded"]);
    let (status, _) = server.operator.send("DELETE", "sys/quotas/rate-limit/limited", &[], &json!(null));
    assert_eq!(status, 204);
    // The secret ID was for one use, and still is.
    run.run().ok();
}

#[test]
fn jobs_that_start_at_once_behind_a_quota_of_a_real_server_all_succeed_soon() {
    let Some(server) = Server::shared() else { return };
    let operator = server.operator.make_namespace("storm");
    prepare(&operator);
    let site = Site::within(server, &operator, ROLE, POLICY);
    let (jobs, rate) = storm();
    let job = || site.job("secret-id", EXOSCALE).env("VAULT_NAMESPACE", "storm");
    let runs = || (0..jobs).map(|_| job()).collect::<Vec<_>>();
    let (_, calm) = run_at_once(&runs());
    let runs = runs();
    let quota = json!({ "rate": rate, "interval": "1s", "path": "storm/auth/approle/login" });
    server.operator.write("sys/quotas/rate-limit/storm", &quota);
    let (ended, elapsed) = run_at_once(&runs);
    println!("{jobs} jobs at {rate}/s: {elapsed:?}, {calm:?} without a quota");
    let waited = ended.iter().filter(|ran| ran.stderr.contains("limits the rate of requests")).count();
    ended.into_iter().for_each(|ran| drop(ran.ok()));
    assert!(waited > 0, "the quota was never used up");
    assert!(elapsed < calm + Duration::from_secs(u64::from(3 * jobs.div_ceil(rate))), "{elapsed:?}, {calm:?}");
}

#[test]
fn a_locked_namespace_of_a_real_server_is_waited_for_and_else_told_as_locked() {
    let Some(server) = Server::shared() else { return };
    let operator = server.operator.make_namespace("locked");
    prepare(&operator);
    let site = Site::within(server, &operator, ROLE, POLICY);
    let jobs = |line: &str| METHODS.map(|method| site.job(method, line).env("VAULT_NAMESPACE", "locked")).to_vec();
    let (once, patient) = (jobs(&format!("{EXOSCALE} --retries 0")), jobs(EXOSCALE));
    let answer = server.operator.write("sys/namespaces/api-lock/lock/locked", &json!(null));
    parallel::each(once.clone(), |run| {
        let words = ["503", "locked by an administrator", "must unlock the namespace"];
        refused(run.run(), (69, "unavailable"), &words);
    });
    // The last one is a plain token, which does not log in: a read is sent again once only.
    let start = |run: &Run| run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    let children: Vec<_> = patient[..METHODS.len() - 1].iter().map(start).collect();
    // Longer than a wait without a word.
    std::thread::sleep(Duration::from_millis(2_500));
    server
        .operator
        .write("sys/namespaces/api-lock/unlock/locked", &json!({ "unlock_key": answer["data"]["unlock_key"] }));
    for child in children {
        let ran = Ran::from(child.wait_with_output().expect("its end"));
        assert!(ran.stderr.contains("trying again for up to"), "{ran:?}");
        ran.ok();
    }
    // Nothing was spent.
    once.iter().for_each(|run| drop(run.run().ok()));
}
