//! What the server says of itself, and the namespace.

use std::time::Duration;

use dev_vault::DevVault;
use serde_json::json;

use super::bench::Bench;
use super::{On, Row, row};

fn double<'a>(bench: &Bench<'a>) -> &'a DevVault {
    bench.double.expect("a double")
}

pub fn rows() -> Vec<Row> {
    vec![
        row("the server is sealed", |bench| {
            double(bench).write("sys/seal", json!({}));
        })
        .alone(|builder| builder)
        .fails("health", 69, "is sealed")
        .mended_by(|bench| double(bench).unseal()),
        row("the namespace does not exist", |bench| bench.set("VAULT_NAMESPACE", "nowhere")).on(&[On::Real]).fails(
            "auth-mount",
            78,
            "no namespace nowhere",
        ),
        row("the namespace is not set", |bench| bench.unset("VAULT_NAMESPACE"))
            .on(&[On::Real])
            .fails("auth-role", 77, "no namespace is set")
            .taking("VAULT_NAMESPACE"),
        row("the namespace is a variable that GitLab does not have", |bench| {
            bench.set("VAULT_NAMESPACE", "$TEAM");
        })
        .on(&[On::Real])
        .fails("configuration", 78, "TEAM"),
        row("a quota of the login is used up", |bench| {
            let quota = json!({ "path": "auth/gitlab/", "rate": 1, "interval": "1h" });
            double(bench).write("sys/quotas/rate-limit/narrow", quota);
            bench.flag("--retries", "0");
            bench.doctor();
        })
        .alone(|builder| builder)
        .fails("auth-mount", 75, "rate")
        .mended_by(|bench| double(bench).delete("sys/quotas/rate-limit/narrow")),
        row("the clock of the server is two minutes behind", |bench| {
            bench.claim(|token| token.at(std::time::SystemTime::now() + Duration::from_secs(120)));
        })
        .fails("identity", 77, "is not valid before")
        .mended_by(|bench| bench.claim(|token| token.at(std::time::SystemTime::now()))),
        row("an ID token of the future is from a server whose clock is ahead", |bench| {
            bench.claim(|token| token.issued_in(300));
        })
        .fails("identity", 77, "is not valid before")
        .mended_by(|bench| bench.claim(|token| token.issued_in(0))),
    ]
}
