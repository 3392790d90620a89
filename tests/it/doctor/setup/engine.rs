//! The engine and what the policy allows.

use serde_json::json;

use super::{DOUBLES, EVERYWHERE, Row, row};

const LEASES: &str = "path \"sys/leases/renew\" { capabilities = [\"update\"] }";

/// What the default policy allows, of what a diagnosis asks.
const OWN: &str = "path \"sys/capabilities-self\" { capabilities = [\"update\"] }\n\
    path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n\
    path \"auth/token/revoke-self\" { capabilities = [\"update\"] }";

pub fn rows() -> Vec<Row> {
    vec![
        row("the engine is mounted elsewhere", |bench| {
            bench.set("CI_CREDS_AWS_MOUNT", "aws-prod");
            bench.supply("CI_CREDS_AWS_MOUNT", "aws");
        })
        .on(EVERYWHERE)
        .fails("engine-mount", 78, "aws-prod"),
        row("the mount of Exoscale is wrong", |bench| bench.flag("--mount", "exo"))
            .asking("exoscale --role gitlab-ci-runner --mount exoscale")
            .on(EVERYWHERE)
            .fails("engine-mount", 78, "exo"),
        row("the engine does not have the role", |bench| bench.flag("--role", "365-prod")).on(DOUBLES).fails(
            "engine-role",
            78,
            "365-prod",
        ),
        row("there is no policy", |bench| bench.write_policy(LEASES)).on(EVERYWHERE).fails("policy", 77, "nothing"),
        row("the policy allows another role", |bench| {
            bench.write_policy(&format!("path \"aws/sts/366-dev\" {{ capabilities = [\"read\"] }}\n{LEASES}"));
        })
        .on(EVERYWHERE)
        .fails("policy", 77, "aws/sts/365-dev"),
        row("the policy allows to list, and not to read", |bench| {
            bench.write_policy(&format!("path \"aws/sts/365-dev\" {{ capabilities = [\"list\"] }}\n{LEASES}"));
        })
        .on(EVERYWHERE)
        .fails("policy", 77, "allow list"),
        row("the policy of Exoscale has one segment less", |bench| {
            bench.write_policy(&format!("path \"exoscale/apikey\" {{ capabilities = [\"read\"] }}\n{LEASES}"));
        })
        .asking("exoscale --role gitlab-ci-runner")
        .on(EVERYWHERE)
        .fails("policy", 77, "exoscale/apikey/gitlab-ci-runner"),
        row("the policy does not allow to renew leases", |bench| {
            bench.write_role(&json!({ "token_no_default_policy": true }));
            bench.write_policy(&format!("{}\n{OWN}", bench.policy().replace(LEASES, "")));
        })
        .on(EVERYWHERE)
        .warns("lease", "they do not allow sys/leases/renew"),
        row("the policies do not allow to log out", |bench| {
            bench.write_role(&json!({ "token_no_default_policy": true }));
            bench.write_policy(&format!("{}\n{}", bench.policy(), OWN.replace("revoke-self", "renew-self")));
        })
        .on(EVERYWHERE)
        .fails("logout", 80, "was not revoked")
        .leaving_a_login(),
    ]
}
