//! The engines, and the generic rules of Vault's HTTP.

use std::time::Duration;

use dev_vault::{DevVault, Dialect, Fault, On};
use serde_json::{Value, json};

use crate::setup::{ARN, Team, text};

#[test]
fn an_exoscale_key_is_named_after_role_and_caller() {
    let team = Team::new(Dialect::Vault1_16);
    let name = |team: &Team| text(&team.client.get("exoscale/apikey/ci", &team.token()).json()["data"]["name"]);
    assert!(name(&team).starts_with("vault-ci-approle-"));
    let config = json!({ "root_api_key": "EXOroot", "root_api_secret": "x", "api_key_name_prefix": "prod" });
    team.vault.write("exoscale/config/root", config);
    team.vault.write("exoscale/role/ci", json!({ "operations": "list-zones", "iam-role": "" }));
    let legacy = name(&team);
    assert!(legacy.starts_with("vault-prod-ci-approle-") && legacy.ends_with("-deprecated"), "{legacy}");
}

#[test]
fn an_engine_without_credentials_or_with_a_broken_cloud_fails() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.inject(On::get("/apikey/ci"), Fault::upstream_fails("quota exceeded"));
    let token = team.token();
    let response = team.client.get("exoscale/apikey/ci", &token);
    let text = "1 error occurred:\n\t* failed to create api key: quota exceeded\n\n";
    assert_eq!((response.status, response.error()), (500, text.to_owned()));
    team.vault.write("sys/mounts/exo/bare", json!({ "type": "exoscale" }));
    team.vault.write("exo/bare/role/x", json!({ "ttl": 60 }));
    let response = team.client.get("exo/bare/apikey/x", &team.vault.root_token());
    assert!(response.error().starts_with("1 error occurred:\n\t* Exoscale secret engine not configured\nhint: "));
    assert!(team.vault.minted().is_empty());
}

#[test]
fn every_read_of_an_exoscale_role_mints() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    for _ in 0..3 {
        team.client.get("exoscale/apikey/ci", &token);
    }
    assert_eq!(team.vault.minted()["exoscale/apikey/ci"], 3);
    assert_eq!(team.vault.live_keys().len(), 3);
}

#[test]
fn sts_caps_silently_and_refuses_short_sessions() {
    let team = Team::new(Dialect::Vault1_16);
    let role = json!({ "credential_type": "assumed_role", "role_arns": ARN, "max_sts_ttl": "1h" });
    team.vault.write("aws/roles/deploy", role);
    let token = team.token();
    let ask = |ttl: &str| team.client.put("aws/sts/deploy", &token, &json!({ "ttl": ttl }));
    let capped = ask("48h").json();
    assert_eq!((&capped["lease_duration"], &capped["data"]["ttl"]), (&json!(3_600), &json!(3_600)));
    assert_eq!(capped["warnings"], Value::Null);
    let short = ask("5m");
    assert_eq!(short.status, 400);
    assert!(short.error().starts_with("Error assuming role: ValidationError"), "{}", short.error());
}

#[test]
fn a_throttled_aws_is_a_bad_gateway() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    team.vault.inject(On::path("/aws/sts/deploy"), Fault::upstream_throttles());
    let response = team.client.get("aws/sts/deploy", &token);
    assert_eq!(response.status, 502);
    assert!(response.error().starts_with("Error assuming role: Throttling: Rate exceeded"));
    assert_eq!(team.client.get("aws/sts/deploy", &token).status, 200);
    assert_eq!(team.vault.minted()["aws/sts/deploy"], 1);
}

#[test]
fn a_server_of_1_13_0_gives_sts_credentials_without_a_lease() {
    let team = Team::with(DevVault::builder().leaseless_sts().start());
    let token = team.token();
    let answer = team.client.get("aws/sts/deploy?ttl=20m", &token).json();
    assert_eq!((&answer["lease_id"], &answer["lease_duration"]), (&json!(""), &json!(0)));
    assert_eq!(answer["data"]["ttl"], 1_200);
    assert!(
        team.client.get("aws/creds/user", &token).json()["lease_id"].as_str().unwrap().starts_with("aws/creds/user/")
    );
}

#[test]
fn session_names_are_taken_or_made_and_cleaned() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    let arn = |body| text(&team.client.put("aws/sts/deploy", &token, &body).json()["data"]["arn"]);
    assert_eq!(
        arn(json!({ "role_session_name": "job 302/x" })),
        "arn:aws:sts::123123123123:assumed-role/deploy/job_302_x"
    );
    assert!(arn(json!({})).contains("/vault-approle-deploy-"));
}

#[test]
fn kv_2_keeps_versions() {
    let team = Team::new(Dialect::Vault1_16);
    let vault = &team.vault;
    vault.write("sys/mounts/team/kv", json!({ "type": "kv", "options": { "version": "2" } }));
    vault.write("team/kv/data/a", json!({ "data": { "k": 1 } }));
    vault.write("team/kv/data/a", json!({ "data": { "k": 2 } }));
    assert_eq!(vault.read("team/kv/data/a")["data"]["data"]["k"], 2);
    assert_eq!(vault.read("team/kv/data/a?version=1")["data"]["data"]["k"], 1);
    vault.delete("team/kv/data/a");
    let gone = team.client.get("team/kv/data/a", &vault.root_token());
    assert_eq!((gone.status, gone.json()["data"]["data"].clone()), (404, Value::Null));
    assert_eq!(vault.read("team/kv/data/a?version=1")["data"]["data"]["k"], 1);
    let list = vault.request("LIST", "team/kv/metadata", Some(&vault.root_token()), &[], None);
    assert_eq!(list.json()["data"]["keys"], json!(["a"]));
}

