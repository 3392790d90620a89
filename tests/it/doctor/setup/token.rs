//! The token that the requests are made with.

use serde_json::json;

use super::{EVERYWHERE, Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row("the login is for one request", |bench| bench.write_role(&json!({ "token_num_uses": 1 })))
            .on(EVERYWHERE)
            .fails("token", 78, "limited to one request"),
        row("the Vault token is none", |bench| bench.set("VAULT_TOKEN", "hvs.AAAABBBBCCCCDDDDEEEEFFFF"))
            .by("token")
            .on(EVERYWHERE)
            .fails("token", 77, "not valid"),
        row("the Vault token was revoked", |bench| {
            let token = bench.new_token(&json!({}));
            bench.operator.write("auth/token/revoke", &json!({ "token": token }));
            bench.set("VAULT_TOKEN", &token);
        })
        .by("token")
        .on(EVERYWHERE)
        .fails("token", 77, "not valid"),
        row("the login is shorter than the job", |bench| {
            bench.write_role(&json!({ "token_ttl": "60s" }));
            bench.set("CI_JOB_TIMEOUT", "3600");
            let started = jiff::Timestamp::now();
            bench.set("CI_JOB_STARTED_AT", &started.to_string());
        })
        .on(EVERYWHERE)
        .warns("token", "the job may run for another"),
    ]
}
