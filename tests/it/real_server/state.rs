//! A server that does not serve for now: sealed, or out of its quota.

use serde_json::json;

use super::server::Server;
use super::site::{Site, prepare};
use super::{EXOSCALE, POLICY, refused};
use crate::support::{METHODS, ROLE, parallel};

#[test]
fn a_sealed_server_is_told_by_name_to_every_identity() {
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
    // The secret id was for one use, and still is.
    run.run().ok();
}