#[test]
fn the_preflight_of_kv_get_tells_the_version_or_denies() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.write("sys/mounts/kv", json!({ "type": "kv-v2" }));
    let ask = |token: &str| team.client.get("sys/internal/ui/mounts/kv/a", token);
    let found = ask(&team.vault.root_token()).json();
    assert_eq!((&found["data"]["path"], &found["data"]["options"]["version"]), (&json!("kv/"), &json!("2")));
    let text =
        "preflight capability check returned 403, please ensure client's policies grant access to path \"kv/a/\"";
    assert_eq!(ask(&team.token()).error(), text);
    assert_eq!(ask("").error(), "permission denied");
}

#[test]
fn mounts_do_not_overlap_and_unmounting_revokes() {
    let team = Team::new(Dialect::Vault1_16);
    let mount = |path: &str, kind: &str| {
        let body = json!({ "type": kind });
        let root = team.vault.root_token();
        team.vault.request("POST", &format!("sys/mounts/{path}"), Some(&root), &[], Some(&body)).errors()
    };
    assert_eq!(mount("aws/eu", "kv"), ["path is already in use at aws/"]);
    assert_eq!(mount("x", "teapot"), ["plugin not found in the catalog: teapot"]);
    team.client.get("exoscale/apikey/ci", &team.token());
    team.vault.delete("sys/mounts/exoscale");
    assert!(team.vault.live_leases().is_empty());
}

#[test]
fn paths_methods_and_bodies_are_held_to_the_rules() {
    let team = Team::new(Dialect::Vault1_16);
    let root = team.vault.root_token();
    let headers = [("X-Vault-Token", root.as_str())];
    let send = |method: &str, path: &str, body: Option<&str>| team.client.send(method, path, &headers, body);
    assert_eq!(send("GET", "/v1/a/../exoscale/role/ci", None).header("location"), Some("/v1/exoscale/role/ci"));
    assert_eq!(send("PUT", "/v1//sys/seal", None).body, "", "a redirected write has no page");
    assert_eq!(send("GET", "/ui/", None).header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(send("PUT", "/v1/aws/sts/", None).error(), "cannot write to a path ending in '/'");
    assert_eq!(send("PATCH", "/v1/aws/sts/x", Some("{}")).status, 415);
    assert_eq!(send("OPTIONS", "/v1/aws/sts/x", None).status, 405);
    assert_eq!(send("GET", "/v1/aws%2Fsts%2Fdeploy", None).status, 200, "decoded before it is split");
    assert_eq!(send("GET", "/v1/aws/sts/de%00ploy", None).status, 400);
    assert_eq!(send("GET", "/v1/exoscale/apikey/-x", None).error(), "1 error occurred:\n\t* unsupported path\n\n");
    assert_eq!(send("HEAD", "/v1/sys/health", None).status, 200);
    assert_eq!(send("GET", "/v1/sys/health?activecode=299", None).status, 299);
    let bad = send("GET", "/v1/sys/health?standbyok=perhaps", None);
    assert_eq!((bad.status, bad.body.as_str()), (400, "{\"errors\":[]}\n"));
}

#[test]
fn forms_are_bodies_too() {
    let team = Team::new(Dialect::Vault1_16);
    let body = format!("role_id={}&secret_id={}", team.role_id(), team.secret_id(json!({})));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(team.client.send("POST", "/v1/auth/approle/login", &headers, Some(&body)).status, 200);
}

#[test]
fn malformed_mfa_headers_are_refused() {
    let team = Team::new(Dialect::Vault1_16);
    let send =
        |value: &str| team.client.send("GET", "/v1/auth/token/lookup-self", &[("X-Vault-MFA", value)], None).error();
    let prefix = "failed to parse X-Vault-MFA header: invalid data in header \"X-Vault-MFA\"; missing method";
    assert_eq!(send(":123"), format!("{prefix} name or ID"));
    assert_eq!(send("id:"), format!("{prefix} value"));
}

#[test]
fn an_agent_can_demand_vaults_own_header() {
    let vault = DevVault::builder().require_request_header().start();
    let client = crate::support::Client::new(&vault);
    let send = |headers: &[(&str, &str)]| client.send("GET", "/v1/sys/health", headers, None);
    let refused = send(&[]);
    assert_eq!((refused.status, refused.error()), (412, "missing \"X-Vault-Request\" header".to_owned()));
    assert_eq!(send(&[("X-Vault-Request", "true")]).status, 200);
    assert_eq!(send(&[("X-Vault-Request", "true"), ("X-Vault-Request", "true")]).status, 412);
}

#[test]
fn a_quota_opens_again_after_its_interval() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": true }));
    team.vault.write("sys/quotas/rate-limit/q", json!({ "path": "exoscale", "rate": 2, "interval": "30s" }));
    let token = team.token();
    let ask = || team.client.get("exoscale/apikey/ci", &token);
    let (first, second, third) = (ask(), ask(), ask());
    assert_eq!([first.status, second.status, third.status], [200, 200, 429]);
    assert_eq!(first.header("x-ratelimit-remaining"), Some("1"));
    assert_eq!(first.header("retry-after"), None);
    assert_eq!(third.header("retry-after"), Some("29"));
    assert_eq!(team.vault.minted()["exoscale/apikey/ci"], 2);
    team.vault.advance(Duration::from_secs(30));
    assert_eq!(ask().status, 200);
}

#[test]
fn long_answers_come_in_chunks_like_gos() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.write("sys/mounts/kv", json!({ "type": "kv" }));
    team.vault.write("kv/long", json!({ "text": "<&>".repeat(2_000) }));
    let response = team.client.get("kv/long", &team.vault.root_token());
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    assert!(response.body.contains("\\u003c\\u0026\\u003e"));
    assert_eq!(response.json()["data"]["text"], "<&>".repeat(2_000));
}
